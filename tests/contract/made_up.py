"""What may happen to a store, for Hypothesis to make up: batches of every kind, few sites and pages, seconds near edges."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from footfall.model import DAY, HOUR, OUTCOME, PERIODS, WHOLE_SITE, Span, Tier
from footfall.stores.base import WRITER_MEMORY, Limits
from tests.contract.conftest import utc
from tests.contract.test_details import traits

EVENT_ID_TTL = 100
SITES = ("a.example", "b.example", "c.example")
PAGES = ("/", "/a", "/b", "/é")
LINES = (*PAGES, WHOLE_SITE)
WRITERS = ("w", "v", "import")
WINDOWS = (1, 7, 60, 540)
LIMITS = Limits(values=3, pages=2, page_values=2)
DIMENSIONS = ("referrer", "device", OUTCOME)
VISITORS = tuple(random.Random(7).getrandbits(64) for _ in range(20))
KINDS = ("site", "salt")
KEYS = ("x", "y")
SPANS = (*PERIODS.values(), *(Span(Tier.SECOND, window) for window in WINDOWS), Span(Tier.MINUTE, 5), Span(Tier.DAY, 3))

#: How long a site may be kept, as the rules of its document say it: longest first. All are longer or shorter than SHORT, or that.
RETENTIONS: tuple[dict[str, int], ...] = (
    {"retention_second": 700, "retention_minute": 3600, "retention_hour": DAY, "retention_day": 9 * DAY},
    {"retention_day": 7 * DAY},
    {},
    {"retention_hour": 2 * HOUR, "retention_day": 3 * DAY},
    {"retention_minute": 600, "retention_hour": HOUR, "retention_day": DAY},
)
DETAILS = (*PERIODS.values(), Span(Tier.HOUR, 1), Span(Tier.DAY, 3), Span(Tier.MONTH, 2))

#: Seconds near which something ends: windows, minutes, lifetimes, retentions.
EDGES = (
    0,
    1,
    2,
    7,
    59,
    60,
    61,
    99,
    100,
    101,
    110,
    170,
    539,
    599,
    600,
    1799,
    1800,
    3600,
    3 * HOUR,
    DAY,
    5 * DAY,
    WRITER_MEMORY,
    40 * DAY,
)

BEGINNINGS = tuple(
    utc(text)
    for text in (
        "2026-03-18 14:25:30",
        "2026-03-31 23:59:58",
        "2024-02-28 23:59:01",
        "2024-02-29 23:58:59",
        "2025-12-31 22:59:00",
    )
)

pages = st.sampled_from(PAGES)
lines = st.sampled_from(LINES)
sites = st.sampled_from(SITES)
writers = st.sampled_from(WRITERS)
windows = st.sampled_from(WINDOWS)
edges = st.sampled_from(EDGES) | st.integers(0, 200)

#: How old a view with its own time is, in seconds; below zero it is still to come.
ages = edges | st.integers(-100, -1)

#: One site's part of a batch, with ages where times will stand.
plain = st.fixed_dictionaries({"pages": st.dictionaries(pages, st.integers(1, 5), min_size=1, max_size=3)})
timed = st.fixed_dictionaries({"timed": st.dictionaries(st.tuples(pages, ages), st.integers(1, 5), min_size=1, max_size=4)})
events = st.fixed_dictionaries(
    {"events": st.dictionaries(st.sampled_from("xyz"), st.tuples(pages, st.none() | ages), min_size=1)}
)
wanted = st.fixed_dictionaries({"wanted": st.frozensets(st.sampled_from((*PAGES, WHOLE_SITE, "/never")))})
mixed = st.tuples(plain, timed, events, wanted).map(lambda parts: {name: value for part in parts for name, value in part.items()})

#: One view, as it comes: its page, age, event id, traits and visitor. Visitors of so small a number are counted exactly.
views = st.tuples(
    pages,
    st.none() | ages,
    st.none() | st.sampled_from("xyz"),
    st.builds(traits, referrer=st.sampled_from(["", *"abcde", "(other)"]), device=st.sampled_from(["", "phone", "desktop"]))
    | st.just(()),
    st.none() | st.sampled_from(VISITORS),
)
outcomes = st.dictionaries(st.sampled_from(("bot", "rate")), st.integers(1, 3))
limited = st.fixed_dictionaries({"most_new_pages": st.integers(0, 4), "known_only": st.frozensets(pages, max_size=2)})

Part = dict[str, Any]


def gathered(views: list[tuple[Any, ...]]) -> Part:
    """Views as a part of a batch, summed up the way the counter does it."""
    part: Part = {"pages": {}, "timed": {}, "events": {}, "traits": {}, "visitors": {}, "visits": {}}
    for page, age, id, of_view, visitor in views:
        if id is not None:
            part["events"].setdefault(id, (page, age))
            part["visits"].setdefault(id, (of_view, visitor))
            continue
        if age is None:
            part["pages"][page] = part["pages"].get(page, 0) + 1
        else:
            part["timed"][page, age] = part["timed"].get((page, age), 0) + 1
        part["traits"][page, age, of_view] = part["traits"].get((page, age, of_view), 0) + 1
        if visitor is not None:
            part["visitors"].setdefault((page, age), set()).add(visitor)
    return part


detailed = st.lists(views, min_size=1, max_size=8).map(gathered)
everything = st.tuples(detailed, limited, wanted, outcomes.map(lambda of: {"outcomes": of})).map(
    lambda parts: {name: value for part in parts for name, value in part.items()}
)
