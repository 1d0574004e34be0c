"""Every backend side by side with the specification: the same calls under the same clock must get the same answers.

Hypothesis makes up what happens (batches of every kind, sent once or again, a clock that goes on, jumps and runs backward, pages
and sites forgotten, sites dumped and loaded, kept longer and shorter, documents, stores closed and opened) and shortens what it
finds to the fewest steps that show a difference.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from footfall.errors import StoreUnavailable
from footfall.model import DAY, HOUR, Batch, Section, SiteBatch, Span, Tier
from footfall.stores import Store
from tests.contract.conftest import BACKENDS, SHORT, Backend, Clock, Place, breakdown_of, placed, top_of
from tests.contract.made_up import (
    BEGINNINGS,
    DETAILS,
    DIMENSIONS,
    EVENT_ID_TTL,
    KEYS,
    KINDS,
    LIMITS,
    LINES,
    RETENTIONS,
    SITES,
    SPANS,
    WINDOWS,
    WRITERS,
    Part,
    detailed,
    edges,
    events,
    everything,
    limited,
    lines,
    mixed,
    plain,
    sites,
    timed,
    wanted,
    windows,
    writers,
)
from tests.contract.test_dump import PARTS, dumped

T = TypeVar("T")


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
        self.other = self.open(self.place) if self.backend.lasts else self.store
        self.specification = self.open(self.run(self.open_places.enter_async_context(placed(self.specified_by, self.clock))))
        self.sequences = dict.fromkeys(WRITERS, 0)
        self.sent: list[Batch] = []
        self.asked = 0
        self.versions: dict[tuple[str, str], tuple[int, int]] = {}
        self.latest = 0
        self.kept = dict.fromkeys(SITES, RETENTIONS.index({}))

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def open(self, place: Place) -> Store:
        return place.open(SHORT, EVENT_ID_TTL, LIMITS)

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

    @rule(after=edges, site=sites, part=detailed, writer=writers, window=windows)
    def commit_views_with_details(self, after: int, site: str, part: Part, writer: str, window: int) -> None:
        self.commit(after, writer, window, {site: part})

    @rule(after=edges, site=sites, part=plain | everything, limit=limited, writer=writers, window=windows)
    def commit_views_that_may_open_few_pages(
        self, after: int, site: str, part: Part, limit: Part, writer: str, window: int
    ) -> None:
        self.commit(after, writer, window, {site: part | limit})

    @rule(
        after=edges,
        parts=st.dictionaries(sites, mixed | wanted | everything, min_size=1),
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

        def time(age: int | None) -> int | None:
            return None if age is None else now - age

        sites = {
            site: SiteBatch(
                **part
                | {
                    "timed": {(page, now - age): views for (page, age), views in part.get("timed", {}).items()},
                    "events": {id: (page, time(age)) for id, (page, age) in part.get("events", {}).items()},
                    "traits": {(page, time(age), of): views for (page, age, of), views in part.get("traits", {}).items()},
                    "visitors": {(page, time(age)): who for (page, age), who in part.get("visitors", {}).items()},
                }
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

    @rule(source=sites, place=sites)
    def load_into_another(self, source: str, place: str) -> None:
        """Put a site's dump in another's place."""
        self.run(self.load(source, place))

    async def load(self, source: str, target: str) -> None:
        sections = [(section, tier, await dumped(self.specification, section, tier, site=source)) for section, tier in PARTS]
        for store in (self.store, self.specification):
            await store.forget(target)
            for section, tier, rows in sections:
                if rows:
                    await store.load(target, section, tier, rows)

    @rule(site=sites, place=st.integers(0, len(RETENTIONS) - 1))
    def keep_for_another_time(self, site: str, place: int) -> None:
        """For a shorter one as it is; what is gone need not come back for a longer one, so the site begins anew for that."""
        if place < self.kept[site]:
            self.forget_site(site)
        self.kept[site] = place
        for store in (self.store, self.specification):
            self.run(store.put_document("site", site, msgspec.json.encode(RETENTIONS[place])))
        self.run(self.other.documents("site"))  # shows it to the other store, which else may take a second

    @precondition(lambda self: self.is_latest())
    @rule(
        kind=st.sampled_from(KINDS),
        key=st.sampled_from(KEYS),
        value=st.none() | st.binary(max_size=3),
        expected=st.sampled_from(("any", "none", "current", "wrong")),
        until=st.none() | st.sampled_from((-1, 0, 1, 100, DAY)),
    )
    def put_document(self, kind: str, key: str, value: bytes | None, expected: str, until: int | None) -> None:
        """Each store has versions of its own, which grow."""
        known = self.versions.get((kind, key), (0, 0))
        at = None if until is None else self.clock.second + until
        put = []
        for store, current in zip((self.store, self.specification), known, strict=True):
            version = {"any": None, "none": 0, "current": current, "wrong": current + 1000}[expected]
            put.append(self.run(store.put_document(kind, key, value, version=version, until=at)))
        assert (put[0] is None) == (put[1] is None)
        if put[0] is not None and put[1] is not None:
            assert put[0] > max((of[0] for (of_kind, _), of in self.versions.items() if of_kind == kind), default=0)
            self.versions[kind, key] = put[0], put[1]

    def is_latest(self) -> bool:
        """Whether the clock has never shown a later time: what was over then need not come back when it runs backward."""
        self.latest = max(self.latest, self.clock.second)
        return self.clock.second >= self.latest

    @precondition(lambda self: self.backend.lasts)
    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.open(self.place)

    @rule()
    def go_on_with_another(self) -> None:
        """Two stores at one place are one."""
        self.store, self.other = self.other, self.store

    # What is asked

    @rule(site=sites, page=lines, tier=st.sampled_from(Tier), age=edges, width=st.integers(0, 90))
    def compare_series(self, site: str, page: str, tier: Tier, age: int, width: int) -> None:
        start = self.clock.second - age
        end = start + width * (tier.width if tier not in (Tier.MONTH, Tier.TOTAL) else DAY)
        self.run(self.compare(lambda store: store.series(site, page, tier, start, end)))

    @rule(site=sites, part=st.sampled_from(PARTS), limit=st.integers(1, 4))
    def compare_dump(self, site: str, part: tuple[Section, Tier], limit: int) -> None:
        self.run(self.compare_rows(site, *part, limit))

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
            await self.compare_breakdown(site, LINES[n % len(LINES)], DIMENSIONS[n % len(DIMENSIONS)], DETAILS[n % len(DETAILS)])
            await self.compare_visitors(site, LINES[n % len(LINES)], (Tier.HOUR, Tier.DAY)[n // 5 % 2])
        if self.is_latest():
            await self.compare_documents(KINDS[n % len(KINDS)])

    async def compare_everything(self) -> None:
        for site in SITES:
            await self.compare_views(site)
            await self.compare_details(site)
            for writer in WRITERS:
                await self.compare_applied(site, writer)
            for section, tier in PARTS:
                await self.compare_rows(site, section, tier, 10_000)
        for kind in KINDS if self.is_latest() else ():
            await self.compare_documents(kind)
        await self.compare(lambda store: store.sites())

    async def compare_views(self, site: str) -> None:
        for window in WINDOWS:
            await self.compare_counts(site, window)
        for line, tier in itertools.product(LINES, Tier):
            await self.compare_newest(site, line, tier)
        for span in SPANS:
            await self.compare_top(site, span)

    async def compare_details(self, site: str) -> None:
        for line, tier in itertools.product(LINES, (Tier.HOUR, Tier.DAY)):
            await self.compare_visitors(site, line, tier)
        for n, (line, dimension) in enumerate(itertools.product(LINES, DIMENSIONS), self.asked):
            await self.compare_breakdown(site, line, dimension, DETAILS[n % len(DETAILS)])

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
            listed = await self.compare(functools.partial(top_of, site, span, limit, after))
            if len(listed.pages) < limit:
                break
            page, views = listed.pages[-1]
            after = views, page

    async def compare_breakdown(self, site: str, page: str, dimension: str, span: Span) -> None:
        """The whole list, in parts of two, three, four values and so on."""
        after: tuple[int, str] | None = None
        for limit in itertools.count(2):
            listed = await self.compare(functools.partial(breakdown_of, site, page, dimension, span, limit, after))
            if len(listed.values) < limit:
                break
            value, views = listed.values[-1]
            after = views, value

    async def compare_visitors(self, site: str, page: str, tier: Tier) -> None:
        start, end = tier.back(self.clock.second, 6), self.clock.second + HOUR
        await self.compare(lambda store: store.visitors(site, page, tier, start, end))
        await self.compare(lambda store: store.present(site))

    async def compare_rows(self, site: str, section: Section, tier: Tier, limit: int) -> None:
        await self.compare(lambda store: dumped(store, section, tier, limit, site))

    async def compare_documents(self, kind: str) -> None:
        found = []
        for store in (self.store, self.specification):
            listed = await store.documents(kind)
            for document in listed:
                assert await store.document(kind, document.key) == document
            found.append([(document.key, document.value, document.until) for document in listed])
        assert found[0] == found[1]

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


def compare(backend: Backend, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type(f"Comparison[{backend.name}]", (Comparison,), {"backend": backend}),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


ROWS = [row for row in BACKENDS if not row.is_specification]

#: How many histories a run of the tests tries, shared out among the backends: about half a minute's worth.
EXAMPLES = 35

compared = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@pytest.mark.timeout(600)  # finding a difference takes seconds, shortening what led to it up to five minutes
@compared
def test_every_backend_answers_as_the_specification_does(row: Backend) -> None:
    """Whatever is committed, repeated, forgotten and reopened, and however the clock goes, the answers are the same."""
    compare(row, examples=EXAMPLES // len(ROWS), steps=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@compared
def test_every_backend_answers_as_the_specification_does_for_long(row: Backend) -> None:
    """The same, with many more and longer histories."""
    compare(row, examples=150, steps=60)
