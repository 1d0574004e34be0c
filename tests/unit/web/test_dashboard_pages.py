"""The dashboard as the server draws it: who may see it, and what it shows."""

from __future__ import annotations

import html
import re
import time

import httpx
import pytest

from footfall.model import DIMENSIONS, OUTCOME, WHOLE_SITE, Batch, Section, SiteBatch, Tier
from footfall.web.dashboard.period import day_text
from tests.integration.in_process import InProcess, running
from tests.unit.web.pages_given import PRIVATE, PRIVATE_PAGE, PUBLIC, SITE_PAGE, app, count, log_in, text_of

__all__ = ["app"]


@pytest.mark.parametrize("path", [PRIVATE_PAGE, f"{PRIVATE_PAGE}?page=/x&list=pages", "/sites/nobody.example", "/access"])
async def test_who_may_not_see_a_page_is_sent_to_the_login_and_back(app: InProcess, path: str) -> None:
    """Nobody learns whether a site is there; the log-in knows where they came from."""
    reply = await app.client.get(path)
    assert reply.status_code == 303
    target = httpx.URL(reply.headers["location"])
    assert (target.path, target.params["next"]) == ("/login", path)


async def test_sites_are_listed_to_those_who_may_read_them(app: InProcess) -> None:
    """Nobody sees the public ones, an admin all."""
    nobody = await app.client.get("/sites")
    assert PUBLIC in nobody.text
    assert PRIVATE not in nobody.text
    await log_in(app)
    assert PRIVATE in (await app.client.get("/sites")).text


async def test_without_a_public_site_the_list_is_behind_the_login() -> None:
    """There is nothing to list."""
    async with running(public_sites="") as app:
        reply = await app.client.get("/sites")
        assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=%2Fsites")


async def test_a_share_link_opens_its_site_and_no_other(app: InProcess) -> None:
    """Its holder sees one site, and nothing that changes anything."""
    made = await app.parts.credentials.make_share("a friend", PRIVATE)
    reply = await app.client.get(f"/share/{made.secret}", follow_redirects=True)
    assert (reply.url.path, reply.status_code) == (PRIVATE_PAGE, 200)
    assert "Settings" not in reply.text
    assert (await app.client.get(f"{PRIVATE_PAGE}/settings")).status_code == 303


async def test_a_site_shows_its_past_minute_and_its_pages(app: InProcess) -> None:
    """The number in the middle is the store's, and so are the pages'."""
    await count(app, PUBLIC, a=5, b=2)
    page = await app.client.get(SITE_PAGE)
    assert page.status_code == 200
    assert 'aria-label="7 views in the past minute"' in page.text
    assert re.search(r'data-page="/a".*?class="live moving">5</td><td>5</td>', page.text, re.DOTALL)


async def test_a_site_without_views_shows_its_owner_the_tag(app: InProcess) -> None:
    """Until its first view the page waits for it; its settings show the tag always, and nobody else sees it."""
    tag = f'<script async src="http://footfall.example/footfall.js" data-site=" {PRIVATE} "></script>'
    assert "Waiting for the first view" not in (await app.client.get(SITE_PAGE)).text
    await log_in(app)
    waiting = text_of(await app.client.get(PRIVATE_PAGE))
    assert tag in waiting
    assert "Waiting for the first view Check again" in waiting
    assert tag in text_of(await app.client.get(f"{PRIVATE_PAGE}/settings"))
    await count(app, PRIVATE, a=1)
    assert "Waiting for the first view" not in (await app.client.get(PRIVATE_PAGE)).text
    assert tag in text_of(await app.client.get(f"{PRIVATE_PAGE}/settings"))


async def test_a_site_that_waits_says_what_was_not_counted(app: InProcess) -> None:
    """Someone who looks for their view finds it, and why it did not count."""
    await log_in(app)
    assert "No view arrives?" in (await app.client.get(PRIVATE_PAGE)).text
    await app.client.get(f"/count?s={PRIVATE}&p=/", headers={"user-agent": "Googlebot/2.1"})
    await app.parts.core.counter.drain()
    page = text_of(await app.client.get(PRIVATE_PAGE))
    assert "Received but not counted, past 24 hours Outcome Why Views Bot Robots, crawlers" in page


async def test_a_page_is_a_filter_in_the_address(app: InProcess) -> None:
    """It has its own numbers, and the way back to the whole site keeps the period."""
    await count(app, PUBLIC, a=5, b=2)
    page = await app.client.get(f"{SITE_PAGE}?page=/a&period=7d")
    assert 'aria-label="5 views in the past minute"' in page.text
    assert f'href="{SITE_PAGE}?period=7d"' in page.text
    assert 'id="busiest"' not in page.text


async def test_every_dimension_has_a_panel_and_a_list(app: InProcess) -> None:
    """Whatever dimensions there are: none is named."""
    day = Tier.DAY.start(int(time.time()))
    rows = [(day, WHOLE_SITE, one.name, f"value of {one.name}", 3) for one in DIMENSIONS]
    await app.parts.store.load(PUBLIC, Section.TRAITS, Tier.DAY, rows)
    page = text_of(await app.client.get(f"{SITE_PAGE}?period=7d"))
    for one in DIMENSIONS:
        assert f"{one.title} {one.unit.capitalize()} Views Share value of {one.name} 3" in page
        shown = await app.client.get(f"{SITE_PAGE}?period=7d&list={one.name}")
        assert f"value of {one.name}" in shown.text


