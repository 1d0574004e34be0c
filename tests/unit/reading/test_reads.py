"""Identical reads of the same moment share one, and none is answered with what was read before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from footfall.errors import StoreUnavailable
from footfall.model import PERIODS, Batch, Counts, SiteBatch, Span, Tier, TopPages
from footfall.reading.shared_reads import LONGEST_SECONDS, REUSE, Reads
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import SITE, Clock

WINDOW = Span(Tier.SECOND, 60)


class HeldStore(MemoryStore):
    """Notes its reads, and lets them return when it is let go; each takes `cost` seconds of a clock, and may fail once."""

    def __init__(self, monotonic: Clock) -> None:
        super().__init__(Clock())
        self.sent = 0
        self.cost = 0.0
        self.error: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()
        self._monotonic = monotonic

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        self.sent += 1
        found = await super().counts(site, pages, window)
        await self.free.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return found

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        self.sent += 1
        self._monotonic.advance(self.cost)
        return await super().top(site, span, limit, after)


@pytest.fixture
def monotonic() -> Clock:
    return Clock(0.0)


@pytest.fixture
def store(monotonic: Clock) -> HeldStore:
    return HeldStore(monotonic)


@pytest.fixture
def reads(store: HeldStore, monotonic: Clock) -> Reads:
    return Reads(store, monotonic)


async def views(reads: Reads) -> int:
    return (await reads.counts(SITE, "/", 60)).pages["/"].views


async def count(store: HeldStore, sequence: int) -> None:
    await store.commit(Batch("writer", sequence, {SITE: SiteBatch(pages={"/": 1})}))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_crowd_costs_the_store_two_reads(reads: Reads, store: HeldStore) -> None:
    """While one read is under way, all that ask meanwhile share the next."""
    store.free.clear()
    crowd = [asyncio.create_task(views(reads)) for _ in range(1000)]
    await turns()
    store.free.set()
    assert await asyncio.gather(*crowd) == [0] * 1000
    assert store.sent == 2


async def test_what_was_counted_before_a_read_began_is_in_it(reads: Reads, store: HeldStore) -> None:
    """A read does not join one that was sent before the view was counted."""
    store.free.clear()
    early = asyncio.create_task(views(reads))
    await turns()
    await count(store, 1)
    late = asyncio.create_task(views(reads))
    await turns()
    store.free.set()
    assert (await early, await late) == (0, 1)


async def test_different_questions_are_different_reads(reads: Reads, store: HeldStore) -> None:
    """Another page or window is never answered with this one's numbers."""
    await count(store, 1)
    found = await asyncio.gather(reads.counts(SITE, "/", 60), reads.counts(SITE, "/other", 60), reads.counts(SITE, "/", 1))
    assert [next(iter(counts.pages.values())).views for counts in found] == [1, 0, 1]
    assert store.sent == 3


async def test_one_who_goes_away_hurts_no_other(reads: Reads, store: HeldStore) -> None:
    """A reader that is cancelled does not cancel the read it shared."""
    store.free.clear()
    first, second, third = (asyncio.create_task(views(reads)) for _ in range(3))
    await turns()
    first.cancel()
    second.cancel()
    await turns()
    store.free.set()
    assert await third == 0


async def test_a_failure_is_heard_by_all_who_shared_it_and_by_nobody_after(reads: Reads, store: HeldStore) -> None:
    """The next read asks the store again."""
    store.free.clear()
    store.error = StoreUnavailable("away")
    first = asyncio.create_task(views(reads))
    await turns()
    others = [asyncio.create_task(views(reads)) for _ in range(3)]
    await turns()
    store.free.set()
    with pytest.raises(StoreUnavailable):
        await first
    assert await asyncio.gather(*others) == [0] * 3


async def test_a_window_is_never_remembered(reads: Reads, store: HeldStore) -> None:
    """Each reading of a window sees the views counted before it."""
    for sequence in (1, 2, 3):
        await count(store, sequence)
        assert (await reads.top(SITE, WINDOW, 10)).pages == [("/", sequence)]


@pytest.mark.parametrize(("cost", "kept"), [(0.0, 0.0), (0.5, 0.5 * REUSE), (30.0, LONGEST_SECONDS)])
async def test_a_long_period_is_remembered_as_long_as_it_was_dear(
    reads: Reads, store: HeldStore, monotonic: Clock, cost: float, kept: float
) -> None:
    """A cheap answer is never old; a dear one is used for a multiple of what it took, and for 60 s at most."""
    store.cost = cost
    await count(store, 1)
    assert (await reads.top(SITE, PERIODS["24h"], 10)).pages == [("/", 1)]
    await count(store, 2)
    if kept:
        monotonic.advance(kept - 0.001)
        assert (await reads.top(SITE, PERIODS["24h"], 10)).pages == [("/", 1)]
        monotonic.advance(0.002)
    assert (await reads.top(SITE, PERIODS["24h"], 10)).pages == [("/", 2)]
