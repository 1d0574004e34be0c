"""What becomes of views that are not counted: drops, repeats and refused pages, in the books, in the replies and in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import pytest

from footfall.counting.counter import FLUSH_SECONDS, Counter
from footfall.counting.open_batch import OpenSite
from footfall.errors import NotAcknowledged, StoreUnavailable
from footfall.model import (
    DUPLICATE,
    MAX_BATCH_ENTRIES,
    OUTCOME,
    WHOLE_SITE,
    Batch,
    Drop,
    DropReason,
    Outcome,
    Settled,
    Span,
    Tier,
    View,
)
from tests.contract.conftest import OTHER_SITE, SITE, START, count_of
from tests.unit.counting.counting import Books, FailingStore, WatchedStore

A = View(SITE, "/a")
BOT = Drop(DropReason.BOT, SITE)
RATE = Drop(DropReason.RATE, SITE)
EVENT_ID = "sent-more-than-once"


class Due(NamedTuple):
    """Some work that is to happen later."""

    seconds: float
    work: Callable[[], None]
    timers: Timers

    def cancel(self) -> None:
        self.timers.due.remove(self)


class Timers:
    """A stand-in for the loop's timers: what is due happens when a test says so."""

    def __init__(self) -> None:
        self.due: list[Due] = []

    def later(self, seconds: float, work: Callable[[], None]) -> Due:
        self.due.append(Due(seconds, work, self))
        return self.due[-1]

    async def pass_time(self) -> None:
        """Let all that is due happen, and what follows of it."""
        due, self.due = self.due, []
        for each in due:
            each.work()
        await turns()


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def counter(store: WatchedStore, books: Books, timers: Timers) -> Counter:
    return Counter(store, books, later=timers.later)


async def turns(n: int = 20) -> None:
    """Let whatever can run, run."""
    for _ in range(n):
        await asyncio.sleep(0)


async def send(counter: Counter, *views: View) -> list[asyncio.Task[Settled]]:
    """Begin to count views, each in a task of its own."""
    tasks = [asyncio.create_task(counter.count(view)) for view in views]
    await turns()
    return tasks


async def outcomes_of(store: WatchedStore, site: str = SITE) -> dict[str, int]:
    """What the store's own ledger has of a site."""
    return dict((await store.breakdown(site, WHOLE_SITE, OUTCOME, Span(Tier.HOUR, 1), 100)).values)


# Drops


async def test_a_drop_is_booked_at_once_and_goes_to_the_store_after_a_second(
    counter: Counter, store: WatchedStore, books: Books, timers: Timers
) -> None:
    """However many there were, in one batch without a view; nothing is committed before, and nothing after."""
    for drop in (BOT, BOT, RATE, Drop(DropReason.BOT, OTHER_SITE), Drop(DropReason.UNKNOWN_SITE, None)):
        counter.dropped(drop)
    await turns()
    assert books.of() == {"received": 3, "bot": 2, "rate": 1}
    assert books.of("") == {"received": 1, "unknown-site": 1}
    assert store.batches == []
    assert [due.seconds for due in timers.due] == [FLUSH_SECONDS]
    await timers.pass_time()
    assert len(store.batches) == 1
    assert {name: dict(part.outcomes) for name, part in store.batches[0].sites.items()} == {
        SITE: {"bot": 2, "rate": 1},
        OTHER_SITE: {"bot": 1},
    }
    assert await outcomes_of(store) == {"bot": 2, "rate": 1}
    assert timers.due == []
    assert books.of() == {"received": 3, "bot": 2, "rate": 1}


async def test_drops_go_with_the_next_batch_where_there_is_one(
    counter: Counter, store: WatchedStore, books: Books, timers: Timers
) -> None:
    """And no other takes them: when their time comes nothing is left to be flushed."""
    counter.dropped(BOT)
    await counter.count(A)
    assert dict(store.batches[0].sites[SITE].outcomes) == {"bot": 1}
    await timers.pass_time()
    await counter.count(A)
    assert [dict(batch.sites[SITE].outcomes) for batch in store.batches] == [{"bot": 1}, {}]
    assert await outcomes_of(store) == {"bot": 1}
    assert books.of() == {"received": 3, "counted": 2, "bot": 1}


async def test_drops_whose_time_comes_during_a_commit_follow_it(counter: Counter, store: WatchedStore, timers: Timers) -> None:
    """They came after that batch was sealed: a batch of their own takes them, though no view comes any more."""
    store.hold()
    tasks = await send(counter, A)
    counter.dropped(BOT)
    await timers.pass_time()
    store.let_go()
    await asyncio.gather(*tasks)
    await turns()
    assert await outcomes_of(store) == {"bot": 1}
    assert len(store.batches) == 2


