"""What judges logs in tests, made as the server makes it: no salts, so no visitors; no limits."""

from __future__ import annotations

from collections.abc import Mapping

from footfall.importing import Recipe
from footfall.importing.judging import LogJudge
from footfall.intake.addresses import Addresses
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.limits import NewPageQuota, Rates
from footfall.intake.request import Dependencies, Intake
from footfall.intake.traits import TraitReader
from footfall.intake.visitors import Visitors
from footfall.rules import Rules, Site

_AGENTS = Agents()
_TRAITS = TraitReader()


def intake_of(*sites: str, rules: Rules = Rules(), visitors: Visitors | None = None) -> Intake:  # noqa: B008 - a frozen value
    """What judges views of these sites."""
    visitors = visitors or Visitors(lambda: 0.0)
    dependencies = Dependencies(_AGENTS, _TRAITS, Addresses(), Countries(), visitors, Rates(), NewPageQuota(visitors.today))
    return Intake({site: Site(site, rules) for site in sites}, dependencies)


def judge_of(
    otherwise: str | None,
    *sites: str,
    rules: Rules = Rules(),  # noqa: B008 - a frozen value
    visitors: Visitors | None = None,
) -> LogJudge:
    """What judges the logs of these sites, and of `otherwise` where they name none of them."""
    named = {site: Site(site, rules) for site in sites}
    intake = intake_of(*sites, rules=rules, visitors=visitors)
    return LogJudge(intake, named, None if otherwise is None else Site(otherwise, rules))


def recipe_of(otherwise: str | None, *sites: str, salts: Mapping[int, bytes]) -> Recipe:
    """The recipe of a judge of these sites, and of `otherwise`, that tells visitors apart by these salts."""
    rules = Rules()
    return Recipe(dict.fromkeys(sites, rules), None if otherwise is None else (otherwise, rules), salts, None, None)
