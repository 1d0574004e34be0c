"""Requests a second and their latency, each server beside a bare one in the same minute, on one core.

Every run is also an audit: no request may fail, and the store must have gained at least as many views as were answered and
at most as many as were sent.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from benchmarks import BenchmarkError, servers, wrk
from benchmarks.progress import Steps
from benchmarks.report import Cell, Gate, Report, at_least, at_most, over_rounds
from benchmarks.servers import Place, Running

CONNECTIONS = (64, 256)

#: Requests that a run cut off are still being committed when it ends; they must not count for the next one.
SETTLE_SECONDS = 0.2

_WARM_UP_SECONDS = 1


class Contender(msgspec.Struct, frozen=True):
    """What is asked of a server of `servers.LAUNCHES` (or of the bare one): a target, and what the client accepts.

    Where there are `pages`, the target lacks the page's number at its end.
    """

    label: str
    server: str
    target: str
    accept: str = "*/*"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Host": servers.SITE, "User-Agent": servers.BROWSER, "Accept": self.accept}


_COUNT = f"/count?s={servers.SITE}&p=%2Fpage%2F"
_BARE_SERVER = "bare"

BARE = Contender("bare 204", _BARE_SERVER, _COUNT)
BARE_AGAIN = Contender("bare 204 again (the noise)", _BARE_SERVER, _COUNT)
COUNT = Contender("/count", "footfall", _COUNT)
COUNT_JSON = Contender("/count, JSON", "footfall", _COUNT, "application/json")
TEXT = Contender("/, text", "footfall", "/", "text/plain")


class Heat(msgspec.Struct, frozen=True):
    """Contenders that run one after the other under one load. The first is what the others are compared with."""

    pages: int
    connections: int
    contenders: tuple[Contender, ...]

    def target(self, contender: Contender) -> str:
        """What wrk is given: one page's target, or what the targets of many begin with."""
        return contender.target + "1" if self.pages == 1 and contender.target != "/" else contender.target


#: To compare another server, add its contender here.
HEATS = tuple(
    Heat(pages, connections, contenders)
    for connections in CONNECTIONS
    for pages, contenders in ((1, (BARE, BARE_AGAIN, COUNT, COUNT_JSON, TEXT)), (10_000, (BARE, COUNT)))
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
}

#: Greatest multiple of the bare server's 99th percentile, and most commits for 1,000 views: by contender and connections.
SLOWDOWNS: Mapping[tuple[str, int], Gate] = {(COUNT.label, connections): at_most(3) for connections in CONNECTIONS}
COMMITS: Mapping[tuple[str, int], Gate] = {(COUNT.label, 256): at_most(10)}


class Measured(msgspec.Struct, frozen=True):
    """One contender's run: requests a second, p50 and p99 in milliseconds, requests answered, and what was stored for them."""

    rate: float
    p50: float
    p99: float
    answered: int
    views: int | None = None
    commits: int | None = None


