"""What `commit` promises: once, with a receipt that says when, with what result, and with which counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from footfall.model import DAY, MAX_BATCH_ENTRIES, OUTCOME, WHOLE_SITE, Batch, Count, SiteBatch, SiteReceipt, Span, Tier
from footfall.stores import Store
from footfall.stores.base import MAX_EVENT_IDS, WRITER_MEMORY
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, Place, Writer, bucket_of, count_of, views_of

EVENT = "a-view-sent-twice"


# Once


@pytest.mark.parametrize("tier", Tier)
async def test_a_commit_bumps_every_tier_of_the_page_and_of_its_site(store: Store, writer: Writer, tier: Tier) -> None:
    """A batch's views stand in the current bucket of each tier, page by page and in the site's own line."""
    await writer.count({"/a": 2, "/b": 3})
    for page, views in {"/a": 2, "/b": 3, WHOLE_SITE: 5}.items():
        assert (await store.newest(SITE, page, Span(tier, 1))).points == [(tier.start(START), views)]


async def test_a_batch_that_is_sent_again_changes_nothing_and_gets_its_receipt_again(
    store: Store, writer: Writer, clock: Clock
) -> None:
    """The repeated receipt has the second the views went into, and does not call the batch's own event ids duplicates."""
    await writer.count({"/earlier": 1}, events={"of-another-batch": ("/", None)})
    clock.advance(1)
    events: dict[str, tuple[str, int | None]] = {EVENT: ("/", None), "of-another-batch": ("/", None)}
    first = await writer.count({"/": 4}, timed={("/", START): 2}, events=events, wanted=["/"])
    clock.advance(5)
    assert await writer.repeat() == first
    assert first == SiteReceipt(START + 1, {"/": Count(8, 8, 8)}, frozenset({"of-another-batch"}))
    assert await count_of(store, WHOLE_SITE) == Count(9, 9, 9)


async def test_of_a_writer_only_a_greater_sequence_is_applied(store: Store) -> None:
    """A batch whose sequence is not greater than the writer's last changes nothing; gaps do not matter."""
    for sequence in (3, 2, 1, 3, 9, 4):
        await store.commit(Batch("w", sequence, {SITE: SiteBatch({"/": 1})}))
    assert await views_of(store, "/") == 2
    assert await store.applied(SITE, "w") == 9


async def test_an_earlier_batch_of_a_writer_gets_a_receipt_too(store: Store, clock: Clock) -> None:
    """A batch older than the writer's last is answered with the second of the last, and with the counts as they are."""
    await store.commit(Batch("w", 5, {SITE: SiteBatch({"/": 1})}))
    clock.advance(2)
    receipt = (await store.commit(Batch("w", 4, {SITE: SiteBatch({"/": 1}, wanted=frozenset({"/"}))})))[SITE]
    assert receipt == SiteReceipt(START, {"/": Count(1, 1, 1)})


async def test_writers_do_not_know_of_one_another(store: Store) -> None:
    """The same sequence of two writers is two batches."""
    for name in ("w", "v", "w"):
        await store.commit(Batch(name, 1, {SITE: SiteBatch({"/": 1})}))
    assert await views_of(store, "/") == 2


async def test_a_batch_is_applied_once_a_site(store: Store) -> None:
    """A batch that one site has and another has not is applied to the other alone."""
    part = SiteBatch({"/": 1})
    await store.commit(Batch("w", 1, {SITE: part}))
    await store.commit(Batch("w", 1, {SITE: part, OTHER_SITE: part}))
    assert await views_of(store, "/") == 1
    assert await views_of(store, "/", site=OTHER_SITE) == 1


