"""What group commit promises to who waits without a task of its own."""

from __future__ import annotations

import asyncio

from footfall.counting.counter import Counter
from footfall.errors import NotAcknowledged, StoreUnusable
from footfall.model import Outcome, Settled, View
from tests.contract.conftest import SITE, count_of
from tests.unit.counting.counting import Books, FailingStore, WatchedStore

A = View(SITE, "/a")


async def turns(n: int = 5) -> None:
    """Let whatever can run, run."""
    for _ in range(n):
        await asyncio.sleep(0)


async def test_who_has_no_task_is_called_with_the_same_outcome() -> None:
    """Once each; and whoever can't be told keeps it from nobody else."""
    store = WatchedStore()
    counter = Counter(store, Books())
    store.hold()
    told: list[Settled | NotAcknowledged] = []

    def fail(_: Settled | NotAcknowledged) -> None:
        raise RuntimeError("gone")

    task = asyncio.create_task(counter.count(View(SITE, "/a", event_id="0123456789abcdef")))
    await turns()
    counter.submit(A, fail)
    counter.submit(A, told.append)
    counter.submit(View(SITE, "/a", event_id="0123456789abcdef"), told.append)
    await turns()
    assert not told
    store.let_go()
    await task
    await turns()
    assert [one.outcome for one in told if isinstance(one, Settled)] == [Outcome.COUNTED, Outcome.DUPLICATE]
    assert (await count_of(store, "/a")).total == 3


async def test_who_has_no_task_hears_of_a_failure_too() -> None:
    counter = Counter(FailingStore([StoreUnusable("broken")], applies=False), Books())
    told: list[Settled | NotAcknowledged] = []
    counter.submit(A, told.append)
    await turns(20)
    (error,) = told
    assert isinstance(error, NotAcknowledged)
    assert "broken" in str(error)


async def test_views_are_taken_up_to_the_limit_and_until_the_end() -> None:
    store = WatchedStore()
    counter = Counter(store, Books(), max_pending_views=2)
    store.hold()
    counter.submit(A, lambda _: None)
    assert counter.takes_views
    counter.submit(A, lambda _: None)
    assert not counter.takes_views
    store.let_go()
    await counter.drain()
    assert not counter.takes_views
