"""Dumping a site from snapshots of the SQLite file, and loading it, a piece at a time.

A dump goes through a section by (bucket start, id), so what has ended comes once whatever is counted meanwhile. What is loaded
belongs to its tier alone: everything that was counted before is rolled up first, and what is loaded counts as rolled up.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from footfall.model import DAY, HOUR, WHOLE_SITE, Dump, Retention, Section, Tier, oldest_kept
from footfall.stores.base import Clock
from footfall.stores.hyperloglog import estimate
from footfall.stores.retention import Keeping
from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.commit import open_site
from footfall.stores.sqlite.details import statements as detail_sql
from footfall.stores.sqlite.details.folding import oldest_visitors
from footfall.stores.sqlite.details.limits import intern
from footfall.stores.sqlite.details.pending import fold, gathered, gathered_ranks
from footfall.stores.sqlite.details.reads import waiting_ranks
from footfall.stores.sqlite.site_row import LINES, PAGE_BITS, TRAIT_BITS, TRAITS, Known, as_json, look, page_ids
from footfall.stores.sqlite.upkeep import roll, roll_hours

Row = tuple[Any, ...]

#: A number by (bucket start, id of a page or line).
Numbers = Mapping[tuple[int, int], int]

#: Behind the ids of all pages and lines.
LAST = (1 << 63) - 1


class Dumps:
    """Dumps parts of sites."""

    def __init__(self, clock: Clock, retention: Retention) -> None:
        self._clock = clock
        self._keeping = Keeping(retention)

    def dump(self, cx: sqlite3.Connection, site: str, section: Section, tier: Tier, after: str | None, limit: int) -> Dump:
        """Some rows of a section."""
        known, now = look(cx, site, int(self._clock()))
        if known is None:
            return Dump(now, [], None)
        if section is Section.WRITERS:
            rows = cx.execute(detail_sql.DUMP_WRITERS, (known.id, json.loads(after) if after else "", limit)).fetchall()
            return Dump(now, rows, json.dumps(rows[-1][0]) if len(rows) == limit else None)
        oldest = _oldest(section, tier, self._keeping.of(known.rules), now)
        behind = max(tuple(json.loads(after)), (oldest - 1, LAST)) if after else (oldest - 1, LAST)
        if section is Section.VIEWS:
            kept = cx.execute(detail_sql.DUMP_VIEWS[tier], (known.id, *behind, limit)).fetchall()
            newest = _newest_views(cx, known, tier, kept, limit)
        elif section is Section.TRAITS:
            kept = cx.execute(detail_sql.DUMP_TRAITS[tier], (known.id, *behind, limit)).fetchall()
            newest = _newest_traits(cx, known, tier, kept, limit)
        else:
            kept = cx.execute(detail_sql.DUMP_VISITORS, (known.id, *behind, limit, tier.width)).fetchall()
            newest = _newest_visitors(cx, known, tier, kept, limit)
        numbers = {(t, id): n for t, id, n in kept}
        end = kept[-1][:2] if len(kept) == limit else None
        for key, n in newest.items():
            if key > behind and (end is None or key <= end):
                numbers[key] = numbers.get(key, 0) + n
        found = sorted(numbers.items())[:limit]
        is_last = end is None and len(numbers) <= limit
        named = _with_values(cx, found) if section is Section.TRAITS else _with_paths(cx, found)
        return Dump(now, named, None if is_last else json.dumps(found[-1][0]))


def _oldest(section: Section, tier: Tier, retention: Retention, now: int) -> int:
    """The least bucket start that is kept of a section and tier."""
    return (oldest_visitors if section is Section.VISITORS else oldest_kept)(tier, retention, now)


def _reaches(kept: list[Row], limit: int, start: int) -> bool:
    """Whether a piece goes on to the bucket that begins at `start`: it is the last one, or ends there."""
    return len(kept) < limit or kept[-1][0] >= start


def _newest_views(cx: sqlite3.Connection, known: Known, tier: Tier, kept: list[Row], limit: int) -> Numbers:
    """What is not in the tier's table yet: seconds that are not rolled up."""
    if tier is Tier.SECOND or not _reaches(kept, limit, tier.start(known.rolled)):
        return {}
    return {(t, page): n for t, page, n in cx.execute(detail_sql.UNROLLED_VIEWS[tier], (known.id, known.rolled))}


def _newest_traits(cx: sqlite3.Connection, known: Known, tier: Tier, kept: list[Row], limit: int) -> Numbers:
    """What is not in the tier's table yet: hours that are not rolled up, and what waits."""
    numbers: dict[tuple[int, int], int] = defaultdict(int)
    for hour, lines in gathered(cx, known).lines.items():
        for line, n in lines.items():
            if line <= LINES or tier is not Tier.MONTH:
                numbers[tier.start(hour), line] += n
    if tier is not Tier.HOUR and _reaches(kept, limit, tier.start(known.hour)):
        for t, line, n in cx.execute(detail_sql.UNROLLED_TRAITS[tier], (known.id, *known.unrolled)):
            numbers[t, line] += n
    return numbers


