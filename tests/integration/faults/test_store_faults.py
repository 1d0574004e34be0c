"""The store in trouble, as HTTP shows it: locked by another program, its disk full, more views than may wait.

Whatever happens to the store, nothing acknowledged is lost, readers and browsers get a clear answer, and as soon as the trouble
is over everything works again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import LookAfter, Start
from tests.integration.faults.faults import damage, locked
from tests.integration.http.asking import HTML, SITE, Reply, ask, counted, is_ready, ledger, total, view
from tests.support.servers import FootfallServer, send_views, wait_until

PAGES = [f"/page/{n}" for n in range(20)]


def wait_counted(server: FootfallServer, views: int) -> None:
    """Return once so many views are counted."""
    wait_until(lambda: total(server) >= views, f"{views} views are counted", seconds=60)


def wait_failed(server: FootfallServer, views: int) -> None:
    """Return once so many views have been refused."""
    wait_until(lambda: ledger(server)["failed"] >= views, f"{views} views are refused", seconds=60)


def assert_try_again(reply: Reply) -> None:
    """Hold a reply to the form of a refusal that passes: 503, when to try again, and why."""
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["status"] == 503
    assert reply.json["detail"]


class TestLockedDatabase:
    async def test_for_longer_than_a_view_may_wait(self, start: Start, database: Path) -> None:
        """Views are refused, readiness goes, the home page says so, reads go on; afterwards all is well without a restart."""
        server = await asyncio.to_thread(start, COMMIT_TIMEOUT="1")

        def ask_while_locked() -> None:
            assert view(server, "/before").status == 204
            with locked(database):
                wait_until(lambda: not is_ready(server), "readiness goes", seconds=30)
                refusal = view(server, "/meanwhile")
                assert_try_again(refusal)
                assert 0.5 < refusal.seconds < 4, "a view waits for COMMIT_TIMEOUT, and not for longer"
                assert_try_again(ask(server, "/readyz"))
                assert_try_again(ask(server, "/"))
                page = ask(server, "/", accept=HTML)
                assert (page.status, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
                assert page.headers["Retry-After"]
                assert b"<h1>" in page.body
                assert b'rel="stylesheet"' in page.body
                assert server.instance.encode() in page.body
                assert total(server) == 1
                assert ask(server, "/livez").status == 200
            wait_until(lambda: is_ready(server), "readiness comes back", seconds=5)

        await asyncio.to_thread(ask_while_locked)
        assert (await asyncio.to_thread(view, server, "/after")).status == 204
        views = await asyncio.to_thread(counted, server)
        assert views["/before"] == views["/after"] == 1
        assert views["/meanwhile"] <= 1
        assert views["/"] <= 2
        rows = await asyncio.to_thread(ledger, server)
        assert (rows["received"], rows["counted"], rows["failed"]) == (5, 2, 3)

    async def test_under_load_only_what_was_refused_may_be_missing(self, start: Start, database: Path) -> None:
        """Locked for longer than a view may wait: acknowledged <= counted <= sent; with ids, sent again: all three equal."""
        server = await asyncio.to_thread(start, COMMIT_TIMEOUT="0.5")
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
                    pages=["/id"],
                    connections=16,
                    event_ids=True,
                    retry_seconds=60,
                    stop=stop,
                )
            )

            for more in (100, 200):
                await asyncio.to_thread(wait_counted, server, 2 * more)
                with locked(database):
                    await asyncio.to_thread(wait_failed, server, more)
            stop.set()
        plain, ids = plain_views.result(), id_views.result()
        assert set(plain.failures) == set(ids.failures) == {"answered with 503"}
        refusals = plain.failures.total() + ids.failures.total()
        assert 1 <= server.log.count('"level": "warning"') < refusals / 4, "it is logged by the batch, not by the view"
        views = await asyncio.to_thread(counted, server)
        assert plain.acknowledged <= views["/plain"] <= plain.sent, plain
        assert views["/id"] == ids.stored == ids.sent, ids

    async def test_for_a_short_time_views_just_wait(self, start: Start, database: Path) -> None:
        """A lock that passes within COMMIT_TIMEOUT costs no view, only time."""
        server = await asyncio.to_thread(start, COMMIT_TIMEOUT="20")
        with locked(database):
            views = asyncio.create_task(send_views(server.port, views=50, site=SITE, pages=PAGES, connections=50))
            await asyncio.to_thread(wait_until, lambda: ledger(server)["pending"] == 50, "the views wait")
            await asyncio.to_thread(wait_until, lambda: not is_ready(server), "an attempt to write has failed", seconds=10)
            assert not views.done()
        report = await views
        assert report.acknowledged == 50, report
        assert await asyncio.to_thread(total, server) == 50


async def test_more_views_than_may_wait_are_refused_at_once(start: Start, database: Path) -> None:
    """Beyond MAX_PENDING_VIEWS: 503 with Retry-After without a wait, while those before are answered when the store is back."""
    server = await asyncio.to_thread(start, MAX_PENDING_VIEWS="10", COMMIT_TIMEOUT="30")

    def ask_one_more() -> None:
        wait_until(lambda: ledger(server)["pending"] == 10, "as many views wait as may")
        refusal = view(server, "/one-too-many")
        assert_try_again(refusal)
        assert "FOOTFALL_MAX_PENDING_VIEWS" in refusal.json["detail"]
        page = ask(server, "/", accept=HTML)
        assert (page.status, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
        assert ask(server, "/count.gif?s=localhost&p=/").status == 503
        assert refusal.seconds + page.seconds < 3

    with locked(database):
        views = asyncio.create_task(send_views(server.port, views=10, site=SITE, pages=PAGES, connections=10))
        await asyncio.to_thread(ask_one_more)
        assert not views.done()
    report = await views
    assert report.acknowledged == 10, report
    assert await asyncio.to_thread(total, server) == 10
    rows = await asyncio.to_thread(ledger, server)
    assert (rows["received"], rows["counted"], rows["failed"]) == (13, 10, 3)


class FileSizeLimit(FootfallServer):
    """A server whose files can be kept from growing (RLIMIT_FSIZE). That needs no rights; what goes beyond it fails (EFBIG)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder}/footfall.db", sites=[SITE], settings={"COMMIT_TIMEOUT": "0.5"})
        self._folder = folder

    def fill(self) -> None:
        """Leave room for a few commits."""
        largest = max(path.stat().st_size for path in self._folder.glob("footfall.db*"))
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (largest + LEFT_BYTES, resource.RLIM_INFINITY))

    def empty(self) -> None:
        """Make room again."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class SmallDisk(FootfallServer):
    """A server with a small disk of its own: a tmpfs in a mount namespace that ends with it. Full, it takes no more (ENOSPC)."""

    SCRIPT = 'mount -t tmpfs -o size=16m none "$0" && exec "$@"'

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder}/footfall.db", sites=[SITE], settings={"COMMIT_TIMEOUT": "0.5"})
        self._disk = folder

    @staticmethod
    def unshare() -> Sequence[str]:
        """The command behind which a program may mount what others don't see."""
        return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]

    @classmethod
    def can_be_had(cls) -> bool:
        """Whether this machine lets us mount at all; containers often don't."""
        try:
            script = [*cls.unshare(), "/bin/sh", "-c", cls.SCRIPT, "/mnt", "true"]
            return subprocess.run(script, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    def command(self) -> Sequence[str | Path]:
        return [*self.unshare(), "/bin/sh", "-c", self.SCRIPT, self._disk, *super().command()]

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self._disk}/filler")  # as the process itself sees it

    def fill(self) -> None:
        """Leave room for a few commits."""
        with self._filler.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(LEFT_BYTES)):
                    pass
            file.truncate(file.tell() - LEFT_BYTES)

    def empty(self) -> None:
        """Make room again."""
        self._filler.unlink()


