"""Spool files: batches on disk, each in the order it came, in a SQLite file that one process has locked while it lives.

A file knows what a batch looks like on disk and when it came; it knows no store, and not whether one is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from footfall.files import OpenFiles, create_file
from footfall.model import DIMENSIONS, Batch, SiteBatch, Traits

SUFFIX = ".spool"

#: The dimensions of the traits in files that don't name them: the table as it was when names were first written.
_UNNAMED = ("channel", "referrer", "campaign", "browser", "system", "device", "language", "country")

_SCHEMA = """CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY AUTOINCREMENT, books TEXT NOT NULL, boot TEXT NOT NULL,
    monotonic REAL NOT NULL, wall INTEGER NOT NULL, body BLOB NOT NULL) STRICT"""

_ADD = "INSERT INTO batch (books, boot, monotonic, wall, body) VALUES (?, ?, ?, ?, ?) RETURNING id"
_ROWS = "SELECT id, books, boot, monotonic, wall, body FROM batch ORDER BY id"


class SpooledPart(msgspec.Struct, array_like=True):
    """One site of a batch on disk. A time of None is to be filled in when the store's clock is known."""

    site: str
    pages: list[tuple[str, int]]
    timed: list[tuple[str, int, int]]
    events: list[tuple[str, str, int | None]]
    traits: list[tuple[str, int | None, Traits, int]] = []
    visitors: list[tuple[str, int | None, list[int]]] = []
    visits: list[tuple[str, Traits, int | None]] = []
    outcomes: dict[str, int] = {}

    @property
    def views(self) -> int:
        """How many views these are."""
        return sum(n for _, n in self.pages) + sum(n for _, _, n in self.timed) + len(self.events)


class SpooledBatch(msgspec.Struct, array_like=True):
    """A batch on disk; `at` is the second its views came in by the store's clock, where that was known.

    `dimensions` are the names of what its traits are values of, in their order: the next version may have others.
    """

    writer: str
    sequence: int
    at: int | None
    parts: list[SpooledPart]
    dimensions: tuple[str, ...] = _UNNAMED

    @property
    def views(self) -> int:
        """How many views these are."""
        return sum(part.views for part in self.parts)

    def batch(self, at: int | None) -> Batch:
        """The batch as it was, each view that had no time of its own at second `at` where that is known."""
        traits_of = _reading(self.dimensions)
        return Batch(self.writer, self.sequence, {part.site: _site_batch(part, at, traits_of) for part in self.parts})


def _reading(written: Sequence[str]) -> Callable[[Traits], Traits]:
    """What turns traits of the dimensions `written` into those of ours: by name, and unknown where they were not told."""
    ours = tuple(dimension.name for dimension in DIMENSIONS)
    if tuple(written) == ours:
        return lambda traits: traits

    def read(traits: Traits) -> Traits:
        known = dict(zip(written, traits, strict=False))
        return tuple(known.get(name, "") for name in ours) if traits else traits

    return read


def encoded(batch: Batch, at: int | None) -> bytes:
    """A batch as it goes on disk."""
    parts = [_spooled_part(site, part) for site, part in batch.sites.items()]
    has_traits = any(part.traits or part.visits for part in parts)
    names = tuple(dimension.name for dimension in DIMENSIONS) if has_traits else ()
    return msgspec.msgpack.encode(SpooledBatch(batch.writer, batch.sequence, at, parts, names))


def decoded(body: bytes) -> SpooledBatch:
    """A batch from disk. Raises msgspec.MsgspecError where another version wrote it in another way."""
    return msgspec.msgpack.decode(body, type=SpooledBatch)


def _spooled_part(site: str, part: SiteBatch) -> SpooledPart:
    return SpooledPart(
        site,
        list(part.pages.items()),
        [(page, at, n) for (page, at), n in part.timed.items()],
        [(id, page, at) for id, (page, at) in part.events.items()],
        [(*of, n) for of, n in part.traits.items()],
        [(page, at, list(who)) for (page, at), who in part.visitors.items()],
        [(id, *visit) for id, visit in part.visits.items()],
        dict(part.outcomes),
    )


def _site_batch(part: SpooledPart, at: int | None, traits_of: Callable[[Traits], Traits]) -> SiteBatch:
    """A part as it was; limits on new pages are over, for its views have been acknowledged."""
    timed = {(page, own): n for page, own, n in part.timed}
    pages = dict(part.pages)
    if at is not None:
        for page, n in pages.items():
            timed[page, at] = timed.get((page, at), 0) + n
        pages = {}
    events = {id: (page, at if own is None else own) for id, page, own in part.events}
    traits: dict[tuple[str, int | None, Traits], int] = {}
    for page, own, of_views, n in part.traits:
        key = page, at if own is None else own, traits_of(of_views)
        traits[key] = traits.get(key, 0) + n
    visitors: dict[tuple[str, int | None], set[int]] = {}
    for page, own, who in part.visitors:
        visitors.setdefault((page, at if own is None else own), set()).update(who)
    visits = {id: (traits_of(of_view), visitor) for id, of_view, visitor in part.visits}
    return SiteBatch(pages, timed, events, traits=traits, visitors=visitors, visits=visits, outcomes=part.outcomes)


class Row(NamedTuple):
    """A batch as it lies in a file, with when it came by the machine's two clocks; monotonic ones compare within a boot only.

    `books` names the ledger that has received its views.
    """

    key: int
    books: str
    boot: str
    monotonic: float
    wall: int
    body: bytes


class SpoolFile:
    """One file, locked for as long as it is open. BlockingIOError where another process has it; all raises sqlite3.Error.

    A new one is readable to its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with contextlib.ExitStack() as undone:
            self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            undone.callback(os.close, self._lock)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            create_file(path)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            undone.callback(self._connection.close)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_SCHEMA)
            #: Bytes of what waits in it.
            self.size: int = self._connection.execute("SELECT coalesce(sum(length(body)), 0) FROM batch").fetchone()[0]
            self._files = OpenFiles(path, f"{path}-wal")
            undone.pop_all()

    def add(self, row: Row) -> None:
        """Keep a batch durably; its key is given by the file. OSError where no other process would find it there."""
        self._require_files()
        key = self._connection.execute(_ADD, row[1:]).fetchone()[0]
        self.size += len(row.body)
        try:
            self._require_files()
        except OSError:
            self.remove(key)  # it is refused, so it must not be replayed either
            raise

    def _require_files(self) -> None:
        gone = self._files.gone()
        if gone is not None:
            raise FileNotFoundError(f"{gone} was removed or replaced; restart Footfall")

    def oldest(self) -> Row | None:
        """The batch that has waited longest, None where none waits."""
        found = self._connection.execute(f"{_ROWS} LIMIT 1").fetchone()
        return Row(*found) if found else None

    def rows(self) -> Iterator[Row]:
        """All batches, oldest first."""
        for found in self._connection.execute(_ROWS):
            yield Row(*found)

    def remove(self, key: int) -> None:
        """Take a batch out."""
        for (length,) in self._connection.execute("DELETE FROM batch WHERE id = ? RETURNING length(body)", (key,)).fetchall():
            self.size -= length

    def close(self) -> None:
        """Let go; a file with nothing in it is removed. May raise OSError too; the lock is given up all the same."""
        try:
            with contextlib.closing(self._connection):
                is_empty = self.oldest() is None
            if is_empty:
                for path in (self.path, self.path.with_suffix(".lock")):
                    path.unlink(missing_ok=True)
        finally:
            os.close(self._lock)

    def leave(self) -> None:
        """Let go of a file and leave it as it is."""
        self._connection.close()
        os.close(self._lock)
