"""Committing one site's part of a batch to the SQLite file, inside the writer's transaction.

It decides what of the part counts (sequence, event ids, new pages), writes the views of the current second, and hands details and
upkeep on. What it remembers between commits are names and ids, which a transaction that is undone makes it forget.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from footfall.model import DUPLICATE, Batch, DropReason, Retention, SiteBatch, SiteReceipt, Tier, oldest_kept
from footfall.stores.base import MAX_EVENT_IDS, Clock, Limits
from footfall.stores.retention import Keeping
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.details.folding import Details, TraitsOfViews, VisitorsOfPage
from footfall.stores.sqlite.reads import counts
from footfall.stores.sqlite.site_row import Known, Pages, as_json, page_ids
from footfall.stores.sqlite.upkeep import Upkeep, count_rolled

#: A clock this many seconds behind a site's newest second is worth a warning.
CLOCK_SLACK = 60

_log = logging.getLogger(__name__)


class _Fresh(NamedTuple):
    """What of a part counts, and under which ids: `events` are those with an event id, by it."""

    ids: Mapping[str, int]
    events: Mapping[str, tuple[str, int | None]]
    opened: frozenset[str]
    refused: frozenset[str]
    #: How many views were refused.
    lost: int


class Commits:
    """Applies batches, a site at a time."""

    def __init__(self, clock: Clock, retention: Retention, event_id_ttl: int, limits: Limits) -> None:
        self._clock = clock
        self._keeping = Keeping(retention)
        self._event_id_ttl = event_id_ttl
        self.pages = Pages()
        self._details = Details(retention, limits)
        self.upkeep = Upkeep(retention)
        self._clock_behind: set[int] = set()

    def forget(self) -> None:
        """A transaction was undone: ids given out in it mean nothing."""
        self.pages.forget()
        self._details.forget()
        self.upkeep.forget()

    def commit(self, cx: sqlite3.Connection, name: str, part: SiteBatch, batch: Batch) -> SiteReceipt:
        """Apply the part of one site."""
        clock = int(self._clock())
        known, (sequence, then, refused) = open_site(cx, name, batch.writer, clock, newest=clock)
        now = max(clock, known.newest)
        self._watch_clock(known, clock)
        duplicates = _duplicates(cx, known, part, batch, now)
        opened: frozenset[str] = frozenset()
        if sequence is None or batch.sequence > sequence:
            then, before = now, known
            known = self.upkeep.before_counting(cx, known, now)
            known, fresh = self._open_pages(cx, known, part, duplicates, now)
            known = self._count(cx, known, part, batch, now, fresh)
            known = self._add_details(cx, known, part, now, fresh, len(duplicates))
            opened = fresh.opened if part.most_new_pages else frozenset()
            refused = as_json(sorted(fresh.refused)) if fresh.refused else None
            cx.execute(sql.REMEMBER_WRITER, (known.id, batch.writer, batch.sequence, now, batch.lasting, refused))
            if known != before:
                cx.execute(sql.SAVE_SITE, known.row)
        elif batch.sequence < sequence:
            refused = None
        wanted = self._wanted(cx, known, part.wanted, batch.window, now) if part.wanted else {}
        return SiteReceipt(then, wanted, duplicates, frozenset(msgspec.json.decode(refused)) if refused else frozenset(), opened)

    def _watch_clock(self, known: Known, clock: int) -> None:
        """Warn once of a clock that is far behind a site's newest second, until it has caught up."""
        if clock >= known.newest - CLOCK_SLACK:
            self._clock_behind.discard(known.id)
        elif known.id not in self._clock_behind:
            self._clock_behind.add(known.id)
            _log.warning("the clock is %d s behind a site's newest second; its time waits there for it", known.newest - clock)

    def _open_pages(
        self, cx: sqlite3.Connection, known: Known, part: SiteBatch, duplicates: AbstractSet[str], now: int
    ) -> tuple[Known, _Fresh]:
        """Open the pages that are new, as far as the part and the day's limit let them."""
        events = {id: event for id, event in part.events.items() if id not in duplicates} if duplicates else part.events
        untimed = dict(part.pages)
        timed = {page for page, _ in part.timed}
        for page, at in events.values():
            if at is None:
                untimed.setdefault(page, 0)
            else:
                timed.add(page)
        day = Tier.DAY.start(now)
        if known.opened_day != day:
            known = known._replace(opened_day=day, opened=0)
        ids = self.pages.learn(cx, known, (*untimed, *timed))
        new = [page for page in untimed if page not in ids and page not in timed]
        room = part.most_new_pages - known.opened if part.most_new_pages else len(new)
        opened = [page for page in new if page not in part.known_only][: max(room, 0)]
        refused = frozenset(new).difference(opened)
        new = [*opened, *(page for page in timed if page not in ids)]
        if new:
            self.pages.open(cx, known, new)
            known = known._replace(opened=known.opened + len(opened))
        lost = 0
        if refused:
            counted = {id: (page, at) for id, (page, at) in events.items() if at is not None or page not in refused}
            lost = sum(part.pages.get(page, 0) for page in refused) + len(events) - len(counted)
            events = counted
        return known, _Fresh(ids, events, frozenset(opened), refused, lost)

    def _count(self, cx: sqlite3.Connection, known: Known, part: SiteBatch, batch: Batch, now: int, fresh: _Fresh) -> Known:
        """Bump the tiers, and remember the new event ids."""
        ids, refused = fresh.ids, fresh.refused
        pages = {ids[page]: n for page, n in part.pages.items() if page not in refused} if refused else _by_id(ids, part.pages)
        timed: dict[tuple[int, int], int] = defaultdict(int)
        for (page, at), n in part.timed.items():
            timed[min(at, now), ids[page]] += n
        for page, own in fresh.events.values():
            id = ids[page]
            if own is None:
                pages[id] = pages.get(id, 0) + 1
            else:
                timed[min(own, now), id] += 1
        if now < known.rolled:  # what was loaded goes on to a second that the clock has not reached
            for id, n in pages.items():
                timed[now, id] += n
            pages = {}
        if pages:
            pages[0] = sum(pages.values())
            cx.execute(sql.BUMP_NOW, (known.id, now, as_json(pages)))
        if timed:
            count_timed(cx, known, timed, self._keeping.of(known.rules), now)
        if fresh.events:
            kept = list(itertools.islice(fresh.events, max(0, MAX_EVENT_IDS - known.event_ids)))
            known = self.upkeep.drop_expired(cx, known, kept)
            until = now + self._event_id_ttl
            cx.execute(sql.REMEMBER_EVENTS, (known.id, until, batch.writer, batch.sequence, as_json(kept)))
            known = known._replace(event_ids=known.event_ids + len(kept))
        return known

    def _add_details(
        self, cx: sqlite3.Connection, known: Known, part: SiteBatch, now: int, fresh: _Fresh, duplicates: int
    ) -> Known:
        outcomes = part.outcomes
        if duplicates or fresh.lost:
            outcomes = defaultdict(int, outcomes)
            outcomes[DUPLICATE] += duplicates
            outcomes[DropReason.TOO_MANY_PAGES.value] += fresh.lost
        if not (part.traits or part.visitors or part.visits or outcomes):
            return known
        ids, refused = fresh.ids, fresh.refused
        traits: list[TraitsOfViews] = [
            (ids[page], now if at is None or at > now else at, of_views, n)
            for (page, at, of_views), n in part.traits.items()
            if at is not None or page not in refused
        ]
        visitors: list[VisitorsOfPage] = [
            (ids[page], now if at is None or at > now else at, who)
            for (page, at), who in part.visitors.items()
            if at is not None or page not in refused
        ]
        for id, (of_view, visitor) in part.visits.items():
            if id in fresh.events:
                page, own = fresh.events[id]
                at = now if own is None or own > now else own
                traits.append((ids[page], at, of_view, 1))
                if visitor is not None:
                    visitors.append((ids[page], at, {visitor}))
        return self._details.add(cx, known, now, traits, visitors, {outcome: n for outcome, n in outcomes.items() if n})

    def _wanted(self, cx: sqlite3.Connection, known: Known, pages: AbstractSet[str], window: int, now: int) -> dict[str, Any]:
        """The counts of the pages that are wanted back; asking opens none."""
        ids = self.pages.learn(cx, known, pages)
        closed = [page for page in pages if page not in ids]
        return counts(cx, known, {**ids, **page_ids(cx, known, closed)} if closed else ids, pages, window, now)


