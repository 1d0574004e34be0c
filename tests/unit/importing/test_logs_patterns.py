"""A pattern of nginx's or Apache's kind reads the lines that the server writes with it; one that can't is refused in a line."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.importing.formats import LogEntry, format_named
from footfall.importing.formats.patterns import MAX_PATTERN_LENGTH, Pattern

AT = 1773840330  # 2026-03-18 13:25:30 UTC
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
APACHE = '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'
LINE = f'192.0.2.1 - - [18/Mar/2026:14:25:30 +0100] "GET /a?b=c HTTP/1.1" 200 10 "https://x.example/" "{FIREFOX}"'
ENTRY = LogEntry(AT, "GET", "/a?b=c", 200, "https://x.example/", FIREFOX, None, "192.0.2.1")


def read(pattern: str, line: str) -> LogEntry | None:
    return Pattern(pattern).read(line.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    "pattern", [COMBINED, APACHE, APACHE.replace('"', '\\"'), APACHE.replace("%t", "[%{%d/%b/%Y:%H:%M:%S %z}t]")]
)
def test_the_combined_format_can_be_written_as_a_pattern(pattern: str) -> None:
    """As nginx writes it, as Apache does, and with quotes escaped as in Apache's configuration."""
    assert read(pattern, LINE) == ENTRY
    assert read(pattern, LINE + "\r") == ENTRY
    assert read(pattern, LINE + " more") is None


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("$time_iso8601 $status $request_method $request_uri", "2026-03-18T14:25:30+01:00 200 GET /a?b=c"),
        ("$msec|$status|$request_method|$uri$is_args$args", "1773840330.123|200|GET|/a?b=c"),
        ("$msec|$status|$request_method|$uri|$args", "1773840330.123|200|GET|/a|b=c"),
        ("${msec} ${status} ${request}", "1773840330.123 200 GET /a?b=c HTTP/2.0"),
        ("[$time_local] $scheme://$host$request_uri $status", "[18/Mar/2026:13:25:30 +0000] https://example.com/a?b=c 200"),
        ("%{sec}t %m %U%q %H %>s", "1773840330 GET /a?b=c HTTP/1.1 200"),
        ("%{msec}t %m %U %q %s", "1773840330123 GET /a ?b=c 200"),
        ("%{usec}t\\t%r\\t%>s", "1773840330123456\tGET /a?b=c HTTP/1.1\t200"),
        ("%{%Y-%m-%dT%H:%M:%S%z}t %r %>s", "2026-03-18T14:25:30+0100 GET /a?b=c HTTP/1.1 200"),
        ("%{%F %T}t %r %!404s", "2026-03-18 13:25:30 GET /a?b=c HTTP/1.1 200"),
        ("%{begin:%d.%m.%Y %H.%M.%S %z}t, %r, %<s", "18.03.2026 14.25.30 +0100, GET /a?b=c HTTP/1.1, 200"),
        ("100%% %t %r %>s %D", "100% [18/Mar/2026:14:25:30 +0100] GET /a?b=c HTTP/1.1 200 512"),
        ("é$time_iso8601é$status $requesté", "é2026-03-18T13:25:30Zé200 GET /a?b=c HTTP/1.1é"),
        ('{"t":"$msec","r":"$request","s":$status}', '{"t":"1773840330.1","r":"GET /a?b=c HTTP/1.1","s":200}'),
    ],
)
def test_fields_may_stand_anywhere(pattern: str, line: str) -> None:
    """Times, requests in one or several fields, and text around them."""
    entry = read(pattern, line)
    assert entry is not None
    assert (entry.at, entry.method, entry.target, entry.status) == (AT, "GET", "/a?b=c", 200)


def test_hosts_addresses_and_headers_are_read() -> None:
    """A dash is nothing; a header goes by its name; what is escaped is as it was sent."""
    pattern = '$host $remote_addr $msec "$request" $status "$http_referer" "$http_sec_purpose" "$http_accept_language"'
    entry = read(pattern, rf'example.com 2001:db8::1 {AT} "GET /\"q\"-\xc3\xa9 HTTP/1.1" 200 "-" "prefetch" "-"')
    assert entry == LogEntry(AT, "GET", '/"q"-%C3%A9', 200, "", None, "example.com", "2001:db8::1", {b"sec-purpose": b"prefetch"})
    assert Pattern(pattern).tells_host
    assert not Pattern(COMBINED).tells_host
    assert read("%v %a %t %r %>s %{X-Y}i", "a.example 192.0.2.1 [18/Mar/2026:13:25:30 +0000] GET / HTTP/1.1 200 z") == LogEntry(
        AT, "GET", "/", 200, None, None, "a.example", "192.0.2.1", {b"x-y": b"z"}
    )


