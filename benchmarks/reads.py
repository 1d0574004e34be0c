"""How long a window read takes as history and pages grow: the same question to stores that differ only in what they hold.

The stores are filled through `commit` with a clock that is moved, over hours and at last second by second, so that every tier
is as it would be. The reads are interleaved, so that a disturbance hits all stores alike. Which kind of store it is, and what is
asked, is a `Kind`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from benchmarks import BenchmarkError
from benchmarks.progress import Steps
from benchmarks.report import Cell, Figure, Report, at_most, percentile
from benchmarks.servers import SITE
from footfall.model import WHOLE_SITE, Batch, SiteBatch
from footfall.stores import Clock, Store
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


class Question(msgspec.Struct, frozen=True):
    """What is read. `pages` are those of a history that are asked for in turn, `ask` asks a store for one."""

    label: str
    pages: Callable[[History], list[str]]
    ask: Callable[[Store, str], Awaitable[object]]


def _busy_pages(history: History) -> list[str]:
    return [path(page) for page in history.busy_pages()]


def _any_pages(history: History) -> list[str]:
    drawn = random.Random(1)
    return [path(drawn.randrange(history.pages)) for _ in range(READS)]


async def _counts(store: Store, page: str) -> object:
    return await store.counts(SITE, [page], WINDOW)


BUSY_PAGE = Question("a page viewed every second", _busy_pages, _counts)
ANY_PAGE = Question("any page", _any_pages, _counts)


class Kind(msgspec.Struct, frozen=True):
    """A kind of store: its report's name, what people call it, and how the n-th of its stores is opened with a clock."""

    report: str
    name: str
    open: Callable[[int, Clock], Store]
    questions: tuple[Question, ...] = (BUSY_PAGE, ANY_PAGE)
    notes: tuple[str, ...] = ()


def measure(folder: Path, steps: Steps) -> Report:
    """Fill SQLite stores in `folder` and read them."""
    note = "The time is the caller's, with the way to the reader thread and back."
    kind = Kind("reads", "SQLite", lambda number, clock: SqliteStore(str(folder / f"reads-{number}.db"), clock), notes=(note,))
    return asyncio.run(compare(kind, steps))


async def compare(kind: Kind, steps: Steps) -> Report:
    """Fill one store for each history and read them in turns."""
    steps.expect(len(HISTORIES) + len(kind.questions))
    rows: list[tuple[Cell, ...]] = []
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for number, history in enumerate(HISTORIES):
            steps.step(f"filling: {history.views:,} views of {history.pages:,} pages")
            clock = MovableClock(_BEGIN)
            store = kind.open(number, clock)
            stack.push_async_callback(store.close)
            await _fill(store, clock, history)
            stores.append(store)
        for question in kind.questions:
            steps.step(f"reading: {question.label}")
            rows += _rows(question.label, await _time(stores, question))
    return Report(
        kind.report,
        f"Time of a window read ({WINDOW} s, {kind.name}) as history grows",
        ("read", "views", "pages", "median ms", "/ smallest", "p99 ms", "p99 / smallest"),
        rows,
        (
            f"{READS:,} reads of each store, interleaved.",
            *kind.notes,
            f"All stores have views in each of the last {_BUSY_SECONDS} s; the longer histories reach back {_HOURS:.0f} hours.",
        ),
    )


async def _fill(store: Store, clock: MovableClock, history: History) -> None:
    for number in range(history.batches):
        clock.now += 1 if number >= history.batches - _BUSY_SECONDS else _APART
        await store.commit(Batch("benchmark", number + 1, {SITE: SiteBatch(pages=history.batch(number))}))
    total = (await store.counts(SITE, [WHOLE_SITE], WINDOW)).pages[WHOLE_SITE].total
    if total != history.views:
        raise BenchmarkError(f"the store has {total:,} views, not the {history.views:,} it was given")


async def _time(stores: list[Store], question: Question) -> list[list[float]]:
    """The milliseconds of READS reads of each store, of its pages in turn; the stores take turns too."""
    times: list[list[float]] = [[] for _ in stores]
    pages = [question.pages(history) for history in HISTORIES]
    for number in range(READS):
        for turn in range(len(stores)):
            which = (turn + number) % len(stores)
            page = pages[which][number % len(pages[which])]
            started = time.perf_counter()
            await question.ask(stores[which], page)
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
