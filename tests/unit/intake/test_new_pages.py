"""Of new pages one address brings twenty a day, however they come: one after the other, or all at once."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest

from footfall.counting.counter import Counter
from footfall.counting.recording import Recorder
from footfall.errors import NotAcknowledged, Overloaded, StoreUnavailable
from footfall.intake.limits import NEW_PAGES_OF_AN_ADDRESS, NewPageQuota
from footfall.model import DAY, Batch, Drop, Outcome, Receipt, Settled, SiteBatch, View
from footfall.rules import Rules
from footfall.stores.memory import MemoryStore
from footfall.telemetry.ledger import Ledger
from tests.contract.conftest import Clock
from tests.support.judging import SITE, Bench, bench

VISITOR, ANOTHER, PRIVATE = "1.2.3.4", "1.2.3.5", "10.0.0.1"

#: Records views of these pages by an address at once, in one of two ways; what became of each.
Send = Callable[[str, Iterable[str]], Awaitable[Sequence[Outcome | None]]]


class Held(MemoryStore):
    """A store that answers when it is let."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_away = False

    async def commit(self, batch: Batch) -> Receipt:
        await self.may_answer.wait()
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().commit(batch)


class Outbox:
    """Where views wait while the store is away."""

    takes_over = True

    async def take(self, _batch: Batch) -> int | None:
        return 0

    def saw(self, at: int) -> None:
        pass


class Place:
    """What views go through from intake to store."""

    def __init__(self, clock: Clock, **rules: Any) -> None:
        self.clock = clock
        self.store = Held(clock)
        self.judging: Bench = bench(Rules(**rules), now=clock)
        self.counter = self.make_counter()

    def make_counter(self, **more: Any) -> Counter:
        return Counter(self.store, Ledger(), most_new_pages=lambda _site: 10_000, commit_timeout=0.01, **more)

    def views(self, pages: Iterable[str]) -> list[View]:
        return [View(SITE, page) for page in pages]

    async def submitted(self, peer: str, pages: Iterable[str]) -> Sequence[Outcome | None]:
        """As a connection does."""
        recorder = Recorder(self.judging.intake, self.counter)
        waiting: list[asyncio.Future[Settled | Drop | NotAcknowledged]] = []
        for view in self.views(pages):
            waiting.append(asyncio.get_running_loop().create_future())
            recorder.submit(view, {}, peer, waiting[-1].set_result)
        return [each.outcome if isinstance(each, Settled) else None for each in await asyncio.gather(*waiting)]

    async def recorded(self, peer: str, pages: Iterable[str]) -> Sequence[Outcome | None]:
        """As all other faces do."""
        recorder = Recorder(self.judging.intake, self.counter)
        waiting = (recorder.record(view, {}, peer) for view in self.views(pages))
        settled = await asyncio.gather(*waiting, return_exceptions=True)
        return [each.outcome if isinstance(each, Settled) else None for each in settled]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def place(clock: Clock) -> Place:
    return Place(clock)


@pytest.fixture(params=["submitted", "recorded"])
def send(request: pytest.FixtureRequest, place: Place) -> Send:
    way: Send = getattr(place, request.param)
    return way


def paths(number: int, begin: str = "/new") -> list[str]:
    return [f"{begin}/{n}" for n in range(number)]


async def test_many_new_pages_at_once_are_no_more_than_one_by_one(send: Send) -> None:
    """Two hundred in one moment, two hundred one by one, and both again: twenty in all."""
    assert Tally(await send(VISITOR, paths(200))) == {Outcome.COUNTED: NEW_PAGES_OF_AN_ADDRESS, Outcome.REFUSED: 180}
    assert Tally(await send(VISITOR, paths(200, "/more"))) == {Outcome.REFUSED: 200}
    for page in paths(5, "/then"):
        assert await send(VISITOR, [page]) == [Outcome.REFUSED]
    assert Tally(await send(ANOTHER, paths(200, "/others"))) == {Outcome.COUNTED: NEW_PAGES_OF_AN_ADDRESS, Outcome.REFUSED: 180}


