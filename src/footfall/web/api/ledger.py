"""`GET /api/v1/sites/SITE/ledger`: where did my view go? What became of all views that a site received in a period."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.errors import BadInput
from footfall.headers import headers_of
from footfall.model import PERIODS
from footfall.reading.ledger import read_ledger
from footfall.reading.shared_reads import Reads
from footfall.web.permissions import Access
from footfall.web.problems import unauthorized
from footfall.web.replies import json_reply
from footfall.web.requests import site_asked

DEFAULT_PERIOD = "24h"


class LedgerApi:
    """Answers from `reads`."""

    def __init__(self, reads: Reads, access: Access) -> None:
        self._reads = reads
        self._access = access

    async def ledger(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/ledger?period=`."""
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        period = request.query_params.get("period", DEFAULT_PERIOD)
        if period not in PERIODS:
            raise BadInput("period", f"one of {', '.join(PERIODS)}")
        return json_reply(msgspec.json.encode(await read_ledger(self._reads, site, period, PERIODS[period])))
