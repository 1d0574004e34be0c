"""`/count` and `/count.gif`: the hot endpoints. Everything is taken from path, query and headers; no body is read."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from footfall.counting.counter import Counter
from footfall.counting.recording import Recorder, outcome_of
from footfall.errors import NotAcknowledged
from footfall.headers import headers_of
from footfall.intake.request import Intake
from footfall.model import Drop, Outcome, Settled, View
from footfall.telemetry.ledger import Ledger
from footfall.web.problems import answer_error, problem
from footfall.web.replies import CountingReplies, RawHeaders, Reply, count_json, outcome_text, send_reply
from footfall.web.requests import peer_of

#: A transparent picture of one pixel (GIF89a), 43 bytes.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

_PREFLIGHT = [
    (b"allow", b"GET, POST, HEAD, OPTIONS"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]


_JSON = b"application/json"


class Readers(Protocol):
    """Who may read which site's numbers."""

    async def is_known_reader(self, headers: Mapping[bytes, bytes], site: str) -> bool:
        """Whether the sender of these headers may see the numbers of `site`; False where the store, being away, can't tell."""
        ...


class Asker(Protocol):
    """Who asked for a view to be counted and is called when that is done: one of the two, once."""

    def answer(self, reply: Reply) -> None: ...
    def refuse(self, error: Exception) -> None: ...


class HotEndpoint(abc.ABC):
    """What both have in common: GET and POST count, and errors are answered here, for no router stands before it.

    It is an ASGI application, and may be asked directly too: `begin` needs no task for a request.
    """

    def __init__(self, intake: Intake, counter: Counter, ledger: Ledger, replies: CountingReplies) -> None:
        self._intake = intake
        self._counter = counter
        self._recorder = Recorder(intake, counter)
        self._ledger = ledger
        self._replies = replies
        self._made: dict[bytes, Reply] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] in ("GET", "POST"):
                await self._count(scope, send)
            else:
                await answer_other_method(scope, receive, send)
        except Exception as error:
            await answer_error(error, scope, receive, send, self._ledger)

    def begin(self, query: bytes, headers: Mapping[bytes, bytes], peer: str, asker: Asker) -> bool:
        """Take over a GET without a body, and tell `asker` what came of it, now or later.

        False: nothing was done and nobody will be told; the request must be answered as an ASGI application's, as all must that
        have more to them than a view, and those that are at fault.
        """
        if not self._counter.takes_views or self._needs_more(headers):
            return False
        try:
            classified = self._intake.classify(query, headers, peer)
        except Exception:
            return False

        def tell(result: Settled | Drop | NotAcknowledged) -> None:
            if isinstance(result, NotAcknowledged):
                asker.refuse(result)
            else:
                asker.answer(self._reply(outcome_of(result)))

        self._recorder.submit(classified, headers, peer, tell)
        return True

    async def refusal(self, error: Exception, headers: RawHeaders) -> Reply:
        """The reply to a request of these headers that was begun and failed."""
        said: list[Message] = []

        async def hear(message: Message) -> None:
            said.append(message)

        scope: Scope = {"type": "http", "method": "GET", "headers": headers}
        await answer_error(error, scope, _nothing_more, hear, self._ledger)
        start, *bodies = said
        return Reply(start["status"], start["headers"], b"".join(each.get("body", b"") for each in bodies))

    def _reply(self, outcome: Outcome | Drop) -> Reply:
        """What says this outcome, the same each time: there are as many as outcomes and drop reasons."""
        text = outcome_text(outcome)
        made = self._made.get(text)
        if made is None:
            made = self._made[text] = self._make_reply(outcome)
        return made

    def _needs_more(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request asks for more than to be counted."""
        del headers
        return False

    @abc.abstractmethod
    async def _count(self, scope: Scope, send: Send) -> None:
        """Count the view a request names, and answer."""

    @abc.abstractmethod
    def _make_reply(self, outcome: Outcome | Drop) -> Reply:
        """The reply that says this outcome."""


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


class CountEndpoint(HotEndpoint):
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
        super().__init__(intake, counter, ledger, replies)
        self._readers = readers
        self._instance = instance
        self._window = window

    def _needs_more(self, headers: Mapping[bytes, bytes]) -> bool:
        return _JSON in headers.get(b"accept", b"")

    def _make_reply(self, outcome: Outcome | Drop) -> Reply:
        return Reply(204, self._replies.headers(outcome))

    async def _count(self, scope: Scope, send: Send) -> None:
        headers = headers_of(scope["headers"])
        peer = peer_of(scope)
        classified = self._intake.classify(scope["query_string"], headers, peer)
        wants_json = (
            self._needs_more(headers)
            and isinstance(classified, View)
            and await self._readers.is_known_reader(headers, classified.site)
        )
        result = await self._recorder.record(classified, headers, peer, wanted=wants_json)
        if wants_json and isinstance(classified, View) and isinstance(result, Settled) and result.outcome is not Outcome.REFUSED:
            await self._answer_json(classified, result, send)
        else:
            await send_reply(send, self._reply(outcome_of(result)))

    async def _answer_json(self, view: View, settled: Settled, send: Send) -> None:
        body = count_json(view.site, view.page, self._window, settled.count, settled.at, self._instance)
        status = 202 if settled.outcome is Outcome.SPOOLED else 200
        await self._replies.send_body(send, settled.outcome, status, _JSON, body)


class PixelEndpoint(HotEndpoint):
    """The same, answered with a picture of one pixel."""

    async def _count(self, scope: Scope, send: Send) -> None:
        headers, peer = headers_of(scope["headers"]), peer_of(scope)
        classified = self._intake.classify(scope["query_string"], headers, peer)
        result = await self._recorder.record(classified, headers, peer)
        await send_reply(send, self._reply(outcome_of(result)))

    def _make_reply(self, outcome: Outcome | Drop) -> Reply:
        return self._replies.with_body(outcome, 200, b"image/gif", PIXEL)


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
