"""Views that are asked for directly, without a task of the server's: told apart from no other request by what comes back."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from footfall.settings import load_settings
from footfall.web.app import make_app
from footfall.web.ingest.connection import Connection
from tests.integration.http.asking import ask
from tests.integration.http.test_malformed import HEADERS, QUERIES
from tests.support.servers import HOST, FootfallServer
from tests.support.servers.load import BROWSER

VIEW = "/count?s=localhost&p=/direct"

#: Makes a request one with a body, though an empty one: such go the server's own way.
NOT_DIRECT = "Content-Length: 0\r\n"

#: Headers that differ from one reply to the next.
OWN = ("date", "x-request-id")


class Reply(NamedTuple):
    """What came back: the status line, all headers in their order, and the body."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def outcome(self) -> str:
        return dict(self.headers).get("x-footfall", "")

    def without_own(self) -> Reply:
        return self._replace(headers=tuple((name, value) for name, value in self.headers if name not in OWN))


class Client:
    """One connection, on which requests are written as they are."""

    def __init__(self, server: FootfallServer) -> None:
        self._socket = socket.create_connection((HOST, server.port), timeout=20)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode("latin-1"))

    def read(self) -> Reply:
        line = self._file.readline().decode("latin-1")
        headers = []
        while (text := self._file.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = text.partition(": ")
            headers.append((name, value))
        length = int(dict(headers).get("content-length", "0"))
        return Reply(line.strip(), tuple(headers), self._file.read(length))

    def is_closed(self) -> bool:
        """Whether the server ends the connection, with nothing more to say."""
        return self._file.read(1) == b""


def request(target: str, more: str = "", headers: Mapping[str, str] | None = None, method: str = "GET") -> str:
    """A request's text."""
    own = {"Host": "localhost", "User-Agent": BROWSER} | dict(headers or {})
    return f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in own.items()) + more + "\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[FootfallServer]:
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'footfall.db'}"
        with FootfallServer(store, sites=["localhost"], settings={"PAGES_PER_DAY": "50"}) as server:
            yield server


