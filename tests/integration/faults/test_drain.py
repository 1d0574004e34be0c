"""A server that is asked to stop under load: it says so, finishes what is under way, commits it, and ends with 0."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from footfall.model import DEFAULT_RETENTION, WHOLE_SITE
from footfall.stores import open_store
from tests.integration.conftest import Start
from tests.integration.faults.faults import locked
from tests.integration.http.asking import SITE, ask, ledger, total, view
from tests.support.servers import FootfallServer, Report, send_views, wait_until

ENDLESS = 10**9
CONNECTIONS = 32
PAGES = [f"/page/{n}" for n in range(20)]

#: Long enough for many commits before the server is asked to stop.
SOME_VIEWS = 300


async def load_until_stopped(server: FootfallServer, number: signal.Signals) -> Report:
    """Send views on busy connections, signal the server amid them, and return once it has ended with 0."""
    stop = asyncio.Event()
    views = asyncio.create_task(
        send_views(server.port, views=ENDLESS, site=SITE, pages=PAGES, connections=CONNECTIONS, stop=stop)
    )
    try:
        await asyncio.to_thread(wait_until, lambda: total(server) >= SOME_VIEWS, "views are counted")
        os.kill(server.pid, number)
        await asyncio.to_thread(wait_ended, server)
    finally:
        stop.set()
    return await views


def wait_ended(server: FootfallServer) -> None:
    """Return once the server has ended; it has to have done so with 0."""
    wait_until(lambda: not server.is_running, "it ends", seconds=server.stop_seconds, shown=server.program.last_words)
    server.stop()  # only looks at how it ended


async def stored(database: Path) -> int:
    """All views of the site in the file of a server that has ended."""
    store = open_store(f"sqlite:///{database}", time.time, DEFAULT_RETENTION, 600)
    try:
        return (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total
    finally:
        await store.close()


def is_listening(server: FootfallServer) -> bool:
    """Whether connections are taken."""
    try:
        ask(server, "/livez")
    except ConnectionRefusedError:
        return False
    except (OSError, http.client.HTTPException):  # cut while it closed the listener
        return True
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_loses_no_reply_and_no_view(start: Start, number: signal.Signals) -> None:
    """Each request that was sent is answered, each answer is stored, and the next server sees the same total."""
    server = await asyncio.to_thread(start)
    report = await load_until_stopped(server, number)
    assert report.acknowledged == report.sent, report
    second = await asyncio.to_thread(start)
    assert await asyncio.to_thread(total, second) == report.acknowledged


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_for_unready_seconds_it_turns_balancers_away_and_goes_on_counting(
    start: Start, database: Path, workers: str
) -> None:
    """/readyz is 503 ("draining") while /count still answers; only then do the listeners close, and no reply is lost."""
    server = await asyncio.to_thread(start, UNREADY_SECONDS="2", WORKERS=workers)
    stop = asyncio.Event()
    views = asyncio.create_task(  # as fast as in the test above they would keep two cores busy for all those seconds
        send_views(server.port, views=ENDLESS, site=SITE, pages=PAGES, connections=CONNECTIONS, per_second=1000, stop=stop)
    )

    def drain() -> float:
        wait_until(lambda: total(server) >= SOME_VIEWS, "views are counted")
        asked = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        while (readiness := ask(server, "/readyz")).status == 200:
            assert time.monotonic() - asked < 5
        unready = time.monotonic()
        assert readiness.status == 503
        assert readiness.headers["Content-Type"] == "application/problem+json"
        assert readiness.json["detail"] == "draining"
        assert view(server, "/while-draining").status == 204
        wait_ended(server)
        return time.monotonic() - unready

    try:
        lasted = await asyncio.to_thread(drain)
    finally:
        stop.set()
    report = await views
    assert report.acknowledged == report.sent, report
    assert lasted > 1.5, "it went on serving for UNREADY_SECONDS, less what it took us to see it"
    assert await stored(database) == report.acknowledged + 1


async def test_the_last_batch_is_committed_before_the_end(start: Start, database: Path) -> None:
    """Views that wait for a busy store when the server is told to stop are answered "counted", and are."""
    server = await asyncio.to_thread(start)
    waiting = 20
    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=waiting, site=SITE, connections=waiting))
        await asyncio.to_thread(wait_until, lambda: ledger(server)["pending"] == waiting, "the views wait")
        os.kill(server.pid, signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: not is_listening(server), "the listener is closed")
        assert not views.done()
    report = await views
    await asyncio.to_thread(wait_ended, server)
    assert report.acknowledged == waiting, report
    assert await stored(database) == waiting


async def test_a_store_that_is_away_for_good_does_not_hold_up_the_end(start: Start, database: Path) -> None:
    """The views that wait are refused with 503 when their time is over; the server ends with 0 all the same."""
    server = await asyncio.to_thread(start, COMMIT_TIMEOUT="1")
    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=20, site=SITE, connections=20))
        await asyncio.to_thread(wait_until, lambda: ledger(server)["pending"] == 20, "the views wait")
        os.kill(server.pid, signal.SIGTERM)
        report = await views
        await asyncio.to_thread(wait_ended, server)
    assert report.failures == {"answered with 503": 20}, report
    assert await stored(database) == 0


async def test_drain_seconds_bound_the_end(start: Start, database: Path) -> None:
    """With DRAIN_SECONDS shorter than COMMIT_TIMEOUT the views that wait are still refused with 503, not cut off."""
    server = await asyncio.to_thread(start, COMMIT_TIMEOUT="60", DRAIN_SECONDS="1")
    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=20, site=SITE, connections=20))
        await asyncio.to_thread(wait_until, lambda: ledger(server)["pending"] == 20, "the views wait")
        started = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        report = await views
        await asyncio.to_thread(wait_ended, server)
        assert time.monotonic() - started < 6
    assert report.failures == {"answered with 503": 20}, report
