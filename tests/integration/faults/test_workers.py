"""Several worker processes on one file: one number, whoever is asked, and whatever becomes of one of them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.integration.conftest import Start
from tests.integration.faults.faults import locked
from tests.integration.http.asking import SITE, ask, counted, ledger, total, view
from tests.support.servers import FootfallServer, send_views, wait_until

PAGES = [f"/page/{n}" for n in range(20)]


def instances(server: FootfallServer) -> set[str]:
    """The names of the workers that answer, out of as many questions as it takes to meet two."""
    met: set[str] = set()

    def has_met_both() -> bool:
        met.add(ask(server, "/readyz").json["instance"])
        return len(met) == 2

    wait_until(has_met_both, "both workers answer", seconds=20, shown=server.program.last_words)
    return met


def worker_pid(name: str) -> int:
    """The process id of the worker of that name, which ends with it."""
    return int(name.rpartition("-")[2])


def test_two_workers_show_one_number_and_one_ledger(start: Start) -> None:
    """Both count. Each one's next number holds what either has acknowledged, and the metrics of each the views of both."""
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
    pairs: set[tuple[str | None, str]] = set()

    def has_crossed() -> bool:
        nonlocal sent
        counting = view(server, PAGES[0]).headers["X-Footfall-Instance"]
        sent += 1
        reply = ask(server, f"/api/v1/sites/{SITE}/count").json
        assert reply["total"] == sent
        pairs.add((counting, reply["instance"]))
        return len(pairs) == len(names) ** 2

    wait_until(has_crossed, "each worker reads what each has counted", seconds=30, shown=lambda: str(pairs))
    assert sorted(counted(server)) == sorted(PAGES)
    for _ in range(8):
        rows = ledger(server)
        assert rows["received"] == rows["counted"] == sent, rows


async def test_the_views_that_wait_in_all_workers_are_shown_by_each(start: Start, database: Path) -> None:
    """While the store is locked, /metrics of either comes to the number that wait in both; a dead worker's are not among them."""
    server = await asyncio.to_thread(start, WORKERS="2", COMMIT_TIMEOUT="60")
    names = await asyncio.to_thread(instances, server)

    async def wait_shown(pending: int) -> None:
        def is_shown() -> bool:
            return all(ledger(server)["pending"] == pending for _ in range(8))

        await asyncio.to_thread(wait_until, is_shown, f"all show {pending}", seconds=20, shown=lambda: str(ledger(server)))

    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=40, site=SITE, pages=PAGES, connections=40))
        await wait_shown(40)
        os.kill(worker_pid(names.pop()), signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: "died" in server.log, "the loss is noticed", seconds=20)
    report = await views
    assert report.acknowledged + report.failed == 40, report
    assert report.acknowledged == await asyncio.to_thread(total, server)
    await wait_shown(0)


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
        os.kill(worker_pid(victim), signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: "died" in server.log, "the loss is noticed", seconds=20)
        stop.set()
    plain, ids = plain_views.result(), id_views.result()
    names_now = await asyncio.to_thread(instances, server)
    assert victim not in names_now
    views = await asyncio.to_thread(counted, server)
    assert plain.acknowledged <= views["/plain"] <= plain.sent, plain
    assert views["/with-id"] == ids.stored == ids.sent, ids


def test_ctrl_c_ends_all_workers(start: Start) -> None:
    """After SIGINT the parent ends with 0 and leaves no worker behind."""
    server = start(WORKERS="2")
    pids = [worker_pid(name) for name in instances(server)]
    os.kill(server.pid, signal.SIGINT)
    wait_until(lambda: not server.is_running, "it ends", seconds=server.stop_seconds, shown=server.program.last_words)
    server.stop()  # only looks at how it ended
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
