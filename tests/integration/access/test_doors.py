"""The doors hold against what no browser sends: long forms, other methods, strange paths, cookies of others, many addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin

import pytest
import pytest_asyncio

from footfall.auth.passwords import MAX_ATTEMPTS
from footfall.errors import StoreUnavailable
from footfall.web.dashboard.forms import DOOR_BYTES
from tests.integration.in_process import SITE, InProcess, running

PASSWORD = "correct horse battery"
OURS = {"sec-fetch-site": "same-origin"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[InProcess]:
    async with running(peer="203.0.113.7", admin_password=PASSWORD) as app:
        yield app


async def session_of(app: InProcess) -> tuple[dict[str, str], str]:
    """A log-in's cookie, and its proof."""
    made = await app.parts.credentials.make_session()
    proof = (await app.parts.credentials.session(made.secret)).proof
    return {"cookie": f"footfall_session={made.secret}"}, proof


@pytest.mark.parametrize("path", ["/login", "/welcome", "/logout"])
async def test_a_form_is_read_no_further_than_it_may_be_long(app: InProcess, path: str) -> None:
    """Whoever sends a hundred megabytes is told so after some kilobytes."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"password="
        for _ in range(1600):
            sent += 65_536
            yield b"x" * 65_536

    headers = OURS | FORM | ((await session_of(app))[0] if path == "/logout" else {})
    reply = await app.client.post(path, content=endless(), headers=headers)
    assert reply.status_code == 400
    assert "body" in reply.json()["detail"]
    assert str(DOOR_BYTES) in reply.json()["detail"]
    assert sent <= 2 * 65_536


async def test_a_form_with_files_or_many_fields_is_refused(app: InProcess) -> None:
    """Nothing is written to this machine's disk."""
    reply = await app.client.post("/login", files={"password": ("a.bin", b"x" * 100)}, headers=OURS)
    assert (reply.status_code, "content-type" in reply.json()["detail"]) == (400, True)
    reply = await app.client.post("/login", content="a=1&" * 100, headers=OURS | FORM)
    assert (reply.status_code, "fields" in reply.json()["detail"]) == (400, True)


async def test_nobody_s_form_is_not_read(app: InProcess) -> None:
    """Who may not make a site is sent to the log-in before the form is looked at."""
    reply = await app.client.post("/sites", content="x" * 5_000_000, headers=OURS | FORM)
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", ["/api/v1/sites", "/access", f"/sites/{SITE}/settings", f"/api/v1/sites/{SITE}", "/login"])
async def test_head_is_get_without_a_body_and_changes_nothing(app: InProcess, path: str) -> None:
    """Whatever body it brings along."""
    headers, proof = await session_of(app)
    got = await app.client.get(path, headers=headers)
    body = f"proof={proof}&do=reset&site=new.example&name=x&action=admin"
    for content, kind in ((b'{"site": "new.example"}', {"content-type": "application/json"}), (body.encode(), FORM)):
        head = await app.client.request("HEAD", path, content=content, headers=headers | OURS | kind)
        assert head.status_code == got.status_code
    assert app.parts.core.registry.sites.get("new.example") is None
    assert await app.parts.credentials.tokens() == {}


@pytest.mark.parametrize("path", ["/api/v1/sites/%7Bsite%7D/live", "/api/v1/sites/{site}/live"])
async def test_a_route_s_pattern_is_no_address(app: InProcess, path: str) -> None:
    """A site that is called {site} is one that nobody may read."""
    assert (await app.client.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        (f"/sites/{SITE}/", f"/sites/{SITE}"),
        (f"/sites/{SITE}/?period=7d&page=/a%2Fb", f"/sites/{SITE}?period=7d&page=/a%2Fb"),
        (f"/api/v1/sites/{SITE}/count/", f"/api/v1/sites/{SITE}/count"),
        ("/sites/%C3%A9%3Fx/", "/sites/%C3%A9%3Fx"),
        ("/count/?s=x&p=/", "/count?s=x&p=/"),
    ],
)
async def test_a_slash_too_many_leads_to_the_same_server(app: InProcess, asked: str, leads_to: str) -> None:
    """Whatever the Host header says, and below whatever prefix a proxy has put this server."""
    reply = await app.client.get(asked, headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    target = reply.headers["location"]
    assert reply.status_code == 307
    assert target.startswith("../")
    for prefix in ("http://footfall.example", "http://footfall.example/below"):
        assert urljoin(prefix + asked, target) == prefix + leads_to


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example//", "/nothing/", "/sites/a/b/", "/%2Fevil.example/", "/login//"]
)
async def test_other_slashes_lead_nowhere(app: InProcess, path: str) -> None:
    """No address of this server is meant."""
    assert (await app.client.get(f"http://footfall.example{path}")).status_code == 404


