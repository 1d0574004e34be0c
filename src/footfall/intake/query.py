"""The query string of a request to count: its parameters, read in one pass and remembered, since busy sites send the same few.

Malformed parameters are the sender's mistake and raise; what they mean for a view is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from footfall.errors import BadInput
from footfall.rules import ascii_host, site_name

#: Longer query strings are refused; a page may have 1,024 bytes, which percent-encoding can triple.
MAX_QUERY_BYTES = 8192
MAX_PARAMETERS = 32

#: Query strings whose reading is remembered, about 600 bytes each, and single parameters, about 300 bytes: queries of many pages
#: and referrers are all different, but put together from the same. Longer ones are read each time, so that all together never
#: take more than 5 MB.
REMEMBERED_QUERIES = 1024
MAX_REMEMBERED_BYTES = 512
REMEMBERED_PARAMETERS = 4096
MAX_REMEMBERED_CHARACTERS = 256

_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_WIDTH = re.compile(r"[0-9]{1,6}")
_ONCE = frozenset("spewrlub")
_REQUIRED = (("s", "the site's name, as in s=example.com"), ("p", "the page's path, as in p=/blog/post"))
_ENCODE = "percent-encode the parameters as UTF-8"


#: What reads a parameter: `read_parameter`, or the same remembered.
Parameter = Callable[[str], tuple[str, str]]


class Asked(NamedTuple):
    """What a request to count says of its view: the page as it was sent, and the evidence of the visit.

    `referrer` is None where the sender says nothing of one; "" says that there was none. `is_automated` says that the browser
    is driven by a program (WebDriver).
    """

    site: str
    path: str
    event_id: str | None
    referrer: str | None
    campaign: str
    width: int
    language: str
    is_automated: bool


class QueryReader:
    """Reads query strings, and remembers what it has read."""

    def __init__(self) -> None:
        parameter = lru_cache(REMEMBERED_PARAMETERS)(read_parameter)
        self._remembered = lru_cache(REMEMBERED_QUERIES)(lambda query: read_query(query, parameter))

    def read(self, query: bytes) -> Asked:
        """What a query string asks for. Raises BadInput naming the parameter at fault."""
        head, found, tail = query.partition(b"&e=")
        if not found:
            return self._read(query)
        event_id, _, rest = tail.partition(b"&")  # an event id is never seen twice: remember the rest, which is
        asked = self._read(head + b"&" + rest if rest else head)
        if asked.event_id is not None:
            raise BadInput("e", "send this parameter once")
        return asked._replace(event_id=read_event_id(event_id.decode("latin-1")))

    def _read(self, query: bytes) -> Asked:
        return self._remembered(query) if len(query) <= MAX_REMEMBERED_BYTES else read_query(query)


def read_parameter(pair: str) -> tuple[str, str]:
    """A parameter's name and value, percent-decoded as UTF-8. Raises BadInput."""
    name, _, value = pair.partition("=")
    if "%" in name or "+" in name:
        name = _decoded(name)
    if "%" in value or "+" in value:
        value = _decoded(value)
    return name, value


def read_query(query: bytes, parameter: Parameter = read_parameter) -> Asked:
    """The same, not remembered."""
    fields = read_fields(query, parameter)
    for name, what in _REQUIRED:
        if not fields.get(name):
            raise BadInput(name, f"missing; send {what}")
    width = fields.get("w", "0")
    if not _WIDTH.fullmatch(width):
        raise BadInput("w", "the viewport's width is a whole number of CSS pixels, as in w=1280")
    path = fields["p"]
    referrer = fields.get("r", "" if "w" in fields else None)  # the snippet sends a width always, a referrer where there is one
    campaign = fields.get("u") or ("?" in path and path.partition("#")[0].partition("?")[2]) or ""
    event_id = read_event_id(fields["e"]) if "e" in fields else None
    is_automated = fields.get("b", "0") not in ("", "0")
    return Asked(site_name_asked(fields["s"]), path, event_id, referrer, campaign, int(width), fields.get("l", ""), is_automated)


def read_fields(query: bytes, parameter: Parameter = read_parameter) -> Mapping[str, str]:
    """The parameters by name, percent-decoded as UTF-8 (application/x-www-form-urlencoded). Raises BadInput.

    `parameter` is what reads one; it is not given long ones.
    """
    if len(query) > MAX_QUERY_BYTES:
        raise BadInput("query", f"the query string has {len(query)} bytes; at most {MAX_QUERY_BYTES} are read")
    try:
        text = query.decode("ascii")
    except UnicodeError:
        raise BadInput("query", _ENCODE) from None
    pairs = text.split("&")
    if len(pairs) > MAX_PARAMETERS:
        raise BadInput("query", f"send at most {MAX_PARAMETERS} parameters")
    fields: dict[str, str] = {}
    for pair in pairs:
        name, value = parameter(pair) if len(pair) <= MAX_REMEMBERED_CHARACTERS else read_parameter(pair)
        if name in fields and name in _ONCE:
            raise BadInput(name, "send this parameter once")
        fields[name] = value
    return fields


def _decoded(raw: str) -> str:
    try:
        return unquote_to_bytes(raw.replace("+", " ")).decode()
    except UnicodeError:
        raise BadInput("query", _ENCODE) from None


def site_name_asked(name: str) -> str:
    """A site's name in its one spelling, from how a request writes it: in ASCII, as it is kept, and of an address its host."""
    try:
        return site_name(name) if "/" in name else ascii_host(name.lower())
    except ValueError:
        return name.lower()  # no site has such a name


def read_event_id(text: str) -> str:
    """An event id as it may be sent. Raises BadInput."""
    if not _EVENT_ID.fullmatch(text):
        raise BadInput("e", "an event id is 16 to 64 of A-Z a-z 0-9 _ -")
    return text
