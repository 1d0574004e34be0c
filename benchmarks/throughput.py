"""Requests a second and their latency with the embedded store, on one core, beside a bare server in the same minute."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import servers
from benchmarks.progress import Steps
from benchmarks.report import Cell, Gate, Report, at_least, at_most, over_rounds
from benchmarks.rounds import (
    BARE,
    BARE_AGAIN,
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

CONNECTIONS = (64, 256)

COUNT = Contender("/count", "footfall", COUNT_TARGET)
COUNT_VISITS = Contender("/count, referrers and agents", "footfall, visits", VISIT_TARGET, visits=VISITS)
COUNT_JSON = Contender("/count, JSON", "footfall", COUNT_TARGET, "application/json")
TEXT = Contender("/, text", "footfall", "/", "text/plain")

#: To compare another answer, add its contender here.
HEATS = tuple(
    Heat(pages, connections, contenders)
    for connections in CONNECTIONS
    for pages, contenders in (
        (1, (BARE, BARE_AGAIN, COUNT, COUNT_VISITS, COUNT_JSON, TEXT)),
        (10_000, (BARE, COUNT, COUNT_VISITS)),
    )
)

#: A run in which the bare server differs more from itself is too noisy to decide anything.
NOISE = Gate(0.9, 1.1)

#: The share of the bare server's requests a second: by contender, pages and connections.
SHARES: Mapping[tuple[str, int, int], Gate] = {
    **{(BARE_AGAIN.label, 1, connections): NOISE for connections in CONNECTIONS},
    (COUNT.label, 1, 64): at_least(0.75),
    (COUNT.label, 1, 256): at_least(0.85),
    (COUNT.label, 10_000, 64): at_least(0.50),
    (COUNT.label, 10_000, 256): at_least(0.60),
    (COUNT_VISITS.label, 1, 256): at_least(0.80),
    (COUNT_VISITS.label, 10_000, 256): at_least(0.55),
}

#: Greatest multiple of the bare server's 99th percentile, and most commits for 1,000 views: by contender and connections.
SLOWDOWNS: Mapping[tuple[str, int], Gate] = {(COUNT.label, connections): at_most(3) for connections in CONNECTIONS}
COMMITS: Mapping[tuple[str, int], Gate] = {(COUNT.label, 256): at_most(10)}


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Run all heats in every round, and compare. Each run lasts `seconds`. Raises BenchmarkError."""
    outcome = run_rounds(HEATS, servers.LAUNCHES, place, steps, seconds=seconds, rounds=rounds)
    rows = [
        _row(heat, contender, runs, beside)
        for heat, measured in outcome.runs.items()
        for contender, runs, beside in zip(heat.contenders, measured, outcome.beside[heat], strict=True)
    ]
    return Report(
        "throughput",
        "Throughput and latency on one core, beside a bare server",
        ("answer", "pages", "connections", "requests/s", "of bare", "p99 ms", "p99 / bare", "commits / 1,000 views"),
        rows,
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets.",
            "A ratio to the bare server is to the mean of its runs just before and after.",
            f"Many pages are drawn by Zipf's law. The bare server sends {outcome.headers} headers, as /count does.",
            "No request failed; after every run: acknowledged <= stored <= sent.",
        ),
        {"runs": outcome.details()},
    )


def _row(heat: Heat, contender: Contender, runs: list[Measured], beside: list[Beside]) -> tuple[Cell, ...]:
    key = (contender.label, heat.pages, heat.connections)
    compared: tuple[Cell, Cell] = (None, None)
    if beside:
        compared = (
            over_rounds(ratios(runs, beside, lambda run: run.rate), 2, SHARES.get(key)),
            over_rounds(ratios(runs, beside, lambda run: run.p99), 2, SLOWDOWNS.get((contender.label, heat.connections))),
        )
    commits = [cost for run in runs if (cost := run.for_views(run.commits)) is not None]
    return (
        contender.label,
        f"{heat.pages:,}",
        f"{heat.connections}",
        over_rounds([run.rate for run in runs], 0),
        compared[0],
        over_rounds([run.p99 for run in runs], 1),
        compared[1],
        over_rounds(commits, 1, COMMITS.get((contender.label, heat.connections))) if commits else None,
    )
