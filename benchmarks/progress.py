"""Shows how far the benchmarks are. Drawn only when a step begins: a spinner would take time from the cores that are measured."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Steps:
    """The steps of one benchmark, which says how many to expect, where it knows, and names each as it begins."""

    def __init__(self, progress: Progress, task: TaskID, name: str) -> None:
        self._progress = progress
        self._task = task
        self._name = name
        self._begun = 0

    def expect(self, steps: int) -> None:
        """How many steps there will be."""
        self._progress.update(self._task, total=steps, refresh=True)

    def step(self, what: str) -> None:
        """A step begins, and the one before it is done."""
        self._progress.update(self._task, completed=self._begun, description=f"{self._name}, {what}", refresh=True)
        self._begun += 1


class Shown:
    """The bars of the benchmarks that run, on `console`."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        self._progress = Progress(*columns, console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def steps(self, name: str) -> Steps:
        """The steps of one more benchmark."""
        return Steps(self._progress, self._progress.add_task(name, total=None), name)
