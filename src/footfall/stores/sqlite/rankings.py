"""Finding a span's most viewed pages without summing up every page that was viewed in it.

The pages that lead in the span's busiest bucket tell how many views it takes at least to be in the list. Of every bucket only the
rows above a part of that many are read then; the pages that may have as many by them are summed up exactly, and no others. That
is right however views are spread. Where it would not pay (few rows, a place in the list where pages have a view now and then)
all rows are summed up. This module knows no clock and no retention.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from footfall.model import Tier
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.site_row import Known, as_json

Rows = list[tuple[str, int]]

#: (bucket start, views of the site in it)
Buckets = Sequence[tuple[int, int]]

#: With so few views in a span, and so no more rows than that, all rows are summed up: it takes some 10 ms.
FEW_VIEWS = 20_000

#: Pages with so many views a bucket are looked for; where they have fewer, most rows would have to be read.
OFTEN = 4

#: The busiest bucket is asked for so many pages to each one of the list, as some are behind others in the whole span.
LEADING = 2

#: So many pages are summed up one by one at most. It takes as long as summing up all rows of ten times as many.
MOST_PAGES = 10_000

#: More views than any row has.
ANY = (1 << 63) - 1


def top(cx: sqlite3.Connection, known: Known, tier: Tier, start: int, limit: int, after: tuple[int, str] | None) -> Rows:
    """The most viewed pages of the buckets of `tier` from second `start` on, as `Store.top` lists them."""
    if tier is not Tier.SECOND:
        buckets = cx.execute(sql.BUCKETS[tier], (known.id, start)).fetchall()
        if sum(views for _, views in buckets) > FEW_VIEWS:
            found = _Search(cx, known, tier, start, buckets).top(limit, after)
            if found is not None:
                return found
    arguments = {"site": known.id, "start": start, "rolled": max(known.rolled, start)}
    return cx.execute(sql.TOP[tier], arguments | _listed(limit, after)).fetchall()


def _listed(limit: int, after: tuple[int, str] | None) -> dict[str, object]:
    views, path = after or (None, "")
    return {"views": views, "path": path, "limit": limit}


class _Search:
    """A search in one snapshot. What is not rolled up yet is in memory, one number a page."""

    def __init__(self, cx: sqlite3.Connection, known: Known, tier: Tier, start: int, buckets: Buckets) -> None:
        self._cx = cx
        self._site = known.id
        self._tier = tier
        self._buckets = buckets
        self._unrolled: dict[int, int] = dict(cx.execute(sql.SUM_UNROLLED, (known.id, max(known.rolled, start))).fetchall())
        self._views = sum(views for _, views in buckets) + self._unrolled.pop(0, 0)

    def top(self, limit: int, after: tuple[int, str] | None) -> Rows | None:
        """The list; None where it would not pay to look for it."""
        leading = self._leading(limit * LEADING, after)
        if len(leading) < limit or leading[limit - 1][1] < OFTEN:
            return None
        likely = self._list([page for page, _ in leading], limit, after)
        if len(likely) < limit:
            return None
        pages = self._that_may_have(likely[-1][1])
        return self._list(pages, limit, after) if len(pages) <= MOST_PAGES else None

    def _leading(self, wanted: int, after: tuple[int, str] | None) -> list[tuple[int, int]]:
        """(page, views) of the busiest bucket, most viewed first; `after` a page, those with its part of all views or less."""
        start, views = max(self._buckets, key=lambda bucket: bucket[1])
        most = after[0] * views // self._views + 1 if after else ANY
        return self._cx.execute(sql.LEADING[self._tier], (self._site, start, most, wanted)).fetchall()

    def _that_may_have(self, least: int) -> list[int]:
        """All pages that may have `least` views.

        A part of `least` is spread over the buckets as the site's views are. A page has at most that in each, and what its rows
        have above it, and what is not rolled up: if they are fewer than `least`, so are its views. The smaller the part, the more
        rows are read, and the closer one comes to the pages that have as many; seven eighths were measured to be fastest.
        """
        parts = [(start, least * views * 7 // (self._views * 8)) for start, views in self._buckets]
        is_busy = sql.BUSY.get(self._tier, ANY)
        arguments = {
            "site": self._site,
            "busy": as_json([part for part in parts if part[1] >= is_busy]),
            "others": as_json([part for part in parts if part[1] < is_busy]),
            "unrolled": as_json(list(self._unrolled.items())),
            "above": least - sum(views for _, views in parts),
        }
        return [page for (page,) in self._cx.execute(sql.EXCEEDING[self._tier], arguments)]

    def _list(self, pages: Collection[int], limit: int, after: tuple[int, str] | None) -> Rows:
        """The list of those pages."""
        arguments = {
            "site": self._site,
            "starts": as_json([start for start, _ in self._buckets]),
            "pages": as_json([(page, self._unrolled.get(page, 0)) for page in sorted(pages)]),
        }
        return self._cx.execute(sql.TOP_OF[self._tier], arguments | _listed(limit, after)).fetchall()
