"""Errors as `application/problem+json` (RFC 9457): a title, a detail that says how to fix the request, and the status.

Handlers raise our own errors; this is the one place that knows which status each becomes. A fault of ours is logged and
answered without its particulars.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from footfall.errors import BadInput, Draining, FootfallError, NotAcknowledged, Overloaded, StoreError
from footfall.telemetry.ledger import Ledger
from footfall.web.request_ids import accompanied

_log = logging.getLogger(__name__)

#: After this many seconds a client may try again what the store could not do.
RETRY_AFTER = 1

PROBLEM_TYPE = "application/problem+json"

_HEADERS = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457): the status, its standard phrase, and how to fix the request."""

    title: str
    detail: str
    status: int


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A reply with the problem's status, its standard phrase as title, and `detail`: how to fix the request.

    Scripts of other sites may read it: without that a browser tells them nothing, not even that they may try again.
    """
    body = msgspec.json.encode(Problem(HTTPStatus(status).phrase, detail, status))
    return Response(body, status, _HEADERS | dict(headers or {}), PROBLEM_TYPE)


def _bad_input(_: Request, error: Exception) -> Response:
    return problem(400, str(error))


def _try_again(_: Request, error: Exception) -> Response:
    return problem(503, f"{error}. Try again in a few seconds.", {"Retry-After": str(RETRY_AFTER)})


def _store_away(_: Request, error: Exception) -> Response:
    if not isinstance(error, NotAcknowledged):  # those the counter has logged, once for all views of a batch
        _log.warning("the store could not answer: %s", error)
    return problem(503, "the store does not answer at the moment. Try again in a few seconds.", {"Retry-After": str(RETRY_AFTER)})


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # the table below says so
    detail = {404: "nothing is served at this address; docs/http.md lists what is", 405: "this address does not take this method"}
    return problem(error.status_code, detail.get(error.status_code, error.detail), error.headers)


def _fault(_: Request, _error: Exception) -> Response:
    # Starlette raises the exception on, and uvicorn logs it.
    return problem(500, "an error of this server, which is in its log; the request itself was fine")


async def answer_error(error: Exception, scope: Scope, receive: Receive, send: Send, ledger: Ledger) -> None:
    """Answer for a plain ASGI endpoint that failed before it sent anything, as Starlette does for the others.

    What is a fault of ours is raised on, so that the server logs it.
    """
    send = accompanied(scope, send, ledger)
    for kind in type(error).__mro__:
        if kind in HANDLERS:
            await HANDLERS[kind](Request(scope), error)(scope, receive, send)
            break
    if not isinstance(error, FootfallError):
        raise error


#: What becomes of an exception that a handler raises.
HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    BadInput: _bad_input,
    Overloaded: _try_again,
    Draining: _try_again,
    NotAcknowledged: _store_away,
    StoreError: _store_away,
    HTTPException: _http,
    Exception: _fault,
}


def unauthorized(site: str) -> Response:
    """The reply to a caller who may not read a site."""
    detail = f"the numbers of {site!r} are not public; the owner of the server can name the site in FOOTFALL_PUBLIC_SITES"
    return problem(401, detail, {"WWW-Authenticate": "Bearer"})
