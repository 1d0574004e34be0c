"""What only the SQLite store has to show: how its statements find rows, and what becomes of its driver's errors."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable
from footfall.model import PERIODS, WHOLE_SITE, Batch, Section, SiteBatch, Span, Tier
from footfall.stores import sqlite
from footfall.stores.sqlite import SqliteStore
from footfall.stores.sqlite import site_row as sqlite_site
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.details import statements as detail_sql
from footfall.stores.sqlite.schema import translate
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, Writer, count_of
from tests.contract.test_details import visited

MINUTE_SPAN = Span(Tier.SECOND, 60)

#: Every call of the contract that asks the file for something.
CALLS: dict[str, Callable[[SqliteStore], Awaitable[object]]] = {
    "commit": lambda store: store.commit(Batch("w", 99, {SITE: SiteBatch({"/": 1})})),
    "applied": lambda store: store.applied(SITE, "w"),
    "counts": lambda store: store.counts(SITE, ["/"], 60),
    "series": lambda store: store.series(SITE, "/", Tier.HOUR, START, START + 1),
    "newest": lambda store: store.newest(SITE, "/", MINUTE_SPAN),
    "top": lambda store: store.top(SITE, PERIODS["24h"], 9),
    "breakdown": lambda store: store.breakdown(SITE, WHOLE_SITE, "device", PERIODS["24h"], 9),
    "visitors": lambda store: store.visitors(SITE, "/", Tier.DAY, START, START + 1),
    "present": lambda store: store.present(SITE),
    "document": lambda store: store.document("site", "a"),
    "documents": lambda store: store.documents("site"),
    "put a document": lambda store: store.put_document("site", "a", b"1"),
    "sites": lambda store: store.sites(),
    "dump": lambda store: store.dump(SITE, Section.VIEWS, Tier.HOUR),
    "load": lambda store: store.load(SITE, Section.VIEWS, Tier.HOUR, [(START, "/", 1)]),
    "forget a page": lambda store: store.forget(SITE, "/"),
    "forget a site": lambda store: store.forget(SITE),
    "ping": lambda store: store.ping(),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "footfall.db"


@pytest.fixture
async def store(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    """A store that does not wait long for others."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    store = SqliteStore(str(path), clock)
    yield store
    await store.close()


