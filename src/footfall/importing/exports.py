"""Importing what other counters export: GoatCounter's CSV of page views, and Plausible's CSV of pages by day.

Each row counts once, however often an export is imported, and a later export that begins like an earlier one counts what is new.
A GoatCounter export is known by its first row and goes on by row; of Plausible a day is what is counted once. This module knows
rows, views and the store contract; it knows no files and no command line.
"""

from __future__ import annotations

import csv
import datetime
import enum
import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from footfall.errors import BadInput
from footfall.importing.log_import import Target
from footfall.importing.sums import summed
from footfall.intake.request import Intake
from footfall.intake.traits import Evidence, country_of
from footfall.model import DAY, DIMENSIONS, Batch, Drop, DropReason, SiteBatch, Traits, View
from footfall.rules import Site

T = TypeVar("T")

#: Rows that one batch takes in.
ROWS_AT_ONCE = 1000

#: Plausible tells days; its views are counted at this second of them, and stand there in whatever tells hours.
NOON = DAY // 2

#: What its columns are called without spaces and signs; the first begins with the version of the form, 1 or 2.
_GOATCOUNTER = {"path", "event", "bot", "session", "referrer", "referrerscheme", "browser", "screensize", "location", "date"}
_PLAUSIBLE = {"date", "page", "pageviews"}

_VERSIONS = ("1", "2")

#: How an export writes that a row is an event, or a robot's: GoatCounter's columns are numbers.
_YES = ("1", "true")
_NAME = re.compile(r"(.+?)(?: [0-9][0-9.]*)?")


class Kind(enum.StrEnum):
    """Whose export it is."""

    GOATCOUNTER = "GoatCounter"
    PLAUSIBLE = "Plausible"


class Found(NamedTuple):
    """What an import of exports found, in views: counted, dealt with earlier, and dropped by reason."""

    counted: int
    already: int
    dropped: Mapping[str, int]
    first: int | None
    last: int | None


class _Head(NamedTuple):
    """The columns of an export: the place of each by its name."""

    kind: Kind
    places: Mapping[str, int]

    def get(self, row: Sequence[str], name: str) -> str:
        place = self.places.get(name)
        return row[place] if place is not None and place < len(row) else ""


def kind_of(first_line: str) -> Kind | None:
    """Whose export begins with this line; None where it is none."""
    try:
        return read_head(next(csv.reader([first_line]), [])).kind
    except (BadInput, csv.Error):
        return None


def read_head(row: Sequence[str]) -> _Head:
    """The columns. Raises BadInput where they are of no export that is known here."""
    names = [re.sub("[^a-z_]", "", name.lower()) for name in row]
    places = {name: place for place, name in reversed([*enumerate(names)])}
    if places.keys() >= _GOATCOUNTER and row[0].endswith("Path"):
        version = row[0].removesuffix("Path").strip()
        if version not in _VERSIONS:
            raise BadInput("export", f"its form has version {version or 0}; {' and '.join(_VERSIONS)} are known here")
        return _Head(Kind.GOATCOUNTER, places)
    if places.keys() >= _PLAUSIBLE:
        return _Head(Kind.PLAUSIBLE, places)
    raise BadInput("export", "its first line names the columns of no export that is known here; see docs/importing.md")


