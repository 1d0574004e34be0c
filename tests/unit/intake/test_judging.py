"""A request to count is judged by the named steps, in their order, each with its reason."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.intake.addresses import Addresses
from footfall.intake.countries import Countries
from footfall.intake.query import read_query
from footfall.intake.request import HOME_STEPS, STEPS, TRUSTED_STEPS
from footfall.model import DAY, Drop, DropReason, View
from footfall.rules import Rules
from tests.support.judging import NOON, SITE, Bench, bench

#: A bench with every rule and every means on.
EVERYTHING = bench(
    Rules(
        origins=("self",),
        excluded_addresses=("203.0.113.0/24",),
        excluded_paths=("/x/*",),
        honours_privacy_signals=True,
        visitor_rate=10**6,
        site_rate=10**6,
    ),
    addresses=Addresses(("0.0.0.0/0", "::/0")),
    countries=Countries(header="CF-IPCountry"),
)


@pytest.fixture(scope="module")
def plain() -> Bench:
    return bench()


def reason(judged: View | Drop) -> str | None:
    """Why a view was dropped; None where it counts."""
    return judged.reason.value if isinstance(judged, Drop) else None


def page(judged: View | Drop) -> str:
    """The page a view counts on."""
    assert isinstance(judged, View)
    return judged.page


def test_the_steps_are_a_named_list() -> None:
    """Each has a name and says what it is for; the shorter lists are parts of the long one."""
    assert [step.__name__ for step in STEPS] == [
        "from_elsewhere",
        "sent_by_a_robot",
        "fetched_ahead",
        "asks_for_privacy",
        "excluded",
        "beyond_a_rate",
    ]
    assert all(step.__doc__ for step in STEPS)
    assert set(HOME_STEPS) < set(STEPS)
    assert set(TRUSTED_STEPS) < set(STEPS)


def test_a_person_s_view_counts(plain: Bench) -> None:
    """With its page, and nothing that says who it was but a hash."""
    judged = plain.count()
    assert isinstance(judged, View)
    assert (judged.site, judged.page, judged.at, judged.event_id) == (SITE, "/", None, None)
    assert judged.visitor is not None


# Site and page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("s=example.org&p=/", "unknown-site"),
        ("s=EXAMPLE.com&p=/", None),
        ("s=example%E3%80%82com&p=/", None),
        ("s=%C3%BC..example.com&p=/", "unknown-site"),
        ("s=example.com&p=no-slash", "bad-page"),
        ("s=example.com&p=/%00", "bad-page"),
        ("s=example.com&p=/&b=1", "bot"),
        ("s=example.com&p=/&b=0", None),
    ],
)
def test_site_page_and_webdriver_are_judged_by_the_query(plain: Bench, query: str, expected: str | None) -> None:
    """A name that is no site, a path that is no page, a browser that a program drives."""
    assert reason(plain.count(query)) == expected


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        (Rules(), "/a/index.html", "/a/"),
        (Rules(), "/Default.aspx", "/"),
        (Rules(), "/myindex.html", "/myindex.html"),
        (Rules(merges_index=False), "/a/index.html", "/a/index.html"),
        (Rules(), "/a/", "/a/"),
        (Rules(merges_slash=True), "/a/", "/a"),
        (Rules(merges_slash=True), "/a/index.php", "/a"),
        (Rules(merges_slash=True), "/", "/"),
        (Rules(), "/a?id=1&utm_source=x#y", "/a"),
        (Rules(kept_parameters=("id",)), "/a?utm_source=x&id=1&b=2", "/a?id=1"),
        (Rules(kept_parameters=("id", "b")), "/a?b=2&id=1", "/a?id=1&b=2"),
        (Rules(kept_parameters=("id",)), "/a?id=a+b%26c&id=2", "/a?id=a%20b%26c"),
        (Rules(kept_parameters=("id",)), "/a?id=", "/a"),
        (Rules(kept_parameters=("q",)), "/a?q=é", "/a?q=%C3%A9"),
    ],
)
def test_a_site_s_rules_say_what_is_one_page(rules: Rules, path: str, expected: str) -> None:
    """Index files, slashes and query parameters; and a page gives itself."""
    judge = bench(rules)
    once = page(judge.count(f"s=example.com&p={quote(path)}"))
    assert once == expected
    assert page(judge.count(f"s=example.com&p={quote(once)}")) == once


@given(st.text("/abc?&=%.é#+;", max_size=30), st.booleans(), st.booleans())
def test_whatever_the_rules_a_page_gives_itself(path: str, merges_slash: bool, merges_index: bool) -> None:
    """Normalising is idempotent under every rule."""
    from footfall.intake.pages import page_of

    rules = Rules(merges_slash=merges_slash, merges_index=merges_index, kept_parameters=("a", "b"))
    once = page_of("/" + path, rules)
    assert page_of(once, rules) == once


# The steps


@pytest.mark.parametrize(
    ("origins", "origin", "counts"),
    [
        ((), "https://evil.example", True),
        (("self",), "https://example.com", True),
        (("self",), "http://www.example.com:8080", True),
        (("self",), "https://example.com.evil.example", False),
        (("self",), "https://evilexample.com", False),
        (("self",), "null", False),
        (("*.example.org",), "https://a.b.example.org", True),
        (("*.example.org",), "https://a.example.org", True),
        (("*.example.org",), "https://example.org", False),
        (("example.org", "self"), "https://example.org", True),
        (("localhost:3000",), "http://localhost:3000", True),
        (("localhost:3000",), "http://localhost:3001", False),
        (("https://example.org",), "http://example.org", False),
        (("*",), "https://anything.example", True),
    ],
)
def test_only_allowed_origins_count(origins: tuple[str, ...], origin: str, counts: bool) -> None:
    """By the header Origin, or by Referer where there is none; a request that has neither counts."""
    judge = bench(Rules(origins=origins))
    assert (reason(judge.count(origin=origin)) is None) is counts
    if origin != "null":
        assert (reason(judge.count(referer=f"{origin}/some/page")) is None) is counts
    assert reason(judge.count()) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec_purpose": "prefetch;prerender"}, "prefetch"),
        ({"purpose": "prefetch"}, "prefetch"),
        ({"user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)", "sec_purpose": "prefetch"}, "bot"),
        ({"user_agent": "curl/8.5.0"}, "bot"),
        ({"user_agent": ""}, None),
        ({"dnt": "1"}, None),
    ],
)
def test_headers_tell_robots_and_prefetches(plain: Bench, headers: dict[str, str], expected: str | None) -> None:
    """The first reason wins; privacy signals mean nothing where the site does not honour them."""
    assert reason(plain.count(**headers)) == expected


def test_a_site_may_honour_privacy_signals() -> None:
    """Do Not Track and Global Privacy Control, where they are 1."""
    judge = bench(Rules(honours_privacy_signals=True))
    assert reason(judge.count(dnt="1")) == reason(judge.count(sec_gpc="1")) == "privacy"
    assert reason(judge.count(dnt="0")) is None


def test_addresses_and_paths_can_be_excluded() -> None:
    """Networks and patterns; * crosses slashes."""
    rules = Rules(excluded_addresses=("203.0.113.0/24", "2001:db8::1"), excluded_paths=("/admin/*", "*.json", "/x?"))
    judge = bench(rules)
    for peer, expected in {"203.0.113.9": "excluded", "2001:db8::1": "excluded", "2001:db8::2": None, "": None}.items():
        assert reason(judge.count(peer=peer)) == expected
    for path, expected in {"/admin/a/b": "excluded", "/a.json": "excluded", "/admin": None, "/xy": "excluded"}.items():
        assert reason(judge.count(f"s=example.com&p={path}", "198.51.100.1")) == expected


def test_one_address_may_not_send_more_than_its_rate() -> None:
    """A minute's worth at once, then one as each is due; others are not concerned. IPv6 counts by /64."""
    moment = [100.0]
    judge = bench(Rules(visitor_rate=6), monotonic=lambda: moment[0])
    assert [reason(judge.count(peer="2001:db8::1")) for _ in range(7)] == [None] * 6 + ["rate"]
    assert reason(judge.count(peer="2001:db8::2")) == "rate"
    assert reason(judge.count(peer="2001:db8:0:1::1")) is None
    moment[0] += 9.9
    assert reason(judge.count(peer="2001:db8::1")) == "rate"
    moment[0] += 0.1
    assert [reason(judge.count(peer="2001:db8::1")) for _ in range(2)] == [None, "rate"]


