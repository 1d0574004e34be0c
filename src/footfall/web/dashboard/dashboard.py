"""`/sites/SITE`: what a site's owner opens every morning, and leaves open on the wall.

Server-rendered and complete without scripts; what is shown lives in the address, one filter at a time (`page=`), so that back and
bookmarks work. Who may see what is `web.permissions`'s; what is read, `reads`'.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.auth import Caller
from footfall.errors import BadInput, StoreError
from footfall.headers import headers_of
from footfall.model import DIMENSIONS, PERIODS, WHOLE_SITE, Dimension
from footfall.registry.sites import Sites
from footfall.web.dashboard.charts import SPARK_HEIGHT, SPARK_WIDTH, draw_chart, spark
from footfall.web.dashboard.pages import ONWARD, Pages, site_href, to_login
from footfall.web.dashboard.period import CUSTOM, DEFAULT, NAMES, Asked, Period, day_text, read_asked
from footfall.web.dashboard.reads import MOST_ROWS, DashboardReads, History, Listing, Minute, Rows
from footfall.web.dashboard.words import change, ledger_rows, percent, sentence
from footfall.web.dial import draw_dial
from footfall.web.permissions import Access
from footfall.web.rendering import past, summary
from footfall.web.requests import page_asked, site_asked

#: Rows of a panel, of the list of the past minute's pages, and of a list by itself.
PANEL_ROWS = 8
MINUTE_ROWS = 6
LIST_ROWS = 50

MAX_FIND_LENGTH = 200

#: The list of pages, beside those of the dimensions.
PAGES = Dimension("pages", "Pages", "page")
LISTS: Mapping[str, Dimension] = {PAGES.name: PAGES, **{one.name: one for one in DIMENSIONS}}

#: A row's number and its name, as in "412:/blog": where a list goes on.
_AFTER = re.compile(r"(\d{1,15}):(.*)", re.DOTALL)


class Days(msgspec.Struct, frozen=True):
    """The form that asks for days of one's own choice, as it is shown: what is in it, and what is wrong with what was asked for.

    `wrong` is the field at fault, "period" beside them, or "".
    """

    first: str
    last: str
    today: str
    is_chosen: bool
    wrong: str = ""
    trouble: str = ""


class Row(msgspec.Struct, frozen=True):
    """A row of a list: its bar's length and its part of all views in percent, and where it leads ("": nowhere)."""

    name: str
    views: int
    bar: str
    percent: str
    href: str = ""
    live: int = 0
    spark: str = ""


class Place(msgspec.Struct, frozen=True):
    """What of a site is looked at, and the address that says so."""

    site: str
    page: str
    asked: Asked

    def href(self, *, page: str | None = None, period: str | None = None, **more: str) -> str:
        """The address of this place with some of it changed; a page of "" is the whole site."""
        path = self.page if page is None else page
        asked = self.asked.query if period is None else Asked(period).query
        query = ({"page": path} if path != WHOLE_SITE else {}) | asked | more
        return site_href(self.site) + (f"?{urlencode(query, errors='replace')}" if query else "")


