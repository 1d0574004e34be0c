"""The executable specification: the store contract in the plainest code that can be right.

Every other store is held against this one by property tests. It is also a store of its own (`memory://`) for one process
whose numbers may end with it. It favours clarity over speed, knows only the clock it is given, and does no I/O.
Reading changes nothing: what has had its time is left out of every answer, and only a commit takes it away.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from footfall.model import (
    DEFAULT_RETENTION,
    DUPLICATE,
    WHOLE_SITE,
    Batch,
    Breakdown,
    Count,
    Counts,
    Document,
    DropReason,
    Dump,
    Presence,
    Receipt,
    Retention,
    Section,
    Series,
    SiteBatch,
    SiteReceipt,
    Span,
    Tier,
    TopPages,
    oldest_kept,
)
from footfall.stores.base import MAX_EVENT_IDS, WRITER_MEMORY, Clock, Limits
from footfall.stores.memory.details import Details
from footfall.stores.memory.documents import Documents
from footfall.stores.retention import SITE_KIND, Keeping

BatchId = tuple[str, int]


@dataclass
class _Writer:
    sequence: int
    at: int
    lasting: bool
    refused: frozenset[str] = frozenset()


@dataclass
class _Event:
    until: int
    counted_by: BatchId


@dataclass
class _Site:
    #: how long its buckets are kept, by what its document says now
    retention: Callable[[], Retention]
    details: Details
    newest: int = 0
    #: a day (UTC), and how many pages untimed views have opened in it
    opened: tuple[int, int] = (0, 0)
    #: views by tier, bucket start and page
    buckets: dict[Tier, dict[int, dict[str, int]]] = field(default_factory=lambda: {tier: {} for tier in Tier})
    writers: dict[str, _Writer] = field(default_factory=dict)
    events: dict[str, _Event] = field(default_factory=dict)


class MemoryStore:
    """Counts in dictionaries. `event_id_ttl` is in seconds."""

    def __init__(
        self,
        clock: Clock,
        retention: Retention = DEFAULT_RETENTION,
        event_id_ttl: int = 600,
        limits: Limits = Limits(),  # noqa: B008 - a tuple can't change
    ) -> None:
        self._clock = clock
        self._keeping = Keeping(retention)
        self._event_id_ttl = event_id_ttl
        self._limits = limits
        self._sites: dict[str, _Site] = {}
        self._documents = Documents(clock)

    def _new_site(self, name: str) -> _Site:
        def retention() -> Retention:
            document = self._documents.get(SITE_KIND, name)
            return self._keeping.of(document.value if document else None)

        return _Site(retention, Details(retention, self._limits))

    async def commit(self, batch: Batch) -> Receipt:
        return {name: self._commit_site(name, part, batch) for name, part in batch.sites.items()}

    async def rehearse(self, batch: Batch) -> None:  # noqa: ARG002 - it takes every batch
        return

    def _commit_site(self, name: str, part: SiteBatch, batch: Batch) -> SiteReceipt:
        site = self._sites.setdefault(name, self._new_site(name))
        now = self._now(site)
        batch_id = (batch.writer, batch.sequence)
        writer = self._writer(site, batch.writer, now)
        opened: frozenset[str] = frozenset()
        if writer is None or batch.sequence > writer.sequence:
            if now > site.newest:
                self._expire(site, now)
                site.newest = now
            duplicates = self._duplicates(site, part, batch_id, now)
            opened, refused = self._open_pages(site, part, duplicates, now)
            site.writers[batch.writer] = writer = _Writer(batch.sequence, now, batch.lasting, refused)
            self._apply(site, part, batch_id, now, duplicates, refused)
        duplicates = self._duplicates(site, part, batch_id, now)
        counts = {page: self._count(site, page, batch.window, now) for page in part.wanted}
        refused = writer.refused if writer.sequence == batch.sequence else frozenset()
        return SiteReceipt(writer.at, counts, duplicates, refused, opened)

    @staticmethod
    def _duplicates(site: _Site, part: SiteBatch, batch_id: BatchId, now: int) -> frozenset[str]:
        known = {id: site.events[id] for id in part.events if id in site.events}
        return frozenset(id for id, event in known.items() if event.until > now and event.counted_by != batch_id)

    def _open_pages(
        self, site: _Site, part: SiteBatch, duplicates: frozenset[str], now: int
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The pages that this batch opens, and those that it may not."""
        events = [event for id, event in part.events.items() if id not in duplicates]
        timed = {page for page, _ in part.timed} | {page for page, at in events if at is not None}
        known = site.buckets[Tier.TOTAL].get(0, {})
        day, opened_today = site.opened if site.opened[0] == Tier.DAY.start(now) else (Tier.DAY.start(now), 0)
        opened, refused = set(), set()
        for page in dict.fromkeys([*part.pages, *(page for page, at in events if at is None)]):
            if page not in known and page not in timed:
                if page in part.known_only or 0 < part.most_new_pages <= opened_today:
                    refused.add(page)
                else:
                    opened.add(page)
                    opened_today += 1
        site.opened = day, opened_today
        return frozenset(opened if part.most_new_pages else ()), frozenset(refused)

    def _apply(
        self, site: _Site, part: SiteBatch, batch_id: BatchId, now: int, duplicates: frozenset[str], refused: frozenset[str]
    ) -> None:
        """Count a batch, less its duplicates and what it may not open."""
        events = {id: event for id, event in part.events.items() if id not in duplicates}
        counted = {id: (page, at) for id, (page, at) in events.items() if at is not None or page not in refused}
        for id in counted:
            if len(site.events) < MAX_EVENT_IDS:
                site.events[id] = _Event(now + self._event_id_ttl, batch_id)
        views: list[tuple[str, int | None, int]] = [(page, None, n) for page, n in part.pages.items() if page not in refused]
        views += [(page, at, n) for (page, at), n in part.timed.items()]
        views += [(page, at, 1) for page, at in counted.values()]
        for page, at, n in views:
            self._bump(site, page, _second(at, now), now, n)
        traits = [(page, at, traits, n) for (page, at, traits), n in part.traits.items() if at is not None or page not in refused]
        visitors = [(page, at, who) for (page, at), who in part.visitors.items() if at is not None or page not in refused]
        for id, (of_view, visitor) in part.visits.items():
            if id in counted:
                traits.append((*counted[id], of_view, 1))
                visitors += [] if visitor is None else [(*counted[id], {visitor})]
        for page, at, of_views, n in traits:
            site.details.add_traits(page, _second(at, now), now, of_views, n)
        for page, at, who in visitors:
            site.details.add_visitors(page, _second(at, now), now, who)
        for outcome, n in part.outcomes.items():
            site.details.add_outcome(outcome, now, n)
        site.details.add_outcome(DUPLICATE, now, len(duplicates))
        refused_views = sum(n for page, n in part.pages.items() if page in refused) + len(events) - len(counted)
        site.details.add_outcome(DropReason.TOO_MANY_PAGES, now, refused_views)

    def _bump(self, site: _Site, page: str, at: int, now: int, views: int) -> None:
        retention = site.retention()
        for tier, buckets in site.buckets.items():
            start = tier.start(at)
            if start >= oldest_kept(tier, retention, now):
                bucket = buckets.setdefault(start, defaultdict(int))
                bucket[page] += views
                bucket[WHOLE_SITE] += views

    def _now(self, site: _Site) -> int:
        return max(int(self._clock()), site.newest)

    def _kept(self, site: _Site, tier: Tier, now: int) -> dict[int, dict[str, int]]:
        """The buckets of a tier that are kept at `now`, by their start."""
        oldest = oldest_kept(tier, site.retention(), now)
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
        site.details.expire(now)

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

        today = self._kept(site, Tier.DAY, now).get(Tier.DAY.start(now), {}).get(page, 0)
        return Count(views(Span(Tier.SECOND, window)), today, views(Span(Tier.TOTAL, 1)))

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
        return TopPages(now, _ranked(views, limit, after))

    async def breakdown(
        self, site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None = None
    ) -> Breakdown:
        known, now = self._look(site)
        return Breakdown(now, _ranked(known.details.breakdown(page, dimension, span, now), limit, after))

    async def visitors(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        known, now = self._look(site)
        return Series(now, [(at, known.details.visitors(page, tier, at, now)) for at in tier.starts(start, end)])

    async def present(self, site: str) -> Presence:
        known, now = self._look(site)
        return Presence(now, known.details.present(now))

    async def document(self, kind: str, key: str) -> Document | None:
        return self._documents.get(kind, key)

    async def documents(self, kind: str) -> list[Document]:
        return self._documents.list(kind)

    async def put_document(
        self, kind: str, key: str, value: bytes | None, *, version: int | None = None, until: int | None = None
    ) -> int | None:
        return self._documents.put(kind, key, value, version, until)

    async def sites(self) -> list[str]:
        return sorted(self._sites)

    async def dump(self, site: str, section: Section, tier: Tier, after: str | None = None, limit: int = 10_000) -> Dump:
        known, now = self._look(site)
        rows: list[tuple[int | str, ...]]
        if section is Section.VIEWS:
            rows = [(at, page, n) for at, pages in self._kept(known, tier, now).items() for page, n in pages.items()]
        elif section is Section.TRAITS:
            rows = [*known.details.trait_rows(tier, now)]
        elif section is Section.VISITORS:
            rows = [*known.details.visitor_rows(tier, now)]
        else:
            rows = [(name, writer.sequence) for name, writer in known.writers.items() if writer.lasting]
        rows.sort()
        if after is not None:
            last = tuple(json.loads(after))
            rows = [row for row in rows if row > last]
        return Dump(now, rows[:limit], json.dumps(rows[limit - 1]) if len(rows) > limit else None)

    async def load(self, site: str, section: Section, tier: Tier, rows: Sequence[tuple[Any, ...]]) -> None:
        known = self._sites.setdefault(site, self._new_site(site))
        now = self._now(known)
        if section is Section.VISITORS:
            oldest = known.details.oldest_visitors(tier, now)
        else:
            oldest = oldest_kept(tier, known.retention(), now)
        for row in rows if section is Section.WRITERS else (row for row in rows if row[0] >= oldest):
            if section is Section.VIEWS:
                at, page, n = row
                known.buckets[tier].setdefault(at, defaultdict(int))[page] += n
                if tier is Tier.SECOND:
                    known.newest = max(known.newest, at)
            elif section is Section.TRAITS:
                at, page, dimension, value, n = row
                known.details.load_traits(tier, at, page, (dimension, value), n)
            elif section is Section.VISITORS:
                at, page, n = row
                known.details.load_visitors(tier, at, page, n)
            else:
                name, sequence = row
                known.writers[name] = _Writer(sequence, self._now(known), lasting=True)

    def _look(self, name: str) -> tuple[_Site, int]:
        """A site and its now; nothing is remembered of a site never written to."""
        site = self._sites.get(name) or self._new_site(name)
        return site, self._now(site)

    async def forget(self, site: str, page: str | None = None) -> None:
        if page is None:
            self._sites.pop(site, None)
        elif page != WHOLE_SITE and site in self._sites:
            for buckets in self._sites[site].buckets.values():
                for bucket in buckets.values():
                    bucket.pop(page, None)
            self._sites[site].details.forget_page(page)

    async def ping(self) -> None:
        return

    async def warnings(self) -> list[str]:
        return ["numbers in memory end with the process"]

    async def close(self) -> None:
        return


def _second(at: int | None, now: int) -> int:
    """The second a view is counted in, by its own time: none and one to come are now."""
    return now if at is None else min(at, now)


def _ranked(views: Mapping[str, int], limit: int, after: tuple[int, str] | None) -> list[tuple[str, int]]:
    """Names by their views, most first, equals by name, at most `limit` of those behind `after`."""
    ranked = sorted((-n, name) for name, n in views.items())
    if after is not None:
        ranked = [entry for entry in ranked if entry > (-after[0], after[1])]
    return [(name, -n) for n, name in ranked[:limit]]