async def test_the_ledger_adds_up(app: InProcess) -> None:
    """What was received is what was counted and what was not, by reason, with its sentence."""
    await count(app, PUBLIC, a=5)
    hour = Tier.HOUR.start(int(time.time()))
    await app.parts.store.load(PUBLIC, Section.TRAITS, Tier.HOUR, [(hour, WHOLE_SITE, OUTCOME, "bot", 3)])
    page = text_of(await app.client.get(SITE_PAGE))
    assert "8 received = 5 counted + 3 not counted, past 24 hours." in page
    assert "Bot Robots, crawlers and monitors, identified by user agent. 3 38 %" in page


async def test_a_period_that_has_ended_has_no_later_views(app: InProcess) -> None:
    """Days from and to, both included: a list is what there was in them."""
    today = Tier.DAY.start(int(time.time()))
    days = {Tier.DAY.back(today, back): back for back in range(5)}
    views = [(day, page, back + 1) for day, back in days.items() for page in ("/x", WHOLE_SITE)]
    traits = [(day, WHOLE_SITE, DIMENSIONS[0].name, "a value", back + 1) for day, back in days.items()]
    await app.parts.store.load(PUBLIC, Section.VIEWS, Tier.DAY, views)
    await app.parts.store.load(PUBLIC, Section.TRAITS, Tier.DAY, traits)
    first, last = (day_text(Tier.DAY.back(today, back)) for back in (3, 2))
    query = f"from={first}&to={last}"
    for name, value in (("pages", "/x"), (DIMENSIONS[0].name, "a value")):
        assert f"{value} 7 100 %" in text_of(await app.client.get(f"{SITE_PAGE}?{query}&list={name}"))


async def test_lists_go_on_and_can_be_searched(app: InProcess) -> None:
    """Each row stands on one page of a list; a search finds it wherever it stands."""
    await count(app, PUBLIC, **{f"page-{number}": number + 1 for number in range(120)})
    found: list[str] = []
    address: str | None = f"{SITE_PAGE}?list=pages"
    while address:
        page = (await app.client.get(address)).text
        found += re.findall(r'<bdi dir="ltr">/(page-\d+)</bdi>', page)
        following = re.search(r'<a href="([^"]+)" rel="next"', page)
        address = html.unescape(following[1]) if following else None
    assert found == [f"page-{number}" for number in reversed(range(120))]
    searched = (await app.client.get(f"{SITE_PAGE}?list=pages&find=PAGE-7")).text
    assert sorted(set(re.findall(r"/page-\d+(?=</bdi>)", searched))) == sorted(f"/page-{n}" for n in [7, *range(70, 80)])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("list=nothing", "List"),
        ("list=pages&after=x", "After"),
        ("page=nopath", "Page"),
    ],
)
async def test_what_can_not_be_shown_is_said(app: InProcess, query: str, field: str) -> None:
    """One line names the parameter and how to put it right, and leads back to the site."""
    reply = await app.client.get(f"{SITE_PAGE}?{query}")
    assert reply.status_code == 400
    assert f"{field}: " in text_of(reply)
    assert f'<a href="{SITE_PAGE}">{PUBLIC}</a>' in reply.text


@pytest.mark.parametrize("of", ["", "&list=pages", "&page=/a"])
@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("from=2026-02-30&to=2026-03-01", "from", "Choose a day such as 2026-03-31, in both fields."),
        ("from=2026-03-01", "to", "Choose a day such as 2026-03-31, in both fields."),
        ("from=2026-03-02&to=2026-03-01", "to", "Choose a day that is not before the first."),
        ("from=1999-01-01&to=2000-01-01", "from", "Choose one of the past 730 days; older days are only kept by month"),
        ("from=2999-01-01&to=2999-01-02", "from", "Choose a day that has begun (days are in UTC)."),
    ],
)
async def test_a_day_that_can_not_be_shown_keeps_the_page(app: InProcess, query: str, field: str, said: str, of: str) -> None:
    """The form is open, says what is wrong beside the field, and keeps what was written."""
    await count(app, PUBLIC, a=5)
    reply = await app.client.get(f"{SITE_PAGE}?{query}{of}")
    assert reply.status_code == 400
    assert "/a" in reply.text
    assert '<details class="custom" open>' in reply.text
    asked = httpx.QueryParams(query)
    (wrong,) = re.findall(r"<input[^>]*aria-invalid[^>]*>\s*<p[^>]*>([^<]*)", reply.text)
    assert wrong.startswith(said)
    for name in ("from", "to"):
        (shown,) = re.findall(rf'<input id="{name}"[^>]*>', reply.text)
        assert f'value="{asked.get(name, "")}"' in shown
        assert ("aria-invalid" in shown) == (name == field)


async def test_a_period_that_there_is_not_keeps_the_page(app: InProcess) -> None:
    """It says so beside those there are."""
    reply = await app.client.get(f"{SITE_PAGE}?period=3d")
    assert reply.status_code == 400
    assert "There is no such period. Choose one of these." in text_of(reply)
    assert 'id="dial"' in reply.text


async def test_names_from_outside_are_escaped(app: InProcess) -> None:
    """A page's path is text."""
    evil = "<script>alert(1)</script>"
    await app.parts.store.commit(Batch("test", 1, {PUBLIC: SiteBatch(pages={f"/{evil}": 1})}))
    for path in (SITE_PAGE, f"{SITE_PAGE}?list=pages", f"{SITE_PAGE}?list=pages&find={evil}", f"{SITE_PAGE}?page=/{evil}"):
        assert evil not in (await app.client.get(path)).text


async def test_no_page_has_an_inline_script_or_style(app: InProcess) -> None:
    """So that the strictest policy fits all of them."""
    proof = await log_in(app)
    assert proof
    for path in ("/sites", SITE_PAGE, f"{SITE_PAGE}?list=pages", f"{SITE_PAGE}/settings", "/access"):
        reply = await app.client.get(path)
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", reply.text)
        assert "unsafe" not in reply.headers["content-security-policy"]
