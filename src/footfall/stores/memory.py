"""The executable specification: the store contract in the plainest code that can be right.

Every other store is held against this one by property tests. It is also a store of its own (`memory://`) for one process
whose numbers may end with it. It favours clarity over speed, knows only the clock it is given, and does no I/O.
Reading changes nothing: what has had its time is left out of every answer, and only a commit takes it away.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from footfall.model import (
    DEFAULT_RETENTION,
    WHOLE_SITE,
    Batch,
    Count,
    Counts,
    Receipt,
    Retention,
    Series,
    SiteBatch,
    SiteReceipt,
    Span,
    Tier,
    TopPages,
    oldest_kept,
)
from footfall.stores.base import MAX_EVENT_IDS, WRITER_MEMORY, Clock

BatchId = tuple[str, int]


@dataclass
class _Writer:
    sequence: int
    at: int
    lasting: bool


@dataclass
class _Event:
    until: int
    counted_by: BatchId


@dataclass
class _Site:
    newest: int = 0
    #: views by tier, bucket start and page
    buckets: dict[Tier, dict[int, dict[str, int]]] = field(default_factory=lambda: {tier: {} for tier in Tier})
    writers: dict[str, _Writer] = field(default_factory=dict)
    events: dict[str, _Event] = field(default_factory=dict)


class MemoryStore:
    """Counts in dictionaries. `event_id_ttl` is in seconds."""

    def __init__(self, clock: Clock, retention: Retention = DEFAULT_RETENTION, event_id_ttl: int = 600) -> None:
        self._clock = clock
        self._retention = retention
        self._event_id_ttl = event_id_ttl
        self._sites: dict[str, _Site] = {}

    async def commit(self, batch: Batch) -> Receipt:
        return {name: self._commit_site(name, part, batch) for name, part in batch.sites.items()}

    def _commit_site(self, name: str, part: SiteBatch, batch: Batch) -> SiteReceipt:
        site = self._sites.setdefault(name, _Site())
        now = self._now(site)
        batch_id = (batch.writer, batch.sequence)
        writer = self._writer(site, batch.writer, now)
        if writer is None or batch.sequence > writer.sequence:
            if now > site.newest:
                self._expire(site, now)
                site.newest = now
            site.writers[batch.writer] = writer = _Writer(batch.sequence, now, batch.lasting)
            for page, own_time, views in self._counted(site, part, now, batch_id):
                self._bump(site, page, now if own_time is None else min(own_time, now), now, views)
        known = {id: site.events[id] for id in part.events if id in site.events}
        duplicates = {id for id, event in known.items() if event.until > now and event.counted_by != batch_id}
        counts = {page: self._count(site, page, batch.window, now) for page in part.wanted}
        return SiteReceipt(writer.at, counts, frozenset(duplicates))

    def _counted(self, site: _Site, part: SiteBatch, now: int, batch_id: BatchId) -> Iterator[tuple[str, int | None, int]]:
        """The (page, own time, views) of a batch, less the events counted before; remembers the new ones."""
        for page, views in part.pages.items():
            yield page, None, views
        for (page, own_time), views in part.timed.items():
            yield page, own_time, views
        for event_id, (page, event_time) in part.events.items():
            if event_id not in site.events:
                if len(site.events) < MAX_EVENT_IDS:
                    site.events[event_id] = _Event(now + self._event_id_ttl, batch_id)
                yield page, event_time, 1

    def _bump(self, site: _Site, page: str, at: int, now: int, views: int) -> None:
        for tier, buckets in site.buckets.items():
            start = tier.start(at)
            if start >= oldest_kept(tier, self._retention, now):
                bucket = buckets.setdefault(start, defaultdict(int))
                bucket[page] += views
                bucket[WHOLE_SITE] += views

    def _now(self, site: _Site) -> int:
        return max(int(self._clock()), site.newest)

    def _kept(self, site: _Site, tier: Tier, now: int) -> dict[int, dict[str, int]]:
        """The buckets of a tier that are kept at `now`, by their start."""
        oldest = oldest_kept(tier, self._retention, now)
        return {start: bucket for start, bucket in site.buckets[tier].items() if start >= oldest}

    def _writer(self, site: _Site, name: str, now: int) -> _Writer | None:
        """What is remembered of a writer at `now`."""
        writer = site.writers.get(name)
        return writer if writer and (writer.lasting or writer.at > now - WRITER_MEMORY) else None

    def _expire(self, site: _Site, now: int) -> None:
        """Take away what has had its time."""
        site.buckets = {tier: self._kept(site, tier, now) for tier in Tier}
        expired = itertools.takewhile(
            lambda entry: entry[1].until <= now, site.events.items()
        )  # ids stand in their order of expiry
        for event_id in [id for id, _ in expired]:
            del site.events[event_id]
        for name in [name for name in site.writers if self._writer(site, name, now) is None]:
            del site.writers[name]

    async def applied(self, site: str, writer: str) -> int:
        known, now = self._look(site)
        remembered = self._writer(known, writer, now)
        return remembered.sequence if remembered else 0

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        known, now = self._look(site)
        return Counts(now, {page: self._count(known, page, window, now) for page in pages})

    def _count(self, site: _Site, page: str, window: int, now: int) -> Count:
        def views(span: Span) -> int:
            start = span.start(now)
            return sum(bucket.get(page, 0) for at, bucket in self._kept(site, span.tier, now).items() if at >= start)

        return Count(views(Span(Tier.SECOND, window)), views(Span(Tier.DAY, 1)), views(Span(Tier.TOTAL, 1)))

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        known, now = self._look(site)
        buckets = self._kept(known, tier, now)
        return Series(now, [(at, buckets.get(at, {}).get(page, 0)) for at in tier.starts(start, end)])

    async def newest(self, site: str, page: str, span: Span) -> Series:
        _, now = self._look(site)
        return await self.series(site, page, span.tier, span.start(now), now + 1)

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        known, now = self._look(site)
        start = span.start(now)
        views: dict[str, int] = defaultdict(int)
        for at, bucket in self._kept(known, span.tier, now).items():
            if at >= start:
                for page, n in bucket.items():
                    views[page] += n
        views.pop(WHOLE_SITE, None)
        ranked = sorted((-n, page) for page, n in views.items())
        if after is not None:
            ranked = [entry for entry in ranked if entry > (-after[0], after[1])]
        return TopPages(now, [(page, -n) for n, page in ranked[:limit]])

    def _look(self, name: str) -> tuple[_Site, int]:
        """A site and its now; nothing is remembered of a site never written to."""
        site = self._sites.get(name, _Site())
        return site, self._now(site)

    async def forget(self, site: str, page: str | None = None) -> None:
        if page is None:
            self._sites.pop(site, None)
        elif page != WHOLE_SITE and site in self._sites:
            for buckets in self._sites[site].buckets.values():
                for bucket in buckets.values():
                    bucket.pop(page, None)

    async def ping(self) -> None:
        return

    async def warnings(self) -> list[str]:
        return ["numbers in memory end with the process"]

    async def close(self) -> None:
        return
