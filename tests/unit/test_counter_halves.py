"""When everybody waits for one commit and the process with them, views are committed in halves; with a memory store behind it."""

from __future__ import annotations

import asyncio

import pytest

from footfall.counter import BUSY_VIEWS, IDLE_COMMITS, IDLE_SECONDS, Counter
from footfall.errors import Draining
from footfall.model import Batch, Receipt, View
from tests.contract.conftest import SITE, count_of
from tests.unit.counting import Books, WatchedStore

VISITORS = 64


class Elsewhere(WatchedStore):
    """A store that takes so many seconds a commit, in so many of which this process works."""

    def __init__(self, seconds: float, busy: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.busy = busy
        self.now = 0.0
        self.worked = 0.0

    async def apply(self, batch: Batch) -> Receipt:
        self.now += self.seconds
        self.worked += self.busy
        return await super().apply(batch)


def counter_of(store: Elsewhere) -> Counter:
    return Counter(store, Books(), monotonic=lambda: store.now, busy=lambda: store.worked)


async def come(counter: Counter, visitors: int = VISITORS) -> None:
    """All view a page at once, and wait."""
    await asyncio.gather(*(counter.count(View(SITE, "/")) for _ in range(visitors)))


def sizes(store: WatchedStore) -> list[int]:
    return [batch.sites[SITE].views for batch in store.batches]


async def test_views_that_would_wait_together_go_in_halves() -> None:
    """After some commits in each of which this process had nothing to do; then always, while they come all at once."""
    store = Elsewhere(seconds=0.005, busy=0.001)
    counter = counter_of(store)
    for _ in range(IDLE_COMMITS + 2):
        await come(counter)
    assert sizes(store) == [VISITORS] * IDLE_COMMITS + [VISITORS // 2] * 4
    assert store.most_under_way == 1
    assert (await count_of(store, "/")).total == VISITORS * (IDLE_COMMITS + 2)


@pytest.mark.parametrize(
    ("seconds", "busy", "visitors"),
    [(0.005, 0.005, VISITORS), (IDLE_SECONDS / 2, 0, VISITORS), (0.005, 0, BUSY_VIEWS - 1)],
    ids=["the process works meanwhile", "the commit is short", "few wait"],
)
async def test_other_views_stay_together(seconds: float, busy: float, visitors: int) -> None:
    """Halves cost a commit more."""
    store = Elsewhere(seconds, busy)
    counter = counter_of(store)
    for _ in range(3 * IDLE_COMMITS):
        await come(counter, visitors)
    assert sizes(store) == [visitors] * (3 * IDLE_COMMITS)


async def test_a_slow_commit_now_and_then_halves_nothing() -> None:
    """A disk has such moments."""
    store = Elsewhere(seconds=0.005, busy=0)
    counter = counter_of(store)
    for number in range(4 * IDLE_COMMITS):
        store.seconds = 0 if number % IDLE_COMMITS == 0 else 0.005
        await come(counter)
    assert sizes(store) == [VISITORS] * (4 * IDLE_COMMITS)


@pytest.mark.parametrize("first", [VISITORS // 2, 10 * VISITORS])
async def test_what_gathers_during_a_commit_stays_together(first: int) -> None:
    """Only the first of the halves is closed early: who comes while it is under way waits in one batch."""
    store = Elsewhere(seconds=0.005, busy=0)
    counter = counter_of(store)
    for _ in range(IDLE_COMMITS):
        await come(counter)
    store.hold()
    waiting = []
    for visitors in (first, 10 * VISITORS):
        waiting += [asyncio.create_task(counter.count(View(SITE, "/"))) for _ in range(visitors)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert store.under_way == 1  # without a timer: the first half is not held back to fill up
    store.let_go()
    await asyncio.gather(*waiting)
    assert sizes(store)[IDLE_COMMITS:] == [VISITORS // 2, first + 10 * VISITORS - VISITORS // 2]


async def test_a_stop_in_between_loses_nothing() -> None:
    """What was taken is counted; who comes later is told."""
    store = Elsewhere(seconds=0.005, busy=0)
    counter = counter_of(store)
    for _ in range(IDLE_COMMITS):
        await come(counter)
    taken = [asyncio.create_task(counter.count(View(SITE, "/"))) for _ in range(VISITORS)]
    await asyncio.sleep(0)
    await counter.drain()
    await asyncio.gather(*taken)
    with pytest.raises(Draining):
        await counter.count(View(SITE, "/"))
    assert (await count_of(store, "/")).total == VISITORS * (IDLE_COMMITS + 1)
