"""Whether an instance says that it can acknowledge views: by the store, by the spool, or not at all, and how soon it says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from footfall.errors import StoreUnavailable
from footfall.stores.memory import MemoryStore
from footfall.web.health import CHECK_SECONDS, Readiness
from tests.contract.conftest import Clock
from tests.unit.counting.spooling import Bench


class Store(MemoryStore):
    """Counts how often it was asked; may be away or silent."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.asked = 0
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def ping(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.is_away:
            raise StoreUnavailable("it is away")


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
