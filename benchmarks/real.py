"""Requests a second under a load like that of real visitors: new addresses, many pages and sources, behind a proxy."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from benchmarks.progress import Steps
from benchmarks.redis_servers import on_redis, pinned
from benchmarks.report import Cell, Gate, Report, at_most, over_rounds
from benchmarks.rounds import BARE_SERVER, VISIT_TARGET, VISITS, Beside, Contender, Heat, Measured, ratios, run_rounds
from benchmarks.servers import Launch, Place, Running, serve

PAGES = 10_000
CONNECTIONS = (64, 256)

#: The proxy before the server is on this machine, as the load generator is.
_PROXIED = {"FOOTFALL_TRUSTED_PROXIES": "127.0.0.1"}
_NOBODY = {**_PROXIED, "FOOTFALL_COUNTS_VISITORS": "no"}


def _sqlite(file: str, settings: Mapping[str, str]) -> Launch:
    @contextlib.contextmanager
    def launch(place: Place) -> Iterator[Running]:
        with serve(place, f"sqlite:///{place.folder / file}", settings=settings) as running:
            yield running

    return launch


LAUNCHES: Mapping[str, Launch] = {
    "sqlite": _sqlite("real.db", _PROXIED),
    "sqlite, ids": _sqlite("ids.db", _PROXIED),
    "redis": lambda place: on_redis(place, settings=_PROXIED),
    "redis, ids": lambda place: on_redis(place, settings=_PROXIED),
    "nobody told apart, new": _sqlite("new.db", _NOBODY),
    "nobody told apart, one": _sqlite("one.db", _NOBODY),
}


def _real(label: str, server: str, *, ids: bool = False) -> Contender:
    return Contender(label, server, VISIT_TARGET, visits=VISITS, visitors="new", ids=ids)


BARE = _real("bare 204", BARE_SERVER)
NEW = _real("SQLite, visitors not told apart, new addresses", "nobody told apart, new")
ONE = msgspec.structs.replace(
    NEW, label="SQLite, visitors not told apart, one address", server="nobody told apart, one", visitors="one"
)
REAL = (
    _real("SQLite", "sqlite"),
    _real("SQLite, with event ids", "sqlite, ids", ids=True),
    _real("Redis", "redis"),
    _real("Redis, with event ids", "redis, ids", ids=True),
)

HEATS = tuple(Heat(PAGES, connections, (BARE, *REAL, NEW, ONE)) for connections in CONNECTIONS)

#: Microseconds of processor time that an address never seen before may cost a view more than one that comes again.
DEARER = at_most(6)


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Run all heats in every round, and compare. Each run lasts `seconds`. Raises BenchmarkError."""
    outcome = run_rounds(HEATS, LAUNCHES, place, steps, seconds=seconds, rounds=rounds)
    rows: list[tuple[Cell, ...]] = []
    for heat, measured in outcome.runs.items():
        runs = dict(zip(heat.contenders, measured, strict=True))
        rows += [
            _row(heat, contender, runs[contender], beside, _dearer(runs[NEW], runs[ONE]) if contender is NEW else None)
            for contender, beside in zip(heat.contenders, outcome.beside[heat], strict=True)
        ]
    return Report(
        "real",
        "Throughput on one core under a load like that of real visitors, beside a bare server",
        (
            "store",
            "connections",
            "requests/s",
            "of bare",
            "p99 ms",
            "CPU us / view",
            "us more than one address",
            "commits / 1,000 views",
        ),
        rows,
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets.",
            f"Each request names one of {PAGES:,} pages (Zipf's law), one of {VISITS:,} referrers and one of 60 agents.",
            "It comes through a trusted proxy, from an address never seen before. The bare server gets the same requests.",
            "A ratio to the bare server is to the mean of its runs just before and after.",
            pinned(place),
            "No request failed; after every run: acknowledged <= stored <= sent.",
        ),
        {"runs": outcome.details(), "resident": outcome.resident},
    )


def _dearer(new: Sequence[Measured], one: Sequence[Measured]) -> list[float]:
    """Microseconds of processor time a view of the first costs more than one of the second, a round."""
    return [_cost(first) - _cost(second) for first, second in zip(new, one, strict=True)]


def _cost(run: Measured) -> float:
    """Microseconds of the server's processor time a view."""
    return (run.for_views(run.cpu) or 0.0) * 1e3


def _row(
    heat: Heat, contender: Contender, runs: list[Measured], beside: list[Beside], dearer: list[float] | None
) -> tuple[Cell, ...]:
    gate: Gate | None = DEARER
    commits = [cost for run in runs if (cost := run.for_views(run.commits)) is not None]
    return (
        contender.label,
        f"{heat.connections}",
        over_rounds([run.rate for run in runs], 0),
        over_rounds(ratios(runs, beside, lambda run: run.rate), 2) if beside else None,
        over_rounds([run.p99 for run in runs], 1),
        over_rounds([_cost(run) for run in runs], 1) if runs[0].cpu is not None else None,
        over_rounds([statistics.median(dearer)], 1, gate) if dearer else None,
        over_rounds(commits, 1) if commits else None,
    )
