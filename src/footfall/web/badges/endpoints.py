"""`/counter/SITE.svg`, `.json`, `.txt`: a page's number as a badge, JSON or text, for everyone who may see the site's counters.

A counter tells numbers of views and nothing else: no pages, no referrers, no visitors. Nothing is kept at the server, but
requests of the same moment share one reading. With `hit=1` the request is a view itself, once for each fetch of an image proxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from footfall.counting.counter import Counter
from footfall.counting.recording import Recorder, outcome_of
from footfall.errors import BadInput, Draining, NotAcknowledged, Overloaded, StoreError
from footfall.headers import headers_of
from footfall.intake.agents import Agents
from footfall.intake.request import Intake
from footfall.model import MINUTE, Count, Drop, Outcome
from footfall.reading.shared_reads import Reads
from footfall.registry.sites import Sites
from footfall.web.badges.drawing import COLOURS, STYLES, Badge, draw, read_colour, read_label
from footfall.web.permissions import Access
from footfall.web.problems import RETRY_AFTER, unauthorized
from footfall.web.replies import outcome_text
from footfall.web.requests import page_asked, peer_of, site_asked


class Show(NamedTuple):
    """What a counter may show: its label and colour unless others are asked for."""

    label: str
    colour: str


#: The numbers by what `show` calls them. Red means now.
SHOWN: Mapping[str, Show] = {
    "minute": Show("views past minute", "hand"),
    "today": Show("views today", "paper"),
    "total": Show("views", "paper"),
}
DEFAULT_SHOW = "total"
LABEL_COLOUR = "ink"

NUMBERS = ("grouped", "plain", "short")

_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")

#: GitHub's image proxy keeps a picture as long as it is told to, and asks again by its ETag if it is told not to. `no-store` is
#: for browsers, which would otherwise not fetch a picture that counts again when a page is shown again.
_CACHING = "max-age=0, no-cache, must-revalidate"
_CACHING_HITS = "max-age=0, no-cache, no-store, must-revalidate"
_CACHING_PRIVATE = "private, no-store"

_COMMON = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Footfall, X-Footfall-Instance",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}

_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


class CounterReply(msgspec.Struct, frozen=True):
    """A page's numbers (null: the whole site's): `number` is the one that `show` names, `text` the same as it is written."""

    site: str
    page: str | None
    show: str
    number: int
    text: str
    views: int
    today: int
    total: int
    at: int


class ShieldsReply(msgspec.Struct, frozen=True, rename="camel"):
    """What shields.io draws a badge from (its "endpoint" badge, schema version 1)."""

    schema_version: int
    label: str
    message: str
    color: str
    label_color: str
    is_error: bool = False


class _Asked(NamedTuple):
    """What a request asks for: `page` may be WHOLE_SITE."""

    page: str
    path: str
    show: str
    number: str
    is_hit: bool
    badge: Badge
    is_for_shields: bool


class Counters:
    """Answers from `reads`, and counts hits with `intake` and `counter`."""

    def __init__(
        self, sites: Sites, access: Access, reads: Reads, intake: Intake, counter: Counter, agents: Agents, instance: str
    ) -> None:
        self._sites = sites
        self._access = access
        self._reads = reads
        self._intake = intake
        self._recorder = Recorder(intake, counter)
        self._agents = agents
        self._instance = instance

    async def svg(self, request: Request) -> Response:
        """`GET /counter/SITE.svg`. What is wrong is said in a badge too: an `<img>` shows nothing else."""
        try:
            asked = self._asked(request, "grouped")
        except BadInput as error:
            badge = Badge("wrong parameter", error.field, COLOURS["gray"], COLOURS[LABEL_COLOUR])
            return self._reply(request, draw(badge, f"wrong parameter: {error}"), {}, "image/svg+xml", 400)
        headers: dict[str, str] = {}
        try:
            found = await self._answer(request, asked, headers)
        except (StoreError, Overloaded, Draining, NotAcknowledged):
            badge = asked.badge._replace(value="unavailable", colour=COLOURS["gray"])
            return self._reply(request, draw(badge), headers | {"Retry-After": str(RETRY_AFTER)}, "image/svg+xml", 503)
        if found is None:
            badge = asked.badge._replace(value="private", colour=COLOURS["gray"])
            headers["WWW-Authenticate"] = "Bearer"
            return self._reply(request, draw(badge), headers, "image/svg+xml", 401)
        number, _, _ = found
        badge = asked.badge._replace(value=written(number, asked.number))
        return self._reply(request, draw(badge), headers, "image/svg+xml")

    async def text(self, request: Request) -> Response:
        """`GET /counter/SITE.txt`: the number and a line's end."""
        asked = self._asked(request, "plain")
        headers: dict[str, str] = {}
        found = await self._answer(request, asked, headers)
        if found is None:
            return self._refused(request, headers)
        return self._reply(request, f"{written(found[0], asked.number)}\n", headers, "text/plain; charset=utf-8")

    async def json(self, request: Request) -> Response:
        """`GET /counter/SITE.json`, with `format=shields` in the form that shields.io reads."""
        asked = self._asked(request, "grouped")
        headers: dict[str, str] = {}
        found = await self._answer(request, asked, headers)
        if found is None:
            return self._refused(request, headers)
        number, count, at = found
        text = written(number, asked.number)
        if asked.is_for_shields:
            badge = asked.badge
            body = msgspec.json.encode(ShieldsReply(1, badge.label, text, badge.colour, badge.label_colour))
        else:
            site = site_asked(request)
            body = msgspec.json.encode(
                CounterReply(site, asked.page or None, asked.show, number, text, count.views, count.today, count.total, at)
            )
        return self._reply(request, body.decode(), headers, "application/json")

    def _asked(self, request: Request, number: str) -> _Asked:
        """Raises BadInput."""
        query = request.query_params
        path = query.get("page")
        page = page_asked(request, self._sites.rules(site_asked(request)))
        is_hit = _one_of(query, "hit", (*_YES, *_NO), "") in _YES
        if is_hit and path is None:
            raise BadInput("page", "hit=1 counts a view of a page; name it, as in page=/blog/post")
        show = _one_of(query, "show", tuple(SHOWN), DEFAULT_SHOW)
        badge = Badge(
            read_label(query.get("label", SHOWN[show].label)),
            "",
            read_colour(query.get("color", SHOWN[show].colour), "color"),
            read_colour(query.get("label_color", LABEL_COLOUR), "label_color"),
            _one_of(query, "style", tuple(STYLES), "flat"),
        )
        form = _one_of(query, "format", ("json", "shields"), "json")
        return _Asked(page, path or "", show, _one_of(query, "number", NUMBERS, number), is_hit, badge, form == "shields")

    async def _answer(self, request: Request, asked: _Asked, headers: dict[str, str]) -> tuple[int, Count, int] | None:
        """The number, the counts it is one of, and their second; None where the caller may not see it.

        A hit is counted first, also where the number may not be seen. Its outcome, and how long the reply may be kept, go into
        `headers`.
        """
        site = site_asked(request)
        raw = headers_of(request.scope["headers"])
        headers["Cache-Control"] = _CACHING_HITS if asked.is_hit else _CACHING
        if not self._access.has_public_counters(site):
            headers["Cache-Control"] = _CACHING_PRIVATE
        if asked.is_hit and request.method == "GET":
            headers["X-Footfall"] = outcome_text(await self._count(site, asked.path, raw, peer_of(request.scope))).decode()
        if not await self._access.may_read_counter(raw, site):
            return None
        counts = await self._reads.counts(site, asked.page, MINUTE)
        count = counts.pages[asked.page]
        return {"minute": count.views, "today": count.today, "total": count.total}[asked.show], count, counts.at

    async def _count(self, site: str, path: str, headers: Mapping[bytes, bytes], peer: str) -> Outcome | Drop:
        query = urlencode({"s": site, "p": path}).encode()
        classified = self._intake.classify(query, headers, peer, spares=self._agents.is_image_proxy)
        return outcome_of(await self._recorder.record(classified, headers, peer))

    def _refused(self, request: Request, headers: Mapping[str, str]) -> Response:
        reply = unauthorized(site_asked(request))
        reply.headers.update(headers)
        return reply

    def _reply(self, request: Request, body: str, headers: Mapping[str, str], kind: str, status: int = 200) -> Response:
        all_headers = {**_COMMON, **headers, "X-Footfall-Instance": self._instance}
        if status != HTTPStatus.OK:
            return Response(body, status, {**all_headers, "Cache-Control": "no-store"}, kind)
        tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'
        all_headers["ETag"] = tag
        if tag.encode() in headers_of(request.scope["headers"]).get(b"if-none-match", b""):
            return Response(status_code=304, headers=all_headers)
        return Response(body, headers=all_headers, media_type=kind)


def written(number: int, form: str) -> str:
    """A number as 1284 (plain), 1,284 (grouped) or 1.2k (short, rounded down: a counter never says more than there is)."""
    if form == "plain":
        return str(number)
    if form == "grouped":
        return f"{number:,}"
    for size, unit in _UNITS:
        if number >= size:
            whole, tenths = divmod(number * 10 // size, 10)
            return f"{whole}{unit}" if whole >= 100 or not tenths else f"{whole}.{tenths}{unit}"
    return str(number)


def _one_of(query: QueryParams, name: str, accepted: tuple[str, ...], otherwise: str) -> str:
    value = query.get(name, otherwise)
    if value not in accepted:
        raise BadInput(name, f"one of {', '.join(filter(None, accepted))}")
    return value
