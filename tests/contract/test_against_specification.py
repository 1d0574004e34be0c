"""Every backend side by side with the specification: the same calls under the same clock must get the same answers.

Hypothesis makes up what happens (batches of every kind, sent once or again, a clock that goes on, jumps and runs backward,
pages and sites forgotten, stores closed and opened) and shortens what it finds to the fewest steps that show a difference.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from footfall.errors import StoreUnavailable
from footfall.model import DAY, HOUR, PERIODS, WHOLE_SITE, Batch, SiteBatch, Span, Tier, TopPages
from footfall.stores import Store
from footfall.stores.base import WRITER_MEMORY
from tests.contract.conftest import BACKENDS, SHORT, Backend, Clock, Place, placed, utc

T = TypeVar("T")

EVENT_ID_TTL = 100
SITES = ("a.example", "b.example", "c.example")
PAGES = ("/", "/a", "/b", "/é")
LINES = (*PAGES, WHOLE_SITE)
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

Part = dict[str, Any]


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
        self.asked = 0

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def open(self, place: Place) -> Store:
        return place.open(SHORT, EVENT_ID_TTL)

    def teardown(self) -> None:
        try:
            self.run(self.compare_everything())
        finally:
            self.run(self.open_places.aclose())
            self.runner.close()

    @initialize(t=st.sampled_from(BEGINNINGS), others=st.sampled_from((0, 20, 40)))
    def begin(self, t: int, others: int) -> None:
        """Other sites come first: a store may spread the sites over time in the order in which they came."""
        self.clock.set(t)
        self.send(Batch("before", 1, {f"{i}.example": SiteBatch({"/": 1}) for i in range(others)}))

    # What happens

    @rule(after=edges, site=sites, part=plain, writer=writers, window=windows)
    def commit_plain_views(self, after: int, site: str, part: Part, writer: str, window: int) -> None:
        self.commit(after, writer, window, {site: part | {"wanted": frozenset(part["pages"])}})

    @rule(after=edges, site=sites, part=timed, writer=writers, window=windows)
    def commit_views_with_times(self, after: int, site: str, part: Part, writer: str, window: int) -> None:
        self.commit(after, writer, window, {site: part})

    @rule(after=edges, site=sites, part=events, writer=writers, window=windows)
    def commit_views_with_ids(self, after: int, site: str, part: Part, writer: str, window: int) -> None:
        self.commit(after, writer, window, {site: part})

    @rule(
        after=edges,
        parts=st.dictionaries(sites, mixed | wanted, min_size=1),
        writer=writers,
        window=windows,
        skipped=st.integers(0, 3),
        lasting=st.booleans(),
    )
    def commit_everything(
        self, after: int, parts: dict[str, Part], writer: str, window: int, skipped: int, lasting: bool
    ) -> None:
        self.sequences[writer] += skipped
        self.commit(after, writer, window, parts, lasting)

    def commit(self, after: int, writer: str, window: int, parts: dict[str, Part], lasting: bool = False) -> None:
        self.clock.advance(after)
        self.sequences[writer] += 1
        now = self.clock.second
        sites = {
            site: SiteBatch(
                part.get("pages", {}),
                {(page, now - age): views for (page, age), views in part.get("timed", {}).items()},
                {id: (page, None if age is None else now - age) for id, (page, age) in part.get("events", {}).items()},
                part.get("wanted", frozenset()),
            )
            for site, part in parts.items()
        }
        self.sent.append(Batch(writer, self.sequences[writer], sites, window, lasting))
        self.send(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(back=st.integers(0, 5))
    def send_again(self, back: int) -> None:
        self.send(self.sent[-1 - back % len(self.sent)])

    def send(self, batch: Batch) -> None:
        self.run(self.compare(lambda store: store.commit(batch)))

    @rule(seconds=edges | st.just(0.5))
    def go_on(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(tier=st.sampled_from((Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.MONTH)), short=st.sampled_from((0, 1)))
    def go_on_to_an_edge(self, tier: Tier, short: int) -> None:
        self.clock.set(tier.back(self.clock.second, -1) - short)

    @rule(seconds=st.sampled_from((1, 2, 30, 60, 61, 600, HOUR, DAY)))
    def run_backward(self, seconds: int) -> None:
        self.clock.advance(-seconds)

    @rule(site=sites, page=lines)
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

    @rule(site=sites, page=lines, tier=st.sampled_from(Tier), age=edges, width=st.integers(0, 90))
    def compare_series(self, site: str, page: str, tier: Tier, age: int, width: int) -> None:
        start = self.clock.second - age
        end = start + width * (tier.width if tier not in (Tier.MONTH, Tier.TOTAL) else DAY)
        self.run(self.compare(lambda store: store.series(site, page, tier, start, end)))

    @invariant()
    def one_question_of_each_kind_gets_the_same_answer(self) -> None:
        self.asked += 1
        self.run(self.compare_one_of_each(self.asked))

    async def compare_one_of_each(self, n: int) -> None:
        for site in SITES:
            await self.compare_counts(site, WINDOWS[n % len(WINDOWS)])
            await self.compare_newest(site, LINES[n % len(LINES)], tuple(Tier)[n // 5 % 6])
            await self.compare_top(site, SPANS[n % len(SPANS)])
            await self.compare_applied(site, WRITERS[n % len(WRITERS)])

    async def compare_everything(self) -> None:
        for site in SITES:
            for window in WINDOWS:
                await self.compare_counts(site, window)
            for line in LINES:
                for tier in Tier:
                    await self.compare_newest(site, line, tier)
            for span in SPANS:
                await self.compare_top(site, span)
            for writer in WRITERS:
                await self.compare_applied(site, writer)

    async def compare_counts(self, site: str, window: int) -> None:
        await self.compare(lambda store: store.counts(site, [*LINES, "/never"], window))

    async def compare_newest(self, site: str, page: str, tier: Tier) -> None:
        await self.compare(lambda store: store.newest(site, page, Span(tier, 40)))

    async def compare_applied(self, site: str, writer: str) -> None:
        await self.compare(lambda store: store.applied(site, writer))

    async def compare_top(self, site: str, span: Span) -> None:
        """The whole list, in parts of two, three, four pages and so on."""
        after: tuple[int, str] | None = None
        for limit in itertools.count(2):
            listed = await self.compare(functools.partial(_top, site, span, limit, after))
            if len(listed.pages) < limit:
                break
            page, views = listed.pages[-1]
            after = views, page

    async def compare(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        answer, specified = await _answer(ask, self.store), await ask(self.specification)
        assert answer == specified
        return answer


async def _answer(ask: Callable[[Store], Coroutine[Any, Any, T]], store: Store) -> T:
    """What the store says, at the second asking where the machine was too busy for the first: the contract allows for that."""
    try:
        return await ask(store)
    except StoreUnavailable:
        return await ask(store)


async def _top(site: str, span: Span, limit: int, after: tuple[int, str] | None, store: Store) -> TopPages:
    return await store.top(site, span, limit, after)


def compare(backend: Backend, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type(f"Comparison[{backend.name}]", (Comparison,), {"backend": backend}),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


ROWS = [row for row in BACKENDS if not row.is_specification]

#: How many histories a run of the tests tries, shared out among the backends: about half a minute's worth.
EXAMPLES = 120

compared = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@pytest.mark.timeout(600)  # finding a difference takes seconds, shortening what led to it up to five minutes
@compared
def test_every_backend_answers_as_the_specification_does(row: Backend) -> None:
    """Whatever is committed, repeated, forgotten and reopened, and however the clock goes, the answers are the same."""
    compare(row, examples=EXAMPLES // len(ROWS), steps=30)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@compared
def test_every_backend_answers_as_the_specification_does_for_long(row: Backend) -> None:
    """The same, with many more and longer histories."""
    compare(row, examples=150, steps=60)
