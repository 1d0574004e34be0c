"""The whole application in this process, on a store in memory, asked through its ASGI interface: quick, and every part real."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx

from footfall.auth import read_scope
from footfall.settings import load_settings
from footfall.web.app import Parts, build, make_app
from footfall.web.ingest.front import Front

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
SITE = "example.com"


@dataclass
class InProcess:
    """An application that runs, its parts, and a client of it."""

    parts: Parts
    client: httpx.AsyncClient

    async def token(self, *scopes: str) -> dict[str, str]:
        """The header of a new token with these scopes."""
        made = await self.parts.credentials.make_token("a test's", frozenset(map(read_scope, scopes)))
        return {"authorization": f"Bearer {made.secret}"}


@contextlib.asynccontextmanager
async def running(
    clock: Callable[[], float] | None = None, peer: str = "127.0.0.1", **settings: object
) -> AsyncIterator[InProcess]:
    """Run the application with these settings; its site is example.com unless they say otherwise."""
    chosen = load_settings({"store": "memory://", "sites": SITE, "public_sites": "", **settings}, {}, None)
    chosen_clock = clock or time.time
    parts = build(chosen, "here", chosen_clock)
    app: Front = make_app(chosen, "here", chosen_clock, parts)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 12345))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=transport, base_url="http://footfall.example", headers={"user-agent": CHROME}) as client,
    ):
        yield InProcess(parts, client)
