"""Group commit: many requests, one durable commit.

A view goes into the open batch; one commit is in flight at a time; when it returns, whatever gathered meanwhile is the next
batch. All requests of a batch wait on one future. So a quiet server commits a view at once, a busy one hundreds together, and
the store's work follows the number of distinct pages, not of views. Nothing is acknowledged before the store has it. Where all
who view wait for one commit and this process with them, their views go in halves from then on, so that both have work.
This module knows the store contract and nothing of requests, replies or files.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Protocol

from footfall.counting.halving import Halving
from footfall.counting.open_batch import OpenBatch, OpenSite, Told, is_cancelled, wake
from footfall.errors import Draining, Overloaded, StoreError, StoreUnavailable
from footfall.model import DUPLICATE, MAX_BATCH_ENTRIES, Batch, Drop, Receipt, Settled, SiteBatch, View
from footfall.stores import Store

_log = logging.getLogger(__name__)

#: A commit that finds fewer than this many views waiting does not wait for more: the server is not busy.
BUSY_VIEWS = 8

#: How long, in seconds, a busy batch may be held back to fill up.
FILL_SECONDS = 0.002

#: Of the views that came with the last batch and since, this share is waited for.
FILL_SHARE = 0.5

#: So many commits in a row that fail, none succeeding between, are more than bad luck.
FAILURES = 3

FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5

#: What was dropped is kept at most this long, in seconds, before it goes to the store's ledger without a view to take it along.
FLUSH_SECONDS = 1.0

#: A receipt that took longer than this, in seconds, says little of the store's clock now: perhaps the reply to an earlier
#: attempt was lost, and the second it names has long passed.
FRESH_SECONDS = 1.0

_NOTHING: Mapping[str, int] = {}


class Timer(Protocol):
    """What is to happen later, and can be called off."""

    def cancel(self) -> None: ...


def call_later(seconds: float, work: Callable[[], None]) -> Timer:
    """Do some work in the running loop in so many seconds."""
    return asyncio.get_running_loop().call_later(seconds, work)


class Ledger(Protocol):
    """Who keeps the books (`metrics.Ledger`): views by site and outcome."""

    def dropped(self, drop: Drop) -> None: ...
    def refused(self, site: str, views: int) -> None: ...
    def received(self, site: str, views: int) -> None: ...
    def counted(self, site: str, views: int) -> None: ...
    def duplicate(self, site: str, views: int) -> None: ...
    def failed(self, site: str, views: int) -> None: ...
    def committed(self, seconds: float) -> None: ...


class Outbox(Protocol):
    """Where batches go while the store is away (`spool.Spool`)."""

    @property
    def takes_over(self) -> bool:
        """Whether the store is known to be away, so that it need not be tried."""
        ...

    async def take(self, batch: Batch) -> int | None:
        """Keep a batch durably; the second its views will be counted in, where that is known. StoreUnavailable if it can't."""
        ...

    def saw(self, at: int) -> None:
        """The store has just answered, and its clock says `at`."""
        ...


