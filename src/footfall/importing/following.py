"""Importing a log as it is written, through every kind of rotation, until told to stop.

The log is looked at again and again. What was renamed away is read on until it has been silent for a while, for servers write to
it until they are told to open the new one. What is missing because a log was copied and then cut (copytruncate), or was rotated
while nobody looked, is read from the files beside it. So nothing is lost and nothing doubled, whenever this ends and begins
again: what is committed says how far it came. Nothing here waits by itself or looks at a clock: whoever follows is given both.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO, NamedTuple

from footfall.errors import BadInput
from footfall.importing.lines import Line, parts_of, read_lines
from footfall.importing.log_file import first_line, lock, open_log
from footfall.importing.log_import import Import, Source

#: Seconds between two looks at a log.
POLL_SECONDS = 0.5

#: A log that was renamed away is read on until it has been silent for so many seconds.
LINGER_SECONDS = 60.0

#: Every so many seconds it is seen whether a log was rotated away so soon after it was begun that nobody saw it here.
BESIDE_SECONDS = 60.0

#: So many logs that were read to their ends are remembered, by their first lines.
_FINISHED = 100

#: For so many seconds what is missing is looked for beside the log: rotation may be packing it.
MISSING_SECONDS = 600.0

#: What rotation puts behind a log's name, or (as Caddy does) between its stem and its extension: "access.log.1",
#: "access.log-20260318.gz", "access-2026-03-18T14-25-30.000.log".
_ROTATION = r"[.-][0-9][0-9T._:-]*"
_PACKED = r"(?:\.(?:gz|bz2|xz))?"

_Identity = tuple[int, int]


class _Open:
    """A log that is open: where it has been read to, and the moment (seconds) when it last had something new."""

    def __init__(self, file: BinaryIO, now: float) -> None:
        self.file = file
        self.identity = _identity(os.fstat(file.fileno()))
        self.newest = now
        self.begin_anew()

    def begin_anew(self) -> None:
        """Read it from its beginning, as another log."""
        self.source: Source | None = None
        self.head = b""
        self.read_to = 0

    def was_cut(self) -> bool:
        """The file is shorter than it was, or begins with another line."""
        descriptor = self.file.fileno()
        return os.fstat(descriptor).st_size < self.read_to or os.pread(descriptor, len(self.head), 0) != self.head

    def lines(self, *, to_the_end: bool) -> Iterator[Line]:
        """What has been written since. A last line without an end may grow, and is there only if `to_the_end`."""
        self.file.seek(self.read_to)
        return itertools.takewhile(lambda line: line.is_ended or to_the_end, read_lines(self.file, self.read_to))


class _Missing(NamedTuple):
    """A log that is to be read from a file beside the one that is followed: its first line, and since when it is missing."""

    first_line: bytes
    since: float


class _Rotated(NamedTuple):
    """A log that was rotated away; they sort by when they were last written."""

    written: int
    path: Path
    identity: _Identity


class Follow:
    """Follows the log at `path` with an import, whose lines may be of these `sites`, by name.

    `clock` gives seconds that never run backward; `pause` waits for so many seconds, or less where it is time to stop, which
    `is_stopped` says. `note` is told, in one line, what somebody should know, and `looked` after each look.
    """

    def __init__(
        self,
        path: str,
        importing: Import,
        sites: Callable[[], AbstractSet[str]],
        *,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
        is_stopped: Callable[[], bool],
        note: Callable[[str], None],
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = Path(path)
        self._importing = importing
        self._sites = sites
        self._clock = clock
        self._pause = pause
        self._is_stopped = is_stopped
        self._note = note
        self._looked = looked
        self._current: _Open | None = None
        self._leaving: list[_Open] = []
        self._missing: list[_Missing] = []
        self._finished: deque[bytes] = deque(maxlen=_FINISHED)
        self._looked_beside = clock()

    async def run(self) -> None:
        """Follow until it is time to stop; the lines under way are then committed, and the rest is left for the next time.

        Raises BadInput where the log can't be opened at first or is being imported, StoreUnavailable where the store stayed so.
        """
        try:
            if not self._open_current():
                raise BadInput("log", f"{str(self._path)!r} is being imported already; stop that import first")
            await self._look_beside()
            while not self._is_stopped():
                await self._look()
                self._looked()
                if not self._is_stopped():
                    await self._pause(POLL_SECONDS)
        finally:
            for log in self._logs():
                log.file.close()

    def _logs(self) -> list[_Open]:
        """All that are open, oldest first."""
        return [*self._leaving, *([self._current] if self._current else [])]

    async def _look(self) -> None:
        is_new = self._is_replaced() and self._open_current()
        if is_new or self._clock() - self._looked_beside >= BESIDE_SECONDS:
            await self._look_beside()
        for log in self._logs():
            await self._read(log)
        for missing in [*self._missing]:
            await self._find(missing)
        for log in [log for log in self._leaving if self._clock() - log.newest >= LINGER_SECONDS and not self._is_stopped()]:
            await self._read(log, to_the_end=True)
            self._leaving.remove(log)
            self._finished.append(log.head)
            log.file.close()

    def _is_replaced(self) -> bool:
        try:
            return self._current is None or _identity(os.stat(self._path)) != self._current.identity
        except FileNotFoundError:  # it has been renamed, and the new one is not there yet
            return False

    def _open_current(self) -> bool:
        """Open and lock what the path names now; False where another import has it."""
        try:
            file = open(self._path, "rb")  # noqa: SIM115 - closed at the end of `run`, or when it has been silent
        except OSError as error:
            if self._current:  # it may be there, and readable, the next time
                return False
            raise BadInput("log", f"can't open {str(self._path)!r} ({error.strerror}); name a file that can be read") from error
        if not lock(file.fileno()):
            file.close()
            return False
        if self._current:
            self._current.newest = self._clock()
            self._leaving.append(self._current)
        self._current = _Open(file, self._clock())
        return True

    async def _read(self, log: _Open, *, to_the_end: bool = False) -> None:
        """Import what a log has that is new."""
        if log.was_cut():
            if log.head:
                self._missing.append(_Missing(log.head, self._clock()))
            log.begin_anew()
        for part in parts_of(log.lines(to_the_end=to_the_end)):
            if log.source is None:
                log.head = part[0].content
                log.source = self._importing.begin(log.head)
            await self._importing.take(log.source, part)
            log.read_to = part[-1].end + part[-1].is_ended
            log.newest = self._clock()
            if self._is_stopped():
                return

    # Beside the log

    def _beside(self) -> list[_Rotated]:
        """Logs that were rotated away, newest first."""
        stem, extension = re.escape(self._path.stem), re.escape(self._path.suffix)
        is_rotated = re.compile(f"(?:{stem}{extension}{_ROTATION}|{stem}{_ROTATION}{extension}){_PACKED}").fullmatch
        found = []
        for path in self._path.absolute().parent.iterdir():
            with contextlib.suppress(FileNotFoundError):  # rotation may be renaming it
                if is_rotated(path.name) and path.is_file():
                    status = path.stat()
                    found.append(_Rotated(status.st_mtime_ns, path, _identity(status)))
        return sorted(found, reverse=True)

    async def _look_beside(self) -> None:
        """Note as missing what was rotated away unseen: all that is newer than the newest two that are known, and these.

        Two, because the older one may have been read on, but not to its end, when the newer one was begun.
        """
        self._looked_beside = self._clock()
        open_here = {log.identity: log for log in self._logs()}
        heads: list[bytes] = []
        known = 0
        for rotated in self._beside():
            if rotated.identity in open_here:
                # One that was open and never seen with a line may have been copied and cut in between: then it says nothing.
                known = 2 if open_here[rotated.identity].head else known
            elif head := first_line(rotated.path):
                heads.append(head)
                known += await self._importing.reached(head, self._sites()) > 0
            if known == 2:
                break
        if known:  # else nothing here was ever imported: following begins with the log itself
            noted = {missing.first_line for missing in self._missing}.union(self._finished)
            self._missing += [_Missing(head, self._clock()) for head in reversed(heads) if head not in noted]

    async def _find(self, missing: _Missing) -> None:
        """Import a missing log from the file beside that begins with its first line, if it is there, and whole."""
        open_here = {log.identity for log in self._logs()}
        trouble = "no file beside it begins with its first line"
        for rotated in self._beside():
            if rotated.identity not in open_here and first_line(rotated.path) == missing.first_line:
                try:
                    with open_log(str(rotated.path)) as log:
                        await self._importing.read(log)
                except BadInput as error:
                    trouble = error.hint
                    continue
                if not self._is_stopped():
                    self._missing.remove(missing)
                    self._finished.append(missing.first_line)
                return
        if self._clock() - missing.since >= MISSING_SECONDS:
            self._missing.remove(missing)
            self._note(f"a log that was rotated away may not be counted to its end: {trouble}")


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
