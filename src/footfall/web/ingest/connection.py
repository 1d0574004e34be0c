"""A client's connection: uvicorn's, but that it asks the hot endpoints directly, and tells its client before it is closed.

For each request uvicorn makes a scope, a cycle, an event and a task, and puts the reply together from its headers: a fifth of
all that a view took the event loop. A view needs none of it: it is classified once its headers are read, waits in its batch,
and its reply goes out as ready-made bytes. All other requests go uvicorn's way, and so does each view that has more to it: a
body, another method, an older protocol, an error.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Mapping
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from footfall.headers import headers_of
from footfall.web.ingest.bounds import BoundedProtocol
from footfall.web.ingest.count import HotEndpoint
from footfall.web.ingest.front import Front
from footfall.web.replies import CLOSE, RawHeaders, Reply, Wire

#: A stopping server closes an idle connection only after this long, never just as a request is sent on it: a busy client has sent
#: the next one by then, and the reply to that tells it to send no more.
LINGER_SECONDS = 0.25

#: Headers that say that a request has a body.
_BODY = (b"content-length", b"transfer-encoding")


class _Quiet:
    """Stands for the event of a request that nobody waits for more of."""

    def set(self) -> None:
        pass


class _View:
    """A request that was begun directly: what uvicorn's connection looks at in place of a cycle of its own."""

    __slots__ = ("_connection", "_endpoint", "_headers", "disconnected", "keep_alive", "more_body", "response_complete")

    message_event = _Quiet()
    response_started = False

    def __init__(self, connection: Connection, endpoint: HotEndpoint, headers: RawHeaders, *, keep_alive: bool) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._headers = headers
        self.keep_alive = keep_alive
        self.more_body = False
        self.disconnected = False
        self.response_complete = False

    def answer(self, reply: Reply) -> None:
        """Send the reply, unless the client has gone."""
        self.response_complete = True
        if not self.disconnected:
            self._connection.write_reply(reply, keep_alive=self.keep_alive)

    def refuse(self, error: Exception) -> None:
        """Send the reply that says what failed."""
        self._connection.begin_task(self._refuse(error))

    async def _refuse(self, error: Exception) -> None:
        self.answer(await self._endpoint.refusal(error, self._headers))


class Connection(BoundedProtocol):
    """A connection that tells its client before it is closed.

    uvicorn, when it stops, closes idle connections at once, and a request that was just being sent on one gets no answer
    (measured: 15 of 1,742 requests on 32 busy connections).
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        front = config.loaded_app
        self._direct: Mapping[bytes, HotEndpoint] = front.direct if isinstance(front, Front) else {}
        self._wire = front.wire if isinstance(front, Front) else Wire()
        if isinstance(front, Front):
            self.complaints = front.complaints
        #: Since when (of the loop's clock) it has been idle after a direct reply, and what looks after that.
        self._idle_since = math.inf
        self._watch: asyncio.TimerHandle | None = None

    # Requests

    def on_headers_complete(self) -> None:
        """Ask a hot endpoint directly, or go uvicorn's way."""
        super().on_headers_complete()
        path, _, query = self.url.partition(b"?")
        endpoint = self._direct.get(path)
        if endpoint is None or not self._begin(endpoint, query):
            self.go_on()

    def _begin(self, endpoint: HotEndpoint, query: bytes) -> bool:
        """Ask a hot endpoint directly, where that is all there is to the request."""
        parser = self.parser
        if (
            (self.cycle is not None and not self.cycle.response_complete)  # the replies to those before it go first
            or parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or self.expect_100_continue
            or parser.should_upgrade()
            or b"#" in query
            or self.flow.write_paused
        ):
            return False
        headers = headers_of(self.headers)
        if any(name in headers for name in _BODY):
            return False
        view = _View(self, endpoint, self.headers, keep_alive=parser.should_keep_alive())
        if not endpoint.begin(query, headers, self.client[0] if self.client else "", view):
            return False
        self.cycle = view  # type: ignore[assignment]
        return True

    def write_reply(self, reply: Reply, *, keep_alive: bool) -> None:
        """Send a whole reply, and go on to the next request."""
        defaults = self.server_state.default_headers
        closes = not keep_alive or CLOSE in defaults
        self.transport.write(self._wire.bytes_of(reply, defaults, closes=closes))
        if closes:
            self.transport.close()
        if closes or self.pipeline or self.flow.read_paused:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._watch is None:
            self._watch = self.loop.call_at(self._idle_since + self.timeout_keep_alive, self._close_idle)

    def _unset_keepalive_if_required(self) -> None:
        """It is not idle any more."""
        self._idle_since = math.inf
        if self.timeout_keep_alive_task is not None:
            super()._unset_keepalive_if_required()

    def _close_idle(self) -> None:
        """Close it where it has been idle for long. One timer looks after many requests: one for each costs 4 us."""
        self._watch = None
        end = self._idle_since + self.timeout_keep_alive
        if end <= self.loop.time():
            self.timeout_keep_alive_handler()
        elif end < math.inf:
            self._watch = self.loop.call_at(end, self._close_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was let go."""
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.cycle = None  # type: ignore[assignment]  # they know each other, and would wait together for the garbage collector

    def begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that the server waits for when it stops."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # The end

    def shutdown(self) -> None:
        """Begin to end it: with several workers not before all of them have stopped listening, for a client comes back."""
        self.loop.call_later(LINGER_SECONDS if self.config.workers > 1 else 0, self._say_close)

    def _say_close(self) -> None:
        """Take one more request on an idle connection, if it comes soon; close a busy one after its reply. Both say so."""
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(CLOSE)
        if self.cycle is None or self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)
        else:
            super().shutdown()
