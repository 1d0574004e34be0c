"""What is known of a visit: its source, its browser, its device, its language, its country."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]  # the package carries no types
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import SettingError
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.referrers import MAX_CAMPAIGN_LENGTH, campaign_of, channel_of, host_of
from footfall.intake.traits import Evidence, TraitReader
from footfall.model import DIMENSIONS
from tests.support.judging import Bench, bench

READER = TraitReader()


@pytest.fixture(scope="module")
def plain() -> Bench:
    return bench()


@pytest.mark.parametrize(
    ("referrer", "host", "channel"),
    [
        ("https://www.google.co.uk/search?q=x", "google.co.uk", "search"),
        ("https://uk.search.yahoo.com/", "uk.search.yahoo.com", "search"),
        ("https://duckduckgo.com", "duckduckgo.com", "search"),
        ("https://mail.google.com/mail/", "mail.google.com", "mail"),
        ("https://t.co/abc", "t.co", "social"),
        ("https://en.reddit.com/r/x", "en.reddit.com", "social"),
        ("https://chatgpt.com/", "chatgpt.com", "assistant"),
        ("https://gemini.google.com/app", "gemini.google.com", "assistant"),
        ("https://Blog.Example.org:8080/x", "blog.example.org", "link"),
        ("https://notgoogle.example/", "notgoogle.example", "link"),
        ("http://user:secret@example.org/", "example.org", "link"),
        ("https://bücher.example/", "xn--bcher-kva.example", "link"),
        ("android-app://com.google.android.gm/", "com.google.android.gm", "mail"),
        ("android-app://com.google.android.googlequicksearchbox/", "com.google.android.googlequicksearchbox", "search"),
        ("android-app://com.google.android.youtube/", "com.google.android.youtube", "social"),
        ("android-app://com.facebook.katana/", "com.facebook.katana", "social"),
        ("android-app://com.reddit.frontpage/", "com.reddit.frontpage", "social"),
        ("android-app://com.Slack/", "com.slack", "social"),
        ("android-app://ru.mail.mailapp/", "ru.mail.mailapp", "mail"),
        ("android-app://org.example.reader/", "org.example.reader", "link"),
        ("", "", "direct"),
    ],
)
def test_a_referrer_has_a_host_and_a_channel(referrer: str, host: str, channel: str) -> None:
    """Of the address only the host is kept."""
    assert (host_of(referrer), channel_of(host_of(referrer))) == (host, channel)


@given(st.text(max_size=300))
def test_any_referrer_gives_a_host_or_none(referrer: str) -> None:
    """One that is printable ASCII and short, whatever was sent."""
    for text in (referrer, f"https://{referrer}"):
        host = host_of(text)
        assert host.isascii()
        assert host.isprintable()
        assert len(host) <= 253
        channel_of(host)


@pytest.mark.parametrize(
    ("query", "campaign", "channel"),
    [
        ("utm_source=news&utm_medium=email&utm_campaign=spring", "spring", "mail"),
        ("utm_source=google&utm_medium=cpc", "google", "paid"),
        ("utm_source=x&utm_medium=social", "x", "social"),
        ("ref=producthunt", "producthunt", "campaign"),
        ("a=1&via=friend", "friend", "campaign"),
        ("id=7", "", ""),
        ("utm_campaign=%00%1b[31m%E2%80%AE", "[31m", "campaign"),
        ("utm_campaign=" + "x" * 500, "x" * MAX_CAMPAIGN_LENGTH, "campaign"),
    ],
)
def test_a_campaign_is_named_by_its_parameters(query: str, campaign: str, channel: str) -> None:
    """utm_campaign, else utm_source, ref, source or via; control characters are taken out."""
    assert campaign_of(query) == (campaign, channel)


def test_the_snippet_s_parameters_become_traits(plain: Bench) -> None:
    """Referrer, campaign, width and language; and what the headers say."""
    referrer, campaign = quote("https://www.bing.com/"), quote("utm_campaign=spring&utm_medium=email")
    known = plain.known(f"s=example.com&p=/&w=1200&l=de-AT&r={referrer}&u={campaign}")
    assert known == {
        "channel": "mail",
        "referrer": "bing.com",
        "campaign": "spring",
        "browser": "Chrome",
        "system": "Windows",
        "device": "desktop",
        "language": "de",
    }


def test_what_is_not_said_is_not_known(plain: Bench) -> None:
    """A pixel says nothing of a referrer; the snippet's silence means that there was none."""
    assert plain.known(user_agent="") == {}
    assert plain.known("s=example.com&p=/&w=1200", user_agent="") == {"channel": "direct", "device": "desktop"}
    assert plain.known("s=example.com&p=/&w=390", user_agent="")["device"] == "phone"
    assert plain.known(accept_language="fr-CH, fr;q=0.9")["language"] == "fr"


