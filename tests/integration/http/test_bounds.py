"""The bounds of a connection, one by one: what is refused, how it is said, and that no reply that is due gets lost."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.telemetry.repeated import QUIET_SECONDS, Repeated
from footfall.web.ingest import bounds
from footfall.web.ingest.bounds import MAX_HEAD_BYTES, MAX_HEAD_LINES
from tests.integration.http.test_connection import Client, connect, request, until
from tests.support.servers import HOST, FootfallServer
from tests.support.servers.load import BROWSER

VIEW = "/count?s=localhost&p=/bounds"

#: The lines that `request` writes by itself.
OWN_LINES = 2


@pytest.fixture(scope="module")
def server() -> Iterator[FootfallServer]:
    with (
        tempfile.TemporaryDirectory() as folder,
        FootfallServer(f"sqlite:///{Path(folder) / 'footfall.db'}", sites=["localhost"]) as server,
    ):
        yield server


@pytest.fixture
def client(server: FootfallServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def lines(number: int) -> str:
    return "a: b\r\n" * (number - OWN_LINES)


@pytest.mark.parametrize("target", [VIEW, "/ping"])
def test_as_many_lines_as_allowed_are_taken_and_no_more(client: Client, target: str) -> None:
    client.send(request(target, lines(MAX_HEAD_LINES)))
    assert client.read().line.split()[1] in ("200", "204")
    client.send(request(target, lines(MAX_HEAD_LINES + 1)))
    refused = client.read()
    assert refused.line == "HTTP/1.1 431 Request Header Fields Too Large"
    assert dict(refused.headers)["content-type"] == "application/problem+json"
    assert dict(refused.headers)["connection"] == "close"
    assert "65,536 bytes and 100 lines" in json.loads(refused.body)["detail"]
    assert client.is_closed()


@pytest.mark.parametrize("where", ["value", "url"])
def test_a_head_is_as_long_as_allowed_and_no_longer(client: Client, where: str) -> None:
    def head(size: int) -> str:
        rest = size - 200
        return request(VIEW, f"X: {'x' * rest}\r\n") if where == "value" else request(f"{VIEW}&x={'x' * rest}")

    client.send(head(MAX_HEAD_BYTES - 1000))
    assert client.read().line.split()[1] in ("204", "400")
    client.send(head(MAX_HEAD_BYTES + 1000))
    assert client.read().line.split()[1] == "431"
    assert client.is_closed()


@pytest.mark.parametrize("end", ["a: b\r\n" * 101 + "\r\n", "a: " + "x" * 70_000, "\r\nGET"])
def test_trailers_have_the_same_bounds(server: FootfallServer, end: str) -> None:
    """Whether the request has been answered by then or not, the connection is closed, unless they are within the bounds."""
    client = Client(server)
    client.send(request("/api/v1/sites/localhost/views", "Transfer-Encoding: chunked\r\n", method="POST") + "0\r\n" + end)
    assert client.read().line.split()[1] in ("401", "431")
    client.close()


def test_trailers_are_no_headers(client: Client) -> None:
    """What comes after a body says nothing of who sent it."""
    chunked = request(VIEW, "Transfer-Encoding: chunked\r\n", method="POST")
    client.send(chunked + "1\r\nx\r\n0\r\nSec-Purpose: prefetch\r\n\r\n")
    assert client.read().outcome == "counted"


def test_replies_that_are_due_come_before_a_refusal(client: Client) -> None:
    """In their order, and the refusal last."""
    client.send(request(VIEW) + request("/ping") + request(VIEW) + "no request at all\r\n\r\n")
    assert [client.read().line.split()[1] for _ in range(4)] == ["204", "200", "204", "400"]
    assert client.is_closed()


@pytest.mark.parametrize("first", [VIEW, "/ping"])
@pytest.mark.parametrize(
    "bad", ["no request at all", "GET /\xff HTTP/1.1", "GET http://a:99999/ HTTP/1.1", "GET http:///x HTTP/1.1"]
)
def test_one_reply_comes_before_a_refusal_too(client: Client, first: str, bad: str) -> None:
    """A view that was counted is acknowledged, whatever is wrong with the request after it."""
    client.send(request(first) + f"{bad}\r\nHost: a\r\n\r\n")
    assert [client.read().line.split()[1] for _ in range(2)] == ["200" if first == "/ping" else "204", "400"]
    assert client.is_closed()


@pytest.mark.parametrize("before", [1, 2, 5])
@pytest.mark.parametrize(("body", "status"), [("zz\r\n", "400"), ("1;" + "x" * 70_000, "431")])
def test_a_body_at_fault_takes_no_reply_from_those_before_it(client: Client, before: int, body: str, status: str) -> None:
    client.send(request(VIEW) * before + request(VIEW, "Transfer-Encoding: chunked\r\n", method="POST") + body)
    assert [client.read().line.split()[1] for _ in range(before)] == ["204"] * before
    assert client.read().line.split()[1] in (status, "204")  # a view needs no body, and may have been answered by then


@pytest.mark.parametrize("target", ["http://a:99999/", "http:///ping", "http://"])
def test_an_address_that_can_not_be_read_is_said_to_be_wrong(client: Client, target: str) -> None:
    client.send(request(target))
    assert client.read().line == "HTTP/1.1 400 Bad Request"
    assert client.is_closed()


def test_what_follows_a_request_for_another_protocol_is_answered(client: Client, server: FootfallServer) -> None:
    """Clients that would like HTTP/2 send its head with each request; the log says so once."""
    other = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
    client.send((request("/ping", other) + request(VIEW)) * 20 + request(VIEW, other) + request("/ping"))
    assert [client.read().line.split()[1] for _ in range(42)] == ["200", "204"] * 20 + ["204", "200"]
    said = server.program.last_words()
    assert "pgrade request" not in said
    assert said.count("asked for another protocol") == 1


def test_hundreds_of_pipelined_requests_are_answered_in_order(client: Client) -> None:
    """Whatever they are split into."""
    targets = [VIEW if n % 3 else "/ping" for n in range(700)]
    client.send("".join(map(request, targets)))
    assert [client.read().line.split()[1] for _ in targets] == ["204" if n % 3 else "200" for n in range(700)]


def test_a_client_that_has_sent_all_gets_its_replies(server: FootfallServer) -> None:
    """It closes its half of the connection after the last request, as `nc -N` does."""
    with socket.create_connection((HOST, server.port), timeout=20) as connection:
        connection.sendall((request(VIEW) + request("/ping") * 200 + request(VIEW)).encode())
        connection.shutdown(socket.SHUT_WR)
        replies = b""
        while part := connection.recv(65_536):
            replies += part
    assert replies.count(b"HTTP/1.1 ") == 202
    assert replies.count(b"X-Footfall: counted") + replies.count(b"x-footfall: counted") == 2


def test_a_body_in_pieces_of_any_size_is_read_whole(server: FootfallServer) -> None:
    """A long body goes through the same pieces as anything else, and is not cut."""
    body = "password=" + "x" * 1000
    client = Client(server)
    client.send(request("/login", f"Content-Length: {len(body)}\r\n", {"Content-Type": "text/plain"}, "POST"))
    for start in range(0, len(body), 7):
        client.send(body[start : start + 7])
    assert client.read().line.split()[1] in ("400", "401", "403", "415")
    client.close()


@pytest.mark.parametrize("sent", ["", "\r\n" * 10, "GET /ping HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_is_not_complete_in_time_ends_the_connection(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that never begins, and whatever is sent instead of it."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.05)
    connection, transport = connect()
    connection.data_received(sent.encode())
    await until(lambda: transport.closed)


async def test_a_second_head_has_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from its own beginning; each further byte does not begin it again."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.1)
    connection, transport = connect()
    connection.data_received(request(VIEW).encode())
    await until(lambda: transport.written)
    await asyncio.sleep(0.15)
    assert not transport.closed
    began = asyncio.get_running_loop().time()
    for byte in request(VIEW)[:60].encode():
        connection.data_received(bytes([byte]))
        await asyncio.sleep(0.01)
        if transport.closed:
            break
    assert transport.closed
    assert asyncio.get_running_loop().time() - began < 0.4


async def test_a_body_that_stands_still_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing of it comes any more."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.05)
    connection, transport = connect()
    connection.data_received((request("/login", "Content-Length: 100\r\n", method="POST") + "x").encode())
    await until(lambda: transport.closed)
    connection.connection_lost(None)


def test_each_kind_of_complaint_is_logged_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    repeated = Repeated(logging.getLogger("footfall.x"), lambda: now)
    with caplog.at_level(logging.WARNING, "footfall.x"):
        for _ in range(500):
            repeated.warn("a bad head", who="192.0.2.1")
        repeated.warn("a bad body")
        now = QUIET_SECONDS
        repeated.warn("a bad head", who="192.0.2.2")
    assert [record.getMessage() for record in caplog.records] == [
        "a bad head (192.0.2.1)",
        "a bad body",
        "a bad head (192.0.2.2), and 499 more since the last such line",
    ]


def test_a_flood_of_bad_requests_leaves_a_few_lines_in_the_log(server: FootfallServer) -> None:
    for _ in range(50):
        client = Client(server)
        client.send(f"GET / HTTP/9.9\r\nUser-Agent: {BROWSER}\r\n\r\n")
        assert client.read().line.split()[1] == "400"
        client.close()
    assert server.program.last_words().count("not a valid HTTP/1.1 request") == 1
