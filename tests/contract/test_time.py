"""What the store's time promises: exact windows, every tier's retention, and a clock that may go wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from footfall.model import DAY, HOUR, MINUTE, PERIODS, WHOLE_SITE, Count, SiteBatch, Span, Tier
from footfall.stores import Store
from footfall.stores.base import WRITER_MEMORY
from tests.contract.conftest import OTHER_SITE, SHORT, SITE, START, Clock, Place, Writer, bucket_of, count_of, utc, views_of

WINDOWS = [1, 2, 59, 60, 61, 539, 540]

#: How far the second has passed in which a view is counted: of short windows each is tried with both, of the longest one each.
PASSED = [*((window, passed) for window in WINDOWS[:-2] for passed in (0.0, 0.999)), (539, 0.999), (540, 0.0)]


# The window


@pytest.mark.parametrize(("window", "fraction"), PASSED)
async def test_a_view_is_in_the_window_for_exactly_its_width(
    store: Store, writer: Writer, clock: Clock, window: int, fraction: float
) -> None:
    """Of readings a second apart, as many see a view as the window is wide: not one less, not one more."""
    clock.advance(fraction)
    await writer.count({"/": 1})
    readings = []
    for _ in range(window + 2):
        counts = await store.counts(SITE, ["/", WHOLE_SITE], window)
        assert counts.at == clock.second
        assert counts.pages["/"] == counts.pages[WHOLE_SITE]
        readings.append(counts.pages["/"].views)
        clock.advance(1)
    assert readings == [1] * window + [0, 0]


@pytest.mark.parametrize("window", [1, 60, 540])
async def test_the_window_is_the_sum_of_its_seconds_while_views_come_and_go(
    store: Store, writer: Writer, clock: Clock, window: int
) -> None:
    """With n views in each second n, the window holds the sum of the newest seconds, whether other views come or not."""
    seconds = window + 70
    for n in range(1, seconds + 1):
        await writer.count({"/": n}, wanted=["/"])
        if n in (1, window - 1, window, window + 1, seconds):
            assert await views_of(store, "/", window=window) == sum(range(max(1, n - window + 1), n + 1))
        clock.advance(1)
    for gone in range(1, window + 1, max(1, window // 9)):
        clock.set(START + seconds - 1 + gone)
        assert await views_of(store, "/", window=window) == sum(range(seconds - window + 1 + gone, seconds + 1))


async def test_a_window_does_not_begin_in_the_middle_of_a_second(store: Store, writer: Writer, clock: Clock) -> None:
    """Two views of one second leave the window together; two of neighbouring seconds do not, however near they were."""
    for t in (START + 0.0, START + 0.999, START + 1.0):
        clock.set(t)
        await writer.count({"/": 1})
    readings = []
    for t in (START + 59.999, START + 60, START + 60.999, START + 61):
        clock.set(t)
        readings.append(await views_of(store, "/"))
    assert readings == [3, 1, 1, 0]


# Views that bring their own time


@pytest.mark.parametrize("window", WINDOWS)
async def test_a_view_s_own_time_decides_whether_it_is_in_the_window(store: Store, writer: Writer, window: int) -> None:
    """It is in the window where it is newer than now less the width."""
    await writer.count(timed={("/in", START - window + 1): 1, ("/out", START - window): 1})
    counts = await store.counts(SITE, ["/in", "/out", WHOLE_SITE], window)
    assert [count.views for count in counts.pages.values()] == [1, 0, 1]
    assert counts.pages[WHOLE_SITE].total == 2


@pytest.mark.parametrize("ahead", [1, 59, 60, HOUR, 40 * DAY, 2**40])
async def test_a_time_in_the_future_becomes_now(store: Store, writer: Writer, clock: Clock, ahead: int) -> None:
    """Such a view is counted in the current second, and does not move the site's time."""
    await writer.count(timed={("/", START + ahead): 2}, events={"an-event-to-come": ("/", START + ahead)})
    assert (await store.newest(SITE, "/", Span(Tier.SECOND, 2))).points == [(START - 1, 0), (START, 3)]
    clock.advance(60)
    assert await count_of(store, "/") == Count(0, 3, 3)


