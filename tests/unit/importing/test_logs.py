"""What the lines of an access log say, and which of them are views."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.importing.formats import LogEntry
from footfall.importing.formats.apache import Combined
from footfall.importing.judging import RULES, Judgement
from footfall.intake.visitors import Visitors
from footfall.model import DAY, DIMENSIONS, Drop, DropReason, View
from footfall.rules import Rules
from tests.unit.importing.logs_given import judge_of

SITE = "semicomplete.com"
JUDGE = judge_of(SITE)
COMBINED = Combined()
SAMPLE = Path(__file__).parents[2] / "data" / "access-sample.log"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0"
AT = int(datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC).timestamp())


def line(
    request: str = "GET /blog/post HTTP/1.1",
    status: int = 200,
    agent: str = FIREFOX,
    *,
    before: str = "83.149.9.216 - -",
    moment: str = "17/May/2015:10:05:03 +0000",
    referrer: str = "-",
    behind: str = "",
) -> str:
    """A line of the combined format."""
    return f'{before} [{moment}] "{request}" {status} 1234 "{referrer}" "{agent}"{behind}\n'


def read_line(text: str) -> LogEntry | None:
    """A line as a file has it, read without its end."""
    return COMBINED.read(text.removesuffix("\n").encode("utf-8", "surrogateescape"))


def judge_line(text: str) -> Judgement:
    return JUDGE.judge(read_line(text))


def judged(text: str) -> str:
    """The page that is counted, or the reason why none is."""
    outcome = judge_line(text).outcome
    assert isinstance(outcome, View | Drop)
    assert outcome.site == SITE
    return outcome.page if isinstance(outcome, View) else outcome.reason.value


# Reading a line


def test_a_combined_line_is_read() -> None:
    """Time, method, target, status, referrer and agent are what the line says."""
    text = line("GET /a?b=c HTTP/1.1", 304, referrer="http://semicomplete.com/")
    assert read_line(text) == LogEntry(AT, "GET", "/a?b=c", 304, "http://semicomplete.com/", FIREFOX, None, "83.149.9.216")


def test_a_common_line_is_read() -> None:
    """Without referrer and agent, which are then unknown."""
    text = '127.0.0.1 - frank [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.0" 200 2326'
    assert read_line(text) == LogEntry(AT, "GET", "/a", 200, None, None, None, "127.0.0.1")


@pytest.mark.parametrize(
    "before",
    [
        "2001:db8::1 - -",
        "::ffff:192.0.2.1 - -",
        "example.com:443 192.0.2.1 - -",
        "host.example - frank",
        "- - -",
        "192.0.2.1 - Jane Doe",
        "192.0.2.1 - x[1]",
        "192.0.2.1 - x [01/Jan/2001:00:00:00 +0000]",
        r"192.0.2.1 - x\" [01/Jan/2001:00:00:00 +0000] \"GET /forged HTTP/1.1\" 200 1",
    ],
)
def test_what_stands_before_the_time_does_not_matter(before: str) -> None:
    """Addresses of all kinds, host names, and users whose names try to look like the rest of a line."""
    entry = read_line(line(before=before))
    assert entry is not None
    assert (entry.at, entry.target) == (AT, "/blog/post")


@pytest.mark.parametrize("behind", ["", ' "203.0.113.9"', " 0.004 upstream", ' "" extra "\\"quoted\\""', "\r"])
def test_what_a_server_adds_behind_the_agent_does_not_matter(behind: str) -> None:
    """Times, forwarded addresses and the like are passed over, and so is a carriage return."""
    entry = read_line(line(behind=behind))
    assert entry is not None
    assert entry.user_agent == FIREFOX


@pytest.mark.parametrize(
    ("moment", "at"),
    [
        ("17/May/2015:10:05:03 +0000", AT),
        ("17/May/2015:12:05:03 +0200", AT),
        ("17/May/2015:05:35:03 -0430", AT),
        ("18/May/2015:00:05:03 +1400", AT),
        ("29/Feb/2024:23:59:59 +0000", 1709251199),
        ("31/Dec/2016:23:59:60 +0000", 1483228800),
        ("01/Jan/1970:00:00:00 +0000", 0),
    ],
)
def test_times_are_unix_seconds(moment: str, at: int) -> None:
    """The offset is taken off; a leap second is the first of the next minute."""
    entry = read_line(line(moment=moment))
    assert entry is not None
    assert entry.at == at


@pytest.mark.parametrize(
    "moment",
    [
        "31/Feb/2015:10:05:03 +0000",
        "00/May/2015:10:05:03 +0000",
        "17/Mai/2015:10:05:03 +0000",
        "17/May/2015:24:05:03 +0000",
        "17/May/2015:10:60:03 +0000",
        "17/May/2015:10:05:61 +0000",
        "17/May/2015:10:05:03 +9900",
        "17/May/0000:10:05:03 +0000",
        "31/Dec/1969:23:59:59 +0000",
        "17/May/2015:10:05:03",
        "2015-05-17T10:05:03Z",
    ],
)
def test_a_line_whose_time_is_none_is_unreadable(moment: str) -> None:
    """Moments that do not exist, other notations, and times before 1970."""
    assert read_line(line(moment=moment)) is None
    assert judged(line(moment=moment)) == "unreadable"


@pytest.mark.parametrize(
    ("request_", "method", "target"),
    [
        ("GET /a b HTTP/1.1", "GET", "/a b"),
        ("GET /old", "GET", "/old"),
        ("GET / HTTP/2.0", "GET", "/"),
        ("-", "-", ""),
        ("", "", ""),
        (r"\x16\x03\x01", r"\x16\x03\x01", ""),
        (r"GET /say-\"hi\" HTTP/1.1", "GET", '/say-"hi"'),
        (r"GET /caf\xc3\xa9 HTTP/1.1", "GET", "/caf%C3%A9"),
        ("GET /café HTTP/1.1", "GET", "/caf%C3%A9"),
        ("GET /caf\udce9 HTTP/1.1", "GET", "/caf%E9"),
        (r"GET /a\\b\tc HTTP/1.1", "GET", "/a\\b\tc"),
    ],
)
def test_a_request_is_read_as_it_was_sent(request_: str, method: str, target: str) -> None:
    r"""Spaces in a target, HTTP/0.9, no request at all, and quotes and bytes that the server escaped as \" and \xhh."""
    entry = read_line(line(request_))
    assert entry is not None
    assert (entry.method, entry.target) == (method, target)


