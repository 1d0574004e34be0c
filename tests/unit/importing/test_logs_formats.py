"""Each format's lines say the same, however they say it; a format is told by a log's first lines; and no line breaks anything."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.importing.formats import Format, LogEntry, apache, format_named, known_formats, told_format
from footfall.importing.formats.alb import Alb
from footfall.importing.formats.apache import VhostCombined
from footfall.importing.formats.json_lines import CaddyJson, NginxJson
from footfall.model import Drop, View
from tests.unit.importing.logs_given import judge_of
from tests.unit.importing.test_logs_kinds import EXAMPLES

LOGS = Path(__file__).parents[2] / "data" / "logs"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
GOOGLE = "https://www.google.com/"
AT = 1773840330  # 2026-03-18 13:25:30 UTC

FORMATS = known_formats()
JUDGE = judge_of("example.net", "example.com")


def lines_of(name: str) -> list[bytes]:
    return (LOGS / name).read_bytes().splitlines()


def summed_up(form: Format, line: bytes) -> str:
    """What becomes of a line in a log of two sites: site, page and second of a view, or the rule against it."""
    judgement = judge_of(None, "example.com", "example.org").judge(form.read(line))
    outcome = judgement.outcome
    return f"{outcome.site} {outcome.page} {outcome.at}" if isinstance(outcome, View) else judgement.rule


SAMPLES: list[tuple[str, Callable[[], Format], LogEntry | None]] = [
    (
        "vhost-combined.log",
        VhostCombined,
        LogEntry(AT, "GET", "/blog/post?utm_source=letter", 200, GOOGLE, FIREFOX, "example.com:443", "192.0.2.10"),
    ),
    (
        "nginx.json",
        NginxJson,
        LogEntry(
            AT,
            "GET",
            "/blog/post?utm_source=letter",
            200,
            GOOGLE,
            FIREFOX,
            "example.com",
            "192.0.2.10",
            {b"accept-language": b"de-AT,de;q=0.9"},
        ),
    ),
    ("caddy.json", CaddyJson, None),
    ("alb.log", Alb, LogEntry(AT, "GET", "/blog/post?utm_source=letter", 200, None, FIREFOX, "example.com:443", "192.0.2.10")),
]


@pytest.mark.parametrize(("name", "form", "first"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_the_first_line_of_a_sample_is_read_whole(name: str, form: Callable[[], Format], first: LogEntry | None) -> None:
    """Time, request, status, referrer, agent, host and address; Caddy's first line is not about a request."""
    assert form().read(lines_of(name)[0]) == first


def test_a_line_of_caddy_is_read_whole() -> None:
    """The client behind a trusted proxy, not the proxy; the headers that a judgement may ask for, and no others."""
    assert CaddyJson().read(lines_of("caddy.json")[1]) == LogEntry(
        AT,
        "GET",
        "/blog/post?utm_source=letter",
        200,
        GOOGLE,
        FIREFOX,
        "example.com",
        "192.0.2.10",
        {b"accept-language": b"de-AT,de;q=0.9"},
    )


@pytest.mark.parametrize(
    ("name", "form", "verdicts"),
    [
        (
            "vhost-combined.log",
            VhostCombined,
            [f"example.com /blog/post {AT}", f"example.org / {AT + 1}", "unknown site", "asset"],
        ),
        (
            "nginx.json",
            NginxJson,
            [f"example.com /blog/post {AT}", f'example.org /café/"quoted" {AT + 1}', "prefetch", "other method"],
        ),
        (
            "caddy.json",
            CaddyJson,
            ["unreadable", f"example.com /blog/post {AT}", f"example.org / {AT + 1}", "prefetch", "unreadable"],
        ),
        ("alb.log", Alb, [f"example.com /blog/post {AT}", f"example.org / {AT + 1}", "other method", "not shown"]),
    ],
)
def test_samples_are_judged(name: str, form: Callable[[], Format], verdicts: list[str]) -> None:
    """Pages of two sites, and one line each that is dropped for another reason."""
    assert [summed_up(form(), line) for line in lines_of(name)] == verdicts


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("vhost-combined.log", "vhost-combined"),
        ("nginx.json", "nginx-json"),
        ("caddy.json", "caddy-json"),
        ("alb.log", "alb"),
        ("../access-sample.log", "combined"),
    ],
)
def test_a_format_is_told_by_the_first_lines(name: str, told: str) -> None:
    """Also where some of them can't be read."""
    lines = [b"", b"started", *lines_of(name)]
    form = told_format(lines)
    assert form is not None
    assert form.name == told
    assert format_named(told.upper()).name == told