@pytest.fixture
def beside(store: SqliteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the store's file."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


# How rows are found


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The steps of a statement, as SQLite tells them. What is bound to it makes no difference."""
    names = re.findall(r":(\w+)", statement)
    numbers = list(map(int, re.findall(r"\?(\d)", statement)))
    bound = dict.fromkeys(names) if names else [None] * max([*numbers, statement.count("?") if not numbers else 0])
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", bound)
    return [row[3] for row in rows]


def reaches(steps: list[str], table: str) -> list[str]:
    """How a plan gets at the rows of a table, by the name the statement gives it."""
    return [step for step in steps if step.split()[1:2] == [table]]


WHOLE_KEY = "USING PRIMARY KEY (site=? AND t=? AND page=?)"


@pytest.mark.parametrize("alias", ["s", "d", "a"])
def test_a_window_is_read_row_by_row_by_its_whole_key(beside: sqlite3.Connection, alias: str) -> None:
    """The seconds, the day and the total of a page are each found by site, bucket and page: no neighbour is looked at."""
    assert reaches(plan(beside, sql.COUNTS), alias) == [f"SEARCH {alias} {WHOLE_KEY}"]


@pytest.mark.parametrize("tier", Tier)
def test_a_series_is_read_row_by_row_by_its_whole_key(beside: sqlite3.Connection, tier: Tier) -> None:
    """So a series costs what it has points, however many other pages the site has."""
    assert reaches(plan(beside, sql.SERIES[tier]), "b") == [f"SEARCH b {WHOLE_KEY}"]


def test_seconds_not_rolled_up_are_read_row_by_row_by_their_whole_key(beside: sqlite3.Connection) -> None:
    """The part of a coarse tier that still stands in seconds costs one look a second."""
    assert reaches(plan(beside, sql.UNROLLED), "s") == [f"SEARCH s {WHOLE_KEY}"]


@pytest.mark.parametrize("tier", Tier)
def test_the_most_viewed_pages_are_read_from_their_span_alone(beside: sqlite3.Connection, tier: Tier) -> None:
    """The rows of a site from the span's start on lie together, and no others are read."""
    steps = plan(beside, sql.TOP[tier])
    for table in {tier.value, "second"}:
        assert reaches(steps, table) == [f"SEARCH {table} USING PRIMARY KEY (site=? AND t>?)"]


@pytest.mark.parametrize("tier", sql.COARSE)
def test_the_most_viewed_pages_are_looked_for_in_the_rows_that_may_have_them(beside: sqlite3.Connection, tier: Tier) -> None:
    """Where a tier has an index of its busy rows, by bucket and views; each page that is found, by its whole key."""
    steps = reaches(plan(beside, sql.EXCEEDING[tier]), "b")
    of_bucket = "SEARCH b USING PRIMARY KEY (site=? AND t=? AND page>?)"
    by_views = [f"SEARCH b USING COVERING INDEX {tier.value}_busy (site=? AND t=? AND n>?)"] if tier in sql.BUSY else [of_bucket]
    assert steps == [*by_views, of_bucket]
    assert reaches(plan(beside, sql.LEADING[tier]), tier.value) == [of_bucket.replace(" b ", f" {tier.value} ")]
    assert reaches(plan(beside, sql.TOP_OF[tier]), "b") == [f"SEARCH b {WHOLE_KEY}"]
    assert reaches(plan(beside, sql.BUCKETS[tier]), "b") == [f"SEARCH b {WHOLE_KEY}"]


def test_event_ids_are_found_one_by_one(beside: sqlite3.Connection) -> None:
    """Whether a view was counted before costs one look an id, however many ids the site remembers."""
    assert reaches(plan(beside, sql.FIND_DUPLICATES), "event") == ["SEARCH event USING PRIMARY KEY (site=? AND id=?)"]


def test_no_statement_reads_a_whole_table(beside: sqlite3.Connection) -> None:
    """Every other statement that looks at counts, pages, writers or ids does so within a site."""
    no_table = {"json_each", "CONSTANT"}
    of_pages = [statement for rows in sql.FORGET_PAGE for statement in (rows.extent, rows.delete)]
    expiries = (detail_sql.EXPIRE, detail_sql.EXPIRE_TRAITS, detail_sql.EXPIRE_VISITORS)
    for statement in (
        *(sql.APPLIED, sql.OPEN_SITE, *of_pages, *sql.FORGET_SITE),
        *(statement for by_table in expiries for statement in by_table.values()),
        *(detail_sql.EXPIRE_PRESENCE, detail_sql.EXPIRE_EVENTS, detail_sql.EXPIRE_WRITERS),
    ):
        steps = plan(beside, statement)
        assert [step for step in steps if step.startswith("SCAN") and step.split()[1] not in no_table] == [], statement


# What the driver's errors become


@pytest.mark.parametrize("name", sorted(name for name in vars(sqlite3) if name.startswith("SQLITE_")))
def test_every_code_of_the_driver_becomes_an_error_of_ours(name: str) -> None:
    """In one line that names the file."""
    error = sqlite3.OperationalError("something is wrong")
    error.sqlite_errorcode = getattr(sqlite3, name)
    translated = translate(error, "/var/lib/footfall.db")
    assert isinstance(translated, StoreError)
    assert "/var/lib/footfall.db" in str(translated)
    assert "\n" not in str(translated)


@pytest.mark.parametrize(
    "error", [error for error in vars(sqlite3).values() if isinstance(error, type) and issubclass(error, sqlite3.Error)]
)
def test_every_kind_of_error_of_the_driver_becomes_one_of_ours(error: type[sqlite3.Error]) -> None:
    """Also where it comes without a code."""
    assert isinstance(translate(error("something is wrong"), "footfall.db"), StoreUnavailable)


@pytest.mark.parametrize("call", CALLS)
async def test_no_call_lets_an_exception_of_the_driver_pass(store: SqliteStore, beside: sqlite3.Connection, call: str) -> None:
    """With its tables gone, the store raises its own error for each call, and says which file it is about."""
    await Writer(store).count({"/": 1})
    for tables in ("site", "ping", "document"):
        beside.execute(f"DROP TABLE {tables}")
    with pytest.raises(StoreError, match=r"can't use .*/footfall\.db: no such table"):
        await CALLS[call](store)


@pytest.mark.parametrize("call", CALLS)
async def test_a_closed_store_says_so(store: SqliteStore, call: str) -> None:
    """A call after `close` raises StoreUnavailable."""
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await CALLS[call](store)


# Files locked, full and broken


async def test_a_locked_file_can_be_written_again_when_it_is_let_go(store: SqliteStore, beside: sqlite3.Connection) -> None:
    """While another process writes, a commit raises StoreUnavailable; afterwards the same batch is applied, once."""
    writer = Writer(store)
    await writer.count({"/": 1})
    beside.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await writer.count({"/": 2, "/new": 1})
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await store.ping()
    beside.execute("ROLLBACK")
    for _ in range(2):
        await writer.repeat()
    assert (await store.top(SITE, MINUTE_SPAN, 9)).pages == [("/", 3), ("/new", 1)]


async def test_reading_goes_on_while_the_file_is_locked(store: SqliteStore, beside: sqlite3.Connection) -> None:
    """Another process's writing does not hold a reader up."""
    await Writer(store).count({"/": 1})
    beside.execute("BEGIN IMMEDIATE")
    assert (await count_of(store, "/")).total == 1
    assert (await store.top(SITE, PERIODS["all"], 9)).pages == [("/", 1)]
    beside.execute("ROLLBACK")


async def test_a_full_disk_applies_nothing_by_half(store: SqliteStore) -> None:
    """A commit that finds no room raises StoreUnavailable and leaves no trace; with room again the same batch is applied."""
    writer = Writer(store)
    await writer.count({"/": 1})
    writing = store._connection
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count={pages}")
    before = [await count_of(store, "", site=site) for site in (SITE, OTHER_SITE)]
    large = SiteBatch({f"/{i}/{'x' * 500}": 1 for i in range(200)}, events={"a-view-sent-twice": ("/", None)})
    with pytest.raises(StoreUnavailable, match=r"no space left to write .*footfall\.db; free some on its disk"):
        await writer.commit({SITE: SiteBatch({"/": 1, "/new": 1}), OTHER_SITE: large})
    assert [await count_of(store, "", site=site) for site in (SITE, OTHER_SITE)] == before
    assert await store.applied(SITE, writer.name) == 1
    assert (await store.top(SITE, MINUTE_SPAN, 9)).pages == [("/", 1)]
    writing.execute("PRAGMA max_page_count=1000000")
    assert (await writer.repeat()).duplicates == frozenset()
    assert (await store.top(SITE, MINUTE_SPAN, 9)).pages == [("/", 2), ("/new", 1)]
    assert (await count_of(store, "", site=OTHER_SITE)).total == 201


async def test_names_given_out_in_an_undone_commit_are_given_out_anew(store: SqliteStore, path: Path, clock: Clock) -> None:
    """Pages first seen in a commit that failed are counted under their own names, though another store took their places."""
    writer, other = Writer(store), SqliteStore(str(path), clock)
    await writer.count({"/": 1})
    writing = store._connection
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreUnavailable):
        await writer.commit({SITE: SiteBatch({"/a": 1}), OTHER_SITE: SiteBatch({f"/{i}{'x' * 900}": 1 for i in range(99)})})
    writing.execute("PRAGMA max_page_count=1000000")
    await Writer(other, "v").count({"/b": 5})
    await writer.count({"/a": 1})
    assert (await store.top(SITE, MINUTE_SPAN, 9)).pages == [("/b", 5), ("/", 1), ("/a", 1)]
    await other.close()


