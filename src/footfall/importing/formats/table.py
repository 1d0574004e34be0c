"""The table of formats, and how a format is told from the lines of a log.

To add a format, write a class that is a `Format` and give it a row in `known_formats`, before those that read its lines, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from footfall.errors import BadInput
from footfall.importing.formats.alb import Alb
from footfall.importing.formats.apache import Combined, HostSecond, VhostCombined
from footfall.importing.formats.entry import Format
from footfall.importing.formats.json_lines import CaddyJson, NginxJson, TraefikJson
from footfall.importing.formats.patterns import Pattern
from footfall.importing.formats.wrapped import DOCKER, CaddyConsole, DockerJson

#: How many of a log's lines are looked at together to tell its format.
LINES_LOOKED_AT = 100


def known_formats() -> tuple[Format, ...]:
    """Every format that has a name. Where two read a line, the one that stands first says more of it."""
    json_formats = (CaddyJson(), TraefikJson(), NginxJson())
    text_formats = (Alb(), VhostCombined(), HostSecond(), Combined())
    inner: tuple[Format, ...] = (*json_formats, *text_formats)
    wrapped = tuple(DockerJson(each) for each in inner)
    return (*json_formats, CaddyConsole(), *text_formats, *wrapped)


def format_named(given: str) -> Format:
    """The format of that name, or the one that a pattern describes. Raises BadInput."""
    for known in known_formats():
        if given.strip().lower() == known.name:
            return known
    if "$" in given or "%" in given:
        return Pattern(given)
    names = ", ".join(known.name for known in known_formats() if not known.name.startswith(DOCKER))
    raise BadInput("--format", f"write one of {names}, {DOCKER}NAME, or a pattern such as '%h %l %u %t \"%r\" %>s %b'")


def told_format(lines: Sequence[bytes]) -> Format | None:
    """The format of some lines of a log (without their ends); None where none reads any.

    The first hundred lines of which any is read decide, since servers log their start, too. A format that says more is preferred
    while it reads three of four lines that any other does: one odd client decides nothing.
    """
    formats = known_formats()
    for start in range(0, len(lines), LINES_LOOKED_AT):
        read = [sum(known.read(line) is not None for line in lines[start : start + LINES_LOOKED_AT]) for known in formats]
        if any(read):
            return next(known for known, number in zip(formats, read, strict=True) if 4 * number >= 3 * max(read))
    return None