#: What is left on a disk that is called full: a few commits' worth.
LEFT_BYTES = 64 * 1024

#: Both ways to run out of room where both can be had; the one that can be had everywhere, else.
FULL_DISKS = [FileSizeLimit, *([SmallDisk] if SmallDisk.can_be_had() else [])]


@pytest.mark.parametrize("kind", FULL_DISKS)
async def test_a_full_disk_costs_no_acknowledged_view(
    look_after: LookAfter, tmp_path: Path, kind: type[FileSizeLimit | SmallDisk]
) -> None:
    """Full: 503, unready, reads go on. Room again: all is well by itself. The counts keep to the rule, exactly so with ids."""
    server = kind(tmp_path)
    await asyncio.to_thread(look_after, server)
    stop = asyncio.Event()

    def run_out_of_room() -> None:
        wait_counted(server, 200)
        server.fill()
        wait_failed(server, 100)
        wait_until(lambda: not is_ready(server), "readiness goes", seconds=60)  # the last pages are left to small writes
        assert_try_again(ask(server, "/readyz"))
        assert_try_again(view(server, "/plain"))
        assert ask(server, "/", accept=HTML).status == 503
        assert total(server) >= 200
        server.empty()
        wait_until(lambda: is_ready(server), "readiness comes back", seconds=5)
        wait_counted(server, total(server) + 200)

    async with asyncio.TaskGroup() as group:
        plain_views = group.create_task(
            send_views(server.port, views=10**9, site=SITE, pages=["/plain"], connections=16, stop=stop)
        )
        id_views = group.create_task(
            send_views(
                server.port, views=10**9, site=SITE, pages=["/id"], connections=16, event_ids=True, retry_seconds=60, stop=stop
            )
        )
        await asyncio.to_thread(run_out_of_room)
        stop.set()
    plain, ids = plain_views.result(), id_views.result()
    assert set(plain.failures) == {"answered with 503"}, plain
    views = await asyncio.to_thread(counted, server)
    assert plain.acknowledged <= views["/plain"] <= plain.sent + 1, plain
    assert views["/id"] == ids.stored == ids.sent, ids