async def test_sites_in_one_batch_are_kept_apart(store: Store, writer: Writer) -> None:
    """Each site of a batch has its own pages, ids and line, and its own part of the receipt."""
    parts = {
        SITE: SiteBatch({"/a": 1}, events={EVENT: ("/a", None)}, wanted=frozenset({"/a"})),
        OTHER_SITE: SiteBatch({"/a": 5, "/b": 1}, events={EVENT: ("/b", None)}, wanted=frozenset({"/b", WHOLE_SITE})),
    }
    receipt = await store.commit(Batch("w", 1, parts))
    assert receipt == {
        SITE: SiteReceipt(START, {"/a": Count(2, 2, 2)}),
        OTHER_SITE: SiteReceipt(START, {"/b": Count(2, 2, 2), WHOLE_SITE: Count(7, 7, 7)}),
    }
    assert await views_of(store, "/b") == 0


async def test_an_empty_batch_is_a_batch(store: Store, writer: Writer) -> None:
    """A batch without views counts nothing, and is remembered."""
    assert await writer.count(wanted=["/"]) == SiteReceipt(START, {"/": Count(0, 0, 0)})
    assert await store.applied(SITE, writer.name) == 1


async def test_a_batch_may_be_as_large_as_batches_get(store: Store, writer: Writer) -> None:
    """All entries of the largest batch are counted."""
    pages = {f"/{i}": i for i in range(1, MAX_BATCH_ENTRIES + 1)}
    receipt = await writer.count(pages, wanted=pages)
    assert {page: count.views for page, count in receipt.counts.items()} == pages
    assert await views_of(store, WHOLE_SITE) == sum(pages.values())


@pytest.mark.parametrize(
    "page", ["/", "/é", "/e\u0301", "/日本/👣", "/%", "/_", "/it's", '/"q"', "/a b", "/A", "/\\", "/{x}", "/" + "x" * 1023]
)
async def test_pages_are_told_apart_by_their_exact_names(store: Store, writer: Writer, page: str) -> None:
    """A page's name is taken literally, whatever stands in it."""
    neighbours = {"/", "/a", "/e", "/ab", "/x", "/é", "/日本/"} - {page}
    await writer.count({page: 3} | dict.fromkeys(neighbours, 1))
    assert await views_of(store, page) == 3
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 1)).pages == [(page, 3)]


# Event ids


async def test_an_event_id_counts_once_whoever_sends_it(store: Store, writer: Writer) -> None:
    """A view whose id was counted before is a duplicate, in any batch of any writer and on any page of the site."""
    other = Writer(store, "v")
    assert (await writer.count(events={EVENT: ("/a", None)})).duplicates == frozenset()
    assert (await writer.count(events={EVENT: ("/a", None)})).duplicates == {EVENT}
    assert (await other.count(events={EVENT: ("/b", None), "new": ("/a", None)}, wanted=["/a", "/b"])) == SiteReceipt(
        START, {"/a": Count(2, 2, 2), "/b": Count(0, 0, 0)}, frozenset({EVENT})
    )
    assert await views_of(store, WHOLE_SITE) == 2


async def test_a_duplicate_stays_one_when_its_batch_is_repeated(writer: Writer, store: Store) -> None:
    """The receipt of a repeated batch names the ids that another batch had counted."""
    await Writer(store, "v").count(events={EVENT: ("/", None)})
    first = await writer.count(events={EVENT: ("/", None), "own": ("/", None)})
    assert await writer.repeat() == first
    assert first.duplicates == {EVENT}


async def test_an_event_id_belongs_to_a_site(store: Store, writer: Writer) -> None:
    """The same id on two sites is two views."""
    await writer.count(events={EVENT: ("/", None)})
    assert (await writer.count(events={EVENT: ("/", None)}, site=OTHER_SITE)).duplicates == frozenset()
    assert await views_of(store, "/", site=OTHER_SITE) == 1


@pytest.mark.parametrize("ttl", [1, 10, 600])
async def test_an_event_id_is_remembered_for_its_lifetime_exactly(place: Place, clock: Clock, ttl: int) -> None:
    """After `event_id_ttl` seconds the same id is a new view, and remembered anew; a duplicate does not make it live longer."""
    store = place.open(event_id_ttl=ttl)
    writer = Writer(store)
    await writer.count(events={EVENT: ("/", None)})
    clock.advance(ttl - 1)
    assert (await writer.count(events={EVENT: ("/", None)})).duplicates == {EVENT}
    clock.advance(1)
    assert (await writer.count(events={EVENT: ("/", None)})).duplicates == frozenset()
    assert (await writer.count(events={EVENT: ("/", None)})).duplicates == {EVENT}
    assert (await count_of(store, "/")).total == 2


