"""Exports over HTTP: all rows of a site, streamed, to who may read it, and safe to open in a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from footfall.errors import StoreUnavailable
from footfall.export import ROWS_AT_ONCE
from footfall.model import Batch, Section, SiteBatch, Tier
from footfall.web.api.export import MOST_AT_ONCE
from tests.contract.conftest import START, Clock
from tests.contract.test_details import traits
from tests.contract.test_dump import dumped
from tests.integration.in_process import SITE, InProcess, running

PATH = f"/api/v1/sites/{SITE}/export"


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running(Clock(), public_sites=SITE) as app:
        part = SiteBatch({"/": 2, "/é": 1}, traits={("/", None, traits(campaign="=HYPERLINK(1)")): 2})
        await app.parts.store.commit(Batch("w", 1, {SITE: part}))
        yield app


def rows_of(reply: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


async def test_an_export_has_all_rows_of_all_tiers(app: InProcess) -> None:
    """Those that the store has, each with its bucket's start as a number and as a time."""
    reply = await app.client.get(f"{PATH}.csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="example.com.csv"'
    rows = rows_of(reply)
    for tier in Tier:
        found = [(int(row["start"]), row["page"], int(row["views"])) for row in rows if row["tier"] == tier.value]
        assert sorted(found) == await dumped(app.parts.store, Section.VIEWS, tier)
    (second,) = [row for row in rows if row["tier"] == "second" and row["page"] == "/"]
    assert (second["start"], second["time"]) == (str(START), "2026-03-18T14:25:30Z")


async def test_both_forms_have_the_same_rows(app: InProcess) -> None:
    """Of every table; in NDJSON numbers are numbers."""
    for table in ("views", "breakdown", "visitors"):
        lines = (await app.client.get(f"{PATH}.ndjson?table={table}")).text.splitlines()
        rows = rows_of(await app.client.get(f"{PATH}.csv?table={table}"))
        as_text = [{name: str(value) for name, value in json.loads(line).items()} for line in lines]
        assert [{k: v.removeprefix("'") for k, v in row.items()} for row in rows] == as_text


async def test_no_text_becomes_a_formula(app: InProcess) -> None:
    """What a spreadsheet would calculate is written as a text; NDJSON has it as it is."""
    rows = rows_of(await app.client.get(f"{PATH}.csv?table=breakdown&tier=month"))
    assert [row["value"] for row in rows if row["dimension"] == "campaign"] == ["'=HYPERLINK(1)"]
    assert '"value":"=HYPERLINK(1)"' in (await app.client.get(f"{PATH}.ndjson?table=breakdown&tier=month")).text


@pytest.mark.parametrize("sign", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"])
async def test_no_sign_begins_a_formula(app: InProcess, sign: str) -> None:
    """Full-width ones neither: some spreadsheets take them for the plain ones."""
    text = f"{sign}1+1"
    await app.parts.store.commit(Batch("w", 2, {SITE: SiteBatch({"/": 1}, traits={("/", None, traits(campaign=text)): 1})}))
    rows = rows_of(await app.client.get(f"{PATH}.csv?table=breakdown&tier=month"))
    assert f"'{text}" in [row["value"] for row in rows]
    assert all(not value or value[0].isalnum() or value[0] in "/'(" for row in rows for value in row.values())


async def test_every_text_is_quoted(app: InProcess) -> None:
    """A page with another separator in it stays one cell; numbers stay numbers."""
    await app.parts.store.commit(Batch("w", 2, {SITE: SiteBatch({"/a;=1+1": 1})}))
    lines = (await app.client.get(f"{PATH}.csv?tier=total")).text.splitlines()
    assert lines[0] == '"tier","start","time","page","views"'
    assert '"total",0,"","/a;=1+1",1' in lines


async def test_many_rows_come_in_pieces(app: InProcess) -> None:
    """More than the store gives at once; each row once."""
    pages = {f"/{n}": 1 for n in range(ROWS_AT_ONCE + 500)}
    for first in range(0, len(pages), 1000):
        part = dict(list(pages.items())[first : first + 1000])
        await app.parts.store.commit(Batch("x", first + 1, {SITE: SiteBatch(part)}))
    rows = rows_of(await app.client.get(f"{PATH}.csv?tier=total"))
    assert len(rows) == len({row["page"] for row in rows}) == len(pages) + 3


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("tier=week", "tier: one of second, minute, hour, day, month, total, for views"),
        ("table=visitors&tier=month", "tier: one of hour, day, for visitors"),
        ("table=x", "table: one of views, breakdown, visitors"),
    ],
)
async def test_what_there_is_not_is_refused_by_name(app: InProcess, query: str, detail: str) -> None:
    """As a problem."""
    reply = await app.client.get(f"{PATH}.csv?{query}")
    assert (reply.status_code, reply.json()["detail"]) == (400, detail)


async def test_a_private_site_is_exported_to_its_readers(app: InProcess) -> None:
    """And to nobody else."""
    await app.parts.core.registry.sites.save("private.example", {})
    path = "/api/v1/sites/private.example/export.csv"
    assert (await app.client.get(path)).status_code == 401
    assert (await app.client.get(path, headers=await app.token("read:private.example"))).status_code == 200


async def test_head_tells_the_form_and_reads_nothing(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is not asked."""
    monkeypatch.setattr(app.parts.store, "dump", None)
    reply = await app.client.head(f"{PATH}.ndjson")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")


async def test_exports_are_bounded(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than may go on at once is told to come back; when they have ended there is room again."""
    dump, go_on, all_wait = app.parts.store.dump, asyncio.Event(), asyncio.Event()
    waiting = 0

    async def slow(*arguments: object) -> object:
        nonlocal waiting
        if len(arguments) == 5 and arguments[4] == ROWS_AT_ONCE:
            waiting += 1
            if waiting == MOST_AT_ONCE:
                all_wait.set()
            await go_on.wait()
        return await dump(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(app.parts.store, "dump", slow)
    first = [asyncio.ensure_future(app.client.get(f"{PATH}.csv?tier=total")) for _ in range(MOST_AT_ONCE)]
    async with asyncio.timeout(30):
        await all_wait.wait()
    reply = await app.client.get(f"{PATH}.csv")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(*first)} == {200}
    assert (await app.client.get(f"{PATH}.csv")).status_code == 200


async def test_a_store_that_is_away_is_said_before_anything_is_sent(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 503 and not in the middle of a table."""

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(app.parts.store, "dump", away)
    assert (await app.client.get(f"{PATH}.csv")).status_code == 503
