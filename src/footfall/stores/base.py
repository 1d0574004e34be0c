"""The store protocol: what every call means, whichever store answers it.

A store keeps counts and nothing else: it knows no requests, no robots and no web. Every backend passes the same contract
tests and is held by a property test against `memory.py`, the specification in code. All calls are mandatory. All times are
whole seconds of the store's clock (UTC), which never runs backward for a site: a site's now is the greater of the clock and
the newest second the site has seen.

How long buckets are kept is told where a store is opened, and for one site by its document (see `keeping.py`). A change of that
holds for every call that begins after it was written through this store or listed by its `documents`, and at the latest a second
later: what is too old by then is in no answer, and what is gone does not come back where a site is kept longer.

Every call raises `StoreUnavailable` when the store can't answer now (the same call may succeed later) and `StoreUnusable`
when it never will; no driver's exception passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from footfall.model import (
    WHOLE_SITE,
    Batch,
    Breakdown,
    Counts,
    Document,
    Dump,
    Presence,
    Receipt,
    Section,
    Series,
    Span,
    Tier,
    TopPages,
)

#: Seconds since the epoch. The composition root passes `time.time`; tests pass one they can move.
Clock = Callable[[], float]

#: A writer that has committed nothing for this long is forgotten, unless its batches said `lasting`.
WRITER_MEMORY = 7 * 86400

#: Beyond this many remembered event ids of one site, a view that carries another is counted without remembering it.
MAX_EVENT_IDS = 1_000_000


#: A document's value may be this long, in bytes.
MAX_DOCUMENT_BYTES = 65_536

#: A visitor is still added to an hour or a day that ended less than so many seconds ago; after that its number stands.
VISITOR_GRACE = 3600

#: For how many seconds after their start the visitors of an hour are known. Those of a day are known as long as the day's views.
VISITOR_HOURS = 8 * 86400


class Limits(NamedTuple):
    """How much detail is kept of a site and day (UTC); beyond it, views count all the same, under OTHER or without detail.

    `values`: of a dimension. `pages`: those of which traits and visitors are kept apart, the first so many that the day has.
    `page_values`: of a dimension and page.
    """

    values: int = 1000
    pages: int = 1000
    page_values: int = 100


def detail_tier(tier: Tier, page: str) -> Tier:
    """The tier whose traits answer for a span of `tier`: hours, days, and months, for which pages have their days."""
    if tier in (Tier.MONTH, Tier.TOTAL):
        return Tier.MONTH if page == WHOLE_SITE else Tier.DAY
    if tier in (Tier.HOUR, Tier.DAY):
        return tier
    raise ValueError(f"traits are not kept by {tier.value}")


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

        New pages are opened in the order of `pages`, then `events`, as far as `most_new_pages` and `known_only` let them; the
        others are `refused`: their untimed views count nowhere, and their event ids are not remembered. Views with a time of
        their own may open any page, and do so first. A page is new whose total is 0. In a repeated receipt `opened` is empty.

        Traits of the views that count are added to the hour, the day and the month of the site, and to the hour and the day of
        the page where it has a place: within a day (UTC, of the view) the first `Limits.pages` pages get one, in the order of
        `traits` and then `visits`. A value of a dimension that is new to the site's day when `Limits.values` others stand there
        is counted as OTHER, at the page too; one that is new to the page's day beyond `Limits.page_values` as OTHER there. A
        view whose day is no longer kept leaves no traits. Visitors are added to the hour and the day of the site and of a page
        that has a place (which a visitor alone does not give), and to the site's minute. `outcomes` are added to the current
        hour, day and month of the site under the dimension OUTCOME, as are duplicates and refused views by the store itself.
        """
        ...

    async def rehearse(self, batch: Batch) -> None:
        """Find out whether a batch could be committed now: all that a commit does, but nothing is counted or remembered of it.

        Returns nothing; raises as the commit would. A store that takes other writes may yet not take these: a page of its file
        may be damaged, or a key of a site be another program's.
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

    async def breakdown(
        self, site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None = None
    ) -> Breakdown:
        """The most frequent values of a dimension (or OUTCOME) in a span of hours, days, months or everything.

        They are ordered as the pages of `top` are. A page's months and total are summed from the days that are kept.
        """
        ...

    async def visitors(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        """How many visitors a site (WHOLE_SITE) or page had by hour or by day, shaped as `series` is.

        They are estimates by HyperLogLog with at least 4,096 registers: the standard error is at most 1.04 / sqrt(4096) = 1.6 %.
        """
        ...

    async def present(self, site: str) -> Presence:
        """How many visitors had a view in the current minute or the PRESENCE_MINUTES - 1 before it; an estimate likewise."""
        ...

    async def document(self, kind: str, key: str) -> Document | None:
        """A document, None where there is none or its time is over."""
        ...

    async def documents(self, kind: str) -> list[Document]:
        """All documents of a kind whose time is not over, by key."""
        ...

    async def put_document(
        self, kind: str, key: str, value: bytes | None, *, version: int | None = None, until: int | None = None
    ) -> int | None:
        """Write a document durably, or remove it (`value` None); its new version.

        With `version`, only where that is the current one (0: where there is none); otherwise nothing changes and None is given
        back. `until` is the store's second at which it shall be gone. Unlike a commit, a call that raised may be made again only
        by one who reads first.
        """
        ...

    async def sites(self) -> list[str]:
        """The names of the sites that have views or drops, in order."""
        ...

    async def dump(self, site: str, section: Section, tier: Tier, after: str | None = None, limit: int = 10_000) -> Dump:
        """About `limit` rows of what the site has in a section and tier (WRITERS: any tier gives the same).

        Rows of a bucket that has ended and takes no more views are there once, whatever is counted meanwhile; those of an open
        one may be there with what they had at some moment of the dump. No call holds counting up.
        """
        ...

    async def load(self, site: str, section: Section, tier: Tier, rows: Sequence[tuple[int | str, ...]]) -> None:
        """Add rows of a dump, at most 10,000 a call; the site begins where there is none.

        Rows of a tier touch that tier alone, and limits do not apply. A site's time is not before its newest loaded second.
        A call that raised may have added some: forget the site and begin again. Rows whose time is over are left out, and do not
        come when the clock is put back.
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
