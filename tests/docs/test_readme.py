"""The pages of the repository tell the truth: each of their examples, run in a fresh checkout, does what the page shows."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Reader, blocks, steps
from tests.docs.tracked import ROOT, tracked_files

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

#: What an example is fenced as; `text` is what is meant for other programs and machines than a test has (docker, clouds).
RUN = frozenset({"console", "python", "sh"})
READ = frozenset(
    {"bash", "caddy", "css", "csv", "html", "ini", "javascript", "json", "lua", "nginx", "sql", "svg", "text", "toml", "yaml"}
)


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def has_examples(page: Path) -> bool:
    """Whether there is something on the page to run."""
    return any(block.language in RUN for block in blocks(page.read_text("utf-8")))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader with a copy of everything that is tracked, and an environment beside it that needs no installing."""
    tree = tmp_path / "footfall"
    for path in tracked_files():
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    environment = tree / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("."):  # what `make` has noted there is not taken along but made anew
            (environment / path.name).symlink_to(path)
    (environment / ".run").touch()
    (environment / ".frontend").touch()  # what is built lies beside the package that is installed
    with contextlib.closing(Reader(tree)) as someone:
        yield someone


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if has_examples(page)], ids=page_name)
def test_examples_are_true(page: Path, reader: Reader) -> None:
    """Every command, script and program of the page runs, in order, and prints what the page says."""
    reader.follow(page_name(page), page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_example_slips_through(page: Path) -> None:
    """Each fence says what it holds, in a word that is known either to be run or to be for reading only."""
    for block in blocks(page.read_text("utf-8")):
        place = f"{page_name(page)}:{block.number}"
        assert block.language in RUN | READ, f"{place}: fenced as {block.language!r}; write one of {sorted(RUN | READ)}"
        if block.language == "console":
            assert steps(block), f"{place}: a console block without a command"
        elif block.language != "text":
            assert not any(line.startswith("$ ") for line in block.lines), f"{place}: commands behind `$` make a console block"
