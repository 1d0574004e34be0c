"""The home page of a site that is private: it counts for everybody, and shows its numbers to those who may read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from footfall.errors import StoreUnavailable
from footfall.model import Batch, Receipt
from tests.integration.in_process import SITE, InProcess, running

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
FORMS = ("*/*", "text/html")


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running(peer="203.0.113.7") as app:
        yield app


async def views(app: InProcess) -> int:
    number: int = (await app.parts.store.counts(SITE, ["/"], 60)).pages["/"].views
    return number


async def home(app: InProcess, accept: str, **headers: str) -> httpx.Response:
    return await app.client.get("/", headers={"accept": accept, **headers})


async def test_a_private_home_page_counts_and_says_that_it_is_private(app: InProcess) -> None:
    """In either form. The page leads to the log-in."""
    text, page = [await home(app, form) for form in FORMS]
    assert text.text == "the numbers of this page are private\ninstance: here\n"
    assert 'href="/login?next=/"' in page.text
    assert "views in the past" not in page.text
    for reply in (text, page):
        assert (reply.status_code, reply.headers["x-footfall"]) == (200, "counted")
        assert reply.headers["cache-control"] == "no-store"
    assert await views(app) == 2


@pytest.mark.parametrize("form", FORMS)
async def test_a_robot_is_told_as_little(app: InProcess, form: str) -> None:
    """What is dropped is shown nothing either."""
    await home(app, form)
    reply = await home(app, form, **{"user-agent": GOOGLEBOT})
    assert reply.headers["x-footfall"] == "dropped; reason=bot"
    assert "private" in reply.text
    assert "view in the past" not in reply.text
    assert await views(app) == 1


async def test_a_log_in_shows_the_numbers_and_they_move(app: InProcess) -> None:
    """The stream takes the same cookie. With a token there is none for the page's script: it is shown as it was."""
    made = await app.parts.credentials.make_session()
    cookie = {"cookie": f"footfall_session={made.secret}"}
    token = await app.token(f"read:{SITE}")
    assert (await home(app, "*/*", **token)).text.startswith("1 view")
    assert (await home(app, "*/*", **cookie)).text.startswith("2 view")
    page = await home(app, "text/html", **cookie)
    assert "3 views in the past minute" in page.text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    still = await home(app, "text/html", **token)
    assert "4 views in the past minute" in still.text
    assert "connect-src" not in still.headers["content-security-policy"]


@pytest.mark.parametrize("form", FORMS)
async def test_a_store_that_can_not_tell_who_asks_shows_nothing(app: InProcess, form: str) -> None:
    """The view is counted all the same."""

    async def away(_kind: str, _key: str) -> object:
        raise StoreUnavailable("away")

    app.parts.store.document = away  # type: ignore[method-assign, assignment]
    reply = await home(app, form, cookie="footfall_session=s_a.b")
    assert (reply.status_code, reply.headers["x-footfall"], "private" in reply.text) == (200, "counted", True)


async def test_without_a_home_site_browsers_are_led_to_the_sites() -> None:
    """`localhost` has gone with the first site that was created; nothing is counted for the new one."""
    async with running(sites=None, public_sites=None) as app:
        assert "1 view in the past minute" in (await home(app, "text/html")).text
        await app.parts.core.registry.sites.create(SITE, {})
        page, text = await home(app, "text/html"), await home(app, "*/*")
        assert await views(app) == 0
    assert (page.status_code, page.headers["location"]) == (303, "/sites")
    assert (text.status_code, text.text) == (200, "no site has this address as its front page\ninstance: here\n")
    assert page.headers["x-footfall"] == text.headers["x-footfall"] == "dropped; reason=unknown-site"


@pytest.mark.parametrize("public", [SITE, ""])
async def test_the_front_page_leads_to_the_others(public: str) -> None:
    """Whether it shows numbers or not: to the sites, and to the log-in where nobody has logged in."""
    async with running(public_sites=public) as app:
        page = await home(app, "text/html")
        assert '<a href="/sites">Sites</a>' in page.text
        assert '<a href="/login">Log in</a>' in page.text
        made = await app.parts.credentials.make_session()
        page = await home(app, "text/html", cookie=f"footfall_session={made.secret}")
    assert '<a href="/access">Access</a>' in page.text
    assert "Log out" in page.text
    assert "Log in" not in page.text


@pytest.mark.parametrize("form", FORMS)
async def test_a_view_that_waits_in_the_spool_is_told_as_little(tmp_path: Path, form: str) -> None:
    """202, for it need not be sent again."""
    async with running(peer="203.0.113.7", spool=str(tmp_path), commit_timeout=0.1) as app:
        commit = app.parts.store.commit

        async def away(_batch: Batch) -> Receipt:
            raise StoreUnavailable("away")

        app.parts.store.commit = away  # type: ignore[method-assign, assignment]
        reply = await home(app, form)
        assert (reply.status_code, reply.headers["x-footfall"], "private" in reply.text) == (202, "spooled", True)
        app.parts.store.commit = commit  # type: ignore[method-assign]


async def test_a_view_that_is_not_taken_shows_the_number_without_it() -> None:
    """The site may gain no new page today: the page `/` is one."""
    async with running(public_sites=SITE, pages_per_day=1) as app:
        assert (await app.client.get(f"/count?s={SITE}&p=/other")).headers["x-footfall"] == "counted"
        reply = await home(app, "*/*")
    assert reply.headers["x-footfall"] == "dropped; reason=too-many-pages"
    assert (reply.status_code, reply.text) == (200, "0 views in the past minute\ninstance: here\n")
