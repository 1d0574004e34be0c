"""Which period a dashboard is asked for, and what is read for it: the chart's buckets, those of the period before, and the span.

A period counts whole buckets of the store's clock (UTC), the current one included. A custom one is whole days; stores know spans
that end now, so one that ended earlier is a span from its first day on, less a span of what came after it.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping

import msgspec

from footfall.errors import BadInput
from footfall.model import DAY, DEFAULT_RETENTION, PERIODS, Span, Tier

DEFAULT = "24h"
CUSTOM = "custom"
ALL = "all"

#: What each period is called on its link and in a sentence: "30 days", "past 30 days".
NAMES: Mapping[str, tuple[str, str]] = {
    "24h": ("24 hours", "past 24 hours"),
    "7d": ("7 days", "past 7 days"),
    "30d": ("30 days", "past 30 days"),
    "12mo": ("12 months", "past 12 months"),
    ALL: ("All time", "all time"),
}

#: The buckets of the chart, where they are finer than the period's own.
_FINER: Mapping[str, Tier] = {"7d": Tier.HOUR}

#: A custom period of at most this many days is drawn by the hour, if its hours are kept.
_HOURLY_DAYS = 3

#: How far back "all" looks, in months, and how many months it needs to be drawn by the month.
ALL_MONTHS = 240
_MONTHLY = 4


class Asked(msgspec.Struct, frozen=True):
    """A period as a request names it: by name, or custom from one day to another, both included (their first seconds)."""

    name: str
    first_day: int = 0
    last_day: int = 0

    @property
    def query(self) -> dict[str, str]:
        """The parameters that ask for it again."""
        if self.name == CUSTOM:
            return {"from": day_text(self.first_day), "to": day_text(self.last_day)}
        return {} if self.name == DEFAULT else {"period": self.name}


class Period(msgspec.Struct, frozen=True):
    """What to read. `start` and `end` bound the chart's buckets of `tier`, `before` those of the same length before (None: none).

    Lists are of `span`, less what is in `later` where the period has ended. `names` are its link and its words in a sentence.
    """

    asked: Asked
    tier: Tier
    start: int
    end: int
    before: int | None
    span: Span
    later: Span | None
    words: str

    @property
    def buckets(self) -> list[int]:
        """The first second of each bucket of the chart."""
        return self.tier.starts(self.start, self.end)


def read_asked(query: Mapping[str, str]) -> Asked:
    """The period that a query names. Raises BadInput."""
    if query.get("from") or query.get("to"):
        first = _day(query, "from")
        last = _day(query, "to")
        if last < first:
            raise BadInput("to", "a day that is not before the first")
        return Asked(CUSTOM, first, last)
    name = query.get("period") or DEFAULT
    if name not in PERIODS:
        raise BadInput("period", f"one of {', '.join(PERIODS)}, or from and to")
    return Asked(name)


def period_of(asked: Asked, now: int, first_month: int) -> Period:
    """The period at the store's second `now`; the site has its first views in the month that begins at `first_month`.

    Raises BadInput for days that are not kept or yet to come.
    """
    if asked.name == CUSTOM:
        return _custom(asked, now)
    span, words = PERIODS[asked.name], NAMES.get(asked.name, (asked.name, asked.name))[1]
    if asked.name == ALL:
        is_long = first_month < Tier.MONTH.back(now, _MONTHLY - 1)
        tier = Tier.MONTH if is_long else Tier.DAY
        return Period(asked, tier, first_month, now + 1, None, span, None, words)
    tier = _FINER.get(asked.name, span.tier)
    start = span.start(now)
    return Period(asked, tier, start, now + 1, span.tier.back(start, span.buckets), span, None, words)


def _custom(asked: Asked, now: int) -> Period:
    today = Tier.DAY.start(now)
    kept = DEFAULT_RETENTION[Tier.DAY] // DAY
    if asked.first_day > today:
        raise BadInput("from", "a day that has begun (days are in UTC)")
    if asked.first_day <= today - kept * DAY:
        raise BadInput("from", f"one of the past {kept} days; older days are only kept by month, see All time")
    last = min(asked.last_day, today)
    days = (last - asked.first_day) // DAY + 1
    later = (today - last) // DAY
    has_hours = asked.first_day - days * DAY > today - DEFAULT_RETENTION[Tier.HOUR] + DAY
    return Period(
        asked,
        Tier.HOUR if days <= _HOURLY_DAYS and has_hours else Tier.DAY,
        asked.first_day,
        min(last + DAY, now + 1),
        asked.first_day - days * DAY,
        Span(Tier.DAY, days + later),
        Span(Tier.DAY, later) if later else None,
        f"{long_day(asked.first_day)} to {long_day(last)}" if days > 1 else long_day(last),
    )


def _day(query: Mapping[str, str], name: str) -> int:
    try:
        return calendar.timegm(time.strptime(query.get(name, ""), "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise BadInput(name, "a day such as 2026-03-31, in both fields") from None


def day_text(at: int) -> str:
    """A day (UTC) as forms and links have it: 2026-03-31."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def long_day(at: int) -> str:
    """A day (UTC) for people: 31 Mar 2026."""
    return time.strftime("%d %b %Y", time.gmtime(at)).lstrip("0")


def bucket_name(tier: Tier, at: int) -> str:
    """A bucket for people, UTC: "24 Nov, 14:00", "24 Nov", "Nov 2026"."""
    shape = {Tier.HOUR: "%d %b, %H:%M", Tier.DAY: "%a %d %b", Tier.MONTH: "%b %Y"}.get(tier, "%H:%M:%S")
    return time.strftime(shape, time.gmtime(at)).removeprefix("0").replace(" 0", " ")
