"""Replies that are lost: the store has applied a batch, and whoever sent it never hears of it. Each view counts once.

A proxy cuts the connection after the script ran and before a byte of its reply comes back, so that this happens at every commit
and not just now and then.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from footfall.counting.counter import Counter
from footfall.model import WHOLE_SITE, Outcome, Settled, View
from footfall.stores.redis import RedisStore
from footfall.stores.redis.server.url import read_url
from footfall.telemetry.ledger import Ledger
from tests.support.servers import RedisServer, TcpProxy

SITE = "example.com"
VISITORS = 16

#: What a call of a script has in it on the wire.
SCRIPT = b"EVALSHA"


async def count_through_cuts(cuts: int, *, every: int) -> None:
    """Let visitors count, with and without event ids, until so many replies to commits were lost."""
    with RedisServer() as redis, TcpProxy(redis.port) as proxy:
        store = RedisStore(read_url("redis", f"//127.0.0.1:{proxy.port}/0"))
        direct = RedisStore(read_url("redis", f"//127.0.0.1:{redis.port}/0"))
        counter = Counter(store, Ledger(), commit_timeout=60)
        numbers = itertools.count()
        await counter.count(View(SITE, "/first"))  # the script is known from here on
        proxy.lose_replies(cuts, SCRIPT, every=every)

        async def visit() -> list[Settled]:
            settled = []
            while proxy.reply_cuts_left:
                n = next(numbers)
                id = f"event-number-{n:09}" if n % 2 else None
                settled.append(await counter.count(View(SITE, f"/{n % 2}", event_id=id), wanted=n % 5 == 0))
            return settled

        settled = [one for some in await asyncio.gather(*(visit() for _ in range(VISITORS))) for one in some]
        sent = next(numbers)
        assert proxy.cuts == cuts
        assert [one.outcome for one in settled] == [Outcome.COUNTED] * sent
        found = (await direct.counts(SITE, [WHOLE_SITE, "/0", "/1"], 540)).pages
        assert [count.total for count in found.values()] == [sent + 1, (sent + 1) // 2, sent // 2]
        for each in (store, direct):
            await each.close()


async def test_lost_replies_cost_no_view_and_double_none() -> None:
    """Each commit's first reply is lost, 200 times."""
    await count_through_cuts(200, every=2)


@pytest.mark.soak
async def test_a_thousand_lost_replies_cost_no_view_and_double_none() -> None:
    """The same, 1,000 times."""
    await count_through_cuts(1000, every=2)


async def test_a_reply_may_be_lost_several_times_in_a_row() -> None:
    """The same batch is sent again and again, and counts once."""
    await count_through_cuts(8, every=1)
