"""Starts Redis servers, pinned to their core, and what counts in them: Footfall, several of it, and the naive counter.

Redis is the `redis-server` on PATH, on a free port and without persistence, or with an append-only file that is synced every
second, in the place's folder. What it worked is asked of itself, by INFO.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from benchmarks import BenchmarkError, naive
from benchmarks.servers import SITE, Books, Launch, Place, Running, StoreWork, serve, uvicorn
from footfall.model import WHOLE_SITE
from footfall.stores import Clock
from footfall.stores.redis import RedisStore
from footfall.stores.redis.scripts import ScriptClock, server_clock
from footfall.stores.redis.server.url import read_url
from tests.support.servers import RedisServer

#: Sites of the server that counts for many. Its load names them by their number.
SITES = 10_000

#: Sites whose counts are asked for at once when all are summed up.
_SUMMED_AT_ONCE = 100

#: Scripts whose time is what they are told.
_TOLD_TIME = "local function clock() return tonumber(ARGV[2]) end"


class PinnedRedis(RedisServer):
    """A Redis on the place's core for stores."""

    def __init__(self, place: Place, *, aof: Literal["no", "everysec"] = "no") -> None:
        super().__init__(aof=aof, options={"dir": tempfile.mkdtemp(prefix="redis-", dir=place.folder)})
        self._core = place.store_core

    def command(self) -> Sequence[str]:
        """The command that starts it, pinned."""
        return ["taskset", "-c", str(self._core), *map(str, super().command())]

    def memory(self) -> int:
        """Bytes it has in use: all that it has asked of its allocator."""
        return int(self.info("memory")["used_memory"])

    def work(self, commands: Sequence[str]) -> StoreWork:
        """The processor time it has had, and how often it was sent one of some commands (what scripts call is left out)."""
        said = self.info("commandstats", "cpu")
        calls = sum(said.get(f"cmdstat_{command}", {"calls": 0})["calls"] for command in commands)
        return StoreWork(calls, said["used_cpu_user"] + said["used_cpu_sys"])

    def store(self, clock: Clock | None = None) -> RedisStore:
        """A store in it: its time is the server's, or what `clock` shows, as long as nobody else counts there."""
        scheme, _, rest = self.url.partition(":")
        told = server_clock() if clock is None else ScriptClock(_TOLD_TIME, lambda: (str(int(clock())),))
        return RedisStore(read_url(scheme, rest), clock=told)


class OnRedis(Running):
    """A Footfall instance that counts in a Redis of ours."""

    def __init__(self, running: Running, redis: PinnedRedis) -> None:
        super().__init__(running.port, running.pid)
        self.redis = redis

    def store_work(self) -> StoreWork:
        """Script calls and processor time of its Redis. The one script call of `books` is among them."""
        return self.redis.work(("evalsha",))


class ForManySites(OnRedis):
    """An instance that counts for SITES sites besides the home site."""

    def books(self) -> Books:
        """What its ledger says of all sites; that the store says the same is proved at the end."""
        sums = self.metrics()
        counted = int(sums.get("footfall_views_counted_total", 0))
        return Books(counted, counted, int(sums.get("footfall_store_commits_total", 0)))

    def prove(self) -> None:
        """Sum up all sites in the store. Raises BenchmarkError where the ledger has another number."""
        stored, counted = asyncio.run(self._stored()), self.books().counted
        if stored != counted:
            raise BenchmarkError(f"the ledger of {SITES:,} sites has {counted:,} views, and the store {stored:,}")

    async def _stored(self) -> int:
        store = self.redis.store()
        total = 0
        try:
            for first in range(0, SITES, _SUMMED_AT_ONCE):
                some = [site_name(first + n) for n in range(_SUMMED_AT_ONCE)]
                for found in await asyncio.gather(*(store.counts(site, [WHOLE_SITE], 60) for site in some)):
                    total += found.pages[WHOLE_SITE].total
        finally:
            await store.close()
        return total


class Naive(OnRedis):
    """The naive counter."""

    def books(self) -> Books:
        """What its Redis says was counted; it keeps no books of its own."""
        counted = int(self.redis.ask("GET", naive.TOTAL) or 0)
        return Books(counted, counted, 0)

    def store_work(self) -> StoreWork:
        """Its commands, and the processor time of its Redis."""
        return self.redis.work(naive.COMMANDS)


def site_name(number: int) -> str:
    """The name of one of many sites; wrk counts from 1."""
    return f"s{number + 1}"


@contextlib.contextmanager
def on_redis(place: Place, aof: Literal["no", "everysec"] = "no", settings: Mapping[str, str] | None = None) -> Iterator[OnRedis]:
    """`footfall serve` with a Redis of its own."""
    with PinnedRedis(place, aof=aof) as redis, serve(place, redis.url, settings=settings) as running:
        yield OnRedis(running, redis)


@contextlib.contextmanager
def _for_many_sites(place: Place) -> Iterator[ForManySites]:
    sites = [SITE, *(site_name(number) for number in range(SITES))]
    with PinnedRedis(place) as redis, serve(place, redis.url, sites=sites) as running:
        many = ForManySites(running, redis)
        yield many
        many.prove()


@contextlib.contextmanager
def _naive(place: Place) -> Iterator[Naive]:
    with (
        PinnedRedis(place) as redis,
        uvicorn("benchmarks.naive:app", {"NAIVE_REDIS": redis.url}, place, "--factory") as running,
    ):
        yield Naive(running, redis)


@contextlib.contextmanager
def instances(place: Place, count: int) -> Iterator[list[OnRedis]]:
    """Several Footfall instances, all on the place's core for servers, that count for one site in one Redis."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(PinnedRedis(place))
        yield [
            OnRedis(stack.enter_context(serve(place, redis.url, instance=f"benchmark-{number + 1}")), redis)
            for number in range(count)
        ]


#: The servers that count in a Redis of their own, by the name that benchmarks know them by.
LAUNCHES: Mapping[str, Launch] = {
    "redis": on_redis,
    "redis, visits": on_redis,
    "redis, AOF": lambda place: on_redis(place, "everysec"),
    "redis, many sites": _for_many_sites,
    "naive": _naive,
}


def pinned(place: Place) -> str:
    """A note that says which Redis runs, and where."""
    with PinnedRedis(place) as redis:
        version = redis.info("server")["redis_version"]
    shared = ", the load generator's" if place.store_core == place.load_core else ""
    return f"Redis is redis-server {version}, pinned to core {place.store_core}{shared}."
