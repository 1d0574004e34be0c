"""The WSGI middleware counts the pages of real applications, and is never noticed by those who read them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from footfall.middleware import FootfallWSGIMiddleware
from footfall.model import WHOLE_SITE
from footfall.settings import Settings, load_settings
from tests.integration.in_process import CHROME, SITE
from tests.integration.library.applications import call, django_wsgi_app, flask_app, totals


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


@pytest.mark.parametrize("make_app", [flask_app, django_wsgi_app])
async def test_pages_in_another_alphabet_are_counted_under_their_names(
    settings: Settings, counted_by: Callable[[Any], FootfallWSGIMiddleware], make_app: Callable[[], Any]
) -> None:
    """WSGI shows their UTF-8 as latin-1; Django writes it back into the environ in its own way."""
    app = counted_by(make_app())
    for address in ("/é", "/文", "/文?q=%E6%96%87"):
        assert call(app, "GET", address)[0] == "200 OK"
    await asyncio.to_thread(app.close)
    assert await totals(settings, "/é", "/文", WHOLE_SITE) == [1, 2, 3]


async def test_what_an_application_does_to_its_environ_is_not_counted(
    settings: Settings, counted_by: Callable[[Any], FootfallWSGIMiddleware]
) -> None:
    """The page that was asked for is, by the visitor who asked, whatever the application leaves of it."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ.clear()
        environ.update(PATH_INFO="/changed", REQUEST_METHOD="POST", HTTP_USER_AGENT="Googlebot/2.1")
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b""]

    counted = counted_by(app)
    call(counted, "GET", "/asked")
    await asyncio.to_thread(counted.close)
    assert await totals(settings, "/asked", WHOLE_SITE) == [1, 1]


async def test_a_path_that_a_server_gives_in_its_own_way_breaks_nothing(
    settings: Settings, counted_by: Callable[[Any], FootfallWSGIMiddleware]
) -> None:
    """Decoded against the rule, or with half a character: the application runs, and what can be told is counted."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert environ["PATH_INFO"] == path
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b""]

    counted = counted_by(app)
    for path in ("/文", "/\ud800", "/%?"):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_USER_AGENT": CHROME}
        body = counted(environ, lambda *_: lambda _: None)
        body.close()  # type: ignore[attr-defined]
    await asyncio.to_thread(counted.close)
    assert await totals(settings, "/文", "/%3F", "/%25%3F", WHOLE_SITE) == [1, 1, 1, 3]


def test_a_body_s_length_is_what_it_was(counted_by: Callable[[Any], FootfallWSGIMiddleware]) -> None:
    """Servers tell the length of a body of one part by it, and one that has none must not seem to have one."""

    def asked(body: Any) -> Any:
        def app(_environ: dict[str, Any], start_response: Any) -> Any:
            start_response("404 Not Found", [("Content-Type", "text/html")])
            return body

        return counted_by(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: lambda _: None)

    assert len(asked([b"one"])) == 1
    assert not hasattr(asked(iter([b"one"])), "__len__")


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
