r"""The formats that Apache gave their names: common and combined, and both with the virtual host before them.

nginx and most other servers write them, too. Sources: Apache's mod_log_config, "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\"
\"%{User-agent}i\"", Debian's vhost_combined, the same behind "%v:%p "; nginx's log_format, combined.
"""

from __future__ import annotations

import re

from footfall.importing.formats.entry import LogEntry, Times, decoded, encoded, plain, split_request, unescaped
from footfall.networks import pack

_TIME = r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}[ ][+-][0-9]{4}"

#: The time in brackets, the request, the status, the bytes sent; in the combined format the referrer and the user agent, too.
#: Within a field no quote stands bare: Apache writes \" and \xhh, nginx \x22. So only the real time is followed by '] "',
#: whatever stands before it (address, identity, user; in some formats the host first): a user's name may look like a time.
#: What a server adds behind these fields is passed over. A line that was cut within its quotes is none.
_LINE = re.compile(
    rf"""
    (?P<before> [^"\\\[]*+ (?: (?: \\. | \[ (?! {_TIME} \][ ]" ) ) [^"\\\[]*+ )*+ ) \[
    (?P<time> {_TIME} ) \]
    [ ]" (?P<request> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
    [ ] (?P<status> [0-9]{{3}} )
    [ ] (?: [0-9]+ | - )
    (?: [ ]" (?P<referrer> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
        [ ]" (?P<agent> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) " (?: [ ] .* )?
      | (?: [ ] (?!") .* )?
    )
    """,
    re.VERBOSE | re.DOTALL,
).fullmatch

#: The ends of what stands before the request, and what stands between it and the referrer.
_TIME_LAST = re.compile(rf"\[{_TIME}\] ").fullmatch
_TIME_LENGTH = len("[17/May/2015:10:05:03 +0200] ")
_ANSWER = re.compile(r" ([0-9]{3}) (?:[0-9]+|-) ").fullmatch

#: What stands before the time, the time, the request, the status, the referrer and the user agent.
_Fields = tuple[str, str, str, str, str | None, str | None]


def _fields(text: str) -> _Fields | None:
    """The fields of a line, None where it has not this format."""
    match = _LINE(text.removesuffix("\r"))
    return match.groups() if match else None  # type: ignore[return-value]  # the groups that may be missing are the last two


def _plain_fields(text: str) -> _Fields | None:
    """The same where a line has just the combined format's and escapes nothing, as nearly all: reading one takes a fifth less."""
    pieces = text.split('"')
    if len(pieces) != 7 or "\\" in text:
        return None
    before, request, answer, referrer, gap, agent, rest = pieces
    status = _ANSWER(answer)
    if status is None or gap != " " or rest or not _TIME_LAST(before, len(before) - _TIME_LENGTH):
        return None
    return before[:-_TIME_LENGTH], before[1 - _TIME_LENGTH : -2], request, status[1], referrer, agent


#: A host and its port, and after it an address, which has a dot or a colon, or is "-" where the server knew none.
_HOST_FIRST = re.compile(r'(?P<host>[A-Za-z0-9._-]+(?::[0-9]{1,5})?) (?P<address>[^ "]*[.:][^ "]*|-) (?P<rest>.*)')

#: The name of a host: it has a dot, and ends with letters, as no address does.
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z][A-Za-z0-9-]*")


class Combined:
    """Combined or common, as each line has it."""

    name = written = "combined"
    title = "Apache and nginx, combined or common"
    tells_host = False

    def __init__(self) -> None:
        self._times = Times()

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        text = decoded(line)
        fields = _plain_fields(text) or _fields(text)
        if fields is None:
            return None
        before, time, request, status, referrer, agent = fields
        at = self._times.common(time)
        place = self._place(before)
        if at is None or place is None:
            return None
        host, address = place
        method, target = split_request(request)
        if "\\" in text or not text.isascii():  # few lines are: the others are as they were sent
            target = encoded(unescaped(target))
            referrer = referrer and plain(unescaped(referrer))
            agent = agent and plain(unescaped(agent))
        referrer, agent = "" if referrer == "-" else referrer, "" if agent == "-" else agent
        return LogEntry(at, method, target, int(status), referrer, agent, host, address)

    def _place(self, before: str) -> tuple[str | None, str] | None:
        """Host and address in what stands before the time; None where they are not as this format has them."""
        first = before.partition(" ")[0]
        if pack(first) is None:
            # A resolved name, or what a container's or the system's log put before the line: then an address follows it.
            return None, next((word for word in before.split(" ") if pack(word) is not None), first)
        return None, first


class VhostCombined(Combined):
    """The same behind the virtual host: "example.com:443 192.0.2.1 - - [...", with or without the port."""

    name = written = "vhost-combined"
    title = "Apache's vhost_combined: the virtual host, then combined"
    tells_host = True

    def _place(self, before: str) -> tuple[str | None, str] | None:
        match = _HOST_FIRST.match(before)
        if match is None:
            return None
        host, address, rest = match.groups()
        if address == "-" and rest.count(" ") < 2:
            return None
        if pack(host) is not None and pack(address) is None:  # the address first, as `HostSecond` has it, or no host at all
            return None
        return host, address


class HostSecond(Combined):
    """The same with the virtual host in the place of the identity: "192.0.2.1 example.com - [...", as some providers write it."""

    name = written = "host-second"
    title = "the address, the virtual host, then combined"
    tells_host = True

    def _place(self, before: str) -> tuple[str | None, str] | None:
        address, _, rest = before.partition(" ")
        host = rest.partition(" ")[0]
        return (host, address) if pack(address) is not None and _HOST_NAME.fullmatch(host) else None
