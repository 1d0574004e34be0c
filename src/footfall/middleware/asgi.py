"""The middleware of ASGI applications (Starlette, FastAPI, Litestar, Django's asgi.py, …)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall.headers import headers_of
from footfall.middleware.sinks import PATH_CHARACTERS, RunningSink, Shown, is_page, sink_maker
from footfall.settings import Settings, load_settings

if TYPE_CHECKING:
    from footfall.client import Client  # needs httpx, which only those need who use it

_log = logging.getLogger(__name__)


class FootfallMiddleware:
    """Counts the pages that `app` shows, after they were sent.

    `site` is what they count for; without it the Host header says, as far as it names one of the settings' sites. Views go into
    the store that `settings` name (the process's FOOTFALL_… settings where none are given), or through `client` to a server.
    It begins and drains with the application's lifespan. Where that is not started, it begins with the first page, and warns.
    """

    def __init__(
        self, app: ASGIApp, *, site: str | None = None, settings: Settings | None = None, client: Client | None = None
    ) -> None:
        self._app = app
        self._make_sink = sink_maker(settings or load_settings(), site, None if client is None else lambda: client)
        self._running: RunningSink | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = _shown(scope)  # before the application changes it
        shows_page = False

        async def watch(message: Message) -> None:
            nonlocal shows_page
            if message["type"] == "http.response.start":
                lower = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
                shows_page = is_page(message["status"], lower.get(b"content-type", b""))
            await send(message)

        await self._app(scope, receive, watch)
        if shows_page:
            self._count(shown)

    def _count(self, shown: Shown) -> None:
        loop = asyncio.get_running_loop()
        if self._running is None:
            _log.warning(
                "the application's lifespan was not started, so views may be lost: run it with a server that starts it, add this "
                "middleware to the outermost application, and in tests write `with TestClient(app)`"
            )
            self._running = RunningSink(self._make_sink, loop)
        if self._running.loop is loop:  # a test client without its lifespan has a loop for each request
            self._running.count(shown)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin and drain with the application; for one that knows no lifespan, as Django's, answer the server in its place."""
        is_known = False

        async def listen() -> Message:
            nonlocal is_known
            is_known = True
            return await receive()

        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._running = RunningSink(self._make_sink, asyncio.get_running_loop())
                await self._running.started()
            elif message["type"].startswith("lifespan.shutdown."):
                await self._end()
            await send(message)

        try:
            try:
                await self._app(scope, listen, watch)
            except Exception as error:
                if is_known:
                    raise
                _log.debug("the application knows no lifespan: %s", error)
            if not is_known:
                await receive()
                await watch({"type": "lifespan.startup.complete"})
                await receive()
                await watch({"type": "lifespan.shutdown.complete"})
        finally:
            await self._end()  # also where the application ended without a word

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.stop()


def _shown(scope: Scope) -> Shown:
    """What was asked for. Servers that don't say how the path was written give it decoded."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"], safe=PATH_CHARACTERS, errors="replace")
    query = scope.get("query_string", b"").decode("latin-1")
    client = scope.get("client")
    return Shown(f"{path}?{query}" if query else path, headers_of(list(scope["headers"])), client[0] if client else "")