#: By place in the heat's contenders, one entry a round.
Results = list[list[Measured]]


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Run all heats in every round, and compare. Each run lasts `seconds`. Raises BenchmarkError."""
    steps.expect((1 + rounds) * sum(len(heat.contenders) for heat in HEATS))
    results: dict[Heat, Results] = {heat: [[] for _ in heat.contenders] for heat in HEATS}
    with contextlib.ExitStack() as stack:
        names = {contender.server for heat in HEATS for contender in heat.contenders} - {_BARE_SERVER}
        running = {name: stack.enter_context(servers.LAUNCHES[name](place)) for name in sorted(names)}
        headers = _inspect(running)
        running[_BARE_SERVER] = stack.enter_context(servers.bare(place, headers))
        for heat in HEATS:
            for contender in heat.contenders:
                steps.step(f"warming up: {contender.label}, {heat.pages:,} pages, {heat.connections} connections")
                _run(running[contender.server], contender, heat, place, _WARM_UP_SECONDS, seed=0)
        for number in range(rounds):
            for heat in HEATS:
                for turn in range(len(heat.contenders)):
                    which = (turn + number) % len(heat.contenders)  # nobody always runs first
                    contender = heat.contenders[which]
                    steps.step(
                        f"round {number + 1} of {rounds}: {contender.label}, {heat.pages:,} pages, {heat.connections} connections"
                    )
                    measured = _run(running[contender.server], contender, heat, place, seconds, seed=number + 1)
                    results[heat][which].append(measured)
    return _report(results, seconds=seconds, rounds=rounds, headers=headers)


def _inspect(running: Mapping[str, Running]) -> int:
    """Ask each contender once whether it counts as it should; how many headers /count answers with."""
    headers = 0
    for heat in HEATS:
        for contender in heat.contenders:
            if contender.server == _BARE_SERVER:
                continue
            answer = running[contender.server].get(heat.target(contender), contender.headers)
            outcome = answer.headers.get("x-footfall")
            if answer.status not in (200, 204) or outcome != "counted":
                raise BenchmarkError(f"{contender.label} answered {answer.status} with X-Footfall: {outcome}; it must count")
            if contender.accept == "application/json" and answer.status != 200:
                raise BenchmarkError(f"{contender.label} answered no JSON: the site's numbers must be public")
            if contender is COUNT:
                headers = len(answer.headers)
    return headers


def _run(running: Running, contender: Contender, heat: Heat, place: Place, seconds: int, seed: int) -> Measured:
    """One run, and its audit."""
    counts = contender.server != _BARE_SERVER
    load = wrk.Load(heat.connections, seconds, heat.pages, seed)
    time.sleep(SETTLE_SECONDS)
    before = running.books() if counts else None
    run = wrk.run(running.url + heat.target(contender), contender.headers, load, place.load_core)
    if before is None:
        return Measured(run.rate, run.p50, run.p99, run.completed)
    after = running.books()
    stored = after.stored - before.stored
    if not run.completed <= stored <= run.completed + heat.connections:
        raise BenchmarkError(
            f"{contender.label}: {run.completed} views were acknowledged and at most {heat.connections} more sent,"
            f" but the store gained {stored}"
        )
    return Measured(run.rate, run.p50, run.p99, run.completed, after.counted - before.counted, after.commits - before.commits)


def _report(results: Mapping[Heat, Results], *, seconds: int, rounds: int, headers: int) -> Report:
    rows: list[tuple[Cell, ...]] = []
    details: list[dict[str, Any]] = []
    for heat, measured in results.items():
        for contender, runs in zip(heat.contenders, measured, strict=True):
            rows.append(_row(heat, contender, runs, measured[0]))
            details.append(
                {
                    "contender": contender.label,
                    "pages": heat.pages,
                    "connections": heat.connections,
                    "rounds": runs,
                }
            )
    return Report(
        "throughput",
        "Throughput and latency on one core, beside a bare server",
        ("answer", "pages", "connections", "requests/s", "of bare", "p99 ms", "p99 / bare", "commits / 1,000 views"),
        rows,
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets; ratios are taken within a round.",
            f"Many pages are drawn by Zipf's law. The bare server sends {headers} headers, as /count does.",
            "No request failed; after every run: acknowledged <= stored <= sent.",
        ),
        {"runs": details},
    )


def _row(heat: Heat, contender: Contender, runs: list[Measured], base: list[Measured]) -> tuple[Cell, ...]:
    key = (contender.label, heat.pages, heat.connections)
    compared: tuple[Cell, Cell] = (None, None)
    if runs is not base:
        pairs = list(zip(runs, base, strict=True))
        compared = (
            over_rounds([run.rate / bare.rate for run, bare in pairs], 2, SHARES.get(key)),
            over_rounds([run.p99 / bare.p99 for run, bare in pairs], 2, SLOWDOWNS.get((contender.label, heat.connections))),
        )
    cost = [run.commits / run.views * 1000 for run in runs if run.commits is not None and run.views]
    return (
        contender.label,
        f"{heat.pages:,}",
        f"{heat.connections}",
        over_rounds([run.rate for run in runs], 0),
        compared[0],
        over_rounds([run.p99 for run in runs], 1),
        compared[1],
        over_rounds(cost, 1, COMMITS.get((contender.label, heat.connections))) if cost else None,
    )
