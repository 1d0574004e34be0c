"""The middleware of ASGI applications (Starlette, FastAPI, Litestar, Django's asgi.py, …)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall.headers import headers_of
from footfall.intake.addresses import Addresses
from footfall.middleware.sinks import MAX_UNDER_WAY, ClientSink, LocalSink, Shown, Sink, is_page
from footfall.settings import Settings, load_settings

if TYPE_CHECKING:
    from footfall.client import Client  # needs httpx, which only those need who use it

_log = logging.getLogger(__name__)


class FootfallMiddleware:
    """Counts the pages that `app` shows, after they were sent.

    `site` is what they count for; without it the Host header says, as far as it names one of the settings' sites. Views go into
    the store that `settings` name (the process's FOOTFALL_… settings where none are given), or through `client` to a server.
    It begins and drains with the application's lifespan, or with the first request where the server has none.
    """

    def __init__(
        self, app: ASGIApp, *, site: str | None = None, settings: Settings | None = None, client: Client | None = None
    ) -> None:
        self._app = app
        given = settings or load_settings()
        self._sink: Sink
        if client is not None:
            self._sink = ClientSink(client, Addresses(given.trusted_proxies, given.client_address_header))
        else:
            self._sink = LocalSink(given, site)
        self._begun: asyncio.Task[bool] | None = None
        self._early = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._with_lifespan(send))
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        shows_page = False

        async def watch(message: Message) -> None:
            nonlocal shows_page
            if message["type"] == "http.response.start":
                lower = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
                shows_page = is_page(scope["method"], message["status"], lower.get(b"content-type", b""))
            await send(message)

        await self._app(scope, receive, watch)
        if shows_page:
            self._count(_shown(scope))

    def _count(self, shown: Shown) -> None:
        """Count a page, once the sink has begun; whoever asked for the page does not wait for that."""
        if self._begun is not None and self._begun.done():
            if self._begun.result():
                self._sink.count(shown)
            return
        self._early += 1
        if self._early <= MAX_UNDER_WAY:  # a store that takes long to open must not fill the memory meanwhile
            begun = self._begin()
            begun.add_done_callback(lambda task: self._sink.count(shown) if not task.cancelled() and task.result() else None)

    def _begin(self) -> asyncio.Task[bool]:
        if self._begun is None:
            self._begun = asyncio.get_running_loop().create_task(self._start(), name="footfall-middleware")
        return self._begun

    async def _start(self) -> bool:
        try:
            await self._sink.start()
        except Exception as error:  # the application must run whatever the store does
            _log.error("pages are not counted: %s", error)
            return False
        return True

    def _with_lifespan(self, send: Send) -> Send:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._begin()
            elif message["type"].startswith("lifespan.shutdown.") and self._begun is not None and await self._begun:
                await self._sink.stop()
            await send(message)

        return watch


def _shown(scope: Scope) -> Shown:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope["path"]
    query = scope.get("query_string", b"").decode("latin-1")
    client = scope.get("client")
    return Shown(f"{path}?{query}" if query else path, headers_of(list(scope["headers"])), client[0] if client else "")
