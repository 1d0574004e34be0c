"""What a hostile client sends to a server on loopback, bounded in time. Run as a program: KIND PORT SECONDS."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import time
from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
CHUNK = 65_536
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /count?s=example.com&p=/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#: Log-ins that are sent at once.
LOG_INS = 200
LOG_IN = (
    b"POST /login HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: same-origin\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 23\r\n\r\npassword=wrong+password"
)

#: Connections that are open at once where an attack needs many.
MANY = 1000


def connect(port: int) -> socket.socket:
    """A connection that does not wait longer than a second."""
    return socket.create_connection((HOST, port), timeout=1)


def send(port: int, parts: Iterator[bytes], end: float, *, reads: bool = False) -> None:
    """Send all parts on one connection, until the server closes it or the time is up."""
    with contextlib.suppress(OSError), contextlib.closing(connect(port)) as connection:
        for part in parts:
            if time.monotonic() > end:
                return
            connection.sendall(part)
            if reads:
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while connection.recv(CHUNK):
                        pass
                connection.settimeout(1)


def pipelined(port: int, end: float) -> None:
    """500 requests in one write, again and again; the replies are read."""
    send(port, itertools.repeat(PING * 500), end, reads=True)


def pipelined_unread(port: int, end: float) -> None:
    """The same, and no reply is read."""
    send(port, itertools.repeat(PING * 500), end)
    time.sleep(0.1)


def header_lines(port: int, end: float) -> None:
    """A head of very many lines."""
    send(port, itertools.chain([GET], itertools.repeat(b"a:b\r\n" * 10_000, 2000)), end)


def header_value(port: int, end: float) -> None:
    """A header value of 60 MB."""
    send(port, itertools.chain([GET + b"a: "], itertools.repeat(b"x" * CHUNK, 1000)), end)


def url(port: int, end: float) -> None:
    """A URL of 60 MB."""
    send(port, itertools.chain([b"GET /"], itertools.repeat(b"x" * CHUNK, 1000)), end)


def trailers(port: int, end: float) -> None:
    """Trailers of very many lines."""
    send(port, itertools.chain([POST + b"0\r\n"], itertools.repeat(b"a:b\r\n" * 10_000, 2000)), end)


def trailer_value(port: int, end: float) -> None:
    """A trailer of 60 MB."""
    send(port, itertools.chain([POST + b"0\r\na: "], itertools.repeat(b"x" * CHUNK, 1000)), end)


def chunk_extension(port: int, end: float) -> None:
    """A chunk's extension of 60 MB."""
    send(port, itertools.chain([POST + b"1;a="], itertools.repeat(b"x" * CHUNK, 1000)), end)


def half_open(port: int, end: float) -> None:
    """Very many connections, each with half a head."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        for _ in range(MANY):
            connection = stack.enter_context(contextlib.closing(connect(port)))
            connection.sendall(GET)
        time.sleep(max(0.0, end - time.monotonic()))


def log_ins(port: int, end: float) -> None:
    """Wrong passwords, in the same moment on a hundred connections, again and again."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        connections = [stack.enter_context(contextlib.closing(connect(port))) for _ in range(LOG_INS // 2)]
        while time.monotonic() < end:
            for connection in connections:
                connection.sendall(LOG_IN)
            for connection in connections:
                connection.recv(CHUNK)


#: The attacks by name.
ATTACKS: dict[str, Callable[[int, float], None]] = {
    attack.__name__: attack
    for attack in (
        *(pipelined, pipelined_unread, header_lines, header_value, url, trailers, trailer_value, chunk_extension, half_open),
        log_ins,
    )
}


def main() -> None:
    """Attack for so many seconds, on one connection after the other."""
    _, kind, port, seconds = sys.argv
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        ATTACKS[kind](int(port), end)


if __name__ == "__main__":
    main()
