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
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import msgspec

from footfall.errors import StoreUnavailable
from footfall.model import (
    DEFAULT_RETENTION,
    MINUTE,
    WHOLE_SITE,
    Batch,
    Count,
    Counts,
    Receipt,
    Retention,
    Series,
    SiteBatch,
    SiteReceipt,
    Span,
    Tier,
    TopPages,
    oldest_kept,
)
from footfall.stores import sqlite_sql as sql
from footfall.stores.base import MAX_EVENT_IDS, WRITER_MEMORY, Clock
from footfall.stores.sqlite_forget import forget_page, forget_site
from footfall.stores.sqlite_schema import connect, migrate, translated

T = TypeVar("T")
_log = logging.getLogger(__name__)
_json = msgspec.json.Encoder()

#: How long one transaction waits for another process's. The counter tries again with the same batch until its own limit.
BUSY_SECONDS = 1.0

#: Paths whose ids a process remembers; at the limit it forgets all of them and learns anew.
MAX_KNOWN_PAGES = 50_000

#: Sites roll up at different seconds of the minute, so that many of them don't do so in the same commit.
STAGGER = 50

#: Seconds that are summed up by one statement when a minute is rolled up: SQLite sorts their rows in memory.
FOLDED_AT_ONCE = 10

#: A clock this many seconds behind a site's newest second is worth a warning.
CLOCK_SLACK = 60

READERS = 2
NOTHING = Count(0, 0, 0)


class _Known(NamedTuple):
    """A site's row, as a transaction found it."""

    id: int
    newest: int
    rolled: int
    event_ids: int
    generation: int


