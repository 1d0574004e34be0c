"""`/count` and `/count.gif`: the hot endpoints. Everything is taken from path, query and headers; no body is read."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Protocol

from starlette.types import Receive, Scope, Send

from footfall.counter import Counter
from footfall.errors import StoreError
from footfall.intake.request import Intake
from footfall.metrics import Ledger
from footfall.model import Drop, View
from footfall.open_batch import Outcome, Settled
from footfall.web.problems import answer_error, problem
from footfall.web.replies import CountingReplies, count_json

#: A transparent picture of one pixel (GIF89a), 43 bytes.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

_PREFLIGHT = [
    (b"allow", b"GET, POST, HEAD, OPTIONS"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]


class Readers(Protocol):
    """Who may read which site's numbers."""

    async def may_read(self, headers: Mapping[bytes, bytes], site: str) -> bool:
        """Whether who sends these headers may see the numbers of `site`."""
        ...


class _HotEndpoint(abc.ABC):
    """What both have in common: GET and POST count, and errors are answered here, for no router stands before it."""

    _ledger: Ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] in ("GET", "POST"):
                await self._count(scope, send)
            else:
                await answer_other_method(scope, receive, send)
        except Exception as error:
            await answer_error(error, scope, receive, send, self._ledger)

    @abc.abstractmethod
    async def _count(self, scope: Scope, send: Send) -> None:
        """Count the view a request names, and answer."""


class CountEndpoint(_HotEndpoint):
    """Counts the view a request names, and answers 204, or with the page's counts where JSON is asked for and may be read."""

    def __init__(
        self,
        intake: Intake,
        counter: Counter,
        ledger: Ledger,
        readers: Readers,
        replies: CountingReplies,
        instance: str,
        window: int,
    ) -> None:
        self._intake = intake
        self._counter = counter
        self._ledger = ledger
        self._readers = readers
        self._replies = replies
        self._instance = instance
        self._window = window

    async def _count(self, scope: Scope, send: Send) -> None:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        peer = peer_of(scope)
        judged = self._intake.judge(scope["query_string"], headers, peer)
        if isinstance(judged, Drop):
            self._counter.dropped(judged)
            await self._replies.send_empty(send, judged)
            return
        wants_json = b"application/json" in headers.get(b"accept", b"") and await self._may_read(headers, judged.site)
        settled = await self._counter.count(judged, wanted=wants_json)
        if settled.opened:
            self._intake.note_opened(judged.site, headers, peer)
        if wants_json and settled.outcome is not Outcome.REFUSED:
            await self._answer_json(judged, settled, send)
        else:
            await self._replies.send_empty(send, settled.outcome)

    async def _may_read(self, headers: Mapping[bytes, bytes], site: str) -> bool:
        """Whether the caller may; one whose credentials a store that is away can't confirm may not, but is counted."""
        try:
            return await self._readers.may_read(headers, site)
        except StoreError:
            return False

    async def _answer_json(self, view: View, settled: Settled, send: Send) -> None:
        body = count_json(view.site, view.page, self._window, settled.count, settled.at, self._instance)
        status = 202 if settled.outcome is Outcome.SPOOLED else 200
        await self._replies.send_body(send, settled.outcome, status, b"application/json", body)


class PixelEndpoint(_HotEndpoint):
    """The same, answered with a picture of one pixel."""

    def __init__(self, intake: Intake, counter: Counter, ledger: Ledger, replies: CountingReplies) -> None:
        self._intake = intake
        self._counter = counter
        self._ledger = ledger
        self._replies = replies

    async def _count(self, scope: Scope, send: Send) -> None:
        headers, peer = dict(scope["headers"]), peer_of(scope)
        judged = self._intake.judge(scope["query_string"], headers, peer)
        outcome: Outcome | Drop
        if isinstance(judged, Drop):
            self._counter.dropped(judged)
            outcome = judged
        else:
            settled = await self._counter.count(judged)
            if settled.opened:
                self._intake.note_opened(judged.site, headers, peer)
            outcome = settled.outcome
        await self._replies.send_body(send, outcome, 200, b"image/gif", PIXEL)


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection, "" where there is none (a socket in the file system)."""
    client = scope.get("client")
    return client[0] if client else ""


async def answer_other_method(scope: Scope, receive: Receive, send: Send) -> None:
    """HEAD and OPTIONS are answered and never count; other methods are refused."""
    method = scope["method"]
    if method == "OPTIONS":
        await send({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
        await send({"type": "http.response.body", "body": b""})
    elif method == "HEAD":
        await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b""})
    else:
        reply = problem(405, "views are counted with GET or POST", {"Allow": "GET, POST, HEAD, OPTIONS"})
        await reply(scope, receive, send)
