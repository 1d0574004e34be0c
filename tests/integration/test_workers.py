"""Several worker processes on one file: one number, whoever is asked, and whatever becomes of one of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.asking import SITE, ask, counted, ledger, total, view
from tests.integration.conftest import Start
from tests.integration.faults import locked
from tests.servers import FootfallServer, send_views, wait_until

PAGES = [f"/page/{n}" for n in range(20)]


def instances(server: FootfallServer) -> set[str]:
    """The names of the workers that answer, out of as many questions as it takes to meet two."""
    met: set[str] = set()

    def has_met_both() -> bool:
        met.add(view_free_name(server))
        return len(met) == 2

    wait_until(has_met_both, "both workers answer", seconds=20, shown=server.program.last_words)
    return met


def view_free_name(server: FootfallServer) -> str:
    """The name of whichever worker answers, without counting anything."""
    name: str = ask(server, "/readyz").json["instance"]
    return name


def asked_of_each(server: FootfallServer, names: set[str]) -> Mapping[str, int]:
    """The total that each worker says."""
    totals: dict[str, int] = {}

    def has_asked_all() -> bool:
        reply = ask(server, f"/api/v1/sites/{SITE}/count").json
        totals[reply["instance"]] = reply["total"]
        return set(totals) >= names

    wait_until(has_asked_all, "each worker says its total", seconds=20)
    return totals


def test_two_workers_show_one_number_and_one_ledger(start: Start) -> None:
    """Both count, both say the same exact total, and /metrics of either holds the views of both."""
    server = start(WORKERS="2")
    names = instances(server)
    assert all(name.startswith(f"{server.instance}-") for name in names)
    seen: set[str] = set()
    sent = 0
    while not seen >= names:  # which worker takes a connection is up to the system
        report = asyncio.run(send_views(server.port, views=1000, site=SITE, pages=PAGES, connections=16))
        assert report.acknowledged == report.sent == 1000, report
        sent += report.sent
        seen |= set(report.instances)
        assert sent < 20_000, f"only {seen} counted"
    assert asked_of_each(server, names) == dict.fromkeys(names, sent)
    assert sorted(counted(server)) == sorted(PAGES)
    for _ in range(8):
        rows = ledger(server)
        assert rows["received"] == rows["counted"] == sent, rows
        assert rows["pending"] == 0


def test_the_next_read_holds_what_any_worker_has_acknowledged(start: Start) -> None:
    """A view that one worker has acknowledged is in the very next number that the other shows."""
    server = start(WORKERS="2")
    instances(server)
    pairs: set[tuple[str | None, str]] = set()
    number = 0

    def has_crossed() -> bool:
        nonlocal number
        counting = view(server).headers["X-Footfall-Instance"]
        number += 1
        reply = ask(server, f"/api/v1/sites/{SITE}/count").json
        assert reply["total"] == number
        pairs.add((counting, reply["instance"]))
        return len(pairs) == 4

    wait_until(has_crossed, "each worker reads what each has counted", seconds=30, shown=lambda: str(pairs))


async def test_the_views_that_wait_in_all_workers_are_shown_by_each(start: Start, database: Path) -> None:
    """While the store is locked, /metrics of either worker comes to the number that wait in both, and later to none."""
    server = await asyncio.to_thread(start, WORKERS="2")
    await asyncio.to_thread(instances, server)
    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=40, site=SITE, pages=PAGES, connections=40))
        await asyncio.to_thread(wait_until, lambda: all(ledger(server)["pending"] == 40 for _ in range(8)), "all are shown")
    report = await views
    assert report.acknowledged == 40
    await asyncio.to_thread(wait_until, lambda: all(ledger(server)["pending"] == 0 for _ in range(8)), "none is left")


async def test_a_worker_that_is_killed_is_replaced_and_loses_nothing_acknowledged(start: Start) -> None:
    """SIGKILL amid the load: acknowledged <= counted <= sent, exactly once with event ids, and two workers again."""
    server = await asyncio.to_thread(start, WORKERS="2")
    names = await asyncio.to_thread(instances, server)
    victim = names.pop()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        plain_views = group.create_task(
            send_views(server.port, views=10**9, site=SITE, pages=["/plain"], connections=16, stop=stop)
        )
        id_views = group.create_task(
            send_views(
                server.port,
                views=10**9,
                site=SITE,
                pages=["/with-id"],
                connections=16,
                event_ids=True,
                retry_seconds=60,
                stop=stop,
            )
        )
        await asyncio.to_thread(wait_until, lambda: total(server) >= 300, "views are counted")
        os.kill(int(victim.rpartition("-")[2]), signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: "died" in server.log, "the loss is noticed", seconds=20)
        stop.set()
    plain, ids = plain_views.result(), id_views.result()
    names_now = await asyncio.to_thread(instances, server)
    assert victim not in names_now
    views = await asyncio.to_thread(counted, server)
    assert plain.acknowledged <= views["/plain"] <= plain.sent, plain
    assert views["/with-id"] == ids.stored == ids.sent, ids
    await asyncio.to_thread(wait_until, lambda: ledger(server)["pending"] == 0, "what waited in the dead worker is forgotten")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_all_workers(start: Start, number: signal.Signals) -> None:
    """The parent ends with 0 and leaves no worker behind."""
    server = start(WORKERS="2")
    pids = [int(name.rpartition("-")[2]) for name in instances(server)]
    os.kill(server.pid, number)
    wait_until(lambda: not server.is_running, "it ends", seconds=server.stop_seconds, shown=server.program.last_words)
    server.stop()  # only looks at how it ended
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