def test_a_step_within_the_site_is_no_source(plain: Bench) -> None:
    """Neither its host nor a channel."""
    known = plain.known(f"s=example.com&p=/&w=1&r={quote('https://www.example.com/a')}")
    assert not {"channel", "referrer"} & known.keys()


def test_a_campaign_may_stand_in_the_page_s_own_query(plain: Bench) -> None:
    """Where the sender did not take it out."""
    assert plain.known(f"s=example.com&p={quote('/a?utm_campaign=spring')}")["campaign"] == "spring"


WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"


@pytest.mark.parametrize(
    ("agent", "browser", "system", "device"),
    [
        (f"(Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/17.4 Safari/605.1.15", "Safari", "macOS", "desktop"),
        (
            f"(iPhone; CPU iPhone OS 17_4 like Mac OS X) {WEBKIT} Version/17.4 Mobile/15E148 Safari/604.1",
            "Safari",
            "iOS",
            "phone",
        ),
        (f"(iPad; CPU OS 16_0 like Mac OS X) {WEBKIT} CriOS/120.0 Mobile/15E148 Safari/604.1", "Chrome", "iOS", "tablet"),
        (f"(Linux; Android 14; Pixel 8) {BLINK} Mobile Safari/537.36", "Chrome", "Android", "phone"),
        (f"(Linux; Android 13; SM-X200) {BLINK} Safari/537.36", "Chrome", "Android", "tablet"),
        ("(X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", "Firefox", "Linux", "desktop"),
        (f"(Windows NT 10.0; Win64; x64) {BLINK} Safari/537.36 Edg/124.0.0.0", "Edge", "Windows", "desktop"),
        (f"(SMART-TV; Linux; Tizen 7.0) {BLINK} SamsungBrowser/5.0 TV Safari/537.36", "Samsung Internet", "Tizen", "tv"),
        ("nothing anybody knows", "", "", ""),
    ],
)
def test_an_agent_has_a_browser_a_system_and_a_device(plain: Bench, agent: str, browser: str, system: str, device: str) -> None:
    """By the names that readers of the numbers know."""
    known = plain.known(user_agent=f"Mozilla/5.0 {agent}")
    assert [known.get(name, "") for name in ("browser", "system", "device")] == [browser, system, device]


def test_an_agent_never_seen_before_costs_less_than_50_microseconds() -> None:
    """Random ones must not become an attack: bot list and browser list together.

    Where the list of robots searched with `re` takes 134 microseconds an agent, as it did where this was first measured. A
    machine that is busy or slow is so for both.
    """
    agents, traits = Agents(), TraitReader()
    patterns = [re.compile(entry["pattern"]) for entry in CRAWLER_USER_AGENTS_DATA]
    form = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.{0} (KHTML, like Gecko) Chrome/1{0}.0.0.0 Safari/537.36"

    def judged(agent: str) -> None:
        agents.is_bot(agent)
        traits.read(Evidence(user_agent=agent), "example.com")

    def searched(agent: str) -> None:
        for pattern in patterns:
            pattern.search(agent)

    def cost(work: Callable[[str], None], start: int) -> float:
        began = time.process_time()
        for n in range(start, start + 100):
            work(form.format(n))
        return time.process_time() - began

    cost(judged, 0)
    ratios = [cost(judged, start) / cost(searched, start) for start in range(1000, 6000, 1000)]
    assert min(ratios) < 50 / 134


EVIDENCE = st.builds(
    Evidence,
    st.none() | st.text(max_size=80),
    st.text(max_size=80),
    st.text(max_size=80),
    st.integers(0, 999999),
    st.text(max_size=20),
    st.text(max_size=5),
)


@given(EVIDENCE)
def test_any_evidence_gives_short_printable_traits(evidence: Evidence) -> None:
    """One value a dimension, whatever was sent."""
    traits = READER.read(evidence, "example.com")
    assert len(traits) == len(DIMENSIONS)
    assert all(len(value) <= 253 and value.isprintable() for value in traits)


# Countries


def test_a_network_s_header_names_the_country() -> None:
    """Two letters; anything else is none."""
    countries = Countries(header="CF-IPCountry")
    for value, country in {b"DE": "DE", b"de": "DE", b"XX": "", b"T1": "", b"<b>": ""}.items():
        assert countries.country("", {b"cf-ipcountry": value}) == country
    assert countries.country("", {}) == ""


def test_a_file_that_is_no_database_ends_the_start(tmp_path: Path) -> None:
    """With a line that names the setting, and not the path."""
    wrong = tmp_path / "wrong.mmdb"
    wrong.write_bytes(b"nothing")
    for path, reason in ((wrong, "not in MaxMind's format"), (tmp_path / "none.mmdb", "no such file or directory")):
        with pytest.raises(SettingError, match=f"FOOTFALL_COUNTRY_DATABASE: .*{reason}"):
            Countries(path=str(path))
