"""What each address takes and answers, a row a method: the table that `openapi.py` makes the document of.

The shapes are the types that the handlers themselves encode and decode; bounds are the handlers' constants. What a caller needs
is said once, in the route table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from footfall.export import DEFAULT_TABLE, TABLES
from footfall.model import PERIODS, Tier
from footfall.reading.ledger import LedgerReply
from footfall.reading.live import Event
from footfall.rules import LONGEST_WINDOW
from footfall.web.api.managing import MadeReply, NewShare, NewToken, ShareReply, SiteReply, SitesReply, TokenReply
from footfall.web.api.openapi import Operation, Parameter, Reply, Schema
from footfall.web.api.reading import (
    DEFAULT_PERIOD,
    DEFAULT_ROWS,
    LATEST,
    MAX_ROWS,
    TIERS,
    VISITOR_TIERS,
    BreakdownReply,
    PagesReply,
    PresentReply,
    SeriesReply,
    VisitorsReply,
)
from footfall.web.api.views import MAX_ITEMS, Item, ViewsReply
from footfall.web.badges.drawing import STYLES
from footfall.web.badges.endpoints import DEFAULT_SHOW, NUMBERS, SHOWN, CounterReply, ShieldsReply
from footfall.web.health import ReadyReply
from footfall.web.problems import PROBLEM_TYPE, Problem
from footfall.web.replies import CountReply

_TEXT: Mapping[str, Any] = {"type": "string"}
_BYTES: Mapping[str, Any] = {"type": "string", "format": "binary"}
_FLAG: Mapping[str, Any] = {"type": "string", "enum": ["1"]}

_SITE = "/api/v1/sites/{site}"
_NOTHING = Reply("done; no body")
_PLAIN = {"text/plain": _TEXT}
_NO_SITE = Reply("there is no such site")


def _number(least: int, most: int, default: int | None = None) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most} | ({} if default is None else {"default": default})


def _one_of(names: Sequence[str] | Mapping[str, Any], default: str | None = None) -> Mapping[str, Any]:
    return {"type": "string", "enum": list(names)} | ({} if default is None else {"default": default})


PAGE = Parameter("page", _TEXT, "the page's path, as in /blog/post; the whole site without it")
_PERIOD = Parameter("period", _one_of(PERIODS, DEFAULT_PERIOD), "whole hours, days or months (UTC), the current one included")
_WINDOW = Parameter("window", _number(1, LONGEST_WINDOW), "the number of newest seconds; default: FOOTFALL_WINDOW")
_FROM = Parameter("from", _number(0, LATEST), "the earliest second, included; 60 buckets without it")
_TO = Parameter("to", _number(0, LATEST), "the second after the last; without it now is included")
_LIMIT = Parameter("limit", _number(1, MAX_ROWS, DEFAULT_ROWS), "at most this many")
_CURSOR = Parameter("cursor", _TEXT, "the `cursor` of the part before")
_ID = Parameter("id", _TEXT, "its id, as the list has it", is_required=True)


def _json(help: str, schema: Schema) -> Reply:
    return Reply(help, {"application/json": schema})


def _reading(path: str, reply: Schema, *parameters: Parameter) -> Operation:
    return Operation(f"{_SITE}/{path}", "GET", "Reading", {200: _json("the numbers", reply)}, parameters)


_VIEW = (
    Parameter("s", _TEXT, "the site", is_required=True),
    Parameter("p", _TEXT, "the page: a path", is_required=True),
    Parameter("r", _TEXT, "the referrer: the address that the visitor came from"),
    Parameter("e", {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}, "an event id: with it, the view counts once"),
    Parameter("w", _number(0, 99_999), "the viewport's width in CSS pixels"),
    Parameter("l", _TEXT, "the visitor's language, as in en-GB"),
    Parameter("u", _TEXT, "the campaign: a query string with utm_ parameters"),
)


def _counting(method: str) -> Sequence[Operation]:
    page = Reply("the view is taken, or dropped: `X-Footfall` says which; the picture is 43 bytes", {"image/gif": _BYTES})
    answers = {
        200: _json(
            "`Accept` has application/json and the caller may read the site: the page's numbers, own view included", CountReply
        ),
        202: _json("the same, but the view waits in the spool: its numbers are null", CountReply),
        204: Reply("the view is taken, or dropped: `X-Footfall` says which"),
    }
    return (
        Operation("/count", method, "Counting", answers, _VIEW),
        Operation("/count.gif", method, "Counting", {200: page}, _VIEW),
    )


_FRONT = {"text/plain": _TEXT, "text/html": _TEXT}

_COUNTER = (
    PAGE,
    Parameter("show", _one_of(SHOWN, DEFAULT_SHOW), "which number"),
    Parameter("number", _one_of(NUMBERS), "how it is written: 1,284, 1284 or 1.2k"),
    Parameter("hit", _FLAG, "counts a view of the page, too: for places that allow only a picture"),
    Parameter("label", _TEXT, "the text before the number"),
    Parameter("color", _TEXT, "the number's ground, by name or as hex"),
    Parameter("label_color", _TEXT, "the label's"),
    Parameter("style", _one_of(STYLES, "flat"), "the badge's style"),
)
_SHIELDS = Parameter("format", _one_of(("json", "shields"), "json"), "`shields`: as shields.io reads it")
_UNCHANGED = Reply("what you have, by its `ETag`, is still so")


def _counter(
    kind: str, media: Mapping[str, Schema], *more: Parameter, otherwise: Mapping[str, Schema] | None = None
) -> Operation:
    """A public counter; where there is no number to show, `otherwise` has the same form and says so."""
    replies = {200: Reply("the number", media), 304: _UNCHANGED}
    if otherwise:
        replies |= {
            400: Reply("it says which parameter can't be read", otherwise),
            401: Reply("it says that the number is private", otherwise),
            503: Reply("it says unavailable", otherwise),
        }
    return Operation(f"/counter/{{site}}.{kind}", "GET", "Counters", replies, (*_COUNTER, *more))


_BADGE: Mapping[str, Schema] = {"image/svg+xml": _TEXT}
_COUNTER_SHAPES = {"anyOf": [{"$ref": f"#/components/schemas/{shape.__name__}"} for shape in (CounterReply, ShieldsReply)]}

_EXPORTED = (
    Parameter("table", _one_of(TABLES, DEFAULT_TABLE), "which table"),
    Parameter("tier", _one_of([tier.value for tier in Tier]), "one of the table's tiers; all of them without it"),
)

API: Sequence[Operation] = (
    *_counting("GET"),
    *_counting("POST"),
    Operation(
        "/",
        "GET",
        "Counting",
        {
            200: Reply("text, or a page where `Accept` has text/html", _FRONT),
            202: Reply("the view waits in the spool, and the number can't be read", _FRONT),
            503: Reply("the store does not answer", {"text/html": _TEXT}),
        },
    ),
    Operation(
        f"{_SITE}/views",
        "POST",
        "Counting",
        {
            200: _json("what became of the views", ViewsReply),
            202: _json("the same; some wait in the spool", ViewsReply),
            503: _json("the same; some were not taken: send those again, with their event ids", ViewsReply),
        },
        body={
            "application/json": {
                "type": "array",
                "maxItems": MAX_ITEMS,
                "items": {"$ref": f"#/components/schemas/{Item.__name__}"},
            },
            "application/x-ndjson": _TEXT,
        },
    ),
    _reading("count", CountReply, PAGE, _WINDOW),
    _reading("series", SeriesReply, Parameter("tier", _one_of(TIERS, "minute"), "the buckets"), _FROM, _TO, PAGE),
    _reading("pages", PagesReply, _WINDOW, Parameter("period", _one_of(PERIODS), "instead of a window"), _LIMIT, _CURSOR),
    _reading("breakdown/{dimension}", BreakdownReply, _PERIOD, PAGE, _LIMIT, _CURSOR),
    _reading("visitors", VisitorsReply, Parameter("tier", _one_of(VISITOR_TIERS, "day"), "the buckets"), _FROM, _TO, PAGE),
    _reading("present", PresentReply),
    _reading("ledger", LedgerReply, _PERIOD),
    Operation(
        f"{_SITE}/live",
        "GET",
        "Reading",
        {
            200: Reply(
                "an event a second, whose `data` is an Event; one named `away` while the store is", {"text/event-stream": _TEXT}
            )
        },
        (PAGE,),
    ),
    _counter("svg", _BADGE, otherwise=_BADGE),
    _counter("json", {"application/json": _COUNTER_SHAPES}, _SHIELDS),
    _counter("txt", _PLAIN),
    *(
        Operation(f"{_SITE}/export.{form}", "GET", "Reading", {200: Reply("the rows", {kind: _TEXT})}, _EXPORTED)
        for form, kind in (("csv", "text/csv"), ("ndjson", "application/x-ndjson"))
    ),
    Operation("/api/v1/sites", "GET", "Reading", {200: _json("the sites that the caller may read, and their rules", SitesReply)}),
    Operation(
        "/api/v1/sites",
        "POST",
        "Managing",
        {201: _json("the site that was created", SiteReply), 409: Reply("the site already exists")},
        body={"application/json": {"$ref": "#/components/schemas/NewSite"}},
    ),
    Operation(_SITE, "GET", "Managing", {200: _json("its rules", SiteReply), 404: _NO_SITE}, summary="a site's rules"),
    Operation(
        _SITE,
        "PATCH",
        "Managing",
        {200: _json("its rules as they are now", SiteReply), 404: _NO_SITE, 409: Reply("FOOTFALL_PUBLIC_SITES says otherwise")},
        body={"application/json": {"$ref": "#/components/schemas/RuleChanges"}},
        summary="changes a site's rules",
    ),
    Operation(
        _SITE,
        "DELETE",
        "Managing",
        {204: _NOTHING, 404: _NO_SITE, 409: Reply("FOOTFALL_SITES names it")},
        summary="removes a site with all its views",
    ),
    Operation(
        f"{_SITE}/pages",
        "DELETE",
        "Managing",
        {204: _NOTHING, 404: _NO_SITE},
        (Parameter("page", _TEXT, "the page to forget", is_required=True),),
    ),
    Operation(
        f"{_SITE}/shares",
        "GET",
        "Managing",
        {200: _json("its share links, without their secrets", list[ShareReply]), 404: _NO_SITE},
        summary="a site's share links",
    ),
    Operation(
        f"{_SITE}/shares",
        "POST",
        "Managing",
        {201: _json("the link is /share/ and the secret, which is shown this once", MadeReply), 404: _NO_SITE},
        body={"application/json": NewShare},
        summary="makes a share link",
    ),
    Operation(
        f"{_SITE}/shares",
        "DELETE",
        "Managing",
        {204: _NOTHING, 404: Reply("there is no such site, or no such link")},
        (_ID,),
        summary="ends a share link",
    ),
    Operation(
        "/api/v1/tokens", "GET", "Managing", {200: _json("all, without their secrets", list[TokenReply])}, summary="tokens"
    ),
    Operation(
        "/api/v1/tokens",
        "POST",
        "Managing",
        {201: _json("the token is the secret, which is shown this once", MadeReply)},
        body={"application/json": NewToken},
        summary="makes a token",
    ),
    Operation(
        "/api/v1/tokens",
        "DELETE",
        "Managing",
        {204: _NOTHING, 404: Reply("there is no such token")},
        (_ID,),
        summary="ends a token",
    ),
    Operation("/livez", "GET", "Service", {200: Reply("it runs", _PLAIN)}, asks_store=False),
    Operation(
        "/readyz",
        "GET",
        "Service",
        {200: _json("it can", ReadyReply), 503: Reply("it can't, and why", {PROBLEM_TYPE: Problem})},
        asks_store=False,
    ),
    Operation("/ping", "GET", "Service", {200: Reply("pong", _PLAIN)}, asks_store=False),
    Operation("/metrics", "GET", "Service", {200: Reply("the metrics", _PLAIN)}),
    Operation("/openapi.json", "GET", "Service", {200: _json("this document", {"type": "object"})}, asks_store=False),
)

#: Types that are part of a reply in another way than as JSON by themselves.
ENCLOSED: Sequence[type] = (Event, Item, CounterReply, ShieldsReply)
