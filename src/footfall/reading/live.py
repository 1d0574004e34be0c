"""The past minute while it passes: one poll of the store a site and second, handed to every watcher of that site.

However many watch, the store is asked once; each event is the whole state and is encoded once. A watcher that is slow gets the
newest event when it is ready for it and never hears of those between: it has room for one. Nothing here knows HTTP, or counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from footfall.errors import FootfallError, StoreError
from footfall.model import WHOLE_SITE, Count, Counts, Presence, Series, Span, Tier, TopPages

_log = logging.getLogger(__name__)

#: Watchers of an instance, and of one address: beyond it they are turned away.
MAX_WATCHERS = 5000
MAX_WATCHERS_OF_AN_ADDRESS = 64

#: Pages of a site that can be watched at the same time by themselves; each costs a read a second.
MAX_WATCHED_PAGES = 200

#: Pages in an event.
TOP_PAGES = 20

#: How long after a second has begun the store is asked, in seconds: its last views have been committed by then.
PHASE = 0.02

#: Visitors here now change slowly: they are asked for every so many seconds.
PRESENCE_SECONDS = 5

#: A poll that takes longer, in seconds, is given up; the next second has its own.
POLL_SECONDS = 5.0


class TooManyWatchers(FootfallError):
    """As many watch as may: this instance, or from this address."""


class Reader(Protocol):
    """What a poll reads; `reads.Reads` and every store have it."""

    async def newest(self, site: str, page: str, span: Span) -> Series: ...
    async def top(self, site: str, span: Span, limit: int) -> TopPages: ...
    async def counts(self, site: str, page: str, window: int) -> Counts: ...
    async def present(self, site: str) -> Presence: ...


class PageViews(msgspec.Struct, frozen=True):
    """A page and its views in the window."""

    page: str
    views: int


class Share(msgspec.Struct, frozen=True):
    """An instance, and the views of the past minute that it has counted."""

    name: str
    views: int


class Event(msgspec.Struct, frozen=True):
    """The state at store second `at`: views in the window, by second (oldest first), of the top pages; today (UTC) and in total.

    `visitors` are those here now, an estimate; None for a page by itself, which has no pages, visitors and instances.
    """

    at: int
    views: int
    seconds: list[int]
    pages: list[PageViews]
    today: int
    total: int
    visitors: int | None
    instances: list[Share]


class _Channel:
    """What the watchers of a site, or of one of its pages, wait on."""

    __slots__ = ("_waiting", "event", "first", "number", "watchers")

    def __init__(self) -> None:
        self.watchers = 0
        self.number = 0
        self.event = b""
        self.first: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    async def turn(self) -> None:
        """Wait for the next event. Each has a future of its own: one for all would be cancelled by the first who goes."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def show(self, event: bytes) -> None:
        """Hand an event to all who wait."""
        self.event = event
        self.number += 1
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():  # who goes is cancelled, and stays in the list until now
                waiter.set_result(None)


class _Site:
    """A site that is watched."""

    __slots__ = ("channels", "polling", "visitors")

    def __init__(self) -> None:
        self.channels: dict[str, _Channel] = {}
        self.polling: asyncio.Task[None] | None = None
        self.visitors: int | None = None


