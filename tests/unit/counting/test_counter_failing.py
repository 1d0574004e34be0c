"""When a counter says that its commits fail: after several in a row, of views, and until one succeeds."""

from __future__ import annotations

import pytest

from footfall.counting.counter import FAILURES, Counter
from footfall.errors import NotAcknowledged, StoreUnusable
from footfall.model import Drop, DropReason, View
from tests.contract.conftest import SITE
from tests.unit.counting.counting import Books, FailingStore

DAMAGED = StoreUnusable("a page is damaged")


async def test_commits_fail_once_several_have_and_none_has_succeeded() -> None:
    """The last of them is told, so that it can be tried again; one that succeeds ends it."""
    store = FailingStore([DAMAGED] * (FAILURES + 1), applies=False)
    counter = Counter(store, Books())
    for number in range(1, FAILURES + 2):
        with pytest.raises(NotAcknowledged):
            await counter.count(View(SITE, f"/{number}"))
        assert (counter.failing is not None) is (number >= FAILURES)
    failing = counter.failing
    assert failing is not None
    assert dict(failing.sites[SITE].pages) == {f"/{FAILURES + 1}": 1}
    await counter.count(View(SITE, "/"))
    assert counter.failing is None


async def test_a_fault_of_our_own_counts_too() -> None:
    """Whatever the reason, no view is acknowledged."""
    counter = Counter(FailingStore([ValueError()] * FAILURES, applies=False), Books())
    for _ in range(FAILURES):
        with pytest.raises(NotAcknowledged):
            await counter.count(View(SITE, "/"))
    assert counter.failing is not None


async def test_drops_that_are_written_prove_nothing() -> None:
    """A batch of drops alone may be taken where no view is."""
    store = FailingStore([DAMAGED] * FAILURES, applies=False)
    counter = Counter(store, Books())
    for _ in range(FAILURES):
        with pytest.raises(NotAcknowledged):
            await counter.count(View(SITE, "/"))
    counter.dropped(Drop(DropReason.BOT, SITE))
    await counter.drain()
    assert len(store.batches) == FAILURES + 1
    assert counter.failing is not None
