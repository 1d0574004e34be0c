"""What one line of a log says, whatever format it is in: the neutral record that all formats are read into.

Also how fields are read that several formats share: times, quoted texts, requests, targets. Whoever reads a format gives an entry
or None, and raises nothing, whatever a line holds. Nothing here knows a format, a site, or what a view is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

import msgspec

from footfall.model import DAY, MINUTE

NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})

#: No log is of the year 10000: a number beyond that is no time.
_LATEST = 253_402_300_799


class LogEntry(msgspec.Struct, frozen=True):
    """What one line of a log says.

    `at` is in Unix seconds. `target` is the path and query as the client sent them, except that bytes other than ASCII's are
    percent-encoded; it is empty where the request is none (a connection closed early, another protocol). `referrer` and
    `user_agent` are "" where the client sent none, and None where the line does not say. `host` is the virtual host that was
    asked, as it is written. `address` is the client's: it is there to be hashed, is never stored, and no representation of an
    entry shows it. `headers` are other headers of the request, by lower-case name, where the line tells some.
    """

    at: int
    method: str
    target: str
    status: int
    referrer: str | None = None
    user_agent: str | None = None
    host: str | None = None
    address: str | None = None
    headers: Mapping[bytes, bytes] = NO_HEADERS

    def __repr__(self) -> str:
        return f"LogEntry(at={self.at}, method={self.method!r}, target={self.target!r}, status={self.status}, host={self.host!r})"


class Format(Protocol):
    """A format of logs. `title` is what people call it; where `tells_host`, its lines name the virtual host."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def written(self) -> str:
        """What `format_named` makes such a format of: the name, or the pattern."""
        ...

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def tells_host(self) -> bool:
        """Its lines name the virtual host that was asked."""
        ...

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line without its end; None where it is not in this format, or its time is none. Raises nothing."""
        ...


# Times

_MONTHS = {
    name: number
    for number, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_EPOCH = date(1970, 1, 1).toordinal()
_EPOCH_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)

_COMMON = re.compile(r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}")
#: A wall clock's time, as Caddy writes it: "2024/09/30 04:19:47.219".
_WALL = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2} ")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")

#: Minutes whose beginnings are remembered: lines of a log stand in the order of their times, nearly.
_REMEMBERED_MINUTES = 64


class Times:
    """Reads the times of one log, in 0.4 microseconds where the line before was of the same minute."""

    def __init__(self) -> None:
        self._minute = lru_cache(_REMEMBERED_MINUTES)(_minute)

    def common(self, text: str) -> int | None:
        """Unix seconds of "17/May/2015:10:05:03 +0200", which must have this shape; None where there is no such moment.

        A moment before 1970 is none either. A leap second is the first of the next minute.
        """
        minute = self._minute(text[:17], text[20:])
        if minute is None or (second := int(text[18:20])) > 60:
            return None
        return minute + second if minute + second >= 0 else None

    def any(self, written: str | float) -> int | None:
        """Unix seconds of a number, a number as text, a moment of ISO 8601, of the common format or of a wall clock; or None."""
        if not isinstance(written, str):
            return number_seconds(written)
        if _NUMBER.fullmatch(written):
            return number_seconds(float(written))
        if _COMMON.fullmatch(written):
            return self.common(written)
        return iso_seconds(written.replace("/", "-") if _WALL.match(written) else written)


def _minute(moment: str, offset: str) -> int | None:
    """Unix seconds of "17/May/2015:10:05" and " +0200"."""
    hour, minute, east = int(moment[12:14]), int(moment[15:17]), int(offset[2:4]) * 60 + int(offset[4:6])
    month = _MONTHS.get(moment[3:6])
    if month is None or hour > 23 or minute > 59 or east > 14 * 60:
        return None
    try:
        day = date(int(moment[7:11]), month, int(moment[:2])).toordinal() - _EPOCH
    except ValueError:
        return None
    return day * DAY + hour * 3600 + minute * MINUTE - (east if offset[1] == "+" else -east) * MINUTE


def iso_seconds(text: str) -> int | None:
    """Unix seconds of an ISO 8601 moment, "2018-07-02T22:23:00.186641Z"; without a zone it is UTC. None where it is none."""
    if len(text) < 19 or not text.isascii():  # a date alone is no moment
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment_seconds(moment)


def moment_seconds(moment: datetime) -> int | None:
    """Unix seconds of a moment, of UTC where it has no zone; None before 1970."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH_MOMENT
    return passed.days * DAY + passed.seconds if passed.days >= 0 else None


def number_seconds(number: float) -> int | None:
    """Unix seconds of a number of seconds, milli-, micro- or nanoseconds: its size tells which. None where it is no time."""
    if not 0 <= number < 1e20:  # so that infinities and what is no number are out, too
        return None
    for _ in range(3):
        if number > _LATEST:
            number /= 1000
    return int(number) if number <= _LATEST else None


# Texts

#: An escaped character in a quoted field: a byte (\xhh), a code point (\uhhhh, in JSON), or a letter's meaning.
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "b": "\b", "f": "\f"}


def decoded(line: bytes) -> str:
    """A line as text, with bytes that are not UTF-8 as lone surrogates, from which the functions below make bytes again."""
    return line.decode("utf-8", "surrogateescape")


def unescaped(field: str) -> str:
    """A quoted field without the escapes that the server wrote into it: a byte above ASCII's becomes a lone surrogate."""
    return _ESCAPE.sub(_meant, field) if "\\" in field else field


def _meant(found: re.Match[str]) -> str:
    if found[1] is not None:
        byte = int(found[1], 16)
        return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)  # as "surrogateescape" writes a byte that is no character yet
    if found[2] is not None:
        return chr(int(found[2], 16))
    return _LETTERS.get(found[3], found[3])


def sent_bytes(text: str) -> bytes:
    """What the client sent, of a text without escapes. Lone surrogates stand for bytes that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte, as JSON can spell one
        return text.encode("utf-8", "replace")


def plain(text: str | None) -> str | None:
    """A text as it was sent, unescaped already; what is not UTF-8 becomes U+FFFD. "-" is what servers write for nothing."""
    if text is None or text == "-":
        return text and ""
    return text if text.isascii() else sent_bytes(text).decode("utf-8", "replace")


def encoded(target: str) -> str:
    """A request's target with everything beyond ASCII percent-encoded, whichever way the log wrote it; unescaped already."""
    if target.isascii():
        return target
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in sent_bytes(target))


def split_request(request: str) -> tuple[str, str]:
    """Method and target of "GET /a b HTTP/1.1"; HTTP/0.9 named no protocol. The target is empty where there is none."""
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    return (method, target) if protocol.startswith("HTTP/") else (method, rest)


def without_origin(target: str) -> tuple[str, str | None]:
    """Path and host of "http://host:80/path"; a target that is a path is one already, and names no host."""
    if target.startswith("/"):
        return target, None
    scheme, separator, rest = target.partition("://")
    if not separator or not scheme.isalpha():
        return target, None
    host, slash, path = rest.partition("/")
    return (slash + path or "/"), host
