"""Heats of servers that answer one after the other under the same load, round after round, each run audited.

Before and after each run of another the first of a heat runs, and those two are what it is compared with: on a shared machine,
whose speed changes from one minute to the next, only neighbours can be compared.

No request may fail, and the store must have gained at least as many views as were answered and at most as many as were sent.
This module knows no server and no gate: benchmarks bring heats, launches and tables.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks import BenchmarkError, servers, wrk
from benchmarks.progress import Steps
from benchmarks.servers import Books, Launch, Place, Running

#: Requests that a run cut off are still being committed when it ends, and must not count for the next one: the books are read
#: until they have stood still for so long, and a last time after so many readings.
SETTLE_SECONDS = 0.2
_READINGS = 25

_WARM_UP_SECONDS = 1
_WARM_UP_CONNECTIONS = 64


class Contender(msgspec.Struct, frozen=True):
    """What is asked of a server, by its name among the launches (or of the bare one): a target, and what the client accepts.

    Where there are many pages, the target lacks the page's number at its end. With `visits`, each view of many pages has one of
    so many referrers and agents, and a view of one page the same always.
    """

    label: str
    server: str
    target: str
    accept: str = "*/*"
    visits: int = 0
    visitors: wrk.Visitors = "peer"
    ids: bool = False

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Host": servers.SITE, "User-Agent": servers.BROWSER, "Accept": self.accept}

    def load(self, connections: int, seconds: int, pages: int, seed: int) -> wrk.Load:
        """What is sent to it."""
        return wrk.Load(connections, seconds, pages, seed, self.visits, self.visitors, self.ids)


BARE_SERVER = "bare"

#: What `/count` is asked, up to the page's number.
COUNT_TARGET = f"/count?s={servers.SITE}&p=%2Fpage%2F"

#: The same with what the snippet sends of a visit; many pages' referrers follow the page's number.
VISIT_TARGET = f"/count?s={servers.SITE}&w=1280&l=de-AT&p=%2Fpage%2F"
VISITS = 1000
_REFERRER = "&r=https%3A%2F%2Fsite1.example%2F"

BARE = Contender("bare 204", BARE_SERVER, COUNT_TARGET)
BARE_AGAIN = Contender("bare 204 again (the noise)", BARE_SERVER, COUNT_TARGET)


class Heat(msgspec.Struct, frozen=True):
    """Contenders that run one after the other under one load. The first runs beside each of the others, to be compared with."""

    pages: int
    connections: int
    contenders: tuple[Contender, ...]

    def target(self, contender: Contender) -> str:
        """What wrk is given: one page's target, or what the targets of many begin with."""
        return self.example(contender) if self.pages == 1 else contender.target

    @staticmethod
    def example(contender: Contender) -> str:
        """One of the targets."""
        referrer = _REFERRER if contender.visits else ""
        return contender.target if contender.target == "/" else contender.target + "1" + referrer


class Measured(msgspec.Struct, frozen=True):
    """One contender's run: requests a second, p50 and p99 in milliseconds, requests answered, and what was stored for them.

    `calls` is how many calls a store that is a server of its own had, `store_cpu` the seconds of processor time that took it;
    `cpu` are those of the contender's process.
    """

    rate: float
    p50: float
    p99: float
    answered: int
    views: int | None = None
    commits: int | None = None
    calls: int | None = None
    store_cpu: float | None = None
    cpu: float | None = None

    def for_views(self, amount: float | None) -> float | None:
        """How much of an amount came to 1,000 views; None where it is not known."""
        return amount / self.views * 1000 if self.views and amount is not None else None


#: The runs of a heat's first contender before and after a run of another.
Beside = tuple[Measured, Measured]


class Outcome(msgspec.Struct, frozen=True):
    """What came of the rounds: by heat and the contender's place in it, one run a round; of the first, all its runs.

    `beside` has for each run but the first's the two beside it.
    `headers` is how many headers the bare server sent, `resident` the memory in bytes of each server when all was over.
    """

    runs: Mapping[Heat, list[list[Measured]]]
    beside: Mapping[Heat, list[list[Beside]]]
    headers: int
    resident: Mapping[str, int]

    def details(self) -> list[Mapping[str, object]]:
        """All runs, for the results' file."""
        return [
            {
                "contender": contender.label,
                "pages": heat.pages,
                "connections": heat.connections,
                "rounds": runs,
                "beside": [[run.rate for run in pair] for pair in beside],
            }
            for heat, measured in self.runs.items()
            for contender, runs, beside in zip(heat.contenders, measured, self.beside[heat], strict=True)
        ]


