"""How long a window read takes as history and pages grow: the same question to stores that differ only in what they hold.

The stores are filled through `SqliteStore.commit` with a clock that is moved, over hours and at last second by second, so that
every tier is as it would be. The reads are interleaved, so that a disturbance hits all stores alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from pathlib import Path

import msgspec

from benchmarks import BenchmarkError
from benchmarks.progress import Steps
from benchmarks.report import Cell, Figure, Report, at_most, percentile
from benchmarks.servers import SITE
from footfall.model import WHOLE_SITE, Batch, SiteBatch
from footfall.stores.sqlite import SqliteStore

WINDOW = 60
READS = 3000

#: A read may take this many times as long as the same in the smallest store.
GROWTH = at_most(1.3)

#: At the end, views come every second for this long: every store's window is full, and as much of it is rolled up.
_BUSY_SECONDS = 100

#: Before that, batches come this many seconds apart, long enough in all for every tier to have buckets, and minutes to expire.
_APART = 540

#: Pages that are viewed in every batch, so that a read of theirs finds a row in every second of the window.
_BUSY_PAGES = 10

#: Batches of the long histories: with a million pages, 1,600 of them and the busy ones are in each.
_BATCHES = 625

_BEGIN = 1_700_000_000


class History(msgspec.Struct, frozen=True):
    """What a store holds: `views` of `pages`, committed in `batches`."""

    views: int
    pages: int
    batches: int

    def busy_pages(self) -> list[int]:
        """The numbers of the pages that every batch has, spread evenly over all."""
        return list(range(0, self.pages, self.pages // _BUSY_PAGES))

    def batch(self, number: int) -> dict[str, int]:
        """The views of a batch: of the busy pages, and of its share of the others, so that all pages are viewed in the end."""
        share = range(number * self.pages // self.batches, (number + 1) * self.pages // self.batches)
        numbers = [*share, *(page for page in self.busy_pages() if page not in share)]
        views, more = divmod(self.views // self.batches, len(numbers))
        return {path(page): views + (n < more) for n, page in enumerate(numbers)}


#: The smallest comes first; a thousand views can't be of a million pages, so that there is no fourth.
HISTORIES = (
    History(10**3, 10, _BUSY_SECONDS),
    History(10**7, 10, _BATCHES),
    History(10**7, 10**6, _BATCHES),
)
_HOURS = (_BATCHES - _BUSY_SECONDS) * _APART / 3600


def path(page: int) -> str:
    """The path of a page by its number."""
    return f"/page/{page}"


class MovableClock:
    """A clock that stands still until it is moved; seconds since the epoch."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def measure(folder: Path, steps: Steps) -> Report:
    """Fill the stores in `folder` and read them."""
    return asyncio.run(_measure(folder, steps))


async def _measure(folder: Path, steps: Steps) -> Report:
    steps.expect(len(HISTORIES) + 2)
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for number, history in enumerate(HISTORIES):
            steps.step(f"filling: {history.views:,} views of {history.pages:,} pages")
            clock = MovableClock(_BEGIN)
            store = SqliteStore(str(folder / f"reads-{number}.db"), clock)
            stack.push_async_callback(store.close)
            await _fill(store, clock, history)
            stores.append(store)
        random_pages = random.Random(1)
        steps.step("reading a page that is viewed every second")
        busy = await _time(stores, [[path(page) for page in history.busy_pages()] for history in HISTORIES])
        steps.step("reading any page")
        any_page = await _time(
            stores, [[path(random_pages.randrange(history.pages)) for _ in range(READS)] for history in HISTORIES]
        )
    rows = [*_rows("viewed every second", busy), *_rows("any", any_page)]
    return Report(
        "reads",
        f"Time of a window read ({WINDOW} s, one page, SQLite) as history grows",
        ("page read", "views", "pages", "median ms", "/ smallest", "p99 ms", "p99 / smallest"),
        rows,
        (
            f"{READS:,} reads of each store, interleaved. The time is the caller's, with the way to the reader thread and back.",
            f"All stores have views in each of the last {_BUSY_SECONDS} s; the longer histories reach back {_HOURS:.0f} hours.",
        ),
    )


async def _fill(store: SqliteStore, clock: MovableClock, history: History) -> None:
    for number in range(history.batches):
        clock.now += 1 if number >= history.batches - _BUSY_SECONDS else _APART
        await store.commit(Batch("benchmark", number + 1, {SITE: SiteBatch(pages=history.batch(number))}))
    total = (await store.counts(SITE, [WHOLE_SITE], WINDOW)).pages[WHOLE_SITE].total
    if total != history.views:
        raise BenchmarkError(f"the store has {total:,} views, not the {history.views:,} it was given")


async def _time(stores: list[SqliteStore], pages: list[list[str]]) -> list[list[float]]:
    """The milliseconds of READS reads of each store, of its pages in turn; the stores take turns too."""
    times: list[list[float]] = [[] for _ in stores]
    for number in range(READS):
        for turn in range(len(stores)):
            which = (turn + number) % len(stores)
            page = pages[which][number % len(pages[which])]
            started = time.perf_counter()
            await stores[which].counts(SITE, [page], WINDOW)
            times[which].append((time.perf_counter() - started) * 1e3)
    return times


def _rows(what: str, times: list[list[float]]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    medians = [statistics.median(some) for some in times]
    tails = [percentile(some, 0.99) for some in times]
    for number, history in enumerate(HISTORIES):
        rows.append(
            (
                what,
                f"{history.views:,}",
                f"{history.pages:,}",
                Figure(medians[number], 3),
                Figure(medians[number] / medians[0], 2, GROWTH) if number else None,
                Figure(tails[number], 3),
                Figure(tails[number] / tails[0], 2) if number else None,
            )
        )
    return rows
