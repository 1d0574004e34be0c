"""`footfall.Client`: hands the views of a program in to a Footfall server, in batches, without ever holding the program up.

`count` puts a view into a bounded queue and returns. A task sends what has gathered; a batch that could not be sent is sent
again with the same event ids, so that no view counts twice, and given up when an id may have been forgotten. Leaving the client
drains it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from footfall.errors import BadInput
from footfall.rules import site_name

_log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")

#: Views that wait to be sent; beyond it the newest are dropped, and counted as such.
MAX_WAITING = 10_000

#: Views of one request, and how long, in seconds, the first of them waits for more.
MAX_BATCH = 1000
GATHER_SECONDS = 0.2

#: A view is given up so long after it was counted first: a server may forget an event id after 600 seconds, and clocks differ.
GIVE_UP_SECONDS = 540.0

#: A field is cut behind so many characters, where a server would not look at more of it; a batch takes at most so many bytes, far
#: fewer than a server takes. So no visitor's long header keeps others' views from being counted.
MAX_FIELD_LENGTH = 2048
MAX_PAGE_LENGTH = 8192
MAX_BATCH_BYTES = 4 * 1024 * 1024

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

#: Random bytes of an event id.
ID_BYTES = 18

#: A view that was counted more than so many seconds before it is sent brings its own time.
FRESH_SECONDS = 2


class Stats(msgspec.Struct):
    """What became of the views so far: `counted` by the server, `duplicate`, `dropped` there (robots, …) or `bad`; `waiting` now;
    `overflowed` the queue; `given_up` after too long a time or because the server refuses them.
    """

    counted: int = 0
    duplicate: int = 0
    dropped: int = 0
    bad: int = 0
    waiting: int = 0
    overflowed: int = 0
    given_up: int = 0


class _Waiting(msgspec.Struct):
    item: dict[str, Any]
    size: int
    since: float
    at: int


class _Told(msgspec.Struct):
    """What a server says became of a batch."""

    received: int
    counted: int
    duplicate: int
    dropped: dict[str, int]
    bad: list[dict[str, Any]]
    spooled: int = 0


class Client:
    """Counts views of `site` at the server `url`, by a `token` with the scope `write:SITE`. Use it as a context manager.

    ``async with Client("https://footfall.example.com", token, "example.com") as client: client.count("/page")``. At its end it
    waits at most `drain_seconds` for what is left. `transport` is httpx's, for tests and proxies. Raises BadInput for what can't
    be a URL, a token or a site.
    """

    def __init__(
        self,
        url: str,
        token: str,
        site: str,
        *,
        drain_seconds: float = 5.0,
        timeout: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        token = token.strip()
        if not _TOKEN.fullmatch(token):  # httpx would show it in an error, and we in a log
            raise BadInput("token", "a token as `footfall token create` prints it: letters, digits and . _ - alone")
        try:
            self._site = site_name(site)
        except ValueError as error:
            raise BadInput("site", str(error)) from None
        self.stats = Stats()
        self._address = f"{_server(url)}/api/v1/sites/{self._site}/views"
        self._token = token
        self._timeout = timeout
        self._transport = transport
        self._http = self._make_http()
        self._drain_seconds = drain_seconds
        self._monotonic = monotonic
        self._wall = wall
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._is_closing = False
        self._sending: asyncio.Task[None] | None = None
        self._has_warned = False

    def _make_http(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return httpx.AsyncClient(headers=headers, timeout=self._timeout, transport=self._transport)

    async def __aenter__(self) -> Self:
        if self._is_closing:  # it has been used before, perhaps in another loop
            self._http = self._make_http()
            self._arrived = asyncio.Event()
            self._is_closing = False
        self._sending = asyncio.get_running_loop().create_task(self._send_all(), name="footfall-client")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def count(
        self,
        page: str,
        *,
        referrer: str | None = None,
        user_agent: str = "",
        ip: str = "",
        language: str = "",
        campaign: str = "",
        event_id: str | None = None,
    ) -> bool:
        """Count a view of a page, soon. Never waits and never raises; False where the queue is full or the client is closed.

        `ip` and `user_agent` let the server tell visitors and robots apart; it keeps neither. An `event_id` of your own
        (16 to 64 of A-Z a-z 0-9 _ -) makes the view count once however often you count it.
        """
        if self._is_closing or len(self._queue) >= MAX_WAITING:
            self.stats.overflowed += 1
            return False
        fields = {
            "page": _text(page, MAX_PAGE_LENGTH),
            "referrer": _text(referrer),
            "user_agent": _text(user_agent),
            "ip": _text(ip),
            "language": _text(language),
            "campaign": _text(campaign),
            "event_id": _text(event_id or secrets.token_urlsafe(ID_BYTES)),
        }
        item = {name: value for name, value in fields.items() if value}
        self._queue.append(_Waiting(item, len(msgspec.json.encode(item)), self._monotonic(), int(self._wall())))
        self.stats.waiting += 1
        self._arrived.set()
        return True

    async def close(self) -> None:
        """Send what is left, for at most `drain_seconds`, and let go. May be called twice."""
        self._is_closing = True
        self._arrived.set()
        if self._sending is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(self._drain_seconds):
                    await self._sending
            self._sending = None
            if self.stats.waiting:
                _log.warning("%d views could not be sent before the end", self.stats.waiting)
                self.stats.given_up += self.stats.waiting
                self.stats.waiting = 0
        await self._http.aclose()

    async def _send_all(self) -> None:
        """Send batch after batch, until the client is closed and nothing is left."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if not self._is_closing and len(self._queue) < MAX_BATCH:
                await asyncio.sleep(GATHER_SECONDS)
            while self._queue:
                batch = self._next_batch()
                try:
                    await self._send(batch)
                except Exception as error:  # what comes after it must still be sent
                    _log.exception("a batch of views could not be sent")
                    self._give_up(len(batch), type(error).__name__)
                self.stats.waiting -= len(batch)
            if self._is_closing:
                return

    def _next_batch(self) -> list[_Waiting]:
        """The views that are sent next: no more, and no longer together, than a batch may be."""
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH and (not batch or size + self._queue[0].size <= MAX_BATCH_BYTES):
            size += self._queue[0].size
            batch.append(self._queue.popleft())
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        """Send a batch until the server has taken it, or until it must be given up."""
        pause = FIRST_PAUSE
        while batch:
            now = self._monotonic()
            fresh = [each for each in batch if now < each.since + GIVE_UP_SECONDS]
            self._give_up(len(batch) - len(fresh), "they waited too long")
            batch = fresh
            if not batch:
                return
            try:
                reply = await self._http.post(
                    self._address, content=msgspec.json.encode([self._dated(each, now) for each in batch])
                )
            except httpx.HTTPError as error:
                self._warn(f"{type(error).__name__}: {error}")
            else:
                is_taken = reply.status_code in (200, 202)
                if is_taken and self._note(reply):
                    return
                if not is_taken and reply.status_code < 500 and reply.status_code not in (408, 425, 429):
                    self._give_up(len(batch), self._refusal(reply))
                    return
                self._warn(f"status {reply.status_code}" + (", but not a Footfall server's reply" if is_taken else ""))
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _refusal(self, reply: httpx.Response) -> str:
        """Why a server takes no view of this client, and what to do."""
        status = reply.status_code
        is_ours = reply.headers.get("content-type", "").startswith("application/problem+json")
        if status == 401 and is_ours:
            return "the token is not valid; `footfall token create` makes one"
        if status == 403 and is_ours:
            return f"the token is not for this site; it needs the scope write:{self._site}"
        if status == 404 and is_ours:
            return f"the server has no site {self._site}; add it there, or correct the name"
        if 300 <= status <= 399:
            return f"the server is at another address (status {status}); correct the URL"
        return f"status {status}" + ("" if is_ours else ", and not as a Footfall server answers; check the URL")

    def _dated(self, each: _Waiting, now: float) -> dict[str, Any]:
        """A view as it is sent: with its own time where it has waited."""
        return each.item | {"at": each.at} if now > each.since + FRESH_SECONDS else each.item

    def _note(self, reply: httpx.Response) -> bool:
        """Note what became of a batch; False where the reply does not say so."""
        try:
            told = msgspec.json.decode(reply.content, type=_Told)
        except msgspec.MsgspecError:
            return False
        counted, dropped = told.counted + told.spooled, sum(told.dropped.values())
        self.stats.counted += counted
        self.stats.duplicate += told.duplicate
        self.stats.dropped += dropped
        self.stats.bad += told.received - counted - told.duplicate - dropped
        for bad in told.bad:
            _log.warning("a view can't be counted: %s: %s", bad.get("field"), bad.get("hint"))
        self._has_warned = False
        return True

    def _give_up(self, views: int, why: str) -> None:
        if views:
            self.stats.given_up += views
            _log.warning("%d views were given up: %s", views, why)

    def _warn(self, why: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("views wait for the Footfall server (%s)", why)


def _server(url: str) -> str:
    """A server's address without a slash at its end. Raises BadInput."""
    url = url.strip()
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadInput("url", "write the server's address with its scheme, as in https://footfall.example.com")
    if parsed.userinfo or parsed.query or parsed.fragment:  # a password there would take the place of the token
        raise BadInput("url", "write the server's address alone, without a user, a password or a query")
    return url.rstrip("/")


def _text(value: object, most: int = MAX_FIELD_LENGTH) -> str:
    """A field as it can be sent, whatever a program has put there."""
    return "" if value is None else str(value)[:most].encode("utf-8", "replace").decode()
