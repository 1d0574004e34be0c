"""Watchers of a site get its past minute, an event a second, from one poll of the store however many they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter as Tally
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import pytest

from footfall.errors import StoreUnavailable
from footfall.model import WHOLE_SITE, Batch, Counts, SiteBatch, Span
from footfall.reading.live import MAX_WATCHED_PAGES, MAX_WATCHERS_OF_AN_ADDRESS, PHASE, Live, TooManyWatchers
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import SITE, START, Clock


class Seconds:
    """A clock and a pause on it: whoever pauses waits until a test lets the time pass."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._turn = asyncio.Event()
        self.asked: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._turn.wait()

    async def pass_one(self) -> None:
        for _ in range(50):  # let whoever is about to pause do so
            await asyncio.sleep(0)
        self.clock.advance(1)
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()
        for _ in range(50):
            await asyncio.sleep(0)


class Reader:
    """A store as `Live` reads it, that tallies what it is asked and can be away."""

    def __init__(self, clock: Clock) -> None:
        self.store = MemoryStore(clock)
        self.asked: Tally[str] = Tally()
        self.is_away = False
        self._sequence = 0

    async def count(self, *pages: str, visitor: int = 1) -> None:
        self._sequence += 1
        part = SiteBatch(dict(Tally(pages)), visitors={(page, None): {visitor} for page in pages})
        await self.store.commit(Batch("w", self._sequence, {SITE: part}))

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.is_away:
            raise StoreUnavailable("away")

    async def newest(self, site: str, page: str, span: Span) -> Any:
        self._ask("newest")
        return await self.store.newest(site, page, span)

    async def top(self, site: str, span: Span, limit: int) -> Any:
        self._ask("top")
        return await self.store.top(site, span, limit)

    async def counts(self, site: str, page: str, window: int) -> Counts:
        self._ask("counts")
        return await self.store.counts(site, [page], window)

    async def present(self, site: str) -> Any:
        self._ask("present")
        return await self.store.present(site)


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def reader(seconds: Seconds) -> Reader:
    return Reader(seconds.clock)


@pytest.fixture
def live(seconds: Seconds, reader: Reader) -> Live:
    return Live(reader, clock=seconds.clock, pause=seconds.pause, shares=lambda _site: {"b": 1, "a": 2})


@contextlib.asynccontextmanager
async def watching(live: Live, page: str = WHOLE_SITE, address: str = "") -> AsyncIterator[AsyncGenerator[bytes, None]]:
    async with contextlib.aclosing(live.watch(SITE, page, address)) as events:
        yield events


async def test_an_event_is_the_whole_state(live: Live, reader: Reader, seconds: Seconds) -> None:
    """The window by second, its sum, the top pages, today, total, who is here, and each instance's share."""
    await reader.count("/", "/", "/a")
    seconds.clock.advance(2)
    await reader.count("/a", visitor=2)
    async with watching(live) as events:
        event = msgspec.json.decode(await anext(events))
    assert event.pop("seconds") == [0] * 57 + [3, 0, 1]
    assert event == {
        "at": START + 2,
        "views": 4,
        "pages": [{"page": "/", "views": 2}, {"page": "/a", "views": 2}],
        "today": 4,
        "total": 4,
        "visitors": 2,
        "instances": [{"name": "a", "views": 2}, {"name": "b", "views": 1}],
    }


async def test_a_page_s_events_are_its_own(live: Live, reader: Reader) -> None:
    """No other page's views, and nothing that only a site has."""
    await reader.count("/", "/", "/a")
    async with watching(live, "/a") as events:
        event = msgspec.json.decode(await anext(events))
    assert (event["views"], event["total"], event["pages"], event["visitors"]) == (1, 1, [], None)


async def test_the_number_falls_by_itself_as_the_minute_passes(live: Live, reader: Reader, seconds: Seconds) -> None:
    """An event a second, also where nothing happens."""
    await reader.count("/")
    async with watching(live) as events:
        views = [msgspec.json.decode(await anext(events))["views"]]
        for _ in range(60):
            await seconds.pass_one()
            views.append(msgspec.json.decode(await anext(events))["views"])
    assert views == [1] * 60 + [0]


async def test_a_thousand_watchers_cost_the_store_what_one_does(live: Live, reader: Reader, seconds: Seconds) -> None:
    """One poll a second, the same bytes for all."""
    async with contextlib.AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(live)) for _ in range(1000)]
        first = await asyncio.gather(*(anext(events) for events in watchers))
        for _ in range(3):
            await seconds.pass_one()
        await asyncio.gather(*(anext(events) for events in watchers))
        assert live.watchers == 1000
    assert len(set(map(id, first))) == 1
    assert (reader.asked["newest"], reader.asked["top"], reader.asked["counts"], reader.asked["present"]) == (4, 4, 4, 1)
    assert live.watchers == 0


