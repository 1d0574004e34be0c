"""What Footfall keeps on disk is its owner's alone, and is missed when it is taken away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from footfall.files import OpenFiles, create_file, make_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def lax_umask() -> object:
    """Nothing but our own care keeps others out."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_folder_that_we_create_is_its_owner_s_alone(tmp_path: Path) -> None:
    """One that exists is left as it is: others may have their reasons to read it."""
    make_folder(tmp_path / "above" / "ours")
    assert mode(tmp_path / "above" / "ours") == 0o700
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o755)
    make_folder(theirs)
    assert mode(theirs) == 0o755


def test_a_file_that_we_create_is_its_owner_s_alone(tmp_path: Path) -> None:
    """One that exists keeps its mode and its bytes, and so does what a link leads to."""
    assert create_file(tmp_path / "ours")
    assert mode(tmp_path / "ours") == 0o600
    theirs = tmp_path / "theirs"
    theirs.write_text("x")
    theirs.chmod(0o640)
    (tmp_path / "link").symlink_to(theirs)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    assert not create_file(theirs)
    assert not create_file(tmp_path / "link")
    assert not create_file(tmp_path / "nowhere")
    assert not create_file(tmp_path)
    assert (mode(theirs), theirs.read_text()) == (0o640, "x")


def test_files_that_were_taken_away_are_missed(tmp_path: Path) -> None:
    """Removed, replaced, or with their folder; what is put back is found again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    one, two = folder / "one", folder / "two"
    one.touch()
    two.touch()
    files = OpenFiles(one, two)
    assert files.gone() is None
    two.rename(tmp_path / "kept")
    assert files.gone() == two
    two.touch()
    assert files.gone() == two
    (tmp_path / "kept").rename(two)
    assert files.gone() is None
    folder.rename(tmp_path / "away")
    assert files.gone() == one
    (tmp_path / "away").rename(folder)
    assert files.gone() is None
    with pytest.raises(FileNotFoundError):
        OpenFiles(one, folder / "three")
