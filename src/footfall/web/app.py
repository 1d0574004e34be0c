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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from footfall.auth import Credentials, Passwords
from footfall.composition import FIRST_LOOK_SECONDS, CountingCore
from footfall.counting.spool import Spool
from footfall.reading.live import Live
from footfall.reading.shared_reads import Reads
from footfall.registry.instances import Shares
from footfall.settings import Settings
from footfall.stores import Clock, Store, open_configured, scheme_of
from footfall.telemetry.ledger import Ledger
from footfall.telemetry.minute_log import Tally
from footfall.telemetry.vitals import Vitals
from footfall.web.api.docs import Docs
from footfall.web.api.export import ExportApi
from footfall.web.api.ledger import LedgerApi
from footfall.web.api.live import LiveEndpoint
from footfall.web.api.managing import Manage
from footfall.web.api.reading import Api
from footfall.web.api.views import ViewsApi
from footfall.web.badges.endpoints import Counters
from footfall.web.dashboard.access_pages import AccessPages
from footfall.web.dashboard.dashboard import Dashboard
from footfall.web.dashboard.login import Auth
from footfall.web.dashboard.pages import Pages
from footfall.web.dashboard.reads import DashboardReads
from footfall.web.dashboard.site_list import SiteList
from footfall.web.dashboard.site_settings import SiteSettings
from footfall.web.health import Health, Ping, Readiness
from footfall.web.home import HomeEndpoint
from footfall.web.ingest.count import CountEndpoint, PixelEndpoint
from footfall.web.ingest.front import Front
from footfall.web.permissions import Access
from footfall.web.problem_pages import ProblemPages
from footfall.web.problems import HANDLERS
from footfall.web.rendering import Renderer
from footfall.web.replies import CountingReplies
from footfall.web.routes import ROUTES
from footfall.web.slashes import WithoutSlash
from footfall.web.static_files import StaticFiles

_log = logging.getLogger(__name__)

#: Views that wait when the server stops have this share of DRAIN_SECONDS; the rest is for telling those that the store did not
#: confirm. Beyond DRAIN_SECONDS the server cuts off clients that still wait.
STORE_SHARE = 0.75


class Parts(msgspec.Struct, frozen=True):
    """What the routes are made of."""

    store: Store
    ledger: Ledger
    core: CountingCore
    spool: Spool | None
    readiness: Readiness
    shares: Shares
    credentials: Credentials
    passwords: Passwords
    live: Live
    pages: Pages
    access: Access
    answers: Mapping[str, Callable[..., Any]]


