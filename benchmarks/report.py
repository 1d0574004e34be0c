"""What a benchmark hands back: a table of figures, some with a gate, and the machine it ran on; printed and saved.

Saved are `NAME.json`, with everything, and `NAME.md`, the table for people. This module knows nothing of what is measured.
"""

from __future__ import annotations

import math
import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: The packages whose versions decide the numbers.
_PACKAGES = ("footfall", "starlette", "uvicorn", "uvloop", "httptools", "redis", "hiredis")

_SYNCED = 500
_BLOCK = 4096


class Gate(msgspec.Struct, frozen=True):
    """The bounds that a figure must keep: a least value, a greatest, or both."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """The value keeps to the bounds; reaching one is keeping it."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g}–{self.most:g}"
        return f"≤ {self.most:g}" if self.least is None else f"≥ {self.least:g}"


def at_least(limit: float) -> Gate:
    """A gate for what should be great."""
    return Gate(least=limit)


def at_most(limit: float) -> Gate:
    """A gate for what should be small."""
    return Gate(most=limit)


class Figure(msgspec.Struct, frozen=True):
    """A number to show with `digits` behind the point; `low` and `high` are its extremes over several rounds."""

    value: float
    digits: int = 0
    gate: Gate | None = None
    low: float | None = None
    high: float | None = None

    @property
    def passed(self) -> bool:
        """No gate is broken."""
        return self.gate is None or self.gate.holds(self.value)

    @property
    def shown(self) -> str:
        text = self._text(self.value)
        return text if self.low is None or self.high is None else f"{text} ({self._text(self.low)}–{self._text(self.high)})"

    @property
    def verdict(self) -> str:
        """What the gate says; empty without one."""
        return "" if self.gate is None else f"{'pass' if self.passed else 'FAIL'}: {self.gate}"

    def _text(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


def over_rounds(values: Sequence[float], digits: int, gate: Gate | None = None) -> Figure:
    """The median of one value a round, with its extremes where there were several rounds."""
    low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
    return Figure(statistics.median(values), digits, gate, low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """The least of `values` that a `share` (0 to 1) of them does not exceed: the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


Cell = Figure | str | None


class Report(msgspec.Struct, frozen=True):
    """One benchmark's outcome. `details` is what stands behind the table (figures by round), for the JSON file only."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = {}

    @property
    def passed(self) -> bool:
        """No figure breaks its gate."""
        return all(cell.passed for row in self.rows for cell in row if isinstance(cell, Figure))

    def show(self, console: Console) -> None:
        """Print the table, gates beside their figures."""
        console.print(f"\n{self.title}", style="bold", highlight=False, markup=False)
        table = Table()
        for n, column in enumerate(self.columns):
            table.add_column(column, justify="left" if n == 0 else "right")
        for row in self.rows:
            table.add_row(*map(_rich, row))
        console.print(table)
        for note in self.notes:
            console.print(f"  {note}", highlight=False, markup=False, style="dim")

    def save(self, folder: Path, machine: Machine) -> None:
        """Write the two files into `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        said = {
            "name": self.name,
            "title": self.title,
            "passed": self.passed,
            "machine": machine,
            "rows": [dict(zip(self.columns, map(_json, row), strict=True)) for row in self.rows],
            "notes": self.notes,
            "details": self.details,
        }
        encoded = msgspec.json.format(msgspec.json.encode(said), indent=1)
        (folder / f"{self.name}.json").write_bytes(encoded + b"\n")
        lines = [
            f"# {self.title}",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|---" + "|--:" * (len(self.columns) - 1) + "|",
            *("| " + " | ".join(map(_markdown, row)) + " |" for row in self.rows),
            "",
            *(f"- {note}" for note in self.notes),
            "",
            *machine.lines(),
        ]
        (folder / f"{self.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rich(cell: Cell) -> Text:
    if not isinstance(cell, Figure):
        return Text(cell or "")
    text = Text(cell.shown)
    if cell.gate is not None:
        text.append(f"\n{cell.verdict}", style="green" if cell.passed else "bold red")
    return text


def _markdown(cell: Cell) -> str:
    if not isinstance(cell, Figure):
        return cell or ""
    return cell.shown if cell.gate is None else f"{cell.shown}, {cell.verdict if cell.passed else f'**{cell.verdict}**'}"


def _json(cell: Cell) -> Any:
    if not isinstance(cell, Figure):
        return cell
    said: dict[str, Any] = {"value": cell.value}
    if cell.low is not None:
        said |= {"low": cell.low, "high": cell.high}
    if cell.gate is not None:
        said |= {"gate": str(cell.gate), "passed": cell.passed}
    return said


class Machine(msgspec.Struct, frozen=True):
    """What the numbers hang on. `load` is the average number of running tasks in the minute before: others' work disturbs.

    `sync_median` and `sync_p99` are milliseconds that fdatasync takes after 4 KiB were overwritten, where the stores are kept.
    """

    at: int
    cpu: str
    cores: int
    kernel: str
    python: str
    sqlite: str
    packages: Mapping[str, str]
    file_system: str
    sync_median: float
    sync_p99: float
    load: float

    @classmethod
    def describe(cls, folder: Path) -> Machine:
        """Describe the machine we run on, with the disk that `folder` is on."""
        times = sync_times(folder)
        return cls(
            at=int(time.time()),
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)),
            kernel=f"{platform.system()} {platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            sqlite=sqlite3.sqlite_version,
            packages={name: version(name) for name in _PACKAGES},
            file_system=_file_system(folder),
            sync_median=statistics.median(times),
            sync_p99=percentile(times, 0.99),
            load=os.getloadavg()[0],
        )

    def lines(self) -> list[str]:
        """The description as lines of Markdown."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.at))
        sync = f"median {self.sync_median:.2f} ms, p99 {self.sync_p99:.2f} ms"
        return [
            f"Measured on {when} UTC: {self.cpu}, {self.cores} cores, {self.kernel}.",
            f"{self.python}, SQLite {self.sqlite}, {packages}.",
            f"Stores on {self.file_system}; fdatasync of 4 KiB: {sync}. Load average before the run: {self.load:.2f}.",
        ]


def sync_times(folder: Path) -> list[float]:
    """How many milliseconds the disk takes to make 4 KiB lasting, overwritten in place as in SQLite's log once it has grown."""
    path = folder / "sync-times"
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.write(file, bytes(_SYNCED * _BLOCK))
        os.fsync(file)
        times = []
        for n in range(_SYNCED):
            os.pwrite(file, b"\1" * _BLOCK, n * _BLOCK)
            started = time.perf_counter()
            os.fdatasync(file)
            times.append((time.perf_counter() - started) * 1e3)
        return times
    finally:
        os.close(file)
        path.unlink()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The kind of file system `folder` is on: that of the longest mount point above it."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
    above = [(len(point), kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    return max(above)[1] if above else "an unknown file system"
