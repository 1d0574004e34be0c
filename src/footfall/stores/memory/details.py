"""What the specification keeps of a site beside its views: traits by hour, day and month, and visitors.

Like all of the specification it favours clarity over speed. It knows the rules of detail (which pages have a place in a day,
which values are counted as OTHER, when a visitor comes too late) and leaves the clock, the writers and the views to `memory.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from footfall.model import (
    DIMENSIONS,
    OTHER,
    OUTCOME,
    PRESENCE_MINUTES,
    WHOLE_SITE,
    Retention,
    Span,
    Tier,
    Traits,
    oldest_kept,
)
from footfall.stores.base import VISITOR_GRACE, VISITOR_HOURS, Limits, detail_tier
from footfall.stores.hyperloglog import Sketch

#: (dimension, value)
Trait = tuple[str, str]

#: Tiers that have traits, of the site and of a page; and tiers that have visitors.
SITE_TIERS = (Tier.HOUR, Tier.DAY, Tier.MONTH)
PAGE_TIERS = (Tier.HOUR, Tier.DAY)
VISITOR_TIERS = (Tier.HOUR, Tier.DAY)


class Details:
    """One site's traits and visitors; `retention` tells how long they are kept."""

    def __init__(self, retention: Callable[[], Retention], limits: Limits) -> None:
        self._retention = retention
        self._limits = limits
        #: views by tier, bucket start, page and trait
        self.traits: dict[Tier, dict[int, dict[str, dict[Trait, int]]]] = {tier: {} for tier in SITE_TIERS}
        #: visitors by tier, bucket start and page: as they came, and as numbers that were loaded
        self._sketches: dict[Tier, dict[int, dict[str, Sketch]]] = {tier: {} for tier in (Tier.MINUTE, *VISITOR_TIERS)}
        self._loaded: dict[Tier, dict[int, dict[str, int]]] = {tier: {} for tier in VISITOR_TIERS}

    # Adding

    def add_traits(self, page: str, at: int, now: int, traits: Traits, views: int) -> None:
        """Count the traits of some views of a page at second `at`."""
        day = Tier.DAY.start(at)
        if not traits or day < self._oldest(Tier.DAY, now):
            return
        today = self.traits[Tier.DAY].setdefault(day, {WHOLE_SITE: defaultdict(int)})
        has_place = page in today or len(today) - 1 < self._limits.pages
        for dimension, value in zip(DIMENSIONS, traits, strict=True):
            if value:
                of_site = _allowed(today[WHOLE_SITE], dimension.name, value, self._limits.values)
                self._bump(SITE_TIERS, WHOLE_SITE, at, now, (dimension.name, of_site), views)
                if has_place:
                    of_page = _allowed(today.get(page, {}), dimension.name, of_site, self._limits.page_values)
                    self._bump(PAGE_TIERS, page, at, now, (dimension.name, of_page), views)

    def add_outcome(self, outcome: str, now: int, views: int) -> None:
        """Count views that were not counted."""
        if views:
            self._bump(SITE_TIERS, WHOLE_SITE, now, now, (OUTCOME, outcome), views)

    def _bump(self, tiers: Iterable[Tier], page: str, at: int, now: int, trait: Trait, views: int) -> None:
        for tier in tiers:
            start = tier.start(at)
            if start >= self._oldest(tier, now):
                pages = self.traits[tier].setdefault(start, {WHOLE_SITE: defaultdict(int)})
                pages.setdefault(page, defaultdict(int))[trait] += views

    def add_visitors(self, page: str, at: int, now: int, visitors: Iterable[int]) -> None:
        """Add visitors of a page at second `at`."""
        pages = [WHOLE_SITE]
        if page in self.traits[Tier.DAY].get(Tier.DAY.start(at), {}):
            pages.append(page)
        for tier in VISITOR_TIERS:
            start = tier.start(at)
            if start >= self.oldest_visitors(tier, now) and start + tier.width + VISITOR_GRACE > now:
                for each in pages:
                    self._sketches[tier].setdefault(start, {}).setdefault(each, Sketch()).add(visitors)
        if at > self._before_presence(now):
            self._sketches[Tier.MINUTE].setdefault(Tier.MINUTE.start(at), {}).setdefault(WHOLE_SITE, Sketch()).add(visitors)

    # Reading

    def breakdown(self, page: str, dimension: str, span: Span, now: int) -> Mapping[str, int]:
        """The values of a dimension in a span, and their views."""
        tier = detail_tier(span.tier, page)
        first = max(span.start(now), self._oldest(tier, now))
        views: dict[str, int] = defaultdict(int)
        for start, pages in self.traits[tier].items():
            if start >= first:
                for (name, value), n in pages.get(page, {}).items():
                    if name == dimension:
                        views[value] += n
        return views

    def visitors(self, page: str, tier: Tier, start: int, now: int) -> int:
        """The visitors of the bucket of a tier that begins at `start`."""
        if start < self.oldest_visitors(tier, now):
            return 0
        sketch = self._sketches[tier].get(start, {}).get(page)
        return self._loaded[tier].get(start, {}).get(page, 0) + (len(sketch) if sketch else 0)

    def present(self, now: int) -> int:
        """The visitors of the newest minutes."""
        merged = Sketch()
        for start, pages in self._sketches[Tier.MINUTE].items():
            if start > self._before_presence(now):
                merged.merge(pages[WHOLE_SITE])
        return len(merged)

    # Dumping and loading

    def trait_rows(self, tier: Tier, now: int) -> list[tuple[int, str, str, str, int]]:
        """All traits of a tier."""
        kept = ((start, pages) for start, pages in self.traits[tier].items() if start >= self._oldest(tier, now))
        return [
            (start, page, *trait, views)
            for start, pages in kept
            for page, traits in pages.items()
            for trait, views in traits.items()
        ]

    def visitor_rows(self, tier: Tier, now: int) -> list[tuple[int, str, int]]:
        """All visitors of a tier."""
        lines = {
            (at, page) for known in (self._sketches[tier], self._loaded[tier]) for at, pages in known.items() for page in pages
        }
        rows = [(at, page, self.visitors(page, tier, at, now)) for at, page in lines]
        return [row for row in rows if row[2]]

    def load_traits(self, tier: Tier, start: int, page: str, trait: Trait, views: int) -> None:
        """Add a row of a dump."""
        pages = self.traits[tier].setdefault(start, {WHOLE_SITE: defaultdict(int)})
        pages.setdefault(page, defaultdict(int))[trait] += views

    def load_visitors(self, tier: Tier, start: int, page: str, visitors: int) -> None:
        """Add a row of a dump."""
        self._loaded[tier].setdefault(start, defaultdict(int))[page] += visitors

    # Ending

    def forget_page(self, page: str) -> None:
        """Remove a page; its place in a day is free again."""
        for known in (self.traits, self._sketches, self._loaded):
            for buckets in known.values():
                for pages in buckets.values():
                    pages.pop(page, None)

    def expire(self, now: int) -> None:
        """Take away what has had its time."""
        for tier, traits in self.traits.items():
            self.traits[tier] = {start: pages for start, pages in traits.items() if start >= self._oldest(tier, now)}
        for tier in VISITOR_TIERS:
            oldest = self.oldest_visitors(tier, now)
            self._sketches[tier] = {start: pages for start, pages in self._sketches[tier].items() if start >= oldest}
            self._loaded[tier] = {start: pages for start, pages in self._loaded[tier].items() if start >= oldest}
        minutes = self._sketches[Tier.MINUTE].items()
        self._sketches[Tier.MINUTE] = {start: pages for start, pages in minutes if start > self._before_presence(now)}

    def _oldest(self, tier: Tier, now: int) -> int:
        return oldest_kept(tier, self._retention(), now)

    def oldest_visitors(self, tier: Tier, now: int) -> int:
        """The least bucket start of a tier of which visitors are known."""
        oldest = self._oldest(tier, now)
        return max(oldest, now - VISITOR_HOURS + 1) if tier is Tier.HOUR else oldest

    @staticmethod
    def _before_presence(now: int) -> int:
        return Tier.MINUTE.back(now, PRESENCE_MINUTES - 1) - 1


def _allowed(there: Mapping[Trait, int], dimension: str, value: str, limit: int) -> str:
    """The value that is counted: OTHER where so many others stand there that this one has no room."""
    values = {name: n for (of, name), n in there.items() if of == dimension and name != OTHER}
    return value if value in values or len(values) < limit else OTHER
