"""What a view costs the instances where several of them count in one Redis: processor time, for cores are few.

All instances share one core, so more of them don't answer more. That they take turns on it costs time by itself: bare servers,
as many at a time, show how much.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from benchmarks import BenchmarkError, redis_servers, servers, wrk
from benchmarks.progress import Steps
from benchmarks.redis import COUNT
from benchmarks.redis_servers import OnRedis
from benchmarks.report import Cell, Figure, Gate, Report, at_most, over_rounds
from benchmarks.rounds import SETTLE_SECONDS, Heat
from benchmarks.servers import Place, Running

#: One instance comes first; the others are compared with it.
COUNTS = (1, 2, 4)

#: To each instance.
CONNECTIONS = 256

#: Processor time a view, as a multiple of what it takes one instance alone: by the number of instances.
COSTS: Mapping[int, Gate] = {4: at_most(1.15)}

_TARGET = Heat.example(COUNT)

_WARM_UP_SECONDS = 1


class Loaded(msgspec.Struct, frozen=True):
    """One run of some servers together: requests a second and answered, what was stored for them, and the servers' CPU seconds.

    `store_cpu` and `calls` are what it took the store. What is stored nowhere was as many views as were answered.
    """

    rate: float
    answered: int
    views: int
    cpu: float
    store_cpu: float = 0.0
    calls: int = 0

    @property
    def cost(self) -> float:
        """Microseconds of the servers' processor time a view."""
        return self.cpu / self.views * 1e6


#: By the number of servers, one entry a round.
Runs = Mapping[int, list[Loaded]]


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Let 1, 2 and 4 servers answer under the same load each, in turns, `rounds` times. Raises BenchmarkError."""
    steps.expect(2 + rounds * len(COUNTS) * 2)
    counted: Runs = {count: [] for count in COUNTS}
    bare: Runs = {count: [] for count in COUNTS}
    with contextlib.ExitStack() as stack:
        footfalls = stack.enter_context(redis_servers.instances(place, max(COUNTS)))
        headers = len(footfalls[0].get(_TARGET, COUNT.headers).headers)
        bares = [stack.enter_context(servers.bare(place, headers)) for _ in range(max(COUNTS))]
        steps.step("warming up")
        _count(footfalls, place, _WARM_UP_SECONDS)
        steps.step("warming up: bare servers")
        _load(bares, place, _WARM_UP_SECONDS)
        for number in range(rounds):
            for turn in range(len(COUNTS)):
                count = COUNTS[(turn + number) % len(COUNTS)]
                steps.step(f"round {number + 1} of {rounds}: {count} instances")
                counted[count].append(_count(footfalls[:count], place, seconds))
                steps.step(f"round {number + 1} of {rounds}: {count} bare servers")
                bare[count].append(_load(bares[:count], place, seconds))
    return Report(
        "instances",
        f"Processor time a view of several instances on one Redis, {CONNECTIONS} connections to each",
        (
            "instances",
            "requests/s in all",
            "CPU µs / view",
            "/ one instance",
            "bare: CPU µs",
            "bare: / one",
            "calls / 1,000 views",
            "Redis CPU ms / 1,000 views",
        ),
        [_row(count, counted, bare) for count in COUNTS],
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets; ratios are taken within a round.",
            f"All instances share core {place.server_core}. {redis_servers.pinned(place)}",
            "One page. CPU is that of all instances together, user's and system's, from /proc/PID/stat.",
            "Bare: as many servers that answer a constant 204. What they take more than one is the price of sharing a core.",
            "No request failed; after every run: acknowledged <= stored <= sent, and all instances tell the same total.",
        ),
        {"counted": counted, "bare": bare},
    )


def _load(running: Sequence[Running], place: Place, seconds: int) -> Loaded:
    """One load on each server, all at the same time."""
    load = wrk.Load(CONNECTIONS, seconds, pages=1)
    time.sleep(SETTLE_SECONDS)
    cpu = sum(each.cpu_seconds() for each in running)
    with ThreadPoolExecutor(len(running)) as threads:
        loads = [threads.submit(wrk.run, each.url + _TARGET, COUNT.headers, load, place.load_core) for each in running]
        runs = [each.result() for each in loads]
    time.sleep(SETTLE_SECONDS)  # what the end of the load cut off is counted too, and costs time
    cpu = sum(each.cpu_seconds() for each in running) - cpu
    answered = sum(run.completed for run in runs)
    return Loaded(sum(run.rate for run in runs), answered, answered, cpu)


def _count(running: Sequence[OnRedis], place: Place, seconds: int) -> Loaded:
    """The same on instances that count, with its audit."""
    total, before = _total(running), running[0].store_work()
    loaded = _load(running, place, seconds)
    after = running[0].store_work()
    views, most = _total(running) - total, CONNECTIONS * len(running)
    if not loaded.answered <= views <= loaded.answered + most:
        raise BenchmarkError(
            f"{loaded.answered} views were acknowledged by {len(running)} instances and at most {most} more sent,"
            f" but the store gained {views}"
        )
    return msgspec.structs.replace(loaded, views=views, store_cpu=after.cpu - before.cpu, calls=after.calls - before.calls)


def _total(running: Sequence[OnRedis]) -> int:
    """The site's total as each of the instances tells it. Raises BenchmarkError where they don't agree."""
    totals = [each.total() for each in running]
    if len(set(totals)) > 1:
        raise BenchmarkError(f"the instances tell different totals: {totals}")
    return totals[0]


def _row(count: int, counted: Runs, bare: Runs) -> tuple[Cell, ...]:
    runs = counted[count]
    return (
        f"{count}",
        over_rounds([run.rate for run in runs], 0),
        over_rounds([run.cost for run in runs], 1),
        _beside_one(count, counted, COSTS.get(count)),
        over_rounds([run.cost for run in bare[count]], 1),
        _beside_one(count, bare, None),
        over_rounds([run.calls / run.views * 1000 for run in runs], 1),
        over_rounds([run.store_cpu / run.views * 1e6 for run in runs], 1),
    )


def _beside_one(count: int, runs: Runs, gate: Gate | None) -> Figure | None:
    if count == COUNTS[0]:
        return None
    ratios = [run.cost / one.cost for run, one in zip(runs[count], runs[COUNTS[0]], strict=True)]
    return over_rounds(ratios, 2, gate)
