"""One process of many that count on one store; `test_concurrency.py` starts it.

    python count_views.py URL VIEWS

It counts VIEWS views of a site through a counter of its own, says "counted" with the number acknowledged, waits for a line,
and then says what it reads.
"""

from __future__ import annotations

import asyncio
import sys
import time

from footfall.counting.counter import Counter
from footfall.model import DEFAULT_RETENTION, WHOLE_SITE, Outcome, View
from footfall.stores import open_store
from footfall.telemetry.ledger import Ledger

SITE = "example.com"

#: Visitors at a time, each of whom waits for the reply before the next view.
VISITORS = 20


async def count_views(url: str, views: int) -> None:
    store = open_store(url, time.time, DEFAULT_RETENTION, 600)
    counter = Counter(store, Ledger(), commit_timeout=60)
    numbers = iter(range(views))

    async def visit() -> int:
        acknowledged = 0
        for n in numbers:
            settled = await counter.count(View(SITE, f"/{n % 7}"))
            acknowledged += settled.outcome is Outcome.COUNTED
        return acknowledged

    acknowledged = sum(await asyncio.gather(*(visit() for _ in range(VISITORS))))
    await counter.drain()
    say(f"counted {acknowledged}")
    await asyncio.to_thread(sys.stdin.readline)
    counts = (await store.counts(SITE, [WHOLE_SITE, *(f"/{n}" for n in range(7))], 540)).pages
    say(" ".join(f"{count.views},{count.total}" for count in counts.values()))
    await store.close()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(count_views(sys.argv[1], int(sys.argv[2])))