def build(settings: Settings, instance: str, clock: Clock = time.time) -> Parts:
    """Build every part. Raises SettingError, StoreUnavailable or StoreUnusable where the store can't be opened."""
    store = open_configured(settings, clock)
    ledger = Ledger(shared=settings.workers > 1)
    ledger.introduce(instance, settings.declared_sites)
    spool = None
    if settings.spool:
        spool = Spool(settings.spool, store, ledger, max_bytes=settings.spool_max_bytes, max_age=settings.spool_age)
        ledger.watch_spool(spool, settings.spool_max_bytes, settings.spool_age)
    shares = Shares(store, instance, clock)
    core = CountingCore.of(store, settings, ledger, clock, outbox=spool, on_counted=shares.counted)
    sites, dependencies, intake, counter = core.registry.sites, core.dependencies, core.intake, core.counter
    ledger.watch_pending(lambda: counter.pending, settings.max_pending_views)
    reads = Reads(store)
    readiness = Readiness(store, spool, failing=lambda: counter.failing)
    credentials = Credentials(store, clock)
    of_proxies = (settings.client_address_header, settings.country_header or "")
    access = Access(sites, credentials, dependencies.addresses, settings.metrics_token, of_proxies, settings.public_url)
    replies = CountingReplies(instance)
    live = Live(reads, window=settings.window, shares=shares.of, on_poll=ledger.polled, clock=clock)
    ledger.watch_watchers(lambda: live.watchers)
    renderer = Renderer()
    pages = Pages(renderer, access, instance)
    passwords = Passwords(store, credentials, settings.admin_password, clock=clock)
    auth = Auth(access, credentials, passwords, pages)
    manage = Manage(store, sites, credentials, access)
    dashboard_reads = DashboardReads(reads, settings.window, shares.of)
    dashboard = Dashboard(dashboard_reads, sites, access, pages)
    site_list = SiteList(dashboard_reads, sites, access, pages)
    site_settings = SiteSettings(store, sites, credentials, access, pages)
    files = StaticFiles()
    api = Api(reads, sites, access, instance, settings.window, settings.longest_window)
    counters = Counters(sites, access, reads, intake, counter, dependencies.agents, instance)
    docs = Docs(renderer, pages)
    exports = ExportApi(store, access)
    health = Health(readiness, ledger, access, instance)
    home = HomeEndpoint(settings.home_site, settings.window, intake, counter, reads, ledger, replies, renderer, instance, access)
    answers: Mapping[str, Callable[..., Any]] = {
        "count": CountEndpoint(intake, counter, ledger, access, replies, instance, settings.window),
        "home": ProblemPages(home, pages, access),
        "pixel": PixelEndpoint(intake, counter, ledger, replies),
        "ping": Ping(),
        "api_count": api.count,
        "api_series": api.series,
        "api_pages": api.pages,
        "api_breakdown": api.breakdown,
        "api_visitors": api.visitors,
        "api_present": api.present,
        "api_live": LiveEndpoint(live, sites, access),
        "api_views": ViewsApi(sites, intake, counter, reads, access).add,
        "api_ledger": LedgerApi(reads, access).ledger,
        "api_forget": manage.pages,
        "api_shares": manage.shares,
        "api_sites": manage.sites,
        "api_site": manage.site,
        "api_tokens": manage.tokens,
        "sites": site_list.sites,
        "add_site": site_list.add,
        "dashboard": dashboard.site,
        "settings": site_settings.settings,
        "access": AccessPages(sites, credentials, access, pages).access,
        "login": auth.login,
        "logout": auth.logout,
        "welcome": auth.welcome,
        "share": auth.share,
        "export_csv": exports.csv,
        "export_ndjson": exports.ndjson,
        "counter_svg": counters.svg,
        "counter_json": counters.json,
        "counter_text": counters.text,
        "openapi": docs.openapi,
        "docs": docs.page,
        "live": health.live,
        "ready": health.ready,
        "metrics": health.metrics,
        "snippet": files.snippet,
        "favicon": files.favicon,
        "static": files.file,
    }
    return Parts(store, ledger, core, spool, readiness, shares, credentials, passwords, live, pages, access, answers)


def make_app(settings: Settings, instance: str, clock: Clock = time.time, parts: Parts | None = None) -> Front:
    """The ASGI application, of `parts` where they have been built. Its lifespan drains the counter and closes the store."""
    parts = parts or build(settings, instance, clock)
    tally = Tally(parts.ledger)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with _stopping_in_order(parts, settings):
            if parts.spool:
                parts.spool.start()
            others = (parts.credentials.keep_fresh(), parts.shares.keep_shown())
            fresh = parts.core.registry.kept_fresh(*others, wait=FIRST_LOOK_SECONDS)
            async with Vitals(parts.store, parts.ledger).watched(), tally.told(), fresh:
                declared = ", ".join(settings.declared_sites) or "the sites in the store"
                _log.info("counting for %s as instance %s", declared, instance)
                yield
        parts.readiness.draining = True
        parts.live.end()
        try:
            async with asyncio.timeout(settings.drain_seconds):
                await parts.core.counter.drain()
        except TimeoutError:
            _log.error("%d views could not be committed before the end", parts.core.counter.pending)
        if parts.spool:
            await parts.spool.close()
        await parts.store.close()
        tally.tell()
        _log.info("stopped")

    routes = [Route(row.path, parts.answers[row.answers], methods=row.methods) for row in ROUTES]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=dict(HANDLERS))
    others = ProblemPages(app, parts.pages, parts.access)
    app.router.redirect_slashes = False
    app.router.default = WithoutSlash(app.router)
    hot = {row.path: parts.answers[row.answers] for row in ROUTES if row.methods is None and "{" not in row.path}
    return Front(app, others, hot, parts.ledger, parts.passwords, is_in_memory=scheme_of(settings.store) == "memory")


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
        loop.call_soon_threadsafe(parts.live.end)
        loop.call_soon_threadsafe(parts.core.counter.hurry, settings.drain_seconds * STORE_SHARE)
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
    except ValueError:  # not the main thread: there we are stopped in another way
        yield
        return
    try:
        yield
    finally:
        for number, own in servers_own.items():
            signal.signal(number, own)