def test_escaped_agents_and_referrers_are_read() -> None:
    """Quotes and bytes become what they were; bytes that are not UTF-8 become the replacement character."""
    entry = read_line(line(agent=r"A \"quoted\" caf\xC3\xA9", referrer="http://\\xe4.example/\udce9é"))
    assert entry is not None
    assert entry.user_agent == 'A "quoted" café'
    assert entry.referrer == "http://\ufffd.example/\ufffdé"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "#Fields: date time c-ip cs-uri-stem",
        '{"request": "GET / HTTP/1.1", "status": 200}',
        line()[:-3],
        line()[: line().index('" "Moz')],
        line()[: line().index(" 1234")],
        line().replace('"GET', "GET"),
        line(status=20),
    ],
)
def test_other_formats_and_cut_lines_are_unreadable(text: str) -> None:
    """A line that was cut within its fields is not half a line of another format."""
    assert read_line(text) is None
    assert judged(text) == "unreadable"


@given(st.binary() | st.text(r'"\[] -/:+0123456789MayGETx').map(lambda text: line(text, before=text).encode()))
def test_any_line_is_judged(content: bytes) -> None:
    """Whatever stands in a line, it is a view or a drop of its site."""
    assert JUDGE.judge(COMBINED.read(content)).outcome.site == SITE


def test_a_long_hostile_line_is_read_quickly() -> None:
    """16 KiB of what makes expressions try again take a few milliseconds at most."""
    for piece in ("[", '"', "\\", '\\"', "[17/May/2015:10:05:03 +0000] ", "- ", 'x" "'):
        filling = piece * (16_000 // len(piece))
        for text in (filling, line(filling), line(before=filling), line(agent=filling), line(behind=filling)):
            started = time.perf_counter()
            read_line(text)
            assert time.perf_counter() - started < 0.1, piece


# Judging it


def test_a_view_has_the_page_and_the_time_of_its_line() -> None:
    """The query is cut off, and the path is in its one spelling."""
    outcome = judge_line(line("GET /caf%c3%a9/../jquery%20mobile?page=2 HTTP/1.1")).outcome
    assert isinstance(outcome, View)
    assert (outcome.site, outcome.page, outcome.at) == (SITE, "/jquery mobile", AT)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (line(), "/blog/post"),
        (line(agent="-"), "/blog/post"),
        (line(agent=""), "/blog/post"),
        (line(status=304), "/blog/post"),
        (line(status=206), "/blog/post"),
        (line("GET / HTTP/1.1"), "/"),
        (line("GET /a/?utm_source=feedburner&utm_medium=feed HTTP/1.1"), "/a/"),
        (line("HEAD / HTTP/1.1"), "not-a-page"),
        (line("POST / HTTP/1.1"), "not-a-page"),
        (line("get / HTTP/1.1"), "not-a-page"),
        (line("-", 408), "not-a-page"),
        *((line(status=status), "not-a-page") for status in (101, 204, 205, 301, 302, 307, 400, 403, 404, 416, 500, 503)),
        (line("GET /images/logo.png HTTP/1.1"), "not-a-page"),
        (line("GET /a.%63ss?v=3 HTTP/1.1"), "not-a-page"),
        (line("GET /robots.txt HTTP/1.1"), "not-a-page"),
        (line("GET /blog/tags/puppet?flav=rss20 HTTP/1.1"), "not-a-page"),
        (line("GET /feed/ HTTP/1.1"), "not-a-page"),
        (line("GET http://example.com/ HTTP/1.1"), "bad-page"),
        (line("GET /%00 HTTP/1.1"), "bad-page"),
        (line("GET /" + "x" * 2000 + " HTTP/1.1"), "bad-page"),
        (line("GET  HTTP/1.1"), "bad-page"),
        (line(agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), "bot"),
        (line(agent="curl/8.5.0"), "bot"),
    ],
)
def test_each_rule_drops_what_it_says(text: str, verdict: str) -> None:
    """Methods, statuses, assets, feeds, bad pages and bots, and beside each what it lets pass."""
    assert judged(text) == verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (line("GET /logo.png HTTP/1.1", agent="Googlebot/2.1"), "not-a-page"),
        (line("GET /%00 HTTP/1.1", agent="Googlebot/2.1"), "bad-page"),
        (line("GET /%00 HTTP/1.1", 404), "not-a-page"),
        (line("POST /%00 HTTP/1.1"), "not-a-page"),
    ],
)
def test_the_first_rule_that_applies_gives_the_reason(text: str, verdict: str) -> None:
    """Where several would, the order of RULES decides; a bot is counted as one only where it read a page."""
    assert judged(text) == verdict
    assert [rule.reason.value for rule in RULES] == ["not-a-page", "not-a-page", "bad-page", "not-a-page", "not-a-page"]


