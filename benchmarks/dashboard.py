"""How long the dashboard's panels take over a large site: a year, ten million views, a hundred thousand pages, in an SQLite file.

The store is filled through `Store.load` with what a year of counting would have left: hours for 90 days, days, months and the
total, with the dimensions and visitors of the site and of its busiest page. Each read is asked with nothing remembered.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from benchmarks import BenchmarkError
from benchmarks.progress import Steps
from benchmarks.report import Cell, Figure, Gate, Report, at_most
from footfall.model import DAY, DIMENSIONS, HOUR, OUTCOME, WHOLE_SITE, Section, Tier
from footfall.reading.shared_reads import Reads
from footfall.stores import Store
from footfall.stores.sqlite import SqliteStore
from footfall.web.dashboard.dashboard import LIST_ROWS, PANEL_ROWS
from footfall.web.dashboard.period import Asked, Period
from footfall.web.dashboard.reads import MOST_ROWS, DashboardReads

SITE = "example.com"
PAGES = 100_000
DAYS = 365
VIEWS = 10_000_000
HOURLY_DAYS = 90

#: A panel may take this many milliseconds, whichever its period, at each of its readings.
PANEL = at_most(200)

#: What is no panel and has no gate: a list of so many pages goes on to those with a view or two a day, where most rows are read.
SEARCH = f"a search in the first {MOST_ROWS:,} pages"

ROUNDS = 5

#: Values of each dimension.
_VALUES = 500

_NOW = 1_790_000_000
_TODAY = Tier.DAY.start(_NOW)
_BUSIEST = "/page/0"

Rows = list[tuple[int | str, ...]]
Ranking = list[tuple[str, int]]


def measure(folder: Path, steps: Steps) -> Report:
    """Fill a store in `folder`, and time every read of the dashboard."""
    return asyncio.run(_measure(folder, steps))


async def _measure(folder: Path, steps: Steps) -> Report:
    periods = [Asked(name) for name in ("24h", "7d", "30d", "12mo", "all")]
    periods.append(Asked("custom", _TODAY - 30 * DAY, _TODAY - 10 * DAY))
    steps.expect(1 + len(periods))
    steps.step(f"filling: {VIEWS:,} views of {PAGES:,} pages")
    store = SqliteStore(str(folder / "dashboard.db"), lambda: _NOW)
    try:
        await _fill(store)
        rows: list[tuple[Cell, ...]] = []
        for asked in periods:
            steps.step(f"reading: {asked.name}")
            rows += await _rows(store, asked)
    finally:
        await store.close()
    return Report(
        "dashboard",
        f"Time of the dashboard's reads over {VIEWS:,} views, {PAGES:,} pages, {DAYS} days (SQLite)",
        ("read", "period", "median ms", "slowest ms", "processor ms"),
        rows,
        (
            f"{ROUNDS} readings each, nothing remembered between them; a dashboard remembers long periods for up to 60 s.",
            "A custom period is 21 days that ended 10 days ago.",
        ),
    )


async def _rows(store: Store, asked: Asked) -> list[tuple[Cell, ...]]:
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        board = _board(store)
        period = await board.period(SITE, WHOLE_SITE, asked, _NOW)
        top = (await board.pages(SITE, period, PANEL_ROWS)).rows
        for what, read in _questions(_board(store), period, top).items():
            started, busy = time.perf_counter(), time.process_time()
            await read()
            some = times.setdefault(what, [])
            some.append(((time.perf_counter() - started) * 1e3, (time.process_time() - busy) * 1e3))
    return [(what, asked.name, *_figures(some, None if what == SEARCH else PANEL)) for what, some in times.items()]


def _figures(some: Sequence[tuple[float, float]], gate: Gate | None) -> tuple[Figure, Figure, Figure]:
    return Figure(statistics.median(t for t, _ in some), 1, gate), Figure(max(some)[0], 1, gate), _processor(some)


def _processor(some: Sequence[tuple[float, float]]) -> Figure:
    return Figure(statistics.median(busy for _, busy in some), 1)


def _board(store: Store) -> DashboardReads:
    """Reads that remember nothing yet."""
    return DashboardReads(Reads(store), 60, lambda _site: {})


def _questions(board: DashboardReads, period: Period, top: Ranking) -> Mapping[str, Callable[[], Awaitable[object]]]:
    """What a dashboard reads, by what it is for; `top` are the most viewed pages."""
    pages, after = [page for page, _ in top], top[-1][::-1]
    return {
        "past minute": lambda: board.minute(SITE, WHOLE_SITE),
        "views and visitors": lambda: board.history(SITE, WHOLE_SITE, period, _NOW),
        "pages": lambda: board.pages(SITE, period, PANEL_ROWS),
        "their trends and live numbers": lambda: asyncio.gather(board.sparks(SITE, pages, period), board.live(SITE, pages)),
        "a dimension's panel": lambda: board.listing(SITE, WHOLE_SITE, DIMENSIONS[0].name, period, PANEL_ROWS),
        "a dimension's list": lambda: board.listing(SITE, WHOLE_SITE, DIMENSIONS[1].name, period, MOST_ROWS),
        "ledger": lambda: board.outcomes(SITE, period),
        "the second part of all pages": lambda: board.pages(SITE, period, LIST_ROWS, after),
        SEARCH: lambda: board.pages(SITE, period, MOST_ROWS),
        "a page: views and visitors": lambda: board.history(SITE, _BUSIEST, period, _NOW),
        "a page: a dimension's panel": lambda: board.listing(SITE, _BUSIEST, DIMENSIONS[0].name, period, PANEL_ROWS),
    }


async def _fill(store: Store) -> None:
    """A year of days, each page viewed as often as Zipf's law (exponent 0.9) and chance have it."""
    drawn = random.Random(1)
    weights = list(accumulate(1 / (number + 1) ** 0.9 for number in range(PAGES)))
    total, months = Counter[int](), dict[int, Counter[int]]()
    for back in range(DAYS - 1, -1, -1):
        day = _TODAY - back * DAY
        views = drawn.choices(range(PAGES), cum_weights=weights, k=VIEWS // DAYS + (back < VIEWS % DAYS))
        counts = Counter(views)
        total += counts
        months.setdefault(Tier.MONTH.start(day), Counter()).update(counts)
        await _load(store, Section.VIEWS, Tier.DAY, _views(day, counts))
        await _details(store, Tier.DAY, day, len(views))
        if back < HOURLY_DAYS:
            for hour in range(24 if back else (_NOW - _TODAY) // HOUR + 1):
                some = Counter(views[hour::24])
                await _load(store, Section.VIEWS, Tier.HOUR, _views(day + hour * HOUR, some))
                await _details(store, Tier.HOUR, day + hour * HOUR, some.total())
    for month, counts in months.items():
        await _load(store, Section.VIEWS, Tier.MONTH, _views(month, counts))
        await _details(store, Tier.MONTH, month, counts.total())
    await _load(store, Section.VIEWS, Tier.TOTAL, _views(0, total))
    found = (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total
    if found != VIEWS:
        raise BenchmarkError(f"the store has {found:,} views, not the {VIEWS:,} it was given")


def _views(start: int, counts: Counter[int]) -> Rows:
    return [(start, WHOLE_SITE, counts.total()), *((start, f"/page/{page}", n) for page, n in counts.items())]


async def _details(store: Store, tier: Tier, start: int, views: int) -> None:
    values = _VALUES if tier is not Tier.HOUR else 60
    rows: Rows = [
        (start, page, one.name, f"value {value}", max(1, views // (value + 2) // part))
        for page, part in ((WHOLE_SITE, 3), *(((_BUSIEST, 90),) if tier is not Tier.MONTH else ()))
        for one in DIMENSIONS
        for value in range(values if page == WHOLE_SITE else values // 5)
    ]
    rows.append((start, WHOLE_SITE, OUTCOME, "bot", views // 9 + 1))
    await _load(store, Section.TRAITS, tier, rows)
    if tier is not Tier.MONTH:
        await _load(store, Section.VISITORS, tier, [(start, WHOLE_SITE, views // 3), (start, _BUSIEST, views // 90)])


async def _load(store: Store, section: Section, tier: Tier, rows: Rows) -> None:
    for some in _parts(rows):
        await store.load(SITE, section, tier, some)


def _parts(rows: Rows) -> Iterator[Sequence[tuple[int | str, ...]]]:
    yield from (rows[start : start + 10_000] for start in range(0, len(rows), 10_000))
