"""`GET /api/v1/sites/SITE/live`: the past minute as server-sent events, an event a second, each the whole state.

The format is that of the HTML standard, section 9.2 "Server-sent events". A stream ends with a jittered `retry:` when this
instance stops, so that its watchers do not all come to the next one in the same moment. What is in an event is `reading.live`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from footfall.errors import StoreError
from footfall.headers import headers_of
from footfall.reading.live import Live, TooManyWatchers
from footfall.registry.sites import Sites
from footfall.web.permissions import Access
from footfall.web.problems import problem, unauthorized
from footfall.web.replies import RawHeaders
from footfall.web.requests import page_asked, site_asked

#: A browser that has lost its stream comes back after so many milliseconds.
RETRY_MS = 1000

#: When an instance stops, its watchers come back after a time between these, in milliseconds.
RETRY_AT_END_MS = (500, 4000)

#: Watchers that were turned away may come back after so many seconds.
RETRY_AFTER = 30

_HEADERS: RawHeaders = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"access-control-allow-origin", b"*"),
    (b"x-accel-buffering", b"no"),  # nginx, for this reply: hand on each event as it comes
]

_AWAY = b"event: away\ndata: {}\n\n"


class LiveEndpoint:
    """A plain ASGI callable: one stream."""

    def __init__(self, live: Live, sites: Sites, access: Access) -> None:
        self._live = live
        self._sites = sites
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        site = site_asked(request)
        if scope["method"] != "GET":
            await problem(405, "a stream is read with GET", {"Allow": "GET"})(scope, receive, send)
        elif not await self._access.may_read(headers_of(scope["headers"]), site):
            await unauthorized(site)(scope, receive, send)
        else:
            await self._answer(request, site, receive, send)

    async def _answer(self, request: Request, site: str, receive: Receive, send: Send) -> None:
        scope = request.scope
        page = page_asked(request, self._sites.rules(site))
        events = self._live.watch(site, page, self._access.address(request))
        async with contextlib.aclosing(events):
            try:
                first = await anext(events, None)
            except TooManyWatchers as error:
                await problem(503, str(error), {"Retry-After": str(RETRY_AFTER)})(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            streaming = asyncio.ensure_future(self._stream(first, events, headers_of(scope["headers"]), site, send))
            leaving = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (streaming, leaving):
                    task.cancel()
                await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(
        self, first: bytes | None, events: AsyncIterator[bytes], headers: Mapping[bytes, bytes], site: str, send: Send
    ) -> None:
        """Send events until there are no more, or the watcher may not see them any more; then say when to come back."""

        async def write(text: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": more})

        start = b"retry: %d\n\n" % RETRY_MS
        if first is not None:
            await write(start + _framed(first))
        async for event in events:
            if not await self._may_still_read(headers, site):
                break
            await write(_framed(event))
        await write(b"retry: %d\n\n" % random.randint(*RETRY_AT_END_MS), more=False)

    async def _may_still_read(self, headers: Mapping[bytes, bytes], site: str) -> bool:
        """Whether the watcher may go on: a log-in, a token or a link ends, and a site is made private, while one watches."""
        try:
            return await self._access.may_read(headers, site)
        except StoreError:  # a store that is away has taken nothing back
            return True


def _framed(event: bytes) -> bytes:
    """An event of the live stream as the format has it; none is one of its own kind."""
    return b"data: " + event + b"\n\n" if event else _AWAY


async def _left(receive: Receive) -> None:
    """Wait until the watcher has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
