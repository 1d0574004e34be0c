"""What a request that is not just a view gets: an id that is in its log lines and in its reply, and a row in the ledger.

The id is the one that a proxy or client sent as X-Request-Id, where that is harmless to repeat, or a new one. Views that are
taken get none, for none of them is logged: the hot endpoints come here with their errors only. This module knows no endpoint.
"""

from __future__ import annotations

import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall.telemetry.ledger import Ledger
from footfall.telemetry.structured import structlog

HEADER = b"x-request-id"

#: Ids that are taken over: long enough to tell requests apart, short enough for every log line, and of letters that mean nothing
#: to a terminal, to HTML or to a shell. No dots and colons: an id is no address.
_WELL_FORMED = re.compile(rb"[A-Za-z0-9_-]{8,64}")


def request_id(scope: Scope) -> str:
    """The request's id: the one it came with, if there is one and it is well formed, else a new one of 32 hexadecimal digits."""
    for name, value in scope["headers"]:
        if name == HEADER and _WELL_FORMED.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(16)


def accompanied(scope: Scope, send: Send, ledger: Ledger) -> Send:
    """Bind the request's id to the log lines of the running task; return what sends the reply with that id, and counts it.

    The server runs a task for each request, so nothing has to be unbound; its own lines about the request have the id, too.
    """
    id = request_id(scope)
    structlog.contextvars.bind_contextvars(request_id=id)
    header = (HEADER, id.encode())

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            ledger.replied(message["status"])
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await send(message)

    return send_with_id


class Accompanied:
    """An application whose every request is accompanied."""

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface, for HTTP requests only."""
        await self._app(scope, receive, accompanied(scope, send, self._ledger))
