"""What the reading calls promise: counts, series and the most viewed pages, all of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from footfall.model import DAY, HOUR, MINUTE, PERIODS, WHOLE_SITE, Count, Span, Tier
from footfall.stores import Store
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, Writer, count_of, utc

MINUTE_SPAN = Span(Tier.SECOND, 60)

#: Every span that is asked for: the named periods, and windows.
SPANS: Mapping[str, Span] = {**PERIODS, "1 s": Span(Tier.SECOND, 1), "60 s": MINUTE_SPAN, "540 s": Span(Tier.SECOND, 540)}


# What is not there


@pytest.mark.parametrize("known", [False, True])
async def test_what_was_never_seen_counts_nothing(store: Store, writer: Writer, known: bool) -> None:
    """A page never seen, on a site never seen or on a known one, has counts and points of 0, and is in no list."""
    await writer.count({"/other": 1}, site=SITE if known else OTHER_SITE)
    counts = await store.counts(SITE, ["/", "/never"], 60)
    assert (counts.at, counts.pages) == (START, dict.fromkeys(["/", "/never"], Count(0, 0, 0)))
    for tier in Tier:
        series = await store.newest(SITE, "/", Span(tier, 3))
        assert (series.at, [views for _, views in series.points]) == (START, [0] * (1 if tier is Tier.TOTAL else 3))
    for span in SPANS.values():
        top = await store.top(SITE, span, 9)
        assert (top.at, top.pages) == (START, [("/other", 1)] if known else [])


async def test_reading_makes_nothing(store: Store) -> None:
    """A site that was only read is as if it had never been asked for: nothing of what visitors invent is kept."""
    await store.counts(OTHER_SITE, ["/"], 60)
    await store.forget(OTHER_SITE, "/")
    await store.forget(OTHER_SITE)
    assert await count_of(store, WHOLE_SITE, site=OTHER_SITE) == Count(0, 0, 0)
    assert (await store.top(OTHER_SITE, MINUTE_SPAN, 9)).pages == []


# Counts


async def test_counts_come_for_each_page_asked_for(store: Store, writer: Writer) -> None:
    """In any number, also of none, and asked for twice as once."""
    await writer.count({"/a": 1, "/b": 2})
    assert (await store.counts(SITE, [], 60)).pages == {}
    assert (await store.counts(SITE, ["/b", "/a", "/b", WHOLE_SITE, "/c", WHOLE_SITE], 60)).pages == {
        "/b": Count(2, 2, 2),
        "/a": Count(1, 1, 1),
        WHOLE_SITE: Count(3, 3, 3),
        "/c": Count(0, 0, 0),
    }
    many = [f"/{i}" for i in range(1000)]
    assert (await store.counts(SITE, [*many, "/a"], 60)).pages == {**dict.fromkeys(many, Count(0, 0, 0)), "/a": Count(1, 1, 1)}


async def test_the_site_s_line_is_the_sum_of_its_pages(store: Store, writer: Writer, clock: Clock) -> None:
    """In the window, today and in total, whenever one looks."""
    pages = [f"/{i}" for i in range(7)]
    for n in range(40):
        await writer.count({pages[n % 7]: n % 4 + 1}, timed={(pages[n % 5], clock.second - n * n * 97): 1})
        clock.advance(n)
        counts = (await store.counts(SITE, [*pages, WHOLE_SITE], 60)).pages
        parts = [counts[page] for page in pages]
        assert counts[WHOLE_SITE] == Count(
            sum(count.views for count in parts), sum(count.today for count in parts), sum(count.total for count in parts)
        )


async def test_an_acknowledged_view_is_in_the_next_reading(store: Store) -> None:
    """Of many tasks that each count a view and then read, none reads less than it has been told is counted."""
    acknowledged = 0

    async def count_and_read(i: int) -> None:
        nonlocal acknowledged
        await Writer(store, f"w{i}").count({"/": 1})
        acknowledged += 1
        at_least = acknowledged
        assert (await count_of(store, "/")).total >= at_least

    await asyncio.gather(*(count_and_read(i) for i in range(40)))
    assert await count_of(store, "/") == Count(40, 40, 40)


# Series


@pytest.mark.parametrize("tier", [Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH])
async def test_a_series_goes_from_the_bucket_of_its_start_to_the_last_before_its_end(
    store: Store, writer: Writer, tier: Tier
) -> None:
    """Its start may lie within a bucket, its end is not included; empty buckets and those to come are 0."""
    this, previous, following = tier.start(START), tier.back(START, 1), tier.back(START, -1)
    await writer.count({"/": 2}, timed={("/", previous): 1})
    for start, end, points in [
        (previous, following, [(previous, 1), (this, 2)]),
        (this - 1, this + 1, [(previous, 1), (this, 2)]),
        (this, this + 1, [(this, 2)]),
        (previous, this, [(previous, 1)]),
        (tier.back(START, 3), previous, [(tier.back(START, 3), 0), (tier.back(START, 2), 0)]),
        (following, following + 1, [(following, 0)]),
        (this, following + 1, [(this, 2), (following, 0)]),
        (this, this, []),
    ]:
        series = await store.series(SITE, "/", tier, start, end)
        assert (series.at, series.points) == (START, points)


async def test_the_total_is_one_bucket(store: Store, writer: Writer) -> None:
    """It begins at 0 and has all views."""
    await writer.count({"/": 2}, timed={("/", START - 900 * DAY): 1})
    assert (await store.series(SITE, "/", Tier.TOTAL, 0, START + 1)).points == [(0, 3)]
    assert (await store.newest(SITE, "/", Span(Tier.TOTAL, 1))).points == [(0, 3)]


async def test_a_series_may_have_ten_thousand_points(store: Store, writer: Writer) -> None:
    """Whatever the tier and however much of it is empty."""
    await writer.count({"/": 1})
    for tier in (Tier.SECOND, Tier.MINUTE, Tier.HOUR):
        points = (await store.series(SITE, "/", tier, tier.back(START, 9_999), START + 1)).points
        assert len(points) == 10_000
        assert sum(views for _, views in points) == 1


@pytest.mark.parametrize("tier", [tier for tier in Tier if tier is not Tier.TOTAL])
async def test_the_newest_buckets_end_with_the_current_one(store: Store, writer: Writer, clock: Clock, tier: Tier) -> None:
    """As many as were asked for, oldest first, of a page or of the whole site."""
    await writer.count({"/": 1, "/other": 1}, timed={("/", tier.back(START, 2)): 1, ("/", tier.back(START, 5)): 1})
    series = await store.newest(SITE, "/", Span(tier, 4))
    assert series.points == [(tier.back(START, n), views) for n, views in ((3, 0), (2, 1), (1, 0), (0, 1))]
    assert (await store.newest(SITE, WHOLE_SITE, Span(tier, 1))).points == [(tier.start(START), 2)]
    clock.set(tier.back(START, -1))
    series = await store.newest(SITE, "/", Span(tier, 2))
    assert (series.at, series.points) == (clock.second, [(tier.start(START), 1), (clock.second, 0)])


# The most viewed pages


async def test_pages_are_listed_most_viewed_first_and_equals_by_code_point(store: Store, writer: Writer) -> None:
    """Neither by letter, nor by UTF-16 unit; the site's own line is no page."""
    equals = ["/", "/A", "/B", "/a", "/a/", "/a0", "/aa", "/z", "/~", "/é", "/中", "/\uffee", "/\U0001f463"]
    assert equals == sorted(equals)
    await writer.count(dict.fromkeys(reversed(equals), 2) | {"/most": 9, "/least": 1})
    expected = [("/most", 9), *((page, 2) for page in equals), ("/least", 1)]
    for span in SPANS.values():
        assert (await store.top(SITE, span, 100)).pages == expected


