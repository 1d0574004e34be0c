"""The SQLite file: its tables, its version, how an older file becomes a current one, and what its errors mean to a caller.

Rows of a tier are clustered by (site, bucket start, page): the rows of the current second lie together, so a commit touches
a handful of file pages however many views went before, and expiry removes a run of neighbours. Page 0 is the site's own line.
This module knows SQL and the file's life; what the numbers mean is `sqlite.py`'s.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable
from footfall.files import OpenFiles, create_file
from footfall.model import Tier

#: Marks the file as ours (PRAGMA application_id): "Foot" in ASCII.
APPLICATION_ID = 0x466F6F74

#: What SQLite takes for no file: it can have no write-ahead log, and is refused for that.
_IN_MEMORY = ":memory:"

#: The SQLite library that knows all we use: STRICT tables, RETURNING and ->>.
OLDEST_SQLITE = (3, 38, 0)

#: How long, in seconds, to wait between two attempts to turn a new file's write-ahead log on.
WAL_PAUSE = 0.01

#: A commit that leaves this many pages (4 KiB each) in the write-ahead log moves them into the file.
CHECKPOINT_PAGES = 2000

#: What a connection may hold of the file in memory, in KiB; the system holds the rest. A process has three connections.
CACHE_KIB = 2000

_VIEWS = "\n".join(
    f"CREATE TABLE {tier.value} (site INTEGER NOT NULL, t INTEGER NOT NULL, page INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (site, t, page)) STRICT, WITHOUT ROWID;"
    for tier in Tier
)
_TRAITS = "\n".join(
    f"CREATE TABLE trait_{tier.value} (site INTEGER NOT NULL, t INTEGER NOT NULL, line INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (site, t, line)) STRICT, WITHOUT ROWID;"
    for tier in (Tier.HOUR, Tier.DAY, Tier.MONTH)
)

#: One script a version, in order; the number of scripts applied stands in PRAGMA user_version. Never edit one that was released.
MIGRATIONS = (
    f"""
    {_VIEWS}
    -- newest: the site's newest second. rolled: seconds before it are in every tier, seconds from it on only in `second`.
    -- event_ids: how many rows of `event` the site has. generation: grows when page ids that others may have cached are dropped.
    CREATE TABLE site (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, newest INTEGER NOT NULL,
        rolled INTEGER NOT NULL, event_ids INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE page (id INTEGER PRIMARY KEY AUTOINCREMENT, site INTEGER NOT NULL, path TEXT NOT NULL,
        UNIQUE (site, path)) STRICT;
    CREATE TABLE writer (site INTEGER NOT NULL, name TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL,
        lasting INTEGER NOT NULL, PRIMARY KEY (site, name)) STRICT, WITHOUT ROWID;
    CREATE TABLE event (site INTEGER NOT NULL, id TEXT NOT NULL, until INTEGER NOT NULL, writer TEXT NOT NULL,
        sequence INTEGER NOT NULL, PRIMARY KEY (site, id)) STRICT, WITHOUT ROWID;
    CREATE INDEX event_until ON event (site, until);
    CREATE TABLE ping (id INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
    """,
    f"""
    -- opened_day, opened: how many pages untimed views have opened in that day. admitted: grows whenever a day of the site gives
    -- a page a place or a value room. folded: the hour in which `waiting` was last known to be empty.
    -- hour, line: of `trait_hour`, rows before this (t, line) are in days and months; reads add the others there.
    ALTER TABLE site ADD COLUMN opened_day INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE site ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE site ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE site ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE site ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE site ADD COLUMN line INTEGER NOT NULL DEFAULT 0;
    UPDATE site SET hour = newest - newest % 3600;
    -- refused: a JSON list of the pages that the writer's last batch was refused, if any.
    ALTER TABLE writer ADD COLUMN refused TEXT;
    -- open: the page has been counted, its total is not 0. Pages that were only asked for had a row in version 1.
    ALTER TABLE page ADD COLUMN open INTEGER NOT NULL DEFAULT 1;
    DELETE FROM page WHERE id NOT IN (SELECT page FROM total UNION ALL SELECT page FROM second);
    CREATE TABLE dimension (id INTEGER PRIMARY KEY CHECK (id < 1 << 5), name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE trait (id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id < 1 << 30), site INTEGER NOT NULL,
        dimension INTEGER NOT NULL, value TEXT NOT NULL, UNIQUE (site, dimension, value)) STRICT;
    -- line: page << 35 | dimension << 30 | trait; see `sqlite_site.py`.
    {_TRAITS}
    -- Details of commits that are not in any other table yet. weight: of this row and those of its site before it.
    -- admitted: the site's, after the commit.
    CREATE TABLE waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, site INTEGER NOT NULL, weight INTEGER NOT NULL,
        admitted INTEGER NOT NULL, part BLOB NOT NULL) STRICT;
    CREATE INDEX waiting_site ON waiting (site, id);
    -- Visitors of buckets that still take some: the greatest rank of each register. width: the bucket's, in seconds.
    -- place: page << 12 | register.
    CREATE TABLE register (site INTEGER NOT NULL, width INTEGER NOT NULL, t INTEGER NOT NULL, place INTEGER NOT NULL,
        rank INTEGER NOT NULL, PRIMARY KEY (site, width, t, place)) STRICT, WITHOUT ROWID;
    -- Visitors of buckets that take no more, and those that were loaded.
    CREATE TABLE visitors (site INTEGER NOT NULL, width INTEGER NOT NULL, t INTEGER NOT NULL, page INTEGER NOT NULL,
        n INTEGER NOT NULL, PRIMARY KEY (site, width, t, page)) STRICT, WITHOUT ROWID;
    CREATE TABLE document (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, until INTEGER,
        PRIMARY KEY (kind, key)) STRICT;
    CREATE INDEX document_until ON document (until) WHERE until IS NOT NULL;
    CREATE TABLE document_version (kind TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,  # noqa: S608 - composed from our own table names only
    """
    -- Rows of pages that are viewed often: few of all, and enough to find the most viewed in (`sqlite_rankings.py`). What makes a
    -- row one of them (8 views or more, 32 or more) is written so that it is no bound to search by beside a statement's own.
    CREATE INDEX day_busy ON day (site, t, n) WHERE n / 8;
    CREATE INDEX month_busy ON month (site, t, n) WHERE n / 32;
    """,
)


def connect(path: str, busy_seconds: float) -> sqlite3.Connection:
    """Open a connection that waits at most `busy_seconds` for another process's transaction.

    A file that is not ours, or is newer: StoreUnusable, and the file is left as it was.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnusable(f"SQLite {sqlite3.sqlite_version} is too old; 3.38 or later is needed")
    if path != _IN_MEMORY:
        with contextlib.suppress(OSError):  # SQLite meets the same trouble, and its error is translated
            create_file(path)
    cx = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        _version(cx, path)
        _log_ahead(cx, path, busy_seconds)
        cx.execute("PRAGMA synchronous=FULL")
        cx.execute("PRAGMA temp_store=MEMORY")
        cx.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cx.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except BaseException:
        cx.close()
        raise
    return cx


def _log_ahead(cx: sqlite3.Connection, path: str, busy_seconds: float) -> None:
    """Turn the write-ahead log on: the one statement for which SQLite itself does not wait until others let go of the file."""
    for attempt in range(int(busy_seconds / WAL_PAUSE), -1, -1):
        try:
            (mode,) = cx.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not attempt:
                raise
            time.sleep(WAL_PAUSE)
        else:
            if mode != "wal":
                raise StoreUnusable(f"{path} can't have a write-ahead log; name a file on a local disk in FOOTFALL_STORE")
            return


def open_files(path: str) -> OpenFiles:
    """The open database at `path`, its write-ahead log, and the memory that processes share. Raises StoreUnavailable."""
    try:
        return OpenFiles(path, f"{path}-wal", f"{path}-shm")
    except OSError as error:
        raise StoreUnavailable(f"{error.filename} was removed while it was opened; put it back, or try again") from error


def migrate(cx: sqlite3.Connection, path: str) -> None:
    """Bring the file to the current version, in one transaction. A file that is not ours, or is newer: StoreUnusable."""
    if _version(cx, path) == len(MIGRATIONS):
        return
    cx.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[_version(cx, path) :]:
            for statement in _statements(script):
                cx.execute(statement)
        cx.execute(f"PRAGMA application_id={APPLICATION_ID}")
        cx.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        cx.execute("COMMIT")
    finally:
        if cx.in_transaction:
            cx.execute("ROLLBACK")


def _version(cx: sqlite3.Connection, path: str) -> int:
    version: int
    # One statement, one snapshot: another process may be making the tables just now.
    version, application_id, tables = cx.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if application_id != APPLICATION_ID and (tables or version or application_id):
        raise StoreUnusable(f"{path} is an SQLite database of another program; name another file in FOOTFALL_STORE")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"{path} was written by a newer Footfall (schema {version}, this one knows {len(MIGRATIONS)}); upgrade Footfall"
        )
    return version


def _statements(script: str) -> list[str]:
    """The statements of a script one by one: `executescript` would commit before it begins."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn the driver's exceptions into ours: the only place that knows them."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error, path: str) -> StoreError:
    """What a driver's exception means to a caller, with the file it is about."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreUnusable(
            f"{path} is not a sound SQLite file ({error}); restore a backup or name another file in FOOTFALL_STORE"
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreUnavailable(f"no space left to write {path}; free some on its disk")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreUnavailable(f"can't open {path}; its folder must exist and be writable, or name another in FOOTFALL_STORE")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreUnavailable(f"can't write {path}; it and its folder must be writable, or name another in FOOTFALL_STORE")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"{path} is locked by another process")
    return StoreUnavailable(f"can't use {path}: {error}")
