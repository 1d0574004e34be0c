"""Dumping a site and loading it elsewhere: every bucket that has ended comes out as it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from footfall.model import DAY, DEFAULT_RETENTION, HOUR, WHOLE_SITE, Batch, Section, SiteBatch, Span, Tier
from footfall.stores import Store
from footfall.stores.base import VISITOR_HOURS
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, Writer, count_of
from tests.contract.test_details import traits, visited

Rows = list[tuple[int | str, ...]]

#: Sections and the tiers they have.
PARTS = (
    *((Section.VIEWS, tier) for tier in Tier),
    *((Section.TRAITS, tier) for tier in (Tier.HOUR, Tier.DAY, Tier.MONTH)),
    *((Section.VISITORS, tier) for tier in (Tier.HOUR, Tier.DAY)),
    (Section.WRITERS, Tier.TOTAL),
)


async def dumped(store: Store, section: Section, tier: Tier, limit: int = 10_000, site: str = SITE) -> Rows:
    """All rows of a section and tier, in order."""
    return sorted([row async for row in _rows(store, site, section, tier, limit)])


async def _rows(store: Store, site: str, section: Section, tier: Tier, limit: int) -> AsyncIterator[tuple[int | str, ...]]:
    after: str | None = None
    while True:
        dump = await store.dump(site, section, tier, after, limit)
        for row in dump.rows:
            yield row
        after = dump.after
        if after is None:
            return


async def history(store: Store, clock: Clock) -> None:
    """Views of all kinds over some days."""
    writer = Writer(store)
    await Writer(store, "an-import", lasting=True).count(timed={("/old", START - 40 * DAY): 3})
    for hours in (0, 1, 5, 30, 31):
        clock.set(START + hours * HOUR)
        await writer.commit({SITE: visited("/", range(hours + 1))})
        await writer.commit({SITE: SiteBatch({"/é": 2}, traits={("/é", None, traits(referrer="a.example")): 2})})
        await writer.count({f"/{n}": n + 1 for n in range(20)}, events={f"event-{hours}": ("/e", None)})


async def test_a_dump_has_all_that_there_is(store: Store, clock: Clock) -> None:
    """Row by row what the specification has, whatever the size of a page of it."""
    specification = MemoryStore(clock)
    for each in (store, specification):
        clock.set(START)
        await history(each, clock)
    for section, tier in PARTS:
        expected = await dumped(specification, section, tier)
        assert await dumped(store, section, tier) == expected
        assert await dumped(store, section, tier, limit=3) == expected
        assert expected or tier is Tier.SECOND


async def test_what_is_loaded_is_what_was_dumped(store: Store, clock: Clock) -> None:
    """From the specification into the store: all reads and dumps then agree."""
    specification = MemoryStore(clock)
    await history(specification, clock)
    for section, tier in PARTS:
        await store.load(SITE, section, tier, await dumped(specification, section, tier))
    for section, tier in PARTS:
        assert await dumped(store, section, tier) == await dumped(specification, section, tier)
    for page in (WHOLE_SITE, "/", "/é", "/19", "/old"):
        assert (await store.counts(SITE, [page], 60)).pages == (await specification.counts(SITE, [page], 60)).pages
        for span in (Span(Tier.SECOND, 60), Span(Tier.MINUTE, 120), Span(Tier.HOUR, 48), Span(Tier.DAY, 3), Span(Tier.MONTH, 3)):
            assert await store.newest(SITE, page, span) == await specification.newest(SITE, page, span)
    assert await store.breakdown(SITE, "/", "device", Span(Tier.DAY, 3), 9) == await specification.breakdown(
        SITE, "/", "device", Span(Tier.DAY, 3), 9
    )
    assert await store.applied(SITE, "an-import") == 1


async def test_counting_goes_on_after_a_load(store: Store, clock: Clock) -> None:
    """New views are added to what was loaded, in every tier, then and when minutes have passed."""
    specification = MemoryStore(clock)
    await history(specification, clock)
    for section, tier in PARTS:
        await store.load(SITE, section, tier, await dumped(specification, section, tier))
    for each in (store, specification):
        clock.set(START + 31 * HOUR)
        writer = Writer(each, "after")
        for seconds in (0, 1, 59, 61, 3600):
            clock.advance(seconds)
            await writer.count({"/": 1, "/new": 2})
    for tier in Tier:
        assert await dumped(store, Section.VIEWS, tier) == await dumped(specification, Section.VIEWS, tier)


async def test_what_is_counted_before_what_was_loaded_is_there(store: Store, clock: Clock) -> None:
    """A clock that is put back stands before a restored site's buckets: its views are read and dumped all the same."""
    clock.set(START + 5 * DAY)
    await store.load(SITE, Section.VIEWS, Tier.DAY, [(Tier.DAY.start(START + 5 * DAY), "/loaded", 5)])
    clock.set(START)
    await Writer(store).commit({SITE: SiteBatch({"/": 1}, traits={("/", None, traits(referrer="a.example")): 1})})
    clock.set(START + 5 * DAY)
    await Writer(store, "later").count({"/": 1})
    found = await store.breakdown(SITE, WHOLE_SITE, "referrer", Span(Tier.DAY, 7), 9)
    assert found.values == [("a.example", 1)]
    assert (Tier.DAY.start(START), "/", 1) in await dumped(store, Section.VIEWS, Tier.DAY)
    assert (Tier.DAY.start(START), WHOLE_SITE, "referrer", "a.example", 1) in await dumped(store, Section.TRAITS, Tier.DAY)