class Counter:
    """Takes views and commits them together.

    `window` is the width in seconds of the counts brought back; `max_pending_views` bounds the views that wait;
    `commit_timeout` is how long, in seconds, a view may wait for the store before it fails. `busy` says how many seconds of
    processor time this process has taken.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        *,
        outbox: Outbox | None = None,
        most_new_pages: Callable[[str], int] = lambda _site: 0,
        on_counted: Callable[[str, int], object] = lambda _site, _views: None,
        window: int = 60,
        max_pending_views: int = 100_000,
        commit_timeout: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.process_time,
        later: Callable[[float, Callable[[], None]], Timer] = call_later,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._outbox = outbox
        self._most_new_pages = most_new_pages
        self._on_counted = on_counted
        self._outcomes: dict[str, dict[str, int]] = {}
        self._later = later
        self._flush: Timer | None = None
        self._has_spooled = False
        self._window = window
        self._max_pending = max_pending_views
        self._commit_timeout = commit_timeout
        self._monotonic = monotonic
        self._busy = busy
        self._writer = secrets.token_hex(16)
        self._sequence = 0
        self._pending = 0
        self._waiting: deque[OpenBatch] = deque()
        self._filled: asyncio.Future[None] | None = None
        self._last_views = 0
        self._halving = Halving(busy())
        self._committing: asyncio.Task[None] | None = None
        self._draining = False
        self._end = math.inf
        self._attempt: asyncio.Timeout | None = None
        self._fill_target = 0
        #: How many commits of views have failed since one succeeded.
        self._failures = 0
        self._last_failed: Batch | None = None

    @property
    def failing(self) -> Batch | None:
        """The last batch that the store did not confirm, where several failed one after another and none has succeeded since."""
        return self._last_failed if self._failures >= FAILURES else None

    @property
    def pending(self) -> int:
        """How many views wait for the store."""
        return self._pending

    async def count(self, view: View, *, wanted: bool = False) -> Settled:
        """Count a view durably; with `wanted`, bring its page's counts too, the view included.

        Raises Overloaded or Draining before the view was taken, NotAcknowledged where the store did not confirm it in time.
        """
        batch, repeated = self._put(view, wanted)
        try:
            await batch.future
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            await batch.outlive_cancelling()
        return batch.outcome(view, repeated=repeated, wanted=wanted)

    @property
    def takes_views(self) -> bool:
        """Whether `submit` may be called."""
        return not self._draining and self._pending < self._max_pending

    def submit(self, view: View, told: Told) -> None:
        """Count a view durably for somebody who has no task to wait in: `told` is called once, when it is settled.

        A busy server spends a good part of its time on tasks that only wait for a view. Only while `takes_views`.
        """
        batch, repeated = self._put(view, wanted=False)
        batch.calls.append((view, repeated, told))

    def dropped(self, drop: Drop) -> None:
        """A view was received and is not counted: it goes into the books now, and into the store's ledger with a later batch.

        That later batch is at most FLUSH_SECONDS away, and those that wait for the store before it; a process that is killed
        before, or a store that does not take the batch, loses those few: what was dropped counts at most once.
        """
        self._ledger.dropped(drop)
        if drop.site is None:
            return
        outcomes = self._outcomes.setdefault(drop.site, {})
        outcomes[drop.reason.value] = outcomes.get(drop.reason.value, 0) + 1
        if self._flush is None and not self._draining:
            self._flush = self._later(FLUSH_SECONDS, self._flush_outcomes)

    def _flush_outcomes(self) -> None:
        self._flush = None
        if self._outcomes and not self._waiting:  # a batch that waits takes them along
            self._open_batch()

    def _put(self, view: View, wanted: bool) -> tuple[OpenBatch, bool]:
        """Put a view into the open batch: the batch, and whether its event id stands there already."""
        if self._pending >= self._max_pending:
            self._refuse(view)
            raise Overloaded(f"{self._pending} views wait for the store, as many as FOOTFALL_MAX_PENDING_VIEWS allows")
        batch = self._waiting[-1] if self._waiting else None
        if batch is None or batch.entries >= MAX_BATCH_ENTRIES or batch.views >= self._halving.most:
            if self._draining:
                self._refuse(view)
                raise Draining("this instance is stopping; send the view again, to another one")
            batch = self._open_batch()
        site = batch.sites.get(view.site)
        if site is None:
            site = batch.sites[view.site] = OpenSite()
        added = site.add(view)
        batch.entries += added
        repeated = not added and view.event_id is not None
        site.repeated += repeated
        if wanted and view.page not in site.wanted:
            site.wanted.add(view.page)
            batch.entries += repeated  # a repeated id may name any page; of other views the page is an entry already
        batch.views += 1
        self._pending += 1
        if self._filled is not None and batch.views >= self._fill_target:
            wake(self._filled)
        return batch, repeated

    def _refuse(self, view: View) -> None:
        self._ledger.received(view.site, 1)
        self._ledger.failed(view.site, 1)

    def _open_batch(self) -> OpenBatch:
        loop = asyncio.get_running_loop()
        batch = OpenBatch(loop.create_future(), self._monotonic() + self._commit_timeout)
        if self._waiting:
            self._halving.most = math.inf
        self._waiting.append(batch)
        if self._committing is None:
            # A batch is many requests': what is logged of it has the id of none of them.
            self._committing = loop.create_task(self._commit_all(), name="footfall-commit", context=Context())
        return batch

    async def _commit_all(self) -> None:
        """Commit one batch after the other until none waits."""
        try:
            while self._waiting:
                await self._let_fill()
                await self._commit(self._waiting.popleft())
        finally:
            self._committing = None

    async def _let_fill(self) -> None:
        """Hold a busy server's batch back until a good part of the views that can be expected are in it, but not long."""
        batch = self._waiting[0]
        if len(self._waiting) > 1:  # it is closed
            return
        expected = self._last_views + batch.views
        self._fill_target = int(min(expected * FILL_SHARE, self._halving.most))
        if expected >= BUSY_VIEWS and batch.views < self._fill_target:
            self._filled = filled = asyncio.get_running_loop().create_future()
            timer = filled.get_loop().call_later(FILL_SECONDS, wake, filled)
            await filled
            timer.cancel()
            self._filled = None

    async def _commit(self, open_batch: OpenBatch) -> None:
        """Commit a batch and settle what waits on it."""
        outbox_first = self._outbox is not None and self._outbox.takes_over
        if self._has_spooled and not outbox_first:  # what was spooled must stay apart from what now goes past it
            self._writer, self._has_spooled = secrets.token_hex(16), False
        self._sequence += 1
        sites = self._sealed(open_batch)
        if not sites:  # what was to be flushed has gone with another batch
            open_batch.settle({}, None)
            return
        batch = Batch(self._writer, self._sequence, sites, self._window)
        for name, site in open_batch.sites.items():
            self._ledger.received(name, sites[name].views + site.repeated)
        started = self._monotonic()
        self._halving.begin(self._pending, started, self._busy())
        try:
            if outbox_first:
                await self._spool(batch, open_batch)
            else:
                receipt = await self._try_until(batch, open_batch.deadline)
                took = self._monotonic() - started
                self._book(receipt, open_batch, sites)
                self._ledger.committed(took)
                if open_batch.views:
                    self._failures, self._last_failed = 0, None
                if self._outbox is not None and took < FRESH_SECONDS:
                    self._outbox.saw(min(part.at for part in receipt.values()))
                open_batch.settle(receipt, None)
        except Exception as error:  # whatever it was, whoever waits must hear of it
            await self._fail(error, batch, open_batch, may_spool=not outbox_first)
        finally:
            is_alone = not self._waiting and open_batch.views >= BUSY_VIEWS
            self._halving.end(open_batch.views, self._monotonic(), self._busy(), is_alone=is_alone)
            self._pending -= open_batch.views
            self._last_views = open_batch.views

    def _sealed(self, open_batch: OpenBatch) -> Mapping[str, SiteBatch]:
        """The parts of a batch by site, and with them what was dropped since the last one."""
        outcomes, self._outcomes = self._outcomes, {}
        for name, site in open_batch.sites.items():
            if site.repeated:
                of_site = outcomes.setdefault(name, {})
                of_site[DUPLICATE] = of_site.get(DUPLICATE, 0) + site.repeated
        sites = {
            name: site.sealed(outcomes.pop(name, _NOTHING), self._most_new_pages(name)) for name, site in open_batch.sites.items()
        }
        return sites | {name: SiteBatch(outcomes=of_site) for name, of_site in outcomes.items()}

    def _book(self, receipt: Receipt, open_batch: OpenBatch, sites: Mapping[str, SiteBatch]) -> None:
        for name, site in open_batch.sites.items():
            part, told = sites[name], receipt[name]
            duplicates = len(told.duplicates)
            refused = 0
            if told.refused:
                refused = sum(part.pages.get(page, 0) for page in told.refused) + sum(
                    at is None and page in told.refused and id not in told.duplicates for id, (page, at) in part.events.items()
                )
                self._ledger.refused(name, refused)
            counted = part.views - duplicates - refused
            self._ledger.counted(name, counted)
            self._on_counted(name, counted)
            self._ledger.duplicate(name, duplicates + site.repeated)

    async def _spool(self, batch: Batch, open_batch: OpenBatch) -> None:
        assert self._outbox is not None  # noqa: S101  # the callers know
        self._has_spooled = True
        at = await self._outbox.take(batch)
        for name, site in open_batch.sites.items():
            self._ledger.duplicate(name, site.repeated)
        open_batch.settle_spooled(at)

    async def _fail(self, error: Exception, batch: Batch, open_batch: OpenBatch, *, may_spool: bool) -> None:
        """The store did not confirm the batch: keep it in the outbox, or tell whoever waits."""
        if open_batch.views and may_spool:  # else the store was not tried
            self._failures, self._last_failed = self._failures + 1, batch
        if not isinstance(error, StoreError):
            _log.error("a commit failed for a reason of ours", exc_info=error)
        elif may_spool and self._outbox is not None:
            try:
                await self._spool(batch, open_batch)
            except StoreError as unspooled:
                error = unspooled
            else:
                return
        for name, site in open_batch.sites.items():
            self._ledger.failed(name, batch.sites[name].views + site.repeated)
        if open_batch.views:
            _log.warning("%d views were not acknowledged: %s", open_batch.views, error)
        open_batch.settle(None, str(error))

    async def _try_until(self, batch: Batch, deadline: float) -> Receipt:
        """Commit with the same batch id again and again until it succeeds or `deadline` (monotonic seconds) has passed."""
        pause = FIRST_PAUSE
        while True:
            left = max(min(deadline, self._end) - self._monotonic(), FIRST_PAUSE)
            try:
                async with asyncio.timeout(left) as self._attempt:
                    return await self._store.commit(batch)
            except TimeoutError:
                raise StoreUnavailable(f"no answer within {self._commit_timeout:g} s") from None
            except StoreUnavailable:
                if self._monotonic() + pause >= min(deadline, self._end):
                    raise
            finally:
                self._attempt = None
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE)

    def hurry(self, seconds: float) -> None:
        """Let no view wait longer than `seconds` from now: the process is about to stop, and each must have heard by then."""
        self._end = self._monotonic() + seconds
        if self._attempt is not None and not self._attempt.expired():
            soonest = asyncio.get_running_loop().time() + seconds
            self._attempt.reschedule(min(soonest, self._attempt.when() or soonest))

    async def drain(self) -> None:
        """Take no more views; return when all that were taken are settled."""
        self._draining = True
        if self._flush is not None:
            self._flush.cancel()
        self._flush_outcomes()
        while self._committing is not None:
            await asyncio.wait({self._committing})
