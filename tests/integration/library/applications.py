"""Applications whose pages are counted, each in its framework's own way, and how they are started and asked.

Of each, / and /a are pages; so are /é and /文, and the others are not.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import django
import fastapi
import flask
import httpx
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from footfall.model import DEFAULT_RETENTION
from footfall.settings import Settings
from footfall.stores import open_store
from tests.integration.in_process import CHROME, SITE

HTML = "<!doctype html><title>a page</title>"


async def totals(settings: Settings, *pages: str, site: str = SITE) -> list[int]:
    """The views of pages, in all."""
    store = open_store(settings.store, time.time, DEFAULT_RETENTION, 600)
    try:
        counts = (await store.counts(site, pages, 60)).pages
        return [counts[page].total for page in pages]
    finally:
        await store.close()


async def _streamed() -> AsyncIterator[str]:
    for part in ("<html>", "<p>", "end"):
        yield part


def starlette_app() -> Starlette:
    async def page(_: Request) -> Response:
        return HTMLResponse(HTML)

    async def fail(_: Request) -> Response:
        raise RuntimeError("the application's own")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/a", page, methods=["GET", "POST"]),
            Route("/é", page),
            Route("/文", page),
            Route("/stream", lambda _: StreamingResponse(_streamed(), media_type="text/html")),
            Route("/json", lambda _: JSONResponse({})),
            Route("/text", lambda _: PlainTextResponse("text")),
            Route("/gone", lambda _: HTMLResponse(HTML, 404)),
            Route("/moved", lambda _: RedirectResponse("/a")),
            Route("/fails", fail),
        ]
    )


def fastapi_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/", response_class=HTMLResponse)
    def home() -> str:
        return HTML

    @app.get("/é", response_class=HTMLResponse)
    @app.get("/文", response_class=HTMLResponse)
    @app.get("/a", response_class=HTMLResponse)
    async def article() -> str:
        return HTML

    @app.get("/json")
    def data() -> dict[str, int]:
        return {"a": 1}

    return app


def flask_app() -> flask.Flask:
    app = flask.Flask("shop", root_path=str(Path(__file__).parent))

    @app.get("/")
    @app.get("/a")
    @app.get("/é")
    @app.get("/文")
    def page() -> str:
        return HTML

    @app.get("/json")
    def data() -> dict[str, int]:
        return {"a": 1}

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(iter(["<html>", "end"]), mimetype="text/html")

    return app


def _django_page(_: HttpRequest) -> HttpResponse:
    return HttpResponse(HTML)


def _django_json(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


urlpatterns = [*(path(page, _django_page) for page in ("", "a", "é", "文")), path("json", _django_json)]


def configure_django() -> None:
    """Once a process: Django has one configuration."""
    if not django_settings.configured:
        django_settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for a test", USE_TZ=True)
        django.setup()


def django_asgi_app() -> Any:
    configure_django()
    return get_asgi_application()


def django_wsgi_app() -> Any:
    configure_django()
    return get_wsgi_application()


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url=f"http://{SITE}",
        headers={"user-agent": CHROME},
    )


class Lifespan:
    """Starts and stops an ASGI application as a server does; one without a lifespan is left alone."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[str] = asyncio.Queue()

    async def _run(self) -> None:
        async def send(message: dict[str, Any]) -> None:
            await self._from_app.put(message["type"])

        try:
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._to_app.get, send)
        except Exception:  # it has none
            await self._from_app.put("none")

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())
        await self._to_app.put({"type": "lifespan.startup"})
        self.has_one = await self._from_app.get() != "none"

    async def __aexit__(self, *_: object) -> None:
        if self.has_one:
            await self._to_app.put({"type": "lifespan.shutdown"})
            await self._from_app.get()
        await self._task


def call(app: Any, method: str, address: str, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Ask a WSGI application as a server does: read all of the body, then close it."""
    target, _, query = address.partition("?")
    said: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        said.append(status)
        return lambda _: None

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": target.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": SITE,
        "SERVER_PORT": "80",
        "HTTP_HOST": SITE,
        "HTTP_USER_AGENT": CHROME,
        "REMOTE_ADDR": "203.0.113.7",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        **{f"HTTP_{name.upper()}": value for name, value in (headers or {}).items()},
    }
    body: Iterable[bytes] = app(environ, start_response)
    content = b"".join(body)
    close = getattr(body, "close", None)
    if close:
        close()
    return said[0], content
