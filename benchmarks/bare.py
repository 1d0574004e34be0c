"""The server that others are compared with: a Starlette application that answers everything with a constant 204.

It is what anyone would write and start with plain uvicorn: nothing is read, kept or counted. BARE_HEADERS says how many
headers it sends beside uvicorn's own two, so that it writes as many as the server it is compared with.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


class Constant:
    """Answers 204 with the same headers always."""

    def __init__(self, headers: int) -> None:
        named = [(b"cache-control", b"no-store"), *((b"x-constant-%d" % n, b"constant") for n in range(1, headers))]
        self._headers = named[:headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": self._headers})
        await send({"type": "http.response.body", "body": b""})


_constant = Constant(int(os.environ.get("BARE_HEADERS", "3")))
app = Starlette(routes=[Route("/count", _constant), Route("/ping", _constant)])
