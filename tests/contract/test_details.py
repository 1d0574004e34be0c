"""What is known of visits: traits by hour, day and month, visitors, and the ledger of what was not counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import pytest

from footfall.model import (
    DAY,
    DIMENSIONS,
    DUPLICATE,
    HOUR,
    MINUTE,
    OTHER,
    OUTCOME,
    PERIODS,
    WHOLE_SITE,
    Batch,
    SiteBatch,
    Span,
    Tier,
    Traits,
)
from footfall.stores import Store
from footfall.stores.base import VISITOR_GRACE, VISITOR_HOURS, Limits
from tests.contract.conftest import SHORT, SITE, START, Clock, Place, Writer

REFERRER = "referrer"
NONE: AbstractSet[str] = frozenset()
TODAY = Span(Tier.DAY, 1)
THIS_HOUR = Span(Tier.HOUR, 1)


def traits(**known: str) -> Traits:
    """Traits by name of their dimension, the others not known."""
    return tuple(known.get(dimension.name, "") for dimension in DIMENSIONS)


def views(*of: tuple[str, Traits], at: int | None = None) -> SiteBatch:
    """A batch of one view each of pages with these traits."""
    by_page: dict[str, int] = {}
    known: dict[tuple[str, int | None, Traits], int] = {}
    for page, of_view in of:
        by_page[page] = by_page.get(page, 0) + 1
        known[page, at, of_view] = known.get((page, at, of_view), 0) + 1
    if at is None:
        return SiteBatch(by_page, traits=known)
    return SiteBatch(timed={(page, at): n for page, n in by_page.items()}, traits=known)


def visited(page: str, visitors: Iterable[int], at: int | None = None) -> SiteBatch:
    """A batch of one view each by these visitors."""
    who = frozenset(visitors)
    of_page = {(page, at, traits(device="phone")): len(who)}
    if at is None:
        return SiteBatch({page: len(who)}, traits=of_page, visitors={(page, None): who})
    return SiteBatch(timed={(page, at): len(who)}, traits=of_page, visitors={(page, at): who})


async def values(store: Store, dimension: str, span: Span = TODAY, page: str = WHOLE_SITE, limit: int = 100) -> dict[str, int]:
    """A breakdown as a dictionary, in its order."""
    return dict((await store.breakdown(SITE, page, dimension, span, limit)).values)


async def unique(store: Store, tier: Tier, page: str = WHOLE_SITE, t: int = START) -> int:
    """The visitors in the bucket of a tier that second `t` lies in."""
    ((_, visitors),) = (await store.visitors(SITE, page, tier, t, t + 1)).points
    return visitors


@pytest.mark.parametrize("dimension", [dimension.name for dimension in DIMENSIONS])
@pytest.mark.parametrize("period", PERIODS)
async def test_every_period_has_every_dimension(store: Store, writer: Writer, dimension: str, period: str) -> None:
    """A trait is counted in the site's hour, day and month, and in its page's hour and day; what is not known is not counted."""
    known, unknown = traits(**{dimension: "x"}), traits()
    await writer.commit({SITE: views(("/a", known), ("/a", known), ("/b", known), ("/b", unknown))})
    for page, n in {WHOLE_SITE: 3, "/a": 2, "/b": 1}.items():
        found = await store.breakdown(SITE, page, dimension, PERIODS[period], 10)
        assert (found.at, found.values) == (START, [("x", n)])


async def test_a_breakdown_goes_on_behind_the_value_that_ended_the_last(store: Store, writer: Writer) -> None:
    """Most viewed first, equals by name in the order of code points."""
    of = {"a.example": 1, "b.example": 3, "é.example": 3, "c.example": 2}
    await writer.commit({SITE: views(*(("/", traits(referrer=value)) for value, n in of.items() for _ in range(n)))})
    everything = [("b.example", 3), ("é.example", 3), ("c.example", 2), ("a.example", 1)]
    assert (await store.breakdown(SITE, WHOLE_SITE, REFERRER, TODAY, 10)).values == everything
    after = None
    for entry in everything:
        assert (await store.breakdown(SITE, WHOLE_SITE, REFERRER, TODAY, 1, after)).values == [entry]
        after = entry[1], entry[0]
    assert (await store.breakdown(SITE, WHOLE_SITE, REFERRER, TODAY, 1, after)).values == []


async def test_traits_go_into_the_buckets_of_their_view_s_own_time(store: Store, writer: Writer) -> None:
    """A view of yesterday has its traits there; one that is to come is one of now."""
    await writer.commit({SITE: views(("/", traits(device="phone")), at=START - DAY)})
    await writer.commit({SITE: views(("/", traits(device="desktop")), at=START + DAY)})
    assert await values(store, "device") == {"desktop": 1}
    assert await values(store, "device", Span(Tier.DAY, 2)) == {"desktop": 1, "phone": 1}
    assert await values(store, "device", Span(Tier.DAY, 2), "/") == {"desktop": 1, "phone": 1}


async def test_views_of_a_day_that_is_kept_no_longer_leave_no_traits(place: Place) -> None:
    """An hour that is kept no longer is skipped, with its day all three tiers."""
    store = place.open(SHORT)
    writer = Writer(store)
    for age in (4 * HOUR, 6 * DAY):
        await writer.commit({SITE: views(("/", traits(device="phone")), at=START - age)})
    assert await values(store, "device", PERIODS["24h"]) == {}
    assert await values(store, "device", PERIODS["all"]) == {"phone": 1}


async def test_traits_end_with_their_bucket(place: Place, clock: Clock) -> None:
    """An hour's and a day's are gone when their retention is over; those of months stay."""
    store = place.open(SHORT)
    writer = Writer(store)
    await writer.commit({SITE: views(("/", traits(device="phone")))})
    clock.set(Tier.HOUR.start(START) + SHORT[Tier.HOUR] - 1)
    assert await values(store, "device", PERIODS["24h"]) == {"phone": 1}
    clock.advance(1)
    assert await values(store, "device", PERIODS["24h"]) == {}
    clock.set(Tier.DAY.start(START) + SHORT[Tier.DAY] - 1)
    assert await values(store, "device", PERIODS["7d"], "/") == {"phone": 1}
    clock.advance(1)
    assert await values(store, "device", PERIODS["7d"], "/") == {}
    assert await values(store, "device", PERIODS["all"]) == {"phone": 1}
    await writer.count({"/": 1})
    assert await values(store, "device", PERIODS["all"]) == {"phone": 1}


async def test_a_day_has_so_many_values_and_no_more(place: Place, clock: Clock) -> None:
    """Beyond the limit new values are counted as other, in every tier and at the page; known ones and the next day's are not."""
    store = place.open(limits=Limits(values=2))
    writer = Writer(store)
    await writer.commit({SITE: views(*(("/", traits(referrer=value)) for value in "abcda"))})
    for span in (TODAY, THIS_HOUR, PERIODS["all"]):
        assert await values(store, REFERRER, span) == {"(other)": 2, "a": 2, "b": 1}
    assert await values(store, REFERRER, page="/") == {"(other)": 2, "a": 2, "b": 1}
    clock.advance(DAY)
    await writer.commit({SITE: views(("/", traits(referrer="c")))})
    assert await values(store, REFERRER) == {"c": 1}


