"""The badges that docs/counters.md shows are those that the server draws."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from footfall.web.badges.drawing import COLOURS, STYLES, Badge, draw, read_colour
from footfall.web.badges.endpoints import LABEL_COLOUR, NUMBERS, SHOWN
from tests.docs.tracked import ROOT

FOLDER = ROOT / "docs" / "images" / "badges"
PAGE = (ROOT / "docs" / "counters.md").read_text("utf-8")


def badge(
    *, show: str = "total", value: str = "1,284", label: str | None = None, color: str = "", label_color: str = LABEL_COLOUR
) -> Badge:
    """A badge as counters make it."""
    of = SHOWN[show]
    return Badge(
        of.label if label is None else label,
        value,
        read_colour(color or of.colour, "color"),
        read_colour(label_color, "label_color"),
    )


BADGES: Mapping[str, Badge] = {
    **{style: badge()._replace(style=style) for style in STYLES},
    "today": badge(show="today", value="312"),
    "minute": badge(show="minute", value="37"),
    "label": badge(label="read"),
    "color": badge(color="blue"),
    "label_color": badge(label_color="62656d"),
    "short": badge(value="1.2k"),
}


@pytest.mark.parametrize("name", BADGES)
def test_the_page_shows_what_is_drawn(name: str) -> None:
    """Each picture is the badge, to the letter, and the page shows it with its words."""
    shown = BADGES[name]
    assert (FOLDER / f"{name}.svg").read_text("utf-8") == draw(shown) + "\n"
    assert f"![{shown.label}: {shown.value}](images/badges/{name}.svg)" in PAGE


def test_no_picture_is_left_over() -> None:
    """Each file in the folder is one of them."""
    assert {path.stem for path in FOLDER.iterdir()} == set(BADGES)


def test_the_page_names_all_that_can_be_asked_for() -> None:
    """Styles, what is shown, ways to write numbers, and colours in their order."""
    for words in (*(f"`style={style}`" for style in STYLES), *(f"`show={show}`" for show in SHOWN)):
        assert words in PAGE
    assert all(f"`{number}`" in PAGE or f"number={number}" in PAGE for number in NUMBERS)
    assert ", ".join(COLOURS) in re.sub(r"\s+", " ", PAGE)
