"""`/api/v1`: reading counts, series and top pages as JSON. Public where the site is public, else 401."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.errors import BadInput
from footfall.intake.pages import BadPage, normalise
from footfall.model import PERIODS, WHOLE_SITE, Span, Tier
from footfall.reads import Reads
from footfall.web.access import Access
from footfall.web.problems import problem
from footfall.web.replies import count_json

#: A series has at most this many points.
MAX_POINTS = 10_000
MAX_PAGES = 1000
DEFAULT_PAGES = 100

#: Without `from`, a series begins this many buckets back.
DEFAULT_POINTS = 60

_TIERS: Mapping[str, Tier] = {tier.value: tier for tier in (Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH)}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,12}")
_LATEST = 253_402_300_800  # the year 10000, where calendars end


class SeriesReply(msgspec.Struct, frozen=True):
    """Views by bucket: (bucket start, views), `from` inclusive, `to` exclusive, Unix seconds."""

    tier: str
    start: int = msgspec.field(name="from")
    end: int = msgspec.field(name="to")
    points: list[tuple[int, int]]


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

    def __init__(self, reads: Reads, access: Access, instance: str, window: int, longest_window: int) -> None:
        self._reads = reads
        self._access = access
        self._instance = instance
        self._window = window
        self._longest_window = longest_window

    async def count(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/count?page=&window=`."""
        site = request.path_params["site"].lower()
        if not self._access.may_read(site):
            return _unauthorized(site)
        page = _page(request)
        window = _number(request, "window", self._window, 1, self._longest_window)
        counts = await self._reads.counts(site, page, window)
        return _json(count_json(site, page or None, window, counts.pages[page], counts.at, self._instance))

    async def series(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/series?tier=&from=&to=&page=`."""
        site = request.path_params["site"].lower()
        if not self._access.may_read(site):
            return _unauthorized(site)
        page = _page(request)
        tier = _TIERS.get(request.query_params.get("tier", "minute"))
        if tier is None:
            raise BadInput("tier", f"one of {', '.join(_TIERS)}")
        if "to" in request.query_params:
            end = _number(request, "to", 0, 0, _LATEST)
        else:
            end = (await self._reads.counts(site, WHOLE_SITE, 1)).at + 1
        start = _number(request, "from", max(0, tier.back(max(end - 1, 0), DEFAULT_POINTS - 1)), 0, _LATEST)
        if start > end:
            raise BadInput("from", "must not be later than to")
        if end - start > MAX_POINTS * (31 * 86400 if tier is Tier.MONTH else tier.width):
            raise BadInput("from", f"from and to span more than {MAX_POINTS} points; ask for less, or for a coarser tier")
        series = await self._reads.series(site, page, tier, start, end)
        return _json(msgspec.json.encode(SeriesReply(tier.value, start, end, series.points)))

    async def pages(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/pages?window=` or `?period=`, `&limit=`, `&cursor=`."""
        site = request.path_params["site"].lower()
        if not self._access.may_read(site):
            return _unauthorized(site)
        period = request.query_params.get("period")
        if period is not None and "window" in request.query_params:
            raise BadInput("period", "send period or window, not both")
        if period is None:
            span = Span(Tier.SECOND, _number(request, "window", self._window, 1, self._longest_window))
        elif period in PERIODS:
            span = PERIODS[period]
        else:
            raise BadInput("period", f"one of {', '.join(PERIODS)}")
        limit = _number(request, "limit", DEFAULT_PAGES, 1, MAX_PAGES)
        top = await self._reads.top(site, span, limit, _after(request))
        cursor = _cursor(top.pages[-1]) if len(top.pages) == limit else None
        return _json(msgspec.json.encode(PagesReply(top.at, [PageRow(*row) for row in top.pages], cursor)))


def _json(body: bytes) -> Response:
    return Response(
        body, headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}, media_type="application/json"
    )


def _unauthorized(site: str) -> Response:
    detail = f"the numbers of {site!r} are not public; the owner of the server can name the site in FOOTFALL_PUBLIC_SITES"
    return problem(401, detail, {"WWW-Authenticate": "Bearer"})


def _page(request: Request) -> str:
    """The page asked for, WHOLE_SITE where none is."""
    raw = request.query_params.get("page")
    if raw is None:
        return WHOLE_SITE
    try:
        return normalise(raw)
    except BadPage as error:
        raise BadInput("page", f"{error}; a page is a path, as in /blog/post") from None


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query, within bounds."""
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not _WHOLE_NUMBER.fullmatch(raw) or not least <= int(raw) <= most:
        raise BadInput(name, f"a whole number from {least} to {most}")
    return int(raw)


def _cursor(row: tuple[str, int]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([row[1], row[0]])).decode().rstrip("=")


def _after(request: Request) -> tuple[int, str] | None:
    """Where the list before ended, from `cursor`."""
    raw = request.query_params.get("cursor")
    if raw is None:
        return None
    try:
        padded = raw.encode("ascii") + b"=" * (-len(raw) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=tuple[int, str])
    except (ValueError, msgspec.MsgspecError):
        raise BadInput("cursor", "send the cursor of the page before as it was, or none") from None