async def test_a_page_s_day_has_fewer_values(place: Place) -> None:
    """Beyond its own limit a page's new values are other there, while the site tells them apart."""
    store = place.open(limits=Limits(page_values=1))
    writer = Writer(store)
    await writer.commit({SITE: views(("/", traits(referrer="a")), ("/", traits(referrer="b")), ("/x", traits(referrer="b")))})
    assert await values(store, REFERRER) == {"b": 2, "a": 1}
    assert await values(store, REFERRER, page="/") == {OTHER: 1, "a": 1}
    assert await values(store, REFERRER, page="/x") == {"b": 1}


async def test_the_first_pages_of_a_day_have_a_place(place: Place, clock: Clock) -> None:
    """So many pages' traits and visitors are kept apart; the others' are in the site's."""
    store = place.open(limits=Limits(pages=2))
    writer = Writer(store)
    for page in ("/a", "/b", "/c", "/a"):
        await writer.commit({SITE: visited(page, [hash(page)])})
    assert await values(store, "device") == {"phone": 4}
    assert [await values(store, "device", page=page) for page in ("/a", "/b", "/c")] == [{"phone": 2}, {"phone": 1}, {}]
    assert [await unique(store, Tier.DAY, page) for page in ("/a", "/b", "/c")] == [1, 1, 0]
    assert await unique(store, Tier.DAY) == 3
    clock.advance(DAY)
    await writer.commit({SITE: visited("/c", [1])})
    assert await values(store, "device", page="/c") == {"phone": 1}


