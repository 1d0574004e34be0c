"""Views handed in many at once, and the ledger that says what became of all."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall.errors import StoreUnavailable
from footfall.web.api.views import MAX_BYTES, MAX_ITEMS, Item
from tests.integration.in_process import CHROME, SITE, InProcess, running

VIEWS = f"/api/v1/sites/{SITE}/views"
COUNT = f"/api/v1/sites/{SITE}/count"
JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists)
LEDGER = f"/api/v1/sites/{SITE}/ledger"


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running() as app:
        yield app


async def handed_in(app: InProcess, items: Any, status: int = 200) -> dict[str, Any]:
    """The reply to items handed in with a token that may write and read."""
    reply = await app.client.post(VIEWS, json=items, headers=await app.token(f"write:{SITE}"))
    assert reply.status_code == status, reply.text
    body: dict[str, Any] = reply.json()
    return body


async def total(app: InProcess, page: str | None = None) -> int:
    """The views of a page or of the site, in all."""
    query = {"page": page} if page else {}
    number: int = (await app.client.get(COUNT, params=query, headers=await app.token(f"read:{SITE}"))).json()["total"]
    return number


async def test_many_views_are_counted_with_what_they_bring(app: InProcess) -> None:
    """Their own time, agent, address, referrer, campaign and language."""
    now = int((await app.client.get(COUNT, headers=await app.token("admin"))).json()["at"])
    items = [
        {"page": "/a", "user_agent": CHROME, "ip": "203.0.113.7", "referrer": "https://www.google.com/", "language": "de"},
        {"page": "/a?utm_campaign=spring", "at": now - 100, "user_agent": CHROME, "ip": "203.0.113.8"},
        {"page": "/b"},
    ]
    reply = await handed_in(app, items)
    assert reply == {"received": 3, "counted": 3, "duplicate": 0, "spooled": 0, "failed": 0, "dropped": {}, "bad": []}
    assert [await total(app, page) for page in ("/a", "/b", None)] == [2, 1, 3]
    recent = (await app.client.get(COUNT, params={"page": "/a"}, headers=await app.token("admin"))).json()
    assert recent["views"] == 1


async def test_lines_do_as_well_as_an_array(app: InProcess) -> None:
    """NDJSON, told by its type or by its looks."""
    lines = b'{"page":"/a"}\n\n{"page":"/b"}\r\n'
    for content_type in ("application/x-ndjson", "application/json", ""):
        headers = await app.token(f"write:{SITE}") | {"content-type": content_type}
        assert (await app.client.post(VIEWS, content=lines, headers=headers)).json()["counted"] == 2


async def test_bad_items_are_named_and_the_others_count(app: InProcess) -> None:
    """By their index, with the field and a hint."""
    items = [
        {"page": "/a"},
        {"page": 7},
        {},
        {"page": "/b", "event_id": "short"},
        {"page": "/c", "at": -1},
        "text",
        {"page": "/d"},
    ]
    reply = await handed_in(app, items)
    assert reply["counted"] == 2
    assert [(bad["index"], bad["field"]) for bad in reply["bad"]] == [
        (1, "page"),
        (2, "item"),
        (3, "event_id"),
        (4, "at"),
        (5, "item"),
    ]
    assert all(bad["hint"] for bad in reply["bad"])


async def test_null_is_as_left_out_for_every_field(app: InProcess) -> None:
    """But for the page, without which there is no view."""
    bare = dict.fromkeys(Item.__struct_fields__, None)
    reply = await handed_in(app, [bare | {"page": "/a"}, {"page": "/a"}, bare])
    assert (reply["counted"], [bad["field"] for bad in reply["bad"]]) == (2, ["page"])
    breakdown = (await app.client.get(f"/api/v1/sites/{SITE}/breakdown/browser", headers=await app.token(f"read:{SITE}"))).json()
    assert breakdown["values"] == []


async def test_drops_are_told_by_reason(app: InProcess) -> None:
    """Robots and paths that are no pages; neither rates nor limits on new pages hold for a token."""
    items = [{"page": "/a", "user_agent": "Googlebot/2.1"}, {"page": "no-path"}, {"page": "/a", "user_agent": CHROME}]
    reply = await handed_in(app, items)
    assert (reply["counted"], reply["dropped"]) == (1, {"bot": 1, "bad-page": 1})


async def test_an_event_id_counts_once(app: InProcess) -> None:
    """Within a request and between two."""
    item = {"page": "/a", "event_id": "0123456789abcdef"}
    assert (await handed_in(app, [item, item]))["duplicate"] == 1
    assert (await handed_in(app, [item]))["counted"] == 0
    assert await total(app) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "counted"),
        (b"[", "not JSON"),
        (b"{", "not JSON"),
        (b'[{"page":"/a"},]', "not JSON"),
        (b'{"page":"/a"}\nnonsense', "not JSON"),
        (b'[{"page":"/a"},{"page":"/\xff"}]', "not UTF-8 (byte 25)"),
        (b'{"page":"/a"}\n{"page":"/b","title":"\xed\xa0\x80"}', "not UTF-8"),
        (b"\xff", "not UTF-8"),
        (b'[{"page":"/a"},{"page":"/\\ud800"}]', "not JSON"),
        (b"[" * 100_000, "in one another"),
        (b'[{"page":"/a"},' + b"[" * 100_000, "in one another"),
        (b'[{"page":"/a","x":' + b'{"a":' * 5000 + b"1" + b"}" * 5001 + b"]", "in one another"),
        (b'{"page":"/a"}\n' + b'{"a":' * 100_000, "in one another"),
        (b"[" + b",".join([b'{"page":"/a"}'] * (MAX_ITEMS + 1)) + b"]", "at most 10000 views"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes"),
    ],
)
async def test_a_malformed_body_counts_nothing(app: InProcess, body: bytes, says: str) -> None:
    """All or nothing, with a line that says what is wrong."""
    reply = await app.client.post(VIEWS, content=body, headers=await app.token(f"write:{SITE}"))
    assert reply.status_code == (400 if body else 200)
    assert says in reply.text
    assert await total(app) == 0


async def test_as_many_as_there_may_be(app: InProcess) -> None:
    """Ten thousand views on as many pages, in one request."""
    reply = await handed_in(app, [{"page": f"/{n}"} for n in range(MAX_ITEMS)])
    assert reply["counted"] == MAX_ITEMS == await total(app)


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        ((), 401),
        ((f"read:{SITE}",), 403),
        (("write:example.org",), 403),
        ((f"write:{SITE}",), 200),
        (("write:*",), 200),
        (("admin",), 200),
    ],
)
async def test_a_token_must_be_allowed_to_write(app: InProcess, scopes: tuple[str, ...], status: int) -> None:
    """That site, or every."""
    headers = await app.token(*scopes) if scopes else {}
    assert (await app.client.post(VIEWS, json=[{"page": "/"}], headers=headers)).status_code == status


async def test_the_ledger_accounts_for_every_view(app: InProcess) -> None:
    """Counted, duplicate, dropped by reason: what came in by requests and by token, and no more."""
    chance = random.Random(7)
    sent = 0
    for n in range(40):
        agent = chance.choice([CHROME, "Googlebot/2.1", CHROME])
        params = {"s": SITE, "p": chance.choice(["/a", "/b", "bad"]), "e": f"event-number-{chance.randrange(25):04}"}
        reply = await app.client.post("/count", params=params, headers={"user-agent": agent})
        assert reply.status_code == 204, (n, reply.text)
        sent += 1
    await handed_in(app, [{"page": "/a"}, {"page": "/a", "user_agent": "curl/8"}])
    await app.parts.core.counter.drain()
    reply = await app.client.get(LEDGER, params={"period": "24h"}, headers=await app.token(f"read:{SITE}"))
    ledger = reply.json()
    assert ledger["received"] == sent + 2 == ledger["counted"] + ledger["duplicate"] + sum(ledger["dropped"].values())
    assert ledger["counted"] == await total(app)
    assert set(ledger["dropped"]) == {"bot", "bad-page"}
    assert ledger["duplicate"] > 0


async def test_the_ledger_is_as_private_as_the_site(app: InProcess) -> None:
    """And knows the periods that there are."""
    assert (await app.client.get(LEDGER)).status_code == 401
    assert (await app.client.get(LEDGER, params={"period": "1h"}, headers=await app.token("admin"))).status_code == 400


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
async def test_no_body_makes_the_server_fail(app: InProcess, body: bytes) -> None:
    """It counts, or says what is wrong."""
    reply = await app.client.post(VIEWS, content=body, headers=await app.token(f"write:{SITE}"))
    assert reply.status_code in (200, 400)


async def test_a_token_s_views_open_any_number_of_pages() -> None:
    """The limit on new pages a day is not for them; it is for everybody else."""
    async with running(pages_per_day=3) as app:
        reply = await handed_in(app, [{"page": f"/{n}"} for n in range(10)])
        assert (reply["counted"], reply["dropped"]) == (10, {})
        now = (await app.client.get(COUNT, headers=await app.token("admin"))).json()
        assert (now["views"], now["total"]) == (10, 10)
        for n in range(4):
            last = await app.client.get("/count", params={"s": SITE, "p": f"/visited/{n}"})
        assert last.headers["x-footfall"] == "dropped; reason=too-many-pages"


async def test_a_refused_view_is_a_drop_and_no_fault() -> None:
    """Where the store does not tell its time, a view without one is held to the limit."""
    async with running(pages_per_day=3) as app:

        async def away(*_: object) -> object:
            raise StoreUnavailable("away")

        app.parts.store.counts = away  # type: ignore[method-assign, assignment]
        reply = await handed_in(app, [{"page": f"/{n}"} for n in range(10)])
        assert (reply["counted"], reply["dropped"]) == (3, {"too-many-pages": 7})


async def test_a_site_that_is_removed_while_views_come_is_gone(app: InProcess) -> None:
    """404, and nothing is counted."""
    await app.parts.core.registry.sites.save("gone.example", {}, version=0)

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"page": "/a"}\n'
        await app.parts.core.registry.sites.remove("gone.example")
        yield b'{"page": "/b"}\n'

    reply = await app.client.post("/api/v1/sites/gone.example/views", content=slowly(), headers=await app.token("admin"))
    assert reply.status_code == 404
