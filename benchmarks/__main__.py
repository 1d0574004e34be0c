"""`python -m benchmarks [throughput|reads|memory|all]`: measure, print, save. With `--gate`, a broken gate is exit code 1."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import BenchmarkError, memory, reads, throughput
from benchmarks.progress import Shown, Steps
from benchmarks.report import Machine, Report
from benchmarks.servers import Place

_RESULTS = Path(__file__).with_name("results")

#: Where files outlast a restart, so that it is a disk: other temporary folders may be memory, where durability costs nothing.
_STORES = Path("/var/tmp")  # noqa: S108  # a folder of our own with a random name is made in it

#: A table is wider than what a pipe is taken for.
_PIPE_WIDTH = 130


class Which(enum.StrEnum):
    """The benchmarks, and all of them."""

    THROUGHPUT = "throughput"
    READS = "reads"
    MEMORY = "memory"
    ALL = "all"


def run(
    which: Annotated[Which, typer.Argument(help="What to measure.")] = Which.ALL,
    seconds: Annotated[int, typer.Option(min=1, help="Length of a throughput run.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of throughput runs.")] = 5,
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
    except (BenchmarkError, OSError) as error:
        Console(stderr=True).print(f"benchmarks: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    broken = [report.name for report in reports if not report.passed]
    if broken:
        console.print(f"Gates broken: {', '.join(broken)}", style="bold red")
    if gate and broken:
        raise typer.Exit(1)


def _measure(which: Which, folder: Path, console: Console, results: Path, *, seconds: int, rounds: int) -> list[Report]:
    """Run what was asked for, each in a folder of its own; print and save each as soon as it is done."""
    machine = Machine.describe(folder)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    benchmarks: Mapping[Which, Callable[[Path, Steps], Report]] = {
        Which.THROUGHPUT: lambda folder, steps: throughput.measure(
            Place.on_this_machine(folder), steps, seconds=seconds, rounds=rounds
        ),
        Which.READS: reads.measure,
        Which.MEMORY: lambda folder, steps: memory.measure(Place.on_this_machine(folder), steps),
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
