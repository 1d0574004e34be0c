"""A log is opened by its name or as standard input, plain or packed, and by one import at a time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.errors import BadInput
from footfall.importing import Lines, open_log
from footfall.importing.log_file import first_line

SAMPLE = (Path(__file__).parents[2] / "data" / "access-sample.log").read_bytes()


def read_all(log: Lines) -> Iterator[bytes]:
    while line := log.readline():
        yield line


@pytest.mark.parametrize(
    "content",
    [
        SAMPLE,
        gzip.compress(SAMPLE),
        gzip.compress(SAMPLE[:5000]) + gzip.compress(SAMPLE[5000:]),
        bz2.compress(SAMPLE),
        lzma.compress(SAMPLE),
    ],
    ids=["plain", "gzip", "gzip members", "bzip2", "xz"],
)
def test_a_log_is_opened_plain_or_packed_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    """The first bytes tell; several gzip members in a row are one log. Its size and position are those on the disk."""
    (tmp_path / "access.log").write_bytes(content)
    with open_log(str(tmp_path / "access.log")) as log:
        assert log.size == len(content)
        assert b"".join(read_all(log)) == SAMPLE
        assert log.position() == len(content)
    assert first_line(tmp_path / "access.log") == SAMPLE.partition(b"\n")[0]


def test_zstd_is_refused_with_a_way_around(tmp_path: Path) -> None:
    """Python can't read it everywhere."""
    (tmp_path / "access.log.zst").write_bytes(b"\x28\xb5\x2f\xfd\x00")
    way = r"^log: is packed with zstd; unpack it on the way: zstd -dc FILE \| footfall import -"
    with pytest.raises(BadInput, match=way), open_log(str(tmp_path / "access.log.zst")):
        pass


def test_a_log_is_open_to_one_import_at_a_time(tmp_path: Path) -> None:
    """Under whatever name; one that only looks at it is let pass, and so is the next when the first has ended."""
    (tmp_path / "access.log").write_bytes(SAMPLE)
    (tmp_path / "link.log").hardlink_to(tmp_path / "access.log")
    with open_log(str(tmp_path / "access.log")):
        assert first_line(tmp_path / "access.log")
        line = r"link\.log' is being imported already; wait for that import to end, or stop it"
        with pytest.raises(BadInput, match=line), open_log(str(tmp_path / "link.log")):
            pass
    with open_log(str(tmp_path / "link.log")):
        pass


def test_a_log_without_a_whole_line_has_no_first_line(tmp_path: Path) -> None:
    """Nor has one that is not there, or is damaged."""
    (tmp_path / "begun.log").write_bytes(b"half a li")
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(SAMPLE)[:20])
    for name in ("begun.log", "damaged.gz", "missing.log"):
        assert first_line(tmp_path / name) == b""


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_a_log_that_can_not_be_opened_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """It names the file and the reason."""
    with pytest.raises(BadInput, match=r"^log: can't open '.*' \(.+\); name a file"), open_log(str(tmp_path / name)):
        pass


@pytest.mark.parametrize("content", [SAMPLE, gzip.compress(SAMPLE), b""], ids=["plain", "gzip", "empty"])
def test_standard_input_is_read_and_left_open(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain or gzip, under the name "-"."""
    given = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", given)
    with open_log("-") as log:
        assert b"".join(read_all(log)) == (SAMPLE if content else b"")
    assert not given.buffer.closed
