"""An instance's place taken by a test: it keeps account of each request, holds back what it is told to, and breaks off.

It is a real HTTP server; what it stands for can't be made to break off at the very moment that a test is about.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.servers.server import HOST

#: Paths that begin so are read and not answered: the connection ends.
BREAKING = "/breaks-off"

#: A stream of two events; the second comes when the test says so.
STREAM = "/api/v1/sites/example.com/live"

#: The second event comes at the latest after so many seconds, so that no thread is left behind.
LONGEST_HOLD = 60.0


@dataclass(frozen=True)
class Request:
    """A request as it arrived; the names of headers are in lower case. `number` is how many came on its connection so far."""

    method: str
    path: str
    headers: Mapping[str, str]
    number: int


@dataclass
class Upstream:
    """A server on a loopback port of its own, as a context manager. `requests` are those for views, streams and breaks."""

    requests: list[Request] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._server = _Server((HOST, 0), _Handler)
        self._server.upstream = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    upstream: Upstream


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    number = 0

    def do_GET(self) -> None:
        self.number += 1
        if self.path == "/readyz":
            self._reply(200, b'{"status":"ready"}')
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.upstream.requests.append(Request(self.command, self.path, headers, self.number))
        if self.path.startswith(BREAKING):
            self.close_connection = True
        elif self.path == STREAM:
            self._stream()
        else:
            self._reply(204)

    do_POST = do_GET  # noqa: N815  # the name is what BaseHTTPRequestHandler looks for

    def _reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Footfall", "counted")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: one\n\n")
        self.server.upstream.go_on.wait(LONGEST_HOLD)
        self.wfile.write(b"data: two\n\n")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what came is in `requests`."""
