"""Errors as pages for browsers: what is `application/problem+json` for programs becomes a page for people.

One place turns every problem into a page, whichever handler it came from, where the request accepts HTML. The interface for
programs, below `/api/`, keeps its problems, also in a browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall.headers import headers_of
from footfall.web.dashboard.pages import Pages
from footfall.web.dashboard.words import sentence
from footfall.web.permissions import Access
from footfall.web.problems import PROBLEM_TYPE, Problem

_FOR_PROGRAMS = "/api/"

#: Headers of a problem that are not its page's.
_REPLACED = (b"content-type", b"content-length", b"cache-control", b"access-control-allow-origin", b"vary")


class _Words(NamedTuple):
    """What a page says of a status: its title, and its sentence where the problem's own is for programs."""

    title: str
    text: str = ""


_WORDS: Mapping[int, _Words] = {
    400: _Words("This request can't be read"),
    401: _Words("This needs a token or a login"),
    403: _Words("This was not accepted"),
    404: _Words("Page not found", "There is no page at this address. Perhaps it has a typo, or the page has moved."),
    405: _Words("This address can't be opened directly", "It only takes what one of this server's forms or scripts sends."),
    429: _Words("Too many requests"),
    500: _Words("Something went wrong", "The error is this server's, and is in its log. Your request was fine."),
    503: _Words("Not available at the moment"),
}


class ProblemPages:
    """The application `app`, whose problems are pages where a browser asks."""

    def __init__(self, app: ASGIApp, pages: Pages, access: Access) -> None:
        self._app = app
        self._pages = pages
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if not _wants_page(scope):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_page(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await self._answer(scope, receive, send, start, body)

        await self._app(scope, receive, send_page)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, start: Message, body: bytes) -> None:
        status = start["status"]
        words = _WORDS.get(status, _Words("This did not work"))
        caller = await self._access.known_caller(headers_of(scope["headers"]))
        page = self._pages.trouble(Request(scope), status, caller, words.title, words.text or _detail(body))
        page.raw_headers += [header for header in start["headers"] if header[0].lower() not in _REPLACED]
        await page(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and b"text/html" in headers_of(scope["headers"]).get(b"accept", b"")
        and not scope["path"].startswith(_FOR_PROGRAMS)
    )


def _is_problem(start: Message) -> bool:
    return headers_of(start["headers"]).get(b"content-type") == PROBLEM_TYPE.encode()


def _detail(body: bytes) -> str:
    try:
        return sentence(msgspec.json.decode(body, type=Problem).detail)
    except msgspec.MsgspecError:  # the reply to HEAD has none
        return ""
