"""What the lines of a backup are, and what parts of a store they hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from footfall.auth.credentials import KEY_KIND, SHARES, TOKENS
from footfall.auth.passwords import KIND as PASSWORD_KIND
from footfall.model import Section, Tier
from footfall.stores import Store
from footfall.stores.retention import SITE_KIND

#: The version of the form that is written; only this one is read.
VERSION = 1

#: Rows, or buckets, of one line, about. A store takes at most 10,000 rows at a time.
ROWS_AT_ONCE = 2000
MOST_ROWS = 10_000

#: No line is longer, in bytes: what reads a backup holds one at a time. Rows that would take more are written in two lines.
MAX_LINE_BYTES = 8 * 2**20

#: The parts of a site, in the order in which they are dumped and loaded.
PARTS: tuple[tuple[Section, Tier], ...] = (
    *((Section.VIEWS, tier) for tier in Tier),
    *((Section.TRAITS, tier) for tier in (Tier.HOUR, Tier.DAY, Tier.MONTH)),
    *((Section.VISITORS, tier) for tier in (Tier.HOUR, Tier.DAY)),
    (Section.WRITERS, Tier.TOTAL),
)

#: The kinds of documents that are backed up: sites, the hashes of tokens, share links and of the password, and the key that
#: tokens and links are signed with, without which they would be refused.
KINDS = (SITE_KIND, TOKENS.name, SHARES.name, PASSWORD_KIND, KEY_KIND)

Row: TypeAlias = tuple[int | str, ...]

#: Told how many rows have been dealt with, and of which site.
Progress = Callable[[int, str], None]


class Header(msgspec.Struct, frozen=True, tag="footfall-backup"):
    """The first line: the version of the form, and when (Unix seconds) and by which Footfall it was written."""

    version: int
    made: int
    by: str


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Some rows of a part of a site; their shape is that of the section."""

    site: str
    section: Section
    tier: Tier
    rows: msgspec.Raw


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """What the rows of a bucket add up to: its start, how many rows there are, and the sum of their numbers."""

    start: int
    rows: int
    sum: int


class Sums(msgspec.Struct, frozen=True, tag="sums"):
    """The manifest of a part of a site: buckets that had ended when the part was dumped. All of them, in one line or several."""

    site: str
    section: Section
    tier: Tier
    buckets: list[Bucket]


class Kept(msgspec.Struct, frozen=True, tag="document"):
    """A document; its value is in Base64."""

    kind: str
    key: str
    value: bytes
    until: int | None = None


class End(msgspec.Struct, frozen=True, tag="end"):
    """The last line: how many rows, sites and documents stand before it."""

    rows: int
    sites: int
    documents: int


Line: TypeAlias = Header | Rows | Sums | Kept | End

ROW_TYPES: Mapping[Section, Any] = {
    Section.VIEWS: list[tuple[int, str, int]],
    Section.TRAITS: list[tuple[int, str, str, str, int]],
    Section.VISITORS: list[tuple[int, str, int]],
    Section.WRITERS: list[tuple[str, int]],
}


class BucketSums:
    """Sums of rows by bucket."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.sums: dict[int, int] = {}

    def add(self, rows: Sequence[Row]) -> None:
        """Add some rows."""
        for row in rows:
            start, number = int(row[0]), int(row[-1])
            self.rows[start] = self.rows.get(start, 0) + 1
            self.sums[start] = self.sums.get(start, 0) + number

    def bucket(self, start: int) -> Bucket:
        """What the rows of a bucket come to."""
        return Bucket(start, self.rows.get(start, 0), self.sums.get(start, 0))


async def dumped(store: Store, site: str, section: Section, tier: Tier, limit: int) -> AsyncIterator[tuple[int, list[Row]]]:
    """All rows of a part of a site, some at a time, each time with the store's second."""
    after: str | None = None
    while True:
        dump = await store.dump(site, section, tier, after, limit)
        yield dump.at, dump.rows
        after = dump.after
        if after is None:
            return
