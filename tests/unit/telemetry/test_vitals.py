"""What no request tells is looked at: how late the event loop is, and what the store warns of."""

from __future__ import annotations

import asyncio
import logging

import pytest

from footfall.errors import StoreUnavailable
from footfall.stores.memory import MemoryStore
from footfall.telemetry.ledger import Ledger
from footfall.telemetry.vitals import NOTE_SECONDS, WARNINGS_SECONDS, Vitals
from tests.contract.conftest import Clock
from tests.unit.counting.spooling import until


class Store(MemoryStore):
    """Has whatever warnings it is given; may be away."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.lines: list[str] = []
        self.is_away = False

    async def warnings(self) -> list[str]:
        if self.is_away:
            raise StoreUnavailable("it is away")
        return list(self.lines)


class Bench:
    """Vitals over a clock that is moved: each sleep is over when the test says so, `late` seconds after it was due."""

    def __init__(self) -> None:
        self.store = Store()
        self.ledger = Ledger()
        self.monotonic = Clock(100.0)
        self.sleeps: dict[float, asyncio.Future[None]] = {}
        self.vitals = Vitals(self.store, self.ledger, self.monotonic, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.sleeps[seconds] = asyncio.get_running_loop().create_future()
        await self.sleeps[seconds]

    async def pass_by(self, seconds: float, late: float = 0.0) -> None:
        """End the sleep of `seconds`, and let what follows it run up to the next."""
        await until(lambda: seconds in self.sleeps, "it sleeps")
        self.monotonic.advance(seconds + late)
        self.sleeps.pop(seconds).set_result(None)
        await until(lambda: seconds in self.sleeps, "it sleeps again")

    def value(self, name: str, **labels: str) -> float | None:
        return self.ledger.registry.get_sample_value(f"footfall_{name}", labels)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_lateness_is_measured(bench: Bench) -> None:
    """How much later than due each second began, and never less than nothing."""
    async with bench.vitals.watched():
        await bench.pass_by(NOTE_SECONDS)
        await bench.pass_by(NOTE_SECONDS, late=0.3)
        await bench.pass_by(NOTE_SECONDS, late=-0.001)
    assert bench.value("event_loop_lag_seconds_count") == 3
    assert bench.value("event_loop_lag_seconds_sum") == pytest.approx(0.3)
    assert bench.value("event_loop_lag_seconds_bucket", le="0.25") == 2
    assert bench.value("event_loop_lag_seconds_bucket", le="0.5") == 3


async def test_what_waits_is_noted_each_second_and_at_the_end(bench: Bench) -> None:
    """Other processes read it from there."""
    waiting = 5
    bench.ledger.watch_pending(lambda: waiting, 10)
    async with bench.vitals.watched():
        await bench.pass_by(NOTE_SECONDS)
        assert bench.value("views_pending") == 5
        waiting = 0
    assert bench.value("views_pending") == 0
    assert bench.value("views_pending_limit") == 10


async def test_a_warning_is_logged_once_and_counted_as_long_as_it_holds(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """It is known when serving begins; one that comes later is seen, and one that goes is gone."""
    caplog.set_level(logging.WARNING)
    bench.store.lines = ["it has no replica"]
    async with bench.vitals.watched():
        assert bench.value("store_warnings") == 1
        bench.store.lines.append("it keeps no append-only file")
        await bench.pass_by(WARNINGS_SECONDS)
        assert bench.value("store_warnings") == 2
        bench.store.is_away = True
        await bench.pass_by(WARNINGS_SECONDS)
        assert bench.value("store_warnings") == 2
        bench.store.is_away = False
        bench.store.lines.clear()
        await bench.pass_by(WARNINGS_SECONDS)
        assert bench.value("store_warnings") == 0
    assert caplog.messages == ["store: it has no replica", "store: it keeps no append-only file"]


async def test_nothing_is_left_running(bench: Bench) -> None:
    """When serving ends, so does the watching."""
    before = asyncio.all_tasks()
    async with bench.vitals.watched():
        assert len(asyncio.all_tasks()) == len(before) + 2
    assert asyncio.all_tasks() == before
