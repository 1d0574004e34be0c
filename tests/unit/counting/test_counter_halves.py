"""When everybody waits for one commit and the process with them, views are committed in halves; with a memory store behind it."""

from __future__ import annotations

import asyncio

import pytest

from footfall.counting.counter import BUSY_VIEWS, Counter
from footfall.counting.halving import IDLE_COMMITS, IDLE_SECONDS
from footfall.errors import Draining
from footfall.model import Batch, Receipt, View
from tests.contract.conftest import SITE, count_of
from tests.unit.counting.counting import Books, WatchedStore

VISITORS = 64


class Elsewhere(WatchedStore):
    """A store to which the way takes `way` seconds a commit and that works for `seconds`, in so many of which, `busy`, it is this
    process that works. Before a commit of all visitors the process has worked for `judging` seconds.
    """

    def __init__(self, seconds: float, busy: float = 0.0, judging: float = 0.003, way: float = 0.0005) -> None:
        super().__init__()
        self.seconds = seconds
        self.busy = busy
        self.judging = judging
        self.way = way
        self.now = 0.0
        self.worked = 0.0

    async def apply(self, batch: Batch) -> Receipt:
        self.now += self.way + self.seconds * batch.sites[SITE].views / VISITORS
        self.worked += self.busy
        return await super().apply(batch)


async def counter_of(store: Elsewhere) -> Counter:
    """A counter that has counted one view, and so knows the way."""
    counter = Counter(store, Books(), monotonic=lambda: store.now, busy=lambda: store.worked)
    await counter.count(View(SITE, "/first"))
    store.batches.clear()
    return counter


async def come(counter: Counter, store: Elsewhere, visitors: int = VISITORS) -> None:
    """All view a page at once, and wait."""
    store.worked += store.judging
    await asyncio.gather(*(counter.count(View(SITE, "/")) for _ in range(visitors)))


def sizes(store: WatchedStore) -> list[int]:
    return [batch.sites[SITE].views for batch in store.batches]


async def test_views_that_would_wait_together_go_in_halves() -> None:
    """After some commits in each of which this process had nothing to do; then always, while they come all at once."""
    store = Elsewhere(seconds=0.005, busy=0.001)
    counter = await counter_of(store)
    for _ in range(IDLE_COMMITS + 2):
        await come(counter, store)
    assert sizes(store) == [VISITORS] * IDLE_COMMITS + [VISITORS // 2] * 4
    assert store.most_under_way == 1
    assert (await count_of(store, "/")).total == VISITORS * (IDLE_COMMITS + 2)


@pytest.mark.parametrize(
    ("store", "visitors"),
    [
        (Elsewhere(0.005, busy=0.005), VISITORS),
        (Elsewhere(IDLE_SECONDS / 2, way=0), VISITORS),
        (Elsewhere(0.005), BUSY_VIEWS - 1),
        (Elsewhere(0.001, way=0.005), VISITORS),
    ],
    ids=["the process works meanwhile", "the commit is short", "few wait", "the way is long"],
)
async def test_other_views_stay_together(store: Elsewhere, visitors: int) -> None:
    """Halves cost a commit more, and the way twice."""
    counter = await counter_of(store)
    for _ in range(3 * IDLE_COMMITS):
        await come(counter, store, visitors)
    assert sizes(store) == [visitors] * (3 * IDLE_COMMITS)


@pytest.mark.parametrize(("slow", "is_halved"), [({0}, False), ({0, 1}, True)])
async def test_what_most_commits_are_like_decides(slow: set[int], is_halved: bool) -> None:
    """A disk has slow moments; a store at a distance quick ones."""
    store = Elsewhere(seconds=0.005)
    counter = await counter_of(store)
    for number in range(12 * IDLE_COMMITS):
        store.seconds = 0.005 if number % 3 in slow else 0
        await come(counter, store)
    assert (VISITORS // 2 in sizes(store)[-5:]) == is_halved


@pytest.mark.parametrize("first", [VISITORS // 2, 10 * VISITORS])
async def test_what_gathers_during_a_commit_stays_together(first: int) -> None:
    """Only the first of the halves is closed early: who comes while it is under way waits in one batch."""
    store = Elsewhere(seconds=0.005)
    counter = await counter_of(store)
    for _ in range(IDLE_COMMITS):
        await come(counter, store)
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
    store = Elsewhere(seconds=0.005)
    counter = await counter_of(store)
    for _ in range(IDLE_COMMITS):
        await come(counter, store)
    taken = [asyncio.create_task(counter.count(View(SITE, "/"))) for _ in range(VISITORS)]
    await asyncio.sleep(0)
    await counter.drain()
    await asyncio.gather(*taken)
    assert sizes(store)[IDLE_COMMITS:] == [VISITORS // 2] * 2
    with pytest.raises(Draining):
        await counter.count(View(SITE, "/"))
    assert (await count_of(store, "/")).total == VISITORS * (IDLE_COMMITS + 1)
