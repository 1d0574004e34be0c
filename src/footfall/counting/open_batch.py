"""A batch that is still filling: what its views add up to, and the future that their requests wait on.

The counter opens, seals and settles it; this module knows no store and no clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Callable, Mapping

from footfall.errors import NotAcknowledged
from footfall.model import Outcome, Receipt, Settled, SiteBatch, Traits, View

_log = logging.getLogger(__name__)

_NONE: frozenset[str] = frozenset()


#: Who waits for a view without a task of its own, and is called with what became of it.
Told = Callable[[Settled | NotAcknowledged], object]


class OpenSite:
    """One site's part of a batch that is still filling."""

    __slots__ = ("closed", "events", "pages", "repeated", "timed", "traits", "visitors", "visits", "wanted")

    def __init__(self) -> None:
        self.pages: dict[str, int] = {}
        self.timed: dict[tuple[str, int], int] = {}
        self.events: dict[str, tuple[str, int | None]] = {}
        self.wanted: set[str] = set()
        self.traits: dict[tuple[str, int | None, Traits], int] = {}
        self.visitors: dict[tuple[str, int | None], set[int]] = {}
        self.visits: dict[str, tuple[Traits, int | None]] = {}
        #: Untimed views by page that may not open it.
        self.closed: dict[str, int] = {}
        self.repeated = 0

    def add(self, view: View) -> int:
        """Take a view in; how many entries it adds to the batch."""
        page, at = view.page, view.at
        if view.event_id is not None and view.event_id in self.events:
            return 0
        if not view.may_open and at is None:
            self.closed[page] = self.closed.get(page, 0) + 1
        if view.event_id is not None:
            return self._add_event(view.event_id, view)
        added = 0
        if at is None:
            before = self.pages.get(page, 0)
            self.pages[page] = before + 1
        else:
            before = self.timed.get((page, at), 0)
            self.timed[page, at] = before + 1
        if not before:
            added = 1
        if view.traits:
            key = (page, at, view.traits)
            before = self.traits.get(key, 0)
            self.traits[key] = before + 1
            if not before:
                added += 1
        if view.visitor is not None:
            visitors = self.visitors.get((page, at))
            if visitors is None:
                self.visitors[page, at] = {view.visitor}
            else:
                visitors.add(view.visitor)
        return added

    def _add_event(self, event_id: str, view: View) -> int:
        self.events[event_id] = view.page, view.at
        if view.traits or view.visitor is not None:
            self.visits[event_id] = view.traits, view.visitor
        return 1

    def sealed(self, outcomes: Mapping[str, int], most_new_pages: int) -> SiteBatch:
        known_only = _NONE
        if self.closed:
            events = Tally(page for page, at in self.events.values() if at is None)
            untimed = ((page, views, self.pages.get(page, 0) + events[page]) for page, views in self.closed.items())
            known_only = frozenset(page for page, closed, views in untimed if closed == views)
        return SiteBatch(
            self.pages,
            self.timed,
            self.events,
            frozenset(self.wanted),
            self.traits,
            self.visitors,
            self.visits,
            outcomes,
            most_new_pages,
            known_only,
        )


class OpenBatch:
    """A batch that is still filling, and the future its requests wait on."""

    __slots__ = ("_told", "calls", "counted", "deadline", "entries", "failure", "future", "receipt", "sites", "views")

    def __init__(self, future: asyncio.Future[None], deadline: float) -> None:
        self.sites: dict[str, OpenSite] = {}
        self.future = future
        self.deadline = deadline
        self.views = 0
        self.entries = 0
        #: Views, whether their event id stood there already, and who is to be told of them.
        self.calls: list[tuple[View, bool, Told]] = []
        self.receipt: Receipt | None = None
        self.failure: str | None = None
        #: What most views of a site get to hear: counted, and when.
        self.counted: dict[str, Settled] = {}
        #: New pages whose opening one of their views has been told of.
        self._told: set[tuple[str, str]] = set()

    def outcome(self, view: View, *, repeated: bool, wanted: bool) -> Settled:
        """What became of a view, once the batch is settled. Raises NotAcknowledged where the store did not confirm it."""
        if self.receipt is None:
            raise NotAcknowledged(f"the store did not confirm the view in time: {self.failure}")
        if not self.receipt:
            return self.counted[view.site]
        part = self.receipt[view.site]
        if view.event_id is None and view.at is None and not wanted and not part.refused and not part.opened:
            return self.counted[view.site]
        opened = False
        outcome = Outcome.COUNTED
        if repeated or view.event_id in part.duplicates:
            outcome = Outcome.DUPLICATE
        elif view.page in part.refused and view.at is None:
            outcome = Outcome.REFUSED
        else:
            opened = self.opens(view)
        at = part.at if view.at is None else min(view.at, part.at)
        return Settled(outcome, at, part.counts[view.page] if wanted else None, opened)

    def opens(self, view: View) -> bool:
        """Whether it was this view that opened its page: the first that asks, of those that could have."""
        page = view.site, view.page
        if not view.may_open or view.at is not None or not self.receipt or view.page not in self.receipt[view.site].opened:
            return False
        is_first = page not in self._told
        self._told.add(page)
        return is_first

    async def outlive_cancelling(self) -> None:
        """Go on waiting after another task that waited here was cancelled, and the future with it.

        A task that is cancelled cancels what it waits on, which here is shared. (A future that can't be cancelled would say
        the same, but costs each request twice what a plain one does.)
        """
        while self.receipt is None and self.failure is None:
            if self.future.cancelled():
                self.future = self.future.get_loop().create_future()
            try:
                await self.future
            except asyncio.CancelledError:
                if is_cancelled():
                    raise

    def settle(self, receipt: Receipt | None, failure: str | None) -> None:
        """Say what came of the commit, and wake whoever waits."""
        self.receipt, self.failure = receipt, failure
        if receipt is not None:
            self.counted = {name: Settled(Outcome.COUNTED, part.at) for name, part in receipt.items()}
        self._tell_all()

    def settle_spooled(self, at: int | None) -> None:
        """Say that the batch waits in the outbox."""
        self.counted = dict.fromkeys(self.sites, Settled(Outcome.SPOOLED, at))
        self.receipt = {}
        self._tell_all()

    def _tell_all(self) -> None:
        """Wake the tasks that wait, and call who has none: after the next commit has been begun, like the tasks."""
        wake(self.future)
        if self.calls:
            self.future.get_loop().call_soon(self._call)

    def _call(self) -> None:
        for view, repeated, told in self.calls:
            try:
                try:
                    result: Settled | NotAcknowledged = self.outcome(view, repeated=repeated, wanted=False)
                except NotAcknowledged as error:
                    result = error
                told(result)
            except Exception:  # one that can't be told must not keep it from the others
                _log.exception("what became of a view could not be told")


def is_cancelled() -> bool:
    """Whether the running task itself was cancelled, not only what it waited on."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
