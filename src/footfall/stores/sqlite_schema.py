"""The SQLite file: its tables, its version, and how an older file becomes a current one.

Rows of a tier are clustered by (site, bucket start, page): the rows of the current second lie together, so a commit touches
a handful of file pages however many views went before, and expiry removes a run of neighbours. Page 0 is the site's own line.
This module knows SQL and the file's life; what the numbers mean is `sqlite.py`'s.
"""

from __future__ import annotations

import sqlite3

from footfall.errors import StoreUnusable
from footfall.model import Tier

#: Marks the file as ours (PRAGMA application_id): "Foot" in ASCII.
APPLICATION_ID = 0x466F6F74

#: A commit that leaves this many pages (4 KiB each) in the write-ahead log moves them into the file.
CHECKPOINT_PAGES = 2000

_TIERS = "\n".join(
    f"CREATE TABLE {tier.value} (site INTEGER NOT NULL, t INTEGER NOT NULL, page INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (site, t, page)) STRICT, WITHOUT ROWID;"
    for tier in Tier
)

#: One script a version, in order; the number of scripts applied stands in PRAGMA user_version. Never edit one that was released.
MIGRATIONS = (
    f"""
    {_TIERS}
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
)


def connect(path: str, busy_seconds: float) -> sqlite3.Connection:
    """Open a connection that waits at most `busy_seconds` for another process's transaction."""
    cx = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256)
    cx.execute("PRAGMA journal_mode=WAL")
    cx.execute("PRAGMA synchronous=FULL")
    cx.execute("PRAGMA temp_store=MEMORY")
    cx.execute("PRAGMA cache_size=-16000")
    cx.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    return cx


def migrate(cx: sqlite3.Connection) -> None:
    """Bring the file to the current version, in one transaction. A file that is not ours, or is newer: StoreUnusable."""
    if _version(cx) == len(MIGRATIONS):
        return
    cx.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[_version(cx) :]:
            for statement in _statements(script):
                cx.execute(statement)
        cx.execute(f"PRAGMA application_id={APPLICATION_ID}")
        cx.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        cx.execute("COMMIT")
    finally:
        if cx.in_transaction:
            cx.execute("ROLLBACK")


def _version(cx: sqlite3.Connection) -> int:
    version: int = cx.execute("PRAGMA user_version").fetchone()[0]
    ours = cx.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    empty = cx.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not ours and not (empty and version == 0):
        raise StoreUnusable("the file is an SQLite database of another program; name another file in FOOTFALL_STORE")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"the file was written by a newer Footfall (schema {version}, this one knows {len(MIGRATIONS)}); upgrade Footfall"
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
