"""Asks a running server one thing at a time, as a visitor's browser or a monitor does, and reads what it says of its counts.

Every question has a connection of its own, so with several workers any of them may answer. It knows the HTTP interface and
no store. Asking blocks: a test that runs an event loop calls these with `asyncio.to_thread`.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.servers import HOST, FootfallServer
from tests.support.servers.load import BROWSER

SITE = "localhost"

#: A question that takes longer has failed.
ANSWER_SECONDS = 20.0

HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


class Reply(NamedTuple):
    """A reply, and how many seconds it took from making the connection on."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(server: FootfallServer, path: str, *, accept: str = "*/*") -> Reply:
    """GET a path. Raises OSError or HTTPException where there is no answer."""
    started = time.monotonic()
    connection = http.client.HTTPConnection(HOST, server.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"User-Agent": BROWSER, "Accept": accept})
        reply = connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read(), time.monotonic() - started)
    finally:
        connection.close()


def view(server: FootfallServer, page: str = "/") -> Reply:
    """View a page."""
    return ask(server, f"/count?s={SITE}&p={page}")


def is_ready(server: FootfallServer) -> bool:
    """Whether it says that it can acknowledge views."""
    return ask(server, "/readyz").status == 200


def _read(server: FootfallServer, what: str) -> Any:
    reply = ask(server, f"/api/v1/sites/{SITE}/{what}")
    if reply.status != 200:
        raise AssertionError(f"{what}: {reply.status} {reply.body!r}")
    return reply.json


def total(server: FootfallServer) -> int:
    """All views of the site."""
    number: int = _read(server, "count")["total"]
    return number


def counted(server: FootfallServer) -> Counter[str]:
    """All views by page. The three ways to read them have to agree: the site's own line, its days, and its pages."""
    pages = Counter({row["page"]: row["views"] for row in _read(server, "pages?period=all&limit=1000")["pages"]})
    days = sum(n for _, n in _read(server, "series?tier=day")["points"])
    if not total(server) == days == pages.total():
        raise AssertionError(f"{total(server)} in total, {days} by days, {pages.total()} by pages")
    return pages


def ledger(server: FootfallServer) -> Mapping[str, float]:
    """The views in /metrics by what became of them (`received`, `counted`, `duplicate`, `dropped`, `failed`) and `pending`."""
    rows: Counter[str] = Counter()
    for line in ask(server, "/metrics").body.decode().splitlines():
        if line.startswith("footfall_views_"):
            name, _, number = line.removeprefix("footfall_views_").rpartition(" ")
            rows[name.partition("{")[0].removesuffix("_total")] += int(float(number))
    return rows