def test_real_lines_are_judged_as_by_hand() -> None:
    """Of the sample's 300 lines, 40 are views, 43 bots' and 217 no pages; no image, style sheet or robots.txt is a view."""
    judgements = [judge_line(text).outcome for text in SAMPLE.read_text("utf-8").splitlines()]
    views = [judgement for judgement in judgements if isinstance(judgement, View)]
    assert Counter(judgement.reason for judgement in judgements if isinstance(judgement, Drop)) == {
        DropReason.NOT_A_PAGE: 217,
        DropReason.BOT: 43,
    }
    assert len(views) == 40
    assert {view.page.rpartition(".")[2] for view in views if "." in view.page} <= {"html", "xhtml", "access"}
    assert all(1431857100 <= (view.at or 0) <= 1432037200 for view in views)


def test_lines_are_judged_fast_enough_to_import_years() -> None:
    """At least 10,000 real lines a second in the best of some rounds; measured 60,000 to 100,000 on one core."""
    lines = SAMPLE.read_text("utf-8").splitlines()
    rounds = []
    for _ in range(10):
        started = time.perf_counter()
        for text in lines:
            judge_line(text)
        rounds.append(time.perf_counter() - started)
    assert len(lines) / min(rounds) > 10_000


# The site's rules, and the visitor


def judged_with(text: str, rules: Rules, visitors: Visitors | None = None) -> Judgement:
    return judge_of(SITE, rules=rules, visitors=visitors).judge(read_line(text))


@pytest.mark.parametrize(
    ("text", "rules", "verdict"),
    [
        (line("GET /admin/x HTTP/1.1"), Rules(excluded_paths=("/admin/*",)), "excluded"),
        (line(), Rules(excluded_addresses=("83.149.9.0/24",)), "excluded"),
        (line("GET /index.html HTTP/1.1"), Rules(), "/"),
        (line("GET /a/ HTTP/1.1"), Rules(merges_slash=True), "/a"),
        (line("GET /a?id=7&x=1 HTTP/1.1"), Rules(kept_parameters=("id",)), "/a?id=7"),
    ],
)
def test_the_rules_of_a_site_hold_for_its_logs(text: str, rules: Rules, verdict: str) -> None:
    """What is excluded for requests is for logs, and pages are spelt alike."""
    judgement = judged_with(text, rules)
    assert (judgement.outcome.page if isinstance(judgement.outcome, View) else judgement.rule) == verdict


def test_a_view_has_the_traits_of_its_line() -> None:
    """What referrer, campaign and agent say, as of a request."""
    outcome = judge_line(line("GET /a?utm_source=letter HTTP/1.1", referrer="https://www.google.com/")).outcome
    assert isinstance(outcome, View)
    found = dict(zip([dimension.name for dimension in DIMENSIONS], outcome.traits, strict=True))
    assert (found["referrer"], found["browser"], found["system"]) == ("google.com", "Firefox", "Linux")
    assert "letter" in found["campaign"]


def test_visitors_are_told_apart_on_days_whose_salt_is_known() -> None:
    """By address and agent; on other days there are none."""
    visitors = Visitors(lambda: AT)
    visitors.use({AT // DAY: bytes(32)})
    found = [
        judged_with(text, Rules(), visitors).outcome
        for text in (line(), line("GET /b HTTP/1.1"), line(before="192.0.2.9 - -"), line(moment="16/May/2015:10:05:03 +0000"))
    ]
    one, same, another, old = [view.visitor for view in found if isinstance(view, View)]
    assert one is not None
    assert one == same
    assert another not in (one, None)
    assert old is None
