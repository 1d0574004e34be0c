"""Sends views as browsers do, over many kept-alive connections at once, and keeps account of what was said of each.

A view goes to `/count` with a browser's user agent, on request with an event id, under which it may be sent again until it is
acknowledged. Fast enough for several thousand views a second on a part of one core. It knows the HTTP interface and no store.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.support.servers.server import HOST

#: What an ordinary browser calls itself; robots are not counted.
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

#: Pauses before a view is sent again, in seconds: doubled each time.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5

#: A report shows so many different failures.
SHOWN_FAILURES = 8

_HEADER = re.compile(rb"\r\n(x-footfall|x-footfall-instance|content-length|connection): *([^\r]*)", re.IGNORECASE)


@dataclass
class Report:
    """What became of the views. Each view is in one of `acknowledged`, `duplicate`, `spooled`, `dropped` and `failed`.

    `sent` is the number of views of which at least one request was written; `requests` that of requests, repeated ones
    included; `resent` that of those repeated because the connection turned out to be closed. A view that failed may have been
    counted. `instances` says how many replies each instance gave, `failures` how often what went wrong, whether or not the
    view was acknowledged later; `seconds` how long all of it took.
    """

    sent: int = 0
    requests: int = 0
    resent: int = 0
    acknowledged: int = 0
    duplicate: int = 0
    spooled: int = 0
    failed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    instances: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def stored(self) -> int:
        """The views that the server has taken for good: each is counted once, at the latest when the spool has been replayed.

        A view that is a duplicate was counted before, and its reply was lost.
        """
        return self.acknowledged + self.duplicate + self.spooled

    def __str__(self) -> str:
        rate = self.requests / self.seconds if self.seconds else 0
        numbers = (
            f"{self.sent} sent in {self.requests} requests, {self.acknowledged} acknowledged, {self.duplicate} duplicate, "
            f"{self.spooled} spooled, {self.dropped.total()} dropped, {self.failed} failed in {self.seconds:.1f} s ({rate:.0f}/s)"
        )
        failures = [f"{times} times {what}" for what, times in self.failures.most_common(SHOWN_FAILURES)]
        return "; ".join([numbers, *(f"{reason}: {times}" for reason, times in self.dropped.items()), *failures])


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    outcome: str
    instance: str


class _UnansweredError(Exception):
    """A request was not answered, or the answer can't be read.

    `is_stale`: the connection had served before, and ended without a byte of an answer, as one does that was just being closed.
    """

    def __init__(self, what: str, is_stale: bool = False) -> None:
        super().__init__(what)
        self.is_stale = is_stale


class _Connection(asyncio.Protocol):
    """One kept-alive connection. It asks one thing at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[_Reply] | None = None
        self._has_served = False

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection broken: {type(error).__name__}" if error else "connection closed without an answer")

    def data_received(self, chunk: bytes) -> None:
        self._received += chunk
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None or self._answer.done():
            return
        if not self._received.startswith(b"HTTP/1.1 "):
            self._fail(f"an answer that can't be read: {self._received[:20]!r}")
            self.close()
            return
        headers = {name.lower(): value for name, value in _HEADER.findall(self._received, 0, end + 2)}
        if len(self._received) < end + 4 + int(headers.get(b"content-length", 0)):
            return
        status = int(self._received[9:12])
        self._received = b""
        self._has_served = True
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        texts = [headers.get(name, b"").decode("latin-1") for name in (b"x-footfall", b"x-footfall-instance")]
        self._answer.set_result(_Reply(status, *texts))

    async def ask(self, request: bytes, seconds: float) -> _Reply:
        """Send a request and return its reply. Raises _UnansweredError, after which the connection is closed."""
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        try:
            async with asyncio.timeout(seconds):
                return await self._answer
        except TimeoutError:
            raise _UnansweredError(f"no answer within {seconds:g} s") from None
        finally:
            if not self._answer.done() or self._answer.cancelled():
                self.close()

    def close(self) -> None:
        """Close it; an open request fails."""
        if self._transport is not None:
            self._transport.close()

    def _fail(self, what: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_UnansweredError(what, self._has_served and not self._received))


