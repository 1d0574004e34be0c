"""The composition root of the server: builds every part from the settings, and lists the routes.

Everything is made here and handed in, the clock included; nothing below reaches for a global. The hot endpoints stand first in
the table and are plain ASGI callables.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from footfall.counter import Counter
from footfall.errors import StoreError
from footfall.intake.agents import Agents
from footfall.intake.request import Intake
from footfall.metrics import Ledger
from footfall.reads import Reads
from footfall.settings import Settings
from footfall.spool import Spool
from footfall.stores import Clock, Store, open_configured
from footfall.web.access import Access
from footfall.web.api import Api
from footfall.web.count import CountEndpoint, PixelEndpoint
from footfall.web.health import Health, Ping, Readiness
from footfall.web.home import HomeEndpoint
from footfall.web.problems import HANDLERS
from footfall.web.rendering import Renderer
from footfall.web.replies import CountingReplies
from footfall.web.static_files import StaticFiles

_log = logging.getLogger(__name__)

#: The start does not wait longer for what the store says of its settings.
WARN_SECONDS = 1.0

#: Views that wait when the server stops have this share of DRAIN_SECONDS; the rest is for telling those that the store did not
#: confirm. Beyond DRAIN_SECONDS the server cuts off whoever still waits.
STORE_SHARE = 0.75

#: So often, in seconds, each of several workers notes how many views wait in it.
NOTE_SECONDS = 1.0


class Row(msgspec.Struct, frozen=True):
    """One address of the interface: its path, the name of what answers, the methods (None: that decides), and what it is for."""

    path: str
    answers: str
    methods: Sequence[str] | None
    help: str


#: Every address, the hot ones first: Starlette tries them in this order.
ROUTES = (
    Row("/count", "count", None, "counts a view of page `p` of site `s`"),
    Row("/", "home", None, "counts a view of the home site's page `/` and shows the past minute"),
    Row("/count.gif", "pixel", None, "counts a view, answered with a picture of one pixel"),
    Row("/ping", "ping", None, "`pong`; nothing is touched"),
    Row("/api/v1/sites/{site}/count", "api_count", ["GET"], "a page's counts, or the whole site's"),
    Row("/api/v1/sites/{site}/series", "api_series", ["GET"], "views by second, minute, hour, day or month"),
    Row("/api/v1/sites/{site}/pages", "api_pages", ["GET"], "the most viewed pages of a window or period"),
    Row("/livez", "live", ["GET"], "200 as long as the process runs"),
    Row("/readyz", "ready", ["GET"], "200 while views can be acknowledged"),
    Row("/metrics", "metrics", ["GET"], "metrics for Prometheus, for this machine only"),
    Row("/favicon.ico", "favicon", ["GET"], "the icon"),
    Row("/static/{name}", "static", ["GET"], "style sheets and pictures of our own pages"),
)


def route_table() -> list[tuple[str, str]]:
    """Every address and what it is for, in one line."""
    return [(row.path, row.help) for row in ROUTES]


class Parts(msgspec.Struct, frozen=True):
    """What the routes are made of."""

    store: Store
    ledger: Ledger
    counter: Counter
    spool: Spool | None
    readiness: Readiness
    answers: Mapping[str, Callable[..., Any]]


def build(settings: Settings, instance: str, clock: Clock = time.time) -> Parts:
    """Build every part. Raises SettingError, StoreUnavailable or StoreUnusable where the store can't be opened."""
    store = open_configured(settings, clock)
    ledger = Ledger(shared=settings.workers > 1)
    spool = None
    if settings.spool:
        spool = Spool(settings.spool, store, ledger, max_bytes=settings.spool_max_bytes, max_age=settings.spool_age)
    counter = Counter(
        store,
        ledger,
        outbox=spool,
        window=settings.window,
        max_pending_views=settings.max_pending_views,
        commit_timeout=settings.commit_timeout,
    )
    ledger.watch_pending(lambda: counter.pending)
    reads = Reads(store)
    readiness = Readiness(store, spool)
    intake = Intake(frozenset(settings.sites), Agents())
    access = Access(frozenset(settings.public_sites))
    replies = CountingReplies(instance)
    files = StaticFiles()
    api = Api(reads, access, instance, settings.window, settings.longest_window)
    health = Health(readiness, ledger, access, instance)
    answers: Mapping[str, Callable[..., Any]] = {
        "count": CountEndpoint(intake, counter, ledger, access, replies, instance, settings.window),
        "home": HomeEndpoint(settings.home_site, settings.window, intake, counter, reads, ledger, replies, Renderer(), instance),
        "pixel": PixelEndpoint(intake, counter, ledger, replies),
        "ping": Ping(),
        "api_count": api.count,
        "api_series": api.series,
        "api_pages": api.pages,
        "live": health.live,
        "ready": health.ready,
        "metrics": health.metrics,
        "favicon": files.favicon,
        "static": files.file,
    }
    return Parts(store, ledger, counter, spool, readiness, answers)


