"""Footfall as tests start it, the load that tests put on it, and the load balancer before it do what other tests rely on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.servers import FootfallServer, Nginx, ServerError, TcpProxy, send_views
from tests.support.servers.load import BROWSER


def total(server: FootfallServer, site: str = "example.com") -> int:
    """The views that an instance says the site has had."""
    return int(httpx.get(f"{server.url}/api/v1/sites/{site}/count").json()["total"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FootfallServer]:
    """One instance for all that does not end it."""
    with FootfallServer(f"sqlite:///{tmp_path_factory.mktemp('store')}/views.db") as server:
        yield server


class TestFootfall:
    def test_life(self, tmp_path: Path) -> None:
        """An instance serves, keeps all it acknowledged when it is killed, and ends with 0 when asked to."""
        with FootfallServer(f"sqlite:///{tmp_path}/views.db", instance="one", settings={"LOG_FORMAT": "json"}) as server:
            reply = httpx.get(f"{server.url}/count?s=example.com&p=/", headers={"User-Agent": BROWSER})
            assert (reply.headers["x-footfall"], reply.headers["x-footfall-instance"]) == ("counted", "one")
            server.kill()
            assert not server.is_running
            server.restart()
            assert total(server) == 1
            server.stop()
            assert "stopped" in server.program.written()
        assert not server.folder.exists()

    def test_failed_start(self) -> None:
        """An instance that can't start says so in its own words."""
        with pytest.raises(ServerError, match="FOOTFALL_STORE"), FootfallServer("nonsense://"):
            pass


class TestLoad:
    async def test_repeated(self, server: FootfallServer) -> None:
        """Views whose replies are lost are sent again under their ids, and each is counted once; the report says all of it."""
        before = total(server)
        with TcpProxy(server.port) as proxy:
            proxy.lose_replies(20, b"GET /count", every=2)
            report = await send_views(proxy.port, views=300, connections=8, event_ids=True, retry_seconds=5)
        assert (report.sent, report.requests, report.failed, proxy.cuts) == (300, 320, 0, 20), report
        assert report.stored == 300, report
        assert 0 < report.duplicate <= 20, report  # one view may lose several replies
        assert report.failures.total() == 20
        assert report.instances == {"footfall-1": 300}
        assert total(server) - before == 300

    async def test_not_repeated(self, server: FootfallServer) -> None:
        """Views without ids are sent once: one that lost its reply has failed, though it was counted."""
        before = total(server)
        with TcpProxy(server.port) as proxy:
            proxy.lose_replies(5, b"GET /count")
            report = await send_views(proxy.port, views=50, connections=4, pages=["/a", "/b"])
        assert (report.sent, report.requests, report.acknowledged, report.failed) == (50, 50, 45, 5), report
        assert total(server) - before == 50
        with pytest.raises(ValueError, match="event ids"):
            await send_views(server.port, views=1, retry_seconds=1)

    async def test_other_answers(self, server: FootfallServer) -> None:
        """Drops are told by their reasons, views for which there was no connection count as not sent."""
        report = await send_views(server.port, views=2, site="unknown.example")
        assert report.dropped == {"unknown-site": 2}
        with TcpProxy(server.port) as proxy:
            proxy.refuse()
            report = await send_views(proxy.port, views=3)
        assert (report.sent, report.failed) == (0, 3), report

    async def test_pace(self, server: FootfallServer) -> None:
        """No more views are begun in a second than asked for, and none after the end is called for."""
        report = await send_views(server.port, views=20, per_second=100)
        assert report.acknowledged == 20
        assert report.seconds >= 0.19
        report = await send_views(server.port, views=10_000, per_second=100, most_seconds=0.2)
        assert report.acknowledged == report.sent < 100


class TestNginx:
    async def test_views(self, server: FootfallServer) -> None:
        """All instances get views; one that is away is passed over, and a view whose reply is lost is not sent to another."""
        before = total(server)
        with TcpProxy(server.port) as one, TcpProxy(server.port) as two, Nginx([one.port, two.port]) as nginx:
            report = await send_views(nginx.port, views=200, connections=8)
            assert report.acknowledged == 200, report
            assert one.accepted > 0
            assert two.accepted > 0

            two.lose_replies(1, b"GET /count")
            report = await send_views(nginx.port, views=50, connections=2)
            assert (report.acknowledged, report.failures) == (49, {"answered with 502": 1}), report

            nginx.reload([two.port])
            accepted = one.accepted
            one.refuse()
            report = await send_views(nginx.port, views=50, connections=2)
            assert (report.acknowledged, one.accepted) == (50, accepted), report

            nginx.reload([one.port, two.port])
            report = await send_views(nginx.port, views=50, connections=2)
            assert (report.acknowledged, one.accepted) == (50, accepted), report
        assert total(server) - before == 350

    @pytest.mark.soak
    async def test_rolling_restart(self, tmp_path: Path) -> None:
        """Under load, instances are taken out, restarted and taken in again: no view fails, each is counted once."""
        servers = [FootfallServer(f"sqlite:///{tmp_path}/{name}.db", instance=name) for name in ("one", "two", "three")]
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
            nginx = stack.enter_context(Nginx([server.port for server in servers]))
            stop = asyncio.Event()
            load = asyncio.create_task(send_views(nginx.port, views=100_000, per_second=500, resend=True, stop=stop))
            for server in servers:
                await asyncio.to_thread(nginx.reload, [other.port for other in servers if other is not server])
                await asyncio.to_thread(server.restart)
                await asyncio.to_thread(nginx.reload, [each.port for each in servers])
            stop.set()
            report = await load
            assert report.acknowledged == report.sent > 0, report
            assert report.instances.keys() == {"one", "two", "three"}
            assert sum(total(server) for server in servers) == report.sent
