"""Requests a second with Redis as the store, beside a bare server and a naive counter, and what each view costs Redis."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.progress import Steps
from benchmarks.redis_servers import LAUNCHES, SITES, pinned
from benchmarks.report import Cell, Gate, Report, at_least, at_most, over_rounds
from benchmarks.rounds import (
    BARE,
    BARE_AGAIN,
    BARE_SERVER,
    COUNT_TARGET,
    VISIT_TARGET,
    VISITS,
    Beside,
    Contender,
    Heat,
    Measured,
    ratios,
    run_rounds,
)
from benchmarks.servers import Place
from benchmarks.throughput import NOISE

COUNT = Contender("/count", "redis", COUNT_TARGET)
COUNT_VISITS = Contender("/count, referrers and agents", "redis, visits", VISIT_TARGET, visits=VISITS)
COUNT_AOF = Contender("/count, AOF everysec", "redis, AOF", COUNT_TARGET)
COUNT_SITES = Contender(f"/count, one page of {SITES:,} sites", "redis, many sites", "/count?p=%2F&s=s")
NAIVE = Contender("naive counter", "naive", "/count?p=%2Fpage%2F")
NAIVE_PIPELINED = Contender("naive counter, pipelined", "naive", "/pipelined?p=%2Fpage%2F")

#: To compare another server, add its contender here.
HEATS = (
    Heat(1, 64, (BARE, COUNT, COUNT_AOF)),
    Heat(10_000, 64, (BARE, COUNT, COUNT_AOF)),
    Heat(1, 256, (BARE, BARE_AGAIN, COUNT, COUNT_VISITS, COUNT_AOF, NAIVE, NAIVE_PIPELINED)),
    Heat(10_000, 256, (BARE, COUNT, COUNT_VISITS, COUNT_AOF, COUNT_SITES)),
)

#: The share of the bare server's requests a second: by contender, pages and connections.
SHARES: Mapping[tuple[str, int, int], Gate] = {
    (BARE_AGAIN.label, 1, 256): NOISE,
    (COUNT.label, 1, 256): at_least(0.75),
    (COUNT.label, 10_000, 256): at_least(0.55),
    (COUNT_VISITS.label, 1, 256): at_least(0.80),
    (COUNT_VISITS.label, 10_000, 256): at_least(0.55),
}

#: By contender and connections: how many times the naive counter's requests a second, and the most script calls for 1,000 views.
TIMES: Mapping[tuple[str, int], Gate] = {(COUNT.label, 256): at_least(20)}
CALLS: Mapping[tuple[str, int], Gate] = {(COUNT.label, 256): at_most(10)}


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Run all heats in every round, and compare. Each run lasts `seconds`. Raises BenchmarkError."""
    outcome = run_rounds(HEATS, LAUNCHES, place, steps, seconds=seconds, rounds=rounds)
    rows = [
        _row(heat, contender, runs, beside, measured[heat.contenders.index(NAIVE)] if NAIVE in heat.contenders else [])
        for heat, measured in outcome.runs.items()
        for contender, runs, beside in zip(heat.contenders, measured, outcome.beside[heat], strict=True)
    ]
    resident = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in outcome.resident.items() if name != BARE_SERVER)
    return Report(
        "redis",
        "Throughput on one core with Redis, beside a bare server and a naive counter",
        (
            "answer",
            "pages",
            "connections",
            "requests/s",
            "of bare",
            "/ naive",
            "p99 ms",
            "calls / 1,000 views",
            "Redis CPU ms / 1,000 views",
        ),
        rows,
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets.",
            "A ratio to the bare server is to the mean of its runs just before and after.",
            pinned(place),
            "Without persistence where no AOF is named. A call is a script call; the naive counter's are its commands.",
            f"Many pages (or sites) are drawn by Zipf's law. The bare server sends {outcome.headers} headers, as /count does.",
            "No request failed; after every run: acknowledged <= stored <= sent.",
            f"Resident in the end: {resident}.",
        ),
        {"runs": outcome.details(), "resident": outcome.resident},
    )


def _row(heat: Heat, contender: Contender, runs: list[Measured], beside: list[Beside], naive: list[Measured]) -> tuple[Cell, ...]:
    """A contender's row, with the bare runs beside its own and the naive counter's of the same rounds."""
    key = (contender.label, heat.pages, heat.connections)
    of_bare = over_rounds(ratios(runs, beside, _rate), 2, SHARES.get(key)) if beside else None
    of_naive = None
    if naive and beside and contender is not NAIVE:
        of_naive = over_rounds(
            ratios(runs, [(run, run) for run in naive], _rate), 2, TIMES.get((contender.label, heat.connections))
        )
    calls = [cost for run in runs if (cost := run.for_views(run.calls)) is not None]
    cpu = [cost for run in runs if (cost := run.for_views(run.store_cpu)) is not None]
    return (
        contender.label,
        f"{heat.pages:,}",
        f"{heat.connections}",
        over_rounds([run.rate for run in runs], 0),
        of_bare,
        of_naive,
        over_rounds([run.p99 for run in runs], 1),
        over_rounds(calls, 1, CALLS.get((contender.label, heat.connections))) if calls else None,
        over_rounds([cost * 1e3 for cost in cpu], 1) if cpu else None,
    )


def _rate(run: Measured) -> float:
    return run.rate
