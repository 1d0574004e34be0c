"""What a commit of the SQLite store adds of details: traits, the ledger and visitors, all in one row of `waiting`.

Traits go through the day's limits; visitors become ranks of registers, and only those that raise what this process has seen of
a register are kept. This module reads nothing but what it needs for that; the tables are filled by `sqlite_waiting.py`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from footfall.model import DAY, HOUR, MINUTE, OUTCOME, PRESENCE_MINUTES, Retention, Tier, Traits, oldest_kept
from footfall.stores.base import VISITOR_GRACE, VISITOR_HOURS, Limits
from footfall.stores.hyperloglog import MAX_RANK, REGISTER_BITS
from footfall.stores.retention import Keeping
from footfall.stores.sqlite.details.limits import Day, Group, TraitBook, intern
from footfall.stores.sqlite.details.pending import Waiting, WaitingRoom
from footfall.stores.sqlite.site_row import REGISTERS, TRAIT_BITS, Known

#: How many registers' ranks a process remembers; at the limit it forgets all and learns anew.
MAX_KNOWN_RANKS = 200_000

#: (page id, second, traits, views), and (page id, second, visitors)
TraitsOfViews = tuple[int, int, Traits, int]
VisitorsOfPage = tuple[int, int, AbstractSet[int]]


def oldest_visitors(tier: Tier, retention: Retention, now: int) -> int:
    """The least bucket start of which visitors are known."""
    oldest = oldest_kept(tier, retention, now)
    return max(oldest, now - VISITOR_HOURS + 1) if tier is Tier.HOUR else oldest


class Details:
    """Adds the details of commits."""

    def __init__(self, retention: Retention, limits: Limits) -> None:
        self._keeping = Keeping(retention)
        self._book = TraitBook(limits)
        self._waiting = WaitingRoom()
        self._outcomes: dict[tuple[int, str], int] = {}
        #: By site and width of buckets, the start of the newest, and the greatest rank that was seen there by place.
        self._ranks: dict[tuple[int, int], tuple[int, dict[int, int]]] = {}
        self._known_ranks = 0

    def forget(self) -> None:
        """Learn anew: what a transaction that was undone has seen is not there."""
        self._book.forget()
        self._waiting.forget()
        self._outcomes.clear()
        self._ranks.clear()
        self._known_ranks = 0

    def add(
        self,
        cx: sqlite3.Connection,
        known: Known,
        now: int,
        traits: Iterable[TraitsOfViews],
        visitors: Iterable[VisitorsOfPage],
        outcomes: Mapping[str, int],
    ) -> Known:
        """Add a commit's details."""
        self._book.make_room()
        lines: dict[int, Counter[int]] = defaultdict(Counter)
        oldest_day = oldest_kept(Tier.DAY, self._keeping.of(known.rules), now)
        for start, groups in _by_day(traits, lines).items():
            if start >= oldest_day:
                known = self._book.count(cx, known, self._book.day(cx, known, start), groups)
        for outcome, views in outcomes.items():
            lines[now - now % HOUR][self._line_of_outcome(cx, known, outcome)] += views
        ranks = self._new_ranks(cx, known, now, visitors)
        kept = {hour: views for hour, views in lines.items() if views}
        if kept or ranks:
            self._waiting.append(cx, known, Waiting(kept, ranks))
        return known

    def _line_of_outcome(self, cx: sqlite3.Connection, known: Known, outcome: str) -> int:
        line = self._outcomes.get((known.id, outcome))
        if line is None:
            dimensions = self._book.dimensions(cx, [OUTCOME])
            ((dimension, _, id),) = intern(cx, known.id, dimensions, [(OUTCOME, outcome)])
            line = self._outcomes[known.id, outcome] = dimension << TRAIT_BITS | id
        return line

    def _new_ranks(
        self, cx: sqlite3.Connection, known: Known, now: int, visitors: Iterable[VisitorsOfPage]
    ) -> dict[tuple[int, int], dict[int, int]]:
        """The ranks that visitors have, as far as they are greater than what was seen."""
        if self._known_ranks > MAX_KNOWN_RANKS:
            self._ranks.clear()
            self._known_ranks = 0
        new: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        last, day, buckets = -1, None, []
        for page, at, who in visitors:
            if at != last:
                last, day, buckets = at, self._day_of(cx, known, now, at), self._open_buckets(known, now, at, new)
            of_page = page << REGISTER_BITS if day and self._book.has_place(cx, known, day, page) else 0
            for visitor in who:
                register = visitor & REGISTERS
                rank = MAX_RANK - (visitor >> REGISTER_BITS).bit_length()
                for seen, raised, has_pages in buckets:
                    if rank > seen.get(register, 0):
                        seen[register] = raised[register] = rank
                    if of_page and has_pages and rank > seen.get(of_page | register, 0):
                        seen[of_page | register] = raised[of_page | register] = rank
        self._known_ranks += sum(map(len, new.values()))
        return {bucket: places for bucket, places in new.items() if places}

    def _day_of(self, cx: sqlite3.Connection, known: Known, now: int, at: int) -> Day | None:
        """The day of second `at`, where it is kept."""
        start = Tier.DAY.start(at)
        return self._book.day(cx, known, start) if start >= oldest_kept(Tier.DAY, self._keeping.of(known.rules), now) else None

    def _open_buckets(
        self, known: Known, now: int, at: int, new: dict[tuple[int, int], dict[int, int]]
    ) -> list[tuple[dict[int, int], dict[int, int], bool]]:
        """The buckets that a visitor of second `at` is added to: the ranks that were seen there, those that are raised, and
        whether they are kept for pages too. An hour counts to its day by itself.
        """
        starts = [(MINUTE, Tier.MINUTE.start(at))] if at >= Tier.MINUTE.back(now, PRESENCE_MINUTES - 1) else []
        for tier in (Tier.HOUR, Tier.DAY):
            start = tier.start(at)
            if start >= oldest_visitors(tier, self._keeping.of(known.rules), now) and start + tier.width + VISITOR_GRACE > now:
                starts.append((tier.width, start))
                break
        return [(self._seen_ranks(known, width, start), new[width, start], width != MINUTE) for width, start in starts]

    def _seen_ranks(self, known: Known, width: int, start: int) -> dict[int, int]:
        """The ranks that were seen in a bucket; only those of the newest are remembered."""
        newest, ranks = self._ranks.get((known.id, width), (-1, {}))
        if start > newest:
            self._known_ranks -= len(ranks)
            newest, ranks = self._ranks[known.id, width] = start, {}
        return ranks if start == newest else {}


def _by_day(traits: Iterable[TraitsOfViews], lines: dict[int, Counter[int]]) -> dict[int, list[Group]]:
    """Views by their day, and there by their hour and how many they are."""
    days: dict[int, dict[tuple[int, int], list[tuple[int, int, Traits]]]] = defaultdict(lambda: defaultdict(list))
    for order, (page, at, of_views, n) in enumerate(traits):
        if of_views:
            days[at - at % DAY][at - at % HOUR, n].append((order, page, of_views))
    return {day: [((lines[hour], n), views) for (hour, n), views in groups.items()] for day, groups in days.items()}
