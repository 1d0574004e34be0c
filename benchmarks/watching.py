"""Many watchers of one live stream, in a process of its own: `python -m benchmarks.watching PORT PATH WATCHERS`.

It reads of each event only its second, on bare sockets, so that the one who is slow is the server. It writes a line of JSON once
all have had an event, and one for each line it is sent: what came since then. At the end of its input it goes, and all with it.
"""

from __future__ import annotations

import asyncio
import math
import resource
import sys
import time
from typing import cast

import msgspec
import uvloop

_HOST = "127.0.0.1"

#: Watchers of an address: all of loopback is ours, and a server takes no more than 64 from one.
_OF_AN_ADDRESS = 60

#: Connections that are being opened at the same time: fewer than may wait to be accepted.
_OPENED_AT_ONCE = 50

#: An event for which this much time, in seconds, has not passed yet may still come.
GRACE = 1.2

_MARK = b'data: {"at":'
_DIGITS = 10


class Seen(msgspec.Struct):
    """What came: for each whole second of the time that was looked at, milliseconds from its begin to each event of it.

    A watcher that got none is not in it. `broken` watchers have lost their stream, or never had it.
    """

    watchers: int
    broken: int
    seconds: dict[int, list[float]]


class _All:
    """All watchers, and what they have seen."""

    def __init__(self, watchers: int) -> None:
        self.watchers = watchers
        self.broken = 0
        self.waiting = watchers
        self.have_begun = asyncio.Event()
        self.since = 0
        self.seconds: dict[int, list[float]] = {}

    def first(self) -> None:
        """One more has begun."""
        self.waiting -= 1
        if not self.waiting:
            self.have_begun.set()

    def begin(self) -> None:
        """Look at the seconds that are still to come, and at no other."""
        self.since = math.ceil(time.time())
        self.seconds = {}

    def seen(self) -> Seen:
        """The seconds that are over, those without an event too; then begin anew."""
        until = math.floor(time.time() - GRACE)
        over = {at: self.seconds.get(at, []) for at in range(self.since, until + 1)}
        self.begin()
        return Seen(self.watchers, self.broken, over)


class _Watcher(asyncio.Protocol):
    """One stream. Whatever is in an event but its second is skipped."""

    __slots__ = ("_all", "_has_begun", "_request", "_rest")

    def __init__(self, all: _All, request: bytes) -> None:
        self._all = all
        self._request = request
        self._has_begun = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if self._rest:
            data = self._rest + data
        end = 0
        while (found := data.find(_MARK, end)) >= 0 and found + len(_MARK) + _DIGITS <= len(data):
            end = found + len(_MARK) + _DIGITS
            at = int(data[end - _DIGITS : end])
            self._all.seconds.setdefault(at, []).append((now - at) * 1e3)
            if not self._has_begun:
                self._has_begun = True
                self._all.first()
        # What ends with a line's end has no mark that is cut in two.
        self._rest = b"" if data.endswith(b"\n") else data[max(end, len(data) - len(_MARK) - _DIGITS) :]

    def connection_lost(self, _: Exception | None) -> None:
        self._all.broken += 1
        if not self._has_begun:
            self._all.first()


async def _watch(port: int, path: str, watchers: int) -> None:
    loop = asyncio.get_running_loop()
    them = _All(watchers)
    request = f"GET {path} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
    turns = asyncio.Semaphore(_OPENED_AT_ONCE)

    async def open_one(number: int) -> None:
        address = f"127.0.1.{1 + number // _OF_AN_ADDRESS}"
        async with turns:
            await loop.create_connection(lambda: _Watcher(them, request), _HOST, port, local_addr=(address, 0))

    await asyncio.gather(*map(open_one, range(watchers)))
    await them.have_begun.wait()
    them.begin()
    _say(them.seen())
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while await commands.readline():
        _say(them.seen())


def _say(seen: Seen) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_watch(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