def open_site(
    cx: sqlite3.Connection, name: str, writer: str, clock: int, newest: int
) -> tuple[Known, tuple[int | None, int, str | None]]:
    """A site's row, where there is none a new one with `newest`; and of a writer: sequence, second, and what was refused."""
    row = cx.execute(sql.OPEN_SITE, (name, writer, clock)).fetchone()
    if row is None:
        row = (*cx.execute(sql.MAKE_SITE, (name, newest, clock)).fetchone(), None, 0, None)
    return Known(*row[:-3]), row[-3:]


def count_timed(
    cx: sqlite3.Connection, known: Known, views: Mapping[tuple[int, int], int], retention: Retention, now: int
) -> None:
    """Bump by (own time, page id). Seconds already rolled up go to every tier, others only to `second`."""
    oldest = min(known.rolled, oldest_kept(Tier.SECOND, retention, now))
    of_site: dict[int, int] = defaultdict(int)
    for (at, _), n in views.items():
        of_site[at] += n
    rows = [(at, page, n) for (at, page), n in views.items()] + [(at, 0, n) for at, n in of_site.items()]
    seconds = [row for row in rows if row[0] >= oldest]
    rolled = [row for row in rows if row[0] < known.rolled]
    if seconds:
        cx.execute(sql.BUMP_SECONDS, (known.id, as_json(seconds)))
    if rolled:
        count_rolled(cx, known.id, rolled, retention, now)


def _by_id(ids: Mapping[str, int], pages: Mapping[str, int]) -> dict[int, int]:
    return {ids[page]: n for page, n in pages.items()}


def _duplicates(cx: sqlite3.Connection, known: Known, part: SiteBatch, batch: Batch, now: int) -> frozenset[str]:
    if not part.events:
        return frozenset()
    arguments = (known.id, as_json(list(part.events)), now, batch.writer, batch.sequence)
    return frozenset(id for (id,) in cx.execute(sql.FIND_DUPLICATES, arguments))