class Dashboard:
    """Answers for `/sites` and all that is read below it."""

    def __init__(self, reads: DashboardReads, sites: Sites, access: Access, pages: Pages) -> None:
        self._reads = reads
        self._sites = sites
        self._access = access
        self._pages = pages

    # One site

    async def site(self, request: Request) -> Response:
        """`GET /sites/SITE?page=&period=` or `&from=&to=` shows a site or a page; with `&list=` one of its lists."""
        site = site_asked(request)
        caller = await self._access.caller_of(request)
        if not await self._access.may_read(headers_of(request.scope["headers"]), site):
            if caller.by != "session":
                return to_login(request)
            return self._pages.no_such_site(request, caller, site)
        try:
            return await self._show(request, caller, site)
        except BadInput as error:
            onward = ((site_href(site), site), *ONWARD)
            return self._pages.trouble(request, 400, caller, "This can't be shown", sentence(str(error)), onward)
        except StoreError:
            return self._pages.unavailable(request)

    async def _show(self, request: Request, caller: Caller, site: str) -> Response:
        query = request.query_params
        page = page_asked(request, self._sites.rules(site)) if query.get("page") else WHOLE_SITE
        minute = await self._reads.minute(site, page)
        if caller.is_admin and page == WHOLE_SITE and not minute.count.total:
            return await self._wait(request, caller, site, minute.at)
        wrong = None
        try:
            period = await self._reads.period(site, page, read_asked(query), minute.at)
        except BadInput as error:
            wrong, period = error, await self._reads.period(site, page, Asked(DEFAULT), minute.at)
        place = Place(site, page, period.asked)
        status = 400 if wrong else 200
        shared = {
            "site": site,
            "page": place.page,
            "place": place,
            "period": period,
            "periods": _periods(place),
            "days": _days(period, minute.at, wrong, query),
        }
        if "list" in query:
            return await self._show_list(request, caller, place, period, shared, status)
        shared |= await self._now(place, minute) | await self._past(place, period, minute.at)
        return self._page(request, caller, "dashboard.html", status, **shared)

    async def _wait(self, request: Request, caller: Caller, site: str, now: int) -> Response:
        """The page of a site that has no view yet: how to get one, and what has come that was not counted."""
        outcomes = await self._reads.outcomes(site, await self._reads.period(site, WHOLE_SITE, Asked(DEFAULT), now))
        context = {"site": site, "href": site_href(site), "drops": ledger_rows(0, outcomes)[1:]}
        return self._page(request, caller, "waiting.html", 200, **context)

    async def _now(self, place: Place, minute: Minute) -> dict[str, Any]:
        """The past minute."""
        is_site = place.page == WHOLE_SITE
        pages = await self._reads.busiest(place.site, MINUTE_ROWS) if is_site else []
        most = max((n for _, n in pages), default=0)
        dial = draw_dial(minute.seconds, minute.views, minute.at)
        told = sum(n for _, n in minute.shares)
        return {
            "minute": minute,
            "dial": dial,
            "summary": summary(dial),
            "past": past(self._reads.window),
            "window": self._reads.window,
            "moment": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute.at)),
            "busiest": [Row(name, n, _bar(n, most), "", place.href(page=name)) for name, n in pages],
            "busiest_rows": MINUTE_ROWS,
            "shares": [Row(name, n, _bar(n, told), percent(n, told)) for name, n in minute.shares],
        }

    async def _past(self, place: Place, period: Period, now: int) -> dict[str, Any]:
        """The period: its chart, its lists, its ledger."""
        is_site = place.page == WHOLE_SITE
        history, panels = await asyncio.gather(
            self._reads.history(place.site, place.page, period, now),
            self._reads.panels(place.site, place.page, period, PANEL_ROWS),
        )
        outcomes = await self._reads.outcomes(place.site, period) if is_site else []
        pages = await self._reads.pages(place.site, period, PANEL_ROWS) if is_site else Listing([])
        return {
            "history": history,
            "change": change(history.closed, history.closed_before),
            "is_open": period.end == now + 1,
            "chart": draw_chart(history.points, ends_open=period.end == now + 1),
            "visitor_note": visitor_note(period, history),
            "rows": PANEL_ROWS,
            "pages": await self._page_rows(place, period, pages.rows, history.views),
            "panels": [
                (one, _rows(listing.rows, history.views), place.href(list=one.name))
                for one, listing in zip(DIMENSIONS, panels, strict=True)
            ],
            "pages_href": place.href(list=PAGES.name),
            "is_whole": pages.is_whole and all(listing.is_whole for listing in panels),
            "ledger": ledger_rows(history.views, outcomes),
            "received": history.views + sum(n for _, n in outcomes),
            "not_counted": sum(n for _, n in outcomes),
            "spark_size": (SPARK_WIDTH, SPARK_HEIGHT),
        }

    async def _page_rows(self, place: Place, period: Period, rows: Rows, views: int) -> list[Row]:
        names = [name for name, _ in rows]
        live, sparks = await asyncio.gather(self._reads.live(place.site, names), self._reads.sparks(place.site, names, period))
        plain = _rows(rows, views)
        return [
            msgspec.structs.replace(row, href=place.href(page=row.name), live=n, spark=spark(values))
            for row, n, values in zip(plain, live, sparks, strict=True)
        ]

    # One list

    async def _show_list(
        self, request: Request, caller: Caller, place: Place, period: Period, shared: Mapping[str, Any], status: int
    ) -> Response:
        query = request.query_params
        one = LISTS.get(query["list"])
        if one is None:
            raise BadInput("list", f"one of {', '.join(LISTS)}")
        find = query.get("find", "").strip()[:MAX_FIND_LENGTH]
        is_pages = one is PAGES
        listing, has_more, is_all = await self._rows_of(place, period, one, find, _after(query.get("after")))
        shown = listing[:LIST_ROWS]
        series = await self._reads.total(place.site, place.page, period)
        rows = _rows(shown, series)
        if is_pages:
            rows = [msgspec.structs.replace(row, href=place.href(page=row.name)) for row in rows]
        more = {"list": one.name} | ({"find": find} if find else {})
        context = dict(shared) | {
            "one": one,
            "rows": rows,
            "find": find,
            "back": place.href(),
            "first": place.href(**more) if "after" in query else "",
            "next": place.href(**more, after=f"{shown[-1][1]}:{shown[-1][0]}") if has_more else "",
            "searched": 0 if is_all else MOST_ROWS,
            "named_page": find if is_pages and find.startswith("/") else "",
            "named_href": place.href(page=find) if is_pages and find else "",
            "periods": [(name, place.href(period=key, **more), key == place.asked.name) for key, (name, _) in NAMES.items()],
        }
        return self._page(request, caller, "list.html", status, **context)

    async def _rows_of(
        self, place: Place, period: Period, one: Dimension, find: str, after: tuple[int, str] | None
    ) -> tuple[Rows, bool, bool]:
        """A page of a list; whether there is more of it, and whether all of the list was looked through."""
        if one is PAGES and not find:
            listing = await self._reads.pages(place.site, period, LIST_ROWS + 1, after)
            return listing.rows, len(listing.rows) > LIST_ROWS, listing.is_whole
        if one is PAGES:
            listing = await self._reads.pages(place.site, period, MOST_ROWS)
        else:
            listing = await self._reads.listing(place.site, place.page, one.name, period, MOST_ROWS)
        is_all = listing.is_whole and len(listing.rows) < MOST_ROWS
        found = [row for row in listing.rows if find.casefold() in row[0].casefold()]
        if after is not None:
            found = [row for row in found if (-row[1], row[0]) > (-after[0], after[1])]
        return found, len(found) > LIST_ROWS, is_all

    def _page(self, request: Request, caller: Caller, template: str, status: int, /, **context: Any) -> Response:
        return self._pages.answer(request, template, status, caller=caller, **context)


