"""The one table of backends, and what the contract tests are made with: a clock that can be moved, a store, a writer.

A new backend is one row of `BACKENDS`. No test names one: a test that asks for `store` runs for every row, and one that asks
for `another` (a second store at the same place) runs for every row whose numbers outlast the store that wrote them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pytest

from footfall.model import (
    DAY,
    DEFAULT_RETENTION,
    HOUR,
    Batch,
    Breakdown,
    Count,
    Retention,
    SiteBatch,
    SiteReceipt,
    Span,
    Tier,
    TopPages,
)
from footfall.stores import Store, open_store
from footfall.stores.base import Limits
from tests.contract.redis_places import cluster, open_in_tiny_pieces, open_redis, single, with_sentinels
from tests.support.servers import Engine

SITE = "example.com"
OTHER_SITE = "example.org"

#: Retentions that a test passes in a few steps.
SHORT: Retention = {Tier.SECOND: 600, Tier.MINUTE: 1800, Tier.HOUR: 3 * HOUR, Tier.DAY: 5 * DAY}


def utc(text: str) -> int:
    """The second that a date and time (ISO 8601, UTC) names."""
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


START = utc("2026-03-18 14:25:30")

LIMITS = Limits()


class Clock:
    """A clock that stands still until it is moved. Seconds since the epoch."""

    def __init__(self, t: float = START) -> None:
        self.t = t

    def __call__(self) -> float:
        return self.t

    @property
    def second(self) -> int:
        """The whole second it shows."""
        return int(self.t)

    def advance(self, seconds: float) -> None:
        """Move it by so many seconds; backward where they are negative."""
        self.t += seconds

    def set(self, t: float) -> None:
        """Move it to `t`."""
        self.t = t


class Open(Protocol):
    """Opens a store: what `open_store` does, as far as tests ask for it."""

    def __call__(
        self, url: str, clock: Callable[[], float], retention: Retention, event_id_ttl: int, *, limits: Limits
    ) -> Store: ...


@dataclass(frozen=True)
class Backend:
    """A row of the table.

    `place` gives the URL of a place with nothing in it, and clears it away afterwards. `open` opens the store there.
    `lasts` says that what one store wrote there is what the next one reads. `is_specification` marks the store that the
    others are compared with. `is_another_server` marks one that is reached in the same way as another row's, by the same
    scripts: the ordinary run holds it to the modules in `COMMITS`, `make soak` to all.
    """

    name: str
    place: Callable[[], AbstractAsyncContextManager[str]]
    lasts: bool = True
    is_another_server: bool = False
    is_specification: bool = False
    open: Open = open_store


@contextlib.asynccontextmanager
async def _nowhere() -> AsyncIterator[str]:
    yield "memory://"


@contextlib.asynccontextmanager
async def _file() -> AsyncIterator[str]:
    # In memory where the system has a folder there: what a disk would keep is tried elsewhere, and waiting for it takes a third.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="footfall-", dir=memory) as folder:
        yield f"sqlite:///{folder}/footfall.db"


BACKENDS = (
    Backend("memory", _nowhere, lasts=False, is_specification=True),
    Backend("sqlite", _file),
    Backend("redis", single(Engine.REDIS), open=open_redis),
    Backend("redis-tiny-pieces", single(Engine.REDIS), open=open_in_tiny_pieces),
    Backend("redis-6.2", single(Engine.OLDEST_REDIS), is_another_server=True, open=open_redis),
    Backend("valkey", single(Engine.VALKEY), is_another_server=True, open=open_redis),
    Backend("redis-sentinel", with_sentinels, is_another_server=True, open=open_redis),
    Backend("redis-cluster", cluster, is_another_server=True, open=open_redis),
)


#: The modules that every row runs always: all scripts that write, and each kind of read.
COMMITS = ("test_store", "test_details", "test_against_specification")


class Place:
    """One backend's place, and the stores that were opened at it."""

    def __init__(self, backend: Backend, url: str, clock: Callable[[], float]) -> None:
        self.url = url
        self._backend = backend
        self._clock = clock
        self._stores: list[Store] = []

    def open(self, retention: Retention = DEFAULT_RETENTION, event_id_ttl: int = 600, limits: Limits = LIMITS) -> Store:
        """Open one more store here."""
        self._stores.append(self._backend.open(self.url, self._clock, retention, event_id_ttl, limits=limits))
        return self._stores[-1]

    async def close(self) -> None:
        """Close all that were opened."""
        for store in self._stores:
            await store.close()


