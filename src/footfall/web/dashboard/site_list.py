"""`/sites`: the sites that the caller may read, with their past minute, and the form that adds one."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from footfall.auth import Caller
from footfall.errors import BadInput, StoreError
from footfall.registry.sites import Sites
from footfall.rules import site_name
from footfall.web.dashboard.charts import spark
from footfall.web.dashboard.dashboard import MAX_FIND_LENGTH
from footfall.web.dashboard.forms import ADMIN_BYTES, read_form, refusal, see_other
from footfall.web.dashboard.pages import Pages, site_href, to_login
from footfall.web.dashboard.reads import DashboardReads
from footfall.web.dashboard.words import sentence
from footfall.web.permissions import Access

#: Sites on one page of their list.
ROWS = 50


class SiteList:
    """Answers for `/sites`."""

    def __init__(self, reads: DashboardReads, sites: Sites, access: Access, pages: Pages) -> None:
        self._reads = reads
        self._sites = sites
        self._access = access
        self._pages = pages

    async def sites(self, request: Request) -> Response:
        """`GET /sites?find=&after=` lists the sites that the caller may read, with their past minute."""
        caller = await self._access.caller_of(request)
        if not self._names(caller) and caller.by == "nobody":
            return to_login(request)
        return await self._page(request, caller)

    async def add(self, request: Request) -> Response:
        """`POST /sites` creates a site, and goes to its page."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            return to_login(request)
        form = await read_form(request, ADMIN_BYTES)
        refused = refusal(request, caller, form, self._access, self._pages)
        if refused is not None:
            return refused
        written = str(form.get("site", ""))
        try:
            name = site_name(written)
            is_created = await self._sites.create(name, {})
        except (ValueError, BadInput) as error:
            reason = error.hint if isinstance(error, BadInput) else str(error)
            return await self._page(request, caller, 400, written=written, trouble=sentence(reason))
        if not is_created:
            return await self._page(request, caller, 409, written=written, taken=name)
        return see_other(site_href(name))

    def _names(self, caller: Caller) -> list[str]:
        return [name for name in self._sites.names() if self._access.is_public(name) or caller.may_read(name)]

    async def _page(
        self, request: Request, caller: Caller, status: int = 200, *, written: str = "", trouble: str = "", taken: str = ""
    ) -> Response:
        names = self._names(caller)
        find = request.query_params.get("find", "").strip()[:MAX_FIND_LENGTH]
        found = [name for name in names if find.casefold() in name]
        after = request.query_params.get("after")
        start = found.index(after) + 1 if after in found else 0
        shown = found[start : start + ROWS]
        try:
            readings = await asyncio.gather(*(self._reads.summary(name) for name in shown))
        except StoreError:
            return self._pages.unavailable(request)
        cards = [
            {
                "name": name,
                "href": site_href(name),
                "minute": minute,
                "spark": spark([n for _, n in hours]),
                "is_public": self._access.is_public(name),
            }
            for name, (minute, hours) in zip(shown, readings, strict=True)
        ]
        more = f"/sites?{urlencode({'find': find, 'after': shown[-1]})}" if start + ROWS < len(found) else ""
        return self._pages.answer(
            request,
            "sites.html",
            status,
            caller=caller,
            cards=cards,
            find=find,
            more=more,
            has_many=len(names) > ROWS,
            may_add=caller.by == "session" and caller.is_admin,
            is_first=self._sites.is_new,
            written=written,
            trouble=trouble,
            taken=taken,
            taken_href=site_href(taken),
        )
