"""The middlewares count the pages of real applications, and are never noticed by those who read them."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import django
import fastapi
import flask
import httpx
import pytest
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from footfall.client import Client
from footfall.middleware import FootfallMiddleware, FootfallWSGIMiddleware, asgi
from footfall.model import DEFAULT_RETENTION, WHOLE_SITE
from footfall.settings import Settings, load_settings
from footfall.stores import open_store
from tests.integration.in_process import CHROME, SITE, running

HTML = "<!doctype html><title>a page</title>"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"store": f"sqlite:///{tmp_path}/footfall.db", "sites": f"{SITE},example.org"}, {}, None)


async def totals(settings: Settings, *pages: str, site: str = SITE) -> list[int]:
    """The views of pages, in all."""
    store = open_store(settings.store, time.time, DEFAULT_RETENTION, 600)
    try:
        counts = (await store.counts(site, pages, 60)).pages
        return [counts[page].total for page in pages]
    finally:
        await store.close()


# Applications, each in its framework's own way: / and /a are pages, the others are not


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


urlpatterns = [path("", _django_page), path("a", _django_page), path("json", _django_json)]


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


# ASGI


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
        self._has_one = await self._from_app.get() != "none"

    async def __aexit__(self, *_: object) -> None:
        if self._has_one:
            await self._to_app.put({"type": "lifespan.shutdown"})
            await self._from_app.get()
        await self._task


@pytest.mark.parametrize("make_app", [starlette_app, fastapi_app])
async def test_an_asgi_application_s_pages_are_counted(settings: Settings, make_app: Callable[[], Any]) -> None:
    """HTML to a GET, by people; JSON, robots, prefetches, errors and other methods are not."""
    app = FootfallMiddleware(make_app(), site=SITE, settings=settings)
    async with Lifespan(app), asking(app) as client:
        for address in ("/", "/a", "/a?utm_campaign=x", "/json", "/text", "/gone", "/moved", "/fails", "/none"):
            await client.get(address)
        await client.head("/a")
        await client.post("/a")
        await client.get("/a", headers={"user-agent": "Googlebot/2.1"})
        await client.get("/a", headers={"sec-purpose": "prefetch"})
    assert await totals(settings, "/", "/a", WHOLE_SITE) == [1, 2, 3]


async def test_django_s_pages_are_counted_without_a_lifespan(settings: Settings) -> None:
    """Its ASGI application has none: counting begins with the first page."""
    app = FootfallMiddleware(django_asgi_app(), site=SITE, settings=settings)
    async with Lifespan(app), asking(app) as client:
        assert (await client.get("/")).text == HTML
        await client.get("/json")
        await client.get("/a")
        async with asyncio.timeout(30):
            while await totals(settings, WHOLE_SITE) != [2]:  # noqa: ASYNC110 - what is waited for is in a file
                await asyncio.sleep(0.05)
    await app._sink.stop()


async def test_responses_pass_unchanged(settings: Settings) -> None:
    """Streams come in their parts, errors as they are, and headers too."""
    plain, counted = starlette_app(), FootfallMiddleware(starlette_app(), site=SITE, settings=settings)
    async with Lifespan(counted), asking(plain) as without, asking(counted) as with_it:
        for address in ("/", "/stream", "/json", "/gone", "/moved", "/fails", "/none"):
            one, other = await without.get(address), await with_it.get(address)
            assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)
    assert await totals(settings, "/stream") == [1]


async def test_the_host_names_the_site(settings: Settings) -> None:
    """Where none is fixed; a host that is no site is the home site's."""
    app = FootfallMiddleware(starlette_app(), settings=settings)
    async with Lifespan(app), asking(app) as client:
        for host in ("example.org", "EXAMPLE.ORG:8080", "elsewhere.example"):
            await client.get("/", headers={"host": host})
    assert await totals(settings, WHOLE_SITE, site="example.org") == [2]
    assert await totals(settings, WHOLE_SITE) == [1]