@contextlib.asynccontextmanager
async def placed(backend: Backend, clock: Callable[[], float]) -> AsyncIterator[Place]:
    """A new place of a backend; its stores are closed and its numbers gone afterwards."""
    async with backend.place() as url:
        place = Place(backend, url, clock)
        try:
            yield place
        finally:
            await place.close()


@dataclass
class Writer:
    """Commits numbered batches to a store, under one name."""

    store: Store
    name: str = "w"
    lasting: bool = False
    window: int = 60
    last: Batch = field(default_factory=lambda: Batch("", 0, {}))

    async def count(
        self,
        pages: Mapping[str, int] | None = None,
        *,
        timed: Mapping[tuple[str, int], int] | None = None,
        events: Mapping[str, tuple[str, int | None]] | None = None,
        wanted: Iterable[str] = (),
        site: str = SITE,
    ) -> SiteReceipt:
        """Commit one site's batch under the next sequence."""
        return await self.commit({site: SiteBatch(pages or {}, timed or {}, events or {}, frozenset(wanted))}, site)

    async def commit(self, sites: Mapping[str, SiteBatch], site: str = SITE) -> SiteReceipt:
        """Commit a batch of several sites under the next sequence; what the receipt says of `site`."""
        self.last = Batch(self.name, self.last.sequence + 1, sites, self.window, self.lasting)
        return (await self.store.commit(self.last))[site]

    async def repeat(self, site: str = SITE) -> SiteReceipt:
        """Send the last batch again."""
        return (await self.store.commit(self.last))[site]


async def count_of(store: Store, page: str, *, site: str = SITE, window: int = 60) -> Count:
    """The counts of one page."""
    return (await store.counts(site, [page], window)).pages[page]


async def views_of(store: Store, page: str, *, site: str = SITE, window: int = 60) -> int:
    """The views of one page in the window."""
    return (await count_of(store, page, site=site, window=window)).views


async def bucket_of(store: Store, page: str, tier: Tier, t: int, *, site: str = SITE) -> int:
    """The views of one page in the bucket of `tier` that second `t` lies in."""
    ((start, views),) = (await store.series(site, page, tier, t, t + 1)).points
    assert start == tier.start(t)
    return views


async def top_of(site: str, span: Span, limit: int, after: tuple[int, str] | None, store: Store) -> TopPages:
    """The top pages of a site, as a question that a store can be put to."""
    return await store.top(site, span, limit, after)


async def breakdown_of(
    site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None, store: Store
) -> Breakdown:
    """The same for a dimension's values."""
    return await store.breakdown(site, page, dimension, span, limit, after)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs a backend for every row that can have what it asks for."""
    if "backend" in metafunc.fixturenames:
        rows = [row for row in BACKENDS if row.lasts or "another" not in metafunc.fixturenames]
        is_core = metafunc.module.__name__.rpartition(".")[2] in COMMITS
        marks = [[pytest.mark.soak] if row.is_another_server and not is_core else [] for row in rows]
        params = [pytest.param(row, id=row.name, marks=mark) for row, mark in zip(rows, marks, strict=True)]
        metafunc.parametrize("backend", params)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def place(backend: Backend, clock: Clock) -> AsyncIterator[Place]:
    async with placed(backend, clock) as place:
        yield place


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture
def another(place: Place) -> Callable[[], Store]:
    """Opens one more store at the place that `store` is at."""
    return place.open


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)