async def test_a_file_that_was_removed_is_not_acknowledged_to(start: Start, database: Path) -> None:
    """Views are refused with what to do, and readiness goes; put back, the file is used again without a restart."""
    server = await asyncio.to_thread(start, COMMIT_TIMEOUT="0.2")

    def lose_and_find() -> None:
        assert view(server, "/before").status == 204
        kept = database.with_name("kept")
        for part in ("", "-wal", "-shm"):
            database.with_name(database.name + part).rename(kept.with_name(kept.name + part))
        refusal = view(server, "/lost")
        assert_try_again(refusal)
        wait_until(lambda: not is_ready(server), "readiness goes", seconds=5)
        unready = ask(server, "/readyz")
        assert_try_again(unready)
        assert f"{database} was removed or replaced while it was open" in unready.json["detail"]
        for part in ("", "-wal", "-shm"):
            kept.with_name(kept.name + part).rename(database.with_name(database.name + part))
        wait_until(lambda: is_ready(server), "readiness comes back", seconds=5)
        assert view(server, "/after").status == 204

    await asyncio.to_thread(lose_and_find)
    views = await asyncio.to_thread(counted, server)
    assert views["/before"] == views["/after"] == 1
    assert views["/lost"] <= 1


async def test_views_of_a_replaced_file_wait_in_the_spool(start: Start, database: Path, tmp_path: Path) -> None:
    """They are in the file that took its place as soon as the server is started on it."""
    settings = {"COMMIT_TIMEOUT": "0.2", "SPOOL": str(tmp_path / "spool")}
    server = await asyncio.to_thread(start, **settings)

    def replace() -> None:
        assert view(server, "/before").status == 204
        for part in ("", "-wal", "-shm"):
            database.with_name(database.name + part).unlink()
        database.touch()
        for _ in range(3):
            assert view(server, "/spooled").headers["X-Footfall"] == "spooled"
        assert ask(server, "/readyz").json["by"] == "spool"
        server.stop()

    await asyncio.to_thread(replace)
    server = await asyncio.to_thread(start, **settings)
    await asyncio.to_thread(wait_counted, server, 3)
    assert await asyncio.to_thread(counted, server) == {"/spooled": 3}


async def test_a_file_that_takes_no_view_is_not_ready(start: Start, database: Path) -> None:
    """One with a damaged page takes a ping. Once commits have failed one after another, readiness goes, and says why."""
    server = await asyncio.to_thread(start)

    def break_and_try() -> None:
        assert view(server).status == 204
        server.stop()
        damage(database, "second")
        server.start()
        assert is_ready(server)
        for _ in range(3):
            assert_try_again(view(server))
        wait_until(lambda: not is_ready(server), "readiness goes", seconds=5)
        unready = ask(server, "/readyz")
        assert_try_again(unready)
        assert "is not a sound SQLite file" in unready.json["detail"]

    await asyncio.to_thread(break_and_try)