class SqliteStore:
    """Counts in one SQLite file at `path`. `event_id_ttl` is in seconds."""

    def __init__(self, path: str, clock: Clock, retention: Retention = DEFAULT_RETENTION, event_id_ttl: int = 600) -> None:
        """Open the file, make or migrate its tables. Raises StoreUnavailable or StoreUnusable."""
        self._clock = clock
        self._retention = retention
        self._event_id_ttl = event_id_ttl
        self._page_ids: dict[tuple[int, int], dict[str, int]] = {}
        self._clock_behind: set[int] = set()
        self._closed = False
        self._path = path
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        with translated(path), contextlib.ExitStack() as undone:
            self._connection = undone.enter_context(contextlib.closing(connect(path, BUSY_SECONDS)))
            migrate(self._connection, path)
            self._connection.execute(sql.MAKE_FOLD)
            for _ in range(READERS):
                self._readers.put(undone.enter_context(contextlib.closing(connect(path, BUSY_SECONDS))))
            undone.pop_all()
        self._write_thread = ThreadPoolExecutor(1, "footfall-write")
        self._read_threads = ThreadPoolExecutor(READERS, "footfall-read")

    # Calls of the contract

    async def commit(self, batch: Batch) -> Receipt:
        return await self._write(
            lambda cx: {name: self._commit_site(cx, name, part, batch) for name, part in batch.sites.items()}
        )

    async def applied(self, site: str, writer: str) -> int:
        rows = await self._fetch(sql.APPLIED, site, writer, int(self._clock()))
        return rows[0][0] if rows else 0

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        def read(cx: sqlite3.Connection) -> Counts:
            known, now = self._look(cx, site)
            if known is None:
                return Counts(now, dict.fromkeys(pages, NOTHING))
            return Counts(now, _counts(cx, known, _ids(cx, known, pages), pages, window, now))

        return await self._read(read)

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        return await self._read(lambda cx: self._series(cx, site, page, tier, lambda _now: (start, end)))

    async def newest(self, site: str, page: str, span: Span) -> Series:
        return await self._read(lambda cx: self._series(cx, site, page, span.tier, lambda now: (span.start(now), now + 1)))

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        def read(cx: sqlite3.Connection) -> TopPages:
            known, now = self._look(cx, site)
            if known is None:
                return TopPages(now, [])
            oldest = oldest_kept(span.tier, self._retention, now)
            start = max(span.start(now), span.tier.back(oldest - 1, -1))  # a bucket that began before `oldest` is gone as a whole
            views, path = after or (None, "")
            arguments = {"site": known.id, "start": start, "rolled": max(known.rolled, start)}
            rows = cx.execute(sql.TOP[span.tier], arguments | {"views": views, "path": path, "limit": limit})
            return TopPages(now, rows.fetchall())

        return await self._read(read)

    async def forget(self, site: str, page: str | None = None) -> None:
        if page is None:
            await self._execute(sql.HIDE_SITE, site)
            for (hidden,) in await self._fetch(sql.HIDDEN_SITES):
                await forget_site(self._execute, hidden)
        elif page != WHOLE_SITE:
            for site_id, hidden in await self._write(lambda cx: self._hide_page(cx, site, page)):
                await forget_page(self._fetch, self._execute, site_id, hidden)

    def _hide_page(self, cx: sqlite3.Connection, site: str, page: str) -> list[tuple[int, int]]:
        """Take a page's name away: (site id, page id) of it, and of those whose forgetting was cut short before."""
        known, _ = self._look(cx, site)
        if known is None:
            return []
        if cx.execute(sql.HIDE_PAGE, (known.id, page)).rowcount:
            cx.execute(sql.NEW_GENERATION, (known.id,))
        return [(known.id, id) for (id,) in cx.execute(sql.HIDDEN_PAGES, (known.id,))]

    async def ping(self) -> None:
        await self._execute(sql.PING, int(self._clock()))

    async def warnings(self) -> list[str]:
        return []

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._write_thread.shutdown)
        await asyncio.to_thread(self._read_threads.shutdown)
        self._connection.close()
        while not self._readers.empty():
            self._readers.get().close()

    # Threads

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer thread, in a transaction of its own."""
        return await self._run(self._write_thread, lambda: self._transact(work))

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        cx = self._connection
        with translated(self._path):
            try:
                cx.execute("BEGIN IMMEDIATE")
                result = work(cx)
                cx.execute("COMMIT")
            except BaseException:
                self._page_ids.clear()  # ids given out in a transaction that is undone mean nothing
                if cx.in_transaction:
                    cx.execute("ROLLBACK")
                raise
            return result

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

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    # Inside a write transaction

    def _commit_site(self, cx: sqlite3.Connection, name: str, part: SiteBatch, batch: Batch) -> SiteReceipt:
        clock = int(self._clock())
        row = cx.execute(sql.OPEN_SITE, (name, batch.writer, clock)).fetchone()
        if row is None:
            row = (*cx.execute(sql.MAKE_SITE, (name, clock, clock - clock % MINUTE)).fetchone(), None, None)
        known, sequence, at = _Known(*row[:5]), row[5], row[6]
        now = max(clock, known.newest)
        self._watch_clock(known, clock)
        repeated = sequence is not None and batch.sequence <= sequence
        duplicates = self._duplicates(cx, known, part, batch, now)
        if not repeated:
            at = now
            if now >= known.rolled + MINUTE + known.id % STAGGER:
                known = self._roll(cx, known, now)
            if now > known.newest:
                known = self._expire(cx, known, now)
            known = self._count(cx, known, part, batch, now, duplicates)
            cx.execute(sql.REMEMBER_WRITER, (known.id, batch.writer, batch.sequence, now, batch.lasting))
        counts = {}
        if part.wanted:
            counts = _counts(cx, known, self._intern(cx, known, part.wanted), part.wanted, batch.window, now)
        return SiteReceipt(at, counts, duplicates)

    def _watch_clock(self, known: _Known, clock: int) -> None:
        """Warn once of a clock that is far behind a site's newest second, until it has caught up."""
        if clock >= known.newest - CLOCK_SLACK:
            self._clock_behind.discard(known.id)
        elif known.id not in self._clock_behind:
            self._clock_behind.add(known.id)
            _log.warning("the clock is %d s behind a site's newest second; its time waits there for it", known.newest - clock)

    def _count(
        self, cx: sqlite3.Connection, known: _Known, part: SiteBatch, batch: Batch, now: int, duplicates: frozenset[str]
    ) -> _Known:
        """Bump the tiers by a batch, less the events that were counted before; remember the new event ids."""
        pages: dict[str, int] = dict(part.pages)
        timed: dict[tuple[str, int], int] = defaultdict(int, part.timed)
        fresh = [id for id in part.events if id not in duplicates]
        for page, at in (part.events[id] for id in fresh):
            if at is None:
                pages[page] = pages.get(page, 0) + 1
            else:
                timed[page, at] += 1
        ids = self._intern(cx, known, [*pages, *(page for page, _ in timed)])
        if pages:
            rows = {ids[page]: n for page, n in pages.items()}
            rows[0] = sum(pages.values())
            cx.execute(sql.BUMP_NOW, (known.id, now, _json.encode(rows).decode()))
        if timed:
            self._count_timed(cx, known, [(ids[page], min(at, now), n) for (page, at), n in timed.items()], now)
        if fresh:
            room = max(0, MAX_EVENT_IDS - known.event_ids)
            kept = fresh[:room]
            cx.execute(
                sql.REMEMBER_EVENTS,
                (known.id, now + self._event_id_ttl, batch.writer, batch.sequence, _json.encode(kept).decode()),
            )
            known = known._replace(event_ids=known.event_ids + len(kept))
            cx.execute("UPDATE site SET event_ids = ? WHERE id = ?", (known.event_ids, known.id))
        return known

    def _count_timed(self, cx: sqlite3.Connection, known: _Known, rows: list[tuple[int, int, int]], now: int) -> None:
        """Bump by (page id, own time, views). Seconds already rolled up go to every tier, others only to `second`."""
        oldest = min(known.rolled, oldest_kept(Tier.SECOND, self._retention, now))
        views: dict[tuple[int, int], int] = defaultdict(int)
        for page, at, n in rows:
            views[at, page] += n
            views[at, 0] += n
        seconds = [(at, page, n) for (at, page), n in views.items() if at >= oldest]
        rolled = [(at, page, n) for (at, page), n in views.items() if at < known.rolled]
        if seconds:
            cx.execute(sql.BUMP_SECONDS, (known.id, _json.encode(seconds).decode()))
        if rolled:
            cx.execute(sql.FOLD_ROWS, (_json.encode(rolled).decode(),))
            self._unfold(cx, known.id, now)

    def _roll(self, cx: sqlite3.Connection, known: _Known, now: int) -> _Known:
        """Take the whole minutes that have passed into the coarser tiers, and let expired buckets and writers go."""
        until = now - now % MINUTE
        end = min(until, known.newest + 1)
        for start in range(known.rolled, end, FOLDED_AT_ONCE):
            cx.execute(sql.FOLD_SECONDS, (known.id, start, min(start + FOLDED_AT_ONCE, end)))
        self._unfold(cx, known.id, now)
        for tier in self._retention:
            if tier is not Tier.SECOND:
                cx.execute(sql.EXPIRE[tier], (known.id, oldest_kept(tier, self._retention, now)))
        cx.execute(sql.EXPIRE_WRITERS, (known.id, now - WRITER_MEMORY))
        cx.execute("UPDATE site SET rolled = ? WHERE id = ?", (until, known.id))
        return known._replace(rolled=until)

    def _unfold(self, cx: sqlite3.Connection, site: int, now: int) -> None:
        for tier, statement in sql.UNFOLD.items():
            cx.execute(statement, (site, oldest_kept(tier, self._retention, now)))
        cx.execute("DELETE FROM fold")

    def _expire(self, cx: sqlite3.Connection, known: _Known, now: int) -> _Known:
        """Once a second: let the seconds and event ids go that have had their time, and move the newest second on."""
        cx.execute(sql.EXPIRE[Tier.SECOND], (known.id, min(known.rolled, oldest_kept(Tier.SECOND, self._retention, now))))
        event_ids = known.event_ids
        if event_ids:
            event_ids -= cx.execute(sql.EXPIRE_EVENTS, (known.id, now)).rowcount
        cx.execute("UPDATE site SET newest = ?, event_ids = ? WHERE id = ?", (now, event_ids, known.id))
        return known._replace(newest=now, event_ids=event_ids)

    def _duplicates(self, cx: sqlite3.Connection, known: _Known, part: SiteBatch, batch: Batch, now: int) -> frozenset[str]:
        if not part.events:
            return frozenset()
        arguments = (known.id, _json.encode(list(part.events)).decode(), now, batch.writer, batch.sequence)
        return frozenset(id for (id,) in cx.execute(sql.FIND_DUPLICATES, arguments))

    def _intern(self, cx: sqlite3.Connection, known: _Known, pages: Iterable[str]) -> dict[str, int]:
        """The ids of pages, new ones given out; the site's own line has 0. The result may hold other pages too."""
        ids = self._page_ids.setdefault((known.id, known.generation), {WHOLE_SITE: 0})
        unknown = [page for page in pages if page not in ids]
        if unknown:
            if sum(map(len, self._page_ids.values())) + len(unknown) > MAX_KNOWN_PAGES:
                self._page_ids.clear()
                ids = self._page_ids[known.id, known.generation] = {WHOLE_SITE: 0}
                unknown = [page for page in pages if page not in ids]
            cx.execute(sql.MAKE_PAGES, (known.id, _json.encode(unknown).decode()))
            ids.update(_ids(cx, known, unknown))
        return ids

    # Inside a snapshot

    def _look(self, cx: sqlite3.Connection, site: str) -> tuple[_Known | None, int]:
        row = cx.execute(sql.LOOK_SITE, (site,)).fetchone()
        known = _Known(*row) if row else None
        return known, max(int(self._clock()), known.newest if known else 0)

    def _series(
        self, cx: sqlite3.Connection, site: str, page: str, tier: Tier, bounds: Callable[[int], tuple[int, int]]
    ) -> Series:
        known, now = self._look(cx, site)
        views = dict.fromkeys(tier.starts(*bounds(now)), 0)
        page_id = _ids(cx, known, [page]).get(page) if known else None
        if known and page_id is not None:
            oldest = oldest_kept(tier, self._retention, now)
            kept = [start for start in views if start >= oldest]
            for start, n in cx.execute(sql.SERIES[tier], (known.id, page_id, _json.encode(kept).decode())):
                views[start] += n
            if tier is not Tier.SECOND:
                for t, n in cx.execute(sql.UNROLLED, (known.rolled, known.newest, known.id, page_id)):
                    if tier.start(t) in views and tier.start(t) >= oldest:
                        views[tier.start(t)] += n
        return Series(now, list(views.items()))


def _ids(cx: sqlite3.Connection, known: _Known, pages: Sequence[str]) -> dict[str, int]:
    """The ids of those pages that have one."""
    ids = dict(cx.execute(sql.PAGE_IDS, (known.id, _json.encode(pages).decode())).fetchall())
    return ids | {WHOLE_SITE: 0} if WHOLE_SITE in pages else ids


def _counts(
    cx: sqlite3.Connection, known: _Known, ids: Mapping[str, int], pages: Iterable[str], window: int, now: int
) -> dict[str, Count]:
    """The counts of `pages` at `now`; those without an id have none."""
    opened = now - window + 1
    arguments = {
        "site": known.id,
        "pages": _json.encode({ids[page] for page in pages if page in ids}).decode(),
        "first": min(opened, known.rolled),
        "last": known.newest,
        "window": opened,
        "rolled": known.rolled,
        "day": Tier.DAY.start(now),
    }
    found = {id: Count(*numbers) for id, *numbers in cx.execute(sql.COUNTS, arguments)}
    return {page: found.get(ids.get(page, -1), NOTHING) for page in pages}
