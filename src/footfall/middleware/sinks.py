"""Where the middleware's views go: into a store of this process, or through a client to a server.

Both classify nothing themselves: what a robot is and what a page is say the intake here, or the server there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from footfall.composition import FIRST_LOOK_SECONDS, CountingCore
from footfall.counting.recording import Recorder
from footfall.errors import BadInput, FootfallError
from footfall.headers import Headers
from footfall.intake.addresses import Addresses
from footfall.intake.pages import is_asset
from footfall.intake.request import is_fetched_ahead
from footfall.model import Drop, DropReason
from footfall.rules import site_name
from footfall.settings import Settings
from footfall.stores import open_configured
from footfall.telemetry.ledger import Ledger

if TYPE_CHECKING:
    from footfall.client import Client  # needs httpx, which only those need who use it

_log = logging.getLogger(__name__)


#: Views that may wait to be counted at the same time; beyond it they are not counted, and that is logged.
MAX_UNDER_WAY = 10_000

#: What stands in a path as it is; all else is percent-encoded (RFC 3986, 3.3).
PATH_CHARACTERS = "/:@!$&'()*+,;=~"

_PAGE_TYPES = (b"text/html", b"application/xhtml+xml")


class Shown(NamedTuple):
    """A page that was shown: its path with its query, and who asked for it."""

    path: str
    headers: Headers
    peer: str


def is_page(status: int, content_type: bytes) -> bool:
    """Whether a response to a GET is a page: HTML, and neither an error nor empty."""
    return 200 <= status <= 299 and status not in (204, 205) and content_type.strip().lower().startswith(_PAGE_TYPES)


class Sink(Protocol):
    """Where views go."""

    async def start(self) -> None:
        """Begin. May fail."""
        ...

    def count(self, shown: Shown) -> None:
        """Count a page that was shown, soon. Never waits, never raises."""
        ...

    async def stop(self) -> None:
        """Wait for what is under way, and let go."""
        ...


class RunningSink:
    """A sink from its start to its end, in one event loop. What is counted while it starts waits, within bounds."""

    def __init__(self, make_sink: Callable[[], Sink], loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._make_sink = make_sink
        self._sink: Sink | None = None
        self._early = 0
        self._starting = loop.create_task(self._start(), name="footfall-middleware")

    async def _start(self) -> None:
        try:
            sink = self._make_sink()
            await sink.start()
        except FootfallError as error:  # the application must run whatever the store does
            _log.error("pages are not counted: %s", error)
        except Exception:
            _log.exception("pages are not counted")
        else:
            self._sink = sink

    async def started(self) -> None:
        """Return when the sink has started, or could not."""
        await self._starting

    def count(self, shown: Shown) -> None:
        """Count a page, in the loop's own thread. Never waits, never raises."""
        if self._starting.done():
            if self._sink is not None:
                self._sink.count(shown)
        elif self._early < MAX_UNDER_WAY:  # a store that takes long to open must not fill the memory until then
            self._early += 1
            self._starting.add_done_callback(lambda _started: self.count(shown))

    async def stop(self) -> None:
        """Wait for what is under way, and let go."""
        await self._starting
        if self._sink is not None:
            await self._sink.stop()


class LocalSink:
    """Counts into the store that `settings` name; for `site`, or for the site that the Host header names."""

    def __init__(self, settings: Settings, site: str | None) -> None:
        self._settings = settings
        self._site = site
        self._under_way: set[asyncio.Task[None]] = set()
        self._has_warned = False
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        settings = self._settings
        declared = (self._site,) if self._site else None
        store = open_configured(settings, time.time)
        self._stack.push_async_callback(store.close)
        core = CountingCore.of(store, settings, Ledger(), time.time, declared=declared)
        self._sites, self._intake, self._counter = core.registry.sites, core.intake, core.counter
        self._recorder = Recorder(core.intake, core.counter)
        await self._stack.enter_async_context(core.registry.kept_fresh(wait=FIRST_LOOK_SECONDS))

    def count(self, shown: Shown) -> None:
        if len(self._under_way) >= MAX_UNDER_WAY:
            self._warn("too many views wait for the store")
            return
        task = asyncio.get_running_loop().create_task(self._count(shown))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _count(self, shown: Shown) -> None:
        try:
            site = self._site or self._named(shown.headers)
            if is_asset(shown.path.partition("?")[0]):
                self._counter.dropped(Drop(DropReason.NOT_A_PAGE, site))
                return
            classified = self._intake.classify_page(site, shown.path, shown.headers, shown.peer)
            await self._recorder.record(classified, shown.headers, shown.peer)
            self._has_warned = False
        except FootfallError as error:
            self._warn(str(error))
        except Exception:
            _log.exception("a view could not be counted")

    def _named(self, headers: Headers) -> str:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        for name in (host, host.partition(":")[0]):
            if self._sites.get(name) is not None:
                return name
        return self._settings.home_site

    def _warn(self, why: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("views are not counted: %s", why)

    async def stop(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._settings.drain_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._counter.drain()
        await self._stack.aclose()


class ClientSink:
    """Hands views to a client. `addresses` finds whom a request comes from."""

    def __init__(self, client: Client, addresses: Addresses | None = None) -> None:
        self._client = client
        self._addresses = addresses or Addresses()

    async def start(self) -> None:
        await self._client.__aenter__()

    def count(self, shown: Shown) -> None:
        headers = shown.headers
        if is_fetched_ahead(headers):
            return
        self._client.count(
            shown.path,
            referrer=headers.get(b"referer", b"").decode("latin-1"),
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            ip=self._addresses.client(shown.peer, headers),
            language=headers.get(b"accept-language", b"").decode("latin-1")[:100],
            campaign=shown.path.partition("?")[2],
        )

    async def stop(self) -> None:
        await self._client.close()


def sink_maker(settings: Settings, site: str | None, client: Callable[[], Client] | None) -> Callable[[], Sink]:
    """What makes a middleware's sinks: through a client where one is made, else into the store. Raises BadInput."""
    if client is not None:
        make_client = client
        addresses = Addresses(settings.trusted_proxies, settings.client_address_header)
        return lambda: ClientSink(make_client(), addresses)
    if site is None:
        return lambda: LocalSink(settings, None)
    try:
        name = site_name(site)
    except ValueError as error:
        raise BadInput("site", str(error)) from None
    return lambda: LocalSink(settings, name)
