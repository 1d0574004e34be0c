"""What a site is beside its name: who may see its numbers, from where its views may come, by which rules they are judged, and how
long they are kept.

A frozen value, whole: where a rule comes from (a setting, a document in the store) is not seen here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from itertools import pairwise

import msgspec

from footfall.errors import BadInput
from footfall.model import DAY, DEFAULT_RETENTION, HOUR, Retention, Tier
from footfall.networks import Networks, network, pack

#: Origins that stand for the site itself: its own host and all below it.
OWN_ORIGIN = "self"

#: A rule's list has at most so many entries of at most so many characters.
MAX_ENTRIES = 100
MAX_ENTRY_LENGTH = 300

#: Characters of a host name (RFC 1035, 2.3.4).
MAX_HOST_LENGTH = 253

#: The ports that browsers leave out of an address, by its scheme; of an address without one both.
_DEFAULT_PORTS: Mapping[str, Sequence[str]] = {"http": ("80",), "https": ("443",), "": ("80", "443")}

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?=[.-]*[a-z0-9])[a-z0-9.-]{1,253}(?::(\d{1,5}))?", re.ASCII)

_ORIGIN = re.compile(r"(?:https?://)?(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?|self|\*")

#: What the entries of a rule's list must look like, and how to write them.
_PATTERNS = (
    ("origins", _ORIGIN, "hosts such as example.com, *.example.com, localhost:3000, or self; separated by commas"),
    ("excluded_paths", re.compile(r"[/*][^\x00-\x20\x7f]*"), "paths such as /admin/* or *.json; separated by commas"),
    (
        "kept_parameters",
        re.compile(r"[A-Za-z0-9_.~\[\]-]{1,64}"),
        "names of query parameters such as id, page; separated by commas",
    ),
)

MAX_NUMBER = 10_000_000
_NUMBERS = (
    ("visitor_rate", f"views a minute, a whole number from 0 (no limit) to {MAX_NUMBER}"),
    ("site_rate", f"views a minute, a whole number from 0 (no limit) to {MAX_NUMBER}"),
    ("pages_per_day", f"pages, a whole number from 0 (no limit) to {MAX_NUMBER}"),
)

#: The rules that are durations, in seconds: how long the buckets of a tier are kept.
RETENTION_RULES: Mapping[Tier, str] = {tier: f"retention_{tier.value}" for tier in DEFAULT_RETENTION}

#: No duration, in seconds, is longer: beyond it a slip of the pen is likelier than a wish.
LONGEST_DURATION = 36_500 * DAY

#: The widest window, in seconds, and how much longer seconds are kept at least, so that a slow reading meets none that is gone.
LONGEST_WINDOW = 540
WINDOW_MARGIN = 60


class Visibility(enum.StrEnum):
    """Who may see a site's numbers without a login or a token."""

    #: nobody
    PRIVATE = "private"
    #: everyone the counters of its pages (badge, JSON, text) and nothing else
    COUNTER = "counter"
    #: everyone everything
    PUBLIC = "public"


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which rules a site's views are judged and kept. Rates are views a minute, 0 for no limit; retentions are seconds.

    `origins`: hosts that pages may be on, "*.example.com" for all below one, "self" for the site's own; none: any.
    `excluded_addresses`: addresses or networks (CIDR). `excluded_paths`: patterns with * and ?. `kept_parameters`: query
    parameters that tell pages apart. `honours_privacy_signals`: views with DNT: 1 or Sec-GPC: 1 are dropped.
    `merges_slash`: a path with a slash at its end is the one without. `merges_index`: /a/index.html is /a/.
    `counts_visitors`: whether visitors are told apart at all. `retention_minute` and its like: how long the buckets of a tier
    are kept, with all that is known of their views; none is shorter than the one of the finer tier.
    """

    visibility: Visibility = Visibility.PRIVATE
    origins: tuple[str, ...] = ()
    excluded_addresses: tuple[str, ...] = ()
    excluded_paths: tuple[str, ...] = ()
    kept_parameters: tuple[str, ...] = ()
    honours_privacy_signals: bool = False
    merges_slash: bool = False
    merges_index: bool = True
    counts_visitors: bool = True
    visitor_rate: int = 0
    site_rate: int = 0
    pages_per_day: int = 10_000
    retention_second: int = DEFAULT_RETENTION[Tier.SECOND]
    retention_minute: int = DEFAULT_RETENTION[Tier.MINUTE]
    retention_hour: int = DEFAULT_RETENTION[Tier.HOUR]
    retention_day: int = DEFAULT_RETENTION[Tier.DAY]

    def __post_init__(self) -> None:
        """Raises BadInput naming the rule at fault."""
        for name in ("origins", "excluded_addresses", "excluded_paths", "kept_parameters"):
            values = getattr(self, name)
            if len(values) > MAX_ENTRIES or any(len(value) > MAX_ENTRY_LENGTH for value in values):
                raise BadInput(name, f"at most {MAX_ENTRIES} entries of {MAX_ENTRY_LENGTH} characters each")
        for address in self.excluded_addresses:
            network(address, "excluded_addresses")
        for name, pattern, accepted in _PATTERNS:
            values = map(_ascii_origin, self.origins) if name == "origins" else getattr(self, name)
            if not all(map(pattern.fullmatch, values)):
                raise BadInput(name, accepted)
        for name, accepted in _NUMBERS:
            if not 0 <= getattr(self, name) <= MAX_NUMBER:
                raise BadInput(name, accepted)
        check_order(self.retention)

    @property
    def retention(self) -> Retention:
        """How long each tier's buckets are kept, in seconds."""
        return {tier: getattr(self, rule) for tier, rule in RETENTION_RULES.items()}


