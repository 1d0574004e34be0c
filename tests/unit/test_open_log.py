"""A log is opened by its name or as standard input, plain or gzip."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.errors import BadInput
from footfall.importer import Lines, open_log

SAMPLE = (Path(__file__).parents[1] / "data" / "access-sample.log").read_bytes()


def read_all(log: Lines) -> Iterator[bytes]:
    while line := log.readline():
        yield line


def test_a_log_is_opened_plain_or_gzip_whatever_its_name(tmp_path: Path) -> None:
    """The first bytes tell; several gzip members in a row are one log."""
    for content in (SAMPLE, gzip.compress(SAMPLE), gzip.compress(SAMPLE[:5000]) + gzip.compress(SAMPLE[5000:])):
        (tmp_path / "access.log").write_bytes(content)
        with open_log(str(tmp_path / "access.log")) as log:
            assert b"".join(read_all(log)) == SAMPLE


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_a_log_that_can_not_be_opened_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """It names the file and the reason."""
    with pytest.raises(BadInput, match=r"^log: can't open '.*' \(.+\); name a file"), open_log(str(tmp_path / name)):
        pass


@pytest.mark.parametrize("content", [SAMPLE, gzip.compress(SAMPLE), b""])
def test_standard_input_is_read_and_left_open(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain or gzip, under the name "-"."""
    given = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", given)
    with open_log("-") as log:
        assert b"".join(read_all(log)) == (SAMPLE if content else b"")
    assert not given.buffer.closed
