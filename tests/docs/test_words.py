"""What a user reads is in today's plain English: none of it has a word of the list below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.tracked import ROOT

#: Each with what to write instead.
FORBIDDEN = {
    r"mend(s|ed|ing)?": "fix",
    r"reckon(s|ed|ing)?": "estimate",
    r"anew": "again",
    r"meanwhile": "in the meantime, or until when",
    r"hardly": "barely",
    r"for ever": "forever",
    r"whoever": "anyone who, or name the person or the program",
    r"go(es)? before": "override",
    r"so it is without it": "(default)",
    r"is no setting": "is not a setting",
    r"holds until": "expires",
}
_WORDS = re.compile(rf"\b({'|'.join(FORBIDDEN)})\b", re.IGNORECASE)

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src/footfall/web/templates").glob("*.html")])
MODULES = sorted((ROOT / "src/footfall").rglob("*.py"))
#: A template's comments, and identifiers in a line.
_NOT_READ = re.compile(r"\{#.*?#\}|(?<!`)`[^`\n]+`(?!`)", re.DOTALL)


def found_in(text: str) -> list[str]:
    """The forbidden words of a text."""
    return [word[0] for word in _WORDS.finditer(re.sub(r"\s+", " ", text))]


def shown_strings(module: str, *, are_docstrings_shown: bool) -> Iterator[str]:
    """The strings of a module. Docstrings are only shown where they become a command's help."""
    tree = ast.parse(module)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    helps = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if are_docstrings_shown and isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (id(node) not in statements or id(node) in helps):
            yield node.value


def test_pages_have_no_forbidden_word() -> None:
    """The README, the documentation, the changelog and the templates."""
    found = {page.relative_to(ROOT).as_posix(): found_in(_NOT_READ.sub(" ", page.read_text("utf-8"))) for page in PAGES}
    assert {name: words for name, words in found.items() if words} == {}


def test_messages_have_no_forbidden_word() -> None:
    """Errors, log lines, the help of commands and settings: every string of the package."""
    found: dict[str, list[str]] = {}
    for path in MODULES:
        module = path.read_text("utf-8")
        if _WORDS.search(re.sub(r"\s+", " ", module)):  # parsing every module would take a second
            name = path.relative_to(ROOT).as_posix()
            strings = shown_strings(module, are_docstrings_shown=path.parent.name == "commands")
            found[name] = [word for string in strings for word in found_in(string)]
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ('"""Whoever."""\nx = f"{y} is no setting of ours"', ["is no setting"]),
        ('def run():\n    """Kept for ever."""', ["for ever"]),
        ('x = {"help": "it goes\\n before"}  # anew', ["goes before"]),
        ("recommended = amended = 'recommended, amended'", []),
    ],
)
def test_strings_are_found(module: str, words: list[str]) -> None:
    """In f-strings, helps and over line breaks; not in comments, in other docstrings, nor within longer words."""
    strings = shown_strings(module, are_docstrings_shown=True)
    assert [word for string in strings for word in found_in(string)] == words


def test_paths_are_found() -> None:
    """None of the places that are looked at is empty."""
    assert {Path("README.md"), Path("docs/why.md"), Path("src/footfall/web/templates/base.html")} <= {
        page.relative_to(ROOT) for page in PAGES
    }
    assert len(MODULES) > 100
