"""The dashboard as the server draws it: who may see it, what it shows, and that its forms take only what is theirs."""

from __future__ import annotations

import html
import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from footfall.model import DIMENSIONS, OUTCOME, WHOLE_SITE, Batch, Section, SiteBatch, Tier
from footfall.web.dashboard.period import day_text
from tests.integration.in_process import InProcess, running

PUBLIC = "public.example"
PRIVATE = "private.example"
PASSWORD = "a long enough password"  # a test's own

SITE_PAGE = f"/sites/{PUBLIC}"
PRIVATE_PAGE = f"/sites/{PRIVATE}"


@pytest_asyncio.fixture
async def app() -> AsyncIterator[InProcess]:
    """The application, with a public site, a private one, and a password."""
    async with running(sites=f"{PUBLIC},{PRIVATE}", public_sites=PUBLIC, admin_password=PASSWORD) as made:
        yield made


async def count(app: InProcess, site: str, **pages: int) -> None:
    """Count views: `a=2` are two of page /a."""
    batch = {"/" + name: views for name, views in pages.items()}
    await app.parts.store.commit(Batch("test", int(time.monotonic_ns()), {site: SiteBatch(pages=batch)}))


async def log_in(app: InProcess) -> str:
    """Log in; the proof that the session's forms bring along."""
    reply = await app.client.post("/login", data={"password": PASSWORD})
    assert reply.status_code == 303
    return proof_in((await app.client.get("/sites")).text)


def proof_in(page: str) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', page)
    assert found
    return found[1]


def text_of(reply: httpx.Response) -> str:
    """What a page says, without its elements."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", reply.text)).split())


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
    assert re.search(r'data-page="/a".*?class="live">5</td><td>5</td>', page.text, re.DOTALL)


async def test_a_site_without_views_shows_its_owner_the_tag(app: InProcess) -> None:
    """Until its first view; its settings show it always, and nobody else sees it."""
    tag = f'<script async src="http://footfall.example/footfall.js" data-site=" {PRIVATE} "></script>'
    assert "Nothing has been counted yet" not in (await app.client.get(SITE_PAGE)).text
    await log_in(app)
    assert tag in text_of(await app.client.get(PRIVATE_PAGE))
    assert tag in text_of(await app.client.get(f"{PRIVATE_PAGE}/settings"))
    await count(app, PRIVATE, a=1)
    assert "Nothing has been counted yet" not in (await app.client.get(PRIVATE_PAGE)).text
    assert tag in text_of(await app.client.get(f"{PRIVATE_PAGE}/settings"))


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
    assert "8 received = 5 counted + 3 not, past 24 hours." in page
    assert "Bot Robots, crawlers and monitors, by how they call themselves. 3 38 %" in page


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
        ("period=3d", "period"),
        ("from=2026-02-30&to=2026-03-01", "from"),
        ("from=2020-01-01", "to"),
        ("from=1999-01-01&to=2000-01-01", "from"),
        ("from=2999-01-01&to=2999-01-02", "from"),
        ("list=nothing", "list"),
        ("list=pages&after=x", "after"),
        ("page=nopath", "page"),
    ],
)
async def test_what_can_not_be_shown_is_said(app: InProcess, query: str, field: str) -> None:
    """One line names the parameter and the mend."""
    reply = await app.client.get(f"{SITE_PAGE}?{query}")
    assert reply.status_code == 400
    assert f"{field}: " in text_of(reply)


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


async def test_settings_change_what_was_changed_and_nothing_else(app: InProcess) -> None:
    """Rules that stay as the settings have them go on following the settings."""
    await log_in(app)
    page = (await app.client.get(f"{PRIVATE_PAGE}/settings")).text
    form = filled(page) | {"visibility": "counter", "origins": "self\n*.example.net"}
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 303
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"visibility": "counter", "origins": ["self", "*.example.net"]}


async def test_how_long_a_site_is_kept_is_written_as_a_duration(app: InProcess) -> None:
    """It is shown so too; what is none, or shorter than that of a finer tier, is refused beside its field."""
    await log_in(app)
    page = (await app.client.get(f"{PRIVATE_PAGE}/settings")).text
    assert filled(page)["retention_day"] == "730d"
    for written, said in (("soon", "Write a duration such as 48h"), ("1d", "Write a duration not shorter than for hours")):
        reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=filled(page) | {"retention_day": written})
        assert reply.status_code == 400
        assert said in text_of(reply)
        assert re.search(r'name="retention_day"[^>]* aria-invalid="true"', reply.text)
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=filled(page) | {"retention_day": " 100D "})
    assert reply.status_code == 303
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"retention_day": 100 * 86_400}
    assert filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text)["retention_day"] == "100d"


async def test_a_wrong_rule_is_named_and_what_was_written_stays(app: InProcess) -> None:
    """Nothing is saved."""
    await log_in(app)
    form = filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text) | {"excluded_addresses": "no address"}
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 400
    assert "Write addresses or networks" in text_of(reply)
    assert "no address" in reply.text
    assert app.parts.core.registry.sites.document(PRIVATE) == ({}, 0)


async def test_two_who_change_rules_at_once_are_told(app: InProcess) -> None:
    """The second form was made of older rules."""
    await log_in(app)
    form = filled((await app.client.get(f"{PRIVATE_PAGE}/settings")).text) | {"visitor_rate": "60"}
    await app.parts.core.registry.sites.save(PRIVATE, {"site_rate": 5})
    reply = await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)
    assert reply.status_code == 409
    assert app.parts.core.registry.sites.document(PRIVATE)[0] == {"site_rate": 5}


@pytest.mark.parametrize("path", ["/sites", f"{PRIVATE_PAGE}/settings", "/access"])
@pytest.mark.parametrize("given", [{}, {"proof": "wrong"}])
async def test_a_form_without_its_proof_is_not_taken(app: InProcess, path: str, given: dict[str, str]) -> None:
    """Another site can't send one for who is logged in."""
    await log_in(app)
    form = given | {"site": "new.example", "do": "make-token", "name": "x", "action": "admin"}
    assert (await app.client.post(path, data=form)).status_code == 403
    assert app.parts.core.registry.sites.get("new.example") is None
    assert not await app.parts.credentials.tokens()


