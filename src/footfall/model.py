"""The values that everything else is about: a view, a drop, a batch, a receipt, a tier.

All of them are frozen, know no store and no web, and use the words of the design. Times are whole Unix seconds (UTC).
This module imports nothing of ours.
"""

from __future__ import annotations

import calendar
import enum
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

#: The page under which a site's own line is kept: all its pages together. No real page is empty, each begins with "/".
WHOLE_SITE = ""

#: A page's path may be this long, in bytes of UTF-8.
MAX_PAGE_BYTES = 1024

#: A batch holds at most this many distinct entries, so that one store call stays short.
MAX_BATCH_ENTRIES = 2000

#: What a dimension's values beyond the limits are counted under.
OTHER = "(other)"

#: The pseudo-dimension of the ledger: what became of views that were received and not counted, by drop reason, and "duplicate".
OUTCOME = "outcome"
DUPLICATE = "duplicate"

#: A visitor is here now who had a view in the current minute or one of the four before it.
PRESENCE_MINUTES = 5

MINUTE = 60
HOUR = 3600
DAY = 86400


class Tier(enum.Enum):
    """A row of buckets of one width. Buckets begin at whole multiples of their width; months are calendar months (UTC)."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"

    def start(self, t: int) -> int:
        """The first second of the bucket that second `t` lies in."""
        if self in _WIDTHS:
            return t - t % _WIDTHS[self]
        if self is Tier.MONTH:
            moment = time.gmtime(t)
            return calendar.timegm((moment.tm_year, moment.tm_mon, 1, 0, 0, 0))
        return 0

    def back(self, t: int, buckets: int) -> int:
        """The first second of the bucket that lies `buckets` before the one `t` lies in (0: that one itself)."""
        if self in _WIDTHS:
            return self.start(t) - buckets * _WIDTHS[self]
        if self is Tier.MONTH:
            moment = time.gmtime(t)
            months = moment.tm_year * 12 + moment.tm_mon - 1 - buckets
            return calendar.timegm((months // 12, months % 12 + 1, 1, 0, 0, 0))
        return 0

    def starts(self, start: int, end: int) -> list[int]:
        """The first seconds of all buckets that begin in `start` <= t < `end`, rounded down at the start."""
        first = self.start(start)
        if self in _WIDTHS:
            return list(range(first, end, _WIDTHS[self]))
        if self is Tier.TOTAL:
            return [0] if end > 0 else []
        found = []
        while first < end:
            found.append(first)
            first = self.back(first, -1)
        return found

    @property
    def width(self) -> int:
        """Seconds in one bucket. Months and the total have no fixed width: ValueError."""
        if self not in _WIDTHS:
            raise ValueError(f"a {self.value} has no fixed width")
        return _WIDTHS[self]


_WIDTHS = {Tier.SECOND: 1, Tier.MINUTE: MINUTE, Tier.HOUR: HOUR, Tier.DAY: DAY}

#: How long a tier's buckets are kept, in seconds after their start; month and total have no row: they are kept for ever.
Retention = Mapping[Tier, int]
DEFAULT_RETENTION: Retention = {Tier.SECOND: 600, Tier.MINUTE: 48 * HOUR, Tier.HOUR: 90 * DAY, Tier.DAY: 730 * DAY}


def oldest_kept(tier: Tier, retention: Retention, now: int) -> int:
    """The least bucket start of `tier` that is still kept at `now`: a bucket is gone when it began `retention` seconds ago."""
    return now - retention[tier] + 1 if tier in retention else 0


class Span(msgspec.Struct, frozen=True):
    """The newest `buckets` buckets of a tier, the current one included. A window is a span of seconds."""

    tier: Tier
    buckets: int

    def start(self, now: int) -> int:
        """The first second of the span that ends with second `now`."""
        return self.tier.back(now, self.buckets - 1)


#: The periods that can be asked for by name. Each counts whole buckets, the current one included.
PERIODS: Mapping[str, Span] = {
    "24h": Span(Tier.HOUR, 24),
    "7d": Span(Tier.DAY, 7),
    "30d": Span(Tier.DAY, 30),
    "12mo": Span(Tier.MONTH, 12),
    "all": Span(Tier.TOTAL, 1),
}


class DropReason(enum.StrEnum):
    """Why a view was received and not counted: a closed list, shared by replies, metrics and pages."""

    UNKNOWN_SITE = "unknown-site"
    ORIGIN = "origin"
    BOT = "bot"
    PREFETCH = "prefetch"
    PRIVACY = "privacy"
    RATE = "rate"
    TOO_MANY_PAGES = "too-many-pages"
    BAD_PAGE = "bad-page"
    NOT_A_PAGE = "not-a-page"
    EXCLUDED = "excluded"
    UNREADABLE = "unreadable"


class Dimension(msgspec.Struct, frozen=True):
    """One thing that is known of a visit: `name` in paths and stores, `title` above its panel, `unit` for one of its values."""

    name: str
    title: str
    unit: str


#: Every dimension. `intake.traits` has the extractor of each; stores, API and pages iterate this and never name one.
DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("channel", "Channels", "channel"),
    Dimension("referrer", "Referrers", "site"),
    Dimension("campaign", "Campaigns", "campaign"),
    Dimension("browser", "Browsers", "browser"),
    Dimension("system", "Systems", "system"),
    Dimension("device", "Devices", "device"),
    Dimension("language", "Languages", "language"),
    Dimension("country", "Countries", "country"),
)

#: A visit's values, one a dimension in the order of DIMENSIONS; "" where nothing is known, which is not counted. Or (): none.
Traits = tuple[str, ...]


class View(msgspec.Struct, frozen=True):
    """One viewing of one page.

    `at` is set only where the view brings its own time (a log, an import); otherwise the store's clock decides.
    `event_id` makes a repeated sending recognisable: 16 to 64 of ``[A-Za-z0-9_-]``. `visitor` is a keyed hash of 64 bits that
    tells visitors of one site and day apart. A view that `may_open` counts on a page that the site has not had before.
    """

    site: str
    page: str
    at: int | None = None
    event_id: str | None = None
    traits: Traits = ()
    visitor: int | None = None
    may_open: bool = True


class Drop(msgspec.Struct, frozen=True):
    """A view that was received and is not counted. `site` is None where no known site was named."""

    reason: DropReason
    site: str | None


class SiteBatch(msgspec.Struct, frozen=True):
    """The views of one site in a batch, summed up.

    `pages`: views by page, counted in the second of the store's clock. `timed`: views by (page, own time).
    `events`: views that carry an event id, by id: (page, own time or None); they stand in neither of the two others.
    `wanted`: the pages whose counts the receipt shall bring.

    Of the views in `pages` and `timed`, by (page, own time or None): `traits`, how many had which, and `visitors`, whose they
    were. `visits` has both of the views in `events`, by id. `outcomes`: views that were received and not counted, by reason.

    `most_new_pages` (0: any number) bounds how many pages untimed views may open a day (UTC) that the site has not had before;
    those in `known_only` they may not open at all.
    """

    pages: Mapping[str, int] = {}
    timed: Mapping[tuple[str, int], int] = {}
    events: Mapping[str, tuple[str, int | None]] = {}
    wanted: frozenset[str] = frozenset()
    traits: Mapping[tuple[str, int | None, Traits], int] = {}
    visitors: Mapping[tuple[str, int | None], AbstractSet[int]] = {}
    visits: Mapping[str, tuple[Traits, int | None]] = {}
    outcomes: Mapping[str, int] = {}
    most_new_pages: int = 0
    known_only: AbstractSet[str] = frozenset()

    @property
    def views(self) -> int:
        """How many views these are."""
        return sum(self.pages.values()) + sum(self.timed.values()) + len(self.events)


class Batch(msgspec.Struct, frozen=True):
    """The views one instance commits together. (`writer`, `sequence`) is its id: a store applies it once, a site.

    `writer` is 128 random bits in hex, drawn by the process, or an import's hash; `sequence` only grows. `window` (seconds)
    is the width of the counts that are wanted back. A `lasting` writer is remembered for ever, any other for 7 days.
    """

    writer: str
    sequence: int
    sites: Mapping[str, SiteBatch]
    window: int = 60
    lasting: bool = False


class Count(msgspec.Struct, frozen=True):
    """A page's numbers at one moment: views in the window, today (UTC) and in total."""

    views: int
    today: int
    total: int