async def test_each_poll_is_told(reader: Reader, seconds: Seconds) -> None:
    """One a second for a site, and one for each page that is watched by itself."""
    polls: Tally[str] = Tally()
    live = Live(reader, clock=seconds.clock, pause=seconds.pause, on_poll=lambda: polls.update(["poll"]))
    async with watching(live) as events, watching(live) as others, watching(live, "/a") as of_page:
        for each in (events, others, of_page):
            await anext(each)
        assert polls.total() == 2
        await seconds.pass_one()
    assert polls.total() == 4


async def test_who_goes_while_waiting_takes_nobody_along(live: Live, seconds: Seconds) -> None:
    """The others of the same channel get the next event."""
    async with watching(live) as events, watching(live) as others:
        await anext(events)
        await anext(others)
        going, staying = (asyncio.ensure_future(anext(each)) for each in (events, others))
        await asyncio.sleep(0)
        going.cancel()
        await seconds.pass_one()
        assert msgspec.json.decode(await staying)["at"] == START + 1
        assert going.cancelled()


async def test_a_slow_watcher_gets_the_newest_event(live: Live, seconds: Seconds) -> None:
    """Those it was not ready for are gone: nothing is kept for it but one."""
    async with watching(live) as events:
        await anext(events)
        for _ in range(5):
            await seconds.pass_one()
        assert msgspec.json.decode(await anext(events))["at"] == START + 5


async def test_polls_follow_the_seconds(live: Live, seconds: Seconds) -> None:
    """The next one comes as soon as the next second has begun, wherever in its second this one was."""
    seconds.clock.advance(0.75)
    async with watching(live) as events:
        await anext(events)
        for _ in range(50):  # let the poll come to its pause
            await asyncio.sleep(0)
        assert seconds.asked == [pytest.approx(0.25 + PHASE)]


async def test_nobody_watching_asks_nothing(live: Live, reader: Reader, seconds: Seconds) -> None:
    """With its last watcher a site's polling ends; it begins again with the next."""
    async with watching(live) as events:
        await anext(events)
    before = reader.asked.total()
    await seconds.pass_one()
    assert reader.asked.total() == before
    async with watching(live) as events:
        await anext(events)
    assert reader.asked.total() > before


async def test_a_store_that_is_away_is_told_and_forgiven(live: Live, reader: Reader, seconds: Seconds) -> None:
    """An empty event each second, then the state again."""
    async with watching(live) as events:
        await anext(events)
        reader.is_away = True
        await seconds.pass_one()
        assert await anext(events) == b""
        reader.is_away = False
        await seconds.pass_one()
        assert msgspec.json.decode(await anext(events))["at"] == START + 2


async def test_at_the_end_all_streams_end(live: Live, seconds: Seconds) -> None:
    """Also those that wait for their next event."""
    async with watching(live) as events, watching(live, "/a") as others:
        await anext(events)
        await anext(others)
        waiting = asyncio.ensure_future(anext(events, None))
        await asyncio.sleep(0)
        live.end()
        assert [event async for event in others] == []
        await waiting
        assert await anext(events, None) is None


async def test_an_address_has_so_many_watchers(live: Live) -> None:
    """One more is turned away; another address's are not, and a place that is left is free again."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MAX_WATCHERS_OF_AN_ADDRESS - 1):
            await anext(await stack.enter_async_context(watching(live, address="192.0.2.1")))
        async with watching(live, address="192.0.2.1") as events:
            await anext(events)
            async with watching(live, address="192.0.2.1") as one_more:
                with pytest.raises(TooManyWatchers):
                    await anext(one_more)
            async with watching(live, address="192.0.2.2") as other:
                await anext(other)
        async with watching(live, address="192.0.2.1") as events:
            await anext(events)


async def test_so_many_pages_can_be_watched_by_themselves(live: Live) -> None:
    """Each costs a read a second."""
    async with contextlib.AsyncExitStack() as stack:
        watched = [await stack.enter_async_context(watching(live, f"/{n}")) for n in range(MAX_WATCHED_PAGES + 2)]
        joining = [asyncio.ensure_future(anext(events)) for events in watched]
        done = await asyncio.gather(*joining, return_exceptions=True)
    assert isinstance(done[-1], TooManyWatchers)
    assert sum(isinstance(each, TooManyWatchers) for each in done) == 1
