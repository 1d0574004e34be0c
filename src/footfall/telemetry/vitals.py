"""Looks at intervals at what no request tells: how late the event loop is, what waits, and what the store warns of.

It notes that in the ledger, and logs each warning of the store when it first appears. A store that is away can't be asked;
that is noticed elsewhere. This module knows no requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from footfall.errors import StoreError
from footfall.stores import Store
from footfall.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

#: So often, in seconds, the event loop's lag is measured and what waits is noted.
NOTE_SECONDS = 1.0

#: So often, in seconds, the store is asked for its warnings: replicas go, and settings are changed.
WARNINGS_SECONDS = 60.0

#: A store that takes longer, in seconds, is asked again later: the start waits for the first answer.
WARN_TIMEOUT = 1.0


class Vitals:
    """Watches a store and the running event loop. `monotonic` is a clock in seconds, `sleep` waits for so many of them."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._monotonic = monotonic
        self._sleep = sleep
        self._warnings: frozenset[str] = frozenset()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch as long as the block runs; the store's warnings are known when it begins."""
        await self.ask_store()
        watching = [asyncio.create_task(self._note()), asyncio.create_task(self._ask_again())]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            self._ledger.note()

    async def ask_store(self) -> None:
        """Note what in the store's own settings puts views at risk, and log what of that is new."""
        try:
            async with asyncio.timeout(WARN_TIMEOUT):
                warnings = await self._store.warnings()
        except (StoreError, TimeoutError):
            return
        for line in warnings:
            if line not in self._warnings:
                _log.warning("store: %s", line)
        self._warnings = frozenset(warnings)
        self._ledger.warned(len(warnings))

    async def _note(self) -> None:
        while True:
            due = self._monotonic() + NOTE_SECONDS
            await self._sleep(NOTE_SECONDS)
            self._ledger.lagged(max(0.0, self._monotonic() - due))
            self._ledger.note()

    async def _ask_again(self) -> None:
        while True:
            await self._sleep(WARNINGS_SECONDS)
            await self.ask_store()
