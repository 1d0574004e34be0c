"""What runs the examples runs them: a page that tells the truth passes, and each way of not telling it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Reader, blocks, matches

MAKEFILE = "serve:\n\t@python -m http.server --bind 127.0.0.1 $(FOOTFALL_PORT)\n\ntest:\n\tfalse\n"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in a checkout that holds a server of a few lines and nothing of Footfall."""
    tree = tmp_path / "footfall"
    (tree / "docs").mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "livez").write_text("ok\n")
    with contextlib.closing(Reader(tree)) as someone:
        yield someone


def test_a_true_page_passes(reader: Reader) -> None:
    """Each kind of example that the sample page holds runs and is found to be true."""
    reader.follow("sample.md", (Path(__file__).parent / "sample.md").read_text("utf-8"))


@pytest.mark.parametrize(
    "example",
    [
        "console\n$ echo two\none",
        "console\n$ echo one; echo two\none",
        "console\n$ echo one",
        "console\n$ true\none",
        "console\n$ echo 12 views\n… visits",
        "console\n$ false",
        "console fails\n$ true",
        "console\n$ make measure\n...",
        "console\n$ make bench\n...",
        "console\n$ footfall serve --no-such-option",
        "sh\nfalse\ntrue",
        "python\nassert 1 == 2",
        "python\nno_such_name",
    ],
)
def test_an_untrue_page_fails(reader: Reader, example: str) -> None:
    """Another output, more of it, less of it, another end: each is seen, and the line is named."""
    with pytest.raises(AssertionError, match=r"^page\.md:\d+:"):
        reader.follow("page.md", f"Look:\n```{example}\n```\n")


def test_the_line_is_named(reader: Reader) -> None:
    """What does not go as the page says is told with the line of its command."""
    with pytest.raises(AssertionError, match=r"^page\.md:4: \$ echo two"):
        reader.follow("page.md", "```console\n$ echo one\none\n$ echo two\nthree\n```\n")


def test_an_open_fence_is_refused() -> None:
    """A block without an end would swallow the examples after it."""
    with pytest.raises(ValueError, match="line 3 has no end"):
        list(blocks("text\n```console\n$ true\n"))


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        (["a…c"], "abc\n"),
        (["...", "z"], "a\nb\nz\n"),
        (["a", "..."], "a\n"),
        (["a."], "a.  \n"),
        ([], ""),
        (["red"], "\x1b[31mred\x1b[0m\n"),
    ],
)
def test_what_matches(expected: list[str], printed: str) -> None:
    """`…` is any text within a line, `...` any lines; blanks at the end and colours do not count."""
    assert matches(expected, printed)


@pytest.mark.parametrize(("expected", "printed"), [(["a…c"], "a\nc\n"), (["a."], "ab\n"), ([], "a\n")])
def test_what_does_not_match(expected: list[str], printed: str) -> None:
    """`…` does not reach over lines, other signs stand for themselves, and nothing is not anything."""
    assert not matches(expected, printed)
