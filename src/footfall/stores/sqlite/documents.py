"""Documents in the SQLite file, changed by compare-and-set; what is removed, replaced or expired is overwritten there.

A document may be a salt or a session: its bytes must not stay behind. While documents are written, SQLite zeroes what it frees
(`PRAGMA secure_delete`); the write-ahead log, which has the old bytes too, is emptied right after. Where SQLite has moved rows
from page to page it leaves copies in gaps that it does not zero: so after a change all are written anew within a minute.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from footfall.errors import BadInput
from footfall.model import Document
from footfall.stores.base import MAX_DOCUMENT_BYTES, Clock
from footfall.stores.sqlite.details import statements as sql

#: How often, in seconds, documents whose time is over are looked for, and all are written anew where some are gone.
EXPIRY_SECONDS = 60

#: How many seconds pass at least between two attempts to empty the log.
SCRUB_SECONDS = 1

#: How long, in milliseconds, the emptying of the log waits for readers.
SCRUB_PATIENCE = 20


class Documents:
    """All documents of a file."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_expiry = 0
        self._next_scrub = 0
        #: Whether the log, and gaps in the file, may have bytes of documents that are gone. After a start nobody knows.
        self._has_leftovers = True
        self._has_gaps = True

    def forget(self) -> None:
        """What was taken away in a transaction that was undone is there again."""
        self._next_expiry = 0
        self._has_leftovers = self._has_gaps = True

    def get(self, cx: sqlite3.Connection, kind: str, key: str) -> Document | None:
        """A document whose time is not over."""
        row = cx.execute(sql.DOCUMENT, (kind, key, int(self._clock()))).fetchone()
        return Document(*row) if row else None

    def list(self, cx: sqlite3.Connection, kind: str) -> list[Document]:
        """All of a kind, by key."""
        return [Document(*row) for row in cx.execute(sql.DOCUMENTS, (kind, int(self._clock())))]

    def put(
        self, cx: sqlite3.Connection, kind: str, key: str, value: bytes | None, version: int | None, until: int | None
    ) -> int | None:
        """Write or remove a document where its version is the expected one; the new version."""
        if value is not None and len(value) > MAX_DOCUMENT_BYTES:
            raise BadInput("value", f"a document has at most {MAX_DOCUMENT_BYTES} bytes")
        current = self.get(cx, kind, key)
        if version is not None and version != (current.version if current else 0):
            return None
        with _zeroing(cx):
            if cx.execute(sql.REMOVE_DOCUMENT, (kind, key)).rowcount:
                self._has_leftovers = self._has_gaps = True
            new: int
            (new,) = cx.execute(sql.NEXT_VERSION, (kind,)).fetchone()
            if value is not None:
                cx.execute(sql.PUT_DOCUMENT, (kind, key, value, new, until))
        return new

    def expire(self, cx: sqlite3.Connection) -> None:
        """Once a minute, remove those whose time is over, and fill the gaps; inside a transaction that writes."""
        now = int(self._clock())
        if self._next_expiry - EXPIRY_SECONDS <= now < self._next_expiry:
            return
        self._next_expiry = now + EXPIRY_SECONDS
        if self._has_gaps or cx.execute(sql.HAS_EXPIRED_DOCUMENTS, (now,)).fetchone()[0]:
            with _zeroing(cx):
                kept = cx.execute(sql.KEPT_DOCUMENTS, (now,)).fetchall()
                cx.execute(sql.REMOVE_DOCUMENTS)
                cx.executemany(sql.PUT_DOCUMENT, kept)
            self._has_gaps = False
            self._has_leftovers = True

    def scrub(self, cx: sqlite3.Connection) -> None:
        """Between two transactions: empty the log where it may have bytes of documents that are gone.

        Readers need what is in it: after SCRUB_PATIENCE they are left in peace. A failure changes nothing; it is tried again
        after the next transaction.
        """
        now = int(self._clock())
        if not self._has_leftovers or self._next_scrub - SCRUB_SECONDS <= now < self._next_scrub:
            return
        self._next_scrub = now + SCRUB_SECONDS
        (patience,) = cx.execute("PRAGMA busy_timeout").fetchone()
        with contextlib.suppress(sqlite3.Error):
            cx.execute(f"PRAGMA busy_timeout={SCRUB_PATIENCE}")
            (is_busy, _, _) = cx.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._has_leftovers = bool(is_busy)
        cx.execute(f"PRAGMA busy_timeout={patience}")


@contextlib.contextmanager
def _zeroing(cx: sqlite3.Connection) -> Iterator[None]:
    """Let SQLite overwrite with zeros what it frees."""
    cx.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        cx.execute("PRAGMA secure_delete=OFF")
