"""Counters for everyone: who may see them, what they tell, how they are kept, and what their hits count."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from xml.etree import ElementTree

import httpx
import pytest

from footfall.errors import StoreUnavailable
from footfall.model import WHOLE_SITE
from tests.contract.conftest import START, Clock
from tests.integration.in_process import CHROME, SITE, InProcess, running

CAMO = "github-camo (876de43e)"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PRIVATE = "private.example"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def app(clock: Clock) -> AsyncIterator[InProcess]:
    async with running(clock, sites=f"{SITE},{PRIVATE}", home_site=SITE) as app:
        await app.parts.core.registry.sites.save(SITE, {"visibility": "counter"})
        yield app


@pytest.fixture
def client(app: InProcess) -> httpx.AsyncClient:
    return app.client


async def view(client: httpx.AsyncClient, page: str = "/x", site: str = SITE) -> None:
    assert (await client.get("/count", params={"s": site, "p": page})).headers["x-footfall"] == "counted"


async def total(app: InProcess, page: str = "/x", site: str = SITE) -> int:
    return (await app.parts.store.counts(site, [page], 60)).pages[page].total


def words(reply: httpx.Response) -> str | None:
    """What a badge says, after making sure that it is one."""
    assert reply.headers["content-type"] == "image/svg+xml"
    return ElementTree.fromstring(reply.text).get("aria-label")


async def test_a_counter_shows_the_minute_the_day_or_everything(client: httpx.AsyncClient, clock: Clock) -> None:
    """Of the page that is named, or of the whole site; the total unless asked for another."""
    await view(client)
    clock.set(START + 86400)
    await view(client)
    clock.advance(60)
    await view(client)
    await view(client, "/y")
    for show, label, number in (("minute", "views past minute", 1), ("today", "views today", 2), ("total", "views", 3)):
        query = {"page": "/x", "show": show}
        assert words(await client.get(f"/counter/{SITE}.svg", params=query)) == f"{label}: {number}"
        assert (await client.get(f"/counter/{SITE}.txt", params=query)).text == f"{number}\n"
        assert (await client.get(f"/counter/{SITE}.json", params=query)).json()["number"] == number
    assert (await client.get(f"/counter/{SITE}.txt")).text == "4\n"
    reply = (await client.get(f"/counter/{SITE}.json?page=/x")).json()
    assert reply == {
        "site": SITE,
        "page": "/x",
        "show": "total",
        "number": 3,
        "text": "3",
        "views": 1,
        "today": 2,
        "total": 3,
        "at": clock.second,
    }
    assert (await client.get(f"/counter/{SITE}.json")).json()["page"] is None


async def test_a_counter_names_the_page_as_counting_does(app: InProcess, client: httpx.AsyncClient) -> None:
    """By the site's own rules: the index of a folder is the folder."""
    await view(client, "/a/")
    assert (await client.get(f"/counter/{SITE}.txt?page=/a/index.html")).text == "1\n"
    await app.parts.core.registry.sites.save(SITE, {"kept_parameters": ["id"]})
    await view(client, "/a/?id=7&x=1")
    assert (await client.get(f"/counter/{SITE}.txt", params={"page": "/a/?id=7"})).text == "1\n"


async def test_the_look_is_asked_for(client: httpx.AsyncClient) -> None:
    """Style, label, colours and the way numbers are written."""
    badge = (
        await client.get(f"/counter/{SITE}.svg?style=for-the-badge&label=Leser&color=1af&label_color=teal&number=short")
    ).text
    assert 'height="28"' in badge
    assert ">LESER<" in badge
    assert "#11aaff" in badge
    assert words(await client.get(f"/counter/{SITE}.svg?label=")) == "0"


