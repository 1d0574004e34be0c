"""`GET /api/v1/sites/SITE/export.csv` and `.ndjson`: all rows of a site, streamed as they come from the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from footfall.errors import Overloaded
from footfall.export import DEFAULT_TABLE, Form, Wanted, export, read_wanted
from footfall.headers import headers_of
from footfall.stores import Store
from footfall.web.permissions import Access
from footfall.web.problems import unauthorized
from footfall.web.requests import site_asked

#: So many exports go on at the same time in an instance; one more is told to come back.
MOST_AT_ONCE = 4

_TYPES = {Form.CSV: "text/csv; charset=utf-8", Form.NDJSON: "application/x-ndjson"}


class ExportApi:
    """Exports from `store`."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access
        self._under_way = 0

    async def csv(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/export.csv?table=&tier=`."""
        return await self._export(request, Form.CSV)

    async def ndjson(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/export.ndjson?table=&tier=`."""
        return await self._export(request, Form.NDJSON)

    async def _export(self, request: Request, form: Form) -> Response:
        site = site_asked(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            return unauthorized(site)
        wanted = read_wanted(request.query_params.get("table", DEFAULT_TABLE), request.query_params.get("tier"))
        headers = {
            "Cache-Control": "no-store",
            "Access-Control-Allow-Origin": "*",
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'attachment; filename="{_file_name(site)}.{form.value}"',
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type=_TYPES[form])
        if self._under_way >= MOST_AT_ONCE:
            raise Overloaded(f"{MOST_AT_ONCE} exports are under way")
        await self._store.dump(site, wanted.table.section, wanted.tiers[0], None, 1)  # if it is away, it is so before the reply
        return StreamingResponse(self._pieces(site, wanted, form), headers=headers, media_type=_TYPES[form])

    async def _pieces(self, site: str, wanted: Wanted, form: Form) -> AsyncIterator[bytes]:
        """A store that fails on the way cuts the reply off, which its reader sees by the missing end of the chunks."""
        self._under_way += 1
        try:
            async with aclosing(export(self._store, site, wanted, form, quotes_texts=True)) as pieces:
                async for _, piece in pieces:
                    yield piece
        finally:
            self._under_way -= 1


def _file_name(site: str) -> str:
    return "".join(character if (character.isascii() and character.isalnum()) or character in ".-" else "_" for character in site)