def duration_words(seconds: int) -> str:
    """A duration as one would write it: 730d, 48h, 600."""
    if seconds >= 3 * DAY and seconds % DAY == 0:
        return f"{seconds // DAY}d"
    return f"{seconds // HOUR}h" if seconds >= HOUR and seconds % HOUR == 0 else str(seconds)


def check_order(kept: Retention) -> None:
    """Raise BadInput, naming the rule, where a tier is not kept for a duration, or not as long as the finer one."""
    for tier, rule in RETENTION_RULES.items():
        if not 1 <= kept[tier] <= LONGEST_DURATION:
            raise BadInput(rule, f"a duration from 1 second to {LONGEST_DURATION // DAY} days")
    for finer, tier in pairwise(RETENTION_RULES):
        if kept[tier] < kept[finer]:
            why = f"{tier.value}s must be kept at least as long as {finer.value}s"
            raise BadInput(RETENTION_RULES[tier], f"{duration_words(kept[finer])} or longer: {why}")


def check_windows(kept: Retention, of_store: Retention) -> None:
    """Raise BadInput where seconds are not kept as long as the widest window needs that the store's retention has room for."""
    least = min(LONGEST_WINDOW + WINDOW_MARGIN, of_store[Tier.SECOND])
    if kept[Tier.SECOND] < least:
        raise BadInput(RETENTION_RULES[Tier.SECOND], f"a duration of {least} seconds or more: windows are read from them")


def ascii_host(host: str) -> str:
    """A host name in ASCII, as browsers send it: bücher.example is xn--bcher-kva.example (UTS 46). Raises ValueError."""
    if host.isascii():
        return host
    if len(host) > MAX_HOST_LENGTH:
        raise ValueError(f"at most {MAX_HOST_LENGTH} characters")
    import idna  # only where there is such a name: its tables are large

    name, colon, port = host.partition(":")
    return idna.encode(name, uts46=True).decode("ascii") + colon + port


def site_name(written: str) -> str:
    """The name of a site from what a person types or pastes: https://Example.com/path is example.com.

    The scheme, the path, a dot at the end and the port that browsers leave out say nothing of the site; another port is part of
    its name. A name in another alphabet is kept in ASCII. Raises ValueError, which says what is wrong.
    """
    found = _ADDRESS.fullmatch(written.strip())
    scheme, rest = (found[1], found[2]) if found else ("", written.strip().removeprefix("//"))
    ports = _DEFAULT_PORTS.get(scheme.lower())
    if ports is None:
        raise ValueError("write a host name such as example.com, or an address that begins with https:// or http://")
    host = re.split(r"[/?#\\]", rest, maxsplit=1)[0].lower()
    if scheme:
        host = host.rpartition("@")[2]
    name, colon, port = host.partition(":")
    try:
        name = ascii_host(name).rstrip(".")
    except ValueError:
        raise ValueError("write this name in ASCII, as browsers do: it begins with xn--") from None
    key = name if not port or port in ports else name + colon + port
    if len(key) > MAX_HOST_LENGTH:
        raise ValueError(f"write a host name of at most {MAX_HOST_LENGTH} characters")
    match = _HOST.fullmatch(key)
    if match is None:
        raise ValueError("write a host name such as example.com or localhost:8080: letters, digits, hyphens and dots")
    if match[1] is not None and not 1 <= int(match[1]) <= 65535:
        raise ValueError("write a port from 1 to 65535, or none")
    return key


class Site:
    """A site and its rules, the latter in the forms in which views are held against them."""

    __slots__ = ("_excluded_networks", "_excluded_path", "_origin", "name", "rules")

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self.rules = rules
        self._origin = _one_of([_origin_pattern(origin, name) for origin in rules.origins])
        self._excluded_path = _one_of([translate(path) for path in rules.excluded_paths])
        self._excluded_networks = Networks(rules.excluded_addresses, "excluded_addresses")

    def allows_origin(self, origin: str) -> bool:
        """Whether views may come from a page at `origin` (scheme://host:port, as in the header Origin)."""
        return self._origin is None or self._origin.fullmatch(origin.lower()) is not None

    def excludes_page(self, page: str) -> bool:
        """Whether views of a page are not wanted."""
        return self._excluded_path is not None and self._excluded_path.match(page) is not None

    @property
    def excludes_addresses(self) -> bool:
        """Whether there are any addresses whose views are not wanted."""
        return bool(self._excluded_networks)

    def excludes_address(self, address: str) -> bool:
        """Whether views from an address are not wanted. What is no address is not excluded."""
        return pack(address) in self._excluded_networks


def _ascii_origin(origin: str) -> str:
    """An entry of the list of origins as browsers spell it; what can't be spelled so, as it is."""
    scheme, separator, host = origin.lower().rpartition("://")
    below = "*." if host.startswith("*.") else ""
    try:
        return scheme + separator + below + ascii_host(host.removeprefix("*."))
    except ValueError:
        return origin


def _origin_pattern(origin: str, site: str) -> str:
    """A regular expression for the origins that an entry of the list allows."""
    origin = _ascii_origin(origin)
    if origin == "*":
        return ".*"
    if origin == OWN_ORIGIN:
        return rf"https?://(?:[^/:]+\.)?{re.escape(site.partition(':')[0].removeprefix('www.'))}(?::\d+)?"
    scheme, separator, host = origin.rpartition("://")
    start = f"{scheme}://" if separator else "https?://"
    below = r"[^/:]+\." if host.startswith("*.") else ""
    host = host.removeprefix("*.")
    port = "" if re.search(r":\d+\Z", host) else r"(?::\d+)?"
    return start + below + re.escape(host) + port


def _one_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None
