"""Sites made, changed and removed by the API; tokens and share links; pages forgotten."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from footfall.model import DAY
from tests.integration.in_process import SITE, InProcess, running

SITES = "/api/v1/sites"
DECLARED = f"{SITES}/{SITE}"
NEW = f"{SITES}/new.example"


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running(sites=f"{SITE},open.example", public_sites="open.example") as app:
        app.client.headers.update(await app.token("admin"))
        yield app


async def count(app: InProcess, site: str, page: str = "/", **headers: str) -> str:
    """What a view of a site came to."""
    sent = {"authorization": "", **headers}
    return (await app.client.post("/count", params={"s": site, "p": page}, headers=sent)).headers["x-footfall"]


async def test_a_site_that_is_made_is_counted_at_once(app: InProcess) -> None:
    """By its own rules, and the settings' where it has none; removed, it is counted no more and its views are gone."""
    assert await count(app, "new.example") == "dropped; reason=unknown-site"
    made = await app.client.post(SITES, json={"site": "New.example", "visibility": "public", "excluded_paths": ["/admin/*"]})
    assert (made.status_code, made.json()["site"], made.json()["declared"]) == (201, "new.example", False)
    assert made.json()["rules"]["pages_per_day"] == 10_000
    assert made.json()["own"] == {"visibility": "public", "excluded_paths": ["/admin/*"]}
    assert await count(app, "new.example") == "counted"
    assert await count(app, "new.example", "/admin/x") == "dropped; reason=excluded"
    assert (await app.client.get(f"{NEW}/count", headers={"authorization": ""})).json()["total"] == 1
    assert (await app.client.delete(NEW)).status_code == 204
    assert await count(app, "new.example") == "dropped; reason=unknown-site"
    assert (await app.client.post(SITES, json={"site": "new.example"})).status_code == 201
    assert (await app.client.get(f"{NEW}/count")).json()["total"] == 0


async def test_rules_are_changed_one_by_one(app: InProcess) -> None:
    """Null gives a rule back to the settings; the others stay."""
    await app.client.patch(DECLARED, json={"merges_slash": True, "site_rate": 7})
    changed = await app.client.patch(DECLARED, json={"site_rate": None, "visibility": "counter"})
    assert changed.json()["own"] == {"merges_slash": True, "visibility": "counter"}
    assert changed.json()["rules"]["site_rate"] == 0
    assert (await app.client.get(DECLARED)).json() == changed.json()


async def test_a_site_is_kept_as_its_rules_say(app: InProcess) -> None:
    """In seconds, tier by tier: a view of long ago is in the days of a site that is kept for so long, and in no other's."""
    kept = {"retention_hour": 100 * DAY, "retention_day": 1200 * DAY}
    changed = await app.client.patch(DECLARED, json=kept)
    assert changed.json()["own"] == kept
    assert changed.json()["rules"] | kept == changed.json()["rules"]
    old = int(time.time()) - 1000 * DAY
    asked: dict[str, str | int] = {"tier": "day", "from": old, "to": old + 1}
    views = {}
    for site in (SITE, "open.example"):
        assert (await app.client.post(f"{SITES}/{site}/views", json=[{"page": "/old", "at": old}])).status_code == 200
        views[site] = (await app.client.get(f"{SITES}/{site}/series", params=asked)).json()["points"][0][1]
    assert views == {SITE: 1, "open.example": 0}
    assert (await app.client.patch(DECLARED, json={"retention_day": None})).json()["rules"]["retention_day"] == 730 * DAY
    assert (await app.client.get(f"{DECLARED}/series", params=asked)).json()["points"][0][1] == 0


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"site_rate": -1}, "site_rate"),
        ({"site_rate": "many"}, "rules"),
        ({"visibility": "everyone"}, "rules"),
        ({"origins": ["not a host!"]}, "origins"),
        ({"excluded_addresses": ["nowhere"]}, "excluded_addresses"),
        ({"excluded_paths": ["no-slash"]}, "excluded_paths"),
        ({"kept_parameters": ["a b"]}, "kept_parameters"),
        ({"origins": ["a.example"] * 101}, "origins"),
        ({"retention_day": 0}, "retention_day"),
        ({"retention_day": 86_400}, "retention_day"),
        ({"retention_minute": 9_999_999}, "retention_hour"),
        ({"retention_second": 599}, "retention_second"),
        ({"retention_hour": "90d"}, "rules"),
    ],
)
async def test_a_rule_that_can_not_be_is_named(app: InProcess, rules: dict[str, Any], field: str) -> None:
    """With how to mend it; nothing is changed."""
    reply = await app.client.patch(DECLARED, json=rules)
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith(f"{field}: ")
    assert (await app.client.get(DECLARED)).json()["own"] == {}


