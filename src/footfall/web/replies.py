"""What every counting reply has in common: its headers, and sending it in as few steps as the server allows.

Replies on the hot path are ready-made: building a Response object for each view was measured to cost a tenth of the server's
throughput.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.responses import Response
from starlette.types import Send

from footfall.model import Count, Drop, DropReason, Outcome

RawHeaders = list[tuple[bytes, bytes]]

_json = msgspec.json.Encoder()


class CountReply(msgspec.Struct, frozen=True):
    """The count JSON of the interface: views in the past `window` seconds, today (UTC), in total; `at` in Unix seconds."""

    site: str
    page: str | None
    window: int
    views: int | None
    today: int | None
    total: int | None
    at: int | None
    instance: str


def count_json(site: str, page: str | None, window: int, count: Count | None, at: int | None, instance: str) -> bytes:
    """The count JSON; without a count (a view that waits in the spool) its numbers are null."""
    views, today, total = (count.views, count.today, count.total) if count else (None, None, None)
    return _json.encode(CountReply(site, page, window, views, today, total, at, instance))


class Reply(msgspec.Struct, frozen=True, eq=False):
    """A whole reply, ready-made: two that look alike are two."""

    status: int
    headers: RawHeaders
    body: bytes = b""


#: The header that says that a connection takes no more requests.
CLOSE = (b"connection", b"close")

#: Replies that are kept as bytes: more than there are outcomes, or some are made again each time.
_MOST_MADE = 64


class Wire:
    """Replies as they go over the wire, with the server's own headers, which change once a second."""

    def __init__(self) -> None:
        self._defaults: RawHeaders = []
        self._made: dict[Reply, bytes] = {}

    def bytes_of(self, reply: Reply, defaults: RawHeaders, *, closes: bool) -> bytes:
        """A whole reply of HTTP/1.1; with `closes` it says that the connection takes no more requests."""
        if closes:
            return _bytes_of(reply, defaults if CLOSE in defaults else [*defaults, CLOSE])
        if defaults is not self._defaults or len(self._made) > _MOST_MADE:
            self._defaults = defaults
            self._made.clear()
        made = self._made.get(reply)
        if made is None:
            made = self._made[reply] = _bytes_of(reply, defaults)
        return made


def _bytes_of(reply: Reply, defaults: RawHeaders) -> bytes:
    lines = [b"HTTP/1.1 %d %s\r\n" % (reply.status, HTTPStatus(reply.status).phrase.encode())]
    for name, value in (*defaults, *reply.headers):
        lines += [name, b": ", value, b"\r\n"]
    return b"".join([*lines, b"\r\n", reply.body])


class CountingReplies:
    """What this instance's replies to views have in common."""

    def __init__(self, instance: str) -> None:
        #: Where no view was taken.
        self.bare_headers: RawHeaders = [
            (b"cache-control", b"no-store"),
            (b"access-control-allow-origin", b"*"),
            (b"access-control-expose-headers", b"X-Footfall, X-Footfall-Instance"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            (b"x-footfall-instance", instance.encode("latin-1")),
        ]

    def headers(self, outcome: Outcome | Drop) -> RawHeaders:
        """The headers that say what became of the view."""
        return [(b"x-footfall", outcome_text(outcome)), *self.bare_headers]

    def with_body(self, outcome: Outcome | Drop, status: int, content_type: bytes, body: bytes) -> Reply:
        """A reply with a body."""
        length = str(len(body)).encode()
        return Reply(status, [*self.headers(outcome), (b"content-type", content_type), (b"content-length", length)], body)

    async def send_body(self, send: Send, outcome: Outcome | Drop, status: int, content_type: bytes, body: bytes) -> None:
        """Answer with a body."""
        await send_reply(send, self.with_body(outcome, status, content_type, body))


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole reply the ASGI way."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


_REFUSED = b"dropped; reason=" + DropReason.TOO_MANY_PAGES.encode()


def outcome_text(outcome: Outcome | Drop) -> bytes:
    """The value of X-Footfall."""
    if isinstance(outcome, Drop):
        return b"dropped; reason=" + outcome.reason.encode()
    if outcome is Outcome.REFUSED:
        return _REFUSED
    return outcome.encode()


def json_reply(body: bytes) -> Response:
    """A reply in JSON that scripts of any site may read, and nobody keeps."""
    return Response(
        body, headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}, media_type="application/json"
    )
