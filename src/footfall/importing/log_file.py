"""Opening a log: plain or packed, by name or from standard input, and for one import at a time.

What a file is packed with is told by its first bytes, whatever it is called. A file is locked (flock) while it is imported, so
that no two imports of a log that grows divide it differently and count its end twice; servers and logrotate ask for no such lock.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import fcntl
import gzip
import io
import lzma
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from footfall.errors import BadInput
from footfall.importing.lines import Lines, read_lines

_OPENERS: Mapping[bytes, Callable[[Any], Lines]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}

#: Zstandard's, for which Python has no reader before 3.14.
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_LONGEST_MAGIC = 6


class Log:
    """A log that is open. `size` is that of the file, packed if it is, in bytes; None where it is not known."""

    def __init__(self, lines: Lines, file: io.BufferedReader, size: int | None) -> None:
        self.readline = lines.readline
        self.size = size
        self._file = file

    def position(self) -> int:
        """How many bytes of the file have been read, packed if it is, for a progress bar; only where `size` is known."""
        return self._file.tell()


@contextlib.contextmanager
def open_log(path: str, *, is_shared: bool = False) -> Iterator[Log]:
    """Open and lock a log; "-" is standard input. Raises BadInput where it can't be opened, or is being imported.

    One that `is_shared` is not locked: it is only looked at.
    """
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(_standard_input() if path == "-" else open(path, "rb"))  # noqa: SIM115 - the stack closes it
            start = file.peek(_LONGEST_MAGIC)
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode) if path != "-" else False
        except OSError as error:
            raise BadInput("log", f"can't open {path!r} ({error.strerror}); name a file, or - for standard input") from error
        if is_file and not is_shared and not lock(file.fileno()):
            raise BadInput("log", f"{path!r} is being imported already; wait for that import to end, or stop it")
        if start.startswith(_ZSTD_MAGIC):
            raise BadInput("log", "is packed with zstd; unpack it on the way: zstd -dc FILE | footfall import -")
        opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
        lines = cast("Lines", file) if opener is None else opened.enter_context(cast("Any", opener(file)))
        yield Log(lines, file, os.fstat(file.fileno()).st_size if is_file else None)


def first_line(path: Path) -> bytes:
    """The first line of a log without its end, by which it is known; empty where it can't be read, or has no whole line."""
    with contextlib.suppress(BadInput), open_log(str(path), is_shared=True) as log:
        for line in read_lines(log):
            return line.content if line.is_ended else b""
    return b""


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another has it. Where files can't be locked, no other has it either."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


@contextlib.contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    """Standard input, whatever it was replaced by, with a `peek`; left open. Raises BadInput."""
    if sys.stdin is None:
        raise BadInput("log", "standard input is closed; name a file")
    file = io.BufferedReader(cast("Any", sys.stdin.buffer))
    try:
        yield file
    finally:
        file.detach()
