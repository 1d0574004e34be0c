"""What a backup may hold is checked before anything of it is loaded: one clear line for whatever is wrong, and little memory."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from footfall.backup import back_up, lines_of, read_backup
from footfall.backup.lines import MAX_LINE_BYTES, Rows
from footfall.backup.reading import GREATEST, rows_of
from footfall.errors import BadInput
from footfall.model import Dump, Section, Tier
from footfall.rules import Rules
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import SITE, START, Clock

HEADER = b'{"type":"footfall-backup","version":1,"made":1,"by":"1.2.3"}\n'
HASH = "a" * 64
TOKEN = b'{"name":"a program","scopes":["admin"],"made":1}'


def rows(*rows: object, site: str = SITE, section: str = "views", tier: str = "total") -> bytes:
    return json.dumps({"type": "rows", "site": site, "section": section, "tier": tier, "rows": rows}).encode()


def sums(*buckets: object, site: str = SITE, section: str = "views", tier: str = "day") -> bytes:
    return json.dumps({"type": "sums", "site": site, "section": section, "tier": tier, "buckets": buckets}).encode()


def document(kind: str, key: str, value: bytes, **more: object) -> bytes:
    return json.dumps({"type": "document", "kind": kind, "key": key, "value": base64.b64encode(value).decode(), **more}).encode()


def refused(*lines: bytes, defaults: Rules | None = None) -> str:
    """Why a backup with these lines is refused."""
    with pytest.raises(BadInput) as raised:
        list(read_backup([HEADER, *lines], defaults or Rules()))
    assert raised.value.field == "backup"
    assert len(str(raised.value)) < 400
    return raised.value.hint


def accepted(*lines: bytes) -> None:
    end = {"type": "end", "rows": 10**6, "sites": 10**6, "documents": 10**6}
    assert refused(*lines, json.dumps(end).encode()).startswith("it is not whole: its end is missing or tells of other numbers")


DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"type":"rows","site":"\xff\xfe"}', "UTF-8"),
        (b'{"type":"end","rows":"\xff"}', "line 2"),
        (DEEP, "line 2"),
        (b'{"type":"rows","site":"a","section":"views","tier":"total","rows":' + DEEP, "nested too deeply"),
        (b'{"type":"end","x":' + DEEP, "nested too deeply"),
        (rows([[[[0]]], "/", 1]), "Expected `int`"),
        (b'{"type":"rows","site":"a","section":"views","tier":"total","rows":[[0,"/\\ud800",1]]}', "line 2"),
        # names
        (rows([0, "/", 1], site=""), "can't be the name of a site"),
        (rows([0, "/", 1], site="Example.com"), "can't be the name of a site"),
        (rows([0, "/", 1], site="a b"), "can't be the name of a site"),
        (sums([0, 1, 1], site="{x}"), "can't be the name of a site"),
        (rows([0, "x", 1]), "'x' can't be a page"),
        (rows([0, "/\x00", 1]), "can't be a page"),
        (rows([0, "/\u202e", 1]), "can't be a page"),
        (rows([0, "/" + "é" * 600, 1]), "can't be a page"),
        (rows([0, "/", "", "x", 1], section="traits", tier="day"), "can't be a dimension"),
        (rows([0, "/", "browser", "", 1], section="traits", tier="day"), "a value of browser has 0 characters"),
        (rows([0, "/", "browser", "x" * 2000, 1], section="traits", tier="day"), "a value of browser has 2000 characters"),
        (rows(*([0, "/", f"d{n}", "x", 1] for n in range(30)), section="traits", tier="day"), "more than 20 dimensions"),
        (rows(["", 1], section="writers"), "a writer has no name"),
        # numbers
        (rows([0, "/", -1]), "the number -1 is out of range"),
        (rows([0, "/", GREATEST + 1]), "is out of range"),
        (rows([0, "/", 10**30]), "out of range"),
        (rows([0, "/", 1.5]), "Expected `int`"),
        (rows(["w", -1], section="writers"), "the sequence -1 is out of range"),
        (rows([0, "/", GREATEST], [0, "/", 1]), "add up to more than"),
        (rows([-86400, "/", 1], tier="day"), "-86400 is no time"),
        (rows([10**12 * 86400, "/", 1], tier="day"), "is no time"),
        (rows([10**12 * 86400, "/", 1], tier="month"), "is no time"),
        (rows([86401, "/", 1], tier="day"), "no day begins at 86401"),
        (rows([7, "/", 1]), "no total begins at 7"),
        (sums([1, 1, 1]), "no day begins at 1"),
        (sums([0, -1, 1]), "a sum is out of range"),
        (sums([0, 1, 10**30]), "out of range"),
        (rows(*[[0, "/", 1]] * 10_001), "it has 10001 rows; at most 10000"),
        # parts
        (rows([0, "/", "browser", "x", 1], section="traits", tier="second"), "traits are not kept by second"),
        (sums([0, 1, 1], section="visitors", tier="month"), "visitors are not kept by month"),
        (sums(["w", 1, 1], section="writers", tier="total"), "line 2"),
        (sums([0, 1, 1], section="writers", tier="total"), "writers have no sums"),
        # documents
        (document("salt", "1", b"x"), "nothing that is backed up"),
        (document("key", "attempts", bytes(32)), "nothing that is backed up"),
        (document("key", "signing", b"short"), "nothing that is backed up"),
        (document("password", "admin", b"secret"), "nothing that is backed up"),
        (document("password", "admin", b"\xff"), "password 'admin'"),
        (document("token", "x", TOKEN), "this is no hash"),
        (document("token", HASH, b"{}"), "missing required field"),
        (document("token", HASH, DEEP[:50_000]), "token"),
        (document("share", HASH, TOKEN), "missing required field"),
        (document("site", "a b", b"{}"), "site 'a b'"),
        (document("site", SITE, b"{"), f"site '{SITE}'"),
        (document("site", SITE, b'{"newer":1}'), "unknown field `newer`"),
        (document("site", SITE, b'{"visitor_rate":-1}'), "visitor_rate"),
        (document("site", SITE, b'{"retention_hour":1}'), "retention_hour"),
        (document("site", SITE, b"{}" + b" " * 70_000), "at most 65536"),
        (document("token", HASH, TOKEN, until=-1), "-1 is no time"),
        (document("token", HASH, TOKEN, until=10**18), "is no time"),
    ],
)
def test_what_no_store_could_take_is_refused_with_its_line(line: bytes, why: str) -> None:
    """One line says which and why."""
    assert why in refused(line)


def test_a_document_that_stands_twice_is_refused() -> None:
    """Only one could be kept."""
    assert "stands in it twice" in refused(*[document("token", HASH, TOKEN)] * 2)


def test_numbers_of_several_lines_are_added_up() -> None:
    """Those of one part of a site, for no store could hold their sum."""
    assert "line 3" in refused(rows([0, "/", GREATEST]), rows([0, "/", 1]))
    accepted(rows([0, "/", GREATEST]), rows([0, "/", 1], tier="month"), rows([0, "/", 1], site="example.org"))


def test_what_a_store_has_is_accepted() -> None:
    """Every part, the whole site's line, pages with parameters, ports and names in other alphabets."""
    accepted(
        document("site", SITE, b'{"retention_day":172800000,"origins":["*"]}'),
        document("site", "xn--bcher-kva.example:8080", b"{}"),
        rows([START, "", 3], [START, "/é?id=1", 3], tier="second"),
        rows([0, "/a", "browser", "Firefox", 1], [0, "", "outcome", "bot", 2], section="traits", tier="month"),
        rows([0, "/a", 5], section="visitors", tier="day"),
        rows([HASH, 2**40], section="writers"),
        sums([0, 1, 5], section="visitors"),
        document("token", HASH, TOKEN, until=2**40),
        document("key", "signing", bytes(32)),
    )


