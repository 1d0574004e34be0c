"""The ASGI middleware counts the pages of real applications, and is never noticed by those who read them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from footfall.client import Client
from footfall.errors import BadInput
from footfall.middleware import FootfallMiddleware, FootfallWSGIMiddleware, sinks
from footfall.middleware.sinks import RunningSink, Shown
from footfall.model import WHOLE_SITE
from footfall.settings import Settings, load_settings
from tests.integration.in_process import SITE, running
from tests.integration.library.applications import HTML, Lifespan, asking, django_asgi_app, fastapi_app, starlette_app, totals


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


async def test_an_application_that_knows_no_lifespan_is_drained_as_well(settings: Settings) -> None:
    """Django's raises, others end without a word: the middleware answers the server in their place."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await fastapi_app()(scope, receive, send)

    for views, inner in enumerate((django_asgi_app(), silent), 1):
        app = FootfallMiddleware(inner, site=SITE, settings=settings)
        lifespan = Lifespan(app)
        async with lifespan, asking(app) as client:
            assert (await client.get("/a")).text == HTML
            await client.get("/json")
        assert lifespan.has_one
        assert await totals(settings, WHOLE_SITE) == [views]


async def test_an_application_that_fails_to_start_says_so(settings: Settings) -> None:
    """What it raises is the server's to see, and nothing is counted."""

    async def failing(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        raise RuntimeError("the application's own")

    app = FootfallMiddleware(failing, site=SITE, settings=settings)
    lifespan = Lifespan(app)
    async with lifespan:
        assert not lifespan.has_one
    assert app._running is None


async def test_an_application_may_be_started_again(settings: Settings) -> None:
    """As tests do, each time for itself, into the store and through a client."""
    app = FootfallMiddleware(starlette_app(), site=SITE, settings=settings)
    async with running() as server:
        secret = (await server.token(f"write:{SITE}"))["authorization"].removeprefix("Bearer ")
        client = Client("http://footfall.example", secret, SITE, transport=server.client._transport)
        through = FootfallMiddleware(starlette_app(), site=SITE, client=client)
        for started in (1, 2, 3):
            for each in (app, through):
                async with Lifespan(each), asking(each) as asker:
                    await asker.get("/a")
            assert await totals(settings, "/a") == [started]
            assert client.stats.counted == started


def test_without_a_lifespan_one_warning_says_so(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """As with a test client that is not entered, which has a loop for each request: pages are shown, and nothing breaks."""
    app = FootfallMiddleware(starlette_app(), site=SITE, settings=settings)

    async def ask() -> str:
        async with asking(app) as client:
            return (await client.get("/")).text

    assert [asyncio.run(ask()) for _ in range(3)] == [HTML] * 3
    assert [record.levelname for record in caplog.records if record.name.startswith("footfall")] == ["WARNING"]
    assert "with TestClient(app)" in caplog.text


async def test_without_a_lifespan_pages_are_counted_as_long_as_the_server_runs(settings: Settings) -> None:
    """Counting begins with the first page."""
    app = FootfallMiddleware(starlette_app(), site=SITE, settings=settings)
    async with asking(app) as client:
        await client.get("/")
        await client.get("/a")
    await app._end()
    assert await totals(settings, "/", "/a") == [1, 1]


@pytest.mark.parametrize("make_app", [starlette_app, fastapi_app, django_asgi_app])
async def test_pages_in_another_alphabet_are_counted_under_their_names(settings: Settings, make_app: Callable[[], Any]) -> None:
    """However the server gives their paths: as they were written, or decoded."""
    app = FootfallMiddleware(make_app(), site=SITE, settings=settings)
    async with Lifespan(app), asking(app) as client, asking(_decoding(app)) as other:
        for address in ("/é", "/文", "/文?q=文"):
            for each in (client, other):
                assert (await each.get(address)).status_code == 200
    assert await totals(settings, "/é", "/文", WHOLE_SITE) == [2, 4, 6]


def _decoding(app: Any) -> Any:
    """Asks an application as servers do that know no raw_path."""

    async def ask(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)

    return ask


async def test_what_an_application_does_to_its_scope_is_not_counted(settings: Settings) -> None:
    """The page that was asked for is, by the visitor who asked, whatever the application leaves of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope.clear()
            scope.update(path="/changed", raw_path=b"/changed", headers=[(b"user-agent", b"Googlebot/2.1")], method="POST")
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b""})

    counted = FootfallMiddleware(app, site=SITE, settings=settings)
    async with Lifespan(counted), asking(counted) as client, asking(_decoding(counted)) as other:
        await client.get("/asked")
        await other.get("/100%25%3F")
    assert await totals(settings, "/asked", "/100%25%3F", WHOLE_SITE) == [1, 1, 2]


@pytest.mark.parametrize("site", ["ftp://example.com", "example com", "example.com:0"])
def test_a_site_that_is_no_name_is_refused(settings: Settings, site: str) -> None:
    """Before anything is served, by both middlewares."""
    for middleware in (FootfallMiddleware, FootfallWSGIMiddleware):
        with pytest.raises(BadInput, match="site: write a "):
            middleware(starlette_app(), site=site, settings=settings)  # type: ignore[arg-type]


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


async def test_what_waits_for_a_store_to_open_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes long to open, and visitors that come before: so many are kept for it and no more."""
    monkeypatch.setattr(sinks, "MAX_UNDER_WAY", 5)
    opened = asyncio.Event()

    class Sink:
        shown = 0

        async def start(self) -> None:
            await opened.wait()

        def count(self, _shown: object) -> None:
            Sink.shown += 1

        async def stop(self) -> None:
            return

    sink = RunningSink(Sink, asyncio.get_running_loop())
    shown = Shown("/", {}, "")
    for _ in range(20):
        sink.count(shown)
    opened.set()
    await sink.started()
    sink.count(shown)
    await asyncio.sleep(0)
    assert Sink.shown == 6
    await sink.stop()
