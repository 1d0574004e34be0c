"""A TCP proxy between a test's client and a server, which delays, cuts, refuses or holds back what passes, as the test says.

It runs on an event loop in a thread of its own; the test changes what it does at any time, from any thread, and a change holds
for open connections too. It knows no protocol: to recognise a request it looks for bytes in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.servers.program import ServerError
from tests.support.servers.server import HOST, PORT_CHOICES, free_port

#: While more bytes than this wait in one direction, no more are read.
WAITING_BYTES = 4 * 2**20

#: Seconds that the proxy's thread may take to do what it is told.
CONTROL_SECONDS = 10.0

#: Lets a socket say "reset" instead of "end" when it is closed, as a dying host or a firewall does: SO_LINGER of 0 seconds.
RESET = struct.pack("ii", 1, 0)

T = TypeVar("T")


class _Rules:
    """What the proxy does now, and how often it has done it. Used by its own thread alone."""

    def __init__(self) -> None:
        self.accepted = 0
        self.cuts = 0
        self.pass_on()

    def pass_on(self) -> None:
        self.delay = 0.0
        self.is_holding = False
        self.request_limit: int | None = None
        self.reply_limit: int | None = None
        self.mark = b""
        self.marked = 0
        self.every = 1
        self.reply_cuts = 0


class _Connection:
    """A client's connection and the one to the server behind it."""

    def __init__(self, rules: _Rules, loop: asyncio.AbstractEventLoop) -> None:
        self.rules = rules
        self.loop = loop
        self.client = _End(self)
        self.server = _End(self)
        self._tail = b""
        self._reply_is_unwanted = False

    def pump(self) -> None:
        """Carry on what may go on now, and read on or not, as the rules say now."""
        for source, sink in ((self.client, self.server), (self.server, self.client)):
            source.carry_to(sink)
            source.read_on(not self.rules.is_holding and not sink.is_full and sink.is_connected)

    def cut(self) -> None:
        """Reset the client's side and close the server's, which still gets what was sent to it."""
        _reset(self.client.transport)
        self.close()

    def close(self) -> None:
        """Close both sides behind what was written to them."""
        for end in (self.client, self.server):
            if end.is_connected:
                end.transport.close()

    def judged(self, source: _End, chunk: bytes) -> tuple[bytes, bool]:
        """What of a chunk goes on, and whether the connection is cut behind it."""
        if source is self.client:
            limit = self.rules.request_limit
            self._look_for_mark(chunk)
        elif self._reply_is_unwanted:
            return b"", True
        else:
            limit = self.rules.reply_limit
        left = len(chunk) if limit is None else max(limit - source.carried, 0)
        return chunk[:left], left < len(chunk)

    def _look_for_mark(self, chunk: bytes) -> None:
        """Remember to cut the reply if this request is one that is to lose it."""
        if self.rules.reply_cuts == 0 or self._reply_is_unwanted:
            return
        seen = self._tail + chunk  # a mark may lie across two chunks
        self._tail = seen[max(len(seen) - len(self.rules.mark) + 1, 0) :]
        if self.rules.mark in seen:
            self._tail = b""
            self._reply_is_unwanted = self.rules.marked % self.rules.every == 0
            self.rules.reply_cuts -= self._reply_is_unwanted
            self.rules.marked += 1


class _End(asyncio.Protocol):
    """One end of a connection, the client's or the server's: what it has sent waits here until it may go on to the other."""

    transport: asyncio.Transport

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._sent: deque[tuple[float, bytes]] = deque()  # when each chunk is due; an empty one is the end
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_connected = False
        self.is_full = False
        self.has_ended = False
        self.carried = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.is_connected = True
        transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_connected = False
        if error is not None:
            self._connection.cut()
        else:
            self.eof_received()

    def data_received(self, chunk: bytes) -> None:
        self._sent.append((self._connection.loop.time() + self._connection.rules.delay, chunk))
        self._waiting += len(chunk)
        self._connection.pump()

    def eof_received(self) -> bool:
        self.data_received(b"")
        return True  # the other direction may still have something to say

    def pause_writing(self) -> None:
        self.is_full = True
        self._connection.pump()

    def resume_writing(self) -> None:
        self.is_full = False
        self._connection.pump()

    def read_on(self, may: bool) -> None:
        """Read what this end sends, or let it wait on the wire."""
        if self.is_connected and not self.transport.is_closing():
            if may and self._waiting < WAITING_BYTES:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def carry_to(self, sink: _End) -> None:
        """Hand the other end all that is due."""
        connection = self._connection
        while self._sent and not connection.rules.is_holding:
            due, chunk = self._sent[0]
            if due > connection.loop.time():
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = connection.loop.call_at(due, connection.pump)
                return
            self._sent.popleft()
            self._waiting -= len(chunk)
            self.has_ended = self.has_ended or not chunk
            if not sink.is_connected or sink.transport.is_closing():
                continue  # what comes for an end that is gone has nowhere to go
            if not chunk:
                with contextlib.suppress(OSError):  # it has gone this very moment
                    sink.transport.write_eof()
                if sink.has_ended:
                    connection.close()
                continue
            let_pass, is_cut = connection.judged(self, chunk)
            self.carried += len(chunk)
            sink.transport.write(let_pass)
            if is_cut:
                connection.rules.cuts += 1
                connection.cut()


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()


