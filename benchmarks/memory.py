"""How much memory a serving process takes after a million views of ten thousand pages."""

from __future__ import annotations

from typing import Any

from benchmarks import servers, wrk
from benchmarks.progress import Steps
from benchmarks.report import Cell, Figure, Report, at_most
from benchmarks.servers import Place
from benchmarks.throughput import COUNT

VIEWS = 10**6
PAGES = 10**4
CONNECTIONS = 64

#: Megabytes (10^6 bytes).
RESIDENT = at_most(80)

_RUN_SECONDS = 5


def measure(place: Place, steps: Steps) -> Report:
    """Send views until the server has counted a million; its memory before, on the way, and then. Raises BenchmarkError."""
    with servers.LAUNCHES[COUNT.server](place) as running:
        started = running.memory()
        sampled: list[dict[str, Any]] = []
        views = 0
        while views < VIEWS:
            steps.step(f"{views:,} of {VIEWS:,} views")
            load = wrk.Load(CONNECTIONS, _RUN_SECONDS, PAGES, seed=len(sampled) + 1)
            wrk.run(running.url + COUNT.target, COUNT.headers, load, place.load_core)
            views = running.books().stored
            sampled.append({"views": views, "memory": running.memory()})
        ended = running.memory()
    rows: list[tuple[Cell, ...]] = [
        ("just started", "0", _megabytes(started.resident), _megabytes(started.peak)),
        ("after the run", f"{views:,}", Figure(ended.resident / 1e6, 1, RESIDENT), _megabytes(ended.peak)),
    ]
    return Report(
        "memory",
        f"Memory of a serving process, {PAGES:,} pages, {CONNECTIONS} connections",
        ("when", "views", "resident MB", "peak MB"),
        rows,
        (
            "Resident is VmRSS, peak VmHWM of /proc/PID/status, in 10^6 bytes; pages shared with other processes are in both.",
            f"Pages are drawn by Zipf's law, anew in each run of {_RUN_SECONDS} s.",
        ),
        {"samples": sampled},
    )


def _megabytes(size: int) -> Figure:
    return Figure(size / 1e6, 1)