def test_a_site_may_not_get_more_than_its_rate() -> None:
    """Whoever sends."""
    judge = bench(Rules(site_rate=3))
    assert [reason(judge.count(peer=f"203.0.113.{n}")) for n in range(4)] == [None] * 3 + ["rate"]


def test_the_home_page_s_referrer_is_no_origin() -> None:
    """GET / is the page itself: where its visitor came from is a referrer; curl counts there."""
    judge = bench(Rules(origins=("self",)))
    view = View(SITE, "/")
    judged = judge.intake.classify_home(view, {b"user-agent": b"curl/8.5.0", b"referer": b"https://news.ycombinator.com/"})
    assert isinstance(judged, View)
    assert "news.ycombinator.com" in judged.traits
    assert reason(judge.intake.classify_home(view, {b"user-agent": b"python-requests/2"})) == "bot"


# Who it was


def test_a_visitor_is_told_apart_for_a_day_by_site() -> None:
    """The same address and agent give the same hash, on that day and that site."""
    moment = [NOON]
    judge = bench(now=lambda: moment[0])

    def visitor(**how: str) -> int | None:
        judged = judge.count(**how)
        assert isinstance(judged, View)
        return judged.visitor

    first = visitor()
    assert first is not None
    assert first == visitor()
    assert len({first, visitor(peer="203.0.113.8"), visitor(user_agent="Mozilla/5.0 another")}) == 3
    moment[0] += DAY
    assert visitor() not in (None, first)
    moment[0] += DAY  # no salt is known for this day
    assert visitor() is None


