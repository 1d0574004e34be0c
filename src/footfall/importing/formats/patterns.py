"""A format that the user describes as servers' configurations do: nginx's `log_format` or Apache's `LogFormat`.

What a field is called decides what it may look like and what becomes of it; fields that say nothing of a view are passed over.
Of the pattern one expression is made in which nothing can be tried twice: each field ends where the text behind it begins, and
takes what it takes (possessive quantifiers). So a line costs time in proportion to its length, whatever line and pattern hold.
A pattern that can't be used raises BadInput, in one line that says what to change. Sources: nginx, "ngx_http_log_module" and the
variables of "ngx_http_core_module"; Apache, "mod_log_config", "Custom Log Formats".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from footfall.errors import BadInput
from footfall.importing.formats.entry import (
    NO_HEADERS,
    LogEntry,
    Times,
    decoded,
    encoded,
    moment_seconds,
    plain,
    sent_bytes,
    split_request,
    unescaped,
    without_origin,
)

#: The option that a pattern is given with, for errors.
_OPTION = "--format"

#: No log has a longer format, in characters; what is compiled of it is bounded with it.
MAX_PATTERN_LENGTH = 4000

#: Times of a format of their own that are remembered: lines of a log stand in the order of their times, nearly.
_REMEMBERED_TIMES = 256

# What a field is: its role in an entry, or "header:NAME"; "" for those that say nothing of a view.
TIME, REQUEST, METHOD, URI, QUERY, STATUS = "time", "request", "method", "uri", "query", "status"
REFERRER, AGENT, HOST, ADDRESS = "referrer", "agent", "host", "address"

# What fields look like that have a shape of their own. A dash stands where a server knows nothing.
_COMMON_TIME = r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"
_ISO_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_NUMBER = r"[0-9]{1,19}+(?:\.[0-9]{1,9}+)?+"
_THREE_DIGITS = r"[0-9]{3}"
_BYTES = r"[0-9]++|-"
_MARK = r"\??+"
_QUERY = r'(?:\?[^ "]*+)?+'
_REQUEST = r"[A-Z]{1,32}+ [^ ]*+(?: HTTP/[0-9.]++)?+|-"
_BRACKETED = r"\[[^\]]*+\]"
_ANY = ""

#: What directives of strftime write; others than these are not read.
_STRFTIME: Mapping[str, str] = {
    **dict.fromkeys("dmHMSyI", r"[0-9]{2}"),
    "Y": r"[0-9]{4}",
    "j": r"[0-9]{3}",
    "b": r"[A-Za-z]{3}",
    "a": r"[A-Za-z]{3}",
    "B": r"[A-Za-z]{3,9}+",
    "A": r"[A-Za-z]{6,9}+",
    "p": r"[AP]M",
    "z": r"[+-][0-9]{4}",
    "%": "%",
}

_NGINX: Mapping[str, tuple[str, str]] = {
    "time_local": (TIME, _COMMON_TIME),
    "time_iso8601": (TIME, _ISO_TIME),
    "msec": (TIME, _NUMBER),
    "request": (REQUEST, _ANY),
    "request_method": (METHOD, _ANY),
    "request_uri": (URI, _ANY),
    "uri": (URI, _ANY),
    "document_uri": (URI, _ANY),
    "is_args": ("", _MARK),
    "args": (QUERY, _ANY),
    "query_string": (QUERY, _ANY),
    "status": (STATUS, _THREE_DIGITS),
    "http_referer": (REFERRER, _ANY),
    "http_user_agent": (AGENT, _ANY),
    "host": (HOST, _ANY),
    "http_host": (HOST, _ANY),
    "server_name": (HOST, _ANY),
    "remote_addr": (ADDRESS, _ANY),
    "body_bytes_sent": ("", _BYTES),
    "bytes_sent": ("", _BYTES),
}

_APACHE: Mapping[str, tuple[str, str]] = {
    "t": (TIME, _BRACKETED),
    "r": (REQUEST, _ANY),
    "m": (METHOD, _ANY),
    "U": (URI, _ANY),
    "q": (QUERY, _QUERY),
    "s": (STATUS, _THREE_DIGITS),
    "v": (HOST, _ANY),
    "V": (HOST, _ANY),
    "h": (ADDRESS, _ANY),
    "a": (ADDRESS, _ANY),
    "b": ("", _BYTES),
    "B": ("", _BYTES),
    "O": ("", _BYTES),
    "I": ("", _BYTES),
}

_APACHE_HEADERS: Mapping[str, str] = {"referer": REFERRER, "user-agent": AGENT, "host": HOST}

_NGINX_FIELD = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))")
_APACHE_FIELD = re.compile(r"%(?:[!<>]|[0-9,])*(?:\{([^}]*)\})?(?:[!<>]|[0-9,])*(\^(?:ti|to|FB)|[A-Za-z]|%)")

#: Forms of `%{...}t` that `Times.any` reads.
_QUICK_FORMS = frozenset({"%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S"})

_DIRECTIVE_OF_TIME = re.compile(r"%(.)|[^%]", re.DOTALL)

#: What a configuration may say before the format itself: "log_format main '...' '...';" or 'LogFormat "..." main'.
_DIRECTIVE = re.compile(r"\s*(?:log_format|LogFormat)\b")


class _Field(NamedTuple):
    """A field as it was written, what becomes of it, and what it looks like, "" for any text."""

    written: str
    role: str
    shape: str
    read_time: Callable[[str], int | None] | None = None


class Pattern:
    """A format made of a pattern. Raises BadInput where the pattern can't be used."""

    name = "pattern"
    title = "the pattern given"

    def __init__(self, pattern: str) -> None:
        self.written = pattern
        self._times = Times()
        pieces = self._pieces(pattern)
        fields = [piece for piece in pieces if isinstance(piece, _Field)]
        _check(fields)
        roles: list[str] = []
        expression = ""
        for place, piece in enumerate(pieces):
            if isinstance(piece, str):
                expression += re.escape(piece)
                continue
            before = pieces[place - 1] if place else ""
            behind = pieces[place + 1] if place + 1 < len(pieces) else ""
            text = _expression(piece, before, behind)
            if piece.role and piece.role not in roles:
                roles.append(piece.role)
                expression += f"({text})"
                if piece.role == TIME:
                    self._read_time = piece.read_time or self._times.any
            else:
                expression += f"(?:{text})"
        self._match = re.compile(expression, re.DOTALL).fullmatch
        self._roles: Sequence[str] = roles
        self._headers = [(role, role[len("header:") :].encode()) for role in roles if role.startswith("header:")]
        self.tells_host = HOST in roles

    def _pieces(self, pattern: str) -> list[str | _Field]:
        """Texts that stand in every line, and the fields between them."""
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise BadInput(_OPTION, f"a pattern has at most {MAX_PATTERN_LENGTH} characters; this one has {len(pattern)}")
        if "\n" in pattern or "\r" in pattern:
            raise BadInput(_OPTION, "a pattern describes one line; write it without line breaks")
        if _DIRECTIVE.match(pattern):
            raise BadInput(_OPTION, "write the format alone, without log_format or LogFormat, its name, and the quotes around it")
        pieces: list[str | _Field] = []
        for piece in (_nginx_pieces if _NGINX_FIELD.search(pattern) else _apache_pieces)(pattern):
            if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += piece
            elif piece:
                pieces.append(piece)
        return pieces

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        match = self._match(decoded(line).removesuffix("\r"))
        if match is None:
            return None
        said = dict(zip(self._roles, match.groups(), strict=True))
        at = self._read_time(said[TIME].strip("[]"))
        if at is None:
            return None
        if REQUEST in said:
            method, target = split_request(unescaped(said[REQUEST]))
        else:
            method = said.get(METHOD, "GET")
            target, _ = without_origin(unescaped(said[URI]))
            query = unescaped(said.get(QUERY, _ANY)).removeprefix("?")
            if query and query != "-" and "?" not in target:
                target += "?" + query
        return LogEntry(
            at,
            method,
            encoded(target),
            int(said[STATUS]),
            _text(said.get(REFERRER)),
            _text(said.get(AGENT)),
            _text(said.get(HOST)),
            said.get(ADDRESS),
            {name: sent_bytes(unescaped(said[role])) for role, name in self._headers if said[role] not in ("-", "")}
            or NO_HEADERS,
        )


