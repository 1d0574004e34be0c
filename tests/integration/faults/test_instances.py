"""Three instances behind nginx on one Redis: one number, whichever is asked, and no request lost when all are restarted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import LookAfter
from tests.integration.faults.clocks import ShiftedServer
from tests.integration.http.asking import SITE, ask, is_ready, ledger, total, view
from tests.support.servers import FootfallServer, Nginx, RedisServer, Report, send_views, wait_until

_log = logging.getLogger(__name__)

NAMES = ("one", "two", "three")
CONNECTIONS = 64
PAGES = [f"/page/{n}" for n in range(100)]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


def instances(redis: RedisServer, look_after: LookAfter, **settings: str) -> list[FootfallServer]:
    """Three started instances, each with a name of its own."""
    servers = [FootfallServer(redis.url, instance=name, sites=[SITE], settings=settings) for name in NAMES]
    for server in servers:
        look_after(server)
    return servers


def seconds_of(server: FootfallServer, start: int, end: int) -> Mapping[int, int]:
    """The site's views by second, from `start` to before `end`, as one instance reads them."""
    reply = ask(server, f"/api/v1/sites/{SITE}/series?tier=second&from={start}&to={end}")
    assert reply.status == 200, reply.body
    return dict(reply.json["points"])


def now_of(server: FootfallServer) -> int:
    """The store's second, as one instance reads it."""
    return int(ask(server, f"/api/v1/sites/{SITE}/count").json["at"])


async def compare_while(sending: asyncio.Task[Report], servers: Sequence[FootfallServer]) -> int:
    """Compare what all instances say of the newest closed seconds while views come in; how often it was done."""
    times = 0
    while not sending.done():
        now = await asyncio.to_thread(now_of, servers[times % len(servers)])
        readings = await asyncio.gather(*(asyncio.to_thread(seconds_of, server, now - 20, now) for server in servers))
        assert readings[0] == readings[1] == readings[2]
        times += 1
        await asyncio.sleep(0.2)  # reading is not what the load is about
    return times


def count_in_turn(servers: Sequence[FootfallServer], views: int) -> None:
    """Count at one, and find the view in the next reading of another."""
    for n in range(views):
        assert view(servers[n % 3]).status == 204
        assert total(servers[(n + 1) % 3]) == n + 1


async def count_behind_nginx(redis: RedisServer, look_after: LookAfter, views: int) -> None:
    servers = await asyncio.to_thread(instances, redis, look_after)
    before = 30
    await asyncio.to_thread(count_in_turn, servers, before)
    with Nginx([server.port for server in servers]) as nginx:
        start = await asyncio.to_thread(now_of, servers[0]) - 60
        sending = asyncio.create_task(send_views(nginx.port, views=views, site=SITE, pages=PAGES, connections=CONNECTIONS))
        compared = await compare_while(sending, servers)
        report = await sending
        _log.info("%s; compared %d times", report, compared)
        assert report.acknowledged == report.sent == views, report
        assert set(report.instances) == set(NAMES)
        assert min(report.instances.values()) > views / 6, "the load was dealt out"
        assert compared > 2
        for server in servers:
            assert total(server) == before + views
        end = now_of(servers[0]) + 1
        readings = [seconds_of(server, start, end) for server in servers]
        assert readings[0] == readings[1] == readings[2]
        assert sum(readings[0].values()) == before + views
        assert sum(ledger(server)["counted"] for server in servers) == before + views


async def test_every_instance_shows_all_that_any_has_acknowledged(redis: RedisServer, look_after: LookAfter) -> None:
    """64 connections, 10,000 views: every instance's count is that, and any two agree about every closed second, at any time."""
    await count_behind_nginx(redis, look_after, 10_000)


@pytest.mark.soak
async def test_two_hundred_thousand_views(redis: RedisServer, look_after: LookAfter) -> None:
    """The same with twenty times as many."""
    await count_behind_nginx(redis, look_after, 200_000)


class Balancer:
    """Takes instances out of nginx when they say that they are not ready, and in again when they are.

    As load balancers do by their health checks; nginx itself, without its paid modules, asks nobody.
    """

    def __init__(self, nginx: Nginx, servers: Sequence[FootfallServer]) -> None:
        self._nginx = nginx
        self._servers = servers

    def notice(self) -> None:
        """Ask all, and send requests to those that are ready alone from now on."""
        ready = []
        for server in self._servers:
            with contextlib.suppress(OSError):
                if is_ready(server):
                    ready.append(server.port)
        if ready != self._nginx.upstream_ports:
            self._nginx.reload(ready)


def restart(server: FootfallServer, balancer: Balancer) -> None:
    """Ask an instance to end, as a deployment does, and start it again."""
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: not is_ready(server), "it says that it is not ready")
    balancer.notice()
    wait_until(lambda: not server.is_running, "it ends", seconds=server.stop_seconds, shown=server.program.last_words)
    server.stop()  # only looks at how it ended
    server.start()
    balancer.notice()


async def restart_all(redis: RedisServer, look_after: LookAfter, rounds: int) -> None:
    servers = await asyncio.to_thread(instances, redis, look_after, UNREADY_SECONDS="1")
    with Nginx([server.port for server in servers]) as nginx:
        balancer = Balancer(nginx, servers)
        stop = asyncio.Event()
        sending = asyncio.create_task(
            send_views(nginx.port, views=10**9, site=SITE, pages=PAGES, connections=32, per_second=600, resend=True, stop=stop)
        )
        try:
            await asyncio.to_thread(wait_until, lambda: total(servers[0]) > 100, "views are counted")
            for _ in range(rounds):
                for server in servers:
                    await asyncio.to_thread(restart, server, balancer)
        finally:
            stop.set()
        report = await sending
        _log.info("%s", report)
        assert report.failures == Counter(), report
        assert report.acknowledged == report.sent, report
        for server in servers:
            assert total(server) == report.acknowledged


async def test_a_rolling_restart_loses_no_request(redis: RedisServer, look_after: LookAfter) -> None:
    """Each of the three is stopped and started under load: no request fails, and the total is exact."""
    await restart_all(redis, look_after, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_ten_rolling_restarts(redis: RedisServer, look_after: LookAfter) -> None:
    """The same again and again."""
    await restart_all(redis, look_after, 10)


async def test_an_instance_s_own_clock_has_no_effect(redis: RedisServer, look_after: LookAfter, tmp_path: Path) -> None:
    """An hour fast, an hour slow or right: all count in the store's seconds, and say so."""
    servers = [ShiftedServer(redis.url, seconds, tmp_path) for seconds in (-3600, 0, 3600)]
    for server in servers:
        await asyncio.to_thread(look_after, server)

    def count_in_turn() -> None:
        first = int(redis.ask("TIME")[0])
        for n in range(30):
            reply = ask(servers[n % 3], f"/count?s={SITE}&p=/", accept="application/json")
            last = int(redis.ask("TIME")[0])
            assert reply.json["views"] == n + 1
            assert first <= reply.json["at"] <= last
        for server in servers:
            assert sum(seconds_of(server, first, last + 1).values()) == 30
            assert first <= now_of(server) <= int(redis.ask("TIME")[0])

    await asyncio.to_thread(count_in_turn)
