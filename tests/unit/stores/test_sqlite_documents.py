"""Documents that are removed, replaced or expired leave the SQLite file and its log, byte for byte."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from footfall.stores.sqlite import SqliteStore
from footfall.stores.sqlite.documents import EXPIRY_SECONDS, SCRUB_SECONDS
from tests.contract.conftest import START, Clock, Writer

SECRET = b"a-salt-of-the-day"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "footfall.db"


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path), clock)
    yield store
    await store.close()


def found(path: Path, pattern: bytes = SECRET) -> set[bytes]:
    """What of a pattern stands in the file, its log and whatever else is beside it."""
    return {match for file in path.parent.iterdir() for match in re.findall(pattern, file.read_bytes())}


@pytest.mark.parametrize("times", [1, 300, 3000])
@pytest.mark.parametrize("replacement", [None, b"", b"another"])
async def test_a_document_that_is_removed_or_replaced_leaves_the_file(
    store: SqliteStore, path: Path, clock: Clock, times: int, replacement: bytes | None
) -> None:
    """At once, whatever its length."""
    await store.put_document("salt", "today", SECRET * times)
    assert found(path)
    clock.advance(SCRUB_SECONDS)
    await store.put_document("salt", "today", replacement)
    assert not found(path)


async def test_an_expired_document_leaves_the_file_within_a_minute(store: SqliteStore, path: Path, clock: Clock) -> None:
    """With the first write a minute after its time."""
    await store.put_document("salt", "today", SECRET, until=START + 10)
    clock.advance(10)
    assert await store.document("salt", "today") is None
    clock.advance(EXPIRY_SECONDS - 10)
    assert found(path)
    await Writer(store).count({"/": 1})
    assert not found(path)


async def test_a_reader_may_delay_it(store: SqliteStore, path: Path, clock: Clock) -> None:
    """While another process reads what was, its bytes stay in the log; the next write after that takes them away."""
    await store.put_document("salt", "today", SECRET)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM document").fetchone()
    clock.advance(SCRUB_SECONDS)
    await store.put_document("salt", "today", None)
    assert found(path)
    reader.execute("ROLLBACK")
    clock.advance(SCRUB_SECONDS)
    await store.ping()
    assert not found(path)
    reader.close()


async def test_what_a_killed_process_left_goes_with_the_next_one_s_first_write(
    store: SqliteStore, path: Path, clock: Clock
) -> None:
    """Nobody knows what is in a log that is found."""
    await store.put_document("salt", "today", SECRET)
    beside = sqlite3.connect(path, isolation_level=None)
    beside.execute("PRAGMA secure_delete=ON")
    beside.execute("DELETE FROM document")
    assert found(path)
    another = SqliteStore(str(path), clock)
    await another.ping()
    assert not found(path)
    await another.close()
    beside.close()


@pytest.mark.parametrize("seed", [15, 29])  # histories after which SQLite does leave copies in gaps
async def test_among_many_only_those_that_live_are_in_the_file(store: SqliteStore, path: Path, clock: Clock, seed: int) -> None:
    """However documents of all sizes moved about in the file while others came and went."""
    chance = random.Random(seed)
    for n in range(200):
        clock.advance(chance.choice((0, 1, 2)))
        key = f"key-{chance.randrange(25)}"
        value = None if chance.random() < 0.25 else b"secret-%04d;" % n * chance.choice((1, 3, 20, 100, 200))
        await store.put_document("salt", key, value)
        if n % 3 == 0:
            await Writer(store, str(n)).count({f"/{chance.randrange(100)}": 1})
    clock.advance(EXPIRY_SECONDS)
    await store.ping()
    alive = {document.value[:12] for document in await store.documents("salt")}
    assert alive
    assert found(path, rb"secret-\d{4};") == alive
