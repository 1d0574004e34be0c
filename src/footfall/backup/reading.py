"""Reading a backup: its lines are bounded, and everything in them is checked, before anything is loaded.

A backup may be damaged, or written by someone who means harm. What passes here a store can take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from gzip import GzipFile
from typing import Any, BinaryIO

import msgspec

from footfall.backup.documents import check_document
from footfall.backup.lines import MAX_LINE_BYTES, MOST_ROWS, PARTS, ROW_TYPES, VERSION, End, Header, Kept, Line, Row, Rows, Sums
from footfall.errors import BadInput
from footfall.intake.pages import is_page
from footfall.model import WHOLE_SITE, Section, Tier
from footfall.rules import Rules, site_name

#: The last second of the year 9999: beyond it calendars end.
LAST_SECOND = 253_402_300_799

#: The greatest number that all stores hold exactly; what a part of a site adds up to may not be greater either.
GREATEST = 2**53 - 1

#: Bounds of what a backup may name, far above what a store has.
MOST_SITES = 100_000
MOST_DIMENSIONS = 20
LONGEST_TEXT = 1024

#: Pages that are remembered as good while rows are checked: most stand in many rows.
_REMEMBERED = 50_000

_CHOOSE = "name a file that footfall backup has written"


class _BadLine(ValueError):
    """What is wrong with a line, in words."""


def lines_of(file: BinaryIO | GzipFile) -> Iterator[bytes]:
    """The lines of a file. Raises BadInput where one is longer than any line of a backup."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise BadInput("backup", f"line {number} is longer than {MAX_LINE_BYTES:,} bytes; {_CHOOSE}")
        yield line


def read_backup(lines: Iterable[bytes], defaults: Rules = Rules()) -> Iterator[Line]:  # noqa: B008 - frozen
    """The lines of a backup, checked one by one and against the last. Raises BadInput where it is none, or not whole.

    `defaults` are the rules that hold where a site has none of its own: with them the sites' documents must make sense.
    """
    checks = _Checks(defaults)
    end: End | None = None
    for number, raw in enumerate(lines, 1):
        try:
            line: Line = msgspec.json.decode(raw, type=Line)
            checks.take(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, _BadLine) as error:
            what = "it is no backup of Footfall" if number == 1 else f"line {number} can't be used ({_cause(error)})"
            raise BadInput("backup", f"{what}; {_CHOOSE}") from None
        if (number == 1) is not isinstance(line, Header) or end is not None:
            raise BadInput("backup", f"line {number} is out of place; {_CHOOSE}")
        if isinstance(line, Header) and line.version != VERSION:
            raise BadInput("backup", f"its form has version {line.version}; this Footfall reads {VERSION}, another may read it")
        end = line if isinstance(line, End) else None
        yield line
    # A site may have nothing left but lines that expired meanwhile, so there may be more sites than rows tell of.
    if end is None or (end.rows, end.documents) != (checks.rows, len(checks.documents)) or end.sites < len(checks.sites):
        raise BadInput("backup", "it is not whole: its end is missing or tells of other numbers; use another backup")


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)


def rows_of(line: Rows) -> list[Row]:
    """The rows in a line. Raises msgspec.ValidationError."""
    rows: list[Row] = msgspec.json.decode(line.rows, type=ROW_TYPES[line.section])
    return rows


class _Checks:
    """What is known of a backup that is being read: how much it has, and what it has named."""

    def __init__(self, defaults: Rules) -> None:
        self._defaults = defaults
        self.rows = 0
        self.sites: set[str] = set()
        self.documents: set[tuple[str, str]] = set()
        self._pages: set[str] = {WHOLE_SITE}
        self._dimensions: set[str] = set()
        self._sums: dict[tuple[str, Section, Tier], int] = {}

    def take(self, line: Line) -> None:
        """Check a line. Raises _BadLine, or what decoding raises."""
        if isinstance(line, Rows):
            self._check_part(line)
            rows = rows_of(line)
            _require(len(rows) <= MOST_ROWS, f"it has {len(rows)} rows; at most {MOST_ROWS}")
            self._check_rows(line, rows)
            self.rows += len(rows)
        elif isinstance(line, Sums):
            self._check_part(line)
            _require(line.section is not Section.WRITERS, "writers have no sums")
            for bucket in line.buckets:
                _check_start(line.tier, bucket.start)
                _require(0 <= bucket.rows <= GREATEST and 0 <= bucket.sum <= GREATEST, "a sum is out of range")
        elif isinstance(line, Kept):
            place = line.kind, line.key
            _require(place not in self.documents, f"{line.kind} {line.key!r:.80} stands in it twice")
            self.documents.add(place)
            try:
                check_document(line, self._defaults)
            except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, BadInput) as error:
                raise _BadLine(f"{line.kind} {line.key!r:.80}: {error}") from None

    def _check_part(self, line: Rows | Sums) -> None:
        if line.site not in self.sites:
            _check_site(line.site)
            _require(len(self.sites) < MOST_SITES, f"it has more than {MOST_SITES} sites")
            self.sites.add(line.site)
        part = line.section, line.tier
        _require(part in PARTS, f"{line.section.value} are not kept by {line.tier.value}")

    def _check_rows(self, line: Rows, rows: list[Any]) -> None:
        part = line.site, line.section, line.tier
        total = self._sums.get(part, 0)
        if line.section is Section.WRITERS:
            for name, sequence in rows:
                _require(0 < len(name) <= LONGEST_TEXT and name.isprintable(), "a writer has no name that can be one")
                _require(0 <= sequence <= GREATEST, f"the sequence {sequence} is out of range")
            return
        starts: set[int] = set()
        for row in rows:
            start, page, number = row[0], row[1], row[-1]
            if start not in starts:
                _check_start(line.tier, start)
                starts.add(start)
            if page not in self._pages:
                self._check_page(page)
            if line.section is Section.TRAITS:
                self._check_trait(row[2], row[3])
            _require(0 <= number <= GREATEST, f"the number {number} is out of range")
            total += number
        _require(total <= GREATEST, f"the numbers of {line.site} add up to more than {GREATEST}")
        self._sums[part] = total

    def _check_page(self, page: str) -> None:
        _require(is_page(page), f"{page[:80]!r} can't be a page")
        if len(self._pages) >= _REMEMBERED:
            self._pages = {WHOLE_SITE}
        self._pages.add(page)

    def _check_trait(self, dimension: str, value: str) -> None:
        if dimension not in self._dimensions:
            _require(0 < len(dimension) <= 64 and dimension.isprintable(), f"{dimension[:80]!r} can't be a dimension")
            _require(len(self._dimensions) < MOST_DIMENSIONS, f"it has more than {MOST_DIMENSIONS} dimensions")
            self._dimensions.add(dimension)
        _require(0 < len(value) <= LONGEST_TEXT, f"a value of {dimension} has {len(value)} characters")


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise _BadLine(otherwise)


def _check_site(name: str) -> None:
    try:
        is_name = site_name(name) == name
    except ValueError:
        is_name = False
    _require(is_name, f"{name[:80]!r} can't be the name of a site")


def _check_start(tier: Tier, start: int) -> None:
    _require(0 <= start <= LAST_SECOND, f"{start} is no time")
    _require(tier.start(start) == start, f"no {tier.value} begins at {start}")
