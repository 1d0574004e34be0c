"""Reading details from a snapshot of the SQLite file: what is in days and months, the hours that are not yet, and what waits."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict

from footfall.model import (
    DAY,
    HOUR,
    MINUTE,
    PRESENCE_MINUTES,
    Breakdown,
    Presence,
    Retention,
    Series,
    Span,
    Tier,
    oldest_kept,
)
from footfall.stores.base import Clock, detail_tier
from footfall.stores.hyperloglog import REGISTER_BITS, estimate
from footfall.stores.retention import Keeping
from footfall.stores.sqlite.details import statements as sql
from footfall.stores.sqlite.details.folding import oldest_visitors
from footfall.stores.sqlite.details.pending import Ranks, gathered_lines, gathered_ranks
from footfall.stores.sqlite.site_row import PAGE_BITS, REGISTERS, TRAIT_BITS, TRAITS, Known, as_json, look, page_ids


class DetailReads:
    """The questions about traits and visitors, each asked of one snapshot."""

    def __init__(self, clock: Clock, retention: Retention) -> None:
        self._clock = clock
        self._keeping = Keeping(retention)

    def breakdown(
        self,
        cx: sqlite3.Connection,
        site: str,
        page: str,
        dimension: str,
        span: Span,
        limit: int,
        after: tuple[int, str] | None,
    ) -> Breakdown:
        """The most frequent values of a dimension."""
        known, now = look(cx, site, int(self._clock()))
        tier = detail_tier(span.tier, page)
        page_id = page_ids(cx, known, [page]).get(page) if known else None
        row = cx.execute(sql.DIMENSION, (dimension,)).fetchone()
        if known is None or page_id is None or row is None:
            return Breakdown(now, [])
        first = max(span.start(now), oldest_kept(tier, self._keeping.of(known.rules), now))
        slot = page_id << PAGE_BITS | row[0] << TRAIT_BITS
        waiting: dict[int, int] = defaultdict(int)
        for hour, line, n in gathered_lines(cx, known, slot, slot | TRAITS):
            if tier.start(hour) >= first:
                waiting[line & TRAITS] += n
        views, value = after or (None, "")
        arguments = {
            "site": known.id,
            "starts": as_json([start for start in tier.starts(first, now + 1) if start >= first]),
            "hours": as_json([hour for hour in range(known.hour, known.newest + 1, HOUR) if tier.start(hour) >= first]),
            "first": slot,
            "last": slot | TRAITS,
            "waiting": as_json(waiting),
            "hour": known.hour,
            "line": known.line,
            "views": views,
            "value": value,
            "limit": limit,
        }
        return Breakdown(now, cx.execute(sql.BREAKDOWN[tier], arguments).fetchall())

    def visitors(self, cx: sqlite3.Connection, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        """Visitors by bucket."""
        known, now = look(cx, site, int(self._clock()))
        visitors = dict.fromkeys(tier.starts(start, end), 0)
        page_id = page_ids(cx, known, [page]).get(page) if known else None
        if known and page_id is not None:
            oldest = oldest_visitors(tier, self._keeping.of(known.rules), now)
            kept = [t for t in visitors if t >= oldest]
            for t, n in cx.execute(sql.CLOSED_VISITORS, (known.id, tier.width, page_id, as_json(kept))):
                visitors[t] += n
            for t, n in self._open(cx, known, page_id, tier, kept).items():
                visitors[t] += n
        return Series(now, list(visitors.items()))

    def present(self, cx: sqlite3.Connection, site: str) -> Presence:
        """Visitors of the newest minutes."""
        known, now = look(cx, site, int(self._clock()))
        if known is None:
            return Presence(now, 0)
        first = Tier.MINUTE.back(now, PRESENCE_MINUTES - 1)
        ranks: dict[int, int] = dict(cx.execute(sql.PRESENT, (known.id, first)).fetchall())
        for (width, t), places in gathered_ranks(cx, known).items():
            if width == MINUTE and t >= first:
                for place, rank in places.items():
                    ranks[place] = max(rank, ranks.get(place, 0))
        return Presence(now, estimate(Counter(ranks.values())))

    def _open(self, cx: sqlite3.Connection, known: Known, page: int, tier: Tier, starts: list[int]) -> dict[int, int]:
        """The visitors of those buckets that are open."""
        (first,) = cx.execute(sql.FIRST_REGISTERS, (known.id, HOUR)).fetchone()
        hours = [] if tier is Tier.HOUR or first is None else list(range(first, known.newest + 1, HOUR))
        wanted = set(starts)
        of_page = page << REGISTER_BITS
        arguments = {
            "site": known.id,
            "width": tier.width,
            "starts": as_json(starts),
            "hours": as_json([hour for hour in hours if tier.start(hour) in wanted]),
            "first": of_page,
            "last": of_page | REGISTERS,
            "waiting": as_json(
                [
                    row
                    for row in waiting_ranks(gathered_ranks(cx, known), tier)
                    if row[0] in wanted and row[1] >> REGISTER_BITS == page
                ]
            ),
        }
        found: dict[int, dict[int, int]] = defaultdict(dict)
        for t, rank, registers in cx.execute(sql.OPEN_VISITORS, arguments):
            found[t][rank] = registers
        return {t: estimate(ranks) for t, ranks in found.items()}


def waiting_ranks(waiting: Ranks, tier: Tier) -> list[tuple[int, int, int]]:
    """(bucket start, place, rank) of what waits for buckets of a tier, days having what waits for their hours."""
    widths = (HOUR, DAY) if tier is Tier.DAY else (HOUR,)
    return [
        (tier.start(t), place, rank)
        for (width, t), places in waiting.items()
        if width in widths
        for place, rank in places.items()
    ]
