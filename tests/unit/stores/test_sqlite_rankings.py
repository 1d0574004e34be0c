"""Looking for the most viewed pages of an SQLite store: the same lists as by summing up every row, from few of them."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall.model import WHOLE_SITE, Section, Span, Tier
from footfall.stores.memory import MemoryStore
from footfall.stores.sqlite import SqliteStore
from footfall.stores.sqlite import rankings as sqlite_rankings
from footfall.stores.sqlite.rankings import Rows, top
from footfall.stores.sqlite.site_row import look
from tests.contract.conftest import SITE, START, Clock, Writer

#: Spans of every tier that is searched.
SPANS = (Span(Tier.MINUTE, 3), Span(Tier.HOUR, 24), Span(Tier.DAY, 3), Span(Tier.MONTH, 3), Span(Tier.TOTAL, 1))

#: Numbers of views, those among them about which rows begin to have an index; few, so that many pages have the same sum.
scales = st.sampled_from(((1, 2, 3), (3, 6, 7, 8, 9), (7, 16, 31, 32, 33), (1, 2, 7, 9, 31, 33, 200)))
pages = st.integers(0, 12).map(lambda number: f"/{number}")
buckets = scales.flatmap(
    lambda scale: st.lists(st.dictionaries(pages, st.sampled_from(scale), max_size=12), min_size=4, max_size=4)
)
site_lines = st.lists(st.sampled_from((0, 1, 50, 400)), min_size=4, max_size=4)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search wherever there is anything."""
    monkeypatch.setattr(sqlite_rankings, "FEW_VIEWS", 0)
    monkeypatch.setattr(sqlite_rankings, "OFTEN", 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    buckets, site_lines, st.dictionaries(pages, st.integers(1, 40), max_size=5), st.lists(pages, max_size=2), st.integers(1, 4)
)
async def test_what_is_looked_for_is_what_a_sum_of_all_rows_has(
    eager: None,
    loaded: list[dict[str, int]],
    of_site: list[int],
    unrolled: dict[str, int],
    forgotten: list[str],
    limit: int,
) -> None:
    """In lists of any length from any place on, whatever the site's line says, with views not rolled up and pages forgotten."""
    clock = Clock()
    specification = MemoryStore(clock)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(f"{folder}/footfall.db", clock)
        try:
            for each in (specification, store):
                for tier in (span.tier for span in SPANS):
                    starts = [tier.back(START, back) for back in range(1 if tier is Tier.TOTAL else 4)]
                    rows = [(at, page, n) for at, some in zip(starts, loaded, strict=False) for page, n in some.items()]
                    lines = [(at, WHOLE_SITE, n) for at, n in zip(starts, of_site, strict=False)]
                    await each.load(SITE, Section.VIEWS, tier, rows + lines)
                if unrolled:
                    await Writer(each).count(unrolled)
                for page in forgotten:
                    await each.forget(SITE, page)
            for span in SPANS:
                whole = (await specification.top(SITE, span, 100)).pages
                for after in (None, *((n, page) for page, n in whole), *((n, "/") for _, n in whole)):
                    found = (await store.top(SITE, span, limit, after)).pages
                    assert found == (await specification.top(SITE, span, limit, after)).pages
        finally:
            await store.close()


# What it reads


@pytest.fixture
async def cx(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    """A connection to a store with 20 days of a site whose pages are viewed as Zipf's law and chance have it; a second is new."""
    drawn = random.Random(1)
    weights = [1 / number for number in range(1, 3001)]
    store = SqliteStore(str(tmp_path / "footfall.db"), Clock())
    for back in range(20):
        counts = Counter(f"/{page}" for page in drawn.choices(range(3000), weights, k=6000))
        counts[WHOLE_SITE] = 6000
        rows = [(Tier.DAY.back(START, back), page, n) for page, n in counts.items()]
        await store.load(SITE, Section.VIEWS, Tier.DAY, rows)
    await Writer(store).count({"/1": 3, "/new": 1000})
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "footfall.db")) as cx:
        yield cx


def listed(cx: sqlite3.Connection, days: int, limit: int, after: tuple[int, str] | None = None) -> tuple[Rows, int]:
    """The list of so many days, and how many hundred steps SQLite took for it."""
    steps = itertools.count()
    known, now = look(cx, SITE, START)
    assert known is not None
    cx.set_progress_handler(lambda: next(steps) and None, 100)
    found = top(cx, known, Tier.DAY, Span(Tier.DAY, days).start(now), limit, after)
    cx.set_progress_handler(None, 0)
    return found, next(steps)


@pytest.mark.parametrize("after", [None, (2000, "/")])
def test_the_top_of_a_long_list_is_found_with_a_fraction_of_the_work(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, after: tuple[int, str] | None
) -> None:
    """Ten pages of three thousand are the same ten as by a sum of all rows, and SQLite takes less than a fifth of the steps."""
    found, steps = listed(cx, 20, 10, after)
    monkeypatch.setattr(sqlite_rankings, "FEW_VIEWS", 10**9)
    summed, all_steps = listed(cx, 20, 10, after)
    assert len(found) == 10
    assert found == summed
    assert 5 * steps < all_steps


@pytest.mark.parametrize(("days", "limit"), [(2, 10), (20, 900)])
def test_where_a_search_does_not_pay_all_rows_are_summed_up(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, days: int, limit: int
) -> None:
    """Of few rows, and of a list that goes on to pages with a view now and then; finding that out adds less than a tenth."""
    found, steps = listed(cx, days, limit)
    monkeypatch.setattr(sqlite_rankings, "FEW_VIEWS", 10**9)
    summed, all_steps = listed(cx, days, limit)
    assert found == summed
    assert 0.99 * all_steps <= steps < 1.1 * all_steps  # a step or two are lost to where SQLite begins to count
