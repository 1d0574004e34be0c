"""The SQLite file's life: what is opened, what is refused and left as it was, and how an older file becomes a current one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable
from footfall.model import PERIODS, WHOLE_SITE, Batch, Count, SiteBatch, Tier
from footfall.stores import sqlite
from footfall.stores.sqlite import SqliteStore
from footfall.stores.sqlite import schema as sqlite_schema
from footfall.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS
from tests.contract.conftest import SITE, START, Clock, Writer, bucket_of, count_of
from tests.contract.test_details import visited
from tests.integration.faults.faults import damage


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "footfall.db"


def _refused(path: Path | str) -> StoreError:
    """The error that opening a file leads to: one line that names it."""
    with pytest.raises(StoreError) as caught:
        SqliteStore(str(path), Clock())
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return caught.value


def test_another_program_s_database_is_refused_and_left_as_it_was(path: Path) -> None:
    """Neither its contents nor its journal mode change, and no file appears beside it."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    error = _refused(path)
    assert isinstance(error, StoreUnusable)
    assert "another program" in str(error)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("pragma", ["application_id=77", "user_version=3"])
def test_an_empty_database_of_another_program_is_refused(path: Path, pragma: str) -> None:
    """A program that has marked a file has taken it, though it has no tables yet."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    assert isinstance(_refused(path), StoreUnusable)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """A text file is left as it was."""
    path.write_text("these are notes, not counts\n" * 200)
    before = path.read_bytes()
    error = _refused(path)
    assert isinstance(error, StoreUnusable)
    assert "name another file in FOOTFALL_STORE" in str(error)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    """The message says that Footfall must be upgraded; the file is left as it was."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    error = _refused(path)
    assert isinstance(error, StoreUnusable)
    assert "newer Footfall" in str(error)
    assert "upgrade" in str(error)
    assert path.read_bytes() == before


def test_a_folder_and_a_file_in_no_folder_can_t_be_opened(tmp_path: Path) -> None:
    """Such a path may be mended while the server waits: StoreUnavailable."""
    for path in (tmp_path, tmp_path / "missing" / "footfall.db"):
        error = _refused(path)
        assert isinstance(error, StoreUnavailable)
        assert "its folder must exist and be writable" in str(error)


def test_a_database_in_memory_is_refused() -> None:
    """It would be another one for each connection, and could not be durable."""
    error = _refused(":memory:")
    assert isinstance(error, StoreUnusable)
    assert "write-ahead log" in str(error)


def test_a_library_too_old_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which SQLite is needed; no file is made."""
    monkeypatch.setattr(sqlite_schema, "OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(StoreUnusable, match=r"SQLite 3\.\d+\.\d+ is too old"):
        SqliteStore(str(path), Clock())
    assert not path.exists()


async def test_an_empty_file_becomes_one_of_ours(path: Path, clock: Clock) -> None:
    """From version 0 the tables are made, and the file is marked as ours and as current."""
    with path.open("xb"):
        pass
    store = SqliteStore(str(path), clock)
    await Writer(store).count({"/": 1})
    await store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


async def test_an_older_file_is_migrated_as_a_whole_or_not_at_all(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails leaves the file at its version, to be used or migrated later; its counts are kept either way."""
    store = SqliteStore(str(path), clock)
    await Writer(store).count({"/": 1})
    await store.close()
    half = "CREATE TABLE added (x);\nCREATE TABLE site (x);\n"
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*MIGRATIONS, half))
    assert isinstance(_refused(path), StoreUnavailable)
    whole = "CREATE TABLE added (x);\nALTER TABLE ping ADD COLUMN more TEXT;\n"
    current = len(MIGRATIONS)
    for migrations, version in ((MIGRATIONS, current), ((*MIGRATIONS, whole), current + 1), ((*MIGRATIONS, whole), current + 1)):
        monkeypatch.setattr(sqlite_schema, "MIGRATIONS", migrations)
        store = SqliteStore(str(path), clock)
        assert (await count_of(store, "/")).total == 1
        await store.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
        connection.close()