async def test_drops_go_to_the_store_at_most_once(books: Books, timers: Timers) -> None:
    """Where the store may have taken the batch, they are not sent again with another; the retries of one batch count once."""
    for applies in (True, False):
        store = FailingStore([StoreUnavailable("away")] * 2, applies=applies)
        counter = Counter(store, books, commit_timeout=5, later=timers.later)
        counter.dropped(BOT)
        await counter.count(A)
        assert await outcomes_of(store) == {"bot": 1}
        assert len({batch.sequence for batch in store.batches}) == 1
    store = FailingStore([StoreUnavailable("away")], applies=True)
    counter = Counter(store, books, commit_timeout=0, later=timers.later)
    counter.dropped(BOT)
    with pytest.raises(NotAcknowledged):
        await counter.count(A)
    await counter.count(A)
    assert dict(store.batches[-1].sites[SITE].outcomes) == {}
    assert await outcomes_of(store) == {"bot": 1}


async def test_a_store_that_does_not_take_drops_hurts_nobody(
    books: Books, timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    """They stand in the books, no view failed, and nothing is said of views that were not acknowledged."""
    counter = Counter(FailingStore([StoreUnavailable("away")], applies=False), books, commit_timeout=0, later=timers.later)
    counter.dropped(BOT)
    await timers.pass_time()
    assert books.of() == {"received": 1, "bot": 1}
    assert "not acknowledged" not in caplog.text
    assert (await counter.count(A)).outcome is Outcome.COUNTED


@pytest.mark.parametrize("has_come", [False, True])
async def test_draining_takes_drops_along(counter: Counter, store: WatchedStore, timers: Timers, has_come: bool) -> None:
    """Whether or not their time had come; no timer is left."""
    store.hold()
    tasks = await send(counter, A)
    counter.dropped(BOT)
    if has_come:
        await timers.pass_time()
    draining = asyncio.create_task(counter.drain())
    await turns()
    store.let_go()
    await draining
    await asyncio.gather(*tasks)
    assert await outcomes_of(store) == {"bot": 1}
    assert timers.due == []


async def test_while_draining_drops_are_booked_and_start_no_timer(counter: Counter, books: Books, timers: Timers) -> None:
    """Nobody would be there when its time came; a second draining takes them along."""
    await counter.drain()
    counter.dropped(BOT)
    assert books.of() == {"received": 1, "bot": 1}
    assert timers.due == []


async def test_the_timer_is_the_loop_s_unless_said_otherwise(store: WatchedStore, books: Books) -> None:
    """Drops reach the store by themselves."""
    counter = Counter(store, books)
    counter.dropped(BOT)
    async with asyncio.timeout(30):
        while not store.batches:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.05)
    assert await outcomes_of(store) == {"bot": 1}


# Repeats


async def test_views_repeated_in_a_batch_are_duplicates_in_the_store_s_ledger_too(
    counter: Counter, store: WatchedStore, books: Books
) -> None:
    """Those of later batches the store finds itself: together they are all."""
    store.hold()
    first = await send(counter, A)
    event = View(SITE, "/a", event_id=EVENT_ID)
    tasks = await send(counter, event, event, event)
    store.let_go()
    settled = await asyncio.gather(*first, *tasks)
    assert [one.outcome for one in settled] == [Outcome.COUNTED] * 2 + [Outcome.DUPLICATE] * 2
    assert dict(store.batches[1].sites[SITE].outcomes) == {DUPLICATE: 2}
    assert (await counter.count(event)).outcome is Outcome.DUPLICATE
    assert await outcomes_of(store) == {DUPLICATE: 3}
    assert books.of() == {"received": 5, "counted": 2, "duplicate": 3}


async def test_repeated_views_can_not_ask_for_more_pages_than_a_batch_may_have(counter: Counter, store: WatchedStore) -> None:
    """A repeated id with another page each time asks for that page's counts: those are entries, too."""
    store.hold()
    first = await send(counter, A)
    views = [View(SITE, f"/{n}", event_id=EVENT_ID) for n in range(MAX_BATCH_ENTRIES + 500)]
    tasks = [asyncio.create_task(counter.count(view, wanted=True)) for view in views]
    await turns()
    store.let_go()
    await asyncio.gather(*first, *tasks)
    assert max(len(part.wanted) for batch in store.batches for part in batch.sites.values()) <= MAX_BATCH_ENTRIES + 1


# New pages


def limited(store: WatchedStore, books: Books, timers: Timers, most: int) -> Counter:
    """A counter whose sites may gain so many pages a day."""
    return Counter(store, books, most_new_pages=lambda _site: most, later=timers.later)


async def test_views_of_pages_beyond_the_limit_are_refused_and_booked_as_dropped(
    store: WatchedStore, books: Books, timers: Timers
) -> None:
    """With an event id and without one; the pages there are, and views with a time of their own, count all the same."""
    counter = limited(store, books, timers, 1)
    assert (await counter.count(A)).outcome is Outcome.COUNTED
    store.hold()
    first = await send(counter, A)
    tasks = await send(
        counter,
        View(SITE, "/b"),
        View(SITE, "/b"),
        View(SITE, "/c", event_id=EVENT_ID),
        View(SITE, "/d", at=START - 5),
        A,
    )
    store.let_go()
    outcomes = [one.outcome for one in await asyncio.gather(*first, *tasks)]
    assert outcomes == [Outcome.COUNTED] + [Outcome.REFUSED] * 3 + [Outcome.COUNTED] * 2
    assert books.of() == {"received": 7, "counted": 4, "too-many-pages": 3}
    assert await outcomes_of(store) == {"too-many-pages": 3}
    assert (await count_of(store, WHOLE_SITE)).total == 4


