"""Puts together what servers, middlewares and commands have in common: what classifies views, and what counts them.

Each of them adds what only it has: the server its pages, the middleware its queue, an import its log. Nothing else builds them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Self

from footfall.counting.counter import Counter, Outbox
from footfall.errors import StoreError
from footfall.intake.addresses import Addresses
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.limits import NewPageQuota, Rates
from footfall.intake.request import Dependencies, Intake
from footfall.intake.request import Sites as KnownSites
from footfall.intake.traits import TraitReader
from footfall.intake.visitors import Visitors
from footfall.registry.salts import Salts
from footfall.registry.sites import Sites
from footfall.settings import Settings
from footfall.stores import Clock, Store
from footfall.telemetry.ledger import Ledger

#: The start does not wait longer, in seconds, for what the store knows of sites and visitors.
FIRST_LOOK_SECONDS = 2.0


class Registry(NamedTuple):
    """The sites there are, the salts of their visitors, and who tells visitors apart by them. All follow the store."""

    sites: Sites
    salts: Salts
    visitors: Visitors

    @classmethod
    def of(cls, store: Store, settings: Settings, clock: Clock, *, declared: Sequence[str] | None = None) -> Self:
        """The registry of a store, with the sites that the settings name, or `declared` in their place."""
        visitors = Visitors(clock)
        return cls(Sites.of(store, settings, declared), Salts(store, visitors, clock), visitors)

    @contextlib.asynccontextmanager
    async def kept_fresh(self, *others: Coroutine[Any, Any, None], wait: float | None = None) -> AsyncIterator[None]:
        """Begin with what the store has, waiting `wait` seconds for it (None: as long as it takes), and keep up with it.

        A store that is away is not waited for. `others` run as long.
        """
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(wait):
                await self.sites.refresh()
                await self.salts.renew()
        tasks = [asyncio.create_task(each) for each in (self.sites.keep_fresh(), self.salts.keep_fresh(), *others)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class CountingCore(NamedTuple):
    """Takes views in and counts them: all that a server and a middleware have in common."""

    registry: Registry
    dependencies: Dependencies
    intake: Intake
    counter: Counter

    @classmethod
    def of(
        cls,
        store: Store,
        settings: Settings,
        ledger: Ledger,
        clock: Clock,
        *,
        declared: Sequence[str] | None = None,
        outbox: Outbox | None = None,
        on_counted: Callable[[str, int], object] = lambda _site, _views: None,
    ) -> Self:
        """The core that counts into `store`; `outbox` takes what it can't. Raises SettingError."""
        registry = Registry.of(store, settings, clock, declared=declared)
        sites = registry.sites
        dependencies = dependencies_of(
            registry.visitors,
            Addresses(settings.trusted_proxies, settings.client_address_header),
            Countries(settings.country_header, settings.country_database),
        )
        counter = Counter(
            store,
            ledger,
            outbox=outbox,
            on_counted=on_counted,
            most_new_pages=lambda name: site.rules.pages_per_day if (site := sites.get(name)) else 0,
            window=settings.window,
            max_pending_views=settings.max_pending_views,
            commit_timeout=settings.commit_timeout,
        )
        return cls(registry, dependencies, Intake(sites, dependencies), counter)


def dependencies_of(visitors: Visitors, addresses: Addresses, countries: Countries) -> Dependencies:
    """What views are classified with; the limits begin at nothing."""
    return Dependencies(Agents(), TraitReader(), addresses, countries, visitors, Rates(), NewPageQuota(visitors.today))


def import_intake(sites: KnownSites, visitors: Visitors, countries: Countries) -> Intake:
    """What classifies the views of an import. Its addresses are the clients', as the server that wrote the log had found out."""
    return Intake(sites, dependencies_of(visitors, Addresses(), countries))
