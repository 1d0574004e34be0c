"""The lines of a log, each with its place, and the parts they are committed in.

A place is a number of bytes from the beginning of the log, decompressed. Where a part ends depends on the log alone, so that all
who read a log that no longer grows divide it alike. Nothing here knows what a line says, or a store.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from footfall.errors import BadInput
from footfall.model import MAX_BATCH_ENTRIES

#: A longer line is unreadable, and is not held in memory. Bytes.
MAX_LINE_BYTES = 16 * 1024

#: A part of a log ends with the line that reaches this many lines or bytes. A line brings two entries of a batch at most, its
#: view and the view's traits, so a part fits one batch.
PART_LINES = MAX_BATCH_ENTRIES // 2
PART_BYTES = 1024 * 1024


class Lines(Protocol):
    """What a log is read from: a file open for reading bytes, a decompressed stream, standard input."""

    def readline(self, limit: int = -1, /) -> bytes:
        """The next line with its end, or at most `limit` bytes of it; nothing at the end of the log."""
        ...


class Line(NamedTuple):
    """A line: the byte it begins at, the byte after its content, the content (cut, if too long), and whether it has an end."""

    start: int
    end: int
    content: bytes
    is_ended: bool


def read_lines(lines: Lines, start: int = 0) -> Iterator[Line]:
    """The lines from byte `start` on, where `lines` stands. Raises BadInput where the log can't be read on."""
    end = start
    try:
        while content := lines.readline(MAX_LINE_BYTES + 1):
            end = start + len(content)
            if content.endswith(b"\n"):
                yield Line(start, end - 1, content[:-1], True)
            else:  # it is too long, or the last one, to which a server may have added just now
                rest = b""
                while not rest.endswith(b"\n") and (rest := lines.readline(MAX_LINE_BYTES)):
                    end += len(rest)
                    if len(content) <= MAX_LINE_BYTES:
                        content += rest
                is_ended = rest.endswith(b"\n")
                yield Line(start, end - is_ended, content.removesuffix(b"\n"), is_ended)
            start = end
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _damaged(end, error) from error
    except OSError as error:
        if error.errno is None:  # bz2's way to say that its data are damaged
            raise _damaged(end, error) from error
        raise BadInput("log", f"can't be read beyond byte {end} ({error}); import it again when it can") from error


def _damaged(end: int, error: Exception) -> BadInput:
    return BadInput("log", f"its packed data are damaged at byte {end} ({error}); repair the file and import it again")


def parts_of(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Divide a log into parts. Only the end of the log cuts a part short."""
    part: list[Line] = []
    for line in lines:
        part.append(line)
        if len(part) == PART_LINES or line.end - part[0].start >= PART_BYTES:
            yield part
            part = []
    if part:
        yield part
