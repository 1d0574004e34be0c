"""JSON that no program sends by accident: bytes that are not UTF-8, and arrays or objects in one another by the thousand.

Every address that takes JSON answers 400 and says why; nothing of it is a fault of the server's.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from footfall.web.routes import ROUTES
from tests.integration.in_process import SITE, InProcess, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = (
    *(b"\xff", b'{"site":"\xff"}', b'{"name":"\xed\xa0\x80"}', b'["\xff"]', b'{"\xff":1}', b'{"page":"/\xff"}'),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"site":' + b"[" * 5000, b'{"name":' + b'{"a":' * 5000),
    *(b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"name":"\\ud800"}', b'{"site":1e999}', b'{"at":' + b"9" * 5000 + b"}"),
    *(b"\x00", b'{"site":"\x00"}', b"\xfe\xff\x00{\x00}"),
)

#: Addresses that read a body.
TAKING = [
    (row.path, method)
    for row in ROUTES
    if row.path.startswith("/api/")
    for method in row.methods or ()
    if method in ("POST", "PATCH")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[InProcess]:
    async with running() as app:
        app.client.headers.update(await app.token("admin"))
        yield app


@pytest.mark.parametrize(("path", "method"), TAKING)
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_json_is_the_sender_s_mistake(app: InProcess, path: str, method: str, body: bytes) -> None:
    """Named with the field or the body that is at fault."""
    reply = await app.client.request(method, path.replace("{site}", SITE), content=body)
    if path.endswith("/views") and reply.status_code == 200:  # it is JSON, of items that are no views
        assert reply.json()["received"] == len(reply.json()["bad"])
        return
    assert reply.status_code == 400, reply.text
    assert ": " in reply.json()["detail"]


@pytest.mark.parametrize("inside", [b"\xff", b'[1,"\xff"]', b"[" * 100_000, b"[1," + b"[" * 3000, b'[1e999,"a"]', b"[]", b"7"])
async def test_a_cursor_that_was_made_up_is_refused(app: InProcess, inside: bytes) -> None:
    """It is JSON inside."""
    cursor = base64.urlsafe_b64encode(inside).decode().rstrip("=")
    for path in (f"/api/v1/sites/{SITE}/pages?period=24h", f"/api/v1/sites/{SITE}/breakdown/browser?period=24h"):
        reply = await app.client.get(f"{path}&cursor={cursor}"[:60_000])
        assert reply.status_code == 400
        assert reply.json()["detail"].startswith("cursor: ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/api/v1/sites/{SITE}/{what}") for what in ("count", "series", "breakdown/browser", "live")),
        ("DELETE", f"/api/v1/sites/{SITE}/pages"),
        *(("GET", f"/counter/{SITE}.{form}") for form in ("json", "txt")),
    ],
)
@pytest.mark.parametrize("page", ["/%FF", "/%ED%A0%80", "/a%C3"])
async def test_a_page_that_is_not_utf_8_is_refused(app: InProcess, method: str, path: str, page: str) -> None:
    """It would be read as another; one that has the sign for such bytes in its name is one like others."""
    reply = await app.client.request(method, f"{path}?page={page}")
    assert (reply.status_code, reply.json()["detail"]) == (400, "page: UTF-8, percent-encoded")
    if not path.endswith("/live"):
        assert (await app.client.request(method, f"{path}?page=/%EF%BF%BD")).status_code in (200, 204, 404)
