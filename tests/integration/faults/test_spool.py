"""The spool on real servers and a real Redis: views are acknowledged while the store is away, and all are counted later."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.commands import failed, run_process
from tests.integration.conftest import LookAfter
from tests.integration.faults.clocks import ShiftedServer
from tests.integration.faults.loading import under_load, wait_counted_on
from tests.integration.http.asking import HTML, SITE, ask, counted, ledger, total, view
from tests.support.servers import HOST, FootfallServer, Nginx, RedisServer, TcpProxy, free_port, wait_until

_log = logging.getLogger(__name__)

#: A store that never answers is given up within this many seconds at the start.
GIVE_UP_SECONDS = 15.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(aof="always") as redis:
        yield redis


def spooling(url: str, folder: Path, look_after: LookAfter, **settings: str) -> FootfallServer:
    """A started instance with a spool."""
    server = FootfallServer(url, sites=[SITE], settings={"SPOOL": str(folder), "COMMIT_TIMEOUT": "0.5", **settings})
    look_after(server)
    return server


def means(server: FootfallServer) -> str:
    """By what the instance says that it acknowledges views."""
    return str(ask(server, "/readyz").json.get("by"))


def wait_replayed(server: FootfallServer) -> None:
    """Return once nothing waits in its spool; then its books have to add up."""
    wait_until(lambda: ledger(server)["spooled"] == 0, "the spool is replayed", seconds=60, shown=server.program.last_words)
    rows = ledger(server)
    assert rows["received"] == rows["counted"] + rows["duplicate"] + rows["dropped"] + rows["failed"], rows


# At the start


#: What stands in the store's place, and how it is named.
PLACES = {
    "nothing": "redis://{host}:{free}/0",
    "a silent host": "redis://{host}:{silent}/0",
    "an unknown host": "redis://no-such-host.invalid:6379/0",
    "a web server": "redis://{host}:{web}/0",
    "another password": "redis://:a-secret@{host}:{redis}/0",
    "no Sentinel": "redis+sentinel://:a-secret@{host}:{redis}/footfall",
    "no cluster": "redis+cluster://{host}:{redis}",
    "no TLS": "rediss://{host}:{redis}/0",
    "too few replicas": "redis://{host}:{redis}/0",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_store_that_can_t_be_used_ends_the_start_with_one_line(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    """It names the setting, holds no secret and no traceback; the status is 1."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FOOTFALL_")]:
        monkeypatch.delenv(name)
    with TcpProxy(redis.port) as silent, Nginx([free_port()]) as web:
        silent.hold()
        url = PLACES[place].format(host=HOST, free=free_port(), silent=silent.port, web=web.port, redis=redis.port)
        environ = {"FOOTFALL_STORE": url, "FOOTFALL_PORT": str(free_port())}
        if place == "too few replicas":
            environ["FOOTFALL_DURABILITY"] = "replicas:1"
        started = time.monotonic()
        ended = run_process("serve", environ=environ)
    assert ended.code == 1
    line = failed(ended)
    _log.info("%s: %s", place, line)
    assert line.startswith("footfall: FOOTFALL_STORE: ")
    assert "a-secret" not in line
    assert time.monotonic() - started < GIVE_UP_SECONDS


def test_with_a_spool_it_starts_without_its_store_and_counts(look_after: LookAfter, tmp_path: Path) -> None:
    """Ready by the spool, views acknowledged as spooled, readers told clearly; all of it is counted once the store appears."""
    redis = RedisServer()
    redis.port = free_port()
    try:
        server = spooling(redis.url, tmp_path / "spool", look_after)
        assert "FOOTFALL_STORE: " in server.log
        readiness = ask(server, "/readyz")
        assert (readiness.status, readiness.json["by"]) == (200, "spool")
        assert view(server).headers["X-Footfall"] == "spooled"
        asked = ask(server, f"/count?s={SITE}&p=/", accept="application/json")
        assert (asked.status, asked.headers["X-Footfall"]) == (202, "spooled")
        assert [asked.json[name] for name in ("views", "today", "total", "at")] == [None] * 4
        assert ask(server, f"/count.gif?s={SITE}&p=/").headers["X-Footfall"] == "spooled"
        text = ask(server, "/")
        assert (text.status, text.headers["X-Footfall"]) == (202, "spooled")
        assert b"will be counted" in text.body
        page = ask(server, "/", accept=HTML)
        assert (page.status, page.headers["X-Footfall"]) == (202, "spooled")
        assert b"<h1>" in page.body
        reading = ask(server, f"/api/v1/sites/{SITE}/count")
        assert (reading.status, reading.headers["Content-Type"]) == (503, "application/problem+json")
        assert ledger(server)["spooled"] == 5
        redis.start()
        wait_replayed(server)
        assert total(server) == 5
        wait_until(lambda: means(server) == "store", "it is ready by the store")
        assert view(server).headers["X-Footfall"] == "counted"
        assert total(server) == 6
    finally:
        redis.close()


