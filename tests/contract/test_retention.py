"""How long a site is kept where its document says so: every tier, and what is known of visits, for exactly that time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from footfall.model import DAY, HOUR, MINUTE, WHOLE_SITE, Section, SiteBatch, Span, Tier
from footfall.stores import Store
from footfall.stores.retention import SITE_KIND
from tests.contract.conftest import OTHER_SITE, SHORT, SITE, START, Clock, Place, Writer, bucket_of, count_of
from tests.contract.test_details import traits
from tests.contract.test_dump import dumped

#: Shorter and longer than SHORT in every tier, or nearly: windows are read from seconds, which are not kept for less.
SHORTER = {Tier.SECOND: 600, Tier.MINUTE: 900, Tier.HOUR: HOUR, Tier.DAY: 2 * DAY}
LONGER = {Tier.SECOND: 900, Tier.MINUTE: 2700, Tier.HOUR: 5 * HOUR, Tier.DAY: 9 * DAY}


async def keep(store: Store, kept: dict[Tier, int], site: str = SITE) -> None:
    """Let a site's document say how long it is kept."""
    rules = {f"retention_{tier.value}": seconds for tier, seconds in kept.items()}
    await store.put_document(SITE_KIND, site, msgspec.json.encode({"site_rate": 9, **rules}))


def visit(at: int | None = None, page: str = "/") -> SiteBatch:
    """A view with all that can be known of it."""
    views: dict[str, Any] = {"pages": {page: 1}} if at is None else {"timed": {(page, at): 1}}
    return SiteBatch(**views, traits={(page, at, traits(referrer="a")): 1}, visitors={(page, at): {1}})


@pytest.mark.parametrize("tier", list(SHORT))
@pytest.mark.parametrize("kept", [SHORTER, LONGER], ids=["shorter", "longer"])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_site_s_own_retention_is_kept_exactly(
    place: Place, clock: Clock, tier: Tier, kept: dict[Tier, int], busy: bool
) -> None:
    """Its bucket counts until so many seconds have passed since its start; another site's for as long as the store keeps any."""
    store = place.open(SHORT)
    writer = Writer(store)
    await keep(store, kept)
    await writer.commit({SITE: SiteBatch({"/": 1}), OTHER_SITE: SiteBatch({"/": 1})})
    start = tier.start(START)
    for t in sorted({start + seconds + more for seconds in (SHORT[tier], kept[tier]) for more in (-1, 0, MINUTE + 1)}):
        if t < START:
            continue
        clock.set(t)
        if busy:
            await writer.commit({SITE: SiteBatch({"/other": 1}), OTHER_SITE: SiteBatch({"/other": 1})})
        assert await bucket_of(store, "/", tier, start) == (t < start + kept[tier])
        assert await bucket_of(store, "/", tier, start, site=OTHER_SITE) == (t < start + SHORT[tier])
    assert (await count_of(store, "/")).total == 1


async def test_a_shorter_retention_holds_at_once_for_what_is_there(place: Place, clock: Clock) -> None:
    """Buckets, traits and visitors that are too old for it are in no answer and no dump any more; months and totals are."""
    store = place.open(SHORT)
    writer = Writer(store)
    for at in (START - 4 * DAY, START - DAY, START - 2 * HOUR, START - 1200, None):
        await writer.commit({SITE: visit(at)})
    hours, days = Span(Tier.HOUR, 3), Span(Tier.DAY, 5)
    assert (await store.breakdown(SITE, "/", "referrer", hours, 9)).values == [("a", 3)]
    assert (await store.breakdown(SITE, "/", "referrer", days, 9)).values == [("a", 5)]
    await keep(store, SHORTER)
    for is_counted_on in (False, True):
        if is_counted_on:
            clock.advance(61)
            await writer.count({"/other": 1})
        assert [views for _, views in (await store.newest(SITE, "/", Span(Tier.MINUTE, 30))).points if views] == [1]
        assert [views for _, views in (await store.newest(SITE, "/", hours)).points] == [0, 0, 2]
        assert [views for _, views in (await store.newest(SITE, "/", days)).points] == [0, 0, 0, 1, 3]
        assert dict((await store.top(SITE, days, 9)).pages)["/"] == 4
        assert (await store.breakdown(SITE, "/", "referrer", hours, 9)).values == [("a", 2)]
        assert (await store.breakdown(SITE, WHOLE_SITE, "referrer", days, 9)).values == [("a", 4)]
        visitors = (await store.visitors(SITE, WHOLE_SITE, Tier.HOUR, START - 2 * HOUR, START + 1)).points
        assert [n for _, n in visitors] == [0, 0, 1]
        assert {row[0] for row in await dumped(store, Section.VIEWS, Tier.DAY)} == {
            Tier.DAY.start(START - DAY),
            Tier.DAY.start(START),
        }
        assert (await count_of(store, "/")).total == 5
        assert await bucket_of(store, "/", Tier.MONTH, START) == 5
        assert (await store.breakdown(SITE, WHOLE_SITE, "referrer", Span(Tier.MONTH, 1), 9)).values == [("a", 5)]


