"""The counter that one writes first: for every view seven increments in Redis and a read of 61 keys, one a second; no batching.

It does for a view what the small Node.js service did that Footfall replaces, one command after the other. Pipelined, it does the
same in two round trips: what can be had without counting views together. NAIVE_REDIS is the URL of its Redis.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from redis.asyncio import BlockingConnectionPool, Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

#: The key of all views that were ever counted.
TOTAL = "views:total"

#: The commands it sends, as INFO calls them.
COMMANDS = ("incrby", "expire", "mget")

#: Seconds that are summed up: one more than a minute has, as in that service.
_READ = 61

_DAY = 86400

#: Tier, width and how long its keys are kept, in seconds. Months, years and the total are kept for ever.
_KEPT = (("second", 1, 600), ("minute", 60, 2 * _DAY), ("hour", 3600, 90 * _DAY), ("day", _DAY, 730 * _DAY))

#: More of them make it no faster; a view waits where all are taken.
_CONNECTIONS = 32


def keys_of(now: int) -> Iterator[tuple[str, int | None]]:
    """The seven keys of a view, each with the seconds that it lives; None: for ever."""
    for tier, width, kept in _KEPT:
        yield f"views:{tier}:{now - now % width}", kept
    moment = time.gmtime(now)
    yield f"views:month:{moment.tm_year}-{moment.tm_mon}", None
    yield f"views:year:{moment.tm_year}", None
    yield TOTAL, None


def read_keys(now: int) -> list[str]:
    """The keys that a window is summed up from."""
    return [f"views:second:{now - n}" for n in range(_READ)]


async def one_by_one(redis: Redis, now: int) -> list[bytes | str | None]:
    """Count a view, and read what was counted in each of the seconds: each command a round trip."""
    for key, kept in keys_of(now):
        if await redis.incr(key) == 1 and kept is not None:
            await redis.expire(key, kept)
    seconds: list[bytes | str | None] = await redis.mget(read_keys(now))
    return seconds


async def pipelined(redis: Redis, now: int) -> list[bytes | str | None]:
    """The same in two round trips."""
    keys = list(keys_of(now))
    async with redis.pipeline(transaction=False) as pipeline:
        for key, _ in keys:
            pipeline.incr(key)
        sums = await pipeline.execute()
        for (key, kept), views in zip(keys, sums, strict=True):
            if views == 1 and kept is not None:
                pipeline.expire(key, kept)
        pipeline.mget(read_keys(now))
        seconds: list[bytes | str | None] = (await pipeline.execute())[-1]
    return seconds


class NaiveCounter:
    """Counts a view whatever is asked for, and answers how many there were in the past minute."""

    def __init__(self, redis: Redis, count: Callable[[Redis, int], Awaitable[list[bytes | str | None]]]) -> None:
        self._redis = redis
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = await self._count(self._redis, int(time.time()))
        views = sum(int(views) for views in seconds if views is not None)
        await Response(f"{views} views in the past minute\n", media_type="text/plain")(scope, receive, send)


def _pong(request: Request) -> Response:
    del request
    return Response(status_code=204)


def app() -> Starlette:
    """The application, made by uvicorn in the process that serves."""
    pool = BlockingConnectionPool.from_url(os.environ["NAIVE_REDIS"], max_connections=_CONNECTIONS, timeout=None)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        await pool.disconnect()

    redis = Redis(connection_pool=pool)
    routes = [
        Route("/count", NaiveCounter(redis, one_by_one)),
        Route("/pipelined", NaiveCounter(redis, pipelined)),
        Route("/ping", _pong),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
