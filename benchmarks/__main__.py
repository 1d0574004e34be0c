"""`python -m benchmarks [NAME|all]`: measure, print, save. With `--gate`, a broken gate is exit code 1."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    BenchmarkError,
    dashboard,
    imports,
    instances,
    memory,
    reads,
    real,
    redis,
    redis_memory,
    redis_reads,
    throughput,
    watchers,
)
from benchmarks.progress import Shown, Steps
from benchmarks.report import Machine, Report
from benchmarks.servers import Place
from footfall.errors import FootfallError
from tests.support.servers import ServerError

_RESULTS = Path(__file__).with_name("results")

#: Where files outlast a restart, so that it is a disk: other temporary folders may be memory, where durability costs nothing.
_STORES = Path("/var/tmp")  # noqa: S108  # a folder of our own with a random name is made in it

#: Rounds of runs that are compared with each other, where nothing else is asked for. What is compared on Redis takes long enough.
_ROUNDS = 5
_REDIS_ROUNDS = 3

#: A table is wider than what a pipe is taken for.
_PIPE_WIDTH = 130


class Which(enum.StrEnum):
    """The benchmarks, and all of them."""

    THROUGHPUT = "throughput"
    REAL = "real"
    READS = "reads"
    MEMORY = "memory"
    IMPORTS = "imports"
    DASHBOARD = "dashboard"
    WATCHERS = "watchers"
    REDIS = "redis"
    INSTANCES = "instances"
    REDIS_READS = "redis-reads"
    REDIS_MEMORY = "redis-memory"
    ALL = "all"


def run(
    which: Annotated[Which, typer.Argument(help="What to measure.")] = Which.ALL,
    seconds: Annotated[int, typer.Option(min=1, help="Length of a throughput run.")] = 2,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds of throughput runs.", show_default=f"{_ROUNDS}; with Redis {_REDIS_ROUNDS}"),
    ] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 where a gate is broken.")] = False,
    results: Annotated[Path, typer.Option(help="Folder to save the results in.", show_default="benchmarks/results")] = _RESULTS,
    stores: Annotated[Path, typer.Option(help="Folder on the disk to measure; stores are made there, and removed.")] = _STORES,
) -> None:
    """Measure what Footfall costs, beside a bare server on this machine."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, _PIPE_WIDTH))
    try:
        with tempfile.TemporaryDirectory(prefix="footfall-benchmark-", dir=stores) as folder:
            reports = _measure(which, Path(folder), console, results, seconds=seconds, rounds=rounds)
    except (BenchmarkError, FootfallError, ServerError, OSError) as error:
        Console(stderr=True).print(f"benchmarks: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    broken = [report.name for report in reports if not report.passed]
    if broken:
        console.print(f"Gates broken: {', '.join(broken)}", style="bold red")
    if gate and broken:
        raise typer.Exit(1)


def _measure(which: Which, folder: Path, console: Console, results: Path, *, seconds: int, rounds: int | None) -> list[Report]:
    """Run what was asked for, each in a folder of its own; print and save each as soon as it is done."""
    machine = Machine.describe(folder)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)

    def on_cores(measure: Callable[[Place, Steps], Report]) -> Callable[[Path, Steps], Report]:
        return lambda folder, steps: measure(Place.on_this_machine(folder), steps)

    benchmarks: Mapping[Which, Callable[[Path, Steps], Report]] = {
        Which.THROUGHPUT: on_cores(partial(throughput.measure, seconds=seconds, rounds=rounds or _ROUNDS)),
        Which.REAL: on_cores(partial(real.measure, seconds=seconds, rounds=rounds or _REDIS_ROUNDS)),
        Which.READS: reads.measure,
        Which.MEMORY: on_cores(memory.measure),
        Which.IMPORTS: partial(imports.measure, rounds=rounds or _REDIS_ROUNDS),
        Which.DASHBOARD: dashboard.measure,
        Which.WATCHERS: on_cores(partial(watchers.measure, seconds=seconds, rounds=rounds or _REDIS_ROUNDS)),
        Which.REDIS: on_cores(partial(redis.measure, seconds=seconds, rounds=rounds or _REDIS_ROUNDS)),
        Which.INSTANCES: on_cores(partial(instances.measure, seconds=seconds, rounds=rounds or _REDIS_ROUNDS)),
        Which.REDIS_READS: on_cores(redis_reads.measure),
        Which.REDIS_MEMORY: on_cores(redis_memory.measure),
    }
    reports = []
    for name, measure in benchmarks.items():
        if which not in (name, Which.ALL):
            continue
        own = folder / name.value
        own.mkdir()
        with Shown(console) as shown:
            report = measure(own, shown.steps(name.value))
        report.show(console)
        report.save(results, machine)
        reports.append(report)
    return reports


if __name__ == "__main__":
    typer.run(run)
