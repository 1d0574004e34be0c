"""Classifying what comes in: a request's query string and headers, or an item of a batch, go in; a View or a Drop comes out.

Each step is a small function that answers with a reason to drop the view, or with None; STEPS lists them, the first reason
wins. Nothing here knows a store or a reply. An address is looked at and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from footfall.headers import NO_HEADERS, Headers
from footfall.intake.addresses import Addresses
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.limits import Claim, NewPageQuota, Rates
from footfall.intake.pages import BadPage, page_of
from footfall.intake.query import Asked, QueryReader
from footfall.intake.traits import Evidence, TraitReader
from footfall.intake.visitors import Visitors
from footfall.model import Drop, DropReason, Outcome, Settled, View
from footfall.rules import Site


class Sites(Protocol):
    """The sites whose views are counted, by name."""

    def get(self, name: str, /) -> Site | None: ...


class Dependencies(NamedTuple):
    """What views are classified with."""

    agents: Agents
    traits: TraitReader
    addresses: Addresses
    countries: Countries
    visitors: Visitors
    rates: Rates
    new_pages: NewPageQuota


class Candidate(msgspec.Struct, frozen=True):
    """What the steps look at: a view of `page`, not classified yet, and who asks for it to be counted.

    `address` is "" where nothing is known of it. `spares` says which programs count all the same.
    """

    site: Site
    page: str
    headers: Headers
    user_agent: str
    address: str
    is_automated: bool = False
    spares: Callable[[str], bool] | None = None


Step = Callable[[Candidate, Dependencies], DropReason | None]

#: Sites whose steps are remembered.
REMEMBERED_SITES = 1024


def from_elsewhere(candidate: Candidate, _dependencies: Dependencies) -> DropReason | None:
    """A page on a host that the site's list of origins has not. A request that names no origin passes."""
    if not candidate.site.rules.origins:
        return None
    origin = candidate.headers.get(b"origin")
    if origin is None:
        referrer = candidate.headers.get(b"referer", b"")
        scheme, separator, rest = referrer.partition(b"://")
        origin = scheme + separator + rest.partition(b"/")[0] if separator else b""
    if not origin or candidate.site.allows_origin(origin.decode("latin-1")):
        return None
    return DropReason.ORIGIN


def sent_by_a_robot(candidate: Candidate, dependencies: Dependencies) -> DropReason | None:
    """A user agent that the list of robots knows, or a browser that says a program drives it. No agent at all is no robot."""
    if candidate.is_automated:
        return DropReason.BOT
    if not dependencies.agents.is_bot(candidate.user_agent):
        return None
    return None if candidate.spares is not None and candidate.spares(candidate.user_agent) else DropReason.BOT


def fetched_ahead(candidate: Candidate, _dependencies: Dependencies) -> DropReason | None:
    """A browser that loads a page before anybody asks for it."""
    return DropReason.PREFETCH if is_fetched_ahead(candidate.headers) else None


def is_fetched_ahead(headers: Headers) -> bool:
    """Whether a browser says so (Sec-Purpose, and the older names Purpose, X-Moz and X-Purpose)."""
    purpose = headers.get(b"sec-purpose") or headers.get(b"purpose") or headers.get(b"x-moz") or headers.get(b"x-purpose")
    return purpose is not None and any(word in purpose.lower() for word in (b"prefetch", b"prerender", b"preview"))


def asks_for_privacy(candidate: Candidate, _dependencies: Dependencies) -> DropReason | None:
    """A browser that sends Global Privacy Control or Do Not Track, where the site honours them."""
    if not candidate.site.rules.honours_privacy_signals:
        return None
    headers = candidate.headers
    said = (headers.get(b"sec-gpc", b"") + b"," + headers.get(b"dnt", b"")).split(b",")
    return DropReason.PRIVACY if any(each.strip() == b"1" for each in said) else None


def excluded(candidate: Candidate, _dependencies: Dependencies) -> DropReason | None:
    """A page or an address that the site does not want counted."""
    site = candidate.site
    if site.excludes_page(candidate.page) or (site.excludes_addresses and site.excludes_address(candidate.address)):
        return DropReason.EXCLUDED
    return None