async def test_what_is_over_when_it_is_loaded_is_left_out(store: Store, clock: Clock) -> None:
    """It does not come back when the clock is put back; what is kept, and what is kept for ever, is there."""
    trait = (WHOLE_SITE, "browser", "Firefox")
    for section, tier, age, rest in (
        (Section.VIEWS, Tier.SECOND, DEFAULT_RETENTION[Tier.SECOND], ("/",)),
        (Section.VIEWS, Tier.MINUTE, DEFAULT_RETENTION[Tier.MINUTE], ("/",)),
        (Section.VIEWS, Tier.DAY, DEFAULT_RETENTION[Tier.DAY], ("/",)),
        (Section.TRAITS, Tier.HOUR, DEFAULT_RETENTION[Tier.HOUR], trait),
        (Section.VISITORS, Tier.HOUR, VISITOR_HOURS, ("/",)),
        (Section.VISITORS, Tier.DAY, DEFAULT_RETENTION[Tier.DAY], ("/",)),
    ):
        await store.forget(SITE)
        clock.set(START)
        over, kept = tier.start(START - age), tier.start(START - age) + tier.width
        await store.load(SITE, section, tier, [(over, *rest, 4), (kept, *rest, 5)])
        clock.set(START - tier.width)
        assert await dumped(store, section, tier) == [(kept, *rest, 5)]
    await store.load(SITE, Section.VIEWS, Tier.TOTAL, [(0, "/", 7)])
    assert (await count_of(store, "/")).total == 7


async def test_a_load_in_pieces_and_of_several_sites(store: Store) -> None:
    """Rows may come in any number of calls; sites do not meet."""
    rows: Rows = [(Tier.DAY.start(START), f"/{n}", n + 1) for n in range(100)]
    for first in range(0, 100, 30):
        await store.load(SITE, Section.VIEWS, Tier.DAY, rows[first : first + 30])
    await store.load(OTHER_SITE, Section.VIEWS, Tier.DAY, rows[:1])
    assert await dumped(store, Section.VIEWS, Tier.DAY) == sorted(rows)
    assert await store.sites() == sorted([SITE, OTHER_SITE])


async def test_buckets_that_have_ended_are_dumped_once_while_views_come_in(store: Store, clock: Clock) -> None:
    """A dump in small pages, a view between any two: what had ended before comes out as it was."""
    await history(store, clock)
    clock.advance(2 * HOUR)
    chance = random.Random(1)
    writer = Writer(store, "meanwhile")
    for section, tier in ((Section.VIEWS, Tier.HOUR), (Section.TRAITS, Tier.HOUR)):
        before = await dumped(store, section, tier)
        seen: Rows = []
        after: str | None = None
        while True:
            dump = await store.dump(SITE, section, tier, after, 7)
            seen += dump.rows
            after = dump.after
            if after is None:
                break
            await writer.count({f"/{chance.randrange(50)}": 1})
            clock.advance(1)
        assert sorted(row for row in seen if row[0] != Tier.HOUR.start(clock.second)) == before


@pytest.mark.parametrize("section", Section)
async def test_a_site_never_seen_has_nothing_to_dump(store: Store, section: Section) -> None:
    """And asking for it does not make one."""
    assert (await store.dump(SITE, section, Tier.HOUR)).rows == []
    assert await store.sites() == []


async def test_the_sites_are_those_with_views_or_drops(store: Store) -> None:
    """In order; a site that is forgotten is none of them."""
    part = SiteBatch({"/": 1})
    await asyncio.gather(
        *(store.commit(Batch("w", 1, {site: part})) for site in ("b.example", "a.example", "é.example", "c.example"))
    )
    await store.commit(Batch("v", 1, {"d.example": SiteBatch(outcomes={"bot": 1})}))
    await store.forget("c.example")
    assert await store.sites() == ["a.example", "b.example", "d.example", "é.example"]
