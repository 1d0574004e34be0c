"""`/api/v1`: reading a site's numbers as JSON. Public where the site is public, else 401.

Each reply is one of the types below, of which `openapi.py` makes the document. Nothing here counts or changes anything.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.errors import BadInput
from footfall.headers import headers_of
from footfall.model import DIMENSIONS, PERIODS, WHOLE_SITE, Span, Tier
from footfall.reading.shared_reads import Reads
from footfall.registry.sites import Sites
from footfall.web.permissions import Access
from footfall.web.problems import problem, unauthorized
from footfall.web.replies import count_json, json_reply
from footfall.web.requests import page_asked, site_asked

#: A series has at most this many points.
MAX_POINTS = 10_000
MAX_ROWS = 1000
DEFAULT_ROWS = 100

#: The period of a breakdown that names none.
DEFAULT_PERIOD = "24h"

#: Without `from`, a series begins this many buckets back.
DEFAULT_POINTS = 60

TIERS: Mapping[str, Tier] = {tier.value: tier for tier in (Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH)}

#: Visitors are told apart by hour and by day.
VISITOR_TIERS: Mapping[str, Tier] = {tier.value: tier for tier in (Tier.HOUR, Tier.DAY)}

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,12}")
LATEST = 253_402_300_800  # the year 10000, where calendars end

#: Where a list ended: views and name. No store has more views than fit a JSON number exactly.
_Place = tuple[Annotated[int, msgspec.Meta(ge=0, lt=2**53)], str]


class SeriesReply(msgspec.Struct, frozen=True):
    """Views by bucket: (bucket start, views), `from` inclusive, `to` exclusive, Unix seconds."""

    tier: str
    start: int = msgspec.field(name="from")
    end: int = msgspec.field(name="to")
    points: list[tuple[int, int]]


class VisitorsReply(SeriesReply, frozen=True):
    """Visitors by bucket: (bucket start, visitors), estimates. Those of several buckets do not add up: some came in each."""


class PresentReply(msgspec.Struct, frozen=True):
    """Visitors who had a view in the current minute or one of the four before it, an estimate, at second `at`."""

    at: int
    visitors: int


class ValueRow(msgspec.Struct, frozen=True):
    """A value of a dimension and its views."""

    value: str
    views: int


class BreakdownReply(msgspec.Struct, frozen=True):
    """The most frequent values of a dimension at second `at`; `cursor` continues the list, null at its end."""

    at: int
    values: list[ValueRow]
    cursor: str | None


class PageRow(msgspec.Struct, frozen=True):
    """A page and its views."""

    page: str
    views: int


class PagesReply(msgspec.Struct, frozen=True):
    """The most viewed pages at second `at`; `cursor` continues the list, null at its end."""

    at: int
    pages: list[PageRow]
    cursor: str | None


class Api:
    """The reading face of sites: windows are `window` seconds wide unless asked for, `longest_window` at most."""

    def __init__(self, reads: Reads, sites: Sites, access: Access, instance: str, window: int, longest_window: int) -> None:
        self._reads = reads
        self._sites = sites
        self._access = access
        self._instance = instance
        self._window = window
        self._longest_window = longest_window

    async def count(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/count?page=&window=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        page = page_asked(request, self._sites.rules(site))
        window = _number(request, "window", self._window, 1, self._longest_window)
        counts = await self._reads.counts(site, page, window)
        return json_reply(count_json(site, page or None, window, counts.pages[page], counts.at, self._instance))

    async def series(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/series?tier=&from=&to=&page=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        page = page_asked(request, self._sites.rules(site))
        tier, start, end = await self._buckets(request, site, TIERS, Tier.MINUTE)
        series = await self._reads.series(site, page, tier, start, end)
        return json_reply(msgspec.json.encode(SeriesReply(tier.value, start, end, series.points)))

    async def visitors(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/visitors?tier=&from=&to=&page=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        page = page_asked(request, self._sites.rules(site))
        tier, start, end = await self._buckets(request, site, VISITOR_TIERS, Tier.DAY)
        series = await self._reads.visitors(site, page, tier, start, end)
        return json_reply(msgspec.json.encode(VisitorsReply(tier.value, start, end, series.points)))

    async def present(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/present`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        presence = await self._reads.present(site)
        return json_reply(msgspec.json.encode(PresentReply(presence.at, presence.visitors)))

    async def breakdown(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/breakdown/DIMENSION?period=&page=&limit=&cursor=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        dimension = request.path_params["dimension"]
        names = [each.name for each in DIMENSIONS]
        if dimension not in names:
            return problem(404, f"there is no such dimension; there are {', '.join(names)}")
        page = page_asked(request, self._sites.rules(site))
        period = request.query_params.get("period", DEFAULT_PERIOD)
        if period not in PERIODS:
            raise BadInput("period", f"one of {', '.join(PERIODS)}")
        limit = _number(request, "limit", DEFAULT_ROWS, 1, MAX_ROWS)
        found = await self._reads.breakdown(site, page, dimension, PERIODS[period], limit, _after(request))
        rows = [ValueRow(*row) for row in found.values]
        return json_reply(msgspec.json.encode(BreakdownReply(found.at, rows, _cursor(found.values, limit))))

    async def pages(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/pages?window=` or `?period=`, `&limit=`, `&cursor=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        period = request.query_params.get("period")
        if period is not None and "window" in request.query_params:
            raise BadInput("period", "send period or window, not both")
        if period is None:
            span = Span(Tier.SECOND, _number(request, "window", self._window, 1, self._longest_window))
        elif period in PERIODS:
            span = PERIODS[period]
        else:
            raise BadInput("period", f"one of {', '.join(PERIODS)}")
        limit = _number(request, "limit", DEFAULT_ROWS, 1, MAX_ROWS)
        top = await self._reads.top(site, span, limit, _after(request))
        rows = [PageRow(*row) for row in top.pages]
        return json_reply(msgspec.json.encode(PagesReply(top.at, rows, _cursor(top.pages, limit))))

    async def _buckets(self, request: Request, site: str, tiers: Mapping[str, Tier], default: Tier) -> tuple[Tier, int, int]:
        """The tier, `from` and `to` that are asked for."""
        tier = tiers.get(request.query_params.get("tier", default.value))
        if tier is None:
            raise BadInput("tier", f"one of {', '.join(tiers)}")
        if "to" in request.query_params:
            end = _number(request, "to", 0, 0, LATEST)
        else:
            end = (await self._reads.counts(site, WHOLE_SITE, 1)).at + 1
        start = _number(request, "from", max(0, tier.back(max(end - 1, 0), DEFAULT_POINTS - 1)), 0, LATEST)
        if start > end:
            raise BadInput("from", "must not be later than to")
        if end - start > MAX_POINTS * (31 * 86400 if tier is Tier.MONTH else tier.width):
            raise BadInput("from", f"from and to span more than {MAX_POINTS} points; ask for less, or for a coarser tier")
        return tier, start, end


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query, within bounds."""
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not _WHOLE_NUMBER.fullmatch(raw) or not least <= int(raw) <= most:
        raise BadInput(name, f"a whole number from {least} to {most}")
    return int(raw)


def _cursor(rows: Sequence[tuple[str, int]], limit: int) -> str | None:
    """What continues a list of (name, views) behind its end; None where it was not cut at its limit."""
    if len(rows) < limit:
        return None
    row = rows[-1]
    return base64.urlsafe_b64encode(msgspec.json.encode([row[1], row[0]])).decode().rstrip("=")


def _after(request: Request) -> tuple[int, str] | None:
    """Where the list before ended, from `cursor`."""
    raw = request.query_params.get("cursor")
    if raw is None:
        return None
    try:
        padded = raw.encode("ascii") + b"=" * (-len(raw) % 4)
        place: tuple[int, str] = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Place)
        return place
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadInput("cursor", "send the cursor of the page before as it was, or none") from None