@pytest.mark.parametrize("lines", [[], [b""], [b"a letter", b"to a friend"], [b"{}"], [b"\x00\xff"]])
def test_what_is_no_log_has_no_format(lines: list[bytes]) -> None:
    """Nor has an empty one."""
    assert told_format(lines) is None


def test_a_user_with_a_blank_in_the_name_makes_no_host_of_an_address() -> None:
    """A combined line of "Jane Doe" is not taken for one that begins with a host."""
    line = b'192.0.2.1 - Jane Doe [18/Mar/2026:14:25:30 +0100] "GET / HTTP/1.1" 200 1 "-" "-"'
    form = told_format([line] * 5)
    assert form is not None
    assert form.name == "combined"


def test_an_unknown_format_is_refused() -> None:
    """The line says what there is."""
    with pytest.raises(
        BadInput,
        match=r"^--format: write one of caddy-json, traefik-json, .* combined, docker:NAME, or a pattern",
    ):
        format_named("w3c")


def nginx(**fields: object) -> LogEntry | None:
    return NginxJson().read(json.dumps({"time": "2026-03-18T13:25:30Z", "status": 200, "request_uri": "/a"} | fields).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"status": "200"},
        {"request_uri": None, "request": "GET /a HTTP/1.1"},
        {"request_uri": None, "uri": "/a", "args": ""},
        {"request_uri": None, "uri": "/a", "query_string": "-"},
        {"request_uri": None, "url": "https://example.com/a"},
        {"time": AT},
        {"time": f"{AT}.512"},
        {"time": AT * 1000},
        {"time": str(AT * 1_000_000)},
        {"time": None, "msec": "1773840330.001"},
        {"time": None, "time_local": "18/Mar/2026:14:25:30 +0100"},
        {"time": None, "time_iso8601": "2026-03-18T14:25:30+01:00"},
        {"time": None, "@timestamp": "2026-03-18 13:25:30"},
        {"bytes": 5, "upstream": {"time": [1, 2]}},
    ],
)
def test_fields_of_json_go_by_several_names(fields: dict[str, object]) -> None:
    """A request in one field or in several, a time in each notation that is usual, and fields beside that don't matter."""
    assert nginx(**fields) == LogEntry(AT, "GET", "/a", 200, None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"time": None},
        {"time": "yesterday"},
        {"time": "2026-03-18"},
        {"time": -1},
        {"time": 1e300},
        {"time": True},
        {"status": None},
        {"status": "ok"},
        {"status": "٢٠٠"},
        {"status": 99999},
        {"status": 200.5},
        {"request_uri": None},
        {"request_uri": 5},
        {"request": {"method": "GET"}},
    ],
)
def test_json_without_a_time_a_request_or_a_status_is_unreadable(fields: dict[str, object]) -> None:
    """Or with fields of another kind."""
    assert nginx(**fields) is None


