"""What the tests of the Redis store are made with: a store with a clock to move, and looks into the server behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import redis

from footfall.model import DEFAULT_RETENTION, Batch, Retention, SiteBatch, SiteReceipt, Span, Tier
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis_scripts import ScriptClock
from footfall.stores.redis_urls import read_url
from tests.servers import RedisServer

SITE = "example.com"

#: 2026-03-18 14:25:30 UTC.
START = 1773843930

EVENT = "a-view-sent-twice"


class Clock:
    """A clock that stands still until it is moved. Seconds since the epoch."""

    def __init__(self) -> None:
        self.t = START

    @property
    def snippet(self) -> ScriptClock:
        """The clock that scripts are composed with to show this one's time."""
        return ScriptClock("local function clock() return tonumber(ARGV[2]) end", lambda: (str(self.t),))


def store_at(
    url: str,
    clock: Clock | None = None,
    *,
    retention: Retention = DEFAULT_RETENTION,
    event_id_ttl: int = 600,
    window: int = 60,
    durability: str = "primary",
    pieces: Pieces | None = None,
) -> RedisStore:
    """A store at a URL; without a clock, with the server's."""
    scheme, _, rest = url.partition(":")
    return RedisStore(
        read_url(scheme, rest),
        retention,
        event_id_ttl,
        window=window,
        durability=durability,
        clock=clock.snippet if clock else None,
        pieces=pieces or Pieces(),
    )


class Writer:
    """Commits numbered batches of one site."""

    def __init__(self, store: RedisStore, name: str = "w", window: int = 60) -> None:
        self.store = store
        self.batch = Batch(name, 0, {}, window)

    async def count(
        self,
        pages: Mapping[str, int],
        *,
        timed: Mapping[tuple[str, int], int] | None = None,
        events: Iterable[str] = (),
        wanted: Iterable[str] = (),
        site: str = SITE,
    ) -> SiteReceipt:
        """Commit a batch under the next sequence; `events` are ids of views of page "/"."""
        part = SiteBatch(pages, timed or {}, dict.fromkeys(events, ("/", None)), frozenset(wanted))
        self.batch = Batch(self.batch.writer, self.batch.sequence + 1, {site: part}, self.batch.window)
        return await self.again(site)

    async def again(self, site: str = SITE) -> SiteReceipt:
        """Send the last batch once more."""
        return (await self.store.commit(self.batch))[site]


async def views_of(store: RedisStore, page: str, window: int = 60, site: str = SITE) -> int:
    """A page's views in the window."""
    return (await store.counts(site, [page], window)).pages[page].views


async def total_of(store: RedisStore, page: str, site: str = SITE) -> int:
    """A page's views in total."""
    return (await store.counts(site, [page], 60)).pages[page].total


async def numbers_of(store: RedisStore, *pages: str) -> list[object]:
    """All that can be read of some pages of the site, and of the writer "w"."""
    found: list[object] = [await store.counts(SITE, pages, window) for window in (60, 200)]
    for tier in Tier:
        found += [await store.newest(SITE, page, Span(tier, 200)) for page in pages]
        found.append(await store.top(SITE, Span(tier, 100), 99))
    return [*found, await store.top(SITE, Span(Tier.SECOND, 60), 99), await store.applied(SITE, "w")]


def keys_of(server: RedisServer) -> dict[str, Any]:
    """All keys of a server with their content, sets and hashes in no order; pings left out."""
    with redis.Redis(*server.address, password=server.password, protocol=2) as client:
        ask: Callable[..., Any] = client.execute_command
        names = [name.decode() for name in ask("KEYS", "*") if not name.endswith(b":ping")]
        return {name: _content(ask, name) for name in names}


def _content(ask: Callable[..., Any], key: str) -> Any:
    """A key's type and what it holds, in an order of its own."""
    kind = ask("TYPE", key).decode()
    if kind == "string":
        return kind, ask("GET", key)
    if kind == "list":
        return kind, ask("LRANGE", key, 0, -1)
    words = {"hash": ("HGETALL", key), "set": ("SMEMBERS", key), "zset": ("ZRANGE", key, 0, -1, "WITHSCORES")}[kind]
    held = ask(*words)
    return kind, sorted(held.items() if isinstance(held, dict) else held)


def key_named(server: RedisServer, part: str) -> str:
    """The one key whose name has this part."""
    (key,) = server.ask("KEYS", f"*{part}*")
    return str(key)


def calls_of(server: RedisServer, command: str) -> int:
    """How often a command has been called, by scripts too."""
    stats = server.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(stats["calls"])