class TcpProxy:
    """A proxy on a loopback `port` of its own for the server on `upstream_port`, as a context manager.

    Without further ado it passes on everything; `pass_on` brings it back to that. Each call returns when it is in effect.
    """

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.port = 0
        self._rules = _Rules()
        self._open: list[_Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(self._listen())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Cut all connections and end the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONTROL_SECONDS)
        self._loop.close()

    @property
    def accepted(self) -> int:
        """How many connections clients have made so far."""
        return self._rules.accepted

    @property
    def cuts(self) -> int:
        """How many connections were cut so far because a reply was to be lost or a limit was reached."""
        return self._rules.cuts

    @property
    def reply_cuts_left(self) -> int:
        """How many replies are still to be lost."""
        return self._rules.reply_cuts

    def pass_on(self) -> None:
        """Pass on everything from now on, what was held back first, and listen again after `refuse`. The numbers stay."""
        self._tell(self._rules.pass_on)
        self._do(self._listen())

    def delay(self, seconds: float) -> None:
        """Let everything arrive so much later, in each direction: a round trip takes twice that."""

        def rule() -> None:
            self._rules.delay = seconds

        self._tell(rule)

    def lose_replies(self, times: int, mark: bytes = b"", *, every: int = 1) -> None:
        """Cut the connections of the next requests after the server answered and before a byte of the answer comes back.

        Only requests that hold `mark` (say, b"EVALSHA") are meant, and of them the first and each `every`th after it, so that
        one that is sent again comes through. A connection has to carry one request at a time: it is cut with the first bytes
        that the server sends after such a request went to it.
        """

        def rule() -> None:
            self._rules.reply_cuts, self._rules.mark, self._rules.every, self._rules.marked = times, mark, every, 0

        self._tell(rule)

    def cut_after(self, *, request_bytes: int | None = None, reply_bytes: int | None = None) -> None:
        """Cut every connection once so many bytes have gone to the server, or have come back, since it was made."""

        def rule() -> None:
            self._rules.request_limit, self._rules.reply_limit = request_bytes, reply_bytes

        self._tell(rule)

    def cut(self) -> None:
        """Cut all open connections, and go on with new ones."""
        self._tell(self._cut_all)

    def refuse(self) -> None:
        """Cut all open connections and refuse new ones, as a host does on which nothing listens."""
        self._do(self._unlisten())

    def hold(self) -> None:
        """Be a black hole: take connections and bytes and pass on nothing. What was held goes on its way with `pass_on`."""

        def rule() -> None:
            self._rules.is_holding = True

        self._tell(rule)

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CONTROL_SECONDS)

    def _tell(self, change: Callable[[], None]) -> None:
        async def told() -> None:
            change()
            for connection in self._open:
                connection.pump()

        self._do(told())

    async def _listen(self) -> None:
        """Listen: the first time on a free port, later on the same one."""
        if self._listener is not None:
            return
        for port in [self.port] if self.port else [free_port() for _ in range(PORT_CHOICES)]:
            with contextlib.suppress(OSError):
                self._listener = await self._loop.create_server(self._accept, HOST, port)
                self.port = port
                return
        raise ServerError(f"the proxy for port {self.upstream_port} finds no port to listen on")

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._cut_all()

    def _cut_all(self) -> None:
        for task in self._connecting:
            task.cancel()
        for connection in self._open:
            connection.cut()

    async def _end(self) -> None:
        await self._unlisten()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # transports let go of their sockets one turn after they are closed

    def _accept(self) -> _End:
        """A client is there: connect it with the server."""
        self._rules.accepted += 1
        connection = _Connection(self._rules, self._loop)
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return connection.client

    async def _connect(self, connection: _Connection) -> None:
        try:
            await self._loop.create_connection(lambda: connection.server, HOST, self.upstream_port)
        except (OSError, asyncio.CancelledError):
            _reset(connection.client.transport)
            return
        # Those that have ended are forgotten when others come, so that a cut need not be told to anyone.
        self._open = [each for each in self._open if each.client.is_connected or each.server.is_connected]
        self._open.append(connection)
        connection.pump()
