"""Whether an instance says that it can acknowledge views: by the store, by the spool, or not at all, and how soon it says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from footfall.errors import StoreUnavailable, StoreUnusable
from footfall.model import Batch, SiteBatch
from footfall.stores.memory import MemoryStore
from footfall.web.health import CHECK_SECONDS, Readiness
from tests.contract.conftest import SITE, Clock
from tests.unit.counting.spooling import Bench


class Store(MemoryStore):
    """Counts how often it was asked; may be away or silent."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.asked = 0
        self.is_away = False
        self.rehearsed: list[Batch] = []
        self.fault: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def ping(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.is_away:
            raise StoreUnavailable("it is away")

    async def rehearse(self, batch: Batch) -> None:
        self.rehearsed.append(batch)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "spool")
    yield bench
    await bench.close()


async def test_the_store_is_asked_once_a_second_however_many_ask(store: Store) -> None:
    """Those who ask meanwhile get the same answer; a second later it is asked again."""
    monotonic = Clock(7.0)
    readiness = Readiness(store, monotonic=monotonic)
    assert await asyncio.gather(*(readiness.means() for _ in range(20))) == [("store", "")] * 20
    store.is_away = True
    monotonic.advance(CHECK_SECONDS * 0.9)
    assert await readiness.means() == ("store", "")
    assert store.asked == 1
    monotonic.advance(CHECK_SECONDS * 0.2)
    assert await readiness.means() == (None, "it is away")
    assert store.asked == 2


async def test_with_a_spool_that_has_room_it_is_ready_by_the_spool(store: Store, bench: Bench) -> None:
    """Until the spool is full; and by the store again when that is back."""
    monotonic = Clock(7.0)
    spool = bench.spool(max_bytes=65536)
    readiness = Readiness(store, spool, monotonic)
    assert await readiness.means() == ("store", "")
    store.is_away = bench.store.is_away = True
    monotonic.advance(CHECK_SECONDS)
    assert await readiness.means() == ("spool", "it is away")
    await bench.fill(spool, 1)
    assert await readiness.means() == ("spool", "the store is away")
    assert store.asked == 2
    with pytest.raises(StoreUnavailable):
        await bench.fill(spool, 100, "another")
    assert await readiness.means() == (None, "it is away")
    store.is_away = bench.store.is_away = False
    monotonic.advance(CHECK_SECONDS)
    await bench.replayed()
    assert await readiness.means() == ("store", "")


async def test_a_silent_store_does_not_hold_up_the_answer_of_a_spool(store: Store, bench: Bench) -> None:
    """A balancer's health check would give up meanwhile, and take an instance out that acknowledges views."""
    readiness = Readiness(store, bench.spool())
    store.answers.clear()
    for _ in range(2):
        started = time.monotonic()
        assert await readiness.means() == ("spool", "the store has not answered yet")
        assert time.monotonic() - started < 1
    assert store.asked == 1
    store.answers.set()
    assert await readiness.means() == ("store", "")


async def test_a_draining_instance_is_not_ready_whatever_the_store_says(store: Store) -> None:
    """So that balancers turn away before it stops."""
    readiness = Readiness(store)
    readiness.draining = True
    assert await readiness.means() == (None, "draining")
    assert store.asked == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(StoreUnusable("a page is damaged"), "a page is damaged"), (ValueError("x"), "commits fail for a reason that the log has")],
)
async def test_while_commits_fail_the_last_of_them_is_tried_again(store: Store, fault: Exception, reason: str) -> None:
    """A store that takes a ping is not ready as long as it would not take that batch; one that would is."""
    failing: list[Batch] = []
    monotonic = Clock(7.0)
    readiness = Readiness(store, monotonic=monotonic, failing=lambda: failing[-1] if failing else None)
    store.fault = fault
    assert await readiness.means() == ("store", "")
    assert not store.rehearsed
    batch = Batch("w", 1, {SITE: SiteBatch({"/": 1})})
    failing.append(batch)
    for _ in range(2):
        monotonic.advance(CHECK_SECONDS)
        assert await readiness.means() == (None, reason)
    assert store.rehearsed == [batch, batch]
    store.fault = None
    monotonic.advance(CHECK_SECONDS)
    assert await readiness.means() == ("store", "")


async def test_a_spool_acknowledges_what_the_store_does_not_take(store: Store, bench: Bench) -> None:
    """Commits that fail are no reason to turn visitors away then."""
    store.fault = StoreUnusable("a page is damaged")
    batch = Batch("w", 1, {SITE: SiteBatch({"/": 1})})
    readiness = Readiness(store, bench.spool(), failing=lambda: batch)
    assert await readiness.means() == ("spool", "a page is damaged")
