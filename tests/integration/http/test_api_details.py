"""`/api/v1`: breakdowns, visitors and who is here now, over HTTP; and the document of the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from footfall.model import DIMENSIONS
from tests.integration.in_process import SITE, InProcess, running

NOW = 1_800_000_000
API = f"/api/v1/sites/{SITE}"

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Version/18.0 Safari/605"


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    """A site that anyone may read, with views from two browsers: two in German, one in English, on two pages."""
    async with running(clock=lambda: float(NOW), public_sites=SITE) as app:
        for page, headers in (
            ("/a", {"accept-language": "de"}),
            ("/b", {"accept-language": "de"}),
            ("/a", {"accept-language": "en", "user-agent": IPHONE}),
        ):
            reply = await app.client.post("/count", params={"s": SITE, "p": page}, headers=headers)
            assert reply.headers["x-footfall"] == "counted"
        yield app


async def test_a_breakdown_has_the_most_frequent_value_first(app: InProcess) -> None:
    """Of the site and of a page, for every dimension there is."""
    whole = (await app.client.get(f"{API}/breakdown/language")).json()
    assert whole == {"at": NOW, "values": [{"value": "de", "views": 2}, {"value": "en", "views": 1}], "cursor": None}
    page = (await app.client.get(f"{API}/breakdown/language?page=/a&period=30d")).json()
    assert [(row["value"], row["views"]) for row in page["values"]] == [("de", 1), ("en", 1)]
    for dimension in DIMENSIONS:
        assert (await app.client.get(f"{API}/breakdown/{dimension.name}?period=all")).status_code == 200


async def test_a_breakdown_continues_at_its_cursor(app: InProcess) -> None:
    """Until there is no more."""
    first = (await app.client.get(f"{API}/breakdown/language?limit=1")).json()
    assert [row["value"] for row in first["values"]] == ["de"]
    rest = (await app.client.get(f"{API}/breakdown/language", params={"limit": 2, "cursor": first["cursor"]})).json()
    assert rest["values"] == [{"value": "en", "views": 1}]
    assert rest["cursor"] is None


async def test_a_page_is_named_as_counting_names_it(app: InProcess) -> None:
    """By the site's own rules, with the parameters that it keeps, in every read of a page and on the dashboard."""
    await app.parts.core.registry.sites.save(SITE, {"kept_parameters": ["id"]})
    await app.client.post("/count", params={"s": SITE, "p": "/shop/index.html?utm_source=x&id=7"})
    for spelled in ("/shop/?id=7", "/shop/index.html?id=7&x=1"):
        asked = {"page": spelled, "tier": "day"}
        assert (await app.client.get(f"{API}/count", params={"page": spelled})).json()["page"] == "/shop/?id=7"
        assert (await app.client.get(f"{API}/count", params={"page": spelled})).json()["total"] == 1
        assert (await app.client.get(f"{API}/series", params=asked)).json()["points"][-1][1] == 1
        assert (await app.client.get(f"{API}/visitors", params=asked)).json()["points"][-1][1] == 1
        assert "/shop/?id=7" in (await app.client.get(f"/sites/{SITE}", params={"page": spelled})).text
    assert (await app.client.get(f"{API}/count", params={"page": "/shop/"})).json()["total"] == 0


async def test_visitors_are_told_by_hour_and_day(app: InProcess) -> None:
    """As a series that ends with now, with every bucket in it; and who is here now."""
    days = (await app.client.get(f"{API}/visitors")).json()
    assert (days["tier"], days["to"], len(days["points"])) == ("day", NOW + 1, 60)
    assert days["points"][-1] == [NOW - NOW % 86400, 2]
    hours = (await app.client.get(f"{API}/visitors?tier=hour&page=/b&from={NOW - 3600}&to={NOW + 1}")).json()
    assert [n for _, n in hours["points"]] == [0, 1]
    assert (await app.client.get(f"{API}/present")).json() == {"at": NOW, "visitors": 2}


@pytest.mark.parametrize(
    ("address", "status", "field"),
    [
        ("breakdown/colour", 404, "there is no such dimension; there are channel"),
        ("breakdown/outcome", 404, "there is no such dimension"),
        ("breakdown/browser?period=1w", 400, "period: "),
        ("breakdown/browser?page=a", 400, "page: "),
        ("breakdown/browser?limit=1001", 400, "limit: "),
        ("breakdown/browser?cursor=nowhere", 400, "cursor: "),
        ("breakdown/browser?cursor=WzE4NDQ2NzQ0MDczNzA5NTUxNjE1LCJhIl0", 400, "cursor: "),  # [2^64 - 1, "a"]
        ("breakdown/browser?cursor=Wy0xLCJhIl0", 400, "cursor: "),  # [-1, "a"]
        ("pages?cursor=WzE4NDQ2NzQ0MDczNzA5NTUxNjE1LCJhIl0", 400, "cursor: "),
        ("visitors?tier=minute", 400, "tier: one of hour, day"),
        ("visitors?from=5&to=4", 400, "from: "),
        ("visitors?tier=hour&from=0", 400, "from: "),
    ],
)
async def test_a_question_that_can_not_be_is_named(app: InProcess, address: str, status: int, field: str) -> None:
    """With how to mend it."""
    reply = await app.client.get(f"{API}/{address}")
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert reply.json()["detail"].startswith(field)


@pytest.mark.parametrize("what", ["breakdown/browser", "visitors", "present"])
async def test_what_is_not_public_is_for_those_who_may(what: str) -> None:
    """Nobody else learns even whether there is such a dimension."""
    async with running() as app:
        assert (await app.client.get(f"{API}/{what}")).status_code == 401
        assert (await app.client.get(f"{API}/breakdown/colour")).status_code == 401
        assert (await app.client.get(f"{API}/{what}", headers=await app.token(f"read:{SITE}"))).status_code == 200


async def test_the_interface_describes_itself(app: InProcess) -> None:
    """For programs on any site, and as a page under the strictest policy, whoever asks."""
    document = await app.client.get("/openapi.json")
    assert document.json()["openapi"] == "3.1.0"
    assert document.headers["access-control-allow-origin"] == "*"
    page = await app.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f"{API.replace(SITE, '{site}')}/breakdown/{{dimension}}" in page.text