def beyond_a_rate(candidate: Candidate, dependencies: Dependencies) -> DropReason | None:
    """More views a minute than one address, or the site, may have."""
    rules = candidate.site.rules
    name = candidate.site.name
    if rules.visitor_rate and candidate.address:
        who, _ = dependencies.addresses.limit_key(candidate.address)
        if not dependencies.rates.allows(name, who, rules.visitor_rate):
            return DropReason.RATE
    if rules.site_rate and not dependencies.rates.allows(name, "", rules.site_rate):
        return DropReason.RATE
    return None


#: What speaks against a view, in the order in which it is asked. Its site and its page have been found before.
STEPS: tuple[Step, ...] = (from_elsewhere, sent_by_a_robot, fetched_ahead, asks_for_privacy, excluded, beyond_a_rate)

#: Steps that only some sites need: where its rules name nothing of the kind, nothing can speak against a view.
_NEEDED: Mapping[Step, Callable[[Site], object]] = {
    from_elsewhere: lambda site: site.rules.origins,
    asks_for_privacy: lambda site: site.rules.honours_privacy_signals,
    excluded: lambda site: site.rules.excluded_paths or site.rules.excluded_addresses,
    beyond_a_rate: lambda site: site.rules.visitor_rate or site.rules.site_rate,
}

#: `GET /` is the page itself: its referrer is where the visit comes from, not where a snippet stands.
HOME_STEPS: tuple[Step, ...] = tuple(step for step in STEPS if step is not from_elsewhere)

#: What is handed in with a token is trusted: neither its origin nor its amount speaks against it.
TRUSTED_STEPS: tuple[Step, ...] = (sent_by_a_robot, fetched_ahead, asks_for_privacy, excluded)


