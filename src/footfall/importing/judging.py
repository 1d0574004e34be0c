"""Which entries of a log are views, and for which reason the others are not.

What only a log tells of (methods, statuses, assets) is judged here, by the list RULES, tried in order; the rest by the same steps
that judge requests, so that a line and the request it tells of get one judgement. `docs/what-counts.md` says the same to users.
Nothing here knows a format, a file or a store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from footfall.importing.formats.entry import LogEntry
from footfall.intake.pages import BadPage, is_asset, is_feed, normalise
from footfall.intake.request import Intake, Sites
from footfall.intake.traits import Evidence
from footfall.model import DAY, Drop, DropReason, View
from footfall.rules import Site

#: Requests of which it is remembered what the rules say, and how long their targets may be: at most about 10 MB. Logs repeat
#: themselves: of five lines four are found.
REMEMBERED_TARGETS = 16_384
LONGEST_REMEMBERED = 256

REMEMBERED_HOSTS = 1024

_PORT = re.compile(r":[0-9]{1,5}\Z")


class Target(NamedTuple):
    """What a request's target is: the page, "" where it can't be one, and whether it is an asset or a feed."""

    page: str
    is_asset: bool
    is_feed: bool


class Rule(NamedTuple):
    """A reason to drop what a line tells of. `applies` says whether it holds."""

    name: str
    reason: DropReason
    applies: Callable[[LogEntry, Target], bool]


def other_method(entry: LogEntry, _target: Target) -> bool:
    """The request is not a GET: it sends something (POST), asks for headers only (HEAD), or is no HTTP at all."""
    return entry.method != "GET"


def not_shown(entry: LogEntry, _target: Target) -> bool:
    """The answer was an error, a redirect, or had nothing to show (204, 205). With 304 a browser shows what it has kept."""
    status = entry.status
    return not (200 <= status <= 299 or status == 304) or status in (204, 205)


def no_page(_entry: LogEntry, target: Target) -> bool:
    """The target is no path that can be a page: see `pages.normalise`."""
    return target.page == ""


def asset(_entry: LogEntry, target: Target) -> bool:
    """The path ends like a file's that is no page: an image, a style sheet, a script, robots.txt, a download."""
    return target.is_asset


def feed(_entry: LogEntry, target: Target) -> bool:
    """The path or the query asks for a news feed."""
    return target.is_feed


#: Tried in this order, the first that applies gives the reason. What is left are pages that somebody was shown: the steps that
#: judge requests follow, so that "bot" counts pages that programs read, and not their images.
RULES: tuple[Rule, ...] = (
    Rule("other method", DropReason.NOT_A_PAGE, other_method),
    Rule("not shown", DropReason.NOT_A_PAGE, not_shown),
    Rule("no page", DropReason.BAD_PAGE, no_page),
    Rule("asset", DropReason.NOT_A_PAGE, asset),
    Rule("feed", DropReason.NOT_A_PAGE, feed),
)

#: The names under which lines are summed up that no rule of the list decides; a step of requests has its reason's.
UNREADABLE, UNKNOWN_SITE, COUNTED = "unreadable", "unknown site", "view"


class Judgement(NamedTuple):
    """What becomes of a line, and the name of the rule that decided."""

    rule: str
    outcome: View | Drop


class LogJudge:
    """Judges the entries of logs.

    An entry belongs to the site of `sites` that its host names, with its port or without; where that is none of them, or the
    entry names no host, to the site `otherwise`, if there is one.
    """

    def __init__(self, intake: Intake, sites: Sites, otherwise: Site | None) -> None:
        self.otherwise = None if otherwise is None else otherwise.name
        self._intake = intake
        self._sites = sites
        self._otherwise = otherwise
        self._spellings = lru_cache(REMEMBERED_HOSTS)(_spellings)
        self._remembered = lru_cache(REMEMBERED_TARGETS)(judged_by_rules)
        self._unreadable = Judgement(UNREADABLE, Drop(DropReason.UNREADABLE, self.otherwise))
        self._unknown_site = Judgement(UNKNOWN_SITE, Drop(DropReason.UNKNOWN_SITE, None))

    def judge(self, entry: LogEntry | None) -> Judgement:
        """The view that an entry tells of, with the entry's time; or why it tells of none. No entry is an unreadable line."""
        if entry is None:
            return self._unreadable
        site = self._site_of(entry.host) if entry.host else self._other()
        if site is None:
            return self._unknown_site
        text = entry.target
        judge = self._remembered if len(text) <= LONGEST_REMEMBERED else judged_by_rules
        judgement = judge(site.name, entry.method, text, entry.status)
        if judgement is not None:
            return judgement
        evidence = Evidence(
            entry.referrer,
            text.partition("?")[2],
            entry.user_agent or "",
            0,
            entry.headers.get(b"accept-language", b"").decode("latin-1"),
        )
        outcome = self._intake.classify_trusted(
            site, text, evidence, entry.address or "", at=entry.at, day=entry.at // DAY, headers=entry.headers
        )
        return Judgement(outcome.reason.value if isinstance(outcome, Drop) else COUNTED, outcome)

    def _site_of(self, host: str) -> Site | None:
        name, bare = self._spellings(host)
        return self._sites.get(name) or self._sites.get(bare) or self._other()

    def _other(self) -> Site | None:
        """The site `otherwise` as it is now: its rules may have changed."""
        return self._otherwise and (self._sites.get(self._otherwise.name) or self._otherwise)


def judged_by_rules(site: str, method: str, text: str, status: int) -> Judgement | None:
    """What the rules say of a request to a site, which was answered with this status; None where no rule applies."""
    asked, target = LogEntry(0, method, text, status), judged_target(text)
    for rule in RULES:
        if rule.applies(asked, target):
            return Judgement(rule.name, Drop(rule.reason, site))
    return None


def _spellings(host: str) -> tuple[str, str]:
    """A host's name as sites are named, with its port and without."""
    name = host.lower()
    return name, _PORT.sub("", name).rstrip(".")


def judged_target(text: str) -> Target:
    """What a target is, from its path and query."""
    path, _, query = text.partition("?")
    try:
        page = normalise(path)
    except BadPage:
        return Target("", False, False)
    return Target(page, is_asset(page), is_feed(page, query))


def drop_reasons() -> Mapping[str, DropReason]:
    """The reason behind every name that a drop is summed up under."""
    own = {UNREADABLE: DropReason.UNREADABLE, UNKNOWN_SITE: DropReason.UNKNOWN_SITE} | {rule.name: rule.reason for rule in RULES}
    return {reason.value: reason for reason in DropReason} | own
