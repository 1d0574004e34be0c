"""What a commit of the SQLite store does beside counting: it rolls up, closes buckets of visitors, lets go what has had its time.

All of it is done in pieces, at most so many rows a commit: what one commit pays does not grow with what there is to do. No answer
depends on when it is done, as reads add what is not rolled up and leave out what is not kept any more.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from footfall.model import DAY, HOUR, MINUTE, PRESENCE_MINUTES, Retention, Tier, oldest_kept
from footfall.stores.base import VISITOR_GRACE, WRITER_MEMORY
from footfall.stores.hyperloglog import REGISTER_BITS, REGISTERS, estimate
from footfall.stores.retention import Keeping
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.details import statements as detail_sql
from footfall.stores.sqlite.details.folding import oldest_visitors
from footfall.stores.sqlite.details.pending import fold
from footfall.stores.sqlite.site_row import LINES, Known, as_json

#: Sites roll up at different seconds of the minute, so that many of them don't do so in the same commit.
STAGGER = 50

#: Seconds that are summed up by one statement when a minute is rolled up: SQLite sorts their rows in memory.
FOLDED_AT_ONCE = 10

#: Rows that the upkeep of one commit deletes or rolls up. More than a batch brings, so that it keeps up.
ROWS_AT_ONCE = 4000

#: Buckets of visitors that one step closes, one a page: each takes some 20 us to estimate.
CLOSED_AT_ONCE = 100

#: A step of upkeep does about so many rows at most, and says how many it did; `now` is the site's.
Step = Callable[[sqlite3.Connection, Known, int, int], tuple[Known, int]]


class Upkeep:
    """What is due, by site."""

    def __init__(self, retention: Retention) -> None:
        self._keeping = Keeping(retention)
        self._due: dict[int, list[Step]] = {}
        #: Sites that have no event id whose time is over.
        self._clean: set[int] = set()
        self._each_second: tuple[Step, ...] = (self._expire_seconds, self._expire_events)
        self._each_minute: tuple[Step, ...] = (
            self._roll_hours,
            self._close_visitors,
            *(self._expire_tier(tier) for tier in retention if tier is not Tier.SECOND),
            self._expire_details,
            self._expire_writers,
        )

    def forget(self) -> None:
        """What was let go in a transaction that was undone is there again."""
        self._clean.clear()

    def before_counting(self, cx: sqlite3.Connection, known: Known, now: int) -> Known:
        """Move a site's time on to `now`, and do a piece of what is due."""
        hour = now - now % HOUR
        if hour > known.folded:  # buckets of visitors that now are closed must have all that came to them
            fold(cx, known)
            known = known._replace(folded=hour)
        if now >= known.rolled + MINUTE + known.id % STAGGER:
            known = roll(cx, known, now - now % MINUTE, self._keeping.of(known.rules), now)
            self._add_due(known.id, self._each_minute)
        if now > known.newest:
            known = known._replace(newest=now)
            self._clean.discard(known.id)
            self._add_due(known.id, self._each_second)
        return self._do_due(cx, known, now) if known.id in self._due else known

    def _add_due(self, site: int, steps: Iterable[Step]) -> None:
        due = self._due.setdefault(site, [])
        due.extend(step for step in steps if step not in due)

    def _do_due(self, cx: sqlite3.Connection, known: Known, now: int) -> Known:
        due, left = self._due[known.id], ROWS_AT_ONCE
        while due and left > 0:
            most = left
            step = due.pop(0)
            known, rows = step(cx, known, now, most)
            left -= rows
            if rows >= most:
                due.append(step)
        if not due:
            del self._due[known.id]
        return known

    # Steps

    def _roll_hours(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        return roll_hours(cx, known, now - now % HOUR, most)

    def _close_visitors(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        for tier in (Tier.HOUR, Tier.DAY):
            (start,) = cx.execute(detail_sql.FIRST_REGISTERS, (known.id, tier.width)).fetchone()
            if start is not None and start + tier.width + VISITOR_GRACE <= now:  # a day's hours are closed before it
                _close_some(cx, known, tier, start)
                return known, most  # there may be more
        return known, 0

    def _expire_tier(self, tier: Tier) -> Step:
        def expire(cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
            oldest = oldest_kept(tier, self._keeping.of(known.rules), now)
            return known, cx.execute(detail_sql.EXPIRE[tier], (known.id, oldest, most)).rowcount

        return expire

    def _expire_seconds(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        oldest = min(known.rolled, oldest_kept(Tier.SECOND, self._keeping.of(known.rules), now))
        return known, cx.execute(detail_sql.EXPIRE[Tier.SECOND], (known.id, oldest, most)).rowcount

    def _expire_events(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        gone = cx.execute(detail_sql.EXPIRE_EVENTS, (known.id, now + 1, most)).rowcount if known.event_ids else 0
        if gone < most:
            self._clean.add(known.id)
        return known._replace(event_ids=known.event_ids - gone), gone

    def drop_expired(self, cx: sqlite3.Connection, known: Known, ids: list[str]) -> Known:
        """Make room for event ids that come again after their time, where some of that kind may still be there."""
        if known.id in self._clean:
            return known
        gone = cx.execute(sql.DROP_EVENTS, (known.id, as_json(ids))).rowcount
        return known._replace(event_ids=known.event_ids - gone)

    def _expire_writers(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        return known, cx.execute(detail_sql.EXPIRE_WRITERS, (known.id, now - WRITER_MEMORY + 1, most)).rowcount

    def _expire_details(self, cx: sqlite3.Connection, known: Known, now: int, most: int) -> tuple[Known, int]:
        retention = self._keeping.of(known.rules)
        oldest_hour, oldest_day = (oldest_kept(tier, retention, now) for tier in (Tier.HOUR, Tier.DAY))
        gone = 0
        for statement, oldest in (
            (detail_sql.EXPIRE_TRAITS[Tier.HOUR], min(known.hour, oldest_hour)),
            (detail_sql.EXPIRE_TRAITS[Tier.DAY], oldest_day),
            (detail_sql.EXPIRE_VISITORS[HOUR], oldest_visitors(Tier.HOUR, retention, now)),
            (detail_sql.EXPIRE_VISITORS[DAY], oldest_visitors(Tier.DAY, retention, now)),
            (detail_sql.EXPIRE_PRESENCE, Tier.MINUTE.back(now, PRESENCE_MINUTES - 1)),
        ):
            if gone < most:
                gone += cx.execute(statement, (known.id, oldest, most - gone)).rowcount
        return known, gone


def roll(cx: sqlite3.Connection, known: Known, until: int, retention: Retention, now: int) -> Known:
    """Take the seconds before `until` into the coarser tiers."""
    end = min(until, known.newest + 1)
    for start in range(known.rolled, end, FOLDED_AT_ONCE):
        cx.execute(sql.FOLD_SECONDS, (known.id, start, min(start + FOLDED_AT_ONCE, end)))
    _unfold(cx, known.id, retention, now)
    return known._replace(rolled=until)


def count_rolled(cx: sqlite3.Connection, site: int, rows: list[tuple[int, int, int]], retention: Retention, now: int) -> None:
    """Add (second, page id, views) to the coarser tiers."""
    cx.execute(sql.FOLD_ROWS, (as_json(rows),))
    _unfold(cx, site, retention, now)


def _unfold(cx: sqlite3.Connection, site: int, retention: Retention, now: int) -> None:
    for tier, statement in sql.UNFOLD.items():
        cx.execute(statement, (site, oldest_kept(tier, retention, now)))
    cx.execute("DELETE FROM fold")


def roll_hours(cx: sqlite3.Connection, known: Known, until: int, most: int) -> tuple[Known, int]:
    """Take lines of the hours before `until` into days and months, at most `most`: how many, `most` where there may be more."""
    rows = 0
    while known.hour < until and rows < most:
        behind = cx.execute(detail_sql.LINE_BEHIND, (known.id, known.hour, known.line, most - rows)).fetchone()
        end = behind[0] if behind else 1 << 62
        taken = cx.execute(detail_sql.ROLL_HOUR[Tier.DAY], (known.id, known.hour, known.line, end)).rowcount
        if known.line <= LINES:
            cx.execute(detail_sql.ROLL_HOUR[Tier.MONTH], (known.id, known.hour, known.line, end))
        rows += taken
        if behind:
            known = known._replace(line=end)
        else:
            (hour,) = cx.execute(detail_sql.NEXT_HOUR, (known.id, known.hour)).fetchone()
            known = known._replace(hour=until if hour is None else min(hour, until), line=0)
    return known, rows


def _close_some(cx: sqlite3.Connection, known: Known, tier: Tier, start: int) -> None:
    """Turn the registers of some pages' visitors in a bucket into their number; those of an hour go into their day."""
    rows = cx.execute(detail_sql.REGISTERS, (known.id, tier.width, start, REGISTERS + 1)).fetchall()
    pages: dict[int, Counter[int]] = defaultdict(Counter)
    for place, rank in rows:
        pages[place >> REGISTER_BITS][rank] += 1
    whole = list(pages)[:CLOSED_AT_ONCE]
    if len(rows) > REGISTERS and len(whole) == len(pages):
        whole.pop()  # there may be more of the last one
    end = (whole[-1] + 1) << REGISTER_BITS
    numbers = {page: estimate(pages[page]) for page in whole}
    cx.execute(detail_sql.ADD_VISITORS, (known.id, tier.width, start, as_json(numbers)))
    if tier is Tier.HOUR:
        cx.execute(detail_sql.HOUR_INTO_DAY, (known.id, start, end))
    cx.execute(detail_sql.DROP_REGISTERS, (known.id, tier.width, start, end))
