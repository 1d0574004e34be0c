"""What `forget` promises: a page or a site is gone from every answer, and counting goes on beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from footfall.model import DAY, HOUR, PERIODS, WHOLE_SITE, Count, Span, Tier
from footfall.stores import Store
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, Writer, bucket_of, count_of

NOTHING = Count(0, 0, 0)
EVENT = "a-view-sent-twice"


async def _fill(store: Store, clock: Clock, site: str = SITE) -> Writer:
    """Give a site views of two pages in every tier, some of them long past; 10 of each page."""
    writer = Writer(store)
    clock.set(START - 300)
    ages = (10, 100, 700, HOUR, 3 * HOUR, DAY, 40 * DAY, 900 * DAY)
    await writer.count(timed={(page, START - age): 1 for age in ages for page in ("/a", "/b")}, site=site)
    for t in (START - 150, START):
        clock.set(t)
        await writer.count({"/a": 1, "/b": 1}, site=site)
    return writer


async def test_a_forgotten_page_is_in_no_answer(store: Store, clock: Clock) -> None:
    """Its counts, its buckets of every tier and its place in every list are gone; another page's are as they were."""
    await _fill(store, clock)
    kept = {tier: await store.newest(SITE, "/b", Span(tier, 200)) for tier in Tier}
    await store.forget(SITE, "/a")
    assert await count_of(store, "/a") == NOTHING
    for tier in Tier:
        assert sum(views for _, views in (await store.newest(SITE, "/a", Span(tier, 200))).points) == 0
        assert await store.newest(SITE, "/b", Span(tier, 200)) == kept[tier]
    for span in PERIODS.values():
        assert [page for page, _ in (await store.top(SITE, span, 9)).pages] == ["/b"]


async def test_the_site_s_line_keeps_a_forgotten_page_s_views(store: Store, clock: Clock) -> None:
    """They did happen: the whole site's counts and buckets do not change."""
    await _fill(store, clock)
    before = await count_of(store, WHOLE_SITE), {tier: await store.newest(SITE, WHOLE_SITE, Span(tier, 200)) for tier in Tier}
    await store.forget(SITE, "/a")
    after = await count_of(store, WHOLE_SITE), {tier: await store.newest(SITE, WHOLE_SITE, Span(tier, 200)) for tier in Tier}
    assert after == before
    assert after[0].total == 20


async def test_a_forgotten_page_begins_anew(store: Store, clock: Clock) -> None:
    """It is counted from 0 when it is viewed again, and can be forgotten again."""
    writer = await _fill(store, clock)
    for _ in range(3):
        await store.forget(SITE, "/a")
        for views in (1, 2):
            assert (await writer.count({"/a": 1}, wanted=["/a"])).counts == {"/a": Count(views, views, views)}
            clock.advance(0.3)
        assert (await store.top(SITE, PERIODS["all"], 9)).pages == [("/b", 10), ("/a", 2)]
        for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH, Tier.TOTAL):
            assert await bucket_of(store, "/a", tier, clock.second) == 2


async def test_forgetting_a_page_leaves_writers_and_event_ids(store: Store, clock: Clock) -> None:
    """A batch or a view that is sent again is not counted anew because its page was forgotten."""
    writer = await _fill(store, clock)
    await writer.count(events={EVENT: ("/a", None)})
    await store.forget(SITE, "/a")
    await writer.repeat()
    await writer.count(events={EVENT: ("/a", None)})
    assert await count_of(store, "/a") == NOTHING


async def test_the_whole_site_s_line_can_t_be_forgotten_alone(store: Store, clock: Clock) -> None:
    """To forget the line as if it were a page changes nothing."""
    await _fill(store, clock)
    before = await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)
    await store.forget(SITE, WHOLE_SITE)
    assert await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60) == before


async def test_what_is_not_there_can_be_forgotten(store: Store, clock: Clock) -> None:
    """A page or a site never seen, and one forgotten before."""
    await _fill(store, clock)
    before = await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)
    await store.forget(SITE, "/never")
    await store.forget(OTHER_SITE, "/a")
    await store.forget(OTHER_SITE)
    await store.forget(OTHER_SITE)
    assert await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60) == before