async def test_an_event_may_bring_its_own_time(store: Store, writer: Writer) -> None:
    """A view with an id and a time is counted in that time's buckets, and its id is remembered from the commit on."""
    await writer.count(events={EVENT: ("/", START - 90), "now": ("/", None)})
    assert await views_of(store, "/") == 1
    assert await bucket_of(store, "/", Tier.SECOND, START - 90) == 1
    assert (await writer.count(events={EVENT: ("/", None)})).duplicates == {EVENT}


async def test_events_and_plain_views_of_a_page_add_up(store: Store, writer: Writer) -> None:
    """Pages, own times and events of one batch go into the same buckets where their seconds are the same."""
    events: dict[str, tuple[str, int | None]] = {"one": ("/", None), "two": ("/", START), "three": ("/", START + 50)}
    receipt = await writer.count({"/": 1}, timed={("/", START): 1, ("/", START + 9): 1}, events=events, wanted=["/", WHOLE_SITE])
    assert receipt.counts == {"/": Count(6, 6, 6), WHOLE_SITE: Count(6, 6, 6)}
    assert await bucket_of(store, "/", Tier.SECOND, START) == 6


@pytest.mark.soak
async def test_beyond_the_most_event_ids_views_are_counted_unremembered(store: Store, writer: Writer, clock: Clock) -> None:
    """A site remembers 1,000,000 ids; a view that brings one more is counted each time, until others have had their time."""
    for first in range(0, MAX_EVENT_IDS, MAX_BATCH_ENTRIES):
        await writer.count(events={f"id-{i}": ("/", None) for i in range(first, first + MAX_BATCH_ENTRIES)})
    for _ in range(2):
        assert (await writer.count(events={EVENT: ("/", None), "id-0": ("/", None)})).duplicates == {"id-0"}
    clock.advance(600)
    await writer.count(events={EVENT: ("/", None)})
    assert (await writer.count(events={EVENT: ("/", None)})).duplicates == {EVENT}
    assert (await count_of(store, "/")).total == MAX_EVENT_IDS + 3


# What a receipt brings


async def test_the_counts_brought_back_include_the_batch_and_what_was_before(store: Store, writer: Writer) -> None:
    """Only pages that are wanted have counts: each as it is after the batch, whether or not the batch has views of it."""
    await writer.count({"/a": 1, "/old": 2, "/c": 1})
    receipt = await writer.count({"/a": 1, "/b": 1}, wanted=["/a", "/old", "/never", WHOLE_SITE])
    assert receipt.counts == {
        "/a": Count(2, 2, 2),
        "/old": Count(2, 2, 2),
        "/never": Count(0, 0, 0),
        WHOLE_SITE: Count(6, 6, 6),
    }
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 9)).pages == [("/a", 2), ("/old", 2), ("/b", 1), ("/c", 1)]


@pytest.mark.parametrize("window", [1, 2, 60, 540])
async def test_the_counts_brought_back_are_of_the_batch_s_window(store: Store, clock: Clock, window: int) -> None:
    """A batch says how wide the window of its counts is."""
    writer = Writer(store, window=window)
    await writer.count({"/": 1})
    clock.advance(window - 1)
    assert (await writer.count({"/": 1}, wanted=["/"])).counts["/"].views == 2
    clock.advance(1)
    assert (await writer.count({"/": 1}, wanted=["/"])).counts["/"].views == (2 if window > 1 else 1)


