"""The requests that a real log tells of, sent to `/count`: the server says of each what the import says of its line."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import httpx

from footfall.importing.formats.apache import Combined
from footfall.model import Drop, DropReason, View
from footfall.settings import load_settings
from footfall.web.app import make_app
from tests.unit.importing.logs_given import judge_of

SITE = "semicomplete.com"
LOG = Path(__file__).parents[1] / "data" / "access.log.gz"


async def test_real_lines_sent_as_requests_get_the_same_judgement() -> None:
    """Counted or dropped, and why: each line of a page that was shown. In the end each page has the same number of views."""
    judge, combined = judge_of(SITE), Combined()
    pages: Counter[str] = Counter()
    app = make_app(load_settings({"store": "memory://", "sites": SITE}, environ={}), "node-1", lambda: 1_700_000_000.0)
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 50000))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=transport, base_url="http://counter") as client,
    ):
        for line in gzip.decompress(LOG.read_bytes()).splitlines():
            entry = combined.read(line)
            logged = judge.judge(entry).outcome
            if entry is None or (isinstance(logged, Drop) and logged.reason is DropReason.NOT_A_PAGE):
                continue
            fields = {"s": SITE, "p": entry.target, "r": entry.referrer or ""}
            reply = await client.get("/count", params=fields, headers={"User-Agent": entry.user_agent or ""})
            if isinstance(logged, View):
                pages[logged.page] += 1
                assert reply.headers["X-Footfall"] == "counted", line
            else:
                assert reply.headers["X-Footfall"] == f"dropped; reason={logged.reason}", line
        top = (await client.get(f"/api/v1/sites/{SITE}/pages", params={"period": "all", "limit": 1000})).json()
    assert {each["page"]: each["views"] for each in top["pages"]} == pages
    assert pages.total() == 1039