async def test_one_view_of_a_batch_is_told_that_it_opened_its_page(store: WatchedStore, books: Books, timers: Timers) -> None:
    """Ten readers of an article that is just out have brought one new page, not ten; where there is no limit nobody has."""
    counter = limited(store, books, timers, 100)
    store.hold()
    first = await send(counter, A)
    tasks = await send(counter, *[View(SITE, "/new")] * 10, View(SITE, "/other"), A)
    store.let_go()
    settled = await asyncio.gather(*tasks)
    assert [one.opened for one in settled] == [True] + [False] * 9 + [True, False]
    assert [one.opened for one in await asyncio.gather(*first)] == [True]
    assert not (await counter.count(View(SITE, "/new"))).opened
    assert not (await limited(store, books, timers, 0).count(View(SITE, "/newest"))).opened


async def test_a_view_that_may_not_open_a_page_has_not_opened_it(store: WatchedStore, books: Books, timers: Timers) -> None:
    """Another view of the batch has, and brought it along."""
    counter = limited(store, books, timers, 100)
    store.hold()
    first = await send(counter, A)
    closed, timed = View(SITE, "/new", may_open=False), View(SITE, "/new", at=START - 5)
    tasks = await send(counter, closed, View(SITE, "/new"))
    store.let_go()
    assert [(one.outcome, one.opened) for one in await asyncio.gather(*tasks)] == [
        (Outcome.COUNTED, False),
        (Outcome.COUNTED, True),
    ]
    await asyncio.gather(*first)
    assert not (await counter.count(timed)).opened


@pytest.mark.parametrize(
    "views",
    [
        [View(SITE, "/new", may_open=False)],
        [View(SITE, "/new", may_open=False)] * 3,
        [View(SITE, "/new", event_id=EVENT_ID, may_open=False)],
        [View(SITE, "/new", event_id=EVENT_ID, may_open=False)] * 2,
        [View(SITE, "/new", may_open=False), View(SITE, "/new", event_id=EVENT_ID, may_open=False)],
    ],
)
async def test_views_that_may_not_open_a_page_do_not(
    store: WatchedStore, books: Books, timers: Timers, views: list[View]
) -> None:
    """Neither by their number, nor by an event id, nor by one that is repeated."""
    counter = limited(store, books, timers, 100)
    store.hold()
    first = await send(counter, A)
    tasks = await send(counter, *views)
    store.let_go()
    await asyncio.gather(*first)
    outcomes = {one.outcome for one in await asyncio.gather(*tasks)}
    assert outcomes <= {Outcome.REFUSED, Outcome.DUPLICATE}
    assert (await count_of(store, "/new")).total == 0
    assert store.batches[1].sites[SITE].known_only == {"/new"}


def test_sealing_a_batch_of_views_that_may_open_nothing_is_one_pass() -> None:
    """Not one over all events for each page: that held the server up for a good part of a second."""

    class Counting(dict[str, tuple[str, int | None]]):
        passes = 0

        def values(self):  # type: ignore[no-untyped-def]  # the type of a dict's values has no name
            Counting.passes += 1
            return super().values()

    part = OpenSite()
    for n in range(MAX_BATCH_ENTRIES):
        part.add(View(SITE, f"/{n}", event_id=f"event-number-{n}", may_open=False))
    part.events = Counting(part.events)
    assert len(part.sealed({}, 100).known_only) == MAX_BATCH_ENTRIES
    assert Counting.passes == 1


# Spooled


class Shelf:
    """An outbox that takes everything."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    @property
    def takes_over(self) -> bool:
        return True

    def saw(self, at: int) -> None:
        raise AssertionError(f"the store has not said that it is {at}")

    async def take(self, batch: Batch) -> int | None:
        self.batches.append(batch)
        return START


async def test_while_the_store_is_away_drops_and_repeats_wait_with_the_views(books: Books, timers: Timers) -> None:
    """In the outbox, once; the views are told that they are spooled."""
    shelf = Shelf()
    counter = Counter(WatchedStore(), books, outbox=shelf, later=timers.later)
    counter.dropped(BOT)
    event = View(SITE, "/a", event_id=EVENT_ID)
    settled = await asyncio.gather(counter.count(event), counter.count(event))
    assert [one.outcome for one in settled] == [Outcome.SPOOLED] * 2
    assert dict(shelf.batches[0].sites[SITE].outcomes) == {"bot": 1, DUPLICATE: 1}
    counter.dropped(RATE)
    await timers.pass_time()
    assert dict(shelf.batches[1].sites[SITE].outcomes) == {"rate": 1}
    assert len(shelf.batches) == 2
