"""Judging a request to count: a query string and headers go in, a View or a Drop comes out.

Each step is a small function that answers with a reason to drop the view, or with None. What only depends on the query string is
judged once and remembered, since a busy site sends the same few strings again and again. Nothing here knows a store or a reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl

from footfall.errors import BadInput
from footfall.intake.agents import Agents
from footfall.intake.pages import BadPage, normalise
from footfall.model import Drop, DropReason, View

#: Request headers by lower-case name, the last of equal names.
Headers = Mapping[bytes, bytes]

#: Longer query strings are refused; a page may have 1,024 bytes, which percent-encoding can triple.
MAX_QUERY_BYTES = 8192

#: Query strings whose judgement is remembered, about 500 bytes each.
REMEMBERED_QUERIES = 16_384

_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_WIDTH = re.compile(r"[0-9]{1,6}")
_ONCE = ("s", "p", "e", "w")


class Intake:
    """Judges requests for the sites it was given (`sites`, by name)."""

    def __init__(self, sites: frozenset[str], agents: Agents) -> None:
        self._sites = sites
        self._agents = agents
        self._read_query = lru_cache(REMEMBERED_QUERIES)(self._judge_query)
        #: What the headers say against a view, in order; the first reason wins.
        self._steps: tuple[Callable[[Headers], DropReason | None], ...] = (self.sent_by_a_robot, self.fetched_ahead)

    def judge(self, query: bytes, headers: Headers) -> View | Drop:
        """Judge a request to count by its query string (`s`, `p`, `e`, …) and headers. Raises BadInput for a malformed one."""
        head, found, tail = query.partition(b"&e=")
        if found:  # an event id is never seen twice: judge the rest, which is
            event_id, _, rest = tail.partition(b"&")
            judged = self._read_query(head + b"&" + rest if rest else head)
            if isinstance(judged, View):
                judged = View(judged.site, judged.page, None, read_event_id(event_id.decode("latin-1")))
        else:
            judged = self._read_query(query)
        return self.judge_headers(judged, headers) if isinstance(judged, View) else judged

    def judge_headers(self, view: View, headers: Headers) -> View | Drop:
        """Judge a view by the headers alone."""
        for step in self._steps:
            reason = step(headers)
            if reason is not None:
                return Drop(reason, view.site)
        return view

    def judge_home(self, view: View, headers: Headers) -> View | Drop:
        """The same for `GET /`, where command-line clients count."""
        judged = self.judge_headers(view, headers)
        if isinstance(judged, Drop) and judged.reason is DropReason.BOT and self._agents.is_command_line(_user_agent(headers)):
            return view if self.fetched_ahead(headers) is None else Drop(DropReason.PREFETCH, view.site)
        return judged

    def sent_by_a_robot(self, headers: Headers) -> DropReason | None:
        """A user agent that the list of robots knows. None at all is no robot."""
        return DropReason.BOT if self._agents.is_bot(_user_agent(headers)) else None

    def fetched_ahead(self, headers: Headers) -> DropReason | None:
        """A browser that loads a page before anybody asks for it (Sec-Purpose, and the older names Purpose and X-Moz)."""
        purpose = headers.get(b"sec-purpose") or headers.get(b"purpose") or headers.get(b"x-moz") or headers.get(b"x-purpose")
        if purpose and any(word in purpose.lower() for word in (b"prefetch", b"prerender", b"preview")):
            return DropReason.PREFETCH
        return None

    def _judge_query(self, query: bytes) -> View | Drop:
        """What the query string alone says: which site, which page."""
        fields = read_fields(query)
        if fields["s"].lower() not in self._sites:
            return Drop(DropReason.UNKNOWN_SITE, None)
        site = fields["s"].lower()
        try:
            page = normalise(fields["p"])
        except BadPage:
            return Drop(DropReason.BAD_PAGE, site)
        return View(site, page, None, read_event_id(fields["e"]) if "e" in fields else None)


def read_fields(query: bytes) -> Mapping[str, str]:
    """The parameters of a request to count, `s` and `p` certainly among them. Raises BadInput naming the parameter at fault."""
    if len(query) > MAX_QUERY_BYTES:
        raise BadInput("query", f"the query string has {len(query)} bytes; at most {MAX_QUERY_BYTES} are read")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
    except UnicodeError:
        raise BadInput("query", "percent-encode the parameters as UTF-8") from None
    except ValueError:
        raise BadInput("query", "send at most 32 parameters") from None
    fields = dict(pairs)
    for name in _ONCE:
        if sum(key == name for key, _ in pairs) > 1:
            raise BadInput(name, "send this parameter once")
    for name, what in (("s", "the site's name, as in s=example.com"), ("p", "the page's path, as in p=/blog/post")):
        if not fields.get(name):
            raise BadInput(name, f"missing; send {what}")
    if "w" in fields and not _WIDTH.fullmatch(fields["w"]):
        raise BadInput("w", "the viewport's width is a whole number of CSS pixels, as in w=1280")
    return fields


def read_event_id(text: str) -> str:
    """An event id as it may be sent. Raises BadInput."""
    if not _EVENT_ID.fullmatch(text):
        raise BadInput("e", "an event id is 16 to 64 of A-Z a-z 0-9 _ -")
    return text


def _user_agent(headers: Headers) -> str:
    return headers.get(b"user-agent", b"").decode("latin-1")