class Intake:
    """Classifies what comes in for `sites`, by `dependencies`."""

    def __init__(self, sites: Sites, dependencies: Dependencies) -> None:
        self._sites = sites
        self._dependencies = dependencies
        self._queries = QueryReader()
        self._needed = lru_cache(REMEMBERED_SITES)(_needed)

    def classify(
        self, query: bytes, headers: Headers, peer: str = "", spares: Callable[[str], bool] | None = None
    ) -> View | Drop:
        """Classify a request to count by its query string, headers and the address it comes from.

        `spares` names programs that count all the same. Raises BadInput for a malformed query string.
        """
        asked = self._queries.read(query)
        site = self._sites.get(asked.site)
        if site is None:
            return Drop(DropReason.UNKNOWN_SITE, None)
        return self._classify(STEPS, site, asked, headers, peer, spares)

    def classify_page(
        self, site: str, path: str, headers: Headers, peer: str = "", spares: Callable[[str], bool] | None = None
    ) -> View | Drop:
        """Classify a view of the page that this request asks for, its referrer in its own headers: `GET /`, a middleware's."""
        found = self._sites.get(site)
        if found is None:
            return Drop(DropReason.UNKNOWN_SITE, None)
        referrer = headers.get(b"referer", b"").decode("latin-1")
        asked = Asked(site, path, None, referrer, path.partition("?")[2], 0, "", False)
        return self._classify(HOME_STEPS, found, asked, headers, peer, spares)

    def classify_home(self, view: View, headers: Headers, peer: str = "") -> View | Drop:
        """The same for `GET /`, where command-line clients count."""
        return self.classify_page(view.site, view.page, headers, peer, self._dependencies.agents.is_command_line)

    def _classify(
        self,
        steps: tuple[Step, ...],
        site: Site,
        asked: Asked,
        headers: Headers,
        peer: str,
        spares: Callable[[str], bool] | None,
    ) -> View | Drop:
        try:
            page = page_of(asked.path, site.rules)
        except BadPage:
            return Drop(DropReason.BAD_PAGE, site.name)
        dependencies = self._dependencies
        agent = headers.get(b"user-agent", b"")
        user_agent = agent.decode("latin-1")
        address = dependencies.addresses.client(peer, headers)
        candidate = Candidate(site, page, headers, user_agent, address, asked.is_automated, spares)
        for step in self._needed(steps, site):
            reason = step(candidate, dependencies)
            if reason is not None:
                return Drop(reason, site.name)
        language = asked.language or headers.get(b"accept-language", b"").decode("latin-1")
        country = dependencies.countries.country(address, headers) if dependencies.countries.are_known else ""
        evidence = Evidence(asked.referrer, asked.campaign, user_agent, asked.width, language, country)
        visitor = dependencies.visitors.hash(site.name, address, agent) if site.rules.counts_visitors else None
        return View(site.name, page, None, asked.event_id, dependencies.traits.read(evidence, site.name), visitor)

    def claim(self, view: View, headers: Headers, peer: str) -> Claim | None:
        """Ask whether a view may open its page, should that be new, for the address of its request. To be settled.

        None: its page is known to be there, or its site may have any number of pages.
        """
        quota = self._dependencies.new_pages
        if quota.knows(view.site, view.page):
            return None
        site = self._sites.get(view.site)
        if site is None or not site.rules.pages_per_day:
            return None
        who = self._limited(headers, peer)
        return Claim(who, not who or quota.claim(view.site, who, view.page))

    def settle(self, view: View, claim: Claim | None, result: Settled | None, headers: Headers, peer: str) -> None:
        """Count a new page against its address, and give a claim back. `result` is None where a view failed.

        Of a view that waits in the spool nobody knows whether it will open its page: it counts as one that did.
        """
        quota = self._dependencies.new_pages
        is_spooled = claim is not None and claim.is_granted and result is not None and result.outcome is Outcome.SPOOLED
        if is_spooled or (result is not None and result.opened):
            who = self._limited(headers, peer) if claim is None else claim.who
            if who:
                quota.brought(view.site, who)
        if claim is None:
            return
        is_kept = result is not None and result.outcome is Outcome.COUNTED
        if claim.who and claim.is_granted:
            quota.settle(view.site, claim.who, view.page, is_kept=is_kept)
        elif is_kept:
            quota.learn(view.site, view.page)

    def _limited(self, headers: Headers, peer: str) -> str:
        """What new pages are counted by: the client's address where it is a public one, else "", for it may be a proxy's."""
        addresses = self._dependencies.addresses
        who, is_public = addresses.limit_key(addresses.client(peer, headers))
        return who if is_public else ""

    def classify_trusted(
        self,
        site: Site,
        path: str,
        evidence: Evidence,
        address: str = "",
        *,
        at: int | None = None,
        event_id: str | None = None,
        day: int | None = None,
        headers: Headers = NO_HEADERS,
    ) -> View | Drop:
        """Classify a view handed in with a token, by a log or by a library: with its own time, agent and address, if any.

        `day` is the day (UTC, counted from the epoch) of its visitor's salt, today's unless said otherwise; `headers` are those
        of the visitor's request, as far as they are known.
        """
        try:
            page = page_of(path, site.rules)
        except BadPage:
            return Drop(DropReason.BAD_PAGE, site.name)
        dependencies = self._dependencies
        candidate = Candidate(site, page, headers, evidence.user_agent, address)
        for step in self._needed(TRUSTED_STEPS, site):
            reason = step(candidate, dependencies)
            if reason is not None:
                return Drop(reason, site.name)
        if not evidence.country and dependencies.countries.are_known:
            evidence = evidence._replace(country=dependencies.countries.country(address, headers))
        agent = evidence.user_agent.encode("utf-8", "surrogateescape")
        visitor = dependencies.visitors.hash(site.name, address, agent, day) if site.rules.counts_visitors else None
        return View(site.name, page, at, event_id, dependencies.traits.read(evidence, site.name), visitor)


def _needed(steps: tuple[Step, ...], site: Site) -> tuple[Step, ...]:
    """Those of the steps that can drop a view of this site."""
    return tuple(step for step in steps if step not in _NEEDED or _NEEDED[step](site))