def _newest_visitors(cx: sqlite3.Connection, known: Known, tier: Tier, kept: list[Row], limit: int) -> Numbers:
    """The numbers of open buckets."""
    waiting = waiting_ranks(gathered_ranks(cx, known), tier)
    first = [cx.execute(detail_sql.FIRST_REGISTERS, (known.id, width)).fetchone()[0] for width in (HOUR, DAY)]
    starts = [tier.start(t) for t in first if t is not None] + [t for t, _, _ in waiting]
    if not starts or not _reaches(kept, limit, min(starts)):
        return {}
    ranks: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    arguments = {"site": known.id, "width": tier.width, "from": min(starts), "waiting": as_json(waiting)}
    for t, page, rank, registers in cx.execute(detail_sql.ALL_OPEN_VISITORS, arguments):
        ranks[t, page][rank] = registers
    return {key: estimate(of_page) for key, of_page in ranks.items()}


def _with_paths(cx: sqlite3.Connection, found: Iterable[tuple[tuple[int, int], int]]) -> list[Row]:
    """(bucket start, page, number), less pages that are being forgotten."""
    paths = _paths(cx, {page for (_, page), _ in found})
    return [(t, paths[page], n) for (t, page), n in found if page in paths]


def _with_values(cx: sqlite3.Connection, found: Iterable[tuple[tuple[int, int], int]]) -> list[Row]:
    """(bucket start, page, dimension, value, views), less pages that are being forgotten."""
    paths = _paths(cx, {line >> PAGE_BITS for (_, line), _ in found})
    ids = as_json({line & TRAITS for (_, line), _ in found})
    traits = {id: (name, value) for id, name, value in cx.execute(detail_sql.TRAIT_NAMES, (ids,))}
    return [(t, paths[line >> PAGE_BITS], *traits[line & TRAITS], n) for (t, line), n in found if line >> PAGE_BITS in paths]


def _paths(cx: sqlite3.Connection, ids: set[int]) -> dict[int, str]:
    return {0: WHOLE_SITE, **dict(cx.execute(sql.PATHS, (as_json(ids),)).fetchall())}


def load(
    cx: sqlite3.Connection, clock: int, keeping: Keeping, site: str, section: Section, tier: Tier, rows: Sequence[Row]
) -> None:
    """Add rows of a dump, in a transaction that writes."""
    known, _ = open_site(cx, site, "", clock, newest=0)
    now = max(clock, known.newest)
    before = known
    if section is Section.WRITERS:
        for name, sequence in rows:
            cx.execute(sql.REMEMBER_WRITER, (known.id, name, sequence, now, True, None))
        return
    oldest = _oldest(section, tier, keeping.of(known.rules), now)
    rows = [row for row in rows if row[0] >= oldest]
    newest = max((row[0] for row in rows), default=0)
    pages = as_json({row[1] for row in rows} - {WHOLE_SITE})
    cx.execute(sql.OPEN_PAGES if section is Section.VIEWS and tier is Tier.TOTAL else sql.ADD_PAGES, (known.id, pages))
    ids = page_ids(cx, known, list({row[1] for row in rows}))
    if section is Section.VIEWS:
        if tier is Tier.SECOND:
            if newest >= known.rolled:
                known = roll(cx, known, newest + 1, keeping.of(known.rules), now)
            known = known._replace(newest=max(known.newest, newest))
        cx.execute(detail_sql.LOAD_VIEWS[tier], (known.id, as_json([(t, ids[page], n) for t, page, n in rows])))
    elif section is Section.TRAITS:
        fold(cx, known)
        if tier is Tier.HOUR and newest >= known.hour:
            known, _ = roll_hours(cx, known, newest + HOUR, 1 << 62)
        cx.execute(detail_sql.LOAD_TRAITS[tier], (known.id, as_json(_by_line(cx, known, ids, rows))))
        known = known._replace(generation=known.generation + 1)  # a day may have more now than its limits let in
    else:
        loaded = as_json([(t, ids[page], n) for t, page, n in rows])
        cx.execute(detail_sql.LOAD_VISITORS, (known.id, loaded, tier.width))
    if known != before:
        cx.execute(sql.SAVE_SITE, known.row)


def _by_line(cx: sqlite3.Connection, known: Known, ids: Mapping[str, int], rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """Rows of traits as (bucket start, line, views), new names given an id."""
    cx.execute(detail_sql.MAKE_DIMENSIONS, (as_json({row[2] for row in rows}),))
    dimensions = dict(cx.execute(detail_sql.DIMENSIONS).fetchall())
    traits = intern(cx, known.id, dimensions, {(row[2], row[3]) for row in rows})
    found = {(dimension, value): id for dimension, value, id in traits}
    return [
        (t, ids[page] << PAGE_BITS | dimensions[name] << TRAIT_BITS | found[dimensions[name], value], n)
        for t, page, name, value, n in rows
    ]
