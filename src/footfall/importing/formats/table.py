"""The table of formats, and how a format is told from the first lines of a log.

To add a format, write a class that is a `Format` and give it a row in `known_formats`, before those that read its lines, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from footfall.errors import BadInput
from footfall.importing.formats.alb import Alb
from footfall.importing.formats.apache import Combined, VhostCombined
from footfall.importing.formats.entry import Format
from footfall.importing.formats.json_lines import CaddyJson, NginxJson
from footfall.importing.formats.patterns import Pattern

#: How many of a log's first lines are looked at to tell its format.
LINES_LOOKED_AT = 100


def known_formats() -> tuple[Format, ...]:
    """Every format that has a name. Where two read a line, the one that stands first says more of it."""
    return (CaddyJson(), NginxJson(), Alb(), VhostCombined(), Combined())


def format_named(given: str) -> Format:
    """The format of that name, or the one that a pattern describes. Raises BadInput."""
    for known in known_formats():
        if given.strip().lower() == known.name:
            return known
    if "$" in given or "%" in given:
        return Pattern(given)
    names = ", ".join(known.name for known in known_formats())
    raise BadInput("--format", f"write one of {names}, or a pattern such as '%h %l %u %t \"%r\" %>s %b'")


def told_format(lines: Sequence[bytes]) -> Format | None:
    """The format that reads the most of a log's first lines (without their ends); None where none reads any."""
    formats = known_formats()
    read = [sum(known.read(line) is not None for line in lines[:LINES_LOOKED_AT]) for known in formats]
    return formats[read.index(max(read))] if any(read) else None