def make_app(settings: Settings, instance: str, clock: Clock = time.time) -> Front:
    """The ASGI application. Its lifespan drains the counter and closes the store."""
    parts = build(settings, instance, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with _pending_noted(parts.ledger, settings.workers):
            with _stopping_in_order(parts, settings):
                if parts.spool:
                    parts.spool.start()
                await _warn(parts.store)
                _log.info("counting for %s as instance %s", ", ".join(settings.sites), instance)
                yield
        parts.readiness.draining = True
        try:
            async with asyncio.timeout(settings.drain_seconds):
                await parts.counter.drain()
        except TimeoutError:
            _log.error("%d views could not be committed before the end", parts.counter.pending)
        if parts.spool:
            await parts.spool.close()
        await parts.store.close()
        _log.info("stopped")

    routes = [Route(row.path, parts.answers[row.answers], methods=row.methods) for row in ROUTES]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=dict(HANDLERS))
    return Front(app, {row.path: parts.answers[row.answers] for row in ROUTES if row.methods is None})


async def _warn(store: Store) -> None:
    """Say in the log what in the store's own settings puts views at risk. A store that is away can't be asked."""
    with contextlib.suppress(StoreError, TimeoutError):
        async with asyncio.timeout(WARN_SECONDS):
            for line in await store.warnings():
                _log.warning("store: %s", line)


class Front:
    """Answers the hot addresses itself, before Starlette's middleware and router, which the others go through.

    Those cost a fifth of the time of a request that is answered with a constant. The hot endpoints are plain ASGI callables
    that answer their own errors, and stand in the route table all the same.
    """

    def __init__(self, app: Starlette, hot: Mapping[str, ASGIApp]) -> None:
        self.app = app
        self._hot = hot

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The ASGI interface; not a coroutine function itself, which would be one more step for each view."""
        answer = self._hot.get(scope["path"], self.app) if scope["type"] == "http" else self.app
        return answer(scope, receive, send)


@contextlib.asynccontextmanager
async def _pending_noted(ledger: Ledger, workers: int) -> AsyncIterator[None]:
    """With several workers, keep each informed of how many views wait in the others."""

    async def note() -> None:
        while True:
            ledger.note_pending()
            await asyncio.sleep(NOTE_SECONDS)

    noting = asyncio.create_task(note()) if workers > 1 else None
    try:
        yield
    finally:
        if noting:
            noting.cancel()
            ledger.note_pending()


@contextlib.contextmanager
def _stopping_in_order(parts: Parts, settings: Settings) -> Iterator[None]:
    """Put our part of stopping before the server's own handling of signals, as long as it runs.

    After SIGTERM it is unready while still serving, so that balancers turn away first; SIGINT, or a second SIGTERM, stops it
    at once.
    """
    loop = asyncio.get_running_loop()
    servers_own = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(signum: int, frame: FrameType | None) -> None:
        parts.readiness.draining = True
        loop.call_soon_threadsafe(parts.counter.hurry, settings.drain_seconds * STORE_SHARE)
        own = servers_own[signal.Signals(signum)]
        if not callable(own):
            raise SystemExit(0)
        own(signum, frame)

    def drain(signum: int, frame: FrameType | None) -> None:
        if settings.unready_seconds and not parts.readiness.draining:
            parts.readiness.draining = True
            loop.call_soon_threadsafe(loop.call_later, settings.unready_seconds, stop, signum, frame)
        else:
            stop(signum, frame)

    try:
        signal.signal(signal.SIGTERM, drain)
        signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: whoever runs us there stops us in another way
        yield
        return
    try:
        yield
    finally:
        for number, own in servers_own.items():
            signal.signal(number, own)