async def test_a_repeated_batch_brings_counts_as_they_are_now(store: Store, writer: Writer, clock: Clock) -> None:
    """The counts of a repeated receipt are those of the moment, with what was counted and what left the window since."""
    await writer.count({"/": 1}, wanted=["/"])
    clock.advance(59)
    await Writer(store, "v").count({"/": 5})
    assert (await writer.repeat()).counts["/"] == Count(6, 6, 6)
    clock.advance(1)
    assert (await writer.repeat()).counts["/"] == Count(5, 6, 6)


# Writers


async def test_applied_says_the_last_sequence_of_a_site_and_writer(store: Store, writer: Writer) -> None:
    """0 where the site or the writer is not known."""
    assert await store.applied(SITE, writer.name) == 0
    for _ in range(3):
        await writer.count({"/": 1})
    assert await store.applied(SITE, writer.name) == 3
    assert await store.applied(SITE, "v") == 0
    assert await store.applied(OTHER_SITE, writer.name) == 0


@pytest.mark.parametrize("busy", [False, True])
async def test_a_writer_is_forgotten_after_seven_idle_days_exactly(store: Store, clock: Clock, busy: bool) -> None:
    """Until then its batch is not applied again; from then on it is. It makes no difference what others commit meanwhile."""
    writer, other = Writer(store), Writer(store, "v")
    await writer.count({"/": 1})
    for moment, known in ((WRITER_MEMORY - 1, True), (WRITER_MEMORY, False)):
        clock.set(START + moment)
        if busy:
            await other.count({"/other": 1})
        assert await store.applied(SITE, writer.name) == (1 if known else 0)
        await writer.repeat()
        assert (await count_of(store, "/")).total == (1 if known else 2)


async def test_a_writer_that_goes_on_is_remembered(store: Store, writer: Writer, clock: Clock) -> None:
    """The seven days begin anew with every batch that is applied."""
    for _ in range(4):
        await writer.count({"/": 1})
        clock.advance(2 * DAY)
    assert await store.applied(SITE, writer.name) == 4


async def test_a_repeated_batch_is_no_sign_of_life(store: Store, writer: Writer, clock: Clock) -> None:
    """A batch that changes nothing does not make its writer live longer."""
    await writer.count({"/": 1})
    clock.advance(WRITER_MEMORY - 1)
    await writer.repeat()
    clock.advance(1)
    assert await store.applied(SITE, writer.name) == 0


@pytest.mark.parametrize("busy", [False, True])
async def test_a_lasting_writer_is_remembered_for_ever(store: Store, clock: Clock, busy: bool) -> None:
    """An import's batch is not applied again years later."""
    imported = Writer(store, lasting=True)
    await imported.count({"/": 1})
    for _ in range(4):
        clock.advance(365 * DAY)
        if busy:
            await Writer(store, f"at-{clock.second}").count({"/other": 1})
        await imported.repeat()
    assert (await count_of(store, "/")).total == 1
    assert await store.applied(SITE, imported.name) == 1


async def test_a_writer_lasts_as_its_last_batch_said(store: Store, clock: Clock) -> None:
    """Whether a writer is remembered for ever is up to the last batch that was applied."""
    once, later = Writer(store, "once", lasting=True), Writer(store, "later")
    for writer in (once, later):
        await writer.count({"/": 1})
        writer.lasting = not writer.lasting
        await writer.count({"/": 1})
    clock.advance(WRITER_MEMORY)
    assert [await store.applied(SITE, name) for name in ("once", "later")] == [0, 2]


# The store itself


async def test_ping_leaves_no_trace_in_the_counts(store: Store, writer: Writer) -> None:
    """A ping can be sent as often as one likes, also to a store with nothing in it."""
    for _ in range(2):
        await store.ping()
        await writer.count({"/": 1})
    assert await count_of(store, WHOLE_SITE) == Count(2, 2, 2)


async def test_close_may_be_called_twice(store: Store, writer: Writer) -> None:
    """Closing what is closed does nothing."""
    await writer.count({"/": 1})
    await store.close()
    await store.close()


