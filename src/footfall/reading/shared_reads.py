"""Reading the store for many at once: identical reads of the same moment share one.

A read may join another only while that one has not been sent yet, so whatever was acknowledged before a read began is in its
answer. Of each kind of read one is under way and one waits at most, however many ask. Long periods, whose reading costs more,
are remembered for a while that grows with what they cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast

import msgspec
from cachetools import TLRUCache

from footfall.model import Breakdown, Counts, Presence, Series, Span, Tier, TopPages
from footfall.stores import Store

T = TypeVar("T")

#: A remembered answer is used for this many times as long as it took to read, and never longer than LONGEST_SECONDS.
REUSE = 20
LONGEST_SECONDS = 60.0
REMEMBERED = 1000


class _Answer(msgspec.Struct, frozen=True):
    value: Any
    took: float


class Reads:
    """The read calls of a store, shared. `monotonic` is a clock in seconds."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}
        self._remembered: TLRUCache[Hashable, _Answer] = TLRUCache(
            REMEMBERED, lambda _key, answer, now: now + min(answer.took * REUSE, LONGEST_SECONDS), timer=monotonic
        )

    async def counts(self, site: str, page: str, window: int) -> Counts:
        """The counts of one page, as `Store.counts` gives them."""
        return await self._share(("counts", site, page, window), lambda: self._store.counts(site, [page], window))

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        """As `Store.series`."""
        return await self._share(
            ("series", site, page, tier, start, end), lambda: self._store.series(site, page, tier, start, end)
        )

    async def newest(self, site: str, page: str, span: Span) -> Series:
        """As `Store.newest`."""
        return await self._share(("newest", site, page, span), lambda: self._store.newest(site, page, span))

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        """As `Store.top`. An answer for more than a window may be up to 60 s old; its `at` says of when it is."""
        key = ("top", site, span, limit, after)
        if span.tier is Tier.SECOND:
            return await self._share(key, lambda: self._store.top(site, span, limit, after))
        return await self._remember(key, lambda: self._store.top(site, span, limit, after))

    async def present(self, site: str) -> Presence:
        """As `Store.present`."""
        return await self._share(("present", site), lambda: self._store.present(site))

    async def visitors(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        """As `Store.visitors`."""
        return await self._share(
            ("visitors", site, page, tier, start, end), lambda: self._store.visitors(site, page, tier, start, end)
        )

    async def breakdown(
        self, site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None = None
    ) -> Breakdown:
        """As `Store.breakdown`. An answer may be up to 60 s old; its `at` says of when it is."""
        key = ("breakdown", site, page, dimension, span, limit, after)
        return await self._remember(key, lambda: self._store.breakdown(site, page, dimension, span, limit, after))

    async def _remember(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Share a read of a long period, and keep its answer for a while."""
        answer = self._remembered.get(key)
        if answer is None:
            started = self._monotonic()
            value = await self._share(key, read)
            answer = self._remembered[key] = _Answer(value, self._monotonic() - started)
        return cast("T", answer.value)

    async def _share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Send the read, or join the one of the same key that waits to be sent."""
        task = self._next.get(key)
        if task is None:
            before = self._running.get(key)
            task = asyncio.ensure_future(self._send(key, before, read))
            task.add_done_callback(_heard)
            (self._next if before else self._running)[key] = task
        return cast("T", await asyncio.shield(task))

    async def _send(self, key: Hashable, before: asyncio.Task[Any] | None, read: Callable[[], Awaitable[T]]) -> T:
        if before is not None:
            await asyncio.wait({before})
            self._running[key] = self._next.pop(key)
        try:
            return await read()
        finally:
            del self._running[key]


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of a read's failure, also where all who shared it have gone: it is nobody's unhandled error."""
    if not task.cancelled():
        task.exception()
