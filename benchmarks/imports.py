"""How many lines of a log are imported in a second, into a SQLite file, in each format and with a pattern; with the workers that
`footfall import` starts by itself, and without any.

The lines tell of real requests, written anew in each format; what is measured is all of an import but the start of the program:
that of the workers is in it. The log is given as its bytes: this is not about the disk that it lies on. Rounds go through all
formats, so that a disturbance hits all alike.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import BenchmarkError
from benchmarks.progress import Steps
from benchmarks.report import Report, at_least, over_rounds
from footfall.__main__ import THRESHOLDS
from footfall.importing import Recipe, Workers, import_log, workers_that_help
from footfall.importing.formats import LogEntry, format_named
from footfall.importing.formats.apache import Combined
from footfall.model import DEFAULT_RETENTION
from footfall.rules import Rules
from footfall.stores import open_store

SITE = "example.com"

#: Lines a second.
FAST_ENOUGH = at_least(50_000)

#: How often the real lines stand in a log, so that an import takes some seconds.
_REPEATED = 25

_LOG = Path(__file__).parents[1] / "tests" / "data" / "access.log.gz"

_PATTERN = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'


def _nginx(_line: bytes, entry: LogEntry) -> bytes:
    said = {
        "time": datetime.fromtimestamp(entry.at, UTC).isoformat(),
        "host": SITE,
        "remote_addr": entry.address,
        "request_method": entry.method,
        "request_uri": entry.target,
        "status": entry.status,
        "http_referer": entry.referrer,
        "http_user_agent": entry.user_agent,
        "http_accept_language": "en-GB,en;q=0.9",
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _caddy(_line: bytes, entry: LogEntry) -> bytes:
    headers = {"User-Agent": [entry.user_agent], "Referer": [entry.referrer], "Accept": ["*/*"], "Accept-Encoding": ["gzip, br"]}
    request = {
        "remote_ip": entry.address,
        "remote_port": "41342",
        "client_ip": entry.address,
        "proto": "HTTP/2.0",
        "method": entry.method,
        "host": SITE,
        "uri": entry.target,
        "headers": headers | {"Accept-Language": ["en-GB,en;q=0.9"]},
    }
    said = {
        "level": "info",
        "ts": entry.at + 0.25,
        "logger": "http.log.access.log0",
        "msg": "handled request",
        "request": request,
        "duration": 0.000929675,
        "size": 10900,
        "status": entry.status,
        "resp_headers": {"Server": ["Caddy"], "Content-Type": ["text/html; charset=utf-8"]},
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _alb(_line: bytes, entry: LogEntry) -> bytes:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.186641Z")
    request = f"{entry.method} https://{SITE}:443{entry.target} HTTP/2.0"
    return (
        f"h2 {at} app/example/0123456789abcdef {entry.address}:2817 10.0.0.1:80 0.000 0.001 0.000 {entry.status} {entry.status} "
        f'34 366 "{request}" "{entry.user_agent}" TLS_AES_128_GCM_SHA256 TLSv1.3 arn:aws:elasticloadbalancing:target "Root=1-5" '
        f'"{SITE}" "arn:aws:acm:certificate" 0 {at} "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1'
    ).encode()


#: Each format by its name, or a pattern's, and how a line is written in it.
WRITTEN: Mapping[str, Callable[[bytes, LogEntry], bytes]] = {
    "combined": lambda line, _: line,
    "vhost-combined": lambda line, _: f"{SITE}:443 ".encode() + line,
    "nginx-json": _nginx,
    "caddy-json": _caddy,
    "alb": _alb,
    _PATTERN: lambda line, _: line,
}


def measure(folder: Path, steps: Steps, *, rounds: int) -> Report:
    """Import the same requests in every format, `rounds` times, each time into a store of its own in `folder`."""
    gc.set_threshold(*THRESHOLDS)  # as in the command line
    read = Combined().read
    real = [(line, entry) for line in gzip.decompress(_LOG.read_bytes()).splitlines() if (entry := read(line)) is not None]
    logs = {name: b"".join(write(*each) + b"\n" for each in real) * _REPEATED for name, write in WRITTEN.items()}
    numbers = (workers_that_help(), 0)
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    steps.expect(rounds * len(logs) * len(numbers))
    for number in range(rounds):
        for name, log in logs.items():
            for workers in numbers:
                steps.step(f"round {number + 1} of {rounds}: {_label(name)}, {workers} workers")
                file = folder / f"{number}-{list(logs).index(name)}-{workers}.db"
                rates[name, workers].append(asyncio.run(_import(file, name, log, len(real) * _REPEATED, workers)))
    most, none = numbers
    return Report(
        "imports",
        "Importing a log: lines a second",
        ("format", "bytes a line", f"{most} workers", "no workers"),
        [
            (
                _label(name),
                f"{len(logs[name]) / _REPEATED / len(real):.0f}",
                over_rounds(rates[name, most], 0, FAST_ENOUGH),
                over_rounds(rates[name, none], 0),
            )
            for name in logs
        ],
        (
            f"{len(real) * _REPEATED:,} lines of real requests, read, judged and committed to a SQLite file; one in 6 a view",
            "workers are as many as footfall import starts by itself, 1 a core and at most 4; their start is part of the time",
        ),
    )


def _label(name: str) -> str:
    return "the combined format as a pattern" if name == _PATTERN else name


async def _import(file: Path, name: str, log: bytes, lines: int, number: int) -> float:
    store = open_store(f"sqlite:///{file}", time.time, DEFAULT_RETENTION, 600)
    recipe = Recipe({SITE: Rules()}, (SITE, Rules()), {}, None, None)
    try:
        started = time.perf_counter()
        with Workers(recipe, number, len(log)) as workers:
            summary = await import_log(io.BytesIO(log), store, recipe.judge(), format_named(name), workers=workers)
            seconds = time.perf_counter() - started
    finally:
        await store.close()
    if (summary.lines, summary.already) != (lines, 0) or not summary.counted:
        raise BenchmarkError(f"{_label(name)}: not all lines were imported: {summary}")
    return lines / seconds
