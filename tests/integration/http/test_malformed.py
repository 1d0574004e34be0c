"""Whatever is sent, the answer is 2xx or 4xx, says what was wrong, and disturbs nobody else's count."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall.settings import Settings, load_settings
from footfall.web.app import make_app
from footfall.web.ingest.front import Front

ADDRESSES = (
    "/count",
    "/count.gif",
    "/",
    "/api/v1/sites/localhost/count",
    "/api/v1/sites/localhost/series",
    "/api/v1/sites/localhost/pages",
    "/api/v1/sites/nobody/count",
    "/static/x",
)
NAMES = ("s", "p", "e", "w", "r", "l", "u", "page", "window", "tier", "from", "to", "period", "limit", "cursor", "odd")
VALUES = st.one_of(
    st.sampled_from(["localhost", "/", "second", "month", "24h", "0", "-1", "1e9", "9" * 30, "WzMsIi8iXQ", "NaN", "١"]),
    st.text(max_size=40),
)
RAW = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
QUERIES = st.one_of(
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6).map(
        lambda pairs: "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    ),
    RAW.map(lambda text: text.replace("#", "")),
    st.binary(max_size=30).map(lambda raw: "s=localhost&p=/" + quote(raw)),
)
HEADERS = st.dictionaries(
    st.sampled_from(["User-Agent", "Accept", "Sec-Purpose", "Purpose", "Referer", "Origin", "X-Forwarded-For", "Host", "Cookie"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
    max_size=4,
)


class Site:
    """An application with its own loop, so that hypothesis can call it many times over."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.app = self.runner.run(self._make(load_settings({"store": f"sqlite:///{folder}/footfall.db"}, environ={})))
        self._lifespan = self.app.app.router.lifespan_context(self.app.app)

    @staticmethod
    async def _make(chosen: Settings) -> Front:
        return make_app(chosen, "node-1")

    def __enter__(self) -> Self:
        self.runner.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self._lifespan.__aexit__(None, None, None))
        self.runner.close()

    def send(self, method: str, address: str, headers: dict[str, str], body: bytes = b"") -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("127.0.0.1", 50000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
                return await client.request(method, httpx.URL("http://localhost" + address), headers=raw, content=body)

        return self.runner.run(go())


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder)) as site:
        yield site


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"]),
    address=st.sampled_from(ADDRESSES),
    query=QUERIES,
    headers=HEADERS,
    body=st.binary(max_size=50),
)
def test_nothing_that_is_sent_makes_the_server_fail(
    site: Site, method: str, address: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    """Any method, query, header or body: 2xx or 4xx; an error is problem+json with a detail, and shows no inside of ours."""
    reply = site.send(method, f"{address}?{query}", headers, body)
    assert 200 <= reply.status_code < 300 or 400 <= reply.status_code < 500, reply.text
    if reply.status_code >= 400 and method != "HEAD":
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == reply.status_code
        assert reply.json()["detail"]
        assert "Traceback" not in reply.text


def test_after_all_that_a_view_still_counts(site: Site) -> None:
    """What others sent malformed has not hurt the next view."""
    before = site.send("GET", "/api/v1/sites/localhost/count?page=/after", {}).json()["total"]
    assert site.send("GET", "/count?s=localhost&p=/after", {"User-Agent": "Mozilla/5.0"}).headers["x-footfall"] == "counted"
    assert site.send("GET", "/api/v1/sites/localhost/count?page=/after", {}).json()["total"] == before + 1