@pytest.mark.parametrize("others", ['prefs={"a":1}', "a=b c", "x[1]=y", "a=\u00e9", "=", "theme"])
async def test_other_programs_cookies_log_nobody_out(app: InProcess, others: str) -> None:
    """Whatever stands in them."""
    headers, _ = await session_of(app)
    for cookie in (f"{others}; {headers['cookie']}", f"{headers['cookie']}; {others}"):
        sent = [(b"cookie", cookie.encode("latin-1"))]
        reply = await app.client.get(f"/api/v1/sites/{SITE}/count", headers=sent)
        assert reply.status_code == 200


async def test_a_log_in_is_found_in_any_line_of_cookies(app: InProcess) -> None:
    """HTTP/2 sends a line for each cookie, and not every proxy puts them together."""
    headers, _ = await session_of(app)
    ours, others = (b"cookie", headers["cookie"].encode()), (b"cookie", b"theme=dark")
    for lines in ([ours, others], [others, ours], [others, ours, others]):
        assert (await app.client.get(f"/api/v1/sites/{SITE}/count", headers=lines)).status_code == 200


async def test_a_proxy_s_own_password_does_not_hide_a_log_in(app: InProcess) -> None:
    """Basic authorization is for the proxy; a wrong bearer token is for us, and opens nothing."""
    headers, _ = await session_of(app)
    path = f"/api/v1/sites/{SITE}/count"
    assert (await app.client.get(path, headers=headers | {"authorization": "Basic YTpi"})).status_code == 200
    assert (await app.client.get(path, headers=headers | {"authorization": "Bearer ff_no.no"})).status_code == 401


async def test_a_page_of_others_does_not_take_the_cookie_away(app: InProcess) -> None:
    """A browser sends no cookie with such a form, and would take the order to remove it all the same."""
    reply = await app.client.post("/logout", headers={"sec-fetch-site": "cross-site"} | FORM)
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


async def test_a_wrong_password_keeps_where_one_wanted_to_go(app: InProcess) -> None:
    """And nowhere else."""
    for target, kept in (("/sites/example.com?period=7d", "/sites/example.com?period=7d"), ("//evil.example", "/sites")):
        reply = await app.client.post("/login", data={"password": "wrong password", "next": target}, headers=OURS)
        assert f'name="next" value="{kept}"' in reply.text


async def test_an_ipv6_network_guesses_as_one(app: InProcess) -> None:
    """Whoever has one address of a /64 has them all."""
    statuses = []
    for n in range(MAX_ATTEMPTS + 1):
        transport: Any = app.client._transport
        transport.client = (f"2001:db8::{n + 1:x}", 1)
        reply = await app.client.post("/login", data={"password": "wrong password"}, headers=OURS)
        statuses.append(reply.status_code)
    assert statuses == [401] * MAX_ATTEMPTS + [429]


async def test_a_view_counts_though_the_store_can_not_tell_who_asks() -> None:
    """Who may read is asked of the store only to show the number: without an answer the view is counted, and no number shown."""
    async with running(peer="203.0.113.7") as app:

        async def away(_kind: str, _key: str) -> object:
            raise StoreUnavailable("away")

        app.parts.store.document = away  # type: ignore[method-assign, assignment]
        reply = await app.client.get(
            "/count", params={"s": SITE, "p": "/"}, headers={"accept": "application/json", "cookie": "footfall_session=s_a.b"}
        )
        assert (reply.status_code, reply.headers["x-footfall"]) == (204, "counted")
