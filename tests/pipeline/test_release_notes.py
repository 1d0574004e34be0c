"""A tag becomes a release only where sources and changelog agree with it, and its notes are what the changelog says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.pipeline.programs import ROOT

SCRIPT = ROOT / ".github" / "scripts" / "release-notes"

CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- Something to come.

## [1.2.0] - 2026-05-01

### Fixed

- A bug.

## [1.1.0] - 2026-04-01

- Older.

[1.2.0]: https://example.com/compare
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The two files that the script reads."""
    source = tmp_path / "src" / "footfall" / "version.py"
    source.parent.mkdir(parents=True)
    source.write_text('"""Footfall."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def notes(tree: Path, version: str) -> subprocess.CompletedProcess[str]:
    """What the script prints."""
    return subprocess.run([SCRIPT, version], cwd=tree, capture_output=True, text=True, check=False)


def test_the_notes_are_the_section_s(tree: Path) -> None:
    """All of it, and nothing of the ones around it."""
    printed = notes(tree, "1.2.0")
    assert (printed.returncode, printed.stdout) == (0, "### Fixed\n\n- A bug.\n"), printed.stderr


@pytest.mark.parametrize(
    ("version", "changelog", "complaint"),
    [
        ("1.3.0", CHANGELOG, "src/footfall/version.py is not at 1.3.0"),
        ("1.2.0", CHANGELOG.replace("[1.2.0] -", "[1.2.1] -"), "has no section [1.2.0]"),
        ("1.2.0", CHANGELOG.replace("[1.2.0] - 2026-05-01", "[1.2.0]"), "write the day of the release"),
        ("1.2.0", CHANGELOG.replace("### Fixed\n\n- A bug.\n", ""), "the section [1.2.0] is empty"),
    ],
)
def test_what_does_not_agree_is_no_release(tree: Path, version: str, changelog: str, complaint: str) -> None:
    """The one line that is printed says what to mend."""
    (tree / "CHANGELOG.md").write_text(changelog)
    printed = notes(tree, version)
    assert printed.returncode == 1
    assert complaint in printed.stderr
    assert printed.stderr.count("\n") == 1