async def test_shields_can_draw_it(client: httpx.AsyncClient) -> None:
    """In the form of its endpoint badge."""
    await view(client)
    reply = await client.get(f"/counter/{SITE}.json?page=/x&format=shields&show=today&number=short&color=blue")
    assert reply.json() == {
        "schemaVersion": 1,
        "label": "views today",
        "message": "1",
        "color": "#1f6fbf",
        "labelColor": "#2b2d34",
        "isError": False,
    }


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("style=round", "style: one of flat, flat-square, plastic, for-the-badge"),
        ("show=week", "show: one of minute, today, total"),
        ("number=roman", "number: one of grouped, plain, short"),
        ("format=xml", "format: one of json, shields"),
        ("color=redd", "color: a colour"),
        ("label_color=", "label_color: a colour"),
        ("label=%0a", "label: at most 64"),
        ("page=x", "page: a page begins with"),
        ("hit=2", "hit: one of 1, true"),
        ("hit=1", "page: hit=1 counts a view of a page; name it"),
    ],
)
async def test_what_can_not_be_read_is_refused_by_name(client: httpx.AsyncClient, query: str, detail: str) -> None:
    """As a problem that names the parameter; a badge as a badge, for an image has no other way to say it."""
    for form in ("json", "txt"):
        reply = await client.get(f"/counter/{SITE}.{form}?{query}")
        assert reply.status_code == 400
        assert reply.json()["detail"].startswith(detail)
    badge = await client.get(f"/counter/{SITE}.svg?{query}")
    assert (badge.status_code, badge.headers["cache-control"]) == (400, "no-store")
    assert (words(badge) or "").startswith(f"wrong parameter: {detail}")
    drawn = [text.text for text in ElementTree.fromstring(badge.text).iter("{http://www.w3.org/2000/svg}text")]
    assert drawn[-1] == detail.partition(":")[0]


async def test_a_private_counter_tells_nothing(app: InProcess, client: httpx.AsyncClient) -> None:
    """A badge says that it is private, the others that they are not for all; a token that may read the site opens them."""
    await view(client, site=PRIVATE)
    for site in (PRIVATE, "unknown.example"):
        badge = await client.get(f"/counter/{site}.svg?page=/x")
        assert (badge.status_code, words(badge), badge.headers["cache-control"]) == (401, "views: private", "no-store")
        for form in ("json", "txt"):
            reply = await client.get(f"/counter/{site}.{form}?page=/x")
            assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")
            assert "etag" not in reply.headers
    reply = await client.get(f"/counter/{PRIVATE}.txt?page=/x", headers=await app.token(f"read:{PRIVATE}"))
    assert (reply.text, reply.headers["cache-control"]) == ("1\n", "private, no-store")
    reply = await client.get(f"/counter/{PRIVATE}.txt?page=/x", headers=await app.token(f"read:{SITE}"))
    assert reply.status_code == 401


async def test_a_counters_visibility_opens_nothing_else(client: httpx.AsyncClient) -> None:
    """Of a site whose counters are public, nobody reads counts, pages, series, the ledger or the stream."""
    for path in ("count", "pages", "series", "ledger", "live"):
        assert (await client.get(f"/api/v1/sites/{SITE}/{path}")).status_code == 401


async def test_replies_are_asked_for_again(client: httpx.AsyncClient) -> None:
    """They may be kept and must be asked for again; by its tag the same number costs no second transfer."""
    for form in ("svg", "json", "txt"):
        path = f"/counter/{SITE}.{form}?page=/x"
        first = await client.get(path)
        assert first.headers["cache-control"] == "max-age=0, no-cache, must-revalidate"
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        await view(client)
        assert (await client.get(path, headers={"if-none-match": first.headers["etag"]})).status_code == 200