async def test_a_store_that_can_not_be_used_breaks_nothing(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Pages are shown, and the log says once why they are not counted."""
    (tmp_path / "wrong.db").write_text("no database, but long enough to be looked at" * 100)
    settings = load_settings({"store": f"sqlite:///{tmp_path}/wrong.db", "sites": SITE}, {}, None)
    app = FootfallMiddleware(starlette_app(), site=SITE, settings=settings)
    async with Lifespan(app), asking(app) as client:
        for _ in range(3):
            assert (await client.get("/")).text == HTML
    assert caplog.text.count("not counted") == 1


async def test_pages_go_through_a_client_to_a_server() -> None:
    """With the address and the agent that asked for them."""
    async with running() as server:
        secret = (await server.token(f"write:{SITE}"))["authorization"].removeprefix("Bearer ")
        client = Client("http://footfall.example", secret, SITE, transport=server.client._transport)
        app = FootfallMiddleware(starlette_app(), site=SITE, client=client)
        async with Lifespan(app), asking(app) as asker:
            await asker.get("/a", headers={"referer": "https://www.google.com/"})
            await asker.get("/json")
            await asker.get("/a", headers={"purpose": "prefetch"})
        assert (client.stats.counted, client.stats.given_up) == (1, 0)


# WSGI


def call(app: Any, method: str, address: str, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Ask a WSGI application as a server does: read all of the body, then close it."""
    target, _, query = address.partition("?")
    said: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        said.append(status)
        return lambda _: None

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": target,
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


@pytest.fixture
def counted_by(settings: Settings) -> Iterator[Callable[[Any], FootfallWSGIMiddleware]]:
    made: list[FootfallWSGIMiddleware] = []

    def wrap(app: Any) -> FootfallWSGIMiddleware:
        made.append(FootfallWSGIMiddleware(app, site=SITE, settings=settings))
        return made[-1]

    yield wrap
    for each in made:
        each.close()


@pytest.mark.parametrize("make_app", [flask_app, django_wsgi_app])
async def test_a_wsgi_application_s_pages_are_counted(
    settings: Settings, counted_by: Callable[[Any], FootfallWSGIMiddleware], make_app: Callable[[], Any]
) -> None:
    """In a thread of their own, drained when it is closed."""
    app = counted_by(make_app())
    for method, address, headers in (
        ("GET", "/", {}),
        ("GET", "/a?utm_campaign=x", {}),
        ("GET", "/a", {"user_agent": "Googlebot/2.1"}),
        ("GET", "/a", {"sec_purpose": "prefetch"}),
        ("GET", "/json", {}),
        ("GET", "/none", {}),
        ("HEAD", "/a", {}),
    ):
        call(app, method, address, headers)
    await asyncio.to_thread(app.close)
    assert await totals(settings, "/", "/a", WHOLE_SITE) == [1, 1, 2]


async def test_a_wsgi_response_passes_unchanged(counted_by: Callable[[Any], FootfallWSGIMiddleware]) -> None:
    """Its status and its body, streamed or not."""
    plain = flask_app()
    app = counted_by(flask_app())
    for address in ("/", "/stream", "/json", "/none"):
        assert call(app, "GET", address) == call(plain, "GET", address)


async def test_a_path_that_is_not_ascii_is_the_page_it_is(
    settings: Settings, counted_by: Callable[[Any], FootfallWSGIMiddleware]
) -> None:
    """WSGI shows its UTF-8 as latin-1."""

    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b""]

    counted = counted_by(app)
    call(counted, "GET", "/é ü".encode().decode("latin-1"))
    await asyncio.to_thread(counted.close)
    assert await totals(settings, "/é ü") == [1]


async def test_at_the_end_of_the_process_what_was_shown_is_counted(tmp_path: Path) -> None:
    """A WSGI server that just ends: the thread that counts is waited for while the store can still be written."""
    program = f"""
import sys
from footfall.middleware import FootfallWSGIMiddleware
from footfall.settings import load_settings
settings = load_settings({{"store": "sqlite:///{tmp_path}/footfall.db", "sites": "{SITE}"}}, {{}}, None)
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"x"]
counted = FootfallWSGIMiddleware(app, site="{SITE}", settings=settings)
environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "HTTP_USER_AGENT": {CHROME!r}, "REMOTE_ADDR": "203.0.113.7"}}
for _ in range(3):
    body = counted(dict(environ), lambda *_: None)
    list(body)
    body.close()
"""
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, said = await ended.communicate()
    assert (ended.returncode, said) == (0, b"")
    settings = load_settings({"store": f"sqlite:///{tmp_path}/footfall.db", "sites": SITE}, {}, None)
    assert await totals(settings, "/a") == [3]


async def test_what_waits_for_a_store_to_open_is_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes long to open, and visitors that come meanwhile: so many are kept for it and no more."""
    monkeypatch.setattr(asgi, "MAX_UNDER_WAY", 5)
    opened = asyncio.Event()

    class Sink:
        shown = 0

        async def start(self) -> None:
            await opened.wait()

        def count(self, _shown: object) -> None:
            Sink.shown += 1

        async def stop(self) -> None:
            return

    app = FootfallMiddleware(starlette_app(), site=SITE, settings=settings)
    app._sink = Sink()
    async with asking(app) as client:
        for _ in range(20):
            await client.get("/")
        opened.set()
        async with asyncio.timeout(30):
            while Sink.shown < 5:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert Sink.shown == 5
        await client.get("/")
        assert Sink.shown == 6
