"""The servers that other tests start are real, do what is asked of them, and are gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import (
    HOST,
    Engine,
    FootfallServer,
    RedisCluster,
    RedisServer,
    RedisWithSentinels,
    ServerError,
    TcpProxy,
    free_port,
    wait_until,
)
from tests.servers.load import BROWSER
from tests.servers.server import BUS_OFFSET

#: A client that tries everything once.
ONCE = Retry(NoBackoff(), 0)

ROOT = Path(__file__).parents[2]


def exists(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def total(server: FootfallServer, site: str = "example.com") -> int:
    """The views an instance says the site has had."""
    return int(httpx.get(f"{server.url}/api/v1/sites/{site}/count").json()["total"])


def received(connection: socket.socket) -> bytes:
    """All that comes on a connection until it is reset, which it has to be."""
    found = b""
    connection.settimeout(5)
    with pytest.raises(ConnectionResetError):
        while chunk := connection.recv(100):
            found += chunk
    return found


class TestRedis:
    @pytest.mark.parametrize(("engine", "version"), [(Engine.REDIS, "7."), (Engine.OLDEST_REDIS, "6.2."), (Engine.VALKEY, "9.")])
    def test_life(self, engine: Engine, version: str) -> None:
        """A server of each kind answers, stands still, is killed and keeps what it acknowledged, and ends when asked to."""
        with RedisServer(engine.path, aof="always") as server:
            state = server.info("server")
            assert str(state.get("valkey_version", state["redis_version"])).startswith(version)
            server.ask("SET", "page", "/")
            server.pause()
            with server.client(seconds=0.1) as client, pytest.raises(redis.TimeoutError):
                client.get("page")
            server.resume()
            assert server.ask("GET", "page") == "/"
            port, pid = server.port, server.pid
            server.kill()
            assert not exists(pid)
            with pytest.raises(redis.ConnectionError):
                server.ask("PING")
            server.restart()
            assert (server.port, server.ask("GET", "page")) == (port, "/")
            server.restart()
            assert server.ask("GET", "page") == "/"
        assert not exists(server.pid)
        assert not server.folder.exists()

    def test_addresses(self) -> None:
        """A server with a password is reached by its URL, over TCP and over its Unix socket, and not without the password."""
        with RedisServer(password="p@ss w/rd", socket=True) as server:
            for url in (server.url, server.socket_url):
                with redis.Redis.from_url(url, retry=ONCE) as client:
                    assert client.ping()
            with redis.Redis(HOST, server.port, retry=ONCE) as client, pytest.raises(redis.AuthenticationError):
                client.ping()

    def test_tls(self) -> None:
        """A server with TLS proves by the throw-away authority who it is, and takes only clients with a certificate if told so."""
        with RedisServer(tls=True, client_certificate=True) as server:
            assert server.ask("PING") is True
            assert server.certificates is not None
            authority = str(server.certificates.authority)
            with (
                redis.Redis.from_url(server.url, retry=ONCE) as client,
                pytest.raises(redis.ConnectionError, match="VERIFY_FAILED"),
            ):
                client.ping()
            with (
                redis.Redis.from_url(server.url, retry=ONCE, ssl_ca_certs=authority) as client,
                pytest.raises(redis.ConnectionError),
            ):
                client.ping()


class TestStarting:
    def test_failed_start(self) -> None:
        """A server that does not come up says why in its own words, and leaves nothing."""
        server = RedisServer(options={"no-such-line": "1"})
        with pytest.raises(ServerError, match="no-such-line"):
            server.__enter__()
        assert not server.folder.exists()

    def test_slow_start(self) -> None:
        """A server that never answers is given up after its time, with the end of its log, and is ended."""
        server = RedisServer()
        server.start_seconds = 0.3
        server.answers = lambda: False  # type: ignore[method-assign]  # a server that never answers is hard to come by
        with pytest.raises(ServerError, match=r"not within 0\.3 s[\s\S]*Ready to accept connections"):
            server.__enter__()
        assert not exists(server.pid)

    def test_taken_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server whose port is taken between choice and start gets another one."""
        with socket.socket() as taken:
            taken.bind((HOST, free_port()))
            choices = iter([taken.getsockname()[1], free_port()])
            monkeypatch.setattr("tests.servers.server.free_port", lambda: next(choices))
            with RedisServer() as server:
                assert server.ask("PING") is True
                assert server.port != taken.getsockname()[1]

    def test_free_ports(self) -> None:
        """Chosen ports are free and stay out of the range that outgoing connections take theirs from, bus ports included."""
        for port in {free_port() for _ in range(50)}:
            assert port + BUS_OFFSET < 32_768
            socket.create_server((HOST, port)).close()

    def test_failing_test(self) -> None:
        """Whatever is raised in a test, its server is gone too, even a paused one."""
        server = RedisServer()

        def failing() -> None:
            with server:
                server.pause()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            failing()
        assert not exists(server.pid)
        assert not server.folder.exists()

    def test_killed_interpreter(self) -> None:
        """When the process that started a server is killed, the server and its folder go too."""
        script = "from tests.servers import *; s = RedisServer(); s.start(); print(s.pid, s.folder, flush=True); input()"
        starter = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with starter:
            assert starter.stdout is not None
            pid, folder = starter.stdout.readline().split()
            assert exists(int(pid))
            starter.send_signal(signal.SIGKILL)
        wait_until(lambda: not exists(int(pid)) and not Path(folder).exists(), "server and folder are gone")


