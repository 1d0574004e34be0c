"""What group commit promises, with the memory store behind it, made slow or unreliable where that is what it is about."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally

import pytest

from footfall.counting.counter import Counter
from footfall.errors import Draining, NotAcknowledged, Overloaded, StoreUnavailable, StoreUnusable
from footfall.model import MAX_BATCH_ENTRIES, WHOLE_SITE, Count, Outcome, Settled, View
from tests.contract.conftest import OTHER_SITE, SITE, START, count_of
from tests.unit.counting.counting import Books, FailingStore, WatchedStore

A = View(SITE, "/a")
B = View(SITE, "/b")


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def counter(store: WatchedStore, books: Books) -> Counter:
    return Counter(store, books)


async def turns(n: int = 5) -> None:
    """Let whatever can run, run."""
    for _ in range(n):
        await asyncio.sleep(0)


async def send(counter: Counter, *views: View, wanted: bool = False) -> list[asyncio.Task[Settled]]:
    """Begin to count views, each in a task of its own."""
    tasks = [asyncio.create_task(counter.count(view, wanted=wanted)) for view in views]
    await turns()
    return tasks


# Batches


async def test_an_idle_counter_commits_a_view_at_once(counter: Counter, store: WatchedStore) -> None:
    """No timer runs before a single view is with the store, and its reply comes as soon as the store has it."""
    for n in range(1, 4):
        (task,) = await send(counter, A)
        assert len(store.batches) == n
        assert task.done()
        assert task.result() == Settled(Outcome.COUNTED, START)


async def test_what_gathers_during_a_commit_is_one_batch_summed_up(counter: Counter, store: WatchedStore) -> None:
    """Views of a page become one entry, whichever requests they came from; each site has its own part."""
    store.hold()
    first = await send(counter, A)
    elsewhere = View(OTHER_SITE, "/a")
    later = await send(
        counter, *[A] * 10, *[B] * 5, *[elsewhere] * 3, View(SITE, "/a", at=START - 7), View(SITE, "/a", at=START - 7)
    )
    assert len(store.batches) == 1
    assert counter.pending == 21
    store.let_go()
    settled = await asyncio.gather(*first, *later)
    assert {one.outcome for one in settled} == {Outcome.COUNTED}
    assert len(store.batches) == 2
    parts = store.batches[1].sites
    assert parts[SITE].pages == {"/a": 10, "/b": 5}
    assert parts[SITE].timed == {("/a", START - 7): 2}
    assert parts[OTHER_SITE].pages == {"/a": 3}
    assert (await count_of(store, WHOLE_SITE)).total == 18
    assert counter.pending == 0


async def test_one_commit_is_under_way_at_a_time(counter: Counter, store: WatchedStore) -> None:
    """However many count, and in the order of their sequences."""

    async def visit() -> None:
        for _ in range(20):
            await counter.count(A)
            await asyncio.sleep(0)

    await asyncio.gather(*(visit() for _ in range(30)))
    assert store.most_under_way == 1
    assert [batch.sequence for batch in store.batches] == list(range(1, len(store.batches) + 1))
    assert (await count_of(store, "/a")).total == 600


async def test_a_busy_counter_commits_many_views_together(counter: Counter, store: WatchedStore) -> None:
    """The commits of many visitors are few, though the store answers at once and the visitors come one by one."""

    async def visit(n: int) -> None:
        for _ in range(20):
            await counter.count(A)
            await turns(n % 4)

    await asyncio.gather(*(visit(n) for n in range(64)))
    assert (await count_of(store, "/a")).total == 1280
    assert len(store.batches) <= 1280 / 8


async def test_a_batch_is_held_back_only_for_a_moment(counter: Counter, store: WatchedStore) -> None:
    """When a busy counter's visitors have gone, the one that is left is counted all the same."""
    await asyncio.gather(*(counter.count(A) for _ in range(200)))
    async with asyncio.timeout(1):
        assert (await counter.count(B)).outcome is Outcome.COUNTED
    assert (await count_of(store, "/b")).total == 1