@pytest.mark.parametrize("name", SPANS)
async def test_a_list_goes_on_behind_the_page_that_ended_the_last(store: Store, writer: Writer, name: str) -> None:
    """Parts of any length, put together, are the whole list; no page is in two of them."""
    await writer.count({f"/{i}": i % 4 + 1 for i in range(23)})
    span = SPANS[name]
    whole = (await store.top(SITE, span, 1000)).pages
    assert sorted(whole, key=lambda entry: (-entry[1], entry[0])) == whole
    assert len(whole) == 23
    for limit in (1, 5, 22, 23):
        listed: list[tuple[str, int]] = []
        while part := (await store.top(SITE, span, limit, (listed[-1][1], listed[-1][0]) if listed else None)).pages:
            assert len(part) <= limit
            listed += part
        assert listed == whole


async def test_a_list_goes_on_though_its_last_page_has_changed(store: Store, writer: Writer) -> None:
    """`after` is a place in the order, whether or not a page stands there."""
    await writer.count({"/a": 3, "/b": 2, "/c": 2, "/d": 1})
    for after, pages in [
        ((2, "/b"), ["/c", "/d"]),
        ((2, "/bb"), ["/c", "/d"]),
        ((2, "/"), ["/b", "/c", "/d"]),
        ((9, "/z"), ["/a", "/b", "/c", "/d"]),
        ((1, "/d"), []),
    ]:
        assert [page for page, _ in (await store.top(SITE, MINUTE_SPAN, 9, after)).pages] == pages