def _text(field: str | None) -> str | None:
    return None if field is None else plain(unescaped(field))


def _check(fields: Sequence[_Field]) -> None:
    """Raise BadInput where a line of these fields would not say what a view needs."""
    roles = {field.role for field in fields}
    for needed, what in (
        ({TIME}, "no time; add [$time_local] or %t"),
        ({REQUEST, URI}, 'no request; add "$request" or \\"%r\\"'),
        ({STATUS}, "no status; add $status or %>s"),
    ):
        if not roles & needed:
            raise BadInput(_OPTION, f"the pattern has {what}")


def _expression(field: _Field, before: str | _Field, behind: str | _Field) -> str:
    """What a field looks like where it stands. Raises BadInput where nothing tells where it ends."""
    if field.shape:
        return field.shape
    if isinstance(behind, _Field):
        if behind.role == URI:
            return "[^/]*+"
        if behind.shape in (_MARK, _QUERY):
            return '[^? "]*+'
        raise BadInput(_OPTION, f"nothing stands between {field.written} and {behind.written}; put what the log has there")
    if isinstance(before, str) and before.endswith('"') and behind.startswith('"'):
        return r'[^"\\]*+(?:\\.[^"\\]*+)*+'
    if field.role == REQUEST:
        return _REQUEST
    return f"[^{re.escape(behind[0])}]*+" if behind else ".*+"