@pytest.fixture
def client(server: FootfallServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def total(server: FootfallServer, page: str) -> int:
    views: int = ask(server, f"/api/v1/sites/localhost/count?page={page}").json["total"]
    return views


@pytest.mark.parametrize(
    ("target", "headers", "outcome"),
    [
        (VIEW, {}, "counted"),
        (VIEW.replace("/count", "/count.gif"), {}, "counted"),
        ("/count?s=nobody.example&p=/", {}, "dropped; reason=unknown-site"),
        ("/count.gif?s=nobody.example&p=/", {}, "dropped; reason=unknown-site"),
        ("/count?s=localhost&p=nothing", {}, "dropped; reason=bad-page"),
        (VIEW, {"User-Agent": "Googlebot/2.1"}, "dropped; reason=bot"),
        (VIEW, {"Sec-Purpose": "prefetch"}, "dropped; reason=prefetch"),
        (VIEW + "&e=%zz", {}, ""),
        ("/count", {}, ""),
        ("/count?s=localhost", {}, ""),
        (VIEW + "&p=/again", {}, ""),
    ],
)
def test_the_reply_is_the_same_to_the_byte(client: Client, target: str, headers: Mapping[str, str], outcome: str) -> None:
    client.send(request(target, headers=headers))
    direct = client.read()
    client.send(request(target, NOT_DIRECT, headers))
    assert direct.without_own() == client.read().without_own()
    assert direct.outcome == outcome
    assert dict(direct.headers)["date"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/count", "/count.gif", "/count/", "//count", "/%63ount"]), query=QUERIES, headers=HEADERS)
def test_whatever_is_asked_the_reply_is_the_same(server: FootfallServer, path: str, query: str, headers: dict[str, str]) -> None:
    """Sent once in either way; counted views of one event id are one view whichever way they come."""
    replies = []
    for more in ("", NOT_DIRECT):
        client = Client(server)
        client.send(request(f"{path}?{query}", more, headers))
        replies.append(client.read().without_own())
        client.close()
    direct, other = replies
    assert direct.line == other.line
    known = re.compile(rb'"(at|views|today|total)":\d+')
    assert known.sub(b"", direct.body) == known.sub(b"", other.body)
    assert direct.line.split()[1][0] in "234"
    if direct.outcome != other.outcome:
        assert (direct.outcome, other.outcome) == ("counted", "duplicate")


def test_requests_sent_together_are_answered_in_order(client: Client, server: FootfallServer) -> None:
    before = total(server, "/direct")
    asked = [
        request(VIEW),
        request("/ping"),
        request(VIEW, headers={"Accept": "application/json"}),
        request(VIEW.replace("/count", "/count.gif")),
        request(VIEW, NOT_DIRECT),
        request("/count?s=localhost"),
        request(VIEW),
    ]
    client.send("".join(asked))
    replies = [client.read() for _ in asked]
    assert [reply.line.split()[1] for reply in replies] == ["204", "200", "200", "200", "204", "400", "204"]
    assert replies[1].body == b"pong\n"
    assert replies[3].body.startswith(b"GIF89a")
    assert total(server, "/direct") == before + 5


def test_many_views_sent_together_all_count(client: Client, server: FootfallServer) -> None:
    before = total(server, "/direct")
    client.send(request(VIEW) * 200)
    assert {client.read().outcome for _ in range(200)} == {"counted"}
    assert total(server, "/direct") == before + 200


@pytest.mark.parametrize("lines", [("application/json", "*/*"), ("*/*", "application/json")])
def test_header_lines_of_one_name_are_one_list(client: Client, lines: tuple[str, str]) -> None:
    """Whichever comes last: both are read of a request that is asked for directly."""
    client.send(request(VIEW, "".join(f"Accept: {each}\r\n" for each in lines)))
    assert dict(client.read().headers)["content-type"] == "application/json"


def test_a_request_may_come_byte_by_byte(client: Client) -> None:
    for byte in request(VIEW):
        client.send(byte)
    assert client.read().outcome == "counted"


@pytest.mark.parametrize("more", ["Connection: close\r\n", "connection: Close\r\n"])
def test_a_client_that_wants_no_more_is_told_so_and_let_go(client: Client, more: str) -> None:
    client.send(request(VIEW, more))
    reply = client.read()
    assert reply.outcome == "counted"
    assert dict(reply.headers)["connection"] == "close"
    assert client.is_closed()


def test_an_older_client_is_answered_in_its_way(client: Client) -> None:
    client.send(request(VIEW).replace("HTTP/1.1", "HTTP/1.0"))
    assert client.read().outcome == "counted"
    assert client.is_closed()


def test_a_client_that_does_not_wait_is_counted(server: FootfallServer) -> None:
    before = total(server, "/gone")
    for _ in range(20):
        client = Client(server)
        client.send(request("/count?s=localhost&p=/gone"))
        client.close()
    for _ in range(100):
        if total(server, "/gone") == before + 20:
            break
    assert total(server, "/gone") == before + 20


def test_pages_beyond_the_limit_are_refused(client: Client, server: FootfallServer) -> None:
    outcomes = []
    for n in range(60):
        client.send(request(f"/count?s=localhost&p=/new/{n}"))
        outcomes.append(client.read().outcome)
    assert outcomes[-1] == "dropped; reason=too-many-pages"
    assert total(server, "/new/59") == 0


def test_an_event_id_counts_once(client: Client) -> None:
    client.send(request(VIEW + "&e=0123456789abcdef") * 2)
    assert client.read().outcome == "counted"
    assert client.read().outcome == "duplicate"


def test_a_view_that_was_not_stored_is_not_acknowledged() -> None:
    """A store that is full, once the server has begun: each of the views that wait is told to try again."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FootfallServer(
            f"sqlite:///{Path(folder) / 'footfall.db'}", sites=["localhost"], settings={"COMMIT_TIMEOUT": "1"}
        ) as server,
    ):
        blocker = sqlite3.connect(Path(folder) / "footfall.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        clients = [Client(server) for _ in range(3)]
        for each in clients:
            each.send(request(VIEW, headers={"X-Request-Id": "mine-1234"}))
        for each in clients:
            reply = each.read()
            assert reply.line == "HTTP/1.1 503 Service Unavailable"
            assert dict(reply.headers)["retry-after"] == "1"
            assert dict(reply.headers)["x-request-id"] == "mine-1234"
            assert b"Try again" in reply.body
        blocker.execute("ROLLBACK")
        blocker.close()
        for each in clients:  # the connection serves on
            each.send(request(VIEW))
            assert each.read().outcome == "counted"
            each.close()
        assert 3 <= total(server, "/direct") <= 6  # what was not acknowledged may count all the same


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def until(holds: Callable[[], object]) -> None:
    """Wait for something, 5 s at most."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def connect(**options: Any) -> tuple[Connection, Transport]:
    """A connection to a server in this process that counts in memory."""
    front = make_app(load_settings({"store": "memory://"}, environ={}), "node-1")
    config = Config(front, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False, **options)
    transport, connection = Transport(), Connection(config, ServerState(), {})
    connection.connection_made(transport)
    return connection, transport


@pytest.mark.parametrize(
    ("target", "tasks"), [(VIEW, 0), ("/ping", 1), (VIEW.replace("/count", "/count.gif"), 0), (VIEW + "&e=0", 1), ("/count", 1)]
)
async def test_a_view_needs_no_task(target: str, tasks: int) -> None:
    connection, transport = connect()
    connection.data_received(request(target).encode())
    assert len(connection.tasks) == tasks
    await until(lambda: transport.written.startswith(b"HTTP/1.1 "))


async def test_an_idle_connection_is_closed_and_no_other() -> None:
    """A second after its last reply: not one that is asked again meanwhile, nor one that is sending a request."""
    connection, transport = connect(timeout_keep_alive=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    connection.data_received(request(VIEW).encode())
    await asyncio.sleep(0.6)
    connection.data_received(request(VIEW).encode())
    await until(lambda: transport.closed)
    assert 1.55 <= loop.time() - began < 3
    connection, transport = connect(timeout_keep_alive=1)
    connection.data_received(request(VIEW).encode())
    await asyncio.sleep(0.5)
    connection.data_received(request(VIEW)[:20].encode())
    await asyncio.sleep(1)
    assert not transport.closed
    connection.connection_lost(None)


@pytest.mark.parametrize("target", [VIEW, "/ping"])
async def test_a_connection_that_is_lost_leaves_nothing_behind(target: str) -> None:
    """Not even for the garbage collector, which comes seldom: clients come and go by the thousand."""
    connection, transport = connect()
    connection.data_received(request(target).encode())
    await until(lambda: transport.written)
    await asyncio.gather(*connection.tasks)
    await asyncio.sleep(0.01)
    gc.collect()
    gc.disable()
    try:
        transport.closed = True
        connection.connection_lost(None)
        gone = weakref.ref(connection)
        del connection
        await asyncio.sleep(0.01)
        assert gone() is None
    finally:
        gc.enable()