class TestSentinels:
    def test_asked_failover(self) -> None:
        """Three Sentinels know a primary and two replicas, and change the primary when asked to."""
        with RedisWithSentinels(password="secret") as setup:
            old = setup.primary
            assert (len(setup.replicas), len(setup.sentinels)) == (2, 3)
            assert all(replica.follows(old) for replica in setup.replicas)
            old.ask("SET", "page", "/")
            new = setup.failover()
            assert new is not old
            assert new.ask("GET", "page") == "/"

    @pytest.mark.soak
    @pytest.mark.parametrize("engine", Engine)
    def test_dead_primary(self, engine: Engine) -> None:
        """A primary that is killed is replaced, and follows the new one when it is back; so is one that stands still."""
        with RedisWithSentinels(engine.path) as setup:
            for end, begin in ((RedisServer.kill, RedisServer.restart), (RedisServer.pause, RedisServer.resume)):
                old = setup.primary
                with old.client() as client:
                    client.set("page", end.__name__)
                    assert client.execute_command("WAIT", 2, 1000) == 2
                end(old)
                new = setup.wait_for_other_primary(old)
                assert new.ask("GET", "page") == end.__name__
                begin(old)
                setup.wait_settled()
                assert old.follows(new)


class TestCluster:
    def test_life(self) -> None:
        """A cluster of six nodes forms, moves a slot with its keys, and changes a primary when asked to."""
        with RedisCluster(password="secret") as cluster:
            assert len(cluster.primaries) == 3
            source = cluster.primary_of("{site}page-1")
            assert len(cluster.replicas_of(source)) == 1
            with source.client() as client:
                for number in range(120):
                    client.set(f"{{site}}page-{number}", number)
            target = next(node for node in cluster.primaries if node is not source)
            slot = cluster.slot_of("{site}")
            cluster.begin_migration(slot, target)
            assert cluster.move_keys(slot, target, most=1) == 1
            assert cluster.primary_of(slot) is source
            assert cluster.migrate_slot(slot, target) == 119
            assert cluster.primary_of("{site}page-1") is target
            assert target.ask("GET", "{site}page-119") == "119"
            with pytest.raises(redis.exceptions.MovedError):
                source.ask("GET", "{site}page-119")
            new = cluster.failover(target)
            assert cluster.primary_of(slot) is new
            assert new.ask("GET", "{site}page-119") == "119"

    @pytest.mark.soak
    @pytest.mark.parametrize("engine", Engine)
    def test_dead_primary(self, engine: Engine) -> None:
        """A primary that is killed is replaced by its replica, and follows it when it is back; so is one that stands still."""
        with RedisCluster(engine.path) as cluster:
            for end, begin in ((RedisServer.kill, RedisServer.restart), (RedisServer.pause, RedisServer.resume)):
                old = cluster.primary_of("{site}")
                with old.client() as client:
                    client.set("{site}", end.__name__)
                    assert client.execute_command("WAIT", 1, 1000) == 1
                end(old)
                new = cluster.wait_for_other_primary(old, "{site}")
                assert new.ask("GET", "{site}") == end.__name__
                begin(old)
                cluster.wait_settled()
                assert old in cluster.replicas_of(new)


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """A server for the proxy to stand before."""
    with RedisServer() as server:
        yield server


