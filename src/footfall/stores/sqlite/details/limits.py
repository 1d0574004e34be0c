"""Which traits a day has room for: the SQLite store's side of the limits on detail.

What a day has admitted stays admitted, and a day that is full stays full, so a process may keep both in memory; a page that is
forgotten ends what is kept, by the site's `generation`. What another process has admitted meanwhile (the site's `admitted` has
grown) is learnt from what waits, or read again, before anything new is admitted. This module gives lines their views; it knows no
time but days.
"""

from __future__ import annotations

import itertools
import operator
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from footfall.model import DAY, DIMENSIONS, HOUR, OTHER, Traits
from footfall.stores.base import Limits
from footfall.stores.sqlite.details import statements as sql
from footfall.stores.sqlite.details.pending import fold, lines_of
from footfall.stores.sqlite.site_row import LINES, PAGE_BITS, TRAIT_BITS, TRAITS, Known, as_json

#: How much a process remembers of values and lines, and of how many sites' days; beyond it forgets the days longest unused.
MAX_KNOWN_LINES = 300_000
MAX_KNOWN_DAYS = 2000

#: Fewer lines than this are counted one by one.
FEW = 12

#: The line of a value that is not known of a view.
NOTHING = 0

#: The line of a value that is not known to be there yet.
UNKNOWN = -1

#: Views, to be counted so many times each in the lines of their hour: (place in the order of the batch, page's id, traits).
Group = tuple[tuple[Counter[int], int], list[tuple[int, int, Traits]]]


class _Unknown(NamedTuple):
    """A trait that is not known to be there yet: its view's place in the order, its index in DIMENSIONS, where and how often to
    count it, the page's id, the value, and the site's line where that was counted already, else NOTHING.
    """

    order: int
    of: int
    lines: Counter[int]
    n: int
    page: int
    value: str
    line: int


_ORDER = operator.itemgetter(0, 1)


def intern(
    cx: sqlite3.Connection, site: int, dimensions: Mapping[str, int], traits: Iterable[tuple[str, str]]
) -> list[tuple[int, str, int]]:
    """Give values (dimension's name, value) an id where they have none: (dimension, value, id) of all."""
    wanted = as_json([(dimensions[name], value) for name, value in traits])
    cx.execute(sql.MAKE_TRAITS, (site, wanted))
    return cx.execute(sql.TRAIT_IDS, (site, wanted)).fetchall()


class Day:
    """What one day (UTC) of a site has admitted, as far as this process knows: more may be there, never less."""

    __slots__ = (
        "counts",
        "full",
        "full_site",
        "is_full",
        "lines",
        "other_ids",
        "others",
        "places",
        "read",
        "size",
        "start",
        "values",
    )

    def __init__(self, start: int, others: list[int]) -> None:
        self.start = start
        #: The site's lines of OTHER, of each of DIMENSIONS.
        self.others = others
        self.other_ids = frozenset(other & TRAITS for other in others)
        #: The site's lines by value, of each of DIMENSIONS.
        self.values: list[dict[str, int]] = [{"": NOTHING, OTHER: other} for other in others]
        #: Lines that are there, and how many of a slot (page << 5 | dimension) but OTHER; of slots that were read that is all.
        self.lines = set(others)
        self.counts: dict[int, int] = defaultdict(int)
        self.read: set[int] = set()
        #: Pages that have a place, and whether no other can get one.
        self.places: set[int] = set()
        self.is_full = False
        #: Where there is no room for another value, the line of OTHER: by slot at pages, and of the site, of each of DIMENSIONS.
        self.full: dict[int, int] = {}
        self.full_site = [NOTHING] * len(others)
        #: How many lines were there when that was last asked for.
        self.size = 0

    def add(self, line: int) -> None:
        """Know that a line is there."""
        if line not in self.lines:
            self.lines.add(line)
            if line & TRAITS not in self.other_ids:
                self.counts[line >> TRAIT_BITS] += 1