class Outcome(enum.StrEnum):
    """What became of a view that was not dropped."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    SPOOLED = "spooled"
    #: Its page is new, and beyond the number of new pages that its site or its address may bring.
    REFUSED = "refused"


class Settled(msgspec.Struct, frozen=True):
    """A view's outcome, the store second it was counted in, and its page's counts where they were asked for.

    `at` is None for a spooled view while the store's clock is not known.
    """

    outcome: Outcome
    at: int | None
    count: Count | None = None
    #: Whether it was this view that opened its page, where new pages are limited: of a batch's views of a new page, one did.
    opened: bool = False


class SiteReceipt(msgspec.Struct, frozen=True):
    """What a commit says of one site.

    `at` is the store second the views went into; `counts` has the pages asked for; `duplicates` the event ids counted before.
    `refused` are new pages beyond a limit, whose untimed views were not counted; `opened`, where there is a limit, those that
    the batch's untimed views have opened.
    """

    at: int
    counts: Mapping[str, Count] = {}
    duplicates: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()


Receipt = Mapping[str, SiteReceipt]


class Counts(msgspec.Struct, frozen=True):
    """The counts of some pages at the store's second `at`, which is the last second of the window."""

    at: int
    pages: Mapping[str, Count]


class Series(msgspec.Struct, frozen=True):
    """Views by bucket: `points` are (bucket start, views), oldest first, empty buckets as 0. `at` is the store's second."""

    at: int
    points: list[tuple[int, int]]


class Breakdown(msgspec.Struct, frozen=True):
    """Values of a dimension and their views, most viewed first, equals by name; `at` is the store's second."""

    at: int
    values: list[tuple[str, int]]


class Presence(msgspec.Struct, frozen=True):
    """How many visitors a site has now (an estimate); `at` is the store's second."""

    at: int
    visitors: int


class Document(msgspec.Struct, frozen=True):
    """Something small that is not a count: a site's settings, a token, a session, a salt.

    `version` grows with every change in its kind, and never comes again. `until` is the store's second at which it is gone.
    """

    key: str
    value: bytes
    version: int
    until: int | None = None


class Section(enum.StrEnum):
    """A part of what a store has of a site, as it is dumped and loaded, with the shape of its rows."""

    #: (bucket start, page or WHOLE_SITE, views)
    VIEWS = "views"
    #: (bucket start, page or WHOLE_SITE, dimension or OUTCOME, value, views); hours, days and months
    TRAITS = "traits"
    #: (bucket start, page or WHOLE_SITE, visitors, an estimate); hours and days
    VISITORS = "visitors"
    #: (writer, sequence): the lasting ones; no tier
    WRITERS = "writers"


class Dump(msgspec.Struct, frozen=True):
    """Some rows of a section, in the store's own order; `after` continues behind them, None where these were the last."""

    at: int
    rows: list[tuple[int | str, ...]]
    after: str | None


class TopPages(msgspec.Struct, frozen=True):
    """Pages and their views, most viewed first, equals by name; `at` is the store's second."""

    at: int
    pages: list[tuple[str, int]]
