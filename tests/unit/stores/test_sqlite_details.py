"""What only the SQLite store has to show of details: how they are found, that pieces change no number, and what is left."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from footfall.model import DAY, HOUR, MINUTE, PERIODS, WHOLE_SITE, SiteBatch, Span, Tier
from footfall.stores.base import VISITOR_GRACE, Limits
from footfall.stores.sqlite import SqliteStore
from footfall.stores.sqlite import site_row as sqlite_site
from footfall.stores.sqlite import upkeep as sqlite_upkeep
from footfall.stores.sqlite.details import folding as sqlite_details
from footfall.stores.sqlite.details import limits as sqlite_traits
from footfall.stores.sqlite.details import pending as sqlite_waiting
from footfall.stores.sqlite.details import statements as sql
from tests.contract.conftest import BACKENDS, SHORT, SITE, START, Clock, Writer, count_of
from tests.contract.test_against_specification import compare
from tests.contract.test_details import REFERRER, traits, unique, values, views, visited
from tests.unit.stores.test_sqlite import plan, reaches

Open = Callable[..., SqliteStore]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "footfall.db"


@pytest.fixture
async def opened(path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Opens stores on one file."""
    stores: list[SqliteStore] = []

    def open_one(limits: Limits | None = None) -> SqliteStore:
        stores.append(SqliteStore(str(path), clock, SHORT, limits=limits or Limits()))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


@pytest.fixture
def store(opened: Open) -> SqliteStore:
    return opened()


