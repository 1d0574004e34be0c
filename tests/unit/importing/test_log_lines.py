"""The lines of a log, each with its place, however they come: whole, in pieces, or longer than is held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from footfall.importing import MAX_LINE_BYTES
from footfall.importing.lines import Line, read_lines


class Growing:
    """A log that is written to between any two readings: each of them finds no more than the next piece."""

    def __init__(self, *pieces: bytes) -> None:
        self._left = b""
        self._pieces = list(pieces)

    def readline(self, limit: int = -1, /) -> bytes:
        if not self._left and self._pieces:
            self._left = self._pieces.pop(0)
        end = self._left.find(b"\n") + 1 or len(self._left)
        end = end if limit < 0 else min(end, limit)
        line, self._left = self._left[:end], self._left[end:]
        return line


@given(st.lists(st.binary(min_size=1, max_size=5).map(lambda piece: piece.replace(b"\1", b"\n"))))
def test_a_line_that_comes_in_pieces_is_one_line(pieces: list[bytes]) -> None:
    """What a server adds while the line is read belongs to it."""
    log = b"".join(pieces)
    *ended, last = log.split(b"\n")
    found = [*read_lines(Growing(*pieces))]
    assert [line.content for line in found] == [*ended, *([last] if last else [])]
    assert [log[line.start : line.end] for line in found] == [line.content for line in found]
    assert [line.is_ended for line in found] == [*(True for _ in ended), *([False] if last else [])]


def test_a_line_that_is_too_long_is_known_by_its_beginning() -> None:
    """More than may be read, and not much more; the next line has its place."""
    for first in (10, MAX_LINE_BYTES, MAX_LINE_BYTES + 1):
        found = [*read_lines(Growing(b"x" * first, b"y" * 50_000 + b"\n", b"z"))]
        assert MAX_LINE_BYTES < len(found[0].content) <= 2 * MAX_LINE_BYTES
        assert found[0].end == first + 50_000
        assert found[1] == Line(first + 50_001, first + 50_002, b"z", False)
