"""How long a process waited for a core: what a busy machine adds to every time that a test takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path


def core_waits(pid: int) -> Mapping[str, float]:
    """For how many seconds each thread of a process could have run and had no core, because others used them.

    It is the second number of Linux's schedstat, in nanoseconds (scheduler/sched-stats in the kernel's documentation). Nothing
    where the system does not say.
    """
    waits = {}
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            waits[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return waits


def core_wait(pid: int) -> float:
    """The same of all threads that a process has."""
    return sum(core_waits(pid).values())


class Stopwatch:
    """Takes the time without what the threads of some processes waited for a core."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._began = self._waits()

    def _waits(self) -> Mapping[tuple[int, str], float]:
        return {(pid, thread): wait for pid in self._pids for thread, wait in core_waits(pid).items()}

    def without(self, seconds: float) -> float:
        """So many seconds, less what was waited since this was made."""
        waited = sum(wait - self._began[thread] for thread, wait in self._waits().items() if thread in self._began)
        return max(0.0, seconds - waited)