class Live:
    """Watches over a window of `window` seconds.

    `reader` is asked; `shares` gives each instance's part of a site's past minute; `on_poll` hears of each poll; `clock` is in
    seconds since the epoch, and `pause` waits for so many seconds.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        window: int = 60,
        shares: Callable[[str], Mapping[str, int]] = lambda _site: {},
        on_poll: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._reader = reader
        self._span = Span(Tier.SECOND, window)
        self._shares = shares
        self._on_poll = on_poll
        self._clock = clock
        self._pause = pause
        self._sites: dict[str, _Site] = {}
        self._addresses: dict[str, int] = {}
        self._watchers = 0
        self._ending = asyncio.Event()

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return self._watchers

    async def watch(self, site: str, page: str = WHOLE_SITE, address: str = "") -> AsyncGenerator[bytes, None]:
        """The events of a site or page as JSON, one a second or fewer, until `end`. b"" says that the store is away.

        Raises TooManyWatchers. Close the iterator when its watcher has gone.
        """
        channel = self._join(site, page, address)
        try:
            seen = channel.number - 1 if channel.event else channel.number
            while not self._ending.is_set():
                if channel.number == seen:
                    await channel.turn()
                else:
                    seen = channel.number
                    yield channel.event
        finally:
            self._leave(site, page, address)

    def _join(self, site: str, page: str, address: str) -> _Channel:
        if self._watchers >= MAX_WATCHERS or self._addresses.get(address, 0) >= MAX_WATCHERS_OF_AN_ADDRESS:
            raise TooManyWatchers("too many streams are open; close some, or try another instance later")
        watched = self._sites.get(site)
        if watched is None:
            watched = self._sites[site] = _Site()
        channel = watched.channels.get(page)
        if channel is None:
            if len(watched.channels) > MAX_WATCHED_PAGES:
                raise TooManyWatchers("too many pages of this site are watched; watch the site")
            channel = watched.channels[page] = _Channel()
            if watched.polling is not None:  # a page that is watched anew need not wait for the next second
                channel.first = asyncio.get_running_loop().create_task(self._show(site, page, watched, channel))
        channel.watchers += 1
        self._watchers += 1
        if address:
            self._addresses[address] = self._addresses.get(address, 0) + 1
        if watched.polling is None:
            watched.polling = asyncio.get_running_loop().create_task(self._poll(site, watched), name=f"footfall-live {site}")
        return channel

    def _leave(self, site: str, page: str, address: str) -> None:
        self._watchers -= 1
        if address:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        watched = self._sites[site]
        watched.channels[page].watchers -= 1
        channel = watched.channels[page]
        if not channel.watchers:
            del watched.channels[page]
            if channel.first is not None:
                channel.first.cancel()
        if not watched.channels:
            del self._sites[site]
            if watched.polling is not None:
                watched.polling.cancel()

    async def _poll(self, site: str, watched: _Site) -> None:
        """Ask the store once a second, as soon as the second has begun, for as long as anyone watches."""
        count = 0
        while True:
            asks_presence = count % PRESENCE_SECONDS == 0
            # All at once: a store that hangs holds up the next second once, not once a page.
            shown = [self._show(site, page, watched, channel, asks_presence) for page, channel in watched.channels.items()]
            await asyncio.gather(*shown)
            count += 1
            await self._pause(1 + PHASE - self._clock() % 1)

    async def _show(self, site: str, page: str, watched: _Site, channel: _Channel, asks_presence: bool = False) -> None:
        channel.show(await self._event(site, page, watched, asks_presence=asks_presence))

    async def _event(self, site: str, page: str, watched: _Site, *, asks_presence: bool) -> bytes:
        """The state of a site or page now; b"" where the store does not tell."""
        self._on_poll()
        try:
            async with asyncio.timeout(POLL_SECONDS):
                return msgspec.json.encode(await self._state(site, page, watched, asks_presence=asks_presence))
        except (StoreError, TimeoutError) as error:
            _log.debug("the live stream of %s can't be read: %s", site, error)
        except Exception:
            _log.exception("the live stream failed")
        return b""

    async def _state(self, site: str, page: str, watched: _Site, *, asks_presence: bool) -> Event:
        is_site = page == WHOLE_SITE
        series, counts = await asyncio.gather(
            self._reader.newest(site, page, self._span), self._reader.counts(site, page, self._span.buckets)
        )
        pages: list[PageViews] = []
        instances: list[Share] = []
        if is_site:
            pages = [PageViews(*row) for row in (await self._reader.top(site, self._span, TOP_PAGES)).pages]
            instances = [Share(name, views) for name, views in sorted(self._shares(site).items())]
            if asks_presence or watched.visitors is None:
                watched.visitors = (await self._reader.present(site)).visitors
        seconds = [views for _, views in series.points]
        count: Count = counts.pages[page]
        visitors = watched.visitors if is_site else None
        return Event(series.at, sum(seconds), seconds, pages, count.today, count.total, visitors, instances)

    def end(self) -> None:
        """End all streams: the process is about to stop."""
        self._ending.set()
        for watched in self._sites.values():
            for channel in watched.channels.values():
                channel.show(channel.event)