def _damage(path: Path) -> None:
    """Overwrite the first page of every table, but not those that say where the tables are."""
    connection = sqlite3.connect(path)
    roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")]
    connection.close()
    with path.open("r+b") as file:
        for root in roots:
            file.seek((root - 1) * 4096)
            file.write(b"\xaa" * 4096)


async def test_a_damaged_file_is_unusable(store: SqliteStore, path: Path, clock: Clock) -> None:
    """Where SQLite finds the file malformed, trying again does not help, and the message says what does."""
    await Writer(store).count({f"/{i}": 1 for i in range(500)})
    await store.close()
    _damage(path)
    damaged = SqliteStore(str(path), clock)
    for call in ("counts", "top", "commit"):
        with pytest.raises(StoreUnusable, match=r"not a sound SQLite file .* restore a backup"):
            await CALLS[call](damaged)
    await damaged.close()


# The rest


def test_a_commit_is_durable(store: SqliteStore) -> None:
    """Each commit is written through to the disk: a write-ahead log, with synchronous=FULL."""
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_a_clock_far_behind_is_told_of_once(store: SqliteStore, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A warning when the clock falls more than 60 s behind a site's newest second, and the next only after it had caught up."""
    writer = Writer(store)
    for t, warnings in ((0, 0), (-60, 0), (-61, 1), (-5000, 1), (-61, 1), (1, 1), (-100, 2), (-100, 2)):
        clock.set(START + t)
        await writer.count({"/": 1})
        assert len(caplog.records) == warnings
    assert all(record.levelno == logging.WARNING and "s behind" in record.message for record in caplog.records)


async def test_paths_forgotten_to_make_room_are_learnt_again(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers only so many paths' ids, and counts right beyond that, also with more in one batch."""
    monkeypatch.setattr(sqlite_site, "MAX_KNOWN_PAGES", 10)
    writer = Writer(store)
    for first in (0, 3, 6, 0, 9, 12):
        receipt = await writer.count({f"/{i}": 1 for i in range(first, first + 5)}, wanted=["/0", "/14"])
        assert set(receipt.counts) == {"/0", "/14"}
        assert len(store._commits.pages) <= 10
    await writer.count({f"/{i}": 1 for i in range(40)}, wanted=[f"/{i}" for i in range(40)])
    expected = {f"/{i}": sum(first <= i < first + 5 for first in (0, 3, 6, 0, 9, 12)) + 1 for i in range(40)}
    assert dict((await store.top(SITE, MINUTE_SPAN, 99)).pages) == expected


@pytest.mark.parametrize(
    "hide", ["UPDATE page SET path = char(0) || id WHERE path = '/a'", "UPDATE site SET name = char(0) || id"]
)
async def test_a_forgetting_that_was_cut_short_is_finished_by_the_next(
    store: SqliteStore, beside: sqlite3.Connection, hide: str
) -> None:
    """What a process that was killed had begun to forget is in no answer, and its rows go with the next that is forgotten."""
    await Writer(store).commit({SITE: visited("/a", [1])})
    await Writer(store, "v").commit({SITE: visited("/b", [2])})
    beside.execute(hide)
    assert ("/a", 1) not in (await store.top(SITE, MINUTE_SPAN, 9)).pages
    if "page" in hide:
        await store.forget(SITE, "/b")
        assert beside.execute("SELECT count(*) FROM page").fetchone() == (0,)
        assert beside.execute("SELECT page, n FROM second").fetchall() == [(0, 2)]
    else:
        await store.forget(OTHER_SITE)
        for table in (
            "site",
            "page",
            "writer",
            "event",
            "trait",
            "trait_hour",
            "waiting",
            "register",
            *(tier.value for tier in Tier),
        ):
            assert beside.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
