"""Every backend side by side with the specification: the same calls under the same clock must get the same answers.

Hypothesis makes up what happens (batches of every kind, sent once or again, a clock that goes on, jumps and runs backward,
pages and sites forgotten, stores closed and opened) and shortens what it finds to the fewest steps that show a difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from footfall.model import DAY, HOUR, MINUTE, PERIODS, WHOLE_SITE, Batch, SiteBatch, Span, Tier
from footfall.stores import Store
from footfall.stores.base import WRITER_MEMORY
from tests.contract.conftest import BACKENDS, SHORT, Backend, Clock, Place, placed, utc

T = TypeVar("T")

EVENT_ID_TTL = 100
SITES = ("a.example", "b.example", "c.example")
PAGES = ("/", "/a", "/b", "/é")
WRITERS = ("w", "v", "import")
WINDOWS = (1, 7, 60, 540)
SPANS = (*PERIODS.values(), *(Span(Tier.SECOND, window) for window in WINDOWS), Span(Tier.MINUTE, 5), Span(Tier.DAY, 3))

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
sites = st.sampled_from(SITES)
edges = st.sampled_from(EDGES) | st.integers(0, 200)

#: How old a view with its own time is, in seconds; below zero it is still to come.
ages = edges | st.integers(-100, -1)

#: One site's part of a batch, with ages where times will stand.
parts = st.fixed_dictionaries(
    {
        "pages": st.dictionaries(pages, st.integers(1, 5), max_size=3),
        "timed": st.dictionaries(st.tuples(pages, ages), st.integers(1, 5), max_size=3),
        "events": st.dictionaries(st.sampled_from("uvwxyz"), st.tuples(pages, st.none() | ages), max_size=4),
        "wanted": st.frozensets(st.sampled_from((*PAGES, WHOLE_SITE, "/never"))),
    }
)


class Comparison(RuleBasedStateMachine):
    """A backend's store and the specification's, under one clock."""

    backend: ClassVar[Backend]
    specified_by: ClassVar[Backend] = next(row for row in BACKENDS if row.is_specification)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.open_places = AsyncExitStack()
        self.place = self.run(self.open_places.enter_async_context(placed(self.backend, self.clock)))
        self.store = self.open(self.place)
        self.specification = self.open(self.run(self.open_places.enter_async_context(placed(self.specified_by, self.clock))))
        self.sequences = dict.fromkeys(WRITERS, 0)
        self.sent: list[Batch] = []

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def open(self, place: Place) -> Store:
        return place.open(SHORT, EVENT_ID_TTL)

    def teardown(self) -> None:
        try:
            for site in SITES:
                self.compare_everything(site)
        finally:
            self.run(self.open_places.aclose())
            self.runner.close()

    @initialize(t=st.sampled_from(BEGINNINGS))
    def begin(self, t: int) -> None:
        self.clock.set(t)

    # What happens

    @rule(
        writer=st.sampled_from(WRITERS),
        skipped=st.sampled_from((0, 0, 0, 3)),
        window=st.sampled_from(WINDOWS),
        lasting=st.sampled_from((False, False, True)),
        parts=st.dictionaries(sites, parts, min_size=1),
    )
    def commit(self, writer: str, skipped: int, window: int, lasting: bool, parts: dict[str, dict[str, Any]]) -> None:
        self.sequences[writer] += 1 + skipped
        now = self.clock.second
        batch = Batch(
            writer,
            self.sequences[writer],
            {
                site: SiteBatch(
                    part["pages"],
                    {(page, now - age): views for (page, age), views in part["timed"].items()},
                    {id: (page, None if age is None else now - age) for id, (page, age) in part["events"].items()},
                    part["wanted"],
                )
                for site, part in parts.items()
            },
            window,
            lasting,
        )
        self.sent.append(batch)
        self.send(batch)

    @precondition(lambda self: self.sent)
    @rule(back=st.integers(0, 5))
    def send_again(self, back: int) -> None:
        self.send(self.sent[-1 - back % len(self.sent)])

    def send(self, batch: Batch) -> None:
        assert self.run(self.store.commit(batch)) == self.run(self.specification.commit(batch))

    @rule(seconds=edges | st.just(0.5))
    def go_on(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(tier=st.sampled_from((Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH)), short=st.sampled_from((0, 1)))
    def go_on_to_an_edge(self, tier: Tier, short: int) -> None:
        self.clock.set(tier.back(self.clock.second, -1) - short)

    @rule(seconds=st.sampled_from((1, 2, 30, 60, 61, 600, HOUR, DAY)))
    def run_backward(self, seconds: int) -> None:
        self.clock.advance(-seconds)

    @rule(site=sites, page=pages | st.just(WHOLE_SITE))
    def forget_page(self, site: str, page: str) -> None:
        self.run(self.store.forget(site, page))
        self.run(self.specification.forget(site, page))

    @rule(site=sites)
    def forget_site(self, site: str) -> None:
        self.run(self.store.forget(site))
        self.run(self.specification.forget(site))

    @precondition(lambda self: self.backend.lasts)
    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.open(self.place)

    # What is asked

    @rule(site=sites, window=st.sampled_from(WINDOWS))
    def compare_counts(self, site: str, window: int) -> None:
        asked = [*PAGES, WHOLE_SITE, "/never"]
        assert self.run(self.store.counts(site, asked, window)) == self.run(self.specification.counts(site, asked, window))

    @rule(site=sites, page=pages | st.just(WHOLE_SITE), span=st.sampled_from(SPANS))
    def compare_newest(self, site: str, page: str, span: Span) -> None:
        assert self.run(self.store.newest(site, page, span)) == self.run(self.specification.newest(site, page, span))

    @rule(site=sites, page=pages | st.just(WHOLE_SITE), tier=st.sampled_from(Tier), age=edges, width=edges)
    def compare_series(self, site: str, page: str, tier: Tier, age: int, width: int) -> None:
        width = min(width, 1000 * MINUTE if tier in (Tier.SECOND, Tier.MINUTE) else width)
        start = self.clock.second - age
        asked = (site, page, tier, start, start + min(width, 2000) if tier is Tier.SECOND else start + width)
        assert self.run(self.store.series(*asked)) == self.run(self.specification.series(*asked))

    @rule(site=sites, span=st.sampled_from(SPANS), limit=st.integers(1, 3))
    def compare_top(self, site: str, span: Span, limit: int) -> None:
        after = None
        while True:
            listed = self.run(self.store.top(site, span, limit, after))
            assert listed == self.run(self.specification.top(site, span, limit, after))
            if not listed.pages:
                break
            page, views = listed.pages[-1]
            after = (views, page)

    @rule(site=sites, writer=st.sampled_from((*WRITERS, "never")))
    def compare_applied(self, site: str, writer: str) -> None:
        assert self.run(self.store.applied(site, writer)) == self.run(self.specification.applied(site, writer))

    @invariant()
    def the_windows_agree(self) -> None:
        for site in SITES:
            self.compare_counts(site, 60)

    def compare_everything(self, site: str) -> None:
        for window in WINDOWS:
            self.compare_counts(site, window)
        for span in SPANS:
            self.compare_top(site, span, 2)
        for page in (*PAGES, WHOLE_SITE):
            for tier in Tier:
                self.compare_newest(site, page, Span(tier, 40))
        for writer in WRITERS:
            self.compare_applied(site, writer)


def compare(backend: Backend, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type(f"Comparison[{backend.name}]", (Comparison,), {"backend": backend}),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


compared = pytest.mark.parametrize("row", [row for row in BACKENDS if not row.is_specification], ids=lambda row: row.name)


@compared
def test_every_backend_answers_as_the_specification_does(row: Backend) -> None:
    """Whatever is committed, repeated, forgotten and reopened, and however the clock goes, the answers are the same."""
    compare(row, examples=60, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@compared
def test_every_backend_answers_as_the_specification_does_for_long(row: Backend) -> None:
    """The same, with many more and longer histories."""
    compare(row, examples=2000, steps=60)