def _days(period: Period, now: int, wrong: BadInput | None, query: Mapping[str, str]) -> Days:
    first, last = day_text(period.start), day_text(min(period.end, now + 1) - 1)
    today, is_chosen = day_text(now), period.asked.name == CUSTOM
    if wrong is None:
        return Days(first, last, today, is_chosen)
    if wrong.field == "period":
        return Days(first, last, today, is_chosen, wrong.field, "There is no such period. Choose one of these.")
    return Days(query.get("from", ""), query.get("to", ""), today, is_chosen, wrong.field, f"Choose {wrong.hint}.")


def visitor_note(period: Period, history: History) -> str:
    """How the number of visitors is to be understood."""
    if not history.visitor_days:
        return "not known"
    if history.visitor_days == 1:
        return "today, UTC" if period.asked.name != CUSTOM else "one day, UTC"
    return "sum of days, UTC"


def _periods(place: Place) -> list[tuple[str, str, bool]]:
    """Each period's link: its name, its address, whether it is shown now."""
    return [(NAMES.get(key, (key, key))[0], place.href(period=key), key == place.asked.name) for key in PERIODS]


def _rows(rows: Rows, views: int) -> list[Row]:
    most = max((n for _, n in rows), default=0)
    return [Row(name, n, _bar(n, most), percent(n, views)) for name, n in rows]


def _bar(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f}"


def _after(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = _AFTER.fullmatch(text)
    if found is None:
        raise BadInput("after", "the number and name of the row after which the list goes on, as its link has them")
    return int(found[1]), found[2]
