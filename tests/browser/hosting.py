"""A web site on loopback whose pages a test writes: another origin than Footfall's, and another site to a browser's eyes.

Pages are served from a thread of its own and never cached; what was asked for is remembered in its order.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.servers import HOST

#: Loopback by its name, while Footfall's pages and scripts come from its number.
NAME = "localhost"


class Page(NamedTuple):
    """What is answered at a path."""

    body: bytes
    headers: Mapping[str, str]


class Host:
    """The site, as a context manager."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        #: The paths that were asked for, without their query strings.
        self.asked: list[str] = []
        self._server = http.server.ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def origin(self) -> str:
        """Its scheme, name and port."""
        return f"http://{NAME}:{self._server.server_address[1]}"

    def put(self, path: str, content: str | bytes, content_type: str = "text/html; charset=utf-8", **headers: str) -> str:
        """Answer at a path from now on; its URL. Headers are named with underscores."""
        body = content.encode() if isinstance(content, str) else content
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._pages[path] = Page(body, {"Content-Type": content_type, "Cache-Control": "no-cache", **named})
        return self.origin + path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                host.asked.append(path)
                page = host._pages.get(path)
                self.send_response(200 if page else 404)
                body, headers = page or (b"", {})
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """What was asked for is in `asked`."""

        return Handler
