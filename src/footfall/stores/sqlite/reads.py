"""Reading views from a snapshot of the SQLite file: what is rolled up, and the seconds that are not yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping

from footfall.model import Count, Counts, Retention, Series, Span, Tier, TopPages, oldest_kept
from footfall.stores.base import Clock
from footfall.stores.retention import Keeping
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.rankings import top
from footfall.stores.sqlite.site_row import Known, as_json, look, page_ids

NOTHING = Count(0, 0, 0)


class Reads:
    """The questions about views, each asked of one snapshot."""

    def __init__(self, clock: Clock, retention: Retention) -> None:
        self._clock = clock
        self._keeping = Keeping(retention)

    def counts(self, cx: sqlite3.Connection, site: str, pages: Iterable[str], window: int) -> Counts:
        """The counts of some pages."""
        pages = list(pages)
        known, now = look(cx, site, int(self._clock()))
        if known is None:
            return Counts(now, dict.fromkeys(pages, NOTHING))
        return Counts(now, counts(cx, known, page_ids(cx, known, pages), pages, window, now))

    def series(
        self, cx: sqlite3.Connection, site: str, page: str, tier: Tier, bounds: Callable[[int], tuple[int, int]]
    ) -> Series:
        """Views by bucket; `bounds` says from and to which second, given the site's now."""
        known, now = look(cx, site, int(self._clock()))
        views = dict.fromkeys(tier.starts(*bounds(now)), 0)
        page_id = page_ids(cx, known, [page]).get(page) if known else None
        if known and page_id is not None:
            oldest = oldest_kept(tier, self._keeping.of(known.rules), now)
            kept = [start for start in views if start >= oldest]
            for start, n in cx.execute(sql.SERIES[tier], (known.id, page_id, as_json(kept))):
                views[start] += n
            if tier is not Tier.SECOND:
                for t, n in cx.execute(sql.UNROLLED, (known.rolled, known.newest, known.id, page_id)):
                    if tier.start(t) in views and tier.start(t) >= oldest:
                        views[tier.start(t)] += n
        return Series(now, list(views.items()))

    def top(self, cx: sqlite3.Connection, site: str, span: Span, limit: int, after: tuple[int, str] | None) -> TopPages:
        """The most viewed pages."""
        known, now = look(cx, site, int(self._clock()))
        if known is None:
            return TopPages(now, [])
        oldest = oldest_kept(span.tier, self._keeping.of(known.rules), now)
        start = max(span.start(now), span.tier.back(oldest - 1, -1))  # a bucket that began before `oldest` is gone as a whole
        return TopPages(now, top(cx, known, span.tier, start, limit, after))


def counts(
    cx: sqlite3.Connection, known: Known, ids: Mapping[str, int], pages: Iterable[str], window: int, now: int
) -> dict[str, Count]:
    """The counts of `pages` at `now`; those without an id have none."""
    opened = now - window + 1
    arguments = {
        "site": known.id,
        "pages": as_json({ids[page] for page in pages if page in ids}),
        "first": min(opened, known.rolled),
        "last": known.newest,
        "window": opened,
        "rolled": known.rolled,
        "day": Tier.DAY.start(now),
    }
    found = {id: Count(*numbers) for id, *numbers in cx.execute(sql.COUNTS, arguments)}
    return {page: found.get(ids.get(page, -1), NOTHING) for page in pages}
