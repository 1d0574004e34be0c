"""An intake as the server builds it, its clock and rules made up by a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from footfall.intake.addresses import Addresses
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.limits import NewPageQuota, Rates
from footfall.intake.request import Dependencies, Intake
from footfall.intake.traits import TraitReader
from footfall.intake.visitors import Visitors
from footfall.model import DAY, DIMENSIONS, Drop, View
from footfall.rules import Rules, Site

SITE = "example.com"
CHROME = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
NOON = 20_000 * DAY + DAY // 2


@dataclass(frozen=True)
class Bench:
    """An intake and what it was built of."""

    intake: Intake
    dependencies: Dependencies

    def count(self, query: str = "s=example.com&p=/", peer: str = "203.0.113.7", **headers: str) -> View | Drop:
        """Judge a request to count by a Chrome on Windows; header names with "_" for "-"."""
        raw = {b"user-agent": CHROME} | {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return self.intake.classify(query.encode(), raw, peer)

    def known(self, query: str = "s=example.com&p=/", **headers: str) -> dict[str, str]:
        """The traits of such a request's view by dimension, those that are known."""
        classified = self.count(query, **headers)
        assert isinstance(classified, View)
        return {dimension.name: value for dimension, value in zip(DIMENSIONS, classified.traits, strict=True) if value}


def bench(
    rules: Rules = Rules(),  # noqa: B008 - frozen
    *,
    agents: Agents | None = None,
    traits: TraitReader | None = None,
    addresses: Addresses | None = None,
    countries: Countries | None = None,
    now: Callable[[], float] = lambda: NOON,
    monotonic: Callable[[], float] = lambda: 0.0,
    sites: Mapping[str, Site] | None = None,
) -> Bench:
    """An intake for example.com under these rules; its clocks stand still unless others are given."""
    visitors = Visitors(now)
    visitors.use({NOON // DAY: b"s" * 32, NOON // DAY + 1: b"t" * 32})
    dependencies = Dependencies(
        agents or Agents(),
        traits or TraitReader(),
        addresses or Addresses(),
        countries or Countries(),
        visitors,
        Rates(monotonic=monotonic),
        NewPageQuota(visitors.today),
    )
    return Bench(Intake(sites or {SITE: Site(SITE, rules)}, dependencies), dependencies)