class _Sender:
    """Takes one view after the other and sees to it, on one connection at a time."""

    def __init__(self, ports: Iterator[int], report: Report, resend: bool, retry_seconds: float, reply_seconds: float) -> None:
        self._ports = ports
        self._report = report
        self._resend = resend
        self._retry_seconds = retry_seconds
        self._reply_seconds = reply_seconds
        self._connection = _Connection()

    async def send(self, request: bytes) -> None:
        """Send a view, again until it is acknowledged or the time for that is over, and note what became of it."""
        give_up = time.monotonic() + self._retry_seconds
        pause = FIRST_PAUSE
        is_first = True
        while True:
            try:
                connection = await self._connected()
                self._report.requests += 1
                self._report.sent += is_first
                is_first = False
                reply = await connection.ask(request, self._reply_seconds)
                self._note(reply)
            except (_UnansweredError, OSError) as error:
                if self._resend and isinstance(error, _UnansweredError) and error.is_stale:
                    self._report.resent += 1
                    continue
                self._report.failures[str(error) or type(error).__name__] += 1
                if time.monotonic() + pause > give_up:
                    self._report.failed += 1
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    async def _connected(self) -> _Connection:
        if not self._connection.is_open:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(self._reply_seconds):
                _, self._connection = await loop.create_connection(_Connection, HOST, next(self._ports))
        return self._connection

    def _note(self, reply: _Reply) -> None:
        """Enter a reply into the report; _UnansweredError where it does not say what became of the view."""
        report = self._report
        if reply.instance:
            report.instances[reply.instance] += 1
        if reply.outcome == "counted":
            report.acknowledged += 1
        elif reply.outcome == "duplicate":
            report.duplicate += 1
        elif reply.outcome == "spooled":
            report.spooled += 1
        elif reply.outcome.startswith("dropped"):
            report.dropped[reply.outcome.removeprefix("dropped; reason=")] += 1
        else:
            raise _UnansweredError(f"answered with {reply.status}")

    def close(self) -> None:
        self._connection.close()


async def send_views(
    ports: int | Sequence[int],
    *,
    views: int,
    site: str = "example.com",
    pages: Sequence[str] = ("/",),
    connections: int = 32,
    event_ids: bool = False,
    resend: bool = False,
    retry_seconds: float = 0.0,
    reply_seconds: float = 10.0,
    per_second: float | None = None,
    most_seconds: float = 300.0,
    stop: asyncio.Event | None = None,
) -> Report:
    """Send so many views, of the pages in turn, to servers on loopback ports, and report what became of them.

    Connections are dealt out among the ports; one that breaks is made anew to the next port. `retry_seconds` is how long a view
    may be sent again with the same event id, after its first try; without ids (ValueError) it could be counted twice.
    With `resend` a request is repeated at once, with or without an id, when its connection had served before and ends without
    a byte of an answer. So do browsers; nginx closes connections in this way when it reloads, and never when it has passed
    the request on. A reply may take `reply_seconds`. Not more than `per_second` views are begun in a second, and none after
    `stop` is set or `most_seconds` have passed.
    """
    if retry_seconds and not event_ids:
        raise ValueError("retry_seconds: only views with event ids may be sent again")
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    timer = loop.call_later(most_seconds, stop.set)
    report = Report()
    requests = enumerate(itertools.islice(_requests(site, pages, event_ids), views))
    port_turns = itertools.cycle([ports] if isinstance(ports, int) else ports)
    started = time.monotonic()

    async def keep_sending() -> None:
        sender = _Sender(port_turns, report, resend, retry_seconds, reply_seconds)
        try:
            while not stop.is_set() and (numbered := next(requests, None)) is not None:
                number, request = numbered
                if per_second is not None and (early := started + number / per_second - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                await sender.send(request)
        finally:
            sender.close()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(connections, views)):
                group.create_task(keep_sending())
    finally:
        timer.cancel()
    report.seconds = time.monotonic() - started
    return report


def _requests(site: str, pages: Sequence[str], event_ids: bool) -> Iterator[bytes]:
    """Requests without end. Event ids are a number behind what is drawn once, so that no two runs share one."""
    run = secrets.token_hex(8)
    tail = f" HTTP/1.1\r\nHost: {site}\r\nUser-Agent: {BROWSER}\r\nAccept: */*\r\n\r\n".encode()
    starts = [f"GET /count?s={quote(site)}&p={quote(page, safe='/')}".encode() for page in pages]
    for number, start in enumerate(itertools.cycle(starts)):
        id = f"&e={run}{number:010}".encode() if event_ids else b""
        yield start + id + tail