def test_a_field_that_stands_twice_is_read_where_it_stands_first() -> None:
    """The second is passed over."""
    entry = read("$msec $request $status $status $host $http_host", f"{AT} GET / HTTP/1.1 200 404 a.example b.example")
    assert entry is not None
    assert (entry.status, entry.host) == (200, "a.example")


@pytest.mark.parametrize(
    ("pattern", "mend"),
    [
        ("$request $status", r"the pattern has no time; add \[\$time_local\] or %t"),
        ("%t %>s", r'the pattern has no request; add "\$request" or \\"%r\\"'),
        ("%t %r", r"the pattern has no status; add \$status or %>s"),
        ("$request_id$remote_user $msec $request $status", r"nothing stands between \$request_id and \$remote_user; put what .*"),
        ("%t %r %>s 5%", r"a % in the pattern begins no field; write %% for the sign itself, or a field such as %\{Referer\}i"),
        ("%t %r %>s %{x", "a % in the pattern begins no field; .*"),
        ("%{%H:%M}t %r %>s", r"%\{%H:%M\}t does not tell date and time to the second; .*"),
        ("%{%Q}t %r %>s", r"%\{%Q\}t does not tell date and time to the second; .*"),
        ("$msec\n$request $status", "a pattern describes one line; write it without line breaks"),
        ("log_format main '$msec $request $status';", "write the format alone, without log_format or LogFormat, .*"),
        ("$msec $request $status" + " " * MAX_PATTERN_LENGTH, f"a pattern has at most {MAX_PATTERN_LENGTH} characters; .*"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_refused_in_a_line(pattern: str, mend: str) -> None:
    """It says what to change."""
    with pytest.raises(BadInput, match=rf"\A--format: {mend}\Z"):
        format_named(pattern)


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("18/Mar", "31/Feb"),
        LINE.replace("] ", " "),
        LINE.replace(" 200 ", " 2000 "),
        LINE[:-1],
        LINE.replace('"GET', "GET"),
        "",
        '"' * 99,
    ],
)
def test_lines_that_are_not_as_the_pattern_says_are_unreadable(line: str) -> None:
    """Cut, without a part, or with a time that does not exist."""
    assert read(COMBINED, line) is None
    assert read(APACHE, line) is None


FIELDS = st.sampled_from(
    [*COMBINED.split(), *APACHE.split(), "$uri", "$args", "$x", "%{", "%{x}i", "%{%s}t", "%%", "%", "$", "é", "\\", "[", "(", "*"]
)
PATTERNS = st.lists(FIELDS, max_size=8).map(" ".join) | st.lists(FIELDS, max_size=4).map("".join) | st.text(max_size=20)


@given(PATTERNS, st.binary(max_size=60) | st.just(LINE.encode()))
def test_any_pattern_reads_or_is_refused(pattern: str, line: bytes) -> None:
    """And whatever it then reads, it raises nothing."""
    with contextlib.suppress(BadInput):
        Pattern(pattern).read(line)


def test_a_line_costs_time_in_proportion_to_its_length_whatever_the_pattern() -> None:
    """16 KiB of what makes expressions try again take some milliseconds at most, with as many fields as a pattern can have."""
    many = "$a " * 200 + COMBINED + " $b" * 200
    for pattern in (COMBINED, APACHE, many, "$msec $request $status $a-$b-$c-$d-$e"):
        form = Pattern(pattern)
        for piece in (" ", "-", "- ", '" ', "[", '\\"', "GET ", "1.1 ", "? "):
            line = (piece * (16_000 // len(piece))).encode()
            started = time.perf_counter()
            form.read(line)
            form.read(LINE.encode() + line)
            assert time.perf_counter() - started < 0.1, (pattern, piece)
