"""A site's numbers as a table that others can read: CSV or NDJSON, row by row, of any tier.

It goes through the store in pieces between which counting goes on, and holds one piece at a time. The rows of a bucket that has
ended are in it once. Texts from outside are written so that no spreadsheet takes them for formulas.
"""

from __future__ import annotations

import csv
import datetime
import enum
import io
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from footfall.errors import BadInput
from footfall.model import Section, Tier
from footfall.stores import Store

ROWS_AT_ONCE = 2000

Row: TypeAlias = tuple[int | str, ...]


class Form(enum.StrEnum):
    """How a table is written."""

    CSV = "csv"
    NDJSON = "ndjson"


class What(NamedTuple):
    """A table that can be exported: where it is taken from, its tiers, and what stands in its columns behind tier and start."""

    section: Section
    tiers: tuple[Tier, ...]
    columns: tuple[str, ...]


#: The tables by name. An empty page is the whole site.
TABLES: Mapping[str, What] = {
    "views": What(Section.VIEWS, tuple(Tier), ("page", "views")),
    "breakdown": What(Section.TRAITS, (Tier.HOUR, Tier.DAY, Tier.MONTH), ("page", "dimension", "value", "views")),
    "visitors": What(Section.VISITORS, (Tier.HOUR, Tier.DAY), ("page", "visitors")),
}
DEFAULT_TABLE = "views"

#: What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), also as full-width signs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Wanted(NamedTuple):
    """What is exported: tiers of a table, in this order."""

    table: What
    tiers: tuple[Tier, ...]


def read_wanted(table: str, tier: str | None) -> Wanted:
    """What the names of a table and of a tier (None: all) mean. Raises BadInput."""
    what = TABLES.get(table)
    if what is None:
        raise BadInput("table", f"one of {', '.join(TABLES)}")
    if tier is None:
        return Wanted(what, what.tiers)
    for each in what.tiers:
        if each.value == tier:
            return Wanted(what, (each,))
    raise BadInput("tier", f"one of {', '.join(each.value for each in what.tiers)}, for {table}")


async def export(
    store: Store, site: str, wanted: Wanted, form: Form, *, quotes_texts: bool = False
) -> AsyncGenerator[tuple[int, bytes], None]:
    """The table of a site in pieces, each with how many rows it has. The first has the head of a CSV. Raises StoreError.

    With `quotes_texts` a CSV has every text in quotes, for spreadsheets that look for other separators than the comma; else only
    those that need it, for tools of the command line.
    """
    columns = ("tier", "start", "time", *wanted.table.columns)
    if form is Form.CSV:
        yield 0, _as_csv([columns], quotes_texts)
    for tier in wanted.tiers:
        after: str | None = None
        while True:
            dump = await store.dump(site, wanted.table.section, tier, after, ROWS_AT_ONCE)
            rows: list[Row] = [(tier.value, row[0], _time(tier, row[0]), *row[1:]) for row in dump.rows]
            if rows:
                yield len(rows), _as_csv(rows, quotes_texts) if form is Form.CSV else _as_ndjson(columns, rows)
            after = dump.after
            if after is None:
                break


def _time(tier: Tier, start: int | str) -> str:
    """The second that a bucket begins with, in ISO 8601; of the total nothing."""
    return "" if tier is Tier.TOTAL else datetime.datetime.fromtimestamp(int(start), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_csv(rows: Iterable[Sequence[int | str]], quotes_texts: bool) -> bytes:
    """Rows as RFC 4180 has them, but for the ends of lines, which are those that tools of the command line expect."""
    written = io.StringIO()
    quoting: Final = csv.QUOTE_NONNUMERIC if quotes_texts else csv.QUOTE_MINIMAL
    csv.writer(written, lineterminator="\n", quoting=quoting).writerows([_safe(value) for value in row] for row in rows)
    return written.getvalue().encode("utf-8", "replace")


def _safe(value: int | str) -> int | str:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _as_ndjson(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    return msgspec.json.Encoder().encode_lines([dict(zip(columns, row, strict=True)) for row in rows])