async def test_a_view_with_an_event_id_brings_its_traits_once(store: Store, writer: Writer) -> None:
    """Sent again in the same batch or in another, it adds neither traits nor a visitor, and the ledger has it as a duplicate."""
    part = SiteBatch(events={"an-id": ("/", None)}, visits={"an-id": (traits(device="phone"), 77)})
    await writer.commit({SITE: part})
    await writer.repeat()
    assert (await writer.commit({SITE: part})).duplicates == {"an-id"}
    assert await values(store, "device") == {"phone": 1}
    assert await unique(store, Tier.DAY) == 1
    assert await values(store, OUTCOME) == {DUPLICATE: 1}


async def test_the_ledger_is_kept_by_hour_day_and_month(store: Store, writer: Writer, clock: Clock) -> None:
    """What was not counted stands in the current second's buckets, also in a batch without a view; once a batch."""
    await writer.commit({SITE: SiteBatch(outcomes={"bot": 3, "rate": 1})})
    await writer.repeat()
    assert await values(store, OUTCOME) == {"bot": 3, "rate": 1}
    clock.advance(HOUR)
    await writer.commit({SITE: SiteBatch({"/": 1}, outcomes={"bot": 2})})
    assert await values(store, OUTCOME, THIS_HOUR) == {"bot": 2}
    for period in PERIODS.values():
        assert await values(store, OUTCOME, period) == {"bot": 5, "rate": 1}
    assert await values(store, OUTCOME, page="/") == {}
    assert (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total == 1


# Visitors


@pytest.mark.parametrize(("visitors", "allowed"), [(1, 0), (10, 0), (200, 4), (3000, 150)])
async def test_visitors_are_counted_by_site_and_page(store: Store, writer: Writer, visitors: int, allowed: int) -> None:
    """Each once an hour and a day, however often; within 5 % where there are many."""
    chance = random.Random(visitors)
    who = [chance.getrandbits(64) for _ in range(visitors)]
    for some in (who[: visitors // 2 + 1], who):
        await writer.commit({SITE: visited("/", some)})
    await writer.commit({SITE: visited("/other", who[:1])})
    for page in (WHOLE_SITE, "/"):
        for tier in (Tier.HOUR, Tier.DAY):
            assert abs(await unique(store, tier, page) - visitors) <= allowed
    assert await unique(store, Tier.DAY, "/other") == 1
    assert abs((await store.present(SITE)).visitors - visitors) <= allowed


async def test_an_hour_s_visitors_are_not_the_next_one_s(store: Store, writer: Writer, clock: Clock) -> None:
    """A visitor who comes again in another hour is in both, and once in their day."""
    await writer.commit({SITE: visited("/", [1, 2])})
    clock.advance(HOUR)
    await writer.commit({SITE: visited("/", [2, 3, 4])})
    hours = await store.visitors(SITE, WHOLE_SITE, Tier.HOUR, START, START + HOUR + 1)
    assert [n for _, n in hours.points] == [2, 3]
    assert await unique(store, Tier.DAY) == 4
    assert [n for _, n in (await store.visitors(SITE, "/", Tier.DAY, START - DAY, START + 1)).points] == [0, 4]


async def test_who_was_here_five_minutes_ago_is_not_here_now(store: Store, writer: Writer, clock: Clock) -> None:
    """Present is who had a view in the current minute or one of the four before it."""
    assert (await store.present(SITE)).visitors == 0
    await writer.commit({SITE: visited("/", [1, 2])})
    clock.set(Tier.MINUTE.start(START) + 2 * MINUTE)
    await writer.commit({SITE: visited("/a", [2, 3])})
    clock.set(Tier.MINUTE.start(START) + 5 * MINUTE - 1)
    assert (await store.present(SITE)).visitors == 3
    clock.advance(1)
    present = await store.present(SITE)
    assert (present.at, present.visitors) == (clock.second, 2)
    clock.advance(2 * MINUTE)
    assert (await store.present(SITE)).visitors == 0


async def test_a_late_visitor_is_added_for_an_hour(store: Store, writer: Writer, clock: Clock) -> None:
    """A bucket takes visitors until an hour after its end; then its number stands."""
    await writer.commit({SITE: visited("/", [1])})
    end = Tier.HOUR.start(START) + HOUR
    clock.set(end + VISITOR_GRACE - 1)
    await writer.commit({SITE: visited("/", [2], at=START)})
    assert [await unique(store, Tier.HOUR, page) for page in (WHOLE_SITE, "/")] == [2, 2]
    clock.set(end + VISITOR_GRACE)
    await writer.commit({SITE: visited("/", [3], at=START)})
    assert [await unique(store, Tier.HOUR, page) for page in (WHOLE_SITE, "/")] == [2, 2]
    assert [await unique(store, Tier.DAY, page) for page in (WHOLE_SITE, "/")] == [3, 3]


async def test_numbers_of_visitors_stay_when_their_bucket_has_ended(store: Store, writer: Writer, clock: Clock) -> None:
    """An hour's for some days, a day's as long as its views."""
    await writer.commit({SITE: visited("/", [1, 2, 3])})
    for _ in range(7):
        clock.advance(DAY)
        await writer.commit({SITE: visited("/", [4])})
        for page in (WHOLE_SITE, "/"):
            assert await unique(store, Tier.HOUR, page) == 3
            assert await unique(store, Tier.DAY, page) == 3
    clock.set(Tier.HOUR.start(START) + VISITOR_HOURS)
    assert await unique(store, Tier.HOUR) == 0
    assert await unique(store, Tier.DAY) == 3


async def test_a_page_that_is_forgotten_takes_its_details_along(store: Store, writer: Writer) -> None:
    """The site's own traits and visitors stay."""
    await writer.commit({SITE: visited("/secret", [1])})
    await store.forget(SITE, "/secret")
    assert await values(store, "device", page="/secret") == {}
    assert await unique(store, Tier.DAY, "/secret") == 0
    assert await values(store, "device") == {"phone": 1}
    assert await unique(store, Tier.DAY) == 1
    await store.forget(SITE)
    assert await values(store, "device", PERIODS["all"]) == {}
    assert await unique(store, Tier.DAY) == 0


# New pages


async def test_a_day_has_so_many_new_pages(store: Store, writer: Writer, clock: Clock) -> None:
    """Beyond the limit views of new pages count nowhere and are called refused; known pages and the next day's count."""

    async def count(*pages: str) -> tuple[AbstractSet[str], AbstractSet[str]]:
        receipt = await writer.commit({SITE: SiteBatch(dict.fromkeys(pages, 1), most_new_pages=3, wanted=frozenset(pages))})
        return receipt.opened, receipt.refused

    assert await count("/a", "/b") == ({"/a", "/b"}, NONE)
    assert await count("/c", "/a", "/d", "/e") == ({"/c"}, {"/d", "/e"})
    assert await count("/d") == (NONE, {"/d"})
    assert await count("/a", "/c") == (NONE, NONE)
    total = (await store.counts(SITE, ["/d", WHOLE_SITE], 60)).pages
    assert (total["/d"].total, total[WHOLE_SITE].total) == (0, 6)
    assert await values(store, OUTCOME) == {"too-many-pages": 3}
    clock.advance(DAY)
    assert await count("/d") == ({"/d"}, NONE)


async def test_pages_known_only_are_never_opened(store: Store, writer: Writer) -> None:
    """Whatever the limit: a page that may not be opened has to be there already."""
    await writer.count({"/old": 1})
    pages = {"/old": 1, "/new": 1, "/free": 1}
    receipt = await writer.commit({SITE: SiteBatch(pages, known_only={"/old", "/new"})})
    assert receipt.refused == {"/new"}
    assert (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total == 3


async def test_views_with_their_own_time_open_pages_beyond_the_limit(store: Store, writer: Writer) -> None:
    """They do so first and don't count to it, and untimed views of theirs in the same batch count."""
    part = SiteBatch({"/a": 1, "/b": 1}, {("/t", START): 1, ("/b", START): 1}, most_new_pages=1)
    receipt = await writer.commit({SITE: part})
    assert receipt.opened == {"/a"}
    assert receipt.refused == NONE
    receipt = await writer.commit({SITE: SiteBatch({"/c": 1}, most_new_pages=2)})
    assert receipt.opened == {"/c"}
    assert receipt.refused == NONE


async def test_a_refused_view_leaves_no_trace(store: Store, writer: Writer) -> None:
    """Its traits, its visitor and its event id are not kept: it can be counted when it is sent again."""
    of_view = traits(device="phone")
    part = SiteBatch(
        {"/a": 1},
        events={"an-id": ("/b", None)},
        traits={("/a", None, of_view): 1},
        visitors={("/a", None): {1}},
        visits={"an-id": (of_view, 2)},
        known_only={"/a", "/b"},
    )
    receipt = await writer.commit({SITE: part})
    assert receipt.refused == {"/a", "/b"}
    assert receipt.duplicates == NONE
    assert await values(store, "device") == {}
    assert await unique(store, Tier.DAY) == 0
    assert await values(store, OUTCOME) == {"too-many-pages": 2}
    receipt = await writer.commit({SITE: SiteBatch(events={"an-id": ("/b", None)})})
    assert receipt.duplicates == frozenset()


async def test_a_batch_that_is_sent_again_is_refused_the_same(store: Store, writer: Writer) -> None:
    """Also where another has opened the page meanwhile: its views were not counted, and are not."""
    part = SiteBatch({"/a": 1}, events={"an-id": ("/b", None)}, known_only={"/a", "/b"})
    refused = (await writer.commit({SITE: part})).refused
    await Writer(store, "another").count({"/a": 1, "/b": 1})
    assert (await writer.repeat()).refused == refused == {"/a", "/b"}
    assert (await store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].total == 2


async def test_a_page_that_was_forgotten_is_new_again(store: Store, writer: Writer) -> None:
    """It needs a place among the new ones."""
    await writer.count({"/a": 1})
    await store.forget(SITE, "/a")
    assert (await writer.commit({SITE: SiteBatch({"/a": 1}, known_only={"/a"})})).refused == {"/a"}


async def test_asking_for_a_page_does_not_open_it(store: Store, writer: Writer) -> None:
    """Only a view that counts does."""
    await writer.count({"/": 1}, wanted=["/asked"])
    await store.counts(SITE, ["/asked"], 60)
    assert (await writer.commit({SITE: SiteBatch({"/asked": 1}, known_only={"/asked"})})).refused == {"/asked"}


async def test_details_are_shared_by_all_at_one_store(another: Callable[[], Store], store: Store) -> None:
    """What one has committed, the next read of any other has."""
    await store.commit(Batch("w", 1, {SITE: visited("/", [1])}))
    other = another()
    await other.commit(Batch("v", 1, {SITE: visited("/", [1, 2])}))
    for each in (store, other):
        assert await values(each, "device", page="/") == {"phone": 3}
        assert await unique(each, Tier.HOUR) == 2
