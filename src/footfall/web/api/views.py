"""`POST /api/v1/sites/SITE/views`: many views at once, with a token that may write the site.

The body is a JSON array or NDJSON. It is read to its limits and checked whole before anything is counted: a malformed body counts
nothing. An item that can't be a view is answered by its index and the others count. The reply leaves when all are stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.counting.counter import Counter
from footfall.errors import BadInput, Draining, NotAcknowledged, Overloaded, StoreError
from footfall.intake.query import read_event_id
from footfall.intake.request import Intake
from footfall.intake.traits import Evidence
from footfall.model import WHOLE_SITE, Drop, DropReason, Outcome, View
from footfall.reading.shared_reads import Reads
from footfall.registry.sites import Sites
from footfall.rules import Site
from footfall.web.permissions import Access
from footfall.web.problems import problem
from footfall.web.requests import body_of, read_json, site_asked

#: Items and bytes of one body.
MAX_ITEMS = 10_000
MAX_BYTES = 8 * 1024 * 1024

#: Items that are bad are named up to so many.
MAX_NAMED = 100

#: Views of one request that wait for the store at the same time: a large body must not push out everyone else's.
AT_ONCE = 2000

#: Items that are classified before others have their turn: ten thousand strange user agents take a second.
JUDGED_AT_ONCE = 100

_LATEST = 253_402_300_800  # the year 10000, where calendars end


class Item(msgspec.Struct, frozen=True):
    """One view as it is handed in: `page` is a path, perhaps with a query. All others may be left out or null, which is the same.

    `at` is in Unix seconds; without it the store's clock decides. `ip` and `user_agent` tell the visitor apart and are not kept.
    `campaign` is a query string (utm_…), `width` is in CSS pixels.
    """

    page: str
    at: int | None = None
    referrer: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    event_id: str | None = None
    campaign: str | None = None
    width: int | None = None
    language: str | None = None
    country: str | None = None


class BadItem(msgspec.Struct, frozen=True):
    """An item that can't be a view: its place in the body from 0, the field at fault, and how to correct it."""

    index: int
    field: str
    hint: str


class ViewsReply(msgspec.Struct, frozen=True):
    """What became of the items. `bad` names the first hundred; `dropped` is by reason."""

    received: int
    counted: int
    duplicate: int
    spooled: int
    failed: int
    dropped: dict[str, int]
    bad: list[BadItem]


class ViewsApi:
    """Takes views in for `sites`."""

    def __init__(self, sites: Sites, intake: Intake, counter: Counter, reads: Reads, access: Access) -> None:
        self._sites = sites
        self._reads = reads
        self._intake = intake
        self._counter = counter
        self._access = access

    async def add(self, request: Request) -> Response:
        """`POST /api/v1/sites/SITE/views`."""
        name = site_asked(request)
        caller = await self._access.caller_of(request)
        if not caller.may_write(name) or (caller.by == "session" and not self._access.comes_from_our_pages(request)):
            status = 401 if caller.by == "nobody" else 403
            return problem(status, f"send a token with the scope write:{name}", {"WWW-Authenticate": "Bearer"})
        if self._sites.get(name) is None:
            return _no_site(name)
        body = await body_of(request, MAX_BYTES, "; send more views in another request")
        items = read_items(body, request.headers.get("content-type", ""))
        site = self._sites.get(name)
        if site is None:  # removed while the body came
            return _no_site(name)
        at = await self._store_second(site)
        views: list[View] = []
        tally: Tally[str] = Tally()
        bad: list[BadItem] = []
        for index, raw in enumerate(items):
            if index % JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                classified = self._classify(site, raw, at)
            except BadInput as error:
                bad.append(BadItem(index, error.field, error.hint))
                continue
            if isinstance(classified, Drop):
                self._counter.dropped(classified)
                tally[classified.reason.value] += 1
            else:
                views.append(classified)
        outcomes = await self._count(views)
        if refused := outcomes[Outcome.REFUSED.value]:
            tally[DropReason.TOO_MANY_PAGES.value] += refused
        reply = ViewsReply(
            len(items),
            outcomes["counted"],
            outcomes["duplicate"],
            outcomes["spooled"],
            outcomes["failed"],
            dict(tally),
            bad[:MAX_NAMED],
        )
        status = 503 if outcomes["failed"] else 202 if outcomes["spooled"] else 200
        headers = {"Cache-Control": "no-store"} | ({"Retry-After": "1"} if status == 503 else {})
        return Response(msgspec.json.encode(reply), status, headers, "application/json")

    async def _store_second(self, site: Site) -> int | None:
        """The store's second, where a site limits new pages: the time of views that bring none, for one with a time may open any.

        None where there is no such limit, or the store does not tell it: then the store's clock decides when it takes them.
        """
        if not site.rules.pages_per_day:
            return None
        try:
            return (await self._reads.counts(site.name, WHOLE_SITE, 1)).at
        except StoreError:
            return None

    def _classify(self, site: Site, raw: msgspec.Raw | bytes, at: int | None) -> View | Drop:
        item = read_item(raw)
        evidence = Evidence(
            item.referrer, item.campaign or "", item.user_agent or "", item.width or 0, item.language or "", item.country or ""
        )
        return self._intake.classify_trusted(
            site, item.page, evidence, item.ip or "", at=at if item.at is None else item.at, event_id=item.event_id
        )

    async def _count(self, views: Sequence[View]) -> Tally[str]:
        """Count views some at a time; what became of each."""
        tally: Tally[str] = Tally()
        for first in range(0, len(views), AT_ONCE):
            some = views[first : first + AT_ONCE]
            settled = await asyncio.gather(*(self._counter.count(view) for view in some), return_exceptions=True)
            for each in settled:
                if isinstance(each, Overloaded | Draining | NotAcknowledged):
                    tally["failed"] += 1
                elif isinstance(each, BaseException):
                    raise each
                else:
                    tally[each.outcome.value] += 1
        return tally


def _no_site(name: str) -> Response:
    return problem(404, f"there is no site {name!r} here; name it in FOOTFALL_SITES or create it")


def read_items(body: bytes, content_type: str) -> Sequence[msgspec.Raw | bytes]:
    """The items of a body, not looked into yet. Raises BadInput for a body that is neither form, or too long."""
    wanted = "a JSON array of views, or one view as JSON a line"
    is_lines = "ndjson" in content_type or "jsonl" in content_type or body.lstrip()[:1] != b"["
    try:
        body.decode()  # values that are not looked into yet are not checked for it by msgspec
    except UnicodeDecodeError as error:
        raise BadInput("body", f"{wanted}; this is not UTF-8 (byte {error.start})") from None
    if is_lines:
        items = [read_json(line, msgspec.Raw, "body", wanted) for line in body.splitlines() if line.strip()]
    else:
        items = read_json(body, list[msgspec.Raw], "body", wanted)
    if len(items) > MAX_ITEMS:
        raise BadInput("body", f"at most {MAX_ITEMS} views; this has {len(items)}")
    return items


def read_item(raw: msgspec.Raw | bytes) -> Item:
    """An item. Raises BadInput."""
    item = read_json(raw, Item, "item", "a view as a JSON object")
    if item.at is not None and not 0 <= item.at < _LATEST:
        raise BadInput("at", "Unix seconds, UTC")
    if item.event_id is not None:
        try:
            read_event_id(item.event_id)
        except BadInput as error:
            raise BadInput("event_id", error.hint) from None
    if item.width is not None and not 0 <= item.width < 1_000_000:
        raise BadInput("width", "CSS pixels, as in 1280")
    return item
