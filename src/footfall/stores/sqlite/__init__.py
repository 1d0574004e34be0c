"""The embedded store: one SQLite file, any number of processes on one machine, every commit durable.

Writes run one at a time in a writer thread, each batch in one `BEGIN IMMEDIATE` transaction with `synchronous=FULL`; reads run in
reader threads on snapshots and never hold a writer back. A commit writes only the `second` tier. The coarser tiers are
rolled up from it in SQL, a minute at a time, inside a later commit; `site.rolled` says up to where, and every read adds the
seconds that are not rolled up yet. So readers see exact numbers whenever the rolling happens.

The statement count a commit is kept low on purpose: every statement gives the interpreter's lock away and must win it back
from the event loop, which under load costs more than the SQL does. Hence the JSON arguments: one statement a table, not a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from footfall.errors import StoreUnavailable
from footfall.model import (
    DEFAULT_RETENTION,
    WHOLE_SITE,
    Batch,
    Breakdown,
    Counts,
    Document,
    Dump,
    Presence,
    Receipt,
    Retention,
    Section,
    Series,
    Span,
    Tier,
    TopPages,
)
from footfall.stores.base import Clock, Limits
from footfall.stores.retention import Keeping
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.commit import Commits
from footfall.stores.sqlite.details.reads import DetailReads
from footfall.stores.sqlite.documents import Documents
from footfall.stores.sqlite.dump import Dumps, load
from footfall.stores.sqlite.forget import forget_page, forget_site, hide_page
from footfall.stores.sqlite.reads import Reads
from footfall.stores.sqlite.schema import connect, migrate, open_files, translated
from footfall.stores.sqlite.threads import Threads

T = TypeVar("T")

#: How long one transaction waits for another process's. The counter tries again with the same batch until its own limit.
BUSY_SECONDS = 1.0

READERS = 2


class _Rehearsed(Exception):
    """Has a transaction undone that was only to be tried."""


class SqliteStore:
    """Counts in one SQLite file at `path`. `event_id_ttl` is in seconds."""

    def __init__(
        self,
        path: str,
        clock: Clock,
        retention: Retention = DEFAULT_RETENTION,
        event_id_ttl: int = 600,
        limits: Limits = Limits(),  # noqa: B008 - a tuple can't change
    ) -> None:
        """Open the file, create or migrate its tables. Raises StoreUnavailable or StoreUnusable.

        A new file is readable to its owner alone; SQLite gives its log the same mode.
        """
        self._clock = clock
        self._keeping = Keeping(retention)
        self._commits = Commits(clock, retention, event_id_ttl, limits)
        self._reads = Reads(clock, retention)
        self._detail_reads = DetailReads(clock, retention)
        self._documents = Documents(clock)
        self._dumps = Dumps(clock, retention)
        self._closed = False
        self._path = path
        #: Whether the file was found to be gone from its path, at the last look.
        self._is_lost = False
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        with translated(path), contextlib.ExitStack() as undone:
            self._connection = undone.enter_context(contextlib.closing(connect(path, BUSY_SECONDS)))
            migrate(self._connection, path)
            self._connection.execute(sql.MAKE_FOLD)
            self._files = open_files(path)
            for _ in range(READERS):
                self._readers.put(undone.enter_context(contextlib.closing(connect(path, BUSY_SECONDS))))
            self._require_files()
            undone.pop_all()
        self._write_thread = Threads(1, "footfall-write")
        self._read_threads = Threads(READERS, "footfall-read")

    # Calls of the contract

    async def commit(self, batch: Batch) -> Receipt:
        return await self._write(lambda cx: self._commit(cx, batch))

    def _commit(self, cx: sqlite3.Connection, batch: Batch) -> Receipt:
        receipt = {name: self._commits.commit(cx, name, part, batch) for name, part in batch.sites.items()}
        self._documents.expire(cx)
        return receipt

    async def rehearse(self, batch: Batch) -> None:
        def write(cx: sqlite3.Connection) -> None:
            self._commit(cx, batch)
            raise _Rehearsed

        with contextlib.suppress(_Rehearsed):
            await self._write(write)

    async def applied(self, site: str, writer: str) -> int:
        rows = await self._fetch(sql.APPLIED, site, writer, int(self._clock()))
        return rows[0][0] if rows else 0

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        return await self._read(lambda cx: self._reads.counts(cx, site, pages, window))

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        return await self._read(lambda cx: self._reads.series(cx, site, page, tier, lambda _now: (start, end)))

    async def newest(self, site: str, page: str, span: Span) -> Series:
        return await self._read(lambda cx: self._reads.series(cx, site, page, span.tier, lambda now: (span.start(now), now + 1)))

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        return await self._read(lambda cx: self._reads.top(cx, site, span, limit, after))

    async def breakdown(
        self, site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None = None
    ) -> Breakdown:
        return await self._read(lambda cx: self._detail_reads.breakdown(cx, site, page, dimension, span, limit, after))

    async def visitors(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        return await self._read(lambda cx: self._detail_reads.visitors(cx, site, page, tier, start, end))

    async def present(self, site: str) -> Presence:
        return await self._read(lambda cx: self._detail_reads.present(cx, site))

    async def document(self, kind: str, key: str) -> Document | None:
        return await self._read(lambda cx: self._documents.get(cx, kind, key))

    async def documents(self, kind: str) -> list[Document]:
        return await self._read(lambda cx: self._documents.list(cx, kind))

    async def put_document(
        self, kind: str, key: str, value: bytes | None, *, version: int | None = None, until: int | None = None
    ) -> int | None:
        def write(cx: sqlite3.Connection) -> int | None:
            self._documents.expire(cx)
            return self._documents.put(cx, kind, key, value, version, until)

        return await self._write(write)

    async def sites(self) -> list[str]:
        return [name for (name,) in await self._fetch(sql.SITES)]

    async def dump(self, site: str, section: Section, tier: Tier, after: str | None = None, limit: int = 10_000) -> Dump:
        return await self._read(lambda cx: self._dumps.dump(cx, site, section, tier, after, limit))

    async def load(self, site: str, section: Section, tier: Tier, rows: Sequence[tuple[int | str, ...]]) -> None:
        await self._write(lambda cx: load(cx, int(self._clock()), self._keeping, site, section, tier, rows))

    async def forget(self, site: str, page: str | None = None) -> None:
        if page is None:
            await self._execute(sql.HIDE_SITE, site)
            for (hidden,) in await self._fetch(sql.HIDDEN_SITES):
                await forget_site(self._execute, hidden)
        elif page != WHOLE_SITE:
            for site_id, hidden in await self._write(lambda cx: hide_page(cx, site, page)):
                await forget_page(self._fetch, self._execute, site_id, hidden)

    async def ping(self) -> None:
        def write(cx: sqlite3.Connection) -> None:
            cx.execute(sql.PING, (int(self._clock()),))
            self._documents.expire(cx)

        await self._write(write)

    async def warnings(self) -> list[str]:
        return []

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._write_thread.close)
        await asyncio.to_thread(self._read_threads.close)
        self._connection.close()
        while not self._readers.empty():
            self._readers.get().close()

    # Threads

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer thread, in a transaction of its own."""
        return await self._run(self._write_thread, lambda: self._transact(work))

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        cx = self._connection
        if self._is_lost:  # a log that may lie beside another file by now is not written on
            self._require_files()
        with translated(self._path):
            cx.execute("BEGIN IMMEDIATE")
            try:
                result = work(cx)
                cx.execute("COMMIT")
            except BaseException:
                self._commits.forget()
                self._documents.forget()
                if cx.in_transaction:
                    cx.execute("ROLLBACK")
                raise
            self._documents.scrub(cx)
        self._require_files()
        return result

    def _require_files(self) -> None:
        """Raise StoreUnavailable where the path no longer leads to the file that is open: what it took would be lost.

        It is asked after each transaction and before its result counts: then what was written is where it will be looked for.
        """
        gone = self._files.gone()
        self._is_lost = gone is not None
        if gone is not None:
            raise StoreUnavailable(f"{gone} was removed or replaced while it was open; put it back, or restart Footfall")

    async def _execute(self, statement: str, *arguments: object) -> int:
        """Run one statement in a transaction of its own: how many rows it changed."""
        return await self._write(lambda cx: cx.execute(statement, arguments).rowcount)

    async def _fetch(self, statement: str, *arguments: object) -> list[Any]:
        """The rows of one statement."""
        return await self._read(lambda cx: cx.execute(statement, arguments).fetchall())

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a reader thread, on one snapshot."""
        return await self._run(self._read_threads, lambda: self._snapshot(work))

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._is_lost:
            self._require_files()
        cx = self._readers.get()
        try:
            with translated(self._path):
                cx.execute("BEGIN")
                try:
                    return work(cx)
                finally:
                    if cx.in_transaction:
                        cx.execute("ROLLBACK")
        finally:
            self._readers.put(cx)

    async def _run(self, threads: Threads, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await threads.run(work)
