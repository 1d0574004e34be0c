"""The access log of an AWS Application Load Balancer.

Source: "Access logs for your Application Load Balancer", section "Access log entries", in the user guide of Elastic Load
Balancing. Fields that are added behind those read here are passed over, as that page asks of whoever reads these logs.
"""

from __future__ import annotations

import re

from footfall.importing.formats.entry import (
    LogEntry,
    decoded,
    encoded,
    iso_seconds,
    plain,
    split_request,
    unescaped,
    without_origin,
)

#: type, time, balancer, client, target, three durations, two statuses, two sizes, request, user agent.
_LINE = re.compile(
    r"""
    (?: https? | h2 | grpcs | wss? ) [ ] (?P<time> [0-9T:.-]+Z ) [ ] [^ ]+ [ ] (?P<client> [^ ]+ ) [ ] [^ ]+
    (?: [ ] [0-9.-]+ ){3}
    [ ] (?P<status> [0-9]{3} | - ) [ ] (?: [0-9]{3} | - )
    [ ] [0-9-]+ [ ] [0-9-]+
    [ ]" (?P<request> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
    [ ]" (?P<agent> [^"\\]*+ (?: \\. [^"\\]*+ )*+ ) "
    (?: [ ] .* )?
    """,
    re.VERBOSE | re.DOTALL,
)


class Alb:
    """A line names the whole URL that was asked for, its host included, and no referrer. Its time is the end of the answer."""

    name = written = "alb"
    title = "AWS Application Load Balancer"
    tells_host = True

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        match = _LINE.fullmatch(decoded(line).rstrip("\r"))
        if match is None:
            return None
        time, client, status, request, agent = match.groups()
        at = iso_seconds(time)
        if at is None:
            return None
        method, url = split_request(request)
        target, host = without_origin(unescaped(url))
        return LogEntry(
            at,
            method,
            encoded(target),
            0 if status == "-" else int(status),
            None,
            plain(unescaped(agent)),
            host and host.rstrip("- "),  # what was no request has dashes for what it did not name
            client.rpartition(":")[0].strip("[]"),
        )
