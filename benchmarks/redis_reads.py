"""How long reads of the window take on Redis as history and pages grow: one page's counts, and the most viewed pages."""

from __future__ import annotations

import asyncio
import contextlib

from benchmarks import reads
from benchmarks.progress import Steps
from benchmarks.reads import ANY_PAGE, BUSY_PAGE, HISTORIES, WINDOW, Kind, Question
from benchmarks.redis_servers import PinnedRedis, pinned
from benchmarks.report import Report
from benchmarks.servers import SITE, Place
from footfall.model import Span, Tier
from footfall.stores import Store

TOP_PAGES = 10

_WINDOW = Span(Tier.SECOND, WINDOW)


async def _top(store: Store, page: str) -> object:
    del page
    return await store.top(SITE, _WINDOW, TOP_PAGES)


TOP = Question(f"the {TOP_PAGES} most viewed", lambda _: [""], _top)


def measure(place: Place, steps: Steps) -> Report:
    """Fill a Redis for each history and read them."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(PinnedRedis(place)) for _ in HISTORIES]
        kind = Kind(
            "redis-reads",
            "Redis",
            lambda number, clock: servers[number].store(clock),
            (BUSY_PAGE, ANY_PAGE, TOP),
            ("The time is the caller's, with the way to Redis and back.", pinned(place)),
        )
        return asyncio.run(reads.compare(kind, steps))