def test_with_a_spool_it_starts_also_where_the_store_refuses_it(look_after: LookAfter, tmp_path: Path) -> None:
    """A wrong password is logged with the setting's name; views wait until it is right."""
    with RedisServer(password="the-right-one") as redis:
        server = spooling(f"redis://:a-secret@{HOST}:{redis.port}/0", tmp_path, look_after)
        assert "FOOTFALL_STORE: " in server.log
        assert "a-secret" not in server.log
        assert view(server).headers["X-Footfall"] == "spooled"
        redis.ask("CONFIG", "SET", "requirepass", "a-secret")
        wait_replayed(server)
        assert total(server) == 1
        redis.password = "a-secret"  # what the server is asked with at the end


# Under load


async def test_a_store_that_stands_still_fails_no_view(redis: RedisServer, look_after: LookAfter, tmp_path: Path) -> None:
    """All are acknowledged, the instance stays ready and answers health checks soon; in the end all are counted, once."""
    server = await asyncio.to_thread(spooling, redis.url, tmp_path, look_after)
    async with under_load(server) as load:
        redis.pause()
        await asyncio.to_thread(wait_until, lambda: ledger(server)["spooled"] > 300, "views are spooled")

        def check_health() -> None:
            for _ in range(8):
                readiness = ask(server, "/readyz")
                assert (readiness.status, readiness.json["by"]) == (200, "spool")
                assert readiness.seconds < 1.5
                time.sleep(0.1)  # as often as no balancer asks

        await asyncio.to_thread(check_health)
        redis.resume()
        started = time.monotonic()
        await asyncio.to_thread(wait_counted_on, server)
        _log.info("counted on %.2f s after the stop", time.monotonic() - started)
    await asyncio.to_thread(wait_replayed, server)
    assert load.plain.failed == load.ids.failed == 0, load
    assert load.plain.spooled > 0
    assert load.ids.requests == load.ids.sent, "no view had to be sent again"
    assert load.plain.stored == load.plain.sent, load
    await asyncio.to_thread(load.assert_counted_by, server)


async def test_an_instance_killed_while_it_spools_loses_nothing(
    redis: RedisServer, look_after: LookAfter, tmp_path: Path
) -> None:
    """Killed (SIGKILL) with the store away, and once more while it replays: the next process takes over what was spooled."""
    server = await asyncio.to_thread(spooling, redis.url, tmp_path, look_after)
    async with under_load(server) as load:
        for _ in range(2):
            redis.pause()
            await asyncio.to_thread(wait_until, lambda: ledger(server)["spooled"] > 300, "views are spooled")
            server.kill()
            redis.resume()
            await asyncio.to_thread(server.start)
            server.kill()
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(wait_counted_on, server)
    await asyncio.to_thread(wait_replayed, server)
    assert load.plain.spooled > 0
    await asyncio.to_thread(load.assert_counted_by, server)
    files = await asyncio.to_thread(lambda: list(tmp_path.glob("*.spool")))
    assert len(files) == 1, "the files of the dead are gone"


async def test_a_spooled_view_counts_in_the_second_it_came_in(redis: RedisServer, look_after: LookAfter, tmp_path: Path) -> None:
    """By the store's clock, also where the instance's own is an hour off, as its spool file shows that it is."""
    spool = tmp_path / "spool"
    server = ShiftedServer(redis.url, 3600, tmp_path, SPOOL=str(spool), COMMIT_TIMEOUT="0.2")
    await asyncio.to_thread(look_after, server)

    def spool_for_a_while() -> None:
        assert view(server).headers["X-Footfall"] == "counted"
        redis.pause()
        asked = []
        for _ in range(3):
            reply = ask(server, f"/count?s={SITE}&p=/", accept="application/json")
            assert reply.status == 202
            asked.append((time.time(), reply.json["at"]))
            time.sleep(0.7)  # into another second
        (file,) = spool.glob("*.spool")
        with sqlite3.connect(file) as reading:
            (wall,) = reading.execute("SELECT min(wall) FROM batch").fetchone()
        reading.close()
        assert wall > time.time() + 3500
        redis.resume()
        wait_replayed(server)
        first = int(asked[0][0]) - 10
        points = dict(ask(server, f"/api/v1/sites/{SITE}/series?tier=second&from={first}&to={first + 20}&page=/").json["points"])
        assert sum(points.values()) == 4
        for came, at in asked:
            assert came - 2 < at <= came  # the store's clock is this machine's; its fraction of a second is not known
            assert points[at] >= 1

    await asyncio.to_thread(spool_for_a_while)


async def test_views_that_wait_at_the_end_are_spooled_and_counted_by_the_next_process(
    redis: RedisServer, look_after: LookAfter, tmp_path: Path
) -> None:
    """Asked to stop (SIGTERM) while the store is away, the instance ends with 0 and keeps what it has acknowledged."""
    server = await asyncio.to_thread(spooling, redis.url, tmp_path, look_after)

    def stop_and_start() -> None:
        redis.pause()
        for _ in range(3):
            assert view(server, "/spooled").headers["X-Footfall"] == "spooled"
        server.stop()
        redis.resume()
        server.start()
        wait_replayed(server)
        assert counted(server) == {"/spooled": 3}

    await asyncio.to_thread(stop_and_start)