async def test_a_file_of_the_first_version_keeps_its_numbers(path: Path, clock: Clock) -> None:
    """Views of every tier, sequences and event ids are there after the migration, and counting goes on with details."""
    made = sqlite3.connect(path)
    made.executescript(MIGRATIONS[0] + f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=1;")
    rolled = Tier.MINUTE.start(START)
    made.execute("INSERT INTO site VALUES (1, ?, ?, ?, 1, 0)", (SITE, START, rolled))
    made.executemany("INSERT INTO page VALUES (?, 1, ?)", [(1, "/"), (2, "/asked"), (3, "/new")])
    made.executemany("INSERT INTO second VALUES (1, ?, ?, ?)", [(START, 0, 5), (START, 1, 3), (START, 3, 2)])
    for tier in Tier:
        if tier is not Tier.SECOND:
            made.executemany(f"INSERT INTO {tier.value} VALUES (1, ?, ?, 7)", [(tier.start(START - 60), page) for page in (0, 1)])
    made.execute("INSERT INTO writer VALUES (1, 'w', 4, ?, 0)", (START,))
    made.execute("INSERT INTO event VALUES (1, 'an-id', ?, 'w', 4)", (START + 100,))
    made.commit()
    made.close()
    store = SqliteStore(str(path), clock)
    for page, count in {
        "/": Count(3, 10, 10),
        "/new": Count(2, 2, 2),
        WHOLE_SITE: Count(5, 12, 12),
        "/asked": Count(0, 0, 0),
    }.items():
        assert await count_of(store, page) == count
    assert await bucket_of(store, "/", Tier.MINUTE, START - 60) == 7
    assert await bucket_of(store, "/", Tier.MONTH, START) == 10
    assert await store.applied(SITE, "w") == 4
    writer = Writer(store, "v")
    assert (await writer.count(events={"an-id": ("/", None)})).duplicates == {"an-id"}
    receipt = await writer.commit(
        {SITE: SiteBatch(dict.fromkeys(("/", "/new", "/asked"), 1), known_only={"/", "/new", "/asked"})}
    )
    assert receipt.refused == {"/asked"}
    await writer.commit({SITE: visited("/", [1, 2])})
    assert (await store.breakdown(SITE, "/", "device", PERIODS["all"], 9)).values == [("phone", 2)]
    assert (await store.present(SITE)).visitors == 2
    assert (await count_of(store, "/")).total == 13
    await store.close()


async def test_opening_a_new_file_waits_for_another_process_that_opens_it(path: Path, clock: Clock) -> None:
    """While the other holds its lock, and no longer."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opening = asyncio.ensure_future(asyncio.to_thread(SqliteStore, str(path), clock))
    finished, _ = await asyncio.wait({opening}, timeout=0.1)
    assert not finished
    other.execute("ROLLBACK")
    store = await opening
    await store.ping()
    await store.close()
    other.close()


def test_opening_a_new_file_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not let go is told of, as in any other call."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = _refused(path)
    assert isinstance(error, StoreUnavailable)
    assert "locked by another process" in str(error)
    other.close()


OPEN_MANY = """
import asyncio, sys, time
from footfall.stores.sqlite import SqliteStore

async def open_each():
    for number in range(15):
        print("ready", flush=True)
        sys.stdin.readline()
        store = SqliteStore(f"{sys.argv[1]}/{number}.db", time.time)
        await store.ping()
        await store.close()

asyncio.run(open_each())
"""


async def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Of several processes that open the same new file at the same moment, all can use it; fifteen times over."""
    pipe = asyncio.subprocess.PIPE
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", OPEN_MANY, tmp_path, stdin=pipe, stdout=pipe, stderr=pipe)
        for _ in range(3)
    ]
    for _ in range(15):
        for process in running:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n", (await process.communicate())[1].decode()
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"\n")
    for process in running:
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("table", ["second", "writer", "page"])
async def test_a_damaged_page_is_found_by_what_meets_it(path: Path, clock: Clock, table: str) -> None:
    """A ping does not meet it. A rehearsal of a batch that does fails as the batch would."""
    store = SqliteStore(str(path), clock)
    await Writer(store).count({"/": 1})
    await store.close()
    damage(path, table)
    store = SqliteStore(str(path), clock)
    await store.ping()
    batch = Batch("v", 1, {SITE: SiteBatch({"/": 1})})
    for call in (store.rehearse, store.commit):
        with pytest.raises(StoreUnusable, match="is not a sound SQLite file"):
            await call(batch)
    await store.ping()
    await store.close()
