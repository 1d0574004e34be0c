"""The other half of that table: what is for people, not for programs: pages, their forms, and the files they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from footfall.web.api.openapi import Operation, Parameter, Reply
from footfall.web.api.operations import API, PAGE
from footfall.web.problems import PROBLEM_TYPE, Problem

_TEXT: Mapping[str, Any] = {"type": "string"}
_BYTES: Mapping[str, Any] = {"type": "string", "format": "binary"}
_HTML = {"text/html": _TEXT}
_PAGE = Reply("the page", _HTML)
_ON = Reply("go on there; without the right to see the page, to the log-in")
_WRONG = Reply("what was asked for can't be, and why", _HTML)
_NOT_OURS = Reply("the form was not sent by our own page", _HTML | {PROBLEM_TYPE: Problem})
_UNCHANGED = Reply("what you have, by its `ETag`, is still so")


def _form(**fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"application/x-www-form-urlencoded": {"type": "object", "properties": fields}}


def _page(path: str, *parameters: Parameter, replies: Mapping[int, Reply] | None = None) -> Operation:
    return Operation(path, "GET", "Pages", {200: _PAGE} | dict(replies or {}), parameters, summary=f"the page {path}")


def _taken(path: str, replies: Mapping[int, Reply], **fields: Mapping[str, Any]) -> Operation:
    return Operation(path, "POST", "Pages", {303: _ON} | dict(replies), body=_form(**fields), summary=f"the form of {path}")


def _file(path: str, kind: str, help: str) -> Operation:
    return Operation(path, "GET", "Files", {200: Reply(help, {kind: _BYTES}), 304: _UNCHANGED}, asks_store=False)


_PERIOD = (
    Parameter("period", _TEXT, "24h, 7d, 30d, 12mo or all"),
    Parameter("from", _TEXT, "instead, the first day (UTC), as in 2026-01-31"),
    Parameter("to", _TEXT, "and the last"),
    Parameter("list", _TEXT, "one list by itself: pages, or a dimension"),
)
_PROOF = {"proof": _TEXT}

_UNBUILT = Reply("it has not been built")

PAGES: Sequence[Operation] = (
    _page("/sites", Parameter("find", _TEXT, "only sites with this in their names"), replies={303: _ON, 400: _WRONG, 503: _PAGE}),
    _taken("/sites", {400: _WRONG, 403: _NOT_OURS, 409: _WRONG}, site=_TEXT, **_PROOF),
    _page("/sites/{site}", PAGE, *_PERIOD, replies={303: _ON, 400: _WRONG, 404: _WRONG, 503: _PAGE}),
    _page("/sites/{site}/settings", replies={303: _ON, 404: _WRONG}),
    _taken("/sites/{site}/settings", {400: _WRONG, 403: _NOT_OURS, 404: _WRONG, 409: _WRONG}, do=_TEXT, **_PROOF),
    _page("/access", replies={303: _ON}),
    _taken("/access", {200: _PAGE, 400: _WRONG, 403: _NOT_OURS}, do=_TEXT, name=_TEXT, **_PROOF),
    _page("/login", Parameter("next", _TEXT, "where to go then: a path"), replies={303: _ON}),
    _taken("/login", {401: _WRONG, 403: _NOT_OURS, 429: _WRONG}, password=_TEXT, next=_TEXT),
    _taken("/logout", {403: _NOT_OURS}, **_PROOF),
    _page("/welcome", Parameter("key", _TEXT, "the link's key"), replies={403: _WRONG}),
    _taken("/welcome", {400: _WRONG, 403: _NOT_OURS}, key=_TEXT, password=_TEXT),
    Operation("/share/{secret}", "GET", "Pages", {303: _ON, 404: Reply("the link has ended", _HTML)}),
    Operation("/docs", "GET", "Pages", {200: _PAGE}, asks_store=False),
    *(
        Operation(path, "GET", "Files", {**one.replies, 404: _UNBUILT}, asks_store=False)
        for path in ("/footfall.js", "/footfall-spans.js")
        for one in [_file(path, "text/javascript", "the script")]
    ),
    _file("/favicon.ico", "image/x-icon", "the icon"),
    _file("/static/{name}", "*/*", "the file"),
)

#: All of it.
OPERATIONS: Sequence[Operation] = (*API, *PAGES)
