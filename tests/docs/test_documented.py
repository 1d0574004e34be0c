"""The docs tell what the code has: every route, every command and every drop reason stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest
import typer

from footfall.cli import command_line
from footfall.model import DropReason
from footfall.web.routes import route_table
from tests.docs.tracked import ROOT

DOCS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))}


def commands(command: object, name: str) -> Iterator[str]:
    """The full names of all commands that do something, groups opened: `footfall site add`. (Typer does not export its types.)"""
    below: Mapping[str, object] = getattr(command, "commands", {})
    if not below:
        yield name
    for word, each in below.items():
        yield from commands(each, f"{name} {word}")


def as_written(route: str) -> str:
    """A route as the docs write it: `/api/v1/sites/{site:str}/count` is `/api/v1/sites/SITE/count`."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda name: name[1].upper(), route)


def is_mentioned(words: str) -> bool:
    """Whether a page of docs/ has these words, not merely as the beginning of longer ones."""
    return any(re.search(rf"(?<![\w/-]){re.escape(words)}(?![\w/-]|\.\w)", text) for text in DOCS.values())


@pytest.mark.parametrize("route", [path for path, _ in route_table()])
def test_routes_are_documented(route: str) -> None:
    """Each path that the server answers stands in docs/, its variable parts in capitals."""
    assert is_mentioned(as_written(route))


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(command_line()), "footfall")))
def test_commands_are_documented(command: str) -> None:
    """Each command of the command line stands in docs/ by its full name."""
    assert is_mentioned(command)


@pytest.mark.parametrize("reason", list(DropReason))
def test_drop_reasons_are_documented(reason: DropReason) -> None:
    """Each reason for which a view is not counted stands in docs/."""
    assert is_mentioned(f"`{reason}`")
