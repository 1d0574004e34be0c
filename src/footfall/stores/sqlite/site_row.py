"""What every part of the SQLite store knows of a site: its row, the ids of its pages, and how rows of detail are numbered.

A row of detail is keyed by a line: one value of one dimension at one page, packed into one integer, so that the lines of a
page, and those of a dimension there, lie together. This module knows no rules of counting.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from footfall.model import WHOLE_SITE
from footfall.stores.hyperloglog import REGISTER_BITS
from footfall.stores.sqlite import statements as sql

_json = msgspec.json.Encoder()

#: The bits of a line that tell the value (its row in `trait`) and, above them, the dimension. The page's id is above both.
TRAIT_BITS = 30
PAGE_BITS = TRAIT_BITS + 5

TRAITS = (1 << TRAIT_BITS) - 1
LINES = (1 << PAGE_BITS) - 1
REGISTERS = (1 << REGISTER_BITS) - 1

#: Paths whose ids a process remembers; at the limit it forgets all of them and learns anew.
MAX_KNOWN_PAGES = 50_000


class Known(NamedTuple):
    """A site's row, as a transaction found it; the schema says what its columns mean. `rules` are those of its document, which
    are not saved with the row.
    """

    id: int
    newest: int
    rolled: int
    event_ids: int
    generation: int
    opened_day: int
    opened: int
    admitted: int
    folded: int
    hour: int
    line: int
    rules: bytes | None

    @property
    def row(self) -> tuple[int, ...]:
        """What of this is saved: all columns, in the order of the fields."""
        return self[:-1]

    @property
    def unrolled(self) -> tuple[int, int]:
        """The first (hour, line) that is not in days and months yet."""
        return self.hour, self.line


def as_json(arguments: object) -> str:
    """A list or mapping as SQL takes it: JSON text."""
    return _json.encode(arguments).decode()


def look(cx: sqlite3.Connection, site: str, clock: int) -> tuple[Known | None, int]:
    """A site's row, and its now."""
    row = cx.execute(sql.LOOK_SITE, (site,)).fetchone()
    known = Known(*row) if row else None
    return known, max(clock, known.newest if known else 0)


def page_ids(cx: sqlite3.Connection, known: Known, pages: Sequence[str]) -> dict[str, int]:
    """The ids of those pages that have one."""
    ids = {path: id for path, id, _ in cx.execute(sql.PAGE_IDS, (known.id, as_json(pages)))}
    return ids | {WHOLE_SITE: 0} if WHOLE_SITE in pages else ids


class Pages:
    """The ids of open pages (those that have been counted) that this process has learnt.

    The ids of a site hold as long as its `generation`.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[int, int], dict[str, int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))

    def forget(self) -> None:
        """Learn anew: ids given out in a transaction that was undone mean nothing."""
        self._ids.clear()

    def learn(self, cx: sqlite3.Connection, known: Known, pages: Iterable[str]) -> dict[str, int]:
        """The ids of those pages that are open; the site's own line has 0. The result may hold other pages too."""
        ids = self._ids.setdefault((known.id, known.generation), {WHOLE_SITE: 0})
        unknown = [page for page in pages if page not in ids]
        if unknown:
            if len(self) + len(unknown) > MAX_KNOWN_PAGES:
                self._ids.clear()
                ids = self._ids[known.id, known.generation] = {WHOLE_SITE: 0}
                unknown = [page for page in pages if page not in ids]
            ids.update((path, id) for path, id, opened in cx.execute(sql.PAGE_IDS, (known.id, as_json(unknown))) if opened)
        return ids

    def open(self, cx: sqlite3.Connection, known: Known, pages: Collection[str]) -> None:
        """Open pages that are not, just after `learn` was asked for them; what it gave has them then."""
        cx.execute(sql.OPEN_PAGES, (known.id, as_json(pages)))
        ids = self._ids[known.id, known.generation]
        ids.update((path, id) for path, id, _ in cx.execute(sql.PAGE_IDS, (known.id, as_json(pages))))