@pytest.mark.parametrize("kind", ["pages", "times", "ids", "all"])
async def test_a_batch_has_at_most_so_many_entries(counter: Counter, store: WatchedStore, kind: str) -> None:
    """More distinct pages, times and ids than a batch may have go into several, and all are counted."""
    ways = {
        "pages": [View(SITE, f"/{n}") for n in range(2500)],
        "times": [View(SITE, "/a", at=START - n) for n in range(2500)],
        "ids": [View(SITE, "/a", event_id=f"event-number-{n}") for n in range(2500)],
    }
    views = [*ways["pages"], *ways["times"], *ways["ids"]] if kind == "all" else ways[kind]
    store.hold()
    tasks = await send(counter, B, *views, *[B] * 100)
    store.let_go()
    await asyncio.gather(*tasks)
    for batch in store.batches:
        parts = batch.sites.values()
        assert sum(len(part.pages) + len(part.timed) + len(part.events) for part in parts) <= MAX_BATCH_ENTRIES
    assert (await count_of(store, WHOLE_SITE)).total == len(views) + 101
    assert len(store.batches) <= len(views) / MAX_BATCH_ENTRIES + 2


async def test_writers_are_told_apart(store: WatchedStore, books: Books) -> None:
    """Each counter draws 128 bits of its own, and its batches ask for its window."""
    for window in (60, 5):
        await Counter(store, books, window=window).count(A)
    one, other = store.batches
    assert one.writer != other.writer
    assert len(bytes.fromhex(one.writer)) == len(bytes.fromhex(other.writer)) == 16
    assert (one.window, other.window) == (60, 5)
    assert (await count_of(store, "/a")).total == 2


# Replies


async def test_counts_come_to_those_who_asked_for_them(counter: Counter, store: WatchedStore) -> None:
    """Of the views in one batch, a wanted one brings its page's counts, with all the batch's views; another brings none."""
    store.hold()
    first = await send(counter, B)
    wanting = await send(counter, A, View(OTHER_SITE, "/a"), wanted=True)
    others = await send(counter, A, B, View(SITE, "/a", event_id="an-event-id-of-a"), View(SITE, "/a", at=START - 5))
    store.let_go()
    assert [one.count for one in await asyncio.gather(*wanting)] == [Count(4, 4, 4), Count(1, 1, 1)]
    assert [one.count for one in await asyncio.gather(*first, *others)] == [None] * 5
    assert store.batches[1].sites[SITE].wanted == {"/a"}


async def test_a_reply_says_when_the_view_was_counted(counter: Counter, store: WatchedStore) -> None:
    """The store's second; a view's own time where it brought one; and the store's where that was still to come."""
    assert (await counter.count(A)).at == START
    assert (await counter.count(View(SITE, "/a", at=START - 100))).at == START - 100
    assert (await counter.count(View(SITE, "/a", at=START + 100))).at == START


async def test_an_event_id_repeated_within_a_batch_is_counted_once(counter: Counter, store: WatchedStore, books: Books) -> None:
    """The first is counted, those that follow are duplicates; on another site the same id is another view."""
    store.hold()
    first = await send(counter, B)
    event = View(SITE, "/a", event_id="sent-three-times-x")
    tasks = await send(
        counter, event, event, View(SITE, "/b", event_id=event.event_id), View(OTHER_SITE, "/a", None, event.event_id)
    )
    store.let_go()
    outcomes = [one.outcome for one in await asyncio.gather(*tasks)]
    assert outcomes == [Outcome.COUNTED, Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.COUNTED]
    await asyncio.gather(*first)
    assert books.of() == {"received": 4, "counted": 2, "duplicate": 2}
    assert books.of(OTHER_SITE) == {"received": 1, "counted": 1}
    assert await count_of(store, WHOLE_SITE) == Count(2, 2, 2)