async def test_what_the_settings_say_wins(app: InProcess) -> None:
    """Their sites can't be removed, nor those they call public be made private."""
    assert (await app.client.delete(DECLARED)).status_code == 409
    refused = await app.client.patch(f"{SITES}/open.example", json={"visibility": "private"})
    assert refused.status_code == 409
    assert "FOOTFALL_PUBLIC_SITES" in refused.json()["detail"]
    assert (await app.client.patch(f"{SITES}/open.example", json={"site_rate": 5})).status_code == 200
    assert (await app.client.post(SITES, json={"site": SITE})).status_code == 409


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"site": 7}', b'{"site": "no site!"}', b"{}", b'"' + b"x" * 300_000])
async def test_a_body_that_makes_no_site_is_the_sender_s_mistake(app: InProcess, body: bytes) -> None:
    """One line that says what would."""
    reply = await app.client.post(SITES, content=body)
    assert reply.status_code == 400
    assert ": " in reply.json()["detail"]


async def test_a_list_has_what_the_caller_may_read(app: InProcess) -> None:
    """Public sites for everyone, one's own for a token, all for an admin."""
    for scopes, names in (((), ["open.example"]), ((f"read:{SITE}",), [SITE, "open.example"])):
        headers = await app.token(*scopes) if scopes else {"authorization": ""}
        assert [row["site"] for row in (await app.client.get(SITES, headers=headers)).json()["sites"]] == names
    assert len((await app.client.get(SITES)).json()["sites"]) == 2


async def test_a_page_is_forgotten(app: InProcess) -> None:
    """With its history; the site's own line keeps its views."""
    for page in ("/a", "/b"):
        await count(app, SITE, page)
    assert (await app.client.delete(f"{DECLARED}/pages", params={"page": "/a"})).status_code == 204
    totals = [
        (await app.client.get(f"{DECLARED}/count", params={"page": page} if page else {})).json()["total"]
        for page in ("/a", "/b", "")
    ]
    assert totals == [0, 1, 2]
    assert (await app.client.delete(f"{DECLARED}/pages")).status_code == 400


async def test_tokens_are_made_listed_and_ended(app: InProcess) -> None:
    """The secret is in one reply and in no other."""
    made = (await app.client.post("/api/v1/tokens", json={"name": "for the shop", "scopes": [f"read:{SITE}"]})).json()
    headers = {"authorization": f"Bearer {made['secret']}"}
    assert (await app.client.get(f"{DECLARED}/count", headers=headers)).status_code == 200
    listed = await app.client.get("/api/v1/tokens")
    assert made["secret"] not in listed.text
    rows = {row["id"]: row for row in listed.json()}
    assert (rows[made["id"]]["name"], rows[made["id"]]["scopes"]) == ("for the shop", [f"read:{SITE}"])
    assert (await app.client.delete("/api/v1/tokens", params={"id": made["id"]})).status_code == 204
    assert (await app.client.get(f"{DECLARED}/count", headers=headers)).status_code == 401
    assert (await app.client.delete("/api/v1/tokens", params={"id": made["id"]})).status_code == 404


@pytest.mark.parametrize(
    "wanted", [{"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]}, {"name": "", "scopes": ["admin"]}, {}]
)
async def test_a_token_needs_a_name_and_scopes(app: InProcess, wanted: dict[str, Any]) -> None:
    """Those that there are."""
    assert (await app.client.post("/api/v1/tokens", json=wanted)).status_code == 400


async def test_share_links_are_of_one_site(app: InProcess) -> None:
    """Listed and ended there, and gone with it."""
    await app.client.post(SITES, json={"site": "new.example"})
    made = (await app.client.post(f"{NEW}/shares", json={"name": "the wall"})).json()
    assert made["secret"] not in (await app.client.get(f"{NEW}/shares")).text
    assert (await app.client.get(f"{DECLARED}/shares")).json() == []
    assert (await app.client.delete(f"{DECLARED}/shares", params={"id": made["id"]})).status_code == 404
    assert (await app.client.post(f"{NEW}/shares", json={"name": "the wall", "until": 5})).status_code == 400
    await app.client.delete(NEW)
    assert (await app.client.get(f"/share/{made['secret']}", headers={"authorization": ""})).status_code == 404


async def test_a_counter_site_shows_no_numbers_but_its_counters(app: InProcess) -> None:
    """A badge does not expose referrers: reads stay closed."""
    await app.client.patch(DECLARED, json={"visibility": "counter"})
    for path in ("count", "series", "pages", "ledger"):
        assert (await app.client.get(f"{DECLARED}/{path}", headers={"authorization": ""})).status_code == 401
    assert app.parts.core.registry.sites.get(SITE) is not None


async def test_a_visitor_who_may_not_read_gets_no_number(app: InProcess) -> None:
    """From `/count`, whatever it accepts; who may read gets it."""
    for headers, status in (({"authorization": ""}, 204), ({}, 200)):
        reply = await app.client.post("/count", params={"s": SITE, "p": "/"}, headers={"accept": "application/json", **headers})
        assert reply.status_code == status
