"""The store protocol: what every call means, whichever store answers it.

A store keeps counts and nothing else: it knows no requests, no robots and no web. Every backend passes the same contract
tests and is held by a property test against `memory.py`, the specification in code. All calls are mandatory. All times are
whole seconds of the store's clock (UTC), which never runs backward for a site: a site's now is the greater of the clock and
the newest second the site has seen.

Every call raises `StoreUnavailable` when the store can't answer now (the same call may succeed later) and `StoreUnusable`
when it never will; no driver's exception passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from footfall.model import Batch, Counts, Receipt, Series, Span, Tier, TopPages

#: Seconds since the epoch. The composition root passes `time.time`; tests pass one they can move.
Clock = Callable[[], float]

#: A writer that has committed nothing for this long is forgotten, unless its batches said `lasting`.
WRITER_MEMORY = 7 * 86400

#: Beyond this many remembered event ids of one site, a view that carries another is counted without remembering it.
MAX_EVENT_IDS = 1_000_000


class Store(Protocol):
    """Where views are kept."""

    async def commit(self, batch: Batch) -> Receipt:
        """Apply a batch durably, and say when and with what result.

        Atomic per site, and once per site, writer and sequence: of a writer only the last sequence is remembered, and a batch
        whose sequence is not greater changes nothing. A batch that is sent again gets the receipt it would have got: `at` is the
        second its views went into, and its own event ids are not called duplicates.

        `pages` and untimed `events` go into the site's current second. A time in the future becomes the current second; a time
        whose bucket of a tier is no longer kept skips that tier. Every tier is bumped, and the site's own line with it.
        The counts brought back for `wanted` pages include the batch's own views. When the call raises, the batch may or may not
        have been applied.
        """
        ...

    async def applied(self, site: str, writer: str) -> int:
        """The last sequence of `writer` that was applied to `site`; 0 where none is remembered."""
        ...

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        """The counts of some pages (WHOLE_SITE for the site's own line), `window` being 1 to 540 seconds wide.

        A page or site never seen counts 0. Whatever was acknowledged before the call is in the numbers.
        """
        ...

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        """Views of a page (or WHOLE_SITE) by bucket of `tier`.

        They go from the bucket that `start` lies in to the last that begins before `end`. Empty buckets, those to come and those
        no longer kept count 0.
        """
        ...

    async def newest(self, site: str, page: str, span: Span) -> Series:
        """The same for the buckets of `span`, read at one moment, so that a window's bars and their sum agree."""
        ...

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        """The most viewed pages of the span, at most `limit`, most viewed first and equals by name (in order of code points).

        `after` continues behind the (views, page) that ended the list before.
        """
        ...

    async def forget(self, site: str, page: str | None = None) -> None:
        """Remove a page's counts, or a site with all it has (its writers and event ids too).

        The site's own line keeps the views of a page that is forgotten: they did happen. It can't be forgotten alone: WHOLE_SITE
        as the page changes nothing. Views that are committed meanwhile count, in a page or site that begins anew.
        """
        ...

    async def ping(self) -> None:
        """Prove that the store takes a durable write now. Returns nothing; raises when it does not."""
        ...

    async def warnings(self) -> list[str]:
        """What in the store's own settings puts acknowledged views at risk, a line each; empty where nothing is known to."""
        ...

    async def close(self) -> None:
        """Finish the calls under way and let go of every file, thread and connection. May be called twice."""
        ...
