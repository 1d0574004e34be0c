"""What a view costs the instances where several of them count in one Redis: processor time, for cores are few.

All instances share one core, the load generators and Redis another. So more instances don't answer more; they show whether a
view costs more when others count as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from benchmarks import BenchmarkError, redis_servers, wrk
from benchmarks.progress import Steps
from benchmarks.redis import COUNT
from benchmarks.redis_servers import OnRedis
from benchmarks.report import Cell, Gate, Report, at_most, over_rounds
from benchmarks.rounds import SETTLE_SECONDS, Heat
from benchmarks.servers import Place

COUNTS = (1, 2, 4)

#: To each instance.
CONNECTIONS = 256

#: Processor time a view, as a multiple of what one instance alone takes: by the number of instances.
COSTS: dict[int, Gate] = {4: at_most(1.15)}

_TARGET = Heat(1, CONNECTIONS, (COUNT,)).target(COUNT)

_WARM_UP_SECONDS = 1


class Together(msgspec.Struct, frozen=True):
    """One run of some instances: requests a second, views, the instances' processor seconds, Redis's, and its script calls."""

    rate: float
    views: int
    cpu: float
    store_cpu: float
    calls: int

    @property
    def cost(self) -> float:
        """Microseconds of the instances a view."""
        return self.cpu / self.views * 1e6


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Let 1, 2 and 4 instances count under the same load each, in turns, `rounds` times. Raises BenchmarkError."""
    steps.expect(1 + rounds * len(COUNTS))
    runs: dict[int, list[Together]] = {count: [] for count in COUNTS}
    with redis_servers.instances(place, max(COUNTS)) as running:
        steps.step("warming up")
        _run(running, place, _WARM_UP_SECONDS)
        for number in range(rounds):
            for turn in range(len(COUNTS)):
                count = COUNTS[(turn + number) % len(COUNTS)]
                steps.step(f"round {number + 1} of {rounds}: {count} instances")
                runs[count].append(_run(running[:count], place, seconds))
    return Report(
        "instances",
        f"Processor time a view of several instances on one Redis, {CONNECTIONS} connections to each",
        (
            "instances",
            "requests/s in all",
            "CPU µs / view",
            "/ one instance",
            "calls / 1,000 views",
            "Redis CPU ms / 1,000 views",
        ),
        [_row(count, some, runs[COUNTS[0]]) for count, some in runs.items()],
        (
            f"Rounds: {rounds}, of {seconds} s a run. Shown are medians, extremes in brackets; ratios are taken within a round.",
            redis_servers.pinned(place),
            "One page. CPU is that of all instances together, user's and system's, from /proc/PID/stat.",
            "No request failed; after every run: acknowledged <= stored <= sent, and all instances tell the same total.",
        ),
        {"runs": [{"instances": count, "rounds": some} for count, some in runs.items()]},
    )


def _run(running: Sequence[OnRedis], place: Place, seconds: int) -> Together:
    """One load on each instance, all at the same time."""
    load = wrk.Load(CONNECTIONS, seconds, pages=1)
    time.sleep(SETTLE_SECONDS)
    total, work, cpu = _total(running), running[0].store_work(), sum(each.cpu_seconds() for each in running)
    with ThreadPoolExecutor(len(running)) as threads:
        loads = [threads.submit(wrk.run, each.url + _TARGET, COUNT.headers, load, place.load_core) for each in running]
        answered = [each.result() for each in loads]
    time.sleep(SETTLE_SECONDS)  # what the end of the load cut off is counted too, and costs time
    cpu = sum(each.cpu_seconds() for each in running) - cpu
    done, views = running[0].store_work(), _total(running) - total
    acknowledged, most = sum(each.completed for each in answered), CONNECTIONS * len(running)
    if not acknowledged <= views <= acknowledged + most:
        raise BenchmarkError(
            f"{acknowledged} views were acknowledged by {len(running)} instances and at most {most} more sent,"
            f" but the store gained {views}"
        )
    return Together(sum(each.rate for each in answered), views, cpu, done.cpu - work.cpu, done.calls - work.calls)


def _total(running: Sequence[OnRedis]) -> int:
    """The site's total as each of the instances tells it. Raises BenchmarkError where they don't agree."""
    totals = [each.total() for each in running]
    if len(set(totals)) > 1:
        raise BenchmarkError(f"the instances tell different totals: {totals}")
    return totals[0]


def _row(count: int, runs: Sequence[Together], alone: Sequence[Together]) -> tuple[Cell, ...]:
    compared: Any = None
    if runs is not alone:
        compared = over_rounds([run.cost / one.cost for run, one in zip(runs, alone, strict=True)], 2, COSTS.get(count))
    return (
        f"{count}",
        over_rounds([run.rate for run in runs], 0),
        over_rounds([run.cost for run in runs], 1),
        compared,
        over_rounds([run.calls / run.views * 1000 for run in runs], 1),
        over_rounds([run.store_cpu / run.views * 1e6 for run in runs], 1),
    )
