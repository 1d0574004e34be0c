"""What is known of a visit, one value a dimension: this module has the extractor of each.

The evidence is a referrer, a campaign, a user agent, a width, a language and an address; the values are short, few and printable.
Where nothing is known a value is "", which is not counted. Nothing here knows requests, stores or pages.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple

from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.re2 import Resolver

from footfall.intake.agents import MAX_AGENT_LENGTH
from footfall.intake.referrers import DIRECT, campaign_of, channel_of, host_of
from footfall.model import DIMENSIONS, Traits

#: User agents, referrers and campaigns whose traits are remembered, some 400 bytes each. Evidence comes from outside, as long as
#: its sender likes: what stands behind so many characters is neither looked at nor remembered.
REMEMBERED = 8192
MAX_SOURCE_LENGTH = 1024
MAX_LANGUAGE_LENGTH = 64

#: A viewport up to so many CSS pixels wide is a phone's, or a tablet's: the widths at which style sheets commonly switch.
PHONE_WIDTH = 767
TABLET_WIDTH = 1024

_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})(?![A-Za-z])")
_COUNTRY = re.compile(r"[A-Z]{2}")
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk(?!.*Mobile)|Android(?!.*Mobile)|Kindle")
_PHONE = re.compile(r"Mobi|iPhone|iPod|Android|Opera Mini|IEMobile|BlackBerry|Windows Phone")
_TV = re.compile(r"\b(?:SMART-TV|SmartTV|Smart-TV|HbbTV|AppleTV|GoogleTV|Tizen.*TV|Web0S|CrKey|BRAVIA|Roku)")

#: Families of the list that are one browser to whoever reads the numbers.
_BROWSERS = {
    "Mobile Safari UI/WKWebView": "Safari",
    "Chrome Mobile WebView": "Chrome",
    "Chromium": "Chrome",
    "Firefox (Shiretoko)": "Firefox",
    "IE": "Internet Explorer",
    "Edge Mobile": "Edge",
}
_VARIANTS = re.compile(r"^Mobile | Mobile\b| iOS$| WebView$")

_SYSTEMS = {
    "Mac OS X": "macOS",
    "Ubuntu": "Linux",
    "Fedora": "Linux",
    "Debian": "Linux",
    "Red Hat": "Linux",
    "SUSE": "Linux",
    "Mint": "Linux",
}


class AgentTraits(NamedTuple):
    """What a user agent tells; "" where it does not."""

    browser: str
    system: str
    device: str


class Evidence(NamedTuple):
    """What a view brings, as it was sent: `referrer` None where it says nothing of one, `campaign` a query string."""

    referrer: str | None = None
    campaign: str = ""
    user_agent: str = ""
    width: int = 0
    language: str = ""
    country: str = ""


#: What is found of a visit, in the order in which it is looked for: a value for each dimension.
_FOUND = ("channel", "referrer", "campaign", "browser", "system", "device", "language", "country")


def _device(agents_own: str, width: int) -> str:
    if agents_own or not width:
        return agents_own
    return "phone" if width <= PHONE_WIDTH else "tablet" if width <= TABLET_WIDTH else "desktop"


class TraitReader:
    """Reads traits from evidence. Its tables are made when it reads its first user agent, in some 50 ms: make one, pass it on."""

    def __init__(self) -> None:
        self._in_order = itemgetter(*(_FOUND.index(dimension.name) for dimension in DIMENSIONS))
        self._agent = lru_cache(REMEMBERED)(self._read_agent)
        self._source = lru_cache(REMEMBERED)(_source)
        self._campaign = lru_cache(1024)(campaign_of)
        self._language = lru_cache(1024)(language_of)

    def read(self, evidence: Evidence, site: str) -> Traits:
        """The traits of a visit of `site`. A referrer on the site itself is no source: its views have no channel."""
        campaign, channel = self._campaign(evidence.campaign[:MAX_SOURCE_LENGTH]) if evidence.campaign else ("", "")
        host = ""
        if evidence.referrer is not None:
            host, of_host = self._source(evidence.referrer[:MAX_SOURCE_LENGTH], site)
            channel = channel or of_host
        browser, system, device = self._agent(evidence.user_agent[:MAX_AGENT_LENGTH])
        language = self._language(evidence.language[:MAX_LANGUAGE_LENGTH]) if evidence.language else ""
        country = country_of(evidence.country) if evidence.country else ""
        device = _device(device, evidence.width)
        values: Traits = self._in_order((channel, host, campaign, browser, system, device, language, country))
        return values

    @cached_property
    def _resolve(self) -> Resolver:
        browsers, systems, _ = load_lazy_builtins()
        return Resolver((browsers, systems, []))

    def _read_agent(self, user_agent: str) -> AgentTraits:
        if not user_agent:
            return AgentTraits("", "", "")
        found = self._resolve(user_agent, Domain.USER_AGENT | Domain.OS)
        browser = found.user_agent.family if found.user_agent else ""
        system = found.os.family if found.os else ""
        name = _BROWSERS.get(browser) or _VARIANTS.sub("", browser)[:40]
        return AgentTraits(name, _SYSTEMS.get(system, system)[:40], _agent_device(user_agent, system))


def _agent_device(user_agent: str, system: str) -> str:
    if _TV.search(user_agent):
        return "tv"
    if _TABLET.search(user_agent):
        return "tablet"
    if _PHONE.search(user_agent):
        return "phone"
    return "desktop" if system in ("Windows", "Mac OS X", "Chrome OS") or system in _SYSTEMS or system == "Linux" else ""


def _source(referrer: str, site: str) -> tuple[str, str]:
    """A referrer's host and channel; neither where it is the site itself."""
    host = host_of(referrer)
    own = site.partition(":")[0].removeprefix("www.")
    if host and (host == own or host.endswith("." + own)):
        return "", ""
    return host, channel_of(host) if host or not referrer else DIRECT


def language_of(text: str) -> str:
    """The language that a tag or an Accept-Language header names first: "de" of "de-AT,en;q=0.8"; "" for none."""
    match = _LANGUAGE.match(text)
    return match[1].lower() if match else ""


def country_of(text: str) -> str:
    """A country's code (ISO 3166-1 alpha-2) as a header gives it; "" for what is none ("XX" and "T1" of some networks too)."""
    code = text.strip().upper()
    return code if _COUNTRY.fullmatch(code) and code != "XX" else ""
