"""Places in Redis and Valkey for the contract tests: servers of each kind, started when they are first needed.

The servers of one kind serve all tests of a process, one after the other, and are emptied between them. They end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from footfall.model import Retention
from footfall.stores.base import Limits
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis.scripts import ScriptClock
from footfall.stores.redis.server.url import read_url
from tests.support.servers import Engine, RedisServer
from tests.support.servers.cluster import RedisCluster
from tests.support.servers.sentinel import RedisWithSentinels

ORDINARY = Pieces()
ORDINARY_LIMITS = Limits()

#: So little at once that every step that can be cut into pieces is, also with a few pages and views.
TINY = Pieces(part=2, moved=2, folded=1, sketches=1)

#: A URL, and the servers that are to be emptied.
Running = tuple[str, Sequence[RedisServer]]

MOVED_CLOCK = "local function clock() return tonumber(ARGV[2]) end"


def moved(clock: Callable[[], float]) -> ScriptClock:
    """A clock for scripts that shows what `clock` shows."""
    return ScriptClock(MOVED_CLOCK, lambda: (str(int(clock())),))


def open_redis(
    url: str,
    clock: Callable[[], float],
    retention: Retention,
    event_id_ttl: int,
    *,
    limits: Limits = ORDINARY_LIMITS,
    pieces: Pieces = ORDINARY,
) -> RedisStore:
    """Open a store whose scripts are composed with a clock that can be moved."""
    scheme, _, rest = url.partition(":")
    return RedisStore(read_url(scheme, rest), retention, event_id_ttl, limits=limits, clock=moved(clock), pieces=pieces)


open_in_tiny_pieces = functools.partial(open_redis, pieces=TINY)


@functools.cache
def _single(engine: Engine) -> tuple[RedisServer, Running]:
    server = RedisServer(engine.path)
    server.start()
    return server, (server.url, [server])


@functools.cache
def _with_sentinels() -> tuple[RedisWithSentinels, Running]:
    servers = RedisWithSentinels().__enter__()
    return servers, (servers.url, [servers.primary])


@functools.cache
def _cluster() -> tuple[RedisCluster, Running]:
    cluster = RedisCluster().__enter__()
    return cluster, (cluster.url, cluster.primaries)


def place_at(running: Callable[[], tuple[object, Running]]) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Gives an empty place at servers that run, or that it starts."""

    @contextlib.asynccontextmanager
    async def place() -> AsyncIterator[str]:
        _, (url, servers) = await asyncio.to_thread(running)
        yield url
        for server in servers:
            await asyncio.to_thread(server.ask, "FLUSHALL")

    return place


def single(engine: Engine) -> Callable[[], AbstractAsyncContextManager[str]]:
    """One server of an engine."""
    return place_at(lambda: _single(engine))


with_sentinels = place_at(_with_sentinels)
cluster = place_at(_cluster)