async def test_a_forgotten_site_is_in_no_answer(store: Store, clock: Clock) -> None:
    """Its counts, buckets, lists and sequences are gone; another site's are as they were."""
    writer = await _fill(store, clock)
    await _fill(store, clock, OTHER_SITE)
    before = await store.counts(OTHER_SITE, ["/a", "/b", WHOLE_SITE], 60)
    await store.forget(SITE)
    assert set((await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)).pages.values()) == {NOTHING}
    for tier in Tier:
        for page in ("/a", WHOLE_SITE):
            assert sum(views for _, views in (await store.newest(SITE, page, Span(tier, 200))).points) == 0
    for span in PERIODS.values():
        assert (await store.top(SITE, span, 9)).pages == []
    assert await store.applied(SITE, writer.name) == 0
    assert await store.counts(OTHER_SITE, ["/a", "/b", WHOLE_SITE], 60) == before
    assert await store.applied(OTHER_SITE, writer.name) == 3


async def test_a_forgotten_site_begins_anew(store: Store, clock: Clock) -> None:
    """Its writers' batches, its event ids and its time count as if they had never been seen."""
    writer = await _fill(store, clock)
    await writer.count({"/a": 1}, events={EVENT: ("/a", None)})
    for _ in range(3):
        await store.forget(SITE)
        clock.advance(-HOUR)
        receipt = await writer.repeat()
        assert (receipt.at, receipt.duplicates) == (clock.second, frozenset())
        assert await count_of(store, WHOLE_SITE) == await count_of(store, "/a") == Count(2, 2, 2)
        assert (await store.top(SITE, PERIODS["all"], 9)).pages == [("/a", 2)]


async def test_counting_goes_on_while_a_page_is_forgotten(store: Store, clock: Clock) -> None:
    """No view of another page is lost, no commit fails, and what is left of the page is the same in all its numbers."""
    writer = await _fill(store, clock)
    counting = True
    await store.forget(SITE, "/a")

    async def count() -> None:
        for _ in range(150):
            await writer.count({"/a": 1, "/b": 1})
            clock.advance(1)
            await asyncio.sleep(0)
        nonlocal counting
        counting = False

    async def forget() -> None:
        while counting:
            await store.forget(SITE, "/a")
            await asyncio.sleep(0)

    await asyncio.gather(count(), forget())
    counts = (await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)).pages
    assert (counts["/b"].total, counts[WHOLE_SITE].total) == (160, 320)
    assert counts["/a"].total <= 150
    days = await store.newest(SITE, "/a", Span(Tier.DAY, 700))
    minutes = await store.newest(SITE, "/a", Span(Tier.MINUTE, 40))
    assert counts["/a"].total == sum(views for _, views in days.points) == sum(views for _, views in minutes.points)
    await store.forget(SITE, "/a")
    assert await count_of(store, "/a") == NOTHING


async def test_counting_goes_on_while_a_site_is_forgotten(store: Store, clock: Clock) -> None:
    """No commit fails, each is either forgotten or counted as a whole, and other sites lose nothing."""
    writer, other = await _fill(store, clock), Writer(store, "v")
    counting = True

    async def count() -> None:
        for _ in range(150):
            await writer.count({"/a": 1, "/b": 1})
            await other.count({"/": 1}, site=OTHER_SITE)
            clock.advance(1)
            await asyncio.sleep(0)
        nonlocal counting
        counting = False

    async def forget() -> None:
        while counting:
            await store.forget(SITE)
            await asyncio.sleep(0)

    await asyncio.gather(count(), forget())
    a, b, whole = (await store.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)).pages.values()
    assert a == b
    assert (whole.views, whole.today, whole.total) == (2 * a.views, 2 * a.today, 2 * a.total)
    assert (await count_of(store, "/", site=OTHER_SITE)).total == 150
    await store.forget(SITE)
    assert await count_of(store, WHOLE_SITE) == NOTHING


@pytest.mark.parametrize("page", ["/a", None])
async def test_one_store_counts_on_what_another_has_forgotten(
    store: Store, another: Callable[[], Store], clock: Clock, page: str | None
) -> None:
    """A store that knew a page or a site when another store forgot it counts it from 0."""
    writer = await _fill(store, clock)
    other = another()
    for _ in range(3):
        await other.forget(SITE, page)
        receipt = await writer.count({"/a": 2}, wanted=["/a"])
        assert receipt.counts["/a"] == await count_of(other, "/a") == await count_of(store, "/a") == Count(2, 2, 2)
        assert dict((await other.top(SITE, PERIODS["all"], 9)).pages)["/a"] == 2