@pytest.mark.parametrize("age", [0, 1, 29, 30, 31, 59, 60, 61, 100, 145, 200, 299, 300, 599, 600, 3599, 3600, 5000])
async def test_a_view_of_a_minute_long_past_goes_into_its_own_buckets(
    store: Store, writer: Writer, clock: Clock, age: int
) -> None:
    """However the store has gathered up the minutes since, a late view is added to the second, minute, hour and day it names."""
    for _ in range(13):
        await writer.count({"/": 1})
        clock.advance(25)
    late = clock.second - age
    await writer.count(timed={("/late", late): 4})
    for views in range(17, 21):
        for tier in Tier:
            expired = tier is Tier.SECOND and late <= clock.second - 600
            assert await bucket_of(store, "/late", tier, late) == (0 if expired else 4)
        assert (await count_of(store, WHOLE_SITE)).total == views
        await writer.count({"/": 1})
        clock.advance(50)


async def test_one_batch_may_bring_views_of_many_days(store: Store, writer: Writer) -> None:
    """Each goes into its own day and month; together they are the total."""
    times = [utc("2025-12-31 23:59:59"), utc("2026-01-01 00:00:00"), utc("2026-02-28 12:00:00"), START - DAY, START]
    await writer.count(timed={("/", t): i for i, t in enumerate(times, 1)})
    assert [await bucket_of(store, "/", Tier.DAY, t) for t in times] == [1, 2, 3, 4, 5]
    assert [await bucket_of(store, "/", Tier.MONTH, t) for t in times] == [1, 2, 3, 9, 9]
    assert await count_of(store, "/") == Count(5, 5, 15)


# Retention


