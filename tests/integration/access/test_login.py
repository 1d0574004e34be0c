"""Logging in: by the password alone, limited, by pages of our own, and ended when it is ended."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from argon2 import PasswordHasher

from footfall.auth import Passwords
from footfall.auth.credentials import SESSION_SECONDS
from footfall.auth.passwords import ATTEMPT_SECONDS, INVITATION_SECONDS, MAX_ATTEMPTS, MAX_ATTEMPTS_OF_ALL
from tests.contract.conftest import Clock
from tests.integration.in_process import SITE, InProcess, running

PASSWORD = "correct horse battery"
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def clock() -> Clock:
    return Clock(float(int(time.time())))


#: Hashes as cheaply as Argon2 can; how a hash was made stands in it, and so it is checked as cheaply. With the cost that an
#: owner's password has, the checks of these tests took 8 s; those that set it themselves have that.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def app(clock: Clock) -> AsyncIterator[InProcess]:
    async with running(clock, peer="203.0.113.7") as app:
        await Passwords(app.parts.store, app.parts.credentials, hasher=CHEAP).set(PASSWORD)
        yield app


async def log_in(app: InProcess, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return await app.client.post("/login", data={"password": password, "next": "/sites"}, headers=OURS | headers)


async def may_read(app: InProcess) -> bool:
    return (await app.client.get(f"/api/v1/sites/{SITE}/count")).status_code == 200


async def test_the_password_opens_everything_and_logging_out_closes_it(app: InProcess) -> None:
    """By a cookie that scripts can't read; when it has ended, it has ended everywhere."""
    assert not await may_read(app)
    reply = await log_in(app)
    assert (reply.status_code, reply.headers["location"]) == (303, "/sites")
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert await may_read(app)
    kept = dict(app.client.cookies)
    proof = (await app.parts.credentials.session(kept["footfall_session"])).proof
    assert (await app.client.post("/logout", data={"proof": proof}, headers=OURS)).status_code == 303
    app.client.cookies = httpx.Cookies(kept)
    assert not await may_read(app)


async def test_a_wrong_password_says_so_and_no_more(app: InProcess) -> None:
    """No cookie, no hint."""
    reply = await log_in(app, "wrong password")
    assert reply.status_code == 401
    assert "Wrong password." in reply.text
    assert "set-cookie" not in reply.headers


async def test_password_forms_name_whom_the_password_is_for(app: InProcess) -> None:
    """For password managers, in a field that nobody sees; a form that brings it back is taken."""
    key = await app.parts.passwords.invite()
    for path in ("/login", f"/welcome?key={key}"):
        text = (await app.client.get(path)).text
        (field,) = re.findall(r"<input[^>]* name=\"username\"[^>]*>", text)
        assert all(word in field for word in (' autocomplete="username"', ' value="admin"', " readonly", " hidden"))
        assert text.index("username") < text.index('type="password"')
    form = {"username": "admin", "password": PASSWORD, "next": "/sites"}
    assert (await app.client.post("/login", data=form, headers=OURS)).status_code == 303


async def test_behind_tls_the_cookie_is_secure(clock: Clock) -> None:
    """As a trusted proxy tells, and nobody else."""
    async with running(clock, peer="10.0.0.1", trusted_proxies="10.0.0.0/8") as app:
        await app.parts.passwords.set(PASSWORD)
        reply = await log_in(app, **{"x-forwarded-proto": "https"})
        assert "; secure" in reply.headers["set-cookie"].lower()
        page = await app.client.get("/login", headers={"x-forwarded-proto": "https", "cookie": ""})
        assert "max-age" in page.headers["strict-transport-security"]
    async with running(clock, peer="203.0.113.7", trusted_proxies="10.0.0.0/8") as app:
        await app.parts.passwords.set(PASSWORD)
        assert "; secure" not in (await log_in(app, **{"x-forwarded-proto": "https"})).headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, "http://footfall.example"),
        ({"x-forwarded-proto": "https"}, "https://footfall.example"),
        ({"x-forwarded-proto": "http, https", "x-forwarded-host": "x.example, stats.example"}, "https://stats.example"),
        ({"forwarded": 'for=192.0.2.1, for=192.0.2.2;host="stats.example:8443";proto=https'}, "https://stats.example:8443"),
        ({"x-forwarded-host": 'x"onload="y'}, "https://counter.example"),
        ({"host": "[::1]:8000"}, "http://[::1]:8000"),
        ({"host": 'x"onload="y'}, "https://counter.example"),
        ({"host": "x/$(id)"}, "https://counter.example"),
    ],
)
async def test_the_tag_names_the_origin_that_was_asked(headers: dict[str, str], origin: str) -> None:
    """Behind TLS too, as a trusted proxy tells; an origin that is none is shown to nobody."""
    async with running(peer="10.0.0.1", trusted_proxies="10.0.0.0/8", public_sites=SITE) as app:
        page = await app.client.get("/", headers=headers | {"accept": "text/html"})
        assert f"src=&#34;{origin}/footfall.js&#34;" in page.text.replace('"', "&#34;")


