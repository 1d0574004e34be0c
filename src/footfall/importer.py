"""Importing a server's access log into a site, each of its lines once.

A log is known by its first line, and a line by where it begins. The log is read in parts; a part is one batch whose writer is the
hash of the first line and whose sequence is the byte at which the part ends. So the same file counts once however often it is
imported, a file that has grown counts what it has grown by, and an import that was cut goes on where it was. This module knows
lines, batches and the store contract; it knows no command line and no settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import msgspec

from footfall.errors import BadInput, StoreUnavailable
from footfall.intake.agents import Agents
from footfall.intake.logs import judge_line, read_line
from footfall.model import MAX_BATCH_ENTRIES, Batch, Drop, DropReason, SiteBatch, View
from footfall.stores import Store

#: A longer line is unreadable, and is not held in memory. Bytes.
MAX_LINE_BYTES = 16 * 1024

#: A part of a log ends with the line that reaches this many lines or bytes; so its entries fit one batch.
PART_LINES = MAX_BATCH_ENTRIES
PART_BYTES = 1024 * 1024

#: How often a call is tried while the store is unavailable, and how long to wait in between, in seconds: doubled each time.
ATTEMPTS = 6
FIRST_PAUSE = 0.25

GZIP_MAGIC = b"\x1f\x8b"

T = TypeVar("T")


class Lines(Protocol):
    """What a log is read from: a file open for reading bytes, a gzip stream, standard input."""

    def readline(self, limit: int = -1, /) -> bytes:
        """The next line with its end, or at most `limit` bytes of it; nothing at the end of the log."""
        ...


class Summary(msgspec.Struct, frozen=True):
    """What an import found: lines = already + counted + all that were dropped.

    `already`: lines an earlier import has dealt with. `first` and `last` are the earliest and the latest time of the views
    counted, in Unix seconds; None where there are none. Where the same log is imported twice at once, both may call a line
    counted; the store counts it once.
    """

    lines: int
    already: int
    counted: int
    dropped: dict[DropReason, int]
    first: int | None
    last: int | None


class _Line(NamedTuple):
    """A line: the byte it begins at, the byte after its content, the content (cut, if too long), and whether it has an end."""

    start: int
    end: int
    content: bytes
    ended: bool


class _Part(NamedTuple):
    """Lines that are committed together, and the byte after the content of the last one that is dealt with."""

    lines: list[_Line]
    end: int


async def import_log(
    lines: Lines,
    site: str,
    store: Store,
    agents: Agents,
    *,
    progress: Callable[[int], None] | None = None,
    attempts: int = ATTEMPTS,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Summary:
    """Count the views of `site` that a log tells of, each at its own time, and each once whatever was imported before.

    `lines` is read to its end from the beginning of the log, decompressed; reading it blocks. `progress` is told after each part
    how many bytes have been read. Calls to the store are tried `attempts` times, with `pause` (seconds) in between.

    A last line that has no end is taken if it can be read as it is; else it is called unreadable and left for the next import.

    Raises StoreUnavailable where the store stayed so, and BadInput where the log can't be read on. What was committed until then
    is counted; the next import of the log goes on behind it.
    """
    tally = _Tally()
    writer = ""
    applied = 0
    for part in _parts(_read(lines)):
        writer = writer or writer_of(part.lines[0].content)
        if part.end > applied:
            applied = await _insist(partial(store.applied, site, writer), attempts, pause)
        timed = tally.take(part, applied, site, agents)
        if timed:
            batch = Batch(writer, part.end, {site: SiteBatch(timed=timed)}, lasting=True)
            await _insist(partial(store.commit, batch), attempts, pause)
            applied = part.end
        if progress is not None:
            progress(part.end)
    return tally.summary()


def writer_of(first_line: bytes) -> str:
    """The name under which a log is committed, from its first line without the end."""
    return "import:" + hashlib.sha256(first_line).hexdigest()


class _Tally:
    """What an import has found so far."""

    def __init__(self) -> None:
        self._lines = 0
        self._already = 0
        self._counted = 0
        self._dropped: Counter[DropReason] = Counter()
        self._first: int | None = None
        self._last: int | None = None

    def take(self, part: _Part, applied: int, site: str, agents: Agents) -> dict[tuple[str, int], int]:
        """Judge a part's lines, but for those that begin before the byte `applied`: the views of the others by page and time."""
        timed: dict[tuple[str, int], int] = {}
        for line in part.lines:
            self._lines += 1
            if line.start < applied:
                self._already += 1
                continue
            judged = _judge(line, site, agents)
            if isinstance(judged, Drop):
                self._dropped[judged.reason] += 1
            elif judged.at is not None:
                self._counted += 1
                self._first = judged.at if self._first is None else min(self._first, judged.at)
                self._last = judged.at if self._last is None else max(self._last, judged.at)
                timed[judged.page, judged.at] = timed.get((judged.page, judged.at), 0) + 1
        return timed

    def summary(self) -> Summary:
        return Summary(self._lines, self._already, self._counted, dict(self._dropped), self._first, self._last)


