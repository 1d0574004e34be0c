"""What Redis needs to keep counts: for a page and second that was viewed, for a page besides, and for many sites instead of one.

Stores are filled through `commit` with a clock that is moved, every page viewed once in every second. The memory is looked at
half-way and in the end: what came in between is what seconds cost, the rest is what a page costs once.
"""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks.progress import Steps
from benchmarks.reads import MovableClock, path
from benchmarks.redis_servers import PinnedRedis, pinned, site_name
from benchmarks.report import Cell, Figure, Report
from benchmarks.servers import SITE, Place
from footfall.model import MAX_BATCH_ENTRIES, Batch, SiteBatch
from footfall.stores import Store

#: A whole minute.
_BEGIN = 1_700_000_040

#: Sites in one commit, so that its script calls, one a site, stay within the time of a round trip.
_SITES_AT_ONCE = 500


class Viewed(msgspec.Struct, frozen=True):
    """What is viewed: each of the `pages` of each of the `sites`, once in each of `seconds` seconds."""

    sites: int
    pages: int
    seconds: int

    def batches(self) -> list[dict[str, SiteBatch]]:
        """One second's views, in as many batches as they need."""
        names = [site_name(number) for number in range(self.sites)]
        paths = [path(number) for number in range(self.pages)]
        return [
            {name: SiteBatch(pages=dict.fromkeys(some_pages, 1)) for name in some_sites}
            for some_sites in _runs(names, _SITES_AT_ONCE)
            for some_pages in _runs(paths, MAX_BATCH_ENTRIES)
        ]


def _runs(names: list[str], length: int) -> list[list[str]]:
    return [names[first : first + length] for first in range(0, len(names), length)]


#: 600 s is all that is kept of seconds: no more is needed however long it goes on.
CASES = (
    Viewed(1, 10, 600),
    Viewed(1, 100, 600),
    Viewed(1, 1_000, 600),
    Viewed(1, 10_000, 6),
    Viewed(10_000, 1, 6),
)


def measure(place: Place, steps: Steps) -> Report:
    """Fill one Redis after the other."""
    steps.expect(len(CASES))
    rows: list[tuple[Cell, ...]] = []
    for case in CASES:
        steps.step(f"{case.sites:,} sites, {case.pages:,} pages, {case.seconds} s")
        with PinnedRedis(place) as redis:
            half, end = asyncio.run(_fill(redis, case))
        rows.append(_row(case, half, end))
    return Report(
        "redis-memory",
        "Memory of Redis, each page viewed once in every second",
        ("sites", "pages a site", "seconds", "MB", "bytes a page and second", "bytes a page besides", "KB a site"),
        rows,
        (
            "Memory is INFO's used_memory, less what Redis had in use before, in 10^6 and 10^3 bytes.",
            "A page and second: what the later half of the seconds added. Besides: window, day, total, and what a site has once.",
            pinned(place),
        ),
    )


async def _fill(redis: PinnedRedis, case: Viewed) -> tuple[int, int]:
    """Bytes that the views take half-way and in the end."""
    clock = MovableClock(_BEGIN)
    store = redis.store(clock)
    try:
        await _commit(store, 0, [{SITE: SiteBatch(pages={"/": 1})}])  # the scripts and a connection are there then
        empty = redis.memory()
        batches = case.batches()
        half = 0
        for second in range(case.seconds):
            clock.now = _BEGIN + second
            await _commit(store, second * len(batches), batches)
            if second == case.seconds // 2 - 1:
                half = redis.memory() - empty
        return half, redis.memory() - empty
    finally:
        await store.close()


async def _commit(store: Store, before: int, batches: list[dict[str, SiteBatch]]) -> None:
    for number, sites in enumerate(batches):
        await store.commit(Batch("benchmark", before + number + 1, sites))


def _row(case: Viewed, half: int, end: int) -> tuple[Cell, ...]:
    pages = case.sites * case.pages
    each = (end - half) / (pages * (case.seconds - case.seconds // 2))
    return (
        f"{case.sites:,}",
        f"{case.pages:,}",
        f"{case.seconds}",
        Figure(end / 1e6, 2),
        Figure(each, 0),
        Figure((end - each * pages * case.seconds) / pages, 0),
        Figure(end / case.sites / 1e3, 1),
    )
