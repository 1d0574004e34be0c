"""What tests of the spool are made with: a store that goes away and comes back, clocks that are moved, and the real ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from footfall.counting.counter import Counter
from footfall.counting.spool import Spool
from footfall.errors import StoreUnavailable
from footfall.model import Batch, Counts, Receipt, SiteBatch
from footfall.stores.memory import MemoryStore
from footfall.telemetry.ledger import Ledger
from tests.contract.conftest import OTHER_SITE, SITE, Clock

#: How long, in seconds, something that does not depend on a clock may take to come about on a busy machine.
PATIENCE = 10.0

#: The outcomes that make up what was received.
OUTCOMES = ("counted_total", "duplicate_total", "failed_total", "spooled")


class FickleStore(MemoryStore):
    """A memory store that can be away, can lose its replies, and can be held; it notes which batches it has applied."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.is_away = False
        self.loses_replies = False
        self.faults: list[Exception] = []
        self.applied_batches: list[Batch] = []
        self.under_way: list[Batch] = []
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Let commits stand after they were applied, without a reply, until `let_go`."""
        self._open.clear()

    def let_go(self) -> None:
        """Let them return."""
        self._open.set()

    async def commit(self, batch: Batch) -> Receipt:
        if self.faults:
            raise self.faults.pop(0)
        if self.is_away:
            raise StoreUnavailable("away")
        receipt = await super().commit(batch)
        self.applied_batches.append(batch)
        self.under_way.append(batch)
        try:
            await self._open.wait()
        finally:
            self.under_way.remove(batch)
        if self.loses_replies:
            raise StoreUnavailable("the reply was lost")
        return receipt

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().counts(site, pages, window)

    async def total(self, page: str = "", site: str = SITE) -> int:
        """All views of a page, or of the site, that were ever counted."""
        return (await super().counts(site, [page], 60)).pages[page].total


async def until(claim: Callable[[], bool], what: str) -> None:
    """Return as soon as a claim holds."""
    async with asyncio.timeout(PATIENCE):
        while not claim():
            assert what
            await asyncio.sleep(0.001)


def part(views: int = 1, page: str = "/a", **more: object) -> SiteBatch:
    """A site's part of a batch: so many views of a page."""
    return SiteBatch({page: views}, **more)  # type: ignore[arg-type]  # what a test names is of the field's type


@dataclass
class Bench:
    """A folder, a store and three clocks, and the spools and counters that were made with them. All share one ledger."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    monotonic: Clock = field(default_factory=lambda: Clock(500.0))
    wall: Clock = field(default_factory=Clock)
    ledger: Ledger = field(default_factory=Ledger)
    pauses: list[float] = field(default_factory=list)
    spools: list[Spool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FickleStore(self.clock)

    def spool(self, *, max_bytes: int = 2**20, max_age: int = 3 * 86400, ledger: Ledger | None = None) -> Spool:
        """One more spool in the folder, as a further process would make it; it has begun to replay."""

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            await asyncio.sleep(0.001)

        spool = Spool(
            str(self.folder),
            self.store,
            ledger or self.ledger,
            max_bytes=max_bytes,
            max_age=max_age,
            monotonic=self.monotonic,
            wall=self.wall,
            pause=pause,
        )
        spool.start()
        self.spools.append(spool)
        return spool

    def counter(self, spool: Spool) -> Counter:
        """A counter that gives the store up at once."""
        return Counter(self.store, self.ledger, outbox=spool, commit_timeout=0.02)

    def patient_counter(self, spool: Spool) -> Counter:
        """A counter on the bench's monotonic clock, which tries the store for long."""
        return Counter(self.store, self.ledger, outbox=spool, commit_timeout=60, monotonic=self.monotonic)

    async def take(self, spool: Spool, sequence: int, *parts: SiteBatch, writer: str = "w") -> int | None:
        """Spool a batch: of one view, unless parts are given; the first is the site's, the next the other site's."""
        batch = Batch(writer, sequence, dict(zip((SITE, OTHER_SITE), parts or (part(),), strict=False)))
        for site, views in batch.sites.items():
            self.ledger.received(site, views.views)
        return await spool.take(batch)

    async def fill(self, spool: Spool, times: int, writer: str = "w") -> None:
        """Spool so many batches of a kilobyte. Raises StoreUnavailable as soon as one is refused."""
        for sequence in range(1, times + 1):
            assert spool.has_room
            await self.take(spool, sequence, part(1, "/" + "x" * 1000), writer=writer)

    async def replayed(self, ledger: Ledger | None = None) -> None:
        """Return when nothing waits any more."""
        await until(lambda: self.views("spooled", ledger=ledger) == 0, "the spool is replayed")

    def views(self, outcome: str, site: str = SITE, ledger: Ledger | None = None) -> int:
        """A row of the ledger."""
        return int((ledger or self.ledger).registry.get_sample_value(f"footfall_views_{outcome}", {"site": site}) or 0)

    def books(self, site: str = SITE) -> dict[str, int]:
        """The ledger's rows that are not 0. They have to add up."""
        rows = {outcome.removesuffix("_total"): self.views(outcome, site) for outcome in OUTCOMES}
        assert sum(rows.values()) == self.views("received_total", site)
        return {outcome: views for outcome, views in rows.items() if views}

    async def close(self) -> None:
        """Close all spools."""
        self.store.let_go()
        while self.spools:
            await self.spools.pop().close()