async def test_a_setting_names_the_address_that_browsers_open() -> None:
    """It stands in tags, whatever name the server was asked by; and forms of pages at that address are its own."""
    async with running(public_url="https://Stats.example/", public_sites=SITE, admin_password=PASSWORD) as app:
        page = await app.client.get("/", headers={"accept": "text/html"})
        assert "src=&#34;https://stats.example/footfall.js&#34;" in page.text.replace('"', "&#34;")
        for origin, status in (("https://stats.example", 303), ("https://evil.example", 403)):
            reply = await app.client.post("/login", data={"password": PASSWORD}, headers={"origin": origin})
            assert reply.status_code == status


async def test_guessing_is_limited_by_address(app: InProcess, clock: Clock) -> None:
    """After so many wrong ones none is tried, the right one neither; others may; then the time is over."""
    for _ in range(MAX_ATTEMPTS):
        assert (await log_in(app, "wrong password")).status_code == 401
    refused = await log_in(app)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= ATTEMPT_SECONDS
    assert await app.parts.passwords.check(PASSWORD, "198.51.100.9")
    clock.advance(ATTEMPT_SECONDS)
    assert (await log_in(app)).status_code == 303


async def test_guessing_is_limited_in_all(app: InProcess, clock: Clock) -> None:
    """From however many addresses, at however many instances: the store counts."""
    another = Passwords(app.parts.store, app.parts.credentials, "the setting's: quick to compare")
    for n in range(MAX_ATTEMPTS_OF_ALL):
        assert not await another.check("wrong password", f"198.51.{n}.1")
    assert (await log_in(app)).status_code == 429


async def test_no_address_is_kept(app: InProcess) -> None:
    """Attempts are counted by a keyed hash."""
    await log_in(app, "wrong password")
    rows = await app.parts.store.documents("attempt")
    assert rows
    assert not any("203.0.113.7" in f"{row.key} {row.value!r}" for row in rows)


async def test_a_session_ends_with_its_time(app: InProcess, clock: Clock) -> None:
    """A month after it began."""
    await log_in(app)
    clock.advance(SESSION_SECONDS - 1)
    assert await may_read(app)
    clock.advance(1)
    assert not await may_read(app)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\nb", ""])
async def test_a_log_in_leads_nowhere_else(app: InProcess, target: str) -> None:
    """Only to a path of our own."""
    reply = await app.client.post("/login", data={"password": PASSWORD, "next": target}, headers=OURS)
    assert reply.headers["location"] == "/sites"


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {"origin": "null"}],
)
async def test_pages_of_others_change_nothing(app: InProcess, headers: dict[str, str]) -> None:
    """Neither log in nor out nor, by a session's cookie, anything else."""
    assert (await app.client.post("/login", data={"password": PASSWORD}, headers=headers)).status_code == 403
    await log_in(app)
    proof = (await app.parts.credentials.session(app.client.cookies["footfall_session"])).proof
    assert (await app.client.post("/logout", data={"proof": proof}, headers=headers)).status_code == 403
    assert (await app.client.post("/logout", data={"proof": "guessed"}, headers=OURS)).status_code == 403
    made = await app.client.post("/api/v1/sites", json={"site": "new.example"}, headers=headers)
    assert made.status_code == 403
    token = await app.token("admin")
    app.client.cookies.clear()
    assert (await app.client.post("/api/v1/sites", json={"site": "new.example"}, headers=headers | token)).status_code == 201


