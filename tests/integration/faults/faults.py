"""What tests do to a store behind a server's back."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """A database locked against every other writer, as by a program that writes for long."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def damage(database: Path, table: str) -> None:
    """Overwrite the first page of a table's tree in a database that nobody has open, as a failing disk would."""
    with contextlib.closing(sqlite3.connect(database)) as other:
        (size,) = other.execute("PRAGMA page_size").fetchone()
        (number,) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    with database.open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(b"\xa5" * size)