class TraitBook:
    """Counts traits in lines, as far as each day has room for them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._dimensions: dict[str, int] = {}
        #: By site, its generation, and the day's first second, those last used at the end; and the site's `admitted` up to which
        #: they know all that was read.
        self._days: dict[tuple[int, int, int], Day] = {}
        self._seen: dict[tuple[int, int], int] = {}
        self._size = 0

    def forget(self) -> None:
        """Learn anew: what was given out in a transaction that was undone means nothing."""
        self._dimensions.clear()
        self._days.clear()
        self._seen.clear()
        self._size = 0

    def make_room(self) -> None:
        """Between two commits: forget days where it is too much."""
        while len(self._days) > MAX_KNOWN_DAYS or (self._size > MAX_KNOWN_LINES and self._days):
            oldest = next(iter(self._days))
            self._size -= self._days.pop(oldest).size
            if not any(key[:2] == oldest[:2] for key in self._days):
                self._seen.pop(oldest[:2], None)

    def dimensions(self, cx: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
        """The ids of dimensions, new ones given out. The result may hold others too."""
        missing = [name for name in names if name not in self._dimensions]
        if missing:
            cx.execute(sql.MAKE_DIMENSIONS, (as_json(missing),))
            self._dimensions = dict(cx.execute(sql.DIMENSIONS).fetchall())
        return self._dimensions

    def day(self, cx: sqlite3.Connection, known: Known, start: int) -> Day:
        """What is known of a day."""
        key = known.id, known.generation, start
        day = self._days.pop(key, None)
        if day is None:
            self._catch_up(cx, known)
            fold(cx, known)
            others = self._intern(cx, known, [(index, OTHER) for index in range(len(DIMENSIONS))])
            day = Day(start, [others[index, OTHER] for index in range(len(DIMENSIONS))])
            self._read_places(cx, known, day)
        self._days[key] = day
        return day

    def has_place(self, cx: sqlite3.Connection, known: Known, day: Day, page: int) -> bool:
        """Whether a page has a place in a day."""
        if page not in day.places and not day.is_full:
            self._catch_up(cx, known)
        return page in day.places

    def count(self, cx: sqlite3.Connection, known: Known, day: Day, groups: Iterable[Group]) -> Known:
        """Count the traits of some views of a day.

        A busy commit has some 2,000 traits. Those that are known to be there are counted here, a dimension at a time and with as
        little Python a trait as can be (0.3 us; a plain loop takes twice that); all others go through `_admit`, in the order of
        the views. Which of the two kinds comes first makes no difference.
        """
        unknown: list[_Unknown] = []
        for (lines, n), views in groups:
            bases = [page << PAGE_BITS if page in day.places else 0 for _, page, _ in views]
            wants_place = 0 in bases and not day.is_full
            for of, values in enumerate(zip(*[traits for _, _, traits in views], strict=True)):
                found = list(map(day.values[of].get, values, itertools.repeat(UNKNOWN)))
                if UNKNOWN in found:
                    _split_new_values(found, day, of, lines, n, views, unknown)
                _add(lines, found, n)
                at_pages = [base | line for base, line in zip(bases, found, strict=True) if base and line]
                if wants_place or not day.lines.issuperset(at_pages):
                    at_pages = _split_new_lines(bases, found, day, of, lines, n, views, unknown)
                _add(lines, at_pages, n)
            lines.pop(NOTHING, None)
        return self._admit(cx, known, day, sorted(unknown, key=_ORDER)) if unknown else known

    def _admit(self, cx: sqlite3.Connection, known: Known, day: Day, unknown: list[_Unknown]) -> Known:
        """Count traits that may be new to their day: what there is room for is admitted."""
        self._catch_up(cx, known)
        self._read_slots(cx, known, day, unknown)
        before = len(day.places), len(day.lines)
        self._admit_to_site(cx, known, day, unknown)
        for _, of, lines, n, page, value, counted in unknown:
            line = counted
            if line == NOTHING:
                line = day.values[of].get(value, day.others[of])
                lines[line] += n
            if page in day.places or len(day.places) < self._limits.pages:
                day.places.add(page)
                lines[self._line_of_page(day, page, of, line)] += n
        day.is_full = len(day.places) >= self._limits.pages
        if before != (len(day.places), len(day.lines)):
            known = known._replace(admitted=known.admitted + 1)
            self._seen[known.id, known.generation] = known.admitted
        self._size += len(day.lines) - day.size
        day.size = len(day.lines)
        return known

    def _admit_to_site(self, cx: sqlite3.Connection, known: Known, day: Day, unknown: list[_Unknown]) -> None:
        """Give values a line of their own in the site's day, as long as there is room."""
        new = dict.fromkeys((of.of, of.value) for of in unknown if of.line == NOTHING and of.value not in day.values[of.of])
        room = [self._limits.values - day.counts[other >> TRAIT_BITS] for other in day.others]
        admitted: list[tuple[int, str]] = []
        for index, value in new:
            if room[index] > 0:
                room[index] -= 1
                admitted.append((index, value))
            else:
                day.full_site[index] = day.others[index]
        if admitted:
            for (index, value), line in self._intern(cx, known, admitted).items():
                day.values[index][value] = line
                day.add(line)

    def _intern(self, cx: sqlite3.Connection, known: Known, values: list[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """The site's lines of some values (index of DIMENSIONS, value), new ones given out."""
        ids = self.dimensions(cx, (dimension.name for dimension in DIMENSIONS))
        indexes = {ids[dimension.name]: index for index, dimension in enumerate(DIMENSIONS)}
        named = [(DIMENSIONS[index].name, value) for index, value in values]
        return {
            (indexes[dimension], value): dimension << TRAIT_BITS | id for dimension, value, id in intern(cx, known.id, ids, named)
        }

    def _line_of_page(self, day: Day, page: int, index: int, line: int) -> int:
        """The line at a page that has a place in which a site's line is counted."""
        at_page = page << PAGE_BITS | line
        if at_page not in day.lines:
            other = page << PAGE_BITS | day.others[index]
            if at_page != other and day.counts[at_page >> TRAIT_BITS] >= self._limits.page_values:
                day.full[at_page >> TRAIT_BITS] = at_page = other
            day.add(at_page)
        return at_page

    # Learning what is there

    def _catch_up(self, cx: sqlite3.Connection, known: Known) -> None:
        """Learn what other processes have admitted: from what waits, as far as that goes back; else it has to be read again."""
        seen = self._seen.get((known.id, known.generation), 0)
        if seen == known.admitted:
            return
        self._seen[known.id, known.generation] = known.admitted
        days = [day for (site, generation, _), day in self._days.items() if (site, generation) == (known.id, known.generation)]
        if not days:
            return
        unseen = cx.execute(sql.ADMITTED, (known.id, seen)).fetchall()
        is_all = len({admitted for admitted, _ in unseen}) == known.admitted - seen
        for day in days:
            if not is_all:
                day.read.clear()
                self._read_places(cx, known, day)
            for _, part in unseen:
                for hour, lines in lines_of(part).items():
                    if day.start <= hour < day.start + DAY:
                        self._learn(cx, day, lines)

    def _learn(self, cx: sqlite3.Connection, day: Day, lines: Iterable[int]) -> None:
        """Know that lines are there; the site's own by their values too: a full day counts what it does not know as OTHER."""
        of_site: dict[int, int] = {}
        indexes = {other >> TRAIT_BITS: index for index, other in enumerate(day.others)}
        for line in lines:
            if line > LINES:
                day.places.add(line >> PAGE_BITS)
                day.add(line)
            elif line not in day.lines and line >> TRAIT_BITS in indexes:
                day.add(line)
                of_site[line & TRAITS] = line
        if of_site:
            for id, value in cx.execute(sql.VALUES, (as_json(list(of_site)),)):
                day.values[indexes[of_site[id] >> TRAIT_BITS]][value] = of_site[id]
        day.is_full = len(day.places) >= self._limits.pages

    def _read_places(self, cx: sqlite3.Connection, known: Known, day: Day) -> None:
        """Read which pages have a place."""
        arguments = {"site": known.id, "day": day.start, "hours": as_json(_unrolled_hours(known, day))}
        day.places.update(page for (page,) in cx.execute(sql.PLACES, arguments))
        day.is_full = len(day.places) >= self._limits.pages

    def _read_slots(self, cx: sqlite3.Connection, known: Known, day: Day, unknown: list[_Unknown]) -> None:
        """Read the slots that some traits are in, those that were not read yet."""
        slots = {day.others[of.of] >> TRAIT_BITS for of in unknown if of.line == NOTHING}
        slots |= {(of.page << PAGE_BITS | day.others[of.of]) >> TRAIT_BITS for of in unknown if of.page in day.places}
        slots -= day.read
        if slots:
            day.read |= slots
            hours = as_json(_unrolled_hours(known, day))
            arguments = {"site": known.id, "day": day.start, "hours": hours, "slots": as_json(sorted(slots))}
            self._learn(cx, day, [line for (line,) in cx.execute(sql.SLOTS, arguments)])


def _add(lines: Counter[int], found: list[int], n: int) -> None:
    """Add n for each line that was found. A Counter counts many faster than a loop does, and few slower."""
    if len(found) < FEW:
        for line in found:
            lines[line] = lines.get(line, 0) + n
    elif n == 1:
        lines.update(found)
    else:
        for line, views in Counter(found).items():
            lines[line] += views * n


def _split_new_values(
    found: list[int],
    day: Day,
    of: int,
    lines: Counter[int],
    n: int,
    views: list[tuple[int, int, Traits]],
    unknown: list[_Unknown],
) -> None:
    """Put values that the site's day does not have among the unknown, or into OTHER where the day is full."""
    for i, line in enumerate(found):
        if line == UNKNOWN:
            found[i] = day.full_site[of]
            if found[i] == NOTHING:
                order, page, traits = views[i]
                unknown.append(_Unknown(order, of, lines, n, page, traits[of], NOTHING))


def _split_new_lines(
    bases: list[int],
    found: list[int],
    day: Day,
    of: int,
    lines: Counter[int],
    n: int,
    views: list[tuple[int, int, Traits]],
    unknown: list[_Unknown],
) -> list[int]:
    """The lines at pages; those that are not known to be there go among the unknown, or are OTHER where the page is full."""
    at_pages: list[int] = []
    for base, line, (order, page, _) in zip(bases, found, views, strict=True):
        if line == NOTHING:
            continue
        at_page = base | line
        if base and at_page in day.lines:
            at_pages.append(at_page)
        elif base and (other := day.full.get(at_page >> TRAIT_BITS)):
            at_pages.append(other)
        elif base or not day.is_full:
            unknown.append(_Unknown(order, of, lines, n, page, "", line))
    return at_pages


def _unrolled_hours(known: Known, day: Day) -> list[int]:
    """The hours of a day that may have rows that are not in it yet."""
    return list(range(max(day.start, known.hour), min(day.start + DAY, known.newest + 1), HOUR))
