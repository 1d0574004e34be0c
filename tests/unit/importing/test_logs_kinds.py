"""Kinds of logs from public bug reports: each is told by its lines, and says whose view it was, of which host, and when."""

from __future__ import annotations

import json

import pytest

from footfall.importing.formats import Format, LogEntry, format_named, told_format

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
AT = 1773840330  # 2026-03-18 13:25:30 UTC
TAIL = f'[18/Mar/2026:14:25:30 +0100] "GET /a HTTP/1.1" 200 5 "-" "{AGENT}"'
COMBINED = f"192.0.2.1 - - {TAIL}"

CADDY = {
    "ts": AT + 0.5,
    "logger": "http.log.access.log0",
    "request": {
        "client_ip": "192.0.2.1",
        "method": "GET",
        "host": "example.com",
        "uri": "/a",
        "headers": {"User-Agent": [AGENT]},
    },
    "status": 200,
}
NGINX = {"time": "2026-03-18T13:25:30Z", "status": "200", "request_uri": "/a", "host": "example.com", "remote_addr": "192.0.2.1"}
TRAEFIK = {
    "ClientHost": "192.0.2.1",
    "DownstreamStatus": 200,
    "RequestHost": "example.com",
    "RequestMethod": "GET",
    "RequestPath": "/a",
    "StartUTC": "2026-03-18T13:25:30.123456789Z",
    "request_User-Agent": AGENT,
}
ALB = (
    "h2 2026-03-18T13:25:30.186641Z app/b/1 192.0.2.1:2817 10.0.0.66:9000 0.000 0.002 0.000 200 200 34 366 "
    f'"GET https://example.com:443/a HTTP/2.0" "{AGENT}" - -'
)


def console(ts: str) -> bytes:
    fields = json.dumps({"request": CADDY["request"], "status": 200})
    return f"{ts}\tINFO\thttp.log.access.log0\thandled request\t{fields}".encode()


def docker(line: str) -> bytes:
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": "2026-03-18T13:25:31.000000001Z"}).encode()


#: A line of each format that has no file in tests/data/logs.
EXAMPLES = {
    "traefik-json": json.dumps(TRAEFIK).encode(),
    "caddy-console": console("2026/03/18 13:25:30.219"),
    "host-second": f"192.0.2.1 example.com - {TAIL}".encode(),
    "docker:caddy-json": docker(json.dumps(CADDY)),
    "docker:traefik-json": docker(json.dumps(TRAEFIK)),
    "docker:nginx-json": docker(json.dumps(NGINX)),
    "docker:alb": docker(ALB),
    "docker:vhost-combined": docker(f"example.com 192.0.2.1 - - {TAIL}"),
    "docker:host-second": docker(f"192.0.2.1 example.com - {TAIL}"),
    "docker:combined": docker(COMBINED),
}


def told(*lines: bytes) -> Format:
    form = told_format(lines)
    assert form is not None
    return form


def read(line: bytes) -> LogEntry:
    entry = told(line).read(line)
    assert entry is not None
    return entry


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_format_is_told_by_a_line_and_by_its_name(name: str) -> None:
    """Both read the line alike: page, second, visitor, and the host where the format names one."""
    line = EXAMPLES[name]
    assert told(line).name == name
    entry = format_named(name).read(line)
    assert entry == read(line)
    assert entry is not None
    host = "example.com" if "combined" not in name or "vhost" in name else None
    assert (entry.at, entry.target, entry.status, entry.address) == (AT, "/a", 200, "192.0.2.1")
    assert (entry.host or "").removesuffix(":443") == (host or "")


@pytest.mark.parametrize(
    "prefix",
    [
        "web_1  | ",
        "web-1 | ",
        "Mar 18 14:25:30 www nginx: ",
        "Mar 18 14:25:30 www nginx[712]: ",
        "<190>Mar 18 14:25:30 www nginx: ",
    ],
)
def test_what_stands_before_a_line_is_no_address(prefix: str) -> None:
    """A container's name or the system log's words are not everybody's address."""
    entry = read((prefix + COMBINED).encode())
    assert (entry.address, entry.target) == ("192.0.2.1", "/a")


def test_a_client_whose_name_was_resolved_keeps_it() -> None:
    assert read(f"client.example.net - - {TAIL}".encode()).address == "client.example.net"


def test_a_host_stands_first_where_the_address_is_not_known() -> None:
    """One line without an address makes no combined log of a log of several hosts."""
    lines = [f"example.com {client} - - {TAIL}".encode() for client in ("192.0.2.1", "192.0.2.2", "-")]
    form = told(*lines)
    assert form.name == "vhost-combined"
    assert [(entry.host, entry.address) for line in lines if (entry := form.read(line))] == [
        ("example.com", "192.0.2.1"),
        ("example.com", "192.0.2.2"),
        ("example.com", "-"),
    ]


def test_one_odd_client_decides_nothing() -> None:
    """The format is that of most lines, and one that says more is not given up for a few that it can't read."""
    odd = b'192.0.2.9 example.com john [18/Mar/2026:14:25:30 +0100] "GET / HTTP/1.1" 200 1 "-" "-"'
    assert told(odd, *[COMBINED.encode()] * 3).name == "combined"
    vhost = f"example.com 192.0.2.1 - - {TAIL}".encode()
    assert told(*[vhost] * 3, COMBINED.encode()).name == "vhost-combined"


def test_a_log_may_begin_with_what_is_no_request() -> None:
    """However long a server's start is logged before the first request."""
    start = json.dumps({"level": "info", "ts": AT, "logger": "tls", "msg": "started"}).encode()
    assert told(*[start] * 350, json.dumps(CADDY).encode()).name == "caddy-json"


@pytest.mark.parametrize("before", [b" ", b"\t ", b"\xef\xbb\xbf", b"?", b"\xef\xbb\xbf ? "])
def test_blanks_and_marks_before_an_object_are_passed_over(before: bytes) -> None:
    assert read(before + json.dumps(NGINX).encode()).target == "/a"


def test_a_number_that_nginx_does_not_know_is_a_bare_dash() -> None:
    """As it writes it where the format puts no quotes around the variable."""
    line = json.dumps(NGINX)[:-1] + ', "upstream_response_time":-, "x": - }'
    assert read(line.encode()).target == "/a"


def test_the_fields_that_matomo_names_are_known() -> None:
    line = json.dumps(
        {"ip": "192.0.2.1", "host": "example.com", "path": "/a", "status": "200", "date": "2026-03-18T14:25:30+01:00"}
    )
    entry = read(line.encode())
    assert (entry.at, entry.address, entry.target) == (AT, "192.0.2.1", "/a")


@pytest.mark.parametrize(
    "ts",
    [
        *(
            AT,
            AT * 1000,
            AT * 10**6,
            AT * 10**9,
            "2026/03/18 13:25:30",
            "2026/03/18 13:25:30.219",
            "2026/03/18 13:25:30.219000001",
        ),
        *("2026-03-18T13:25:30Z", "2026-03-18T14:25:30.219+0100", "2026-03-18T14:25:30.219000001+01:00"),
        "18/Mar/2026:14:25:30 +0100",
    ],
)
def test_every_kind_of_time_that_caddy_writes_is_read(ts: object) -> None:
    """Wall clocks name no zone: they are UTC's."""
    assert read(json.dumps(CADDY | {"ts": ts}).encode()).at == AT


def test_the_colours_of_a_terminal_are_passed_over() -> None:
    line = console("2026/03/18 13:25:30.219").replace(b"INFO", b"\x1b[34mINFO\x1b[0m")
    assert read(line).target == "/a"
