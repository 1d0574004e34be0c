"""Programs are told from browsers, quickly, whatever they send."""

from __future__ import annotations

import time

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]  # the package carries no types
from hypothesis import given
from hypothesis import strategies as st

from footfall.intake.agents import CACHED_AGENTS, MAX_AGENT_LENGTH, Agents, listed_patterns

AGENTS = Agents()

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"

BROWSERS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {LIKE_GECKO} Chrome/131.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {LIKE_GECKO} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {LIKE_GECKO} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) {LIKE_GECKO} Chrome/120.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {LIKE_GECKO} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
    "Opera/9.80 (X11; Linux x86_64) Presto/2.12.388 Version/12.16",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1; http://www.tropicdesigns.net)",
    "Lynx/2.9.0 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/3.0.13",
)

BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Tiny Tiny RSS/1.11 (http://tt-rss.org/)",
    "Python-urllib/3.11",
    f"Mozilla/5.0 (X11; Linux x86_64) {LIKE_GECKO} HeadlessChrome/131.0.0.0 Safari/537.36",
)

COMMAND_LINE = ("curl/8.5.0", "Wget/1.21.4", "HTTPie/3.2.2", "Wget/1.12 (linux-gnu)")
IMAGE_PROXIES = (
    "github-camo (6fbb09f2)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)


def test_the_list_is_the_package_s() -> None:
    """All of its patterns, as the package itself would give them."""
    assert listed_patterns() == [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]


@pytest.mark.parametrize("user_agent", BROWSERS)
def test_a_browser_is_no_program_of_any_kind(user_agent: str) -> None:
    """Browsers, old ones, telephones named Cubot and agents with an advertiser's address among them, are no bots."""
    assert not AGENTS.is_bot(user_agent)
    assert not AGENTS.is_command_line(user_agent)
    assert not AGENTS.is_image_proxy(user_agent)


@pytest.mark.parametrize("user_agent", [*BOTS, *COMMAND_LINE, *IMAGE_PROXIES])
def test_programs_are_bots(user_agent: str) -> None:
    """Crawlers, feed readers, libraries, headless browsers, command-line clients and image proxies are bots."""
    assert AGENTS.is_bot(user_agent)


@pytest.mark.parametrize("user_agent", [*BROWSERS, *BOTS, *COMMAND_LINE, *IMAGE_PROXIES])
def test_the_two_kinds_that_may_be_spared_are_told(user_agent: str) -> None:
    """Of all agents, curl's, Wget's and HTTPie's are command-line clients, GitHub's and Google's image proxies."""
    assert AGENTS.is_command_line(user_agent) == (user_agent in COMMAND_LINE)
    assert AGENTS.is_image_proxy(user_agent) == (user_agent in IMAGE_PROXIES)


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Nameless/1.0; ops@nameless.example)",
        "Nameless/4.2 +http://nameless.example/",
        "Mozilla/5.0 (compatible; not on a server; + https://nameless.example/about) Nameless/3.0",
    ],
)
def test_an_agent_that_says_who_answers_for_it_is_a_bot(user_agent: str) -> None:
    """A page about the robot behind a plus sign, or an e-mail address, makes a bot of an agent that no list knows."""
    assert Agents(()).is_bot(user_agent)


@pytest.mark.parametrize("user_agent", ["", " ", "-"])
def test_an_empty_agent_is_no_bot(user_agent: str) -> None:
    """Saying nothing is not a sign of being a program."""
    assert not AGENTS.is_bot(user_agent)


def test_every_example_of_the_list_is_a_bot() -> None:
    """RE2 finds what the list's authors say that their patterns find."""
    examples = [example for entry in CRAWLER_USER_AGENTS_DATA for example in entry["instances"]]
    assert len(examples) > 1000
    assert [example for example in examples if not AGENTS.is_bot(example)] == []


def test_re2_takes_the_whole_list() -> None:
    """No pattern of the installed list needs the slow way."""
    assert AGENTS.slow_patterns == ()


def test_a_pattern_that_re2_can_not_take_is_searched_all_the_same() -> None:
    """Look-around goes to `re`, and works beside the others."""
    agents = Agents(["Plain", r"Odd(?!ity)", r"(twice)\1"])
    assert agents.slow_patterns == (r"Odd(?!ity)", r"(twice)\1")
    assert [agents.is_bot(agent) for agent in ("Plain/1", "Odd/1", "Oddity/1", "twicetwice", "twice")] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_what_stands_behind_512_characters_is_not_looked_at() -> None:
    """A bot's name is found before character 512 and not behind it."""
    name = "Googlebot/2.1"
    assert AGENTS.is_bot("x" * (MAX_AGENT_LENGTH - len(name)) + name)
    assert not AGENTS.is_bot("x" * MAX_AGENT_LENGTH + name)
    assert not AGENTS.is_image_proxy("x" * MAX_AGENT_LENGTH + " GoogleImageProxy")


def test_the_cache_is_bounded_and_one_s_own() -> None:
    """Ten thousand new agents leave at most CACHED_AGENTS verdicts, in this one's cache and in no other."""
    agents, other = Agents(["bot"]), Agents(["tob"])
    for number in range(10_000):
        agents.is_bot(f"browser {number}")
    assert agents._matches.cache_info().currsize == CACHED_AGENTS
    assert other._matches.cache_info().currsize == 0
    assert agents.is_bot("bot")
    assert not other.is_bot("bot")


@given(st.text(st.characters(codec=None), max_size=700))
def test_any_text_gets_a_verdict(user_agent: str) -> None:
    """Nothing that can stand in a string raises, lone surrogates included."""
    for claim in (AGENTS.is_bot, AGENTS.is_command_line, AGENTS.is_image_proxy):
        assert claim(user_agent) in (True, False)


def test_an_agent_not_seen_before_costs_less_than_50_microseconds() -> None:
    """The median over browsers' agents that differ in their numbers; measured 2 microseconds, so a slow machine passes too."""
    agents = Agents()
    seconds = []
    for number in range(2000):
        user_agent = f"Mozilla/5.0 (Linux; Android 9; SM-{number}B Build/{number * 7919:x}) {LIKE_GECKO} Chrome/{number}.0"
        started = time.perf_counter()
        agents.is_bot(user_agent)
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[1000] < 50e-6
