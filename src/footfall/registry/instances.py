"""Which instances there are, and which part of the past minute each has counted: so that load balancing can be seen.

Each instance writes its own row, a small document that ends soon after the instance does, and reads the others'. The rows are for
showing: the numbers that count are the store's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from footfall.errors import StoreError
from footfall.stores import Store

_log = logging.getLogger(__name__)

KIND = "instance"

#: How often an instance reads the others' rows, and writes its own where it has changed, in seconds.
SHOW_SECONDS = 2.0

#: A row that has not changed is written again after so many seconds; it is gone so long after it was written last.
REPEAT_SECONDS = 10
ROW_SECONDS = 25

WINDOW_SECONDS = 60

#: Sites in a row, those with most views.
MAX_SITES = 50


class _Row(msgspec.Struct, frozen=True):
    name: str
    sites: dict[str, int]


class Shares:
    """Counts what this instance counts by site and second. `clock` is in seconds since the epoch."""

    def __init__(self, store: Store, instance: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._instance = instance
        self._clock = clock
        self._key = secrets.token_hex(8)
        self._seconds: deque[tuple[int, dict[str, int]]] = deque()
        self._rows: list[_Row] = []
        self._shown: tuple[int, dict[str, int]] = (0, {})

    def counted(self, site: str, views: int) -> None:
        """Note views that this instance has counted."""
        now = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != now:
            self._forget(now)
            self._seconds.append((now, {}))
        second = self._seconds[-1][1]
        second[site] = second.get(site, 0) + views

    def of(self, site: str) -> Mapping[str, int]:
        """Views of a site in the past minute by instance, as far as instances have told."""
        shares: dict[str, int] = {}
        for row in self._rows:
            shares[row.name] = shares.get(row.name, 0) + row.sites.get(site, 0)
        return shares

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW_SECONDS:
            self._seconds.popleft()

    def _own(self) -> dict[str, int]:
        self._forget(int(self._clock()))
        sites: dict[str, int] = {}
        for _, second in self._seconds:
            for site, views in second.items():
                sites[site] = sites.get(site, 0) + views
        return dict(sorted(sites.items(), key=lambda item: -item[1])[:MAX_SITES])

    async def show(self) -> None:
        """Write this instance's row, and read all rows. Raises StoreError."""
        now, sites = int(self._clock()), self._own()
        if sites != self._shown[1] or now >= self._shown[0] + REPEAT_SECONDS:
            store_now = (await self._store.counts("", [], 1)).at
            row = msgspec.json.encode(_Row(self._instance, sites))
            await self._store.put_document(KIND, self._key, row, until=store_now + ROW_SECONDS)
            self._shown = now, sites
        self._rows = [msgspec.json.decode(document.value, type=_Row) for document in await self._store.documents(KIND)]

    async def keep_shown(self) -> None:
        """Show it for ever; at the end, take the row away."""
        try:
            while True:
                try:
                    await self.show()
                except (StoreError, msgspec.MsgspecError) as error:
                    _log.debug("instances can't tell one another what they count: %s", error)
                await asyncio.sleep(SHOW_SECONDS)
        finally:
            await self._withdraw()

    async def _withdraw(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._store.put_document(KIND, self._key, None)
        except (StoreError, TimeoutError):
            return
