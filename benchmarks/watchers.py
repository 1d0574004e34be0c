"""What two thousand watchers cost one instance, and how soon they hear of a second: while nobody counts, and while it counts."""

from __future__ import annotations

import contextlib
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from benchmarks import BenchmarkError, servers, wrk
from benchmarks.progress import Steps
from benchmarks.report import Cell, Figure, Gate, Report, at_least, at_most, over_rounds, percentile
from benchmarks.rounds import Heat, Measured, audited_run
from benchmarks.servers import Place, Running
from benchmarks.throughput import COUNT, NOISE
from benchmarks.watching import GRACE, Seen

WATCHERS = 2000

#: Counting goes on beside them, on one page and on many, at so many connections.
CONNECTIONS = 256
HEATS = (Heat(1, CONNECTIONS, (COUNT,)), Heat(10_000, CONNECTIONS, (COUNT,)))

#: Milliseconds from the begin of a second until a watcher has its event: the 99th percentile, a missed one being for ever late.
DELAY = at_most(1200)

#: Of the store a second, however many watch.
POLLS = Gate(0.9, 1.1)

#: Kilobytes (10^3 bytes) of the process for each.
MEMORY = at_most(40)

#: The share of the counting speed that is left.
SPEED = at_least(0.85)

#: So long they watch while nobody counts.
QUIET_SECONDS = 5

#: So many pages have been viewed, more than an event has room for.
_PAGES = 30

_STREAM = f"/api/v1/sites/{servers.SITE}/live"
_ROOT = Path(__file__).resolve().parent.parent
_OPEN_SECONDS = 60.0
_POLL_SECONDS = 0.05

#: Open files of the server beside its watchers: wrk's connections, its store.
_OTHER_FILES = 1000


class Watched(msgspec.Struct):
    """What came of a stretch of time: milliseconds to each event at each watcher, events that did not come, polls a second."""

    delays: list[float]
    missed: int
    polls: float

    @property
    def p99(self) -> float:
        """In milliseconds; a missed event took for ever."""
        return percentile([*self.delays, *[math.inf] * self.missed], 0.99)


class Watchers:
    """The process of watchers, all of whom have had their first event."""

    def __init__(self, orders: IO[bytes], said: IO[bytes]) -> None:
        self._orders = orders
        self._said = said
        self._next()

    def seen(self) -> Seen:
        """What came since the last time. Raises BenchmarkError where a watcher has lost its stream."""
        self._orders.write(b"\n")
        self._orders.flush()
        return self._next()

    def _next(self) -> Seen:
        line = self._said.readline()
        if not line:
            raise BenchmarkError("the watchers' process ended; what it said stands above")
        seen = msgspec.json.decode(line, type=Seen)
        if seen.broken:
            raise BenchmarkError(f"{seen.broken} of {seen.watchers} watchers were turned away, or lost their stream")
        return seen


@contextlib.contextmanager
def watching(running: Running, place: Place, watchers: int = WATCHERS) -> Iterator[Watchers]:
    """Watchers of the site, on the load generator's core; at the end they have gone, and the server knows it."""
    command = ["taskset", "-c", str(place.load_core), sys.executable, "-m", "benchmarks.watching"]
    command += [str(running.port), _STREAM, str(watchers)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Watchers(cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))
        finally:
            process.kill()
    deadline = time.monotonic() + _OPEN_SECONDS
    while running.metrics()["footfall_live_watchers"]:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"the server has not noticed within {_OPEN_SECONDS:g} s that its watchers have gone")
        time.sleep(_POLL_SECONDS)


def measure(place: Place, steps: Steps, *, seconds: int, rounds: int) -> Report:
    """Watch while nobody counts, then count with and without watchers in turn, `seconds` a run. Raises BenchmarkError."""
    steps.expect(2 + rounds * (1 + 3 * len(HEATS)))
    runs: dict[Heat, list[_Turns]] = {heat: [] for heat in HEATS}
    watched: list[Watched] = []
    with servers.LAUNCHES[COUNT.server](place) as running:
        _allow_files(running)
        steps.step(f"{WATCHERS:,} watchers, nobody counts")
        quiet = _watch_quietly(running, place)
        steps.step("warming up")
        for heat in HEATS:
            wrk.run(running.url + heat.target(COUNT), COUNT.headers, wrk.Load(CONNECTIONS, 1, heat.pages, 0), place.load_core)

        def count(number: int, who: str) -> list[Measured]:
            counted = []
            for heat in HEATS:
                steps.step(f"round {number} of {rounds}: {_pages(heat)}, {who}")
                load = wrk.Load(CONNECTIONS, seconds, heat.pages, number)
                counted.append(audited_run(running, COUNT, heat, place, load))
            return counted

        for number in range(1, rounds + 1):
            without = count(number, "no watcher")
            steps.step(f"round {number} of {rounds}: {WATCHERS:,} watchers come")
            with watching(running, place) as watchers:
                look = _Look(running, watchers)
                beside = count(number, f"{WATCHERS:,} watchers")
                watched.append(look.watched())
            again = count(number, "no watcher again")
            for heat, *turns in zip(HEATS, without, beside, again, strict=True):
                runs[heat].append(_Turns(*turns))
    return Report(
        "watchers",
        f"{WATCHERS:,} watchers of one instance on one core, and the counting beside them",
        ("what", "requests/s", "of without", "event p99 ms", "missed", "polls/s", "KB a watcher", "processor µs"),
        [
            *quiet.rows,
            (f"{WATCHERS:,} watchers, /count beside them", None, None, *_events(watched), None, None),
            *(row for heat in HEATS for row in _rows(heat, runs[heat])),
        ],
        (
            "An event took from the begin of its second, by the store's clock, until the watcher had read it.",
            "Missed: events of a second that a watcher did not get; in the percentile they took for ever.",
            f"Memory: VmRSS with {WATCHERS:,} watchers, less that with none after one had been served, divided by {WATCHERS:,}.",
            "Processor time is the server's: for an event at a watcher, or for a view, with all that was done meanwhile.",
            f"Rounds: {rounds}, of {seconds} s a run over {CONNECTIONS} connections: without, with, and again without watchers.",
            "What the watchers leave is of the mean of the two runs without. After every run: acknowledged <= stored <= sent.",
        ),
        {
            "quiet": quiet.details,
            "events": [_said(look) for look in watched],
            "runs": [{"pages": heat.pages, "rounds": runs[heat]} for heat in HEATS],
        },
    )


