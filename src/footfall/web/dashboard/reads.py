"""Reads what a dashboard shows of one site, or of one of its pages: the past minute, a period, its lists, its ledger.

All numbers are the store's. Lists of a period that has ended are a longer list less a later one; where either is longer than is
read, `is_whole` says that they may not be complete. This module knows no requests and no HTML.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from footfall.model import DIMENSIONS, OUTCOME, WHOLE_SITE, Count, DropReason, Series, Span, Tier
from footfall.reading.shared_reads import Reads
from footfall.web.dashboard.charts import Point, points_of
from footfall.web.dashboard.period import ALL, ALL_MONTHS, Asked, Period, period_of

Rows = list[tuple[str, int]]

#: (bucket start, number)
Numbers = list[tuple[int, int]]

#: Rows of a list that are read at most, to search or subtract in.
MOST_ROWS = 1000

#: Pages of a period that has ended are looked for among so many.
_CANDIDATES = 100

#: Buckets of a sparkline, by the tier of the chart.
_SPARKS: Mapping[Tier, int] = {Tier.HOUR: 24, Tier.DAY: 30, Tier.MONTH: 12}


class Listing(msgspec.Struct, frozen=True):
    """Some rows of a list, most viewed first. Not `is_whole`: rows may be missing, of which nothing is known."""

    rows: Rows
    is_whole: bool = True


class Minute(msgspec.Struct, frozen=True):
    """The window that ends with second `at`: views by second, their sum, today's and all; visitors here now (None: a page's)."""

    at: int
    seconds: list[tuple[int, int]]
    count: Count
    here: int | None
    shares: list[tuple[str, int]]

    @property
    def views(self) -> int:
        """All views in the window."""
        return sum(n for _, n in self.seconds)


class History(msgspec.Struct, frozen=True):
    """A period's buckets and sums. `closed` are views of the buckets that have ended, `closed_before` of those before them.

    `visitors` are the sum over `visitor_days` days, of whom each counts once a day; 0 days: they are not known.
    """

    points: list[Point]
    views: int
    visitors: int
    visitor_days: int
    closed: int
    closed_before: int


class DashboardReads:
    """Reads through `reads`; `window` is the past minute's length in seconds, `shares` each instance's part of it."""

    def __init__(self, reads: Reads, window: int, shares: Callable[[str], Mapping[str, int]]) -> None:
        self._reads = reads
        self._span = Span(Tier.SECOND, window)
        self._shares = shares

    @property
    def window(self) -> int:
        """The past minute's length in seconds."""
        return self._span.buckets

    async def minute(self, site: str, page: str) -> Minute:
        """The past minute; its bars and its number are one reading."""
        series, counts = await asyncio.gather(
            self._reads.newest(site, page, self._span), self._reads.counts(site, page, self._span.buckets)
        )
        here = (await self._reads.present(site)).visitors if page == WHOLE_SITE else None
        shares = sorted(self._shares(site).items()) if page == WHOLE_SITE else []
        return Minute(series.at, series.points, counts.pages[page], here, shares)

    async def summary(self, site: str) -> tuple[Minute, list[tuple[int, int]]]:
        """The past minute of a site, and its past 24 hours."""
        day = await self._reads.newest(site, WHOLE_SITE, Span(Tier.HOUR, 24))
        return await self.minute(site, WHOLE_SITE), day.points

    async def period(self, site: str, page: str, asked: Asked, now: int) -> Period:
        """What is to be read for a period. Raises BadInput."""
        first = Tier.MONTH.start(now)
        if asked.name == ALL:
            months = await self._reads.newest(site, page, Span(Tier.MONTH, ALL_MONTHS))
            first = next((at for at, views in months.points if views), first)
        return period_of(asked, now, first)

    async def history(self, site: str, page: str, period: Period, now: int) -> History:
        """The period's buckets, with visitors and the period before."""
        views, visitors, before = await asyncio.gather(
            self._reads.series(site, page, period.tier, period.start, period.end),
            self._visitors(site, page, period, now),
            self._before(site, page, period),
        )
        by_day, by_bucket = visitors
        is_open = period.end == now + 1
        closed = len(views.points) - is_open
        return History(
            points_of(period.tier, views.points, by_bucket, before),
            sum(n for _, n in views.points),
            sum(n for _, n in by_day),
            len(by_day),
            sum(n for _, n in views.points[:closed]),
            sum(before[:closed]),
        )

    async def _before(self, site: str, page: str, period: Period) -> list[int]:
        if period.before is None:
            return []
        series = await self._reads.series(site, page, period.tier, period.before, period.start)
        return [n for _, n in series.points]

    async def _visitors(self, site: str, page: str, period: Period, now: int) -> tuple[Numbers, Numbers]:
        """Visitors by day, and by the chart's buckets. Those of a month are the sum of its days."""
        days = (await self._kept_days(site, page, period, now)).points
        if period.tier is Tier.DAY:
            return days, days
        if period.tier is Tier.MONTH:
            months: dict[int, int] = {}
            for at, n in days:
                month = Tier.MONTH.start(at)
                months[month] = months.get(month, 0) + n
            return days, list(months.items())
        hours = await self._reads.visitors(site, page, Tier.HOUR, period.start, period.end)
        return days, hours.points

    async def _kept_days(self, site: str, page: str, period: Period, now: int) -> Series:
        """The days of a period; of one that is only hours old, today."""
        is_a_day = period.span.tier is Tier.HOUR
        start = Tier.DAY.start(now) if is_a_day else max(period.start, Tier.DAY.back(now, 729))
        return await self._reads.visitors(site, page, Tier.DAY, start, period.end)

    async def listing(self, site: str, page: str, dimension: str, period: Period, limit: int) -> Listing:
        """The most frequent values of a dimension (or OUTCOME) in a period."""
        read = self._reads.breakdown
        if period.later is None:
            return Listing((await read(site, page, dimension, period.span, limit)).values)
        wide, later = await asyncio.gather(
            read(site, page, dimension, period.span, MOST_ROWS), read(site, page, dimension, period.later, MOST_ROWS)
        )
        rows = less(wide.values, later.values)
        return Listing(rows[:limit], len(wide.values) < MOST_ROWS)

    async def pages(self, site: str, period: Period, limit: int, after: tuple[int, str] | None = None) -> Listing:
        """The most viewed pages of a period, after `after`. Those of one that has ended are looked for among the most viewed
        since it began, and each is read by itself.
        """
        if period.later is None:
            return Listing((await self._reads.top(site, period.span, limit, after)).pages)
        wide = (await self._reads.top(site, period.span, _CANDIDATES)).pages
        counts = await asyncio.gather(*(self._views(site, page, period) for page, _ in wide))
        rows = ordered([(page, n) for (page, _), n in zip(wide, counts, strict=True) if n], after)
        return Listing(rows[:limit], len(wide) < _CANDIDATES)

    async def _views(self, site: str, page: str, period: Period) -> int:
        series = await self._reads.series(site, page, Tier.DAY, period.start, period.end)
        return sum(n for _, n in series.points)

    async def sparks(self, site: str, pages: Sequence[str], period: Period) -> list[list[int]]:
        """The newest buckets of some pages, of a width that fits the period."""
        span = Span(period.tier, _SPARKS[period.tier])
        start = span.start(period.end - 1)
        found = await asyncio.gather(*(self._reads.series(site, page, span.tier, start, period.end) for page in pages))
        return [[n for _, n in series.points] for series in found]

    async def live(self, site: str, pages: Sequence[str]) -> list[int]:
        """The views of some pages in the past minute."""
        found = await asyncio.gather(*(self._reads.counts(site, page, self._span.buckets) for page in pages))
        return [counts.pages[page].views for counts, page in zip(found, pages, strict=True)]

    async def busiest(self, site: str, limit: int) -> Rows:
        """The most viewed pages of the past minute."""
        return (await self._reads.top(site, self._span, limit)).pages

    async def total(self, site: str, page: str, period: Period) -> int:
        """All views of a period, from the buckets that its lists are of."""
        tier = period.tier if period.span.tier is Tier.TOTAL else period.span.tier
        series = await self._reads.series(site, page, tier, period.start, period.end)
        return sum(n for _, n in series.points)

    async def panels(self, site: str, page: str, period: Period, limit: int) -> list[Listing]:
        """The lists of all dimensions, in their order."""
        return list(await asyncio.gather(*(self.listing(site, page, one.name, period, limit) for one in DIMENSIONS)))

    async def outcomes(self, site: str, period: Period) -> Rows:
        """What was received in a period and not counted, by reason."""
        return (await self.listing(site, WHOLE_SITE, OUTCOME, period, len(DropReason) + 1)).rows


def less(wide: Rows, later: Rows) -> Rows:
    """A list without what a later part of it has, in the order of lists."""
    taken = dict(later)
    return ordered([(name, n - taken.get(name, 0)) for name, n in wide if n > taken.get(name, 0)])


def ordered(rows: Rows, after: tuple[int, str] | None = None) -> Rows:
    """Rows most viewed first, equals by name; those after `after` (views, name)."""
    rows = sorted(rows, key=lambda row: (-row[1], row[0]))
    return rows if after is None else [row for row in rows if (-row[1], row[0]) > (-after[0], after[1])]