async def test_all_pages_may_embed_and_read_them(client: httpx.AsyncClient) -> None:
    """Pictures also in isolated pages, and nothing in a picture may load anything."""
    for form in ("svg", "json", "txt"):
        headers = (await client.get(f"/counter/{SITE}.{form}")).headers
        assert headers["access-control-allow-origin"] == "*"
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        assert headers["content-security-policy"] == "default-src 'none'"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("agent", [CAMO, CHROME])
async def test_a_hit_counts_once_a_fetch(app: InProcess, client: httpx.AsyncClient, agent: str) -> None:
    """An image proxy's as a browser's; the badge has it in its number, and is not kept."""
    for number in (1, 2):
        reply = await client.get(f"/counter/{SITE}.svg?page=/x&hit=1", headers={"user-agent": agent})
        assert (words(reply), reply.headers["x-footfall"]) == (f"views: {number}", "counted")
        assert "no-store" in reply.headers["cache-control"]
        assert reply.headers["x-footfall-instance"] == "here"
    assert await total(app) == await total(app, WHOLE_SITE) == 2


async def test_what_is_dropped_sees_the_badge(app: InProcess, client: httpx.AsyncClient) -> None:
    """A robot's hit is dropped and accounted for; so is a view that the proxy's name spares only here."""
    reply = await client.get(f"/counter/{SITE}.svg?page=/x&hit=1", headers={"user-agent": GOOGLEBOT})
    assert (words(reply), reply.headers["x-footfall"]) == ("views: 0", "dropped; reason=bot")
    await client.get("/count", params={"s": SITE, "p": "/x"}, headers={"user-agent": CAMO})
    metrics = (await client.get("/metrics", headers={"host": "localhost"})).text
    assert re.search(rf'views_dropped_total{{reason="bot",site="{SITE}"}} 2', metrics)
    assert await total(app) == 0


async def test_only_a_get_with_hit_counts(app: InProcess, client: httpx.AsyncClient) -> None:
    """Neither HEAD nor a request without it, or with hit=0."""
    assert (await client.head(f"/counter/{SITE}.svg?page=/x&hit=1")).status_code == 200
    await client.get(f"/counter/{SITE}.svg?page=/x&hit=0")
    await client.get(f"/counter/{SITE}.svg?page=/x")
    assert (await client.post(f"/counter/{SITE}.svg?page=/x&hit=1")).status_code == 405
    assert await total(app) == 0


async def test_a_private_sites_hit_counts_unseen(app: InProcess, client: httpx.AsyncClient) -> None:
    """Counting is open to all; the number is not."""
    reply = await client.get(f"/counter/{PRIVATE}.svg?page=/x&hit=1")
    assert (reply.status_code, words(reply), reply.headers["x-footfall"]) == (401, "views: private", "counted")
    assert await total(app, site=PRIVATE) == 1


async def test_a_store_that_is_away_is_said_in_the_form_asked_for(
    app: InProcess, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture in the place of a picture, a problem else; both with 503, and neither is kept."""

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(app.parts.store, "counts", away)
    badge = await client.get(f"/counter/{SITE}.svg")
    assert (badge.status_code, words(badge), badge.headers["cache-control"]) == (503, "views: unavailable", "no-store")
    assert badge.headers["retry-after"] == "1"
    assert (await client.get(f"/counter/{SITE}.txt")).status_code == 503


async def test_a_site_in_another_alphabet_is_one_site() -> None:
    """A tag may name it either way, and so may whoever reads its numbers."""
    async with running(sites="Bücher.example", public_sites="bücher.example") as app:
        for name in ("https://bücher.example/", "BÜCHER.example", "xn--bcher-kva.example"):
            await view(app.client, site=name)
        for name in ("b%C3%BCcher.example", "xn--bcher-kva.example"):
            assert (await app.client.get(f"/counter/{name}.txt?page=/x")).text == "3\n"
            assert (await app.client.get(f"/api/v1/sites/{name}/count")).json()["total"] == 3
            assert (await app.client.get(f"/api/v1/sites/{name}/pages?period=all")).json()["pages"][0]["page"] == "/x"
            assert (await app.client.get(f"/sites/{name}")).status_code == 200
