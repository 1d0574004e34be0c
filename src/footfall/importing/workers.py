"""Processes that judge the lines of logs, while the import reads them and commits what they come to.

A worker is given whole parts and gives their sums back; it opens no log and no store. What it judges by comes with a recipe, so
that it judges as the import itself would; a part that no worker has judged is judged by the import. So workers change how long an
import takes, and nothing else. They end with the import, however that ends: each waits at a pipe whose other end is the import's.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Self

from footfall.composition import import_intake
from footfall.importing.formats import Format, format_named
from footfall.importing.judging import LogJudge
from footfall.importing.lines import Line
from footfall.importing.sums import Sums, sums_by_site
from footfall.intake.countries import Countries
from footfall.intake.visitors import Visitors
from footfall.rules import Rules, Site

#: More do not help: reading lines and committing sums is a third of the work.
MOST_WORKERS = 4

#: Logs of so many bytes are worth workers. Where they have fewer, or nobody knows, the import judges so many parts alone first:
#: to start workers, and to have them learn the user agents of a log, takes as long as some ten thousand lines.
LARGE_BYTES = 16 * 1024 * 1024
PARTS_ALONE = 50

#: Parts under way for each worker: the one it judges, and the next.
PARTS_EACH = 2

#: Formats that a worker keeps, with the times that each has read.
_FORMATS_KEPT = 4


class Recipe(NamedTuple):
    """All that the judgement of a line depends on: the sites and their rules, the site of lines that name none of them, the
    salts by day (counted from the epoch), and where countries come from, as `Countries` has it.
    """

    sites: Mapping[str, Rules]
    otherwise: tuple[str, Rules] | None
    salts: Mapping[int, bytes]
    country_header: str | None
    country_database: str | None

    def judge(self) -> LogJudge:
        """What judges by this recipe. Raises SettingError where the database of countries can't be read."""
        sites = {name: Site(name, rules) for name, rules in self.sites.items()}
        visitors = Visitors(lambda: 0.0)  # a line has a day of its own
        visitors.use(self.salts)
        countries = Countries(self.country_header, self.country_database)
        intake = import_intake(sites, visitors, countries)
        return LogJudge(intake, sites, None if self.otherwise is None else Site(*self.otherwise))

    def __repr__(self) -> str:
        """Without the salts, which are secret."""
        return f"Recipe({len(self.sites)} sites)"


def workers_that_help() -> int:
    """How many workers an import is the faster for on this machine; 0 where it has one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if cores > 1 else 0


class _Worker(NamedTuple):
    """A process, and this end of its pipe."""

    process: SpawnProcess
    pipe: Connection


class Workers:
    """`number` workers that judge by `recipe`; 0 for none. To be closed by whoever made them.

    They are started when it is worth while, for logs of `size` bytes (packed, if they are) or None where that is not known. Until
    one is ready, and once one could not be started or has ended, offers are declined.
    """

    def __init__(self, recipe: Recipe, number: int, size: int | None = None) -> None:
        self._recipe = recipe
        self._number = number
        self._alone = 0 if size is not None and size >= LARGE_BYTES else PARTS_ALONE
        self._offered = 0
        self._workers: list[_Worker] = []
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None
        self._is_any_ready = self._is_broken = False
        #: How many parts can be under way.
        self.most_under_way = number * PARTS_EACH

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def offer(self, form: Format, part: Sequence[Line]) -> Future[dict[str | None, Sums]] | None:
        """Have a part judged; None where the import must do so itself, as it must when the future raises EOFError or OSError."""
        self._offered += 1
        if self._threads is None and self._number and self._offered > self._alone:
            self._start()
        if self._threads is None or self._is_broken or not self._is_any_ready:
            return None
        return self._threads.submit(self._judged, form.written, [line.content for line in part])

    def _start(self) -> None:
        """Start all workers; each gets a thread that waits for it."""
        self._threads = ThreadPoolExecutor(self._number)
        spawning = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            resource_tracker.ensure_running()  # which unblocks signals when it is done, so it is done first
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it: Ctrl-C is for the import alone
            for _ in range(self._number):
                here, there = spawning.Pipe()
                process = spawning.Process(target=_work, args=(there, gc.get_threshold()), daemon=True)
                process.start()
                there.close()
                self._workers.append(_Worker(process, here))
                self._threads.submit(self._made_ready, self._workers[-1])
        except (OSError, RuntimeError):  # no memory, or too many processes, files or threads
            self._is_broken = True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _made_ready(self, worker: _Worker) -> None:
        self._asked(worker, self._recipe)
        self._is_any_ready = True

    def _judged(self, form: str, contents: Sequence[bytes]) -> dict[str | None, Sums]:
        sums: dict[str | None, Sums] = self._asked(self._idle.get(), (form, contents))
        return sums

    def _asked(self, worker: _Worker, question: object) -> Any:
        """A worker's answer. Raises EOFError or OSError where it has ended."""
        try:
            worker.pipe.send(question)
            return worker.pipe.recv()
        except (EOFError, OSError):
            self._is_broken = True
            raise
        finally:
            self._idle.put(worker)  # also one that has ended: nobody shall wait for ever

    def close(self) -> None:
        """End them, also in the midst of a part."""
        for worker in self._workers:
            worker.process.terminate()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.pipe.close()
            worker.process.join()


def _work(pipe: Connection, thresholds: tuple[int, int, int]) -> None:
    """What a worker does: it takes the recipe, then parts, until the import closes its end of the pipe, or is no more."""
    gc.set_threshold(*thresholds)
    formats = lru_cache(_FORMATS_KEPT)(format_named)
    with contextlib.suppress(Exception):  # the import judges the part itself then, and says what is wrong
        judge = pipe.recv().judge()
        pipe.send(None)
        while True:
            form, contents = pipe.recv()
            pipe.send(sums_by_site(judge, formats(form), contents))