async def test_views_in_several_batches_are_one_crowd(place: Place, send: Send) -> None:
    """While a slow store has not said which pages were new."""
    place.store.may_answer.clear()
    crowds = [asyncio.ensure_future(send(VISITOR, paths(15, f"/{n}"))) for n in range(4)]
    for _ in range(20):
        await asyncio.sleep(0)
    place.store.may_answer.set()
    outcomes = Tally(outcome for crowd in await asyncio.gather(*crowds) for outcome in crowd)
    assert outcomes == {Outcome.COUNTED: NEW_PAGES_OF_AN_ADDRESS, Outcome.REFUSED: 60 - NEW_PAGES_OF_AN_ADDRESS}


async def test_pages_that_are_there_are_nobody_s_new_ones(place: Place, send: Send) -> None:
    """Neither views of one page nor of many that the store has use anything up, whoever brought them."""
    await place.store.commit(Batch("w", 1, {SITE: SiteBatch(dict.fromkeys(paths(15, "/old"), 1))}))
    assert set(await send(VISITOR, paths(15, "/old") + ["/one"] * 100)) == {Outcome.COUNTED}
    assert set(await send(VISITOR, paths(15, "/old") * 10 + paths(NEW_PAGES_OF_AN_ADDRESS - 1))) == {Outcome.COUNTED}
    assert await send(VISITOR, ["/old/3", "/one", "/more"]) == [Outcome.COUNTED, Outcome.COUNTED, Outcome.REFUSED]


async def test_addresses_that_may_be_a_proxy_s_are_not_limited(send: Send) -> None:
    """Behind one that is not declared all visitors have its address."""
    assert set(await send(PRIVATE, paths(100))) == {Outcome.COUNTED}


async def test_the_next_day_begins_at_nothing(place: Place, send: Send) -> None:
    """Of the visitors' salts."""
    await send(VISITOR, paths(NEW_PAGES_OF_AN_ADDRESS))
    assert await send(VISITOR, ["/x"]) == [Outcome.REFUSED]
    place.clock.advance(DAY)
    assert await send(VISITOR, ["/x"]) == [Outcome.COUNTED]


async def test_a_view_that_fails_claims_nothing_any_more(place: Place, send: Send) -> None:
    """Once the store is there again, the pages may come."""
    place.store.is_away = True
    assert set(await send(VISITOR, paths(50))) <= {None, Outcome.REFUSED}
    place.store.is_away = False
    assert Tally(await send(VISITOR, paths(50))) == {Outcome.COUNTED: NEW_PAGES_OF_AN_ADDRESS, Outcome.REFUSED: 30}


async def test_a_view_that_is_not_taken_claims_nothing(place: Place) -> None:
    """As when too many wait."""
    place.counter = place.make_counter(max_pending_views=0)
    recorder = Recorder(place.judging.intake, place.counter)
    for page in paths(30):
        with pytest.raises(Overloaded):
            await recorder.record(View(SITE, page), {}, VISITOR)
    place.counter = place.make_counter()
    assert set(await place.recorded(VISITOR, paths(NEW_PAGES_OF_AN_ADDRESS))) == {Outcome.COUNTED}


async def test_what_waits_in_the_spool_counts_as_brought(place: Place, send: Send) -> None:
    """Nobody knows yet which pages are new: more than twenty unknown ones of an address open none."""
    place.counter = place.make_counter(outbox=Outbox())
    assert set(await send(VISITOR, paths(NEW_PAGES_OF_AN_ADDRESS))) == {Outcome.SPOOLED}
    place.counter = place.make_counter()
    assert await send(VISITOR, ["/another"]) == [Outcome.REFUSED]


async def test_a_site_without_a_limit_has_none(clock: Clock) -> None:
    """Nothing is claimed for it."""
    place = Place(clock, pages_per_day=0)
    assert place.judging.intake.claim(View(SITE, "/x"), {}, VISITOR) is None
    assert place.judging.intake.claim(View("no.example", "/x"), {}, VISITOR) is None


def test_what_is_remembered_of_pages_is_bounded() -> None:
    """Whoever views how many."""
    quota = NewPageQuota(lambda: 1, pages=3)
    for page in "abcd":
        quota.learn(SITE, page)
    assert [quota.knows(SITE, page) for page in "abcd"] == [False, False, False, True]
