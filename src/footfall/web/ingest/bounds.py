"""What one connection may cost: how much is read ahead, how long a head is, and how long a client may take.

uvicorn reads on after each reply, so a client that sends many requests at once fills its memory. It sets no limit to a head,
and waits forever for one that does not come. Here a connection is parsed in pieces, and nothing more is read until what came
before has nearly been answered. This module knows HTTP messages, and nothing of what they ask for.
"""

from __future__ import annotations

import asyncio
import logging
import math
from http import HTTPStatus
from typing import Any

import httptools
import msgspec
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from footfall.telemetry.repeated import Repeated
from footfall.web.problems import PROBLEM_TYPE, Problem

_log = logging.getLogger(__name__)

#: A head, or the trailers of a chunked body, may have so many bytes and so many lines.
MAX_HEAD_BYTES = 65_536
MAX_HEAD_LINES = 100

#: A head must be complete so many seconds after it began; of a body, something must come within so many seconds.
HEAD_SECONDS = 30.0
BODY_SECONDS = 30.0

#: A client must read something of its reply within so many seconds.
READ_SECONDS = 60.0

#: So many bytes are parsed at once: the shortest request has 20, and each that waits takes some 4 KB.
PIECE_BYTES = 2048

#: Pieces of a body that are parsed without a turn of the event loop between them.
PIECES_AT_ONCE = 32

#: While more requests than this wait for the replies before theirs, no more is read.
MOST_WAITING = 1

#: After a refusal, what still comes is thrown away for so many seconds and bytes, so that the client gets to read the refusal.
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_048_576

_HEAD_TOO_LARGE = f"a head may have {MAX_HEAD_BYTES:,} bytes and {MAX_HEAD_LINES} lines; send fewer or shorter headers"
_NOT_HTTP = "this is not a valid HTTP/1.1 request; send one as RFC 9112 describes it"


