"""Errors: designed pages for browsers, problems (RFC 9457) for programs, the same status and headers for both."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio

from footfall.errors import StoreUnavailable
from tests.integration.in_process import SITE, InProcess, running

#: What Chromium sends when somebody opens an address.
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
OURS = {"sec-fetch-site": "same-origin"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[InProcess]:
    async with running(peer="203.0.113.7", public_sites=SITE, admin_password="correct horse battery") as app:
        yield app


async def asked(app: InProcess, method: str, path: str, headers: Mapping[str, str] = {}) -> httpx.Response:
    return await app.client.request(method, path, headers=dict(headers))


#: By status: what is asked for, and the page's title and a part of its text.
CASES = [
    (400, "POST", "/login", {"content-type": "text/plain"} | OURS, "This request can't be read", "a form is sent as"),
    (401, "GET", "/metrics", {}, "This needs a token or a login", "Send the token that FOOTFALL_METRICS_TOKEN has"),
    (403, "POST", "/login", {"sec-fetch-site": "cross-site"}, "This was not accepted", "Send the form from this server"),
    (404, "GET", "/nothing/here", {}, "Page not found", "There is no page at this address."),
    (404, "GET", "/static/none.css", {}, "Page not found", "There is no page at this address."),
    (405, "GET", "/logout", {}, "This address can't be opened directly", "It only takes what one of this server's forms"),
    (405, "POST", "/", {}, "This address can't be opened directly", "It only takes what one of this server's forms"),
]


@pytest.mark.parametrize(("status", "method", "path", "headers", "title", "said"), CASES)
async def test_a_browser_is_shown_a_page(
    app: InProcess, status: int, method: str, path: str, headers: dict[str, str], title: str, said: str
) -> None:
    """With its title, what to do, and the way on; programs get the problem, with the same status and headers."""
    page = await asked(app, method, path, headers | BROWSER)
    assert page.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = html.unescape(page.text)
    assert f"<h1>{title}</h1>" in text
    assert said in text
    assert '<a href="/sites">' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert len(page.headers.get_list("content-type")) == len(page.headers.get_list("content-length")) == 1
    problem = await asked(app, method, path, headers)
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == problem.status_code == status
    for name in ("allow", "www-authenticate", "retry-after"):
        assert page.headers.get(name) == problem.headers.get(name)


@pytest.mark.parametrize("path", ["/api/v1/sites/none.example/count", f"/api/v1/sites/{SITE}/pages?period=3d", "/api/none"])
async def test_the_interface_for_programs_keeps_its_problems(app: InProcess, path: str) -> None:
    """Whoever asks: someone who tries it in a browser sees what a program gets."""
    reply = await asked(app, "GET", path, BROWSER)
    assert reply.headers["content-type"] == "application/problem+json"


async def test_what_a_request_says_is_escaped_in_its_page(app: InProcess) -> None:
    """Nobody's text becomes markup."""
    reply = await asked(app, "GET", f"/sites/{SITE}?list=<script>alert(1)</script>&page=<b>", BROWSER)
    assert reply.status_code == 400
    assert "<script>alert" not in reply.text
    assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", reply.text)


async def test_a_store_that_is_away_is_a_page_too(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says when to try again, also where the store can't say who asks."""

    async def away(*_: object) -> object:
        raise StoreUnavailable("away")

    for name in ("document", "documents"):
        monkeypatch.setattr(app.parts.store, name, away)
    reply = await asked(app, "GET", "/access", BROWSER | {"cookie": "footfall_session=s_a.b"})
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "1"
    assert "<h1>Not available at the moment</h1>" in reply.text


async def test_a_fault_of_ours_is_a_page_too(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its particulars."""

    async def broken(*_: object) -> object:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(app.parts.credentials, "tokens", broken)
    made = await app.parts.credentials.make_session()
    reply = await asked(app, "GET", "/access", BROWSER | {"cookie": f"footfall_session={made.secret}"})
    assert reply.status_code == 500
    assert "<h1>Something went wrong</h1>" in reply.text
    assert "secret detail" not in reply.text
    assert "Log out" in reply.text


async def test_too_many_passwords_are_said_beside_the_field(app: InProcess) -> None:
    """The log-in stays, and says when to try again."""
    for _ in range(11):
        reply = await app.client.post("/login", data={"password": "wrong password"}, headers=OURS | BROWSER)
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) > 0
    assert re.search(
        r'<p class="trouble" id="trouble" role="alert">Too many wrong passwords; try again in \d+ minutes\.</p>', reply.text
    )