class ExportImport:
    """Imports exports of one site into `store`, and sums up what it finds in them."""

    def __init__(self, store: Target, site: Site, intake: Intake) -> None:
        self._store = store
        self._site = site
        self._intake = intake
        self._counted = self._already = 0
        self._dropped: Counter[str] = Counter()
        self._times: list[int] = []

    def found(self) -> Found:
        """What was found up to now."""
        first, last = (min(self._times), max(self._times)) if self._times else (None, None)
        return Found(self._counted, self._already, dict(self._dropped), first, last)

    async def read(self, lines: Iterable[str], progress: Callable[[], None] = lambda: None) -> None:
        """Import an export to its end. Raises BadInput where it can't be read, and StoreError; then the next import goes on."""
        rows = csv.reader(lines)
        try:
            head = read_head(next(rows, []))
            full = (row for row in rows if row)
            if head.kind is Kind.GOATCOUNTER:
                await self._read_views(head, full, progress)
            else:
                await self._read_days(head, full, progress)
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput("export", f"line {rows.line_num} is no CSV in UTF-8 ({error}); export it again") from None

    # GoatCounter: a row is a view

    async def _read_views(self, head: _Head, rows: Iterator[list[str]], progress: Callable[[], None]) -> None:
        writer, applied, end = "", 0, 0
        for some in _parts(rows):
            if not writer:
                writer = "import:" + hashlib.sha256("\x00".join([*head.places, *some[0]]).encode()).hexdigest()
                applied = await self._store.applied(self._site.name, writer)
            start, end = end, end + len(some)
            new = some[max(0, applied - start) :]
            self._already += len(some) - len(new)
            if new:
                outcomes = [self._view(head, row) for row in new]
                await self._store.commit(Batch(writer, end, {self._site.name: summed(outcomes)}, lasting=True))
                self._take(outcomes)
            progress()

    def _take(self, outcomes: Iterable[View | Drop]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Drop):
                self._dropped[outcome.reason.value] += 1
            else:
                self._counted += 1
                self._note(outcome.at or 0)

    def _note(self, at: int) -> None:
        self._times = [min([at, *self._times]), max([at, *self._times])]

    def _view(self, head: _Head, row: Sequence[str]) -> View | Drop:
        name = self._site.name
        try:
            moment = datetime.datetime.fromisoformat(head.get(row, "date"))
        except ValueError:
            return Drop(DropReason.UNREADABLE, name)
        # GoatCounter writes UTC; a date without a zone is none of this machine's.
        at = int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())
        if head.get(row, "event").lower() in _YES:
            return Drop(DropReason.NOT_A_PAGE, name)
        if head.get(row, "bot") not in ("", "0"):
            return Drop(DropReason.BOT, name)
        path = head.get(row, "path")
        if at < 0 or not path:
            return Drop(DropReason.UNREADABLE, name)
        classified = self._intake.classify_trusted(self._site, path, _evidence(head, row, path), at=at)
        if isinstance(classified, Drop):
            return classified
        told = {"browser": head.get(row, "browser"), "system": head.get(row, "system")}
        session = head.get(row, "session")
        visitor = int.from_bytes(hashlib.sha256(f"{name}\x00{session}".encode()).digest()[:8]) if session else None
        return View(
            name, classified.page, at, None, _told(classified.traits, told), visitor if self._site.rules.counts_visitors else None
        )

    # Plausible: a row is a page's views of a day

    async def _read_days(self, head: _Head, rows: Iterator[list[str]], progress: Callable[[], None]) -> None:
        days: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in rows:
            day, page, views = (head.get(row, name) for name in ("date", "page", "pageviews"))
            if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day) or not re.fullmatch("[0-9]{1,15}", views):
                self._dropped[DropReason.UNREADABLE.value] += 1
                continue
            classified = self._intake.classify_trusted(self._site, page, Evidence())
            if isinstance(classified, Drop):
                self._dropped[classified.reason.value] += int(views)
            else:
                days[day][classified.page] += int(views)
        for day in sorted(days):
            await self._count_day(day, days[day])
            progress()

    async def _count_day(self, day: str, pages: Mapping[str, int]) -> None:
        try:
            at = int(datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) + NOON
        except ValueError:
            self._dropped[DropReason.UNREADABLE.value] += 1
            return
        writer = "plausible:" + day
        applied = await self._store.applied(self._site.name, writer)
        rows = sorted((page, views) for page, views in pages.items() if views)
        for sequence, some in enumerate(_parts(iter(rows)), 1):
            views = sum(n for _, n in some)
            if sequence <= applied:
                self._already += views
                continue
            timed = {(page, at): n for page, n in some}
            await self._store.commit(Batch(writer, sequence, {self._site.name: SiteBatch(timed=timed)}, lasting=True))
            self._counted += views
            self._note(at)


def _evidence(head: _Head, row: Sequence[str], path: str) -> Evidence:
    """What a row of GoatCounter tells of a visit. Only the scheme "h" is a link; "c" is a campaign's name."""
    scheme, said = head.get(row, "referrerscheme"), head.get(row, "referrer")
    referrer = said if "://" in said else f"https://{said}"
    width = head.get(row, "screensize").partition(",")[0].partition("x")[0]
    return Evidence(
        referrer=referrer if scheme == "h" and said else None if said else "",
        campaign=f"ref={said}" if scheme == "c" and said.isprintable() and "&" not in said else path.partition("?")[2],
        user_agent=head.get(row, "useragent"),
        width=int(width) if re.fullmatch("[0-9]{1,5}", width) else 0,
        country=country_of(head.get(row, "location").partition("-")[0]),
    )


def _told(traits: Traits, told: Mapping[str, str]) -> Traits:
    """Traits, with what an export tells by name and version ("Firefox 140") in the place of what no user agent told."""
    found = []
    for dimension, value in zip(DIMENSIONS, traits, strict=True):
        name = _NAME.fullmatch(told.get(dimension.name, "")[:40])
        found.append(name[1] if name and not value and name[1].isprintable() else value)
    return tuple(found)


def _parts(rows: Iterator[T]) -> Iterator[list[T]]:
    while part := list(itertools.islice(rows, ROWS_AT_ONCE)):
        yield part
