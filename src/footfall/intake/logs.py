"""Reading the access log of a web server: a line goes in, a View or a Drop comes out.

The formats are Apache's "common" and "combined", which nginx and most other servers write, too. What makes a line a view is the
list RULES, tried in order; `docs/what-counts.md` says the same to users. Nothing here opens files or knows a store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import msgspec

from footfall.intake.agents import Agents
from footfall.intake.pages import BadPage, is_asset, is_feed, normalise
from footfall.model import DAY, Drop, DropReason, View

#: The time in brackets, the request, the status, the bytes sent; in the combined format the referrer and the user agent, too.
#: Within a field no quote stands bare: Apache writes \" and \xhh, nginx \x22. So only the real time is followed by '] "',
#: whatever stands before it (address, identity, user; in some formats the host first): a user's name may look like a time.
#: What a server adds behind these fields is passed over. A line that was cut within its quotes is none.
#: Sources: Apache's mod_log_config, "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""; nginx's log_format, combined.
_LINE = re.compile(
    r"""
    (?: [^"\\] | \\. )*? \[ (?P<time> [0-9]{2}/[A-Z][a-z]{2}/[0-9]{4} : [0-9]{2}:[0-9]{2}:[0-9]{2} [ ] [+-][0-9]{4} ) \]
    [ ]" (?P<request> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
    [ ] (?P<status> [0-9]{3} )
    [ ] (?: [0-9]+ | - )
    (?: [ ]" (?P<referrer> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
        [ ]" (?P<agent> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) " (?: [ ] .* )?
      | (?: [ ] (?!") .* )?
    )
    """,
    re.VERBOSE | re.DOTALL,
)

_MONTHS = {
    name: number
    for number, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}

_EPOCH = date(1970, 1, 1).toordinal()

#: An escaped character in a quoted field: a byte (\xhh) or a letter's meaning.
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "b": "\b", "f": "\f"}


class LogEntry(msgspec.Struct, frozen=True):
    """What one line of a log says.

    `at` is in Unix seconds. `target` is as the client sent it, except that bytes other than ASCII's are percent-encoded; it is
    empty where the request is none (a connection closed early, another protocol). `referrer` and `user_agent` are None where the
    line does not say.
    """

    at: int
    method: str
    target: str
    status: int
    referrer: str | None
    user_agent: str | None


def read_line(line: str) -> LogEntry | None:
    """Read a line of the common or the combined format, with or without its end; None where it is in neither or its time is none.

    Bytes that are not UTF-8 are expected as lone surrogates, as `errors="surrogateescape"` decodes them.
    """
    match = _LINE.fullmatch(line.rstrip("\r\n"))
    if match is None:
        return None
    time, request, status, referrer, agent = match.groups()
    at = _seconds(time)
    if at is None:
        return None
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):  # HTTP/0.9 named no protocol
        target = rest
    return LogEntry(at, method, _ascii(target), int(status), _text(referrer), _text(agent))


def _seconds(time: str) -> int | None:
    """Unix seconds of "17/May/2015:10:05:03 +0200"; None where there is no such moment or it is before 1970."""
    hour, minute, second, offset = int(time[12:14]), int(time[15:17]), int(time[18:20]), int(time[22:24]) * 60 + int(time[24:26])
    month = _MONTHS.get(time[3:6])
    if month is None or hour > 23 or minute > 59 or second > 60 or offset > 14 * 60:  # 60: a leap second
        return None
    try:
        day = date(int(time[7:11]), month, int(time[:2])).toordinal() - _EPOCH
    except ValueError:
        return None
    at = day * DAY + hour * 3600 + minute * 60 + second - (offset if time[21] == "+" else -offset) * 60
    return at if at >= 0 else None


def _bytes(field: str) -> bytes:
    """What the client sent, of a field in which the server may have escaped bytes."""
    return _ESCAPE.sub(_unescaped, field).encode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is None:
        return _LETTERS.get(found[2], found[2])
    byte = int(found[1], 16)
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)  # as "surrogateescape" writes a byte that is no character yet


def _ascii(target: str) -> str:
    """A request's target with everything beyond ASCII percent-encoded, whichever way the log wrote it."""
    if target.isascii() and "\\" not in target:
        return target
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in _bytes(target))


def _text(field: str | None) -> str | None:
    """A quoted field as the client sent it; what is not UTF-8 becomes U+FFFD. None for "-"."""
    if field is None or field == "-":
        return None
    if field.isascii() and "\\" not in field:
        return field
    return _bytes(field).decode("utf-8", "replace")


class Reading(NamedTuple):
    """A line as the rules look at it: its entry, the page and the query of its target, and who knows agents.

    `page` is empty where the target can't be one.
    """

    entry: LogEntry
    page: str
    query: str
    agents: Agents


class Rule(NamedTuple):
    """A reason to drop what a line tells of. `applies` says whether it holds."""

    name: str
    reason: DropReason
    applies: Callable[[Reading], bool]


def other_method(reading: Reading) -> bool:
    """The request is not a GET: it sends something (POST), asks for headers only (HEAD), or is no HTTP at all."""
    return reading.entry.method != "GET"


def not_shown(reading: Reading) -> bool:
    """The answer was an error, a redirect, or had nothing to show (204, 205). With 304 a browser shows what it has kept."""
    status = reading.entry.status
    return not (200 <= status <= 299 or status == 304) or status in (204, 205)


def no_page(reading: Reading) -> bool:
    """The target is no path that can be a page: see `pages.normalise`."""
    return reading.page == ""


def asset(reading: Reading) -> bool:
    """The path ends like a file's that is no page: an image, a style sheet, a script, robots.txt, a download."""
    return is_asset(reading.page)


def feed(reading: Reading) -> bool:
    """The path or the query asks for a news feed."""
    return is_feed(reading.page, reading.query)


def bot(reading: Reading) -> bool:
    """The user agent is a program's. None at all is no bot."""
    return reading.entry.user_agent is not None and reading.agents.is_bot(reading.entry.user_agent)


#: Tried in this order, the first that applies gives the reason. What is cheap comes first; "bot" last, so that it counts pages
#: that were read by programs, and not their images.
RULES: tuple[Rule, ...] = (
    Rule("other method", DropReason.NOT_A_PAGE, other_method),
    Rule("not shown", DropReason.NOT_A_PAGE, not_shown),
    Rule("no page", DropReason.BAD_PAGE, no_page),
    Rule("asset", DropReason.NOT_A_PAGE, asset),
    Rule("feed", DropReason.NOT_A_PAGE, feed),
    Rule("bot", DropReason.BOT, bot),
)


def judge_line(line: str, site: str, agents: Agents) -> View | Drop:
    """The view of `site` that a line of its server's log tells of, with the line's time; or why it tells of none."""
    entry = read_line(line)
    if entry is None:
        return Drop(DropReason.UNREADABLE, site)
    target, _, query = entry.target.partition("?")
    try:
        page = normalise(target)
    except BadPage:
        page = ""
    reading = Reading(entry, page, query, agents)
    for rule in RULES:
        if rule.applies(reading):
            return Drop(rule.reason, site)
    return View(site, page, entry.at)