async def test_close_finishes_what_is_under_way(store: Store, another: Callable[[], Store]) -> None:
    """Calls that began before the store was closed are answered, and their views are there."""
    commits = [asyncio.ensure_future(Writer(store, f"w{i}").count({"/": 1})) for i in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert [receipt.at for receipt in await asyncio.gather(*commits)] == [START] * 20
    assert await views_of(another(), "/") == 20


async def test_everything_is_there_after_reopening(store: Store, another: Callable[[], Store], clock: Clock) -> None:
    """Counts of every tier, sequences, event ids and the site's newest second outlast the store that wrote them."""
    writer = Writer(store)
    for _ in range(3):
        await writer.count({"/": 1}, timed={("/old", START - DAY): 1}, events={f"id-{clock.second}": ("/", None)})
        clock.advance(50)
    newest = clock.second - 50
    await store.close()
    clock.advance(-70)
    reopened = another()
    for tier in Tier:
        points = (await reopened.newest(SITE, WHOLE_SITE, Span(tier, 200))).points
        assert sum(views for _, views in points) == (6 if tier in (Tier.SECOND, Tier.MINUTE) else 9)
    assert await reopened.applied(SITE, writer.name) == 3
    writer.store = reopened
    assert await writer.repeat() == SiteReceipt(newest)
    events: dict[str, tuple[str, int | None]] = {f"id-{START + 50}": ("/", None)}
    assert await writer.count({"/": 1}, events=events, wanted=["/"]) == SiteReceipt(
        newest, {"/": Count(5, 7, 7)}, frozenset(events)
    )


async def test_two_stores_at_one_place_are_one(store: Store, another: Callable[[], Store]) -> None:
    """What one has acknowledged is in the other's next answer, page by page, whoever counted a page first."""
    one, other = Writer(store), Writer(another(), "v")
    for i in range(1, 6):
        for writer in (one, other):
            await writer.count({"/both": 1, f"/{writer.name}": 1})
        for reader in (one.store, other.store):
            assert await views_of(reader, "/both") == 2 * i
            assert await views_of(reader, "/w") == await views_of(reader, "/v") == i
    assert await one.store.applied(SITE, "v") == 5
    assert (await one.count(events={EVENT: ("/", None)})).duplicates == frozenset()
    assert (await other.count(events={EVENT: ("/", None)})).duplicates == {EVENT}


async def test_warnings_are_lines_and_change_nothing(store: Store) -> None:
    """What a store says of its own settings is a line each, and asking is no view."""
    assert all(line and line.isprintable() for line in await store.warnings())
    assert (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total == 0


async def test_a_rehearsed_batch_leaves_nothing_behind(store: Store, writer: Writer, clock: Clock) -> None:
    """Neither views, pages, ids, drops nor a sequence, and no site that has nothing else; sent then, it counts as new."""
    events: dict[str, tuple[str, int | None]] = {EVENT: ("/e", None)}
    part = SiteBatch({"/": 2, "/new": 1}, {("/t", START - 90): 3}, events, frozenset({"/"}), outcomes={"bot": 5})
    batch = Batch("w", 2, {SITE: part, OTHER_SITE: SiteBatch({"/": 1}, most_new_pages=1)})
    for _ in range(2):
        await store.rehearse(batch)
        assert await store.sites() == []
    await writer.count({"/": 1})
    for seconds in (0, 1, 61, 700):
        clock.advance(seconds)
        await store.rehearse(batch)
        assert await store.applied(SITE, "w") == 1
        assert await store.sites() == [SITE]
        assert (await store.top(SITE, Span(Tier.TOTAL, 1), 9)).pages == [("/", 1)]
        assert (await store.breakdown(SITE, WHOLE_SITE, OUTCOME, Span(Tier.DAY, 1), 9)).values == []
    receipt = await store.commit(batch)
    assert receipt[SITE] == SiteReceipt(clock.second, {"/": Count(2, 3, 3)})
    assert receipt[OTHER_SITE].opened == {"/"}
    assert await count_of(store, WHOLE_SITE) == Count(4, 8, 8)
    await store.rehearse(batch)
    assert await count_of(store, WHOLE_SITE) == Count(4, 8, 8)
