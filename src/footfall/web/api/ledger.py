"""`GET /api/v1/sites/SITE/ledger`: where did my view go? What became of all views that a site received in a period."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.errors import BadInput
from footfall.model import DUPLICATE, OUTCOME, PERIODS, WHOLE_SITE, DropReason, Span
from footfall.reading.shared_reads import Reads
from footfall.web.api.reading import json_reply, unauthorized
from footfall.web.permissions import Access

DEFAULT_PERIOD = "24h"


class LedgerReply(msgspec.Struct, frozen=True):
    """Views of a period at second `at`: received = counted + duplicate + those dropped, by reason.

    Views that failed or wait in a spool are not in it: the store does not know of them. They stand in the metrics.
    """

    at: int
    period: str
    received: int
    counted: int
    duplicate: int
    dropped: dict[str, int]


async def read_ledger(reads: Reads, site: str, period: str, span: Span) -> LedgerReply:
    """The ledger of a site."""
    series = await reads.newest(site, WHOLE_SITE, span)
    outcomes = await reads.breakdown(site, WHOLE_SITE, OUTCOME, span, len(DropReason) + 1)
    found = dict(outcomes.values)
    counted = sum(views for _, views in series.points)
    duplicate = found.pop(DUPLICATE, 0)
    return LedgerReply(series.at, period, counted + duplicate + sum(found.values()), counted, duplicate, found)


class LedgerApi:
    """Answers from `reads`."""

    def __init__(self, reads: Reads, access: Access) -> None:
        self._reads = reads
        self._access = access

    async def ledger(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/ledger?period=`."""
        site = request.path_params["site"].lower()
        if not await self._access.may_read(dict(request.scope["headers"]), site):
            return unauthorized(site)
        period = request.query_params.get("period", DEFAULT_PERIOD)
        if period not in PERIODS:
            raise BadInput("period", f"one of {', '.join(PERIODS)}")
        return json_reply(msgspec.json.encode(await read_ledger(self._reads, site, period, PERIODS[period])))