async def test_a_longer_retention_holds_for_what_is_still_kept(place: Place, clock: Clock) -> None:
    """A bucket that is there when it is made longer stays for the longer time, with what is known of its views."""
    store = place.open(SHORT)
    writer = Writer(store)
    await writer.commit({SITE: visit()})
    await keep(store, LONGER)
    for later in (MINUTE, SHORT[Tier.DAY], LONGER[Tier.DAY] - DAY - MINUTE):
        clock.set(START + later)
        await writer.count({"/other": 1})
        assert await bucket_of(store, "/", Tier.DAY, START) == 1
        assert (await store.visitors(SITE, "/", Tier.DAY, START, START + 1)).points[0][1] == 1
        assert (await store.breakdown(SITE, "/", "referrer", Span(Tier.DAY, 9), 9)).values == [("a", 1)]
    clock.set(Tier.DAY.start(START) + LONGER[Tier.DAY])
    assert await bucket_of(store, "/", Tier.DAY, START) == 0


@pytest.mark.parametrize("tier", list(SHORT))
async def test_a_view_too_old_for_the_site_skips_the_tier(place: Place, clock: Clock, tier: Tier) -> None:
    """A view that brings its own time goes into the tiers in which its bucket is kept for this site."""
    store = place.open(SHORT)
    writer = Writer(store)
    await keep(store, LONGER)
    start = tier.start(START - LONGER[tier] + tier.width)
    await writer.count(timed={("/in", start): 1, ("/out", start - tier.width): 1})
    await writer.count(timed={("/in", start): 1}, site=OTHER_SITE)
    assert await bucket_of(store, "/in", tier, start) == 1
    assert await bucket_of(store, "/out", tier, start - tier.width) == 0
    assert await bucket_of(store, "/in", tier, start, site=OTHER_SITE) == (start > START - SHORT[tier])


@pytest.mark.parametrize(
    "rules",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"retention_day": "9d"}',
        b'{"retention_day": true}',
        b'{"retention_day": 86400, "retention_hour": 90000}',
        b'{"retention_second": 60}',
        b'{"retention_day": 1e99}',
        b'{"retention_day": -1}',
        b'{"site_rate": 1}',
    ],
)
async def test_rules_that_say_nothing_usable_leave_the_store_s_retention(place: Place, clock: Clock, rules: bytes) -> None:
    """Whatever stands in the document, no bucket is lost by it."""
    store = place.open(SHORT)
    await store.put_document(SITE_KIND, SITE, rules)
    await Writer(store).count({"/": 1})
    clock.set(Tier.DAY.start(START) + SHORT[Tier.DAY] - 1)
    assert await bucket_of(store, "/", Tier.DAY, START) == 1
    clock.advance(1)
    assert await bucket_of(store, "/", Tier.DAY, START) == 0


async def test_without_its_document_a_site_is_kept_as_the_store_keeps_all(place: Place, clock: Clock) -> None:
    """From the moment it is removed."""
    store = place.open(SHORT)
    await Writer(store).count({"/": 1})
    await keep(store, SHORTER)
    clock.advance(900)
    assert await bucket_of(store, "/", Tier.MINUTE, START) == 0
    await store.put_document(SITE_KIND, SITE, None)
    await Writer(store, "v").count({"/": 1})
    clock.advance(1200)
    assert await bucket_of(store, "/", Tier.MINUTE, START + 900) == 1


async def test_every_store_at_a_place_goes_by_what_it_has_seen(place: Place, another: Callable[..., Store], clock: Clock) -> None:
    """A store that has listed the sites' documents keeps them as those say, whoever wrote them."""
    store, other = place.open(SHORT), another(SHORT)
    await Writer(store).count({"/": 1})
    assert await bucket_of(other, "/", Tier.MINUTE, START) == 1
    await keep(store, LONGER)
    await other.documents(SITE_KIND)
    clock.advance(1900)
    await Writer(other, "v").count({"/": 1})
    for each in (store, other):
        assert await bucket_of(each, "/", Tier.MINUTE, START) == 1


async def test_a_dump_of_a_site_that_is_kept_longer_is_loaded_whole(place: Place, clock: Clock) -> None:
    """Where the document is there before the rows."""
    store = place.open(SHORT)
    await keep(store, LONGER)
    await keep(store, LONGER, OTHER_SITE)
    writer = Writer(store)
    for at in (START - 8 * DAY, START - 4 * HOUR, None):
        await writer.commit({SITE: visit(at)})
    for section, tier in ((Section.VIEWS, Tier.DAY), (Section.TRAITS, Tier.DAY), (Section.TRAITS, Tier.HOUR)):
        rows = [row for row in await dumped(store, section, tier) if row[0] != tier.start(START)]
        await store.load(OTHER_SITE, section, tier, rows)
        clock.advance(MINUTE)
        await writer.count({"/": 1}, site=OTHER_SITE)
        assert len(rows) >= 2
        assert set(rows) <= set(await dumped(store, section, tier, site=OTHER_SITE))