def test_a_site_s_rules_must_make_sense_with_the_settings() -> None:
    """Else it would be kept for another time than before, and nobody told."""
    line = document("site", SITE, b'{"retention_hour":86400000}')
    assert "retention_day: 1000d or longer: days must be kept at least as long as hours" in refused(line)
    longer = Rules(retention_day=100_000_000)
    assert "not whole" in refused(line, b'{"type":"end","rows":0,"sites":0,"documents":2}', defaults=longer)


@pytest.mark.parametrize("start", [HEADER, b"", HEADER + b'{"type":"document","kind":"'])
def test_a_line_without_an_end_is_not_held_in_memory(start: bytes) -> None:
    """A packed file of some kilobytes can unpack to any size."""
    packed = io.BytesIO(gzip.compress(start + bytes(64 * 2**20), 1))
    tracemalloc.start()
    try:
        with gzip.open(packed, "rb") as file, pytest.raises(BadInput, match=r"line [12] is longer than 8,388,608 bytes"):
            list(read_backup(lines_of(file)))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


class LongRows(MemoryStore):
    """A store that gives more rows at once than were asked for, all as long as can be."""

    async def dump(self, site: str, section: Section, tier: Tier, after: str | None = None, limit: int = 10_000) -> Dump:  # noqa: ARG002
        pages = [f"/{n}{'x' * 1000}" for n in range(12_000)]
        return Dump(START, [(0, page, 1) for page in pages] if (section, tier) == (Section.VIEWS, Tier.TOTAL) else [], None)

    async def sites(self) -> list[str]:
        return [SITE]


async def test_no_line_that_is_written_is_too_long_to_be_read() -> None:
    """Rows that are long or many go into several lines, none twice."""
    lines = [line async for line in back_up(LongRows(Clock()), START, "1.2.3")]
    assert max(map(len, lines)) <= MAX_LINE_BYTES
    found: list[Any] = [rows_of(line) for line in read_backup(lines) if isinstance(line, Rows)]
    assert [row[1] for some in found for row in some] == [f"/{n}{'x' * 1000}" for n in range(12_000)]
    assert msgspec.json.decode(lines[-1])["rows"] == 12_000