async def test_a_one_time_link_sets_the_first_password(clock: Clock) -> None:
    """Once, within an hour, and logs in."""
    async with running(clock) as app:
        assert "No password has been set" in (await app.client.get("/login")).text
        key = await app.parts.passwords.first_key()
        assert key is not None
        page = await app.client.get("/welcome", params={"key": key})
        assert re.search(f'name="key" value="{re.escape(key)}"', page.text)
        assert (await app.client.post("/welcome", data={"key": key, "password": "short"}, headers=OURS)).status_code == 400
        assert (await app.client.post("/welcome", data={"key": "x", "password": PASSWORD}, headers=OURS)).status_code == 403
        assert (await app.client.post("/welcome", data={"key": key, "password": PASSWORD}, headers=OURS)).status_code == 303
        assert await may_read(app)
        assert (await app.client.post("/welcome", data={"key": key, "password": "another one"}, headers=OURS)).status_code == 403
        assert await app.parts.passwords.first_key() is None
        late = await app.parts.passwords.invite()
        clock.advance(INVITATION_SECONDS)
        assert (await app.client.get("/welcome", params={"key": late})).status_code == 403


async def test_the_setting_s_password_goes_before_the_stored_one(clock: Clock) -> None:
    """And needs no link."""
    async with running(clock, admin_password="from a secret file") as app:
        await app.parts.passwords.set(PASSWORD)
        assert (await log_in(app)).status_code == 401
        assert (await log_in(app, "from a secret file")).status_code == 303
        assert await app.parts.passwords.first_key() is None


async def test_a_share_link_shows_one_site_until_it_ends(app: InProcess, clock: Clock) -> None:
    """It is read-only, and can be taken back."""
    credentials = app.parts.credentials
    made = await credentials.make_share("for the wall", SITE, int(clock()) + 100)
    reply = await app.client.get(f"/share/{made.secret}")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/sites/{SITE}")
    assert await may_read(app)
    assert (await app.client.post(f"/api/v1/sites/{SITE}/views", json=[])).status_code == 403
    assert (await app.client.get("/api/v1/tokens")).status_code == 403
    clock.advance(100)
    assert not await may_read(app)
    assert (await app.client.get(f"/share/{made.secret}")).status_code == 404
    second = await credentials.make_share("for the wall", SITE)
    await app.client.get(f"/share/{second.secret}")
    assert await may_read(app)
    await credentials.revoke_share(second.id)
    assert not await may_read(app)


async def test_secrets_are_kept_hashed(app: InProcess) -> None:
    """Nothing in the store opens anything."""
    await log_in(app)
    token = (await app.token("admin"))["authorization"].removeprefix("Bearer ")
    session = app.client.cookies["footfall_session"]
    kept = b""
    for kind in ("token", "session", "share", "password", "invitation"):
        for document in await app.parts.store.documents(kind):
            kept += document.key.encode() + document.value
    for secret in (token, session, PASSWORD, token.partition(".")[0], session.partition(".")[0]):
        assert secret.encode() not in kept


async def test_what_another_instance_made_is_known_at_once(app: InProcess) -> None:
    """The request after a log-in may reach another instance."""
    from footfall.auth import Credentials

    other = Credentials(app.parts.store, time.time)
    made = await other.make_session()
    app.client.cookies.set("footfall_session", made.secret)
    assert await may_read(app)
    await other.revoke_all_sessions()
    await app.parts.credentials.refresh()
    assert not await may_read(app)


async def test_a_token_s_last_use_is_noted(app: InProcess, clock: Clock) -> None:
    """About once a minute."""
    headers = await app.token(f"read:{SITE}")
    for _ in range(3):
        await app.client.get(f"/api/v1/sites/{SITE}/count", headers=headers)
    (token,) = (await app.parts.credentials.tokens()).values()
    assert token.used == int(clock())