@pytest.mark.parametrize("tier", list(SHORT))
@pytest.mark.parametrize("busy", [False, True])
async def test_a_bucket_is_kept_for_its_retention_exactly(place: Place, clock: Clock, tier: Tier, busy: bool) -> None:
    """A bucket counts until `retention` seconds have passed since its start, whether or not the site goes on counting."""
    store = place.open(SHORT)
    writer = Writer(store)
    start = tier.start(START)
    await writer.count({"/": 1})
    span = Span(tier, SHORT[tier] // tier.width + 1)
    moments = range(START + 20, start + SHORT[tier] - 1, max(20, SHORT[tier] // 20))
    for t in [*moments, start + SHORT[tier] - 1, start + SHORT[tier], start + 2 * SHORT[tier]]:
        clock.set(t)
        if busy:
            await writer.count({"/other": 1})
        kept = t < start + SHORT[tier]
        assert await bucket_of(store, "/", tier, start) == (1 if kept else 0)
        assert ("/" in dict((await store.top(SITE, span, 9)).pages)) == kept
    assert (await count_of(store, "/")).total == 1


@pytest.mark.parametrize("tier", list(SHORT))
async def test_a_view_too_old_for_a_tier_skips_that_tier_alone(place: Place, clock: Clock, tier: Tier) -> None:
    """A view is counted in every tier whose bucket of its time is still kept, and in no other."""
    store = place.open(SHORT)
    writer = Writer(store)
    start = tier.start(START)
    for age, kept in ((SHORT[tier] - 1, True), (SHORT[tier], False)):
        clock.set(start + age)
        before = await bucket_of(store, "/", tier, start)
        month, total = await bucket_of(store, "/", Tier.MONTH, start), (await count_of(store, "/")).total
        await writer.count(timed={("/", start): 1})
        assert await bucket_of(store, "/", tier, start) == (before + 1 if kept else 0)
        assert await bucket_of(store, "/", Tier.MONTH, start) == month + 1
        assert (await count_of(store, "/")).total == total + 1


@pytest.mark.parametrize("second", [61, 80, 120])
async def test_a_late_view_is_counted_however_short_seconds_are_kept(place: Place, clock: Clock, second: int) -> None:
    """A view older than the second tier's retention is in all coarser tiers, on every one of many sites."""
    store = place.open({**SHORT, Tier.SECOND: second})
    writer = Writer(store)
    sites = [f"{i}.example" for i in range(50)]
    for views in range(1, 15):
        late = SiteBatch(timed={("/", clock.second - second - views % 3): 1})
        await writer.commit(dict.fromkeys(sites, late), sites[0])
        for site in sites:
            assert (await count_of(store, "/", site=site)).total == views
        clock.advance(11)
    for site in sites:
        assert sum(n for _, n in (await store.newest(site, "/", Span(Tier.MINUTE, 20))).points) == 14


async def test_months_and_the_total_are_kept_for_ever(store: Store, writer: Writer, clock: Clock) -> None:
    """A view of 1971 is in its month and the total, and still is after many years."""
    old = utc("1971-02-03 04:05:06")
    await writer.count(timed={("/", old): 1})
    clock.set(utc("2060-01-01 00:00:00"))
    await writer.count({"/": 1})
    assert await bucket_of(store, "/", Tier.MONTH, old) == 1
    assert await bucket_of(store, "/", Tier.DAY, old) == 0
    assert await count_of(store, "/") == Count(1, 1, 2)


@pytest.mark.parametrize("idle", [59, 60, 61, 119, 600, HOUR, DAY, 3 * DAY, 40 * DAY, 800 * DAY])
async def test_a_site_that_was_idle_goes_on_where_it_was(store: Store, writer: Writer, clock: Clock, idle: int) -> None:
    """After any pause the old views are in their own buckets, as far as they are kept, and the new ones in the current."""
    await writer.count({"/": 2}, timed={("/", START - 70): 3})
    clock.advance(idle)
    today = 5 if idle < utc("2026-03-19 00:00:00") - START else 0
    assert await count_of(store, "/") == Count(2 if idle < 60 else 0, today, 5)
    receipt = await writer.count({"/": 4}, wanted=["/"])
    assert receipt.at == START + idle
    assert receipt.counts["/"] == Count(6 if idle < 60 else 4, today + 4, 9) == await count_of(store, "/")
    for tier, kept in ((Tier.MINUTE, 48 * HOUR), (Tier.HOUR, 90 * DAY), (Tier.DAY, 730 * DAY)):
        same = tier.start(START) == tier.start(START + idle)
        views = 5 if tier is not Tier.MINUTE else 2
        assert await bucket_of(store, "/", tier, START) == (views if idle + START - tier.start(START) < kept else 0) + 4 * same
        assert await bucket_of(store, "/", tier, clock.second) == 4 + views * same


# Edges of the calendar


@pytest.mark.parametrize(
    ("last", "new_month"),
    [
        ("2026-03-18 23:59:59", False),
        ("2026-03-31 23:59:59", True),
        ("2026-04-30 23:59:59", True),
        ("2026-12-31 23:59:59", True),
        ("2026-02-28 23:59:59", True),
        ("2024-02-28 23:59:59", False),
        ("2024-02-29 23:59:59", True),
        ("2100-02-28 23:59:59", True),
        ("1999-12-31 23:59:59", True),
    ],
)
@pytest.mark.parametrize("busy", [False, True])
async def test_midnight_parts_days_and_months_but_not_the_window(
    store: Store, writer: Writer, clock: Clock, last: str, new_month: bool, busy: bool
) -> None:
    """A view of the last second of a day and one of the next are in two days and in one window; days are UTC."""
    clock.set(utc(last))
    await writer.count({"/": 1})
    clock.advance(1)
    await writer.count({"/": 1})
    assert await count_of(store, "/") == Count(2, 1, 2)
    for later in (0, 59, HOUR, 3 * HOUR):
        clock.set(utc(last) + 1 + later)
        if busy:
            await writer.count({"/other": 1})
        for tier, buckets in ((Tier.MINUTE, 2), (Tier.HOUR, 2), (Tier.DAY, 2), (Tier.MONTH, 2 if new_month else 1)):
            points = (await store.series(SITE, "/", tier, utc(last), utc(last) + 2)).points
            assert points == ([(tier.start(utc(last)), 1), (utc(last) + 1, 1)] if buckets == 2 else [(tier.start(utc(last)), 2)])
    clock.set(utc(last) + DAY)
    assert (await count_of(store, "/")).today == 1
    clock.advance(1)
    assert await count_of(store, "/") == Count(0, 0, 2)


async def test_each_edge_of_an_hour_and_a_minute_parts_its_buckets(store: Store, writer: Writer, clock: Clock) -> None:
    """With a view every 11 seconds over two hours, each minute and hour holds those of its own seconds."""
    times = range(START, START + 2 * HOUR, 11)
    for t in times:
        clock.set(t)
        await writer.count({"/": 1})
    for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
        points = (await store.series(SITE, "/", tier, START, times[-1] + 1)).points
        assert points == [(start, sum(tier.start(t) == start for t in times)) for start in tier.starts(START, times[-1] + 1)]
        assert (await store.series(SITE, WHOLE_SITE, tier, START, times[-1] + 1)).points == points


# A clock that runs backward


@pytest.mark.parametrize("back", [1, 59, 60, 61, HOUR, DAY, 40 * DAY])
async def test_a_site_s_time_never_runs_backward(store: Store, writer: Writer, clock: Clock, back: int) -> None:
    """Until the clock has caught up, a site's now is the newest second it has seen; other sites go by the clock."""
    await writer.count({"/": 1})
    clock.advance(-back)
    assert (await store.counts(SITE, ["/"], 60)).at == START
    receipt = await writer.count({"/": 1}, timed={("/", START - 1): 1}, wanted=["/"])
    assert receipt.at == START
    assert receipt.counts["/"] == Count(3, 3, 3)
    assert (await store.newest(SITE, "/", Span(Tier.SECOND, 2))).points == [(START - 1, 1), (START, 2)]
    for tier in Tier:
        series = await store.newest(SITE, "/", Span(tier, 1))
        assert (series.at, series.points[0][0]) == (START, tier.start(START))
    assert (await store.top(SITE, PERIODS["24h"], 9)).at == START
    assert (await writer.count({"/": 1}, site=OTHER_SITE)).at == START - back
    clock.set(START + 1)
    assert (await writer.count({"/": 1}, wanted=["/"])).counts["/"] == Count(4, 4, 4)
    clock.set(START + 60)
    assert await views_of(store, "/") == 1


async def test_a_clock_that_was_ahead_for_a_while_costs_no_views(store: Store, writer: Writer, clock: Clock) -> None:
    """Reading, and repeating a batch, while the clock is years ahead changes nothing: only a new batch moves a site's time."""
    await writer.count({"/": 1}, events={"an-early-event-id": ("/", None)})
    clock.set(START + 3 * 365 * DAY)
    assert await count_of(store, "/") == Count(0, 0, 2)
    assert (await store.top(SITE, PERIODS["30d"], 9)).pages == []
    assert (await store.newest(SITE, "/", Span(Tier.DAY, 9))).points[-1] == (Tier.DAY.start(clock.second), 0)
    clock.set(START + WRITER_MEMORY - 1)
    assert (await writer.repeat()).at == START
    clock.set(START + 1)
    assert await count_of(store, "/") == Count(2, 2, 2)
    assert [await bucket_of(store, "/", tier, START) for tier in Tier] == [2] * 6
    assert await store.applied(SITE, writer.name) == 1
    assert (await writer.count(events={"an-early-event-id": ("/", None)})).duplicates == {"an-early-event-id"}


async def test_two_stores_whose_clocks_differ_share_the_later_time(
    store: Store, another: Callable[[], Store], clock: Clock
) -> None:
    """What one has counted in a second that the other's clock has not reached is in the other's reading all the same."""
    ahead, behind = Writer(store), Writer(another(), "v")
    clock.advance(30)
    await ahead.count({"/": 1})
    clock.advance(-30)
    assert (await behind.count({"/": 1}, wanted=["/"])).at == START + 30
    assert await count_of(behind.store, "/") == Count(2, 2, 2)


async def test_a_minute_s_bars_and_its_sum_agree(store: Store, writer: Writer, clock: Clock) -> None:
    """The seconds of the window add up to the count of the window, at every moment."""
    for n in range(1, 130):
        await writer.count({"/": n})
        clock.advance(n % 3)
        bars = await store.newest(SITE, "/", Span(Tier.SECOND, 60))
        counts = await store.counts(SITE, ["/"], 60)
        assert (bars.at, sum(views for _, views in bars.points)) == (counts.at, counts.pages["/"].views)
        assert [t for t, _ in bars.points] == list(range(bars.at - MINUTE + 1, bars.at + 1))