@pytest.fixture
def beside(store: SqliteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the store's file."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def rows_in(connection: sqlite3.Connection, *tables: str) -> dict[str, int]:
    """How many rows tables have."""
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


# How rows are found

WHOLE_LINES = "USING PRIMARY KEY (site=? AND t=? AND line>? AND line<?)"


@pytest.mark.parametrize("tier", sql.BREAKDOWN)
def test_a_breakdown_reads_the_lines_of_its_dimension_alone(beside: sqlite3.Connection, tier: Tier) -> None:
    """Of its page, in its buckets and in the hours that are not rolled up: neither other dimensions nor other pages."""
    steps = plan(beside, sql.BREAKDOWN[tier])
    for table in ("b",) if tier is Tier.HOUR else ("b", "u"):
        assert reaches(steps, table) == [f"SEARCH {table} {WHOLE_LINES}"]
    assert reaches(steps, "trait") == ["SEARCH trait USING INTEGER PRIMARY KEY (rowid=?)"]


def test_what_a_day_has_is_read_slot_by_slot_and_page_by_page(beside: sqlite3.Connection) -> None:
    """A commit that brings something new looks at what it is compared with, however much else the day has."""
    for table in ("d", "h"):
        assert reaches(plan(beside, sql.SLOTS), table) == [f"SEARCH {table} {WHOLE_LINES}"]
        assert reaches(plan(beside, sql.PLACES), table) == [f"SEARCH {table} USING PRIMARY KEY (site=? AND t=? AND line>?)"]


def test_visitors_of_a_page_are_read_by_their_buckets(beside: sqlite3.Connection) -> None:
    """Open buckets by the registers of the page, closed ones by their whole key."""
    for table in ("r", "h"):
        found = "USING PRIMARY KEY (site=? AND width=? AND t=? AND place>? AND place<?)"
        assert reaches(plan(beside, sql.OPEN_VISITORS), table) == [f"SEARCH {table} {found}"]
    closed = "SEARCH v USING PRIMARY KEY (site=? AND width=? AND t=? AND page=?)"
    assert reaches(plan(beside, sql.CLOSED_VISITORS), "v") == [closed]


@pytest.mark.parametrize(("statements", "key"), [(sql.DUMP_VIEWS, "page"), (sql.DUMP_TRAITS, "line")])
def test_a_dump_goes_on_where_it_was(beside: sqlite3.Connection, statements: dict[Tier, str], key: str) -> None:
    """A piece of a dump does not read the pieces before it again, also in a tier of one bucket."""
    for tier, statement in statements.items():
        table = tier.value if key == "page" else f"trait_{tier.value}"
        steps = plan(beside, statement)
        assert steps == [f"SEARCH {table} USING PRIMARY KEY (site=? AND (t,{key})>(?,?))"]


# Pieces

TINY = {
    sqlite_waiting: {"MOST_WAITING": 1600, "PIECE": 3},
    sqlite_upkeep: {"ROWS_AT_ONCE": 2, "CLOSED_AT_ONCE": 1},
    sqlite_traits: {"MAX_KNOWN_LINES": 25, "MAX_KNOWN_DAYS": 2},
    sqlite_details: {"MAX_KNOWN_RANKS": 5},
    sqlite_site: {"MAX_KNOWN_PAGES": 3},
}


@pytest.fixture
def in_tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is done in pieces is done in the smallest, and next to nothing is remembered."""
    for module, constants in TINY.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)


SQLITE = next(row for row in BACKENDS if row.name == "sqlite")


@pytest.mark.timeout(600)  # finding a difference takes seconds, shortening what led to it up to five minutes
def test_pieces_change_no_number(in_tiny_pieces: None) -> None:
    """With the smallest pieces and next to no memory, the answers are those of the specification at every moment."""
    compare(SQLITE, examples=6, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_pieces_change_no_number_for_long(in_tiny_pieces: None) -> None:
    """The same, with many more and longer histories."""
    compare(SQLITE, examples=150, steps=60)


async def test_a_commit_lets_go_no_more_than_a_piece(
    store: SqliteStore, beside: sqlite3.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that was idle for days does not pay for all that has expired meanwhile in one commit; some later it is all gone."""
    writer = Writer(store)
    many = [f"/{n}" for n in range(300)]
    for _ in range(5):
        await writer.commit({SITE: views(*((page, traits(device="phone")) for page in many))})
        clock.advance(2 * MINUTE)
    await writer.count({"/": 1})
    monkeypatch.setattr(sqlite_upkeep, "ROWS_AT_ONCE", 100)
    clock.advance(SHORT[Tier.DAY] + DAY)
    tables = ("second", "minute", "hour", "day", "trait_hour", "trait_day")
    before = rows_in(beside, *tables)
    assert sum(before.values()) > 3000
    for _ in range(150):
        await writer.count({"/": 1})
        after = rows_in(beside, *tables)
        assert sum(max(0, before[table] - after[table]) for table in tables) <= 100
        before = after
        clock.advance(1)
    assert (before["day"], before["hour"], before["trait_day"], before["trait_hour"]) == (2, 2, 0, 0)
    assert before["minute"] <= 6
    assert await values(store, "device", PERIODS["all"]) == {"phone": 1500}


async def test_an_event_id_comes_again_though_expired_ones_are_left(
    store: SqliteStore, beside: sqlite3.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id whose time is over counts as new, and is remembered anew, before its old row was let go."""
    monkeypatch.setattr(sqlite_upkeep, "ROWS_AT_ONCE", 3)
    writer = Writer(store)
    await writer.count(events={f"id-{n}": ("/", None) for n in range(50)})
    clock.advance(600)
    for expected in (set[str](), {"id-49"}):
        assert (await writer.count(events={"id-49": ("/", None)})).duplicates == expected
        assert rows_in(beside, "event")["event"] > 40
    for _ in range(30):
        clock.advance(1)
        await writer.count({"/": 1})
    assert rows_in(beside, "event") == {"event": 1}
    assert beside.execute("SELECT event_ids FROM site").fetchone() == (1,)


async def test_details_do_not_wait_without_end(
    store: SqliteStore, beside: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has gathered is summed up, and each commit after that adds a piece of it, or more if it brings more."""
    monkeypatch.setattr(sqlite_waiting, "MOST_WAITING", 10 * sqlite_waiting.ROW)
    monkeypatch.setattr(sqlite_waiting, "PIECE", 8)
    writer = Writer(store)
    waiting = []
    for n in range(1, 61):
        who = range(n, n + 30) if n % 20 == 0 else [n]
        await writer.commit({SITE: visited(f"/{n % 4}", who)})
        waiting.append(rows_in(beside, "waiting")["waiting"])
    assert max(waiting) < 20
    assert rows_in(beside, "trait_hour") == {"trait_hour": 5}
    assert sum((await values(store, "device")).values()) == 57 + 90
    assert abs(await unique(store, Tier.HOUR) - 89) <= 1


async def test_closed_buckets_take_one_row(
    store: SqliteStore, beside: sqlite3.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registers are kept while a bucket takes visitors; then a number is left, and of minutes nothing."""
    monkeypatch.setattr(sqlite_waiting, "MOST_WAITING", 1200)
    writer = Writer(store)
    for _ in range(10):
        await writer.commit({SITE: visited("/", range(7, 4000, 41))})
    widths = "SELECT width, count(*) FROM register GROUP BY width"
    of_all = dict(beside.execute(widths).fetchall())
    assert of_all.keys() == {HOUR, MINUTE}
    assert of_all[HOUR] == 2 * of_all[MINUTE] == 2 * len(range(7, 4000, 41))
    numbers = {page: await unique(store, Tier.HOUR, page) for page in (WHOLE_SITE, "/")}
    for tier, widths_left, closed in ((Tier.HOUR, {DAY}, 2), (Tier.DAY, set[int](), 2)):
        clock.set(tier.start(START) + tier.width + VISITOR_GRACE)
        for _ in range(10):
            await writer.count({"/": 1})
        assert dict(beside.execute(widths).fetchall()).keys() == widths_left
        assert rows_in(beside, "visitors")["visitors"] == closed
        assert {page: await unique(store, tier, page) for page in (WHOLE_SITE, "/")} == numbers
        assert {page: await unique(store, Tier.DAY, page) for page in (WHOLE_SITE, "/")} == numbers


# Several processes, and commits undone


async def test_two_stores_keep_one_limit(opened: Open) -> None:
    """What one has let in takes the other's room, though each remembers what it has seen of a day."""
    limits = Limits(values=4, pages=3, page_values=2)
    stores = [opened(limits), opened(limits)]
    writers = [Writer(store, name) for store, name in zip(stores, "wv", strict=True)]
    for n in range(24):
        value, page = "abcdef"[n % 6], f"/{n % 5}"
        await writers[n % 2].commit({SITE: views((page, traits(referrer=value)), ("/0", traits(referrer=value)))})
    for store in stores:
        assert await values(store, REFERRER) == {"(other)": 16, "a": 8, "b": 8, "c": 8, "d": 8}
        found = {page: await values(store, REFERRER, page=page) for page in (f"/{n}" for n in range(5))}
        assert [page for page, of in found.items() if of] == ["/0", "/1", "/2"]
        assert found["/0"].keys() == {"(other)", "a", "b"}
        assert all(len(of) <= 3 for of in found.values())


async def test_details_of_an_undone_commit_are_learnt_anew(store: SqliteStore, opened: Open) -> None:
    """A value and a register first seen in a commit that failed are counted right though another store took their ids."""
    writer, other = Writer(store), Writer(opened(), "v")
    await writer.commit({SITE: visited("/", [1])})
    writing = store._connection
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count={pages}")
    large = views(*((f"/{n}", traits(referrer="x" * 900 + str(n))) for n in range(99)))
    with pytest.raises(Exception, match="no space left"):
        await writer.commit({SITE: visited("/a", [1, 2]), "other.example": large})
    writing.execute("PRAGMA max_page_count=1000000")
    await other.commit({SITE: views(("/b", traits(device="desktop", referrer="b")))})
    await writer.commit({SITE: visited("/a", [2])})
    assert await values(store, "device") == {"phone": 2, "desktop": 1}
    assert await values(store, "device", page="/a") == {"phone": 1}
    assert [await unique(store, Tier.DAY, page) for page in ("/a", WHOLE_SITE)] == [1, 2]


async def test_hours_become_days_and_months_while_they_are_read(
    store: SqliteStore, beside: sqlite3.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day and a month show each view once, whether its hour is not rolled up, half or wholly, and whether it is kept."""
    monkeypatch.setattr(sqlite_upkeep, "ROWS_AT_ONCE", 7)
    writer = Writer(store)
    for n in range(20):
        await writer.commit({SITE: views((f"/{n}", traits(referrer=f"{n}", device="phone")), at=START - HOUR)})
        await writer.commit({SITE: views((f"/{n}", traits(referrer=f"{n}", device="phone")))})
    seen = set()
    for _ in range(60):
        clock.advance(MINUTE * 3)
        await writer.commit({SITE: views(("/19", traits(referrer="19")), at=START)})
        seen.add(beside.execute("SELECT hour, line FROM site").fetchone())
        for span in (Span(Tier.DAY, 1), PERIODS["12mo"]):
            assert await values(store, "device", span) == {"phone": 40}
            assert (await values(store, "device", span, "/3")) == {"phone": 2}
    assert len(seen) > 10
    assert (await values(store, REFERRER))["19"] == 62
    assert (await count_of(store, WHOLE_SITE)).total == 100


async def test_a_page_being_forgotten_leaves_no_detail(store: SqliteStore, beside: sqlite3.Connection, clock: Clock) -> None:
    """Also what was waiting, what is open and what is closed of it is gone from the file."""
    writer = Writer(store)
    for _ in range(4):
        await writer.commit({SITE: visited("/a", range(50))})
        clock.advance(2 * HOUR)
    await writer.commit({SITE: visited("/a", [1])})
    await store.forget(SITE, "/a")
    for table, page in (
        ("trait_hour", "line >> 35"),
        ("trait_day", "line >> 35"),
        ("register", "place >> 12"),
        ("visitors", "page"),
    ):
        assert beside.execute(f"SELECT count(*) FROM {table} WHERE {page} > 0").fetchone() == (0,)
        assert rows_in(beside, table)[table] > 0
    await writer.commit({SITE: SiteBatch({"/b": 1})})
    assert rows_in(beside, "waiting") == {"waiting": 0}