async def test_an_event_id_repeated_in_a_later_batch_is_a_duplicate(counter: Counter, books: Books) -> None:
    """As the store says; the ledger's rows add up."""
    event = View(SITE, "/a", event_id="sent-three-times-x")
    outcomes = [(await counter.count(event)).outcome for _ in range(3)]
    assert outcomes == [Outcome.COUNTED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert books.of() == {"received": 3, "counted": 1, "duplicate": 2}


# A store that fails


@pytest.mark.parametrize("applies", [False, True])
async def test_a_failed_commit_is_tried_again_under_the_same_id(books: Books, applies: bool) -> None:
    """Until it succeeds. Whether or not the failed ones were applied, each view is counted once and no id is a duplicate."""
    store = FailingStore([StoreUnavailable("away")] * 3, applies=applies)
    counter = Counter(store, books)
    views = A, B, View(SITE, "/a", event_id="an-event-id-of-a"), View(SITE, "/a", at=START - 5)
    settled = await asyncio.gather(*(counter.count(view, wanted=True) for view in views))
    assert [one.outcome for one in settled] == [Outcome.COUNTED] * 4
    assert [one.count for one in settled] == [Count(3, 3, 3), Count(1, 1, 1), Count(3, 3, 3), Count(3, 3, 3)]
    assert len(store.batches) == 4
    assert all(batch is store.batches[0] for batch in store.batches)
    assert books.of() == {"received": 4, "counted": 4}
    assert (await count_of(store, WHOLE_SITE)).total == 4


async def test_a_store_that_stays_away_is_told_of_after_the_timeout(books: Books) -> None:
    """The views are not acknowledged, and the message says what was wrong with the store; the next are counted again."""
    store = FailingStore([StoreUnavailable("the disk is full")] * 3, applies=False)
    counter = Counter(store, books, commit_timeout=0.02)
    with pytest.raises(NotAcknowledged, match="the disk is full"):
        await counter.count(A)
    assert counter.pending == 0
    assert books.of() == {"received": 1, "failed": 1}
    while books.of().get("counted") is None:
        await asyncio.gather(counter.count(A), return_exceptions=True)
    assert (await count_of(store, "/a")).total == 1
    assert len({batch.sequence for batch in store.batches}) == store.batches[-1].sequence


async def test_a_store_that_never_answers_is_given_up_after_the_timeout(store: WatchedStore, books: Books) -> None:
    """The commit is cancelled, so that the next batch has its turn."""
    counter = Counter(store, books, commit_timeout=0.02)
    store.hold()
    for _ in range(2):
        with pytest.raises(NotAcknowledged, match=r"no answer within 0\.02 s"):
            await counter.count(A)
        assert store.under_way == 0
    store.let_go()
    assert (await counter.count(A, wanted=True)).count == Count(1, 1, 1)
    assert books.of() == {"received": 3, "failed": 2, "counted": 1}


@pytest.mark.parametrize("error", [StoreUnusable("a newer schema"), RuntimeError("a bug of ours")])
async def test_what_can_t_succeed_is_not_tried_again(books: Books, error: Exception) -> None:
    """All who wait for the batch hear of it at once; those of the next batch are counted."""
    store = FailingStore([error], applies=False)
    counter = Counter(store, books)
    store.hold()
    first = await send(counter, A, B)
    later = await send(counter, A)
    store.let_go()
    results = await asyncio.gather(*first, return_exceptions=True)
    assert [type(result) for result in results] == [NotAcknowledged] * 2
    assert [one.outcome for one in await asyncio.gather(*later)] == [Outcome.COUNTED]
    assert len(store.batches) == 2
    assert books.of() == {"received": 3, "failed": 2, "counted": 1}
    assert counter.pending == 0


# Limits, and the end


async def test_more_views_than_may_wait_are_refused(store: WatchedStore, books: Books) -> None:
    """Those that wait are counted all the same, and when they are, there is room again."""
    counter = Counter(store, books, max_pending_views=10)
    store.hold()
    waiting = await send(counter, *[A] * 10)
    for _ in range(3):
        with pytest.raises(Overloaded, match="10 views wait for the store"):
            await counter.count(A)
    assert counter.pending == 10
    store.let_go()
    await asyncio.gather(*waiting)
    assert (await counter.count(A, wanted=True)).count == Count(11, 11, 11)
    assert books.of() == {"received": 14, "counted": 11, "failed": 3}


async def test_drain_waits_for_all_that_were_taken(counter: Counter, store: WatchedStore) -> None:
    """When it returns, the batch under way and the one that waits are settled."""
    store.hold()
    first, later = await send(counter, A), await send(counter, *[A] * 5)
    draining = asyncio.create_task(counter.drain())
    await turns()
    assert not draining.done()
    store.let_go()
    await draining
    assert counter.pending == 0
    assert [one.outcome for one in await asyncio.gather(*first, *later)] == [Outcome.COUNTED] * 6
    assert (await count_of(store, "/a")).total == 6


async def test_a_draining_counter_refuses_views(counter: Counter, store: WatchedStore, books: Books) -> None:
    """During the last commit and after it; what was refused is not counted."""
    store.hold()
    taken = await send(counter, A)
    draining = asyncio.create_task(counter.drain())
    await turns()
    with pytest.raises(Draining):
        await counter.count(A)
    store.let_go()
    await draining
    with pytest.raises(Draining):
        await counter.count(A)
    await asyncio.gather(*taken)
    assert (await count_of(store, "/a")).total == 1
    assert books.of() == {"received": 3, "counted": 1, "failed": 2}


async def test_an_idle_counter_drains_at_once_and_as_often_as_asked(counter: Counter, store: WatchedStore) -> None:
    """With nothing to wait for."""
    await counter.drain()
    await counter.drain()
    assert store.batches == []


@pytest.mark.parametrize("cancelled", [(0,), (5,), (9,), (0, 1, 2), (3, 7), tuple(range(10))])
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_cancelled_request_hurts_no_other(
    counter: Counter, store: WatchedStore, cancelled: tuple[int, ...], one_by_one: bool
) -> None:
    """Those that wait for the same commit get their replies; the cancelled request's view is counted, for it was taken."""
    store.hold()
    first = await send(counter, B)
    tasks = await send(counter, *[A] * 10)
    for n in cancelled:
        tasks[n].cancel()
        if one_by_one:
            await turns()
    await turns()
    tasks += await send(counter, A)
    store.let_go()
    results = await asyncio.gather(*first, *tasks, return_exceptions=True)
    gone = [n for n, result in enumerate(results[1:]) if isinstance(result, asyncio.CancelledError)]
    assert gone == list(cancelled)
    assert all(result == Settled(Outcome.COUNTED, START) for n, result in enumerate(results[1:]) if n not in cancelled)
    assert (await count_of(store, "/a")).total == 11
    assert counter.pending == 0


async def test_a_request_cancelled_during_its_commit_hurts_no_other(counter: Counter, store: WatchedStore) -> None:
    """The commit under way goes on."""
    store.hold()
    tasks = await send(counter, A, A, A)
    tasks[1].cancel()
    await turns()
    store.let_go()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, Settled) for result in results] == [True, False, True]
    assert (await count_of(store, "/a")).total == 3
    assert len(store.batches) == 1


async def test_the_books_balance(books: Books) -> None:
    """Whatever happens to views, received = counted + duplicate + failed, and the store has what was counted."""
    errors = [StoreUnavailable("away"), StoreUnusable("no longer"), StoreUnavailable("away")]
    store = FailingStore(errors, applies=False)
    counter = Counter(store, books, max_pending_views=30)
    views = [
        View(SITE, f"/{n % 3}", at=START - n if n % 5 == 0 else None, event_id=f"event-{n % 7}-of-all" if n % 2 else None)
        for n in range(100)
    ]
    results = []
    for first in range(0, 100, 50):
        results += await asyncio.gather(*(counter.count(view) for view in views[first : first + 50]), return_exceptions=True)
    outcomes = Tally(one.outcome.value if isinstance(one, Settled) else "failed" for one in results)
    assert {type(one) for one in results} == {Settled, Overloaded, NotAcknowledged}
    assert books.of() == {"received": 100, **outcomes}
    assert (await count_of(store, WHOLE_SITE)).total == outcomes["counted"]
