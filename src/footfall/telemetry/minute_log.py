"""Tells the log once a minute what became of the views: for whoever has a log, and nothing that asks for metrics.

A line holds what the ledger has counted since the line before, all sites together, so that the lines add up to the ledger. A
minute without a view has none. It is looked up in the ledger when it is told, and costs a view nothing. It knows no requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from footfall.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

#: So often, in seconds, a line is written.
TALLY_SECONDS = 60.0

#: What the line is called ("event"). Filters of logs look for it: deploy/aws/service.yaml.
EVENT = "tally"

#: The fields that count since the line before, by the ledger's metrics.
_SINCE = {
    "footfall_views_received_total": "received",
    "footfall_views_counted_total": "counted",
    "footfall_views_duplicate_total": "duplicate",
    "footfall_views_dropped_total": "dropped",
    "footfall_views_failed_total": "failed",
}

#: The fields that are as many as there are now.
_NOW = {"footfall_views_spooled": "spooled", "footfall_views_pending": "pending"}


class Tally:
    """Tells of one process's views. `sleep` waits for so many seconds."""

    def __init__(self, ledger: Ledger, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._ledger = ledger
        self._sleep = sleep
        self._told: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Tell every minute as long as the block runs. What came last is told by whoever calls `tell` at the end."""
        telling = asyncio.create_task(self._tell_again(), name="footfall-tally")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def tell(self) -> None:
        """Write a line, unless there is nothing to tell."""
        self._ledger.note()
        sums, reasons, now = Counter[str](), Counter[str](), dict.fromkeys(_NOW.values(), 0)
        for metric in self._ledger.registry.collect():
            for sample in metric.samples:
                if field := _SINCE.get(sample.name):
                    sums[field] += int(sample.value)
                elif field := _NOW.get(sample.name):
                    now[field] += int(sample.value)
                if sample.name == "footfall_views_dropped_total":
                    reasons[sample.labels["reason"]] += int(sample.value)
        since = {field: sums[field] - self._told[field] for field in _SINCE.values()}
        dropped = {reason: views - self._reasons[reason] for reason, views in reasons.items() if views > self._reasons[reason]}
        self._told, self._reasons = sums, reasons
        if any(since.values()) or any(now.values()):
            _log.info(EVENT, extra={**since, **now, "reasons": dropped})

    async def _tell_again(self) -> None:
        while True:
            await self._sleep(TALLY_SECONDS)
            self.tell()