def test_a_site_may_not_tell_visitors_apart() -> None:
    """Then no view has a hash."""
    judged = bench(Rules(counts_visitors=False)).count()
    assert isinstance(judged, View)
    assert judged.visitor is None


# Addresses behind proxies

PROXIES = ("10.0.0.0/8", "192.0.2.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 192.0.2.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ],
)
def test_a_trusted_proxy_says_whom_a_request_comes_from(peer: str, forwarded: str, client: str) -> None:
    """The right-most address that is no trusted proxy's; nobody else is believed."""
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    assert Addresses(PROXIES).client(peer, headers) == client


def test_the_header_is_one_and_named() -> None:
    """Forwarded in its own form (RFC 7239); what stands in other headers means nothing."""
    addresses = Addresses(PROXIES, "Forwarded")
    header = b'for=6.6.6.6, for="[2001:db8::7]:1";proto=https;by=10.0.0.2'
    assert addresses.client("10.0.0.1", {b"forwarded": header, b"x-forwarded-for": b"1.1.1.1"}) == "2001:db8::7"
    assert addresses.client("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1"}) == "10.0.0.1"


@given(st.text(max_size=200), st.ip_addresses())
def test_no_header_leads_to_anything_but_an_address(header: str, peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever is written there."""
    trusting = Addresses(("0.0.0.0/0", "::/0"))
    client = trusting.client(str(peer), {b"x-forwarded-for": header.encode("utf-8", "replace")})
    ipaddress.ip_address(client)
    trusting.limit_key(client)


# The query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"p=/", "s"),
        (b"s=example.com", "p"),
        (b"s=example.com&p=/&p=/", "p"),
        (b"s=example.com&p=/&w=wide", "w"),
        (b"s=example.com&p=/&w=1234567", "w"),
        (b"s=example.com&p=/&e=short", "e"),
        (b"s=example.com&p=/%FF", "query"),
        ("s=example.com&p=/é".encode(), "query"),
        (b"s=example.com&p=/" + b"&x=1" * 40, "query"),
        (b"s=example.com&p=/" + b"a" * 9000, "query"),
    ],
)
def test_a_malformed_query_names_its_fault(query: bytes, field: str) -> None:
    """It is the sender's mistake, and no drop."""
    with pytest.raises(BadInput) as caught:
        read_query(query)
    assert caught.value.field == field


@given(st.binary(max_size=120))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    """Nothing else can come of it."""
    with contextlib.suppress(BadInput):
        assert read_query(query).site


def test_an_event_id_does_not_keep_a_query_from_being_remembered(plain: Bench) -> None:
    """It is taken out wherever it stands, and may stand there once."""
    first, second = "s=example.com&p=/", "e=0123456789abcdef"
    for query in (f"{first}&{second}&w=9", f"s=example.com&{second}&p=/", f"{second}&{first}"):
        judged = plain.count(query)
        assert isinstance(judged, View)
        assert judged.event_id == "0123456789abcdef"
    with pytest.raises(BadInput):
        plain.count("e=0123456789abcdef&s=example.com&p=/&e=0123456789abcdef")


NAMES = (
    "origin",
    "referer",
    "user-agent",
    "accept-language",
    "sec-purpose",
    "dnt",
    "x-forwarded-for",
    "forwarded",
    "cf-ipcountry",
)


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=80)), st.text(max_size=20))
def test_any_headers_are_judged(headers: dict[str, bytes], peer: str) -> None:
    """Whatever stands in them: a view or a drop comes of it."""
    raw = {name.encode(): value for name, value in headers.items()}
    for judged in (
        EVERYTHING.intake.classify(b"s=example.com&p=/", raw, peer),
        EVERYTHING.intake.classify_page(SITE, "/", raw, peer),
    ):
        assert isinstance(judged, View | Drop)


def test_every_reason_is_one_of_the_list(plain: Bench) -> None:
    """Closed: a reason that is not there can't be given."""
    assert {DropReason(value) for value in ("origin", "privacy", "excluded", "rate")} <= set(DropReason)