class _Turns(msgspec.Struct):
    """The runs of one round."""

    without: Measured
    beside: Measured
    again: Measured


class _Quiet(msgspec.Struct):
    rows: list[tuple[Cell, ...]]
    details: dict[str, Any]


def _watch_quietly(running: Running, place: Place) -> _Quiet:
    """What they cost a server that has nothing else to do: memory, and processor time."""
    for page in range(_PAGES):
        running.get(f"{COUNT.target}{page}", COUNT.headers)
    with watching(running, place, 1):  # what one loads is no part of what each costs
        pass
    before = running.memory().resident
    with watching(running, place) as watchers:
        look = _Look(running, watchers)
        busy, started = running.cpu_seconds(), time.monotonic()
        time.sleep(QUIET_SECONDS)
        cpu = (running.cpu_seconds() - busy) / (time.monotonic() - started)
        watched = look.watched()
        after = running.memory().resident
    each = Figure((after - before) / WATCHERS / 1e3, 1, MEMORY)
    row = (f"{WATCHERS:,} watchers, nobody counts", None, None, *_events([watched]), each, Figure(cpu / WATCHERS * 1e6, 1))
    return _Quiet([row], {"resident before": before, "resident": after, **_said(watched)})


class _Look:
    """A look at what the watchers see from now on, and at what the server polls. It begins and ends amid a second."""

    def __init__(self, running: Running, watchers: Watchers) -> None:
        self._running = running
        self._watchers = watchers
        self._polls, self._began = self._polled()
        watchers.seen()

    def _polled(self) -> tuple[float, float]:
        time.sleep((0.6 - time.time()) % 1)  # no poll is due now: so many whole seconds, so many polls
        return self._running.metrics()["footfall_live_polls_total"], time.monotonic()

    def watched(self) -> Watched:
        """What came, once the last second's events have to be there."""
        time.sleep(GRACE)
        seen = self._watchers.seen()
        polls, ended = self._polled()
        delays = list(chain.from_iterable(seen.seconds.values()))
        missed = len(seen.seconds) * seen.watchers - len(delays)
        return Watched(delays, missed, (polls - self._polls) / round(ended - self._began))


def _events(watched: Sequence[Watched]) -> tuple[Cell, ...]:
    return (
        over_rounds([each.p99 for each in watched], 0, DELAY),
        Figure(sum(each.missed for each in watched)),
        over_rounds([each.polls for each in watched], 2, POLLS),
    )


def _said(watched: Watched) -> dict[str, float]:
    median, slowest = statistics.median(watched.delays), max(watched.delays)
    return {
        "events": len(watched.delays),
        "missed": watched.missed,
        "polls/s": watched.polls,
        "p50 ms": median,
        "p99 ms": watched.p99,
        "slowest ms": slowest,
    }


def _rows(heat: Heat, rounds: Sequence[_Turns]) -> list[tuple[Cell, ...]]:
    without, beside, again = zip(*((each.without, each.beside, each.again) for each in rounds), strict=True)
    noise = [two.rate / one.rate for one, two in zip(without, again, strict=True)]
    left = [run.rate / ((one.rate + two.rate) / 2) for one, run, two in zip(without, beside, again, strict=True)]

    def row(label: str, runs: Sequence[Measured], share: Figure | None = None) -> tuple[Cell, ...]:
        cost = over_rounds([run.cpu / run.views * 1e6 for run in runs if run.cpu and run.views], 1)
        return (label, over_rounds([run.rate for run in runs], 0), share, None, None, None, None, cost)

    return [
        row(f"/count, {_pages(heat)}, no watcher", without),
        row("the same again (the noise)", again, over_rounds(noise, 2, NOISE)),
        row(f"the same, {WATCHERS:,} watchers", beside, over_rounds(left, 2, SPEED)),
    ]


def _pages(heat: Heat) -> str:
    return "1 page" if heat.pages == 1 else f"{heat.pages:,} pages"


def _allow_files(running: Running) -> None:
    """Let the server have as many files open as it needs. Raises BenchmarkError where the machine does not."""
    most = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < WATCHERS + _OTHER_FILES:
        raise BenchmarkError(f"{WATCHERS + _OTHER_FILES:,} files have to be open at once; `ulimit -Hn` says {most:,}")
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (most, most))