@pytest.mark.parametrize("name", [name for name in SPANS if name != "all"])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_list_has_the_views_of_its_span_and_no_others(
    store: Store, writer: Writer, clock: Clock, name: str, busy: bool
) -> None:
    """A view of the span's first second is in it, one of the second before is not; views of different buckets are summed."""
    span = SPANS[name]
    start = span.start(START)
    for t, pages in (
        (start - 1, {"/before": 5, "/both": 5}),
        (start, {"/first": 1, "/both": 2}),
        (START, {"/both": 1, "/now": 1}),
    ):
        clock.set(t)
        await writer.count(pages)
        if busy and t < START:
            for later in (1, 70, 130):
                clock.set(min(t + later, START))
                await writer.count({"/elsewhere": 1})
    listed = [entry for entry in (await store.top(SITE, span, 9)).pages if entry[0] != "/elsewhere"]
    assert listed == [("/both", 3), ("/first", 1), ("/now", 1)]


async def test_a_year_s_list_has_months_of_two_years(store: Store, writer: Writer, clock: Clock) -> None:
    """Twelve months, this one included; with a new month the oldest goes."""
    for text in ("2025-02-28 23:59:59", "2025-03-01 00:00:00", "2025-12-31 23:59:59", "2026-02-01 00:00:00"):
        clock.set(utc(text))
        await writer.count({f"/{text[:7]}": 1})
    clock.set(utc("2026-02-28 12:00:00"))
    assert [page for page, _ in (await store.top(SITE, PERIODS["12mo"], 9)).pages] == ["/2025-03", "/2025-12", "/2026-02"]
    clock.set(utc("2026-03-01 00:00:00"))
    assert [page for page, _ in (await store.top(SITE, PERIODS["12mo"], 9)).pages] == ["/2025-12", "/2026-02"]


async def test_lists_and_the_site_s_line_agree(store: Store, writer: Writer, clock: Clock) -> None:
    """The pages of a span add up to the site's own buckets of it, at any moment and for every span."""
    steps = (1, 3, 59, 61, 7, 110, HOUR - 40, 25, MINUTE, 5 * HOUR, 13, DAY, 2, 9 * DAY, 31 * DAY, 4)
    for n, step in enumerate(steps, 1):
        await writer.count({f"/{n % 3}": n}, timed={("/late", clock.second - n * 1000): 1, ("/later", clock.second - n * DAY): 1})
        clock.advance(step)
        for span in SPANS.values():
            listed = sum(views for _, views in (await store.top(SITE, span, 100)).pages)
            assert listed == sum(views for _, views in (await store.newest(SITE, WHOLE_SITE, span)).points)