async def test_a_form_from_another_origin_is_not_taken(app: InProcess) -> None:
    """Even with the right proof."""
    proof = await log_in(app)
    headers = {"sec-fetch-site": "cross-site"}
    assert (await app.client.post("/sites", data={"proof": proof, "site": "new.example"}, headers=headers)).status_code == 403


async def test_a_site_is_added_and_removed_with_its_history(app: InProcess) -> None:
    """It takes its name to remove it."""
    proof = await log_in(app)
    reply = await app.client.post("/sites", data={"proof": proof, "site": "New.example"})
    assert reply.headers["location"] == "/sites/new.example/settings"
    await count(app, "new.example", a=1)
    address = "/sites/new.example/settings"
    assert (await app.client.post(address, data={"proof": proof, "do": "remove", "confirm": "x"})).status_code == 400
    assert (await app.client.post(address, data={"proof": proof, "do": "remove", "confirm": "new.example"})).status_code == 303
    assert app.parts.core.registry.sites.get("new.example") is None
    assert "new.example" not in await app.parts.store.sites()


async def test_a_declared_site_can_not_be_removed(app: InProcess) -> None:
    """FOOTFALL_SITES wins."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "remove", "confirm": PRIVATE}
    assert (await app.client.post(f"{PRIVATE_PAGE}/settings", data=form)).status_code == 409


async def test_a_page_is_forgotten(app: InProcess) -> None:
    """Its history is gone."""
    await count(app, PRIVATE, a=1)
    proof = await log_in(app)
    await app.client.post(f"{PRIVATE_PAGE}/settings", data={"proof": proof, "do": "forget", "page": "/a"})
    assert (await app.parts.store.counts(PRIVATE, ["/a"], 60)).pages["/a"].total == 0


async def test_a_tokens_secret_is_shown_once_and_it_can_be_revoked(app: InProcess) -> None:
    """It works until then."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "make-token", "name": "a program", "action": "read", "site": PRIVATE}
    made = await app.client.post("/access", data=form)
    secret = re.search(r'id="secret">(ff_[^<]+)<', made.text)
    assert secret
    listed = (await app.client.get("/access")).text
    assert secret[1] not in listed
    assert f"read:{PRIVATE}" in listed
    assert (await app.parts.credentials.token(secret[1])).may_read(PRIVATE)
    (id,) = await app.parts.credentials.tokens()
    await app.client.post("/access", data={"proof": proof, "do": "end-token", "id": id})
    assert not (await app.parts.credentials.token(secret[1])).may_read(PRIVATE)


async def test_a_share_link_is_made_and_taken_back(app: InProcess) -> None:
    """Whoever has it sees the site, until then."""
    proof = await log_in(app)
    form = {"proof": proof, "do": "make-share", "name": "a friend", "site": PRIVATE, "days": "7"}
    made = await app.client.post("/access", data=form)
    link = re.search(r'id="secret">([^<]+)<', made.text)
    assert link
    app.client.cookies.clear()
    opened = await app.client.get(link[1], follow_redirects=True)
    assert opened.url.path == PRIVATE_PAGE
    app.client.cookies.clear()
    proof = await log_in(app)
    (id,) = await app.parts.credentials.shares(PRIVATE)
    await app.client.post("/access", data={"proof": proof, "do": "end-share", "id": id})
    app.client.cookies.clear()
    assert (await app.client.get(link[1])).status_code == 404


def filled(page: str) -> dict[str, str]:
    """The first form of the settings page as a browser would send it unchanged."""
    form = re.search(r'id="rules">(.*?)</form>', page, re.DOTALL)
    assert form
    found = dict(re.findall(r'<input type="(?:hidden|text)"[^>]*\sname="(\w+)"[^>]*\svalue="([^"]*)"', form[1]))
    found |= dict(re.findall(r'<textarea[^>]*\sname="(\w+)"[^>]*>([^<]*)<', form[1]))
    found |= dict.fromkeys(re.findall(r'<input type="checkbox"[^>]*\sname="(\w+)"[^>]*\schecked', form[1]), "on")
    chosen = re.search(r'<select[^>]*\sname="(\w+)"[^>]*>.*?<option value="(\w+)" selected', form[1], re.DOTALL)
    return found | ({chosen[1]: chosen[2]} if chosen else {}) | {"do": "save"}