class _Flow(FlowControl):
    """Leaves it to the connection when to read on."""

    def __init__(self, transport: asyncio.Transport, connection: BoundedProtocol) -> None:
        super().__init__(transport)
        self._connection: BoundedProtocol | None = connection

    def resume_reading(self) -> None:
        """Called after each reply, and by a handler that waits for more of a body."""
        if self._connection is not None:
            self._connection.read_on()

    def let_go(self) -> None:
        """Forget the connection: they know each other, and would wait together for the garbage collector."""
        self._connection = None

    def resume_now(self) -> None:
        super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection within bounds."""

    flow: _Flow

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        #: What was read and not parsed yet; it is parsed when the loop comes to `_turn`.
        self._rest = b""
        self._turn: asyncio.Handle | None = None
        #: Where in its messages a connection is: between two, in a head, or in a body.
        self._is_between = True
        self._is_in_body = False
        #: Bytes since the message or, in a body, its last content began; and since when (of the loop's clock) that has lasted.
        self._raw = 0
        self._since = math.inf
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        #: The reply that ends it, once it is to be refused; and whether the client has said that nothing more will come.
        self._refusal: bytes | None = None
        self._is_refused = False
        self._has_ended = False
        self._is_too_large = False
        #: The request before the newest that went uvicorn's way.
        self._before: Any = None
        self.complaints = Repeated(_log)

    @property
    def is_busy(self) -> bool:
        """Whether a reply is due."""
        return self.cycle is not None and not self.cycle.response_complete

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        self._since = self.loop.time()
        self._watch_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything: what waits for its turn would never be answered."""
        super().connection_lost(exc)
        self.flow.let_go()
        self.pipeline.clear()
        self._before = None
        self._rest = b""
        for waiting in (self._turn, self._deadline, self._unread):
            if waiting is not None:
                waiting.cancel()
        self._turn = self._deadline = self._unread = None

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends no more. It still gets the replies that are due, but where a body was cut off."""
        if self._is_in_body or not (self.is_busy or self._rest) or self.scheme == "https":
            return None
        self._has_ended = True
        self.flow.read_paused = True
        return True

    def pause_writing(self) -> None:
        """The client does not read its replies as fast as they come."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read some of them."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or some of it."""
        if self._is_refused:
            self._raw += len(data)
            if self._raw > LINGER_BYTES:
                self.transport.abort()
        elif self._rest or len(data) > PIECE_BYTES:
            self._rest += data
            self._parse_some()
        else:
            self._parse(data)

    def read_on(self) -> None:
        """Go on with what was read, and then with reading, as far as what came before allows."""
        if self._is_refused or (self._has_ended and not self._rest):
            return
        if self._rest:
            if self._turn is None:
                self._turn = self.loop.call_soon(self._parse_some)
        elif len(self.pipeline) <= MOST_WAITING:
            self.flow.resume_now()

    def _parse_some(self) -> None:
        """Parse a piece, or more of a body, and leave the rest for another turn."""
        self._turn = None
        for _ in range(PIECES_AT_ONCE):
            if not self._rest or self._must_wait():
                break
            piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
            self._parse(piece)
            if not self._is_in_body:
                break
        if not self._has_ended and self._rest:
            self.flow.pause_reading()
        if not self._must_wait():
            self.read_on()

    def _must_wait(self) -> bool:
        """Whether requests or a body wait to be taken by those who answer."""
        if self._is_refused or self.transport.is_closing():
            return True
        body = getattr(self.cycle, "body", b"") if self._is_in_body and self.is_busy else b""
        return len(self.pipeline) > MOST_WAITING or len(body) > HIGH_WATER_LIMIT

    def _parse(self, data: bytes) -> None:
        try:
            self._feed(data)
        except httptools.HttpParserError:
            if self._is_too_large:
                self._refuse(431, _HEAD_TOO_LARGE)
            else:
                self._refuse(400, _NOT_HTTP)
            return
        if not self._is_between:
            self._note_progress(len(data))

    def _feed(self, data: bytes) -> None:
        """Give it to the parser, which stops after a request for another protocol: what follows is HTTP all the same."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stopped:
                self.complaints.warn("answered in HTTP/1.1 a client that asked for another protocol", who=self._peer)
                data = data[stopped.args[0] :]

    def _note_progress(self, size: int) -> None:
        """Hold a message that is not complete to the bounds."""
        self._raw += size
        if self._is_in_body or self._since == math.inf:
            self._since = self.loop.time()
        most = MAX_HEAD_BYTES + PIECE_BYTES  # the end of what came before may be in the first piece
        if self._raw > most or (self._is_in_body and len(self.headers) > MAX_HEAD_LINES):
            self._refuse(431, _HEAD_TOO_LARGE)
        elif self._deadline is None:
            self._watch_progress()

    def _watch_progress(self) -> None:
        """Close it where a head is not complete in time, or a body stands still."""
        self._deadline = None
        seconds = BODY_SECONDS if self._is_in_body else HEAD_SECONDS
        due, now = self._since + seconds, self.loop.time()
        if due > now or self.flow.read_paused or (self.is_busy and not self._is_in_body):
            if self._since < math.inf:
                self._deadline = self.loop.call_at(due if due > now else now + 1, self._watch_progress)
        else:
            self.complaints.warn("a client did not complete its request in time", who=self._peer)
            self.transport.close()

    # What the parser finds

    def on_message_begin(self) -> None:
        """Begin with nothing; what else uvicorn begins with is made by `go_on`, where it is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._is_between = False
        self._raw = 0
        self._unset_keepalive_if_required()

    def on_headers_complete(self) -> None:
        """Hold the head to its bounds; then its body is waited for, if there is any."""
        headers = self.headers
        if len(headers) > MAX_HEAD_LINES or (self._raw and _size_of(self.url, headers) > MAX_HEAD_BYTES):
            self._is_too_large = True
            raise ValueError(_HEAD_TOO_LARGE)
        self._raw = 0
        self._since = math.inf
        self._is_in_body = True

    def go_on(self) -> None:
        """Go uvicorn's way with a request, from where it would have begun."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope has this very list
        self._before = self.cycle
        self._is_in_body = False  # where its address can't be read, nothing has begun
        super().on_headers_complete()
        self._is_in_body = True
        if not self.parser.should_upgrade():
            self.headers = []  # trailers are nobody's headers

    def on_body(self, body: bytes) -> None:
        """Content, which what reads it has a bound for."""
        self._raw = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._is_between = True
        self._is_in_body = False
        self._since = math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, if there may be one."""
        super().on_response_complete()
        if self.is_busy or self._rest:
            return
        if self._refusal is not None:
            self._send_refusal()
        elif self._has_ended:
            self.transport.close()

    # Refusing

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else "a socket"

    def _refuse(self, status: int, detail: str) -> None:
        """Take no more requests, and say why, after the replies that are due."""
        if self._is_refused:
            return
        self.complaints.warn(f"refused what a client sent: {detail}", who=self._peer)
        self._is_refused, self._rest, self._raw = True, b"", 0
        content = msgspec.json.encode(Problem(HTTPStatus(status).phrase, detail, status))
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())]
        lines += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers if name != b"connection"]
        lines += [b"content-type: %s\r\ncontent-length: %d\r\n" % (PROBLEM_TYPE.encode(), len(content))]
        self._refusal = b"".join([*lines, b"cache-control: no-store\r\nconnection: close\r\n\r\n", content])
        if self._is_in_body and self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()  # the one at fault has not begun, and those before it get their replies
            self.cycle = self._before
            self._is_in_body = False
        if self._is_in_body and not self.is_busy:
            self.transport.close()  # it has had its reply
        elif not self.is_busy:
            self._send_refusal()
        elif not self._is_in_body:
            self.flow.pause_reading()  # until the replies that are due have been sent
        else:
            # The newest request is the one at fault, and waits for a body that is not read any further.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
            else:
                self._send_refusal()

    def _send_refusal(self) -> None:
        """Send it, and read on for a moment: to close a connection that has unread data would take the reply back."""
        if self._refusal is None or self.transport.is_closing():
            return
        self.transport.write(self._refusal)
        self._refusal = None
        self._raw = 0
        if self.transport.can_write_eof() and not self._has_ended:
            self.transport.write_eof()
            self.flow.resume_now()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)
        else:
            self.transport.close()


def _size_of(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """About the bytes of a head as it was sent."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