class TestProxy:
    def test_lost_replies(self, store: RedisServer) -> None:
        """Each request that is to lose its reply has reached the server; others pass untouched."""
        store.ask("SET", "count", 0)
        with (
            TcpProxy(store.port) as proxy,
            store.client() as direct,
            redis.Redis(HOST, proxy.port, retry=ONCE) as client,
        ):
            proxy.lose_replies(50, b"INCR")
            lost = 0
            while proxy.reply_cuts_left:
                client.ping()
                with pytest.raises(redis.ConnectionError):
                    client.incr("count")
                lost += 1
                assert int(direct.get("count")) == lost
            assert (lost, proxy.cuts) == (50, 50)
            assert client.incr("count") == 51

    def test_delay(self, store: RedisServer) -> None:
        """With a delay a round trip takes twice that, and what is sent keeps its order."""
        with TcpProxy(store.port) as proxy, redis.Redis(HOST, proxy.port, retry=ONCE) as client:
            client.ping()
            proxy.delay(0.05)
            started = time.monotonic()
            assert client.echo("a" * 300_000) == b"a" * 300_000
            assert 0.1 <= time.monotonic() - started < 1
            proxy.pass_on()
            assert client.ping()

    def test_black_hole(self, store: RedisServer) -> None:
        """What is held is not answered, and goes on its way afterwards."""
        with TcpProxy(store.port) as proxy, redis.Redis(HOST, proxy.port, retry=ONCE, socket_timeout=0.1) as client:
            client.set("held", 1)
            proxy.hold()
            with pytest.raises(redis.TimeoutError):
                client.incr("held")
            assert store.ask("GET", "held") == "1"
            proxy.pass_on()
            wait_until(lambda: store.ask("GET", "held") == "2", "what was held arrives")
            assert client.get("held") == b"2"

    def test_refusal(self, store: RedisServer) -> None:
        """Open connections are cut and new ones refused, until the proxy passes on again, on the same port."""
        with TcpProxy(store.port) as proxy, redis.Redis(HOST, proxy.port, retry=ONCE) as client:
            client.ping()
            proxy.refuse()
            for _ in range(2):
                with pytest.raises(redis.ConnectionError):
                    client.ping()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, proxy.port))
            proxy.pass_on()
            assert client.ping()

    def test_limits(self, store: RedisServer) -> None:
        """A connection is cut behind so many bytes of requests or of replies, neither earlier nor later."""
        with TcpProxy(store.port) as proxy:
            proxy.cut_after(reply_bytes=10)
            with socket.create_connection((HOST, proxy.port)) as plain:
                plain.sendall(b"PING\r\nPING\r\n")
                assert received(plain) == b"+PONG\r\n+PO"
            proxy.cut_after(request_bytes=8)
            store.ask("SET", "half", 0)
            with socket.create_connection((HOST, proxy.port)) as plain:
                plain.sendall(b"INCR half\r\n")
                assert received(plain) == b""
            assert store.ask("GET", "half") == "0"
            assert proxy.cuts == 2


class TestFootfall:
    def test_life(self, tmp_path: Path) -> None:
        """An instance serves, keeps all it acknowledged when it is killed, and ends with 0 when asked to."""
        with FootfallServer(f"sqlite:///{tmp_path}/views.db", instance="one") as server:
            reply = httpx.get(f"{server.url}/count?s=example.com&p=/", headers={"User-Agent": BROWSER})
            assert (reply.headers["x-footfall"], reply.headers["x-footfall-instance"]) == ("counted", "one")
            server.kill()
            server.restart()
            assert total(server) == 1
            server.stop()
            assert "stopped" in server.program.written()
        assert not exists(server.pid)

    def test_failed_start(self) -> None:
        """An instance that can't start says so in its own words."""
        with pytest.raises(ServerError, match="FOOTFALL_STORE"), FootfallServer("nonsense://"):
            pass


class TestLoad:
    async def test_lost_replies(self, tmp_path: Path) -> None:
        """Views whose replies are lost are sent again under their ids, and each is counted once; the report says all of it."""
        with FootfallServer(f"sqlite:///{tmp_path}/views.db") as server, TcpProxy(server.port) as proxy:
            proxy.lose_replies(20, b"GET /count")
            report = await send_views(proxy.port, views=300, connections=8, event_ids=True, retry_seconds=5)
            assert (report.sent, report.requests, report.failed, proxy.cuts) == (300, 320, 0, 20), report
            assert (report.acknowledged, report.duplicate, report.stored) == (280, 20, 300), report
            assert report.failures.total() == 20
            assert report.instances == {"footfall-1": 300}
            assert total(server) == 300

            proxy.lose_replies(5, b"GET /count")
            report = await send_views(proxy.port, views=50, connections=4, pages=["/a", "/b"])
            assert (report.sent, report.requests, report.failed) == (50, 50, 5), report
            assert (report.acknowledged, total(server)) == (45, 350), report

            proxy.refuse()
            report = await send_views(proxy.port, views=3)
            assert (report.sent, report.failed, total(server)) == (0, 3, 350), report

            report = await send_views(server.port, views=2, site="unknown.example")
            assert report.dropped == {"unknown-site": 2}
            with pytest.raises(ValueError, match="event ids"):
                await send_views(server.port, views=1, retry_seconds=1)


class TestNginx:
    async def test_views(self, tmp_path: Path) -> None:
        """All instances get views; one that is away is passed over, and a view whose reply is lost is not sent to another."""
        with (
            FootfallServer(f"sqlite:///{tmp_path}/1.db", instance="one") as one,
            FootfallServer(f"sqlite:///{tmp_path}/2.db", instance="two") as two,
            TcpProxy(two.port) as proxy,
            Nginx([one.port, proxy.port]) as nginx,
        ):
            report = await send_views(nginx.port, views=200, connections=8)
            assert report.acknowledged == 200, report
            assert report.instances.keys() == {"one", "two"}

            proxy.lose_replies(1, b"GET /count")
            report = await send_views(nginx.port, views=50, connections=2)
            assert (report.acknowledged, report.failures) == (49, {"answered with 502": 1}), report
            assert total(one) + total(two) == 250

            nginx.reload([proxy.port])
            report = await send_views(nginx.port, views=50, connections=2)
            assert report.instances == {"two": 50}, report

            nginx.reload([proxy.port, one.port])
            proxy.refuse()
            report = await send_views(nginx.port, views=50, connections=2)
            assert report.instances == {"one": 50}, report
            assert total(one) + total(two) == 350

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
            assert sum(total(server) for server in servers) == report.sent