def test_json_that_is_not_quite_json_is_read() -> None:
    r"""Nginx writes \x22 where its format lacks escape=json, and passes on bytes that are not UTF-8 where it has it."""
    line = rb'{"time":"2026-03-18T13:25:30Z","status":"200","request":"GET /say-\x22hi\x22-caf\xC3\xA9-' + b"\xe9"
    entry = NginxJson().read(line + rb'\\x41 HTTP/1.1"}')
    assert entry is not None
    assert entry.target == '/say-"hi"-caf%C3%A9-%E9\\x41'


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("cut", [1, 10, 60, 140])
def test_lines_that_were_cut_are_unreadable(form: Format, cut: int) -> None:
    """Not half a line of this format or of another."""
    if form.name in EXAMPLES:
        line = EXAMPLES[form.name]
    elif form.name == "combined":
        line = LOGS.parent.joinpath("access-sample.log").read_bytes().splitlines()[0]
    else:
        line = next(line for name, _, _ in SAMPLES for line in lines_of(name) if form.read(line))
    assert form.read(line) is not None
    assert form.read(line[:cut]) is None


PIECES = [line for name, _, _ in SAMPLES for line in lines_of(name)]
SHREDS = st.sampled_from(PIECES).flatmap(
    lambda line: st.tuples(st.integers(0, len(line)), st.integers(0, len(line)), st.binary(max_size=8)).map(
        lambda cut: line[: cut[0]] + cut[2] + line[cut[1] :]
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["method", "uri", "host", "headers"]), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["time", "ts", "status", "request", "uri", "host", "http_referer", "logger"]), VALUES
).map(lambda value: json.dumps(value).encode())


@given(SHREDS | OBJECTS | st.binary())
def test_any_line_is_judged_in_any_format(line: bytes) -> None:
    """Whatever stands in a line, it is a view or a drop."""
    for form in FORMATS:
        entry = form.read(line)
        outcome = JUDGE.judge(entry).outcome
        assert isinstance(outcome, View | Drop)
        if entry is not None:
            assert entry.at >= 0
            assert entry.target.isascii()


def test_deeply_nested_json_is_unreadable() -> None:
    """And no fault."""
    for form in (NginxJson(), CaddyJson()):
        assert form.read(b'{"request":' * 5000) is None
        assert form.read(b'{"time":' + b"[" * 16_000) is None


def test_an_entry_never_shows_an_address() -> None:
    """Not in a log of our own, nor in a failed test."""
    entry = VhostCombined().read(lines_of("vhost-combined.log")[0])
    assert entry is not None
    assert entry.address == "192.0.2.10"
    assert "192.0.2" not in repr(entry)
    assert "192.0.2" not in str(entry)


_PIECES = st.sampled_from(
    (
        "192.0.2.1 - - ",
        "[17/May/2015:10:05:03 +0000] ",
        "[17/May/2015:10:05:03 +0000]",
        "[",
        '"',
        " ",
        "\\",
        "\\x22",
        "é",
        "\r",
        "-",
    )
) | st.sampled_from(("GET / HTTP/1.1", " 200 1 ", " 200 - ", " 20 1 ", " 200 1", "https://example.org/", "Mozilla/5.0", "\n"))


@given(
    before=st.lists(_PIECES, max_size=2).map("".join),
    fields=st.lists(st.lists(_PIECES, max_size=2).map("".join), max_size=8).map('"'.join),
    is_whole=st.booleans(),
)
def test_a_plain_line_is_read_as_any_other(before: str, fields: str, is_whole: bool) -> None:
    """The quick way takes only lines of which it says the same."""
    line = f'192.0.2.1 - {before}[17/May/2015:10:05:03 +0000] "{fields}'
    if is_whole:
        line = f'192.0.2.1 - {before}[17/May/2015:10:05:03 +0000] "GET /{before} HTTP/1.1" 200 1 "{before}" "{before}"'
    quick = apache._plain_fields(line)
    assert quick is None or quick == apache._fields(line)


def test_real_lines_are_read_the_quick_way() -> None:
    lines = gzip.decompress((LOGS.parent / "access.log.gz").read_bytes()).decode().splitlines()
    assert sum(apache._plain_fields(line) is not None for line in lines) > 0.99 * len(lines)