def _nginx_pieces(pattern: str) -> Iterator[str | _Field]:
    end = 0
    for found in _NGINX_FIELD.finditer(pattern):
        yield pattern[end : found.start()]
        end = found.end()
        name = found[1] or found[2]
        role, shape = _NGINX.get(name, ("", _ANY))
        if not role and name.startswith("http_"):
            role = "header:" + name[len("http_") :].replace("_", "-")
        yield _Field(found[0], role, shape)
    yield pattern[end:]


def _apache_pieces(pattern: str) -> Iterator[str | _Field]:
    pattern = pattern.replace('\\"', '"').replace("\\t", "\t").replace("\\\\", "\\")
    end = 0
    for found in _APACHE_FIELD.finditer(pattern):
        yield _no_percent(pattern[end : found.start()])
        end = found.end()
        yield _apache_field(found[0], found[1], found[2])
    yield _no_percent(pattern[end:])


def _no_percent(text: str) -> str:
    if "%" in text:
        raise BadInput(
            _OPTION, "a % in the pattern begins no field; write %% for the sign itself, or a field such as %{Referer}i"
        )
    return text


def _apache_field(written: str, argument: str | None, letter: str) -> str | _Field:
    if letter == "%":
        return "%"
    if argument is None or letter in ("a", "s"):
        role, shape = _APACHE.get(letter, ("", _ANY))
        return _Field(written, role if argument is None else "", shape)
    if letter == "i":
        name = argument.lower()
        return _Field(written, _APACHE_HEADERS.get(name, f"header:{name}"), "")
    if letter == "t":
        return _apache_time(written, argument.removeprefix("begin:").removeprefix("end:"))
    return _Field(written, "", "")


def _apache_time(written: str, form: str) -> _Field:
    if form in ("sec", "msec", "usec"):
        return _Field(written, TIME, _NUMBER)
    if form in ("msec_frac", "usec_frac"):
        return _Field(written, "", _NUMBER)
    form = form.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    shape = _DIRECTIVE_OF_TIME.sub(lambda found: _STRFTIME.get(found[1], "") if found[1] else re.escape(found[0]), form)
    example = datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)
    try:
        is_exact = datetime.strptime(example.strftime(form), form).replace(tzinfo=UTC) == example
    except ValueError:
        is_exact = False
    if not is_exact or not re.fullmatch(shape, example.strftime(form)):
        raise BadInput(_OPTION, f"{written} does not tell date and time to the second; write %{{%Y-%m-%dT%H:%M:%S%z}}t, or %t")
    if form in _QUICK_FORMS:
        return _Field(written, TIME, shape)

    def read_time(text: str) -> int | None:
        try:
            return moment_seconds(datetime.strptime(text, form))
        except (ValueError, OverflowError):
            return None

    return _Field(written, TIME, shape, lru_cache(_REMEMBERED_TIMES)(read_time))
