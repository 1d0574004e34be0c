"""The servers that other tests start are real, do what is asked of them, and are gone afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.servers import (
    HOST,
    Engine,
    RedisCluster,
    RedisServer,
    RedisWithSentinels,
    ServerError,
    TcpProxy,
    free_port,
    wait_until,
)
from tests.support.servers.server import BUS_OFFSET

#: A client that tries everything once.
ONCE = Retry(NoBackoff(), 0)

ROOT = Path(__file__).parents[3]


def exists(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def is_lost(client: redis.Redis) -> bool:
    """Whether the reply to an increment does not come back."""
    try:
        client.incr("count")
    except redis.ConnectionError:
        return True
    return False


def received(connection: socket.socket) -> bytes:
    """All that comes on a connection until it is reset, which it has to be."""
    found = b""
    connection.settimeout(5)
    try:
        while chunk := connection.recv(100):
            found += chunk
    except ConnectionResetError:
        return found
    pytest.fail(f"the connection ended in peace behind {found!r}")


class TestRedis:
    @pytest.mark.parametrize(
        ("engine", "version"), [(Engine.REDIS, ("7.", "8.")), (Engine.OLDEST_REDIS, "6.2."), (Engine.VALKEY, "9.")]
    )
    def test_life(self, engine: Engine, version: str | tuple[str, ...]) -> None:
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

    def test_oldest_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """OLDEST_REDIS names the program of the oldest Redis where no package has it; a name that is none is said."""
        program = tmp_path / "redis-server"
        monkeypatch.setenv("OLDEST_REDIS", str(program))
        with pytest.raises(ServerError, match=f"OLDEST_REDIS names {program}, which is no file"):
            _ = Engine.OLDEST_REDIS.path
        program.touch()
        assert Engine.OLDEST_REDIS.path == program

    def test_addresses(self) -> None:
        """A server with a password is reached by its URL, over TCP and over its Unix socket, and not without the password."""
        with RedisServer(password="p@ss w/rd", socket=True) as server:
            for url in (server.url, server.socket_url):
                with redis.Redis.from_url(url, retry=ONCE) as client:
                    assert client.ping()
            with redis.Redis(HOST, server.port, retry=ONCE) as client, pytest.raises(redis.AuthenticationError):
                client.ping()

    def test_tls(self) -> None:
        """A server with TLS proves who it is, and takes only clients with a certificate if told so."""
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
        server.start_seconds = 0.7
        server.answers = lambda: False  # type: ignore[method-assign]  # a server that never answers is hard to come by
        with pytest.raises(ServerError, match=r"not within 0\.7 s[\s\S]*Ready to accept connections"):
            server.__enter__()
        assert not exists(server.pid)

    def test_taken_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server whose port is taken between choice and start gets another one."""
        with socket.socket() as taken:
            taken.bind((HOST, free_port()))
            choices = iter([taken.getsockname()[1], free_port()])
            monkeypatch.setattr("tests.support.servers.server.free_port", lambda: next(choices))
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
        script = "from tests.support.servers import *; s = RedisServer(); s.start(); print(s.pid, s.folder, flush=True); input()"
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
            with old.client() as client:
                client.set("page", "/")
                assert client.execute_command("WAIT", 2, 5000) == 2
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
                    assert client.execute_command("WAIT", 2, 5000) == 2
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
                    assert client.execute_command("WAIT", 1, 5000) == 1
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
            proxy.lose_replies(2, b"INCR", every=3)
            outcomes = [is_lost(client) for _ in range(7)]
            assert outcomes == [True, False, False, True, False, False, False]
            assert client.incr("count") == 58

    def test_delay(self, store: RedisServer) -> None:
        """With a delay a round trip takes twice that, and what is sent keeps its order."""
        with TcpProxy(store.port) as proxy, redis.Redis(HOST, proxy.port, retry=ONCE) as client:
            client.ping()
            proxy.delay(0.05)
            started = time.monotonic()
            assert client.echo("a" * 300_000) == b"a" * 300_000
            assert 0.1 <= time.monotonic() - started < 5
            proxy.pass_on()
            assert client.ping()

    def test_black_hole(self, store: RedisServer) -> None:
        """What is held is not answered, and everything is well afterwards."""
        with (
            TcpProxy(store.port) as proxy,
            redis.Redis(HOST, proxy.port, retry=ONCE) as client,
            redis.Redis(HOST, proxy.port, retry=ONCE, socket_timeout=0.1) as hasty,
        ):
            client.set("held", 1)
            proxy.hold()
            with pytest.raises(redis.TimeoutError):
                hasty.incr("held")
            assert store.ask("GET", "held") == "1"
            proxy.pass_on()
            assert client.ping()

    def test_held_bytes(self, store: RedisServer) -> None:
        """What was held goes on its way when the proxy passes on again, to a client that has waited for it."""
        with TcpProxy(store.port) as proxy, socket.create_connection((HOST, proxy.port), timeout=10) as plain:
            store.ask("SET", "held", 1)
            proxy.hold()
            plain.sendall(b"INCR held\r\n")
            time.sleep(0.05)  # nothing tells that nothing comes
            assert store.ask("GET", "held") == "1"
            proxy.pass_on()
            assert plain.recv(100) == b":2\r\n"

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
