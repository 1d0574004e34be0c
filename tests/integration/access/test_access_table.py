"""Who may ask what: every address of the table, by every kind of caller; and no token of one site opens another.

What a reply says is looked at as well: the site's pages and numbers stand in none to a caller that may not read it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from footfall.auth import Caller
from footfall.model import Batch, SiteBatch
from footfall.web.routes import ROUTES, Needs, Row
from tests.integration.in_process import CHROME, SITE, InProcess, running

OTHER = "example.org"

#: Callers, and the needs of a row that each of them fulfils.
CALLERS: Mapping[str, frozenset[Needs]] = {
    "nobody": frozenset({Needs.NOTHING}),
    "share link": frozenset({Needs.NOTHING, Needs.READ, Needs.COUNTER}),
    "read token": frozenset({Needs.NOTHING, Needs.READ, Needs.COUNTER}),
    "write token": frozenset({Needs.NOTHING, Needs.WRITE}),
    "admin token": frozenset(Needs),
    "session": frozenset(Needs) - {Needs.METRICS},
    "read token of another site": frozenset({Needs.NOTHING}),
    "write token of another site": frozenset({Needs.NOTHING}),
    "share link of another site": frozenset({Needs.NOTHING}),
    "revoked admin token": frozenset({Needs.NOTHING}),
    "invented token": frozenset({Needs.NOTHING}),
    "invented session": frozenset({Needs.NOTHING}),
}

#: Pages that look at a password, a link or a form's proof themselves, and refuse whoever has none.
DOORS = {"/login", "/logout", "/welcome"}

#: Pages for people, who are sent to the log-in. What their forms change needs a proof too, which comes with the page.
PAGES = {"/sites", "/sites/{site}", "/sites/{site}/settings", "/access"}

#: What is refused by asking for credentials, whatever came along.
ASKING = {Needs.READ, Needs.COUNTER, Needs.METRICS}

#: Callers of whom nothing is known: they are asked who they are.
UNKNOWN = {"nobody", "revoked admin token", "invented token", "invented session"}

#: Pages of the site, and how often each was viewed: more than the views of a whole run of this test make a difference to.
PAGES_SEEN = ("/", "/confidential")
MANY = 7_654_000

#: What tells of them: a page, a number of a page or of the site, written in any way.
TELLING = re.compile(r"confidential|\b(?:7,?654|15,?308),?[0-9]{3}\b|\b(?:7\.6|15(?:\.3)?)M\b")

#: Replies differ by what is asked for.
ACCEPTS = ("*/*", "text/html", "application/json")

#: What says that a caller may not.
REFUSED = {401, 403}

#: Rows that may be asked with each of their methods, one by one. A row whose handler decides is asked with GET.
CASES = [(row, method) for row in ROUTES for method in (row.methods or ["GET"])]


class Application:
    """The application, and the headers of each kind of caller."""

    def __init__(self, app: InProcess) -> None:
        self.app = app
        self.headers: dict[str, dict[str, str]] = {}

    async def introduce(self) -> None:
        credentials = self.app.parts.credentials

        async def bearer(*scopes: str) -> dict[str, str]:
            return await self.app.token(*scopes)

        async def share(site: str) -> dict[str, str]:
            return {"cookie": f"footfall_share={(await credentials.make_share('a link', site)).secret}"}

        revoked = await bearer("admin")
        await credentials.revoke_token(next(reversed(await credentials.tokens())))
        session = (await credentials.make_session()).secret
        self.headers = {
            "nobody": {},
            "share link": await share(SITE),
            "read token": await bearer(f"read:{SITE}"),
            "write token": await bearer(f"write:{SITE}"),
            "admin token": await bearer("admin"),
            "session": {"cookie": f"footfall_session={session}"},
            "read token of another site": await bearer(f"read:{OTHER}"),
            "write token of another site": await bearer(f"write:{OTHER}"),
            "share link of another site": await share(OTHER),
            "revoked admin token": revoked,
            "invented token": {"authorization": "Bearer ff_0123456789.0123456789"},
            "invented session": {"cookie": f"footfall_session=x{session}"},
        }

    async def status(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """The status of a reply; its body, which may never end, is not waited for."""
        return (await self.reply(method, path, headers, whole=False))[0]

    async def reply(self, method: str, path: str, headers: Mapping[str, str], *, whole: bool = True) -> tuple[int, str]:
        """The status of a reply, and what it says: its headers but for its random id; the body too where it is waited for."""
        said: list[bytes] = []
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sent = {"host": "footfall.example", "user-agent": CHROME, **headers}
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        target, _, query = path.partition("?")

        body = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in body:
                return message
            await asyncio.sleep(3600)  # it goes on watching, and is cut off when its reply has begun
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and not started.done():
                said.extend(b"%s: %s\n" % line for line in message["headers"] if line[0] != b"x-request-id")
                started.set_result(message["status"])
            said.append(message.get("body", b""))

        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": raw,
            "scheme": "http",
            "client": ("203.0.113.7", 1),
            "server": ("footfall.example", 80),
            "root_path": "",
        }
        asking = asyncio.ensure_future(self.app.client._transport.app(scope, receive, send))  # type: ignore[attr-defined]
        try:
            await asyncio.wait({asking, started}, return_when=asyncio.FIRST_COMPLETED)
            if whole:
                await asyncio.wait_for(asking, 20)
            return started.result(), b"".join(said).decode("utf-8", "replace")
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application() -> AsyncIterator[Application]:
    async with running(sites=f"{SITE},{OTHER}", home_site=SITE) as app:
        made = Application(app)
        await made.introduce()
        batch = Batch("a test", 1, {SITE: SiteBatch(dict.fromkeys(PAGES_SEEN, MANY))})
        await app.parts.store.commit(batch)
        yield made


def address(row: Row) -> str:
    """An address of a row, of the one site."""
    path = row.path
    for name, value in {"site": SITE, "secret": "sh_none", "name": "footfall.css", "kind": "svg", "dimension": "browser"}.items():
        path = path.replace(f"{{{name}}}", value)
    if row.path.startswith("/count"):
        return f"{path}?s={SITE}&p=/"
    return f"{path}?id=none&page=/none" if row.needs is Needs.ADMIN else path


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("row", "method"), CASES, ids=[f"{method} {row.path}" for row, method in CASES])
async def test_every_address_is_open_to_whom_it_says(application: Application, row: Row, method: str, caller: str) -> None:
    """Who fulfils the row's need gets something else than a refusal, whatever that is; who does not gets 401 or 403, or is sent
    to the log-in.
    """
    status = await application.status(method, address(row), application.headers[caller])
    assert status < 500
    if row.needs in CALLERS[caller]:
        assert status not in REFUSED or row.path in DOORS or (row.path in PAGES and method == "POST")
    elif row.path in PAGES:
        assert status == 303
    else:
        assert status == (401 if caller in UNKNOWN else 403) or (status == 401 and row.needs in ASKING)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize(("row", "method"), CASES, ids=[f"{method} {row.path}" for row, method in CASES])
async def test_nobody_is_told_of_a_site_that_they_may_not_read(
    application: Application, row: Row, method: str, accept: str
) -> None:
    """No page and no number, whichever address is asked, and in whichever form; a HEAD says no more than a GET."""
    asked = {"GET": ("GET", "HEAD")}.get(method, (method,))
    for caller, fulfilled in CALLERS.items():
        if Needs.READ in fulfilled:
            continue
        for each in asked:
            _, said = await application.reply(each, address(row), application.headers[caller] | {"accept": accept})
            assert not TELLING.search(said), (caller, each, said)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize(
    "path",
    [
        *("/", f"/count?s={SITE}&p=/", f"/sites/{SITE}", f"/counter/{SITE}.svg", f"/counter/{SITE}.txt?page=/"),
        *(f"/api/v1/sites/{SITE}/{what}" for what in ("count", "pages", "series", "export.csv", "export.ndjson")),
    ],
)
async def test_readers_are_told(application: Application, path: str, accept: str) -> None:
    """So the test before would see what it looks for. The home page is one of those addresses."""
    for caller, fulfilled in CALLERS.items():
        if Needs.READ in fulfilled and (accept == "application/json" or not path.startswith("/count?")):
            status, said = await application.reply("GET", path, application.headers[caller] | {"accept": accept})
            assert (status, bool(TELLING.search(said))) == (200, True), (caller, said)


def test_the_table_names_every_need() -> None:
    """No kind of caller and no need is without a case."""
    assert {row.needs for row in ROUTES} >= {Needs.NOTHING, Needs.READ, Needs.WRITE, Needs.ADMIN, Needs.METRICS}


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (("read:a.example",), True, False),
        (("write:a.example",), False, True),
        (("read:*",), True, False),
        (("read:b.example", "write:b.example"), False, False),
        (("read:a.example.evil",), False, False),
        (("admin",), True, True),
        ((), False, False),
    ],
)
def test_scopes_say_what_they_say(scopes: tuple[str, ...], reads: bool, writes: bool) -> None:
    """And nothing more."""
    from footfall.auth import read_scope

    caller = Caller("token", frozenset(map(read_scope, scopes)))
    assert (caller.may_read("a.example"), caller.may_write("a.example")) == (reads, writes)
