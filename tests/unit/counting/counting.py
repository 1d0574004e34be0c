"""A store that can be watched, held and made to fail, and books that can be read: what the counter is tried with."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable

from footfall.model import Batch, Drop, Receipt
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import SITE, Clock


class WatchedStore(MemoryStore):
    """Notes the batches that come, and the most of them that were ever under way at once. While it is held, none returns."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.batches: list[Batch] = []
        self.under_way = 0
        self.most_under_way = 0
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def commit(self, batch: Batch) -> Receipt:
        self.batches.append(batch)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._open.wait()
            return await self.apply(batch)
        finally:
            self.under_way -= 1

    async def apply(self, batch: Batch) -> Receipt:
        return await super().commit(batch)


class FailingStore(WatchedStore):
    """Raises the errors it is given, one a commit, before or after it has applied the batch."""

    def __init__(self, errors: Iterable[Exception], *, applies: bool) -> None:
        super().__init__()
        self._errors = iter(errors)
        self._applies = applies

    async def apply(self, batch: Batch) -> Receipt:
        error = next(self._errors, None)
        if error is None or self._applies:
            receipt = await super().apply(batch)
        if error is not None:
            raise error
        return receipt


class Books:
    """Adds up what it is told: views by site and outcome."""

    def __init__(self) -> None:
        self.rows: Tally[tuple[str, str]] = Tally()

    def dropped(self, drop: Drop) -> None:
        self.rows[drop.site or "", "received"] += 1
        self.rows[drop.site or "", drop.reason.value] += 1

    def refused(self, site: str, views: int) -> None:
        self.rows[site, "too-many-pages"] += views

    def received(self, site: str, views: int) -> None:
        self.rows[site, "received"] += views

    def counted(self, site: str, views: int) -> None:
        self.rows[site, "counted"] += views

    def duplicate(self, site: str, views: int) -> None:
        self.rows[site, "duplicate"] += views

    def failed(self, site: str, views: int) -> None:
        self.rows[site, "failed"] += views

    def committed(self, seconds: float) -> None:
        assert seconds >= 0

    def of(self, site: str = SITE) -> dict[str, int]:
        """A site's rows that are not 0."""
        return {outcome: views for (name, outcome), views in self.rows.items() if name == site and views}