def _judge(line: _Line, site: str, agents: Agents) -> View | Drop:
    if len(line.content) > MAX_LINE_BYTES:
        return Drop(DropReason.UNREADABLE, site)
    return judge_line(line.content.decode("utf-8", "surrogateescape"), site, agents)


def _parts(lines: Iterator[_Line]) -> Iterator[_Part]:
    """Divide a log into parts. Where they end depends on the log alone, so that all who read it divide it alike.

    Only the end of the log cuts a part short. A last line without an end that can't be read is not dealt with.
    """
    part: list[_Line] = []
    for line in lines:
        part.append(line)
        if len(part) == PART_LINES or line.end - part[0].start >= PART_BYTES:
            yield _Part(part, _dealt_with(part))
            part = []
    if part:
        yield _Part(part, _dealt_with(part))


def _dealt_with(part: list[_Line]) -> int:
    last = part[-1]
    whole = last.ended or read_line(last.content.decode("utf-8", "surrogateescape")) is not None
    return last.end if whole else last.start


def _read(lines: Lines) -> Iterator[_Line]:
    """The lines of a log, each with its place. Raises BadInput where the log can't be read on."""
    start = end = 0
    try:
        while content := lines.readline(MAX_LINE_BYTES + 1):
            rest = content
            end = start + len(content)
            while not rest.endswith(b"\n") and (rest := lines.readline(MAX_LINE_BYTES)):
                end += len(rest)
            ended = (rest or content).endswith(b"\n")
            yield _Line(start, end - ended, content.removesuffix(b"\n"), ended)
            start = end
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput("log", f"its gzip data are damaged at byte {end} ({error}); mend the file and import it again") from error
    except OSError as error:
        raise BadInput("log", f"can't be read beyond byte {end} ({error}); import it again when it can") from error


async def _insist(call: Callable[[], Awaitable[T]], attempts: int, pause: Callable[[float], Awaitable[None]]) -> T:
    """Call again and again while the store is unavailable, `attempts` times at most."""
    seconds = FIRST_PAUSE
    for _ in range(attempts - 1):
        with contextlib.suppress(StoreUnavailable):
            return await call()
        await pause(seconds)
        seconds *= 2
    return await call()


@contextlib.contextmanager
def open_log(path: str) -> Iterator[Lines]:
    """Open a log, plain or gzip (its first bytes tell); "-" is standard input. Raises BadInput where it can't be opened."""
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(_standard_input() if path == "-" else open(path, "rb"))  # noqa: SIM115 - the stack closes it
            is_gzip = file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        except OSError as error:
            raise BadInput("log", f"can't open {path!r} ({error.strerror}); name a file, or - for standard input") from error
        yield opened.enter_context(gzip.open(file)) if is_gzip else file


@contextlib.contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    """Standard input, whatever it was replaced by, with a `peek`; left open."""
    file = io.BufferedReader(cast("Any", sys.stdin.buffer))
    try:
        yield file
    finally:
        file.detach()