def run_rounds(
    heats: Sequence[Heat], launches: Mapping[str, Launch], place: Place, steps: Steps, *, seconds: int, rounds: int
) -> Outcome:
    """Run all heats in every round. Each run lasts `seconds`. Raises BenchmarkError."""
    steps.expect(sum(len(heat.contenders) + rounds * (2 * len(heat.contenders) - 1) for heat in heats))
    runs: dict[Heat, list[list[Measured]]] = {heat: [[] for _ in heat.contenders] for heat in heats}
    beside: dict[Heat, list[list[Beside]]] = {heat: [[] for _ in heat.contenders] for heat in heats}
    seeds = itertools.count(rounds + 1)  # what must never have been seen before needs a seed of its own in each run
    with contextlib.ExitStack() as stack:
        names = {contender.server for heat in heats for contender in heat.contenders} - {BARE_SERVER}
        running = {name: stack.enter_context(launches[name](place)) for name in sorted(names)}
        headers = _inspect(heats, running)
        running[BARE_SERVER] = stack.enter_context(servers.bare(place, headers))
        for heat in heats:
            for contender in heat.contenders:
                steps.step(f"warming up: {_words(contender, heat)}")
                audited_run(
                    running[contender.server],
                    contender,
                    heat,
                    place,
                    contender.load(_WARM_UP_CONNECTIONS, _WARM_UP_SECONDS, heat.pages, next(seeds)),
                )

        def run(heat: Heat, which: int, number: int) -> Measured:
            contender = heat.contenders[which]
            steps.step(f"round {number + 1} of {rounds}: {_words(contender, heat)}")
            load = contender.load(
                heat.connections, seconds, heat.pages, next(seeds) if contender.visitors == "new" or contender.ids else number + 1
            )
            measured = audited_run(running[contender.server], contender, heat, place, load)
            runs[heat][which].append(measured)
            return measured

        for number in range(rounds):
            for heat in heats:
                others = range(1, len(heat.contenders))
                before = run(heat, 0, number)
                for turn in range(len(others)):
                    which = others[(turn + number) % len(others)]  # nobody always runs first
                    run(heat, which, number)
                    after = run(heat, 0, number)
                    beside[heat][which].append((before, after))
                    before = after
        resident = {name: each.memory().resident for name, each in running.items()}
    return Outcome(runs, beside, headers, resident)


def _words(contender: Contender, heat: Heat) -> str:
    return f"{contender.label}, {heat.pages:,} pages, {heat.connections} connections"


def _inspect(heats: Sequence[Heat], running: Mapping[str, Running]) -> int:
    """Ask each contender once whether it counts as it should; how many headers the first that counts answers with."""
    headers = 0
    for heat in heats:
        for contender in heat.contenders:
            if contender.server == BARE_SERVER:
                continue
            server = running[contender.server]
            before = server.books().stored
            answer = server.get(heat.example(contender), contender.headers)
            if answer.status not in (200, 204) or server.books().stored != before + 1:
                outcome = answer.headers.get("x-footfall")
                raise BenchmarkError(f"{contender.label} answered {answer.status} with X-Footfall: {outcome}; it must count")
            if contender.accept == "application/json" and answer.status != 200:
                raise BenchmarkError(f"{contender.label} answered no JSON: the site's numbers must be public")
            headers = headers or len(answer.headers)
    return headers


def _settled(running: Running) -> Books:
    """The books, once they stand still."""
    books = running.books()
    for _ in range(_READINGS):
        time.sleep(SETTLE_SECONDS)
        again = running.books()
        if again == books:
            break
        books = again
    return books


def audited_run(running: Running, contender: Contender, heat: Heat, place: Place, load: wrk.Load) -> Measured:
    """One run, and its audit."""
    url = running.url + heat.target(contender)
    time.sleep(SETTLE_SECONDS)
    if contender.server == BARE_SERVER:
        run = wrk.run(url, contender.headers, load, place.load_core)
        return Measured(run.rate, run.p50, run.p99, run.completed)
    before, work = _settled(running), running.store_work()
    busy = running.cpu_seconds()
    run = wrk.run(url, contender.headers, load, place.load_core)
    cpu = running.cpu_seconds() - busy
    after, work_after = running.books(), running.store_work()
    stored = after.stored - before.stored
    if not run.completed <= stored <= run.completed + load.connections:
        raise BenchmarkError(
            f"{contender.label}: {run.completed} views were acknowledged and at most {load.connections} more sent,"
            f" but the store gained {stored}"
        )
    calls, store_cpu = None, None
    if work is not None and work_after is not None:
        calls, store_cpu = work_after.calls - work.calls, work_after.cpu - work.cpu
    counted, commits = after.counted - before.counted, after.commits - before.commits
    return Measured(run.rate, run.p50, run.p99, run.completed, counted, commits, calls, store_cpu, cpu)


def ratios(runs: Sequence[Measured], beside: Sequence[Beside], of: Callable[[Measured], float]) -> list[float]:
    """What one figure of the runs is to the mean of the same of the two runs beside each."""
    return [of(run) / ((of(before) + of(after)) / 2) for run, (before, after) in zip(runs, beside, strict=True)]
