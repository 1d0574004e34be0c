"""What the tests of the Redis store are made with: a store with a clock to move, and looks into the server behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import redis

from footfall.model import (
    DEFAULT_RETENTION,
    DIMENSIONS,
    OUTCOME,
    WHOLE_SITE,
    Batch,
    Retention,
    SiteBatch,
    SiteReceipt,
    Span,
    Tier,
)
from footfall.stores.base import Limits
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis.scripts import ScriptClock
from footfall.stores.redis.server.url import read_url
from tests.support.servers import RedisServer

SITE = "example.com"

#: 2026-03-18 14:25:30 UTC.
START = 1773843930

EVENT = "a-view-sent-twice"

ORDINARY_LIMITS = Limits()


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
    limits: Limits = ORDINARY_LIMITS,
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
        limits=limits,
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
        return await self.commit(part, site)

    async def commit(self, part: SiteBatch, site: str = SITE) -> SiteReceipt:
        """Commit one site's part of a batch under the next sequence."""
        self.batch = Batch(self.batch.writer, self.batch.sequence + 1, {site: part}, self.batch.window)
        return await self.again(site)

    async def again(self, site: str = SITE) -> SiteReceipt:
        """Send the last batch once more."""
        return (await self.store.commit(self.batch))[site]


def visited(pages: Iterable[str], visitors: Iterable[int], at: int | None = None, value: str = "x") -> SiteBatch:
    """One view of each of some pages by each of some visitors, with a trait of every dimension."""
    who = frozenset(visitors)
    views = {page: len(who) for page in pages}
    return SiteBatch(
        views if at is None else {},
        {} if at is None else {(page, at): n for page, n in views.items()},
        traits={(page, at, (value,) * len(DIMENSIONS)): n for page, n in views.items()},
        visitors={(page, at): who for page in views},
    )


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
    for tier in (Tier.HOUR, Tier.DAY):
        found += [await store.visitors(SITE, page, tier, START - 5 * tier.width, START + 5 * tier.width) for page in pages]
        found += [await store.breakdown(SITE, page, "referrer", Span(tier, 5), 99) for page in pages]
    for name in ("country", OUTCOME):
        found.append(await store.breakdown(SITE, WHOLE_SITE, name, Span(Tier.TOTAL, 1), 99))
    found.append(await store.present(SITE))
    return [*found, await store.top(SITE, Span(Tier.SECOND, 60), 99), await store.applied(SITE, "w")]


def keys_of(server: RedisServer) -> dict[str, Any]:
    """All keys of a server with their content, sets and hashes in no order; pings left out."""
    with redis.Redis(*server.address, password=server.password, protocol=2) as client:
        names = [name for name in _asked(client, [("KEYS", "*")])[0] if not name.endswith(b":ping")]
        kinds = [kind.decode() for kind in _asked(client, [("TYPE", name) for name in names])]
        held = _asked(
            client,
            [tuple(name if word is None else word for word in _READ[kind]) for kind, name in zip(kinds, names, strict=True)],
        )
        return {name.decode(): (kind, _in_order(kind, of)) for name, kind, of in zip(names, kinds, held, strict=True)}


#: How all of a key is read, by its type; the key is put where None is.
_READ: Mapping[str, tuple[Any, ...]] = {
    "string": ("GET", None),
    "list": ("LRANGE", None, 0, -1),
    "hash": ("HGETALL", None),
    "set": ("SMEMBERS", None),
    "zset": ("ZRANGE", None, 0, -1, "WITHSCORES"),
}


def _reads(kind: str, name: bytes) -> tuple[Any, ...]:
    return tuple(name if word is None else word for word in _READ[kind])


def _in_order(kind: str, held: Any) -> Any:
    return held if kind in ("string", "list") else sorted(held.items() if isinstance(held, dict) else held)


def _asked(client: Any, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The replies to commands, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute()
        return replies


def saved(server: RedisServer) -> list[tuple[Any, ...]]:
    """All that a server has, as commands that bring it back."""
    with redis.Redis(*server.address, password=server.password, protocol=2) as client:
        (names,) = _asked(client, [("KEYS", "*")])
        ttls, dumps = _asked(client, [("PTTL", name) for name in names]), _asked(client, [("DUMP", name) for name in names])
        return [("RESTORE", name, max(ttl, 0), dump) for name, ttl, dump in zip(names, ttls, dumps, strict=True)]


def brought_back(server: RedisServer, commands: Iterable[tuple[Any, ...]]) -> None:
    """Empty a server and give it what it had."""
    with redis.Redis(*server.address, password=server.password, protocol=2) as client:
        _asked(client, [("FLUSHALL",), *commands])


def key_named(server: RedisServer, part: str) -> str:
    """The one key whose name has this part."""
    (key,) = server.ask("KEYS", f"*{part}*")
    return str(key)


def calls_of(server: RedisServer, command: str) -> int:
    """How often a command has been called, by scripts too."""
    stats = server.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(stats["calls"])
