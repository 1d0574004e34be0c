"""Badges: every style is well-formed, readable, and as wide as its words; nothing from outside gets out of its text."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.web.badges.drawing import COLOURS, MAX_LABEL, STYLES, Badge, contrast, draw, read_colour, read_label, text_colour
from footfall.web.badges.endpoints import LABEL_COLOUR, SHOWN, written
from footfall.web.badges.text_width import text_width

SVG = "{http://www.w3.org/2000/svg}"
styles = pytest.mark.parametrize("style", STYLES)


def drawn(label: str = "views", value: str = "1,284", style: str = "flat") -> ElementTree.Element:
    return ElementTree.fromstring(draw(Badge(label, value, COLOURS["hand"], COLOURS["ink"], style)))


@styles
def test_a_badge_tells_its_words_to_everyone(style: str) -> None:
    """As a title and a label of the picture, whose drawn text is not read out a second time."""
    badge = drawn(style=style)
    assert (badge.get("role"), badge.get("aria-label")) == ("img", "views: 1,284")
    assert badge.findtext(f"{SVG}title") == "views: 1,284"
    (group,) = badge.findall(f"{SVG}g")
    assert group.get("aria-hidden") == "true"


@styles
@pytest.mark.parametrize(("label", "value"), [("views", "7"), ("", "1,284"), ("a label of some length", "9,999,999")])
def test_texts_lie_within_their_fields(style: str, label: str, value: str) -> None:
    """With the style's padding on both sides, and one behind the other."""
    badge = drawn(label, value, style)
    padding = STYLES[style].padding
    words = [text for text in badge.iter(f"{SVG}text") if text.get("fill-opacity") is None]
    assert [text.text for text in words] == [text.upper() if STYLES[style].is_upper else text for text in (label, value) if text]
    ends = [float(text.get("x", "")) + float(text.get("textLength", "")) for text in words]
    starts = [float(text.get("x", "")) for text in words]
    assert starts[0] >= padding - 0.5
    assert float(badge.get("width", "")) - ends[-1] >= padding - 0.5 - STYLES[style].spacing
    assert all(
        later - earlier >= 2 * padding - 1 - STYLES[style].spacing for earlier, later in zip(ends, starts[1:], strict=False)
    )


@given(st.text(max_size=MAX_LABEL))
def test_no_label_gets_out_of_its_text(label: str) -> None:
    """A label that is taken comes out of the picture as it went in."""
    try:
        taken = read_label(label)
    except BadInput:
        return
    for style in STYLES:
        badge = drawn(taken, "<b>&\"'", style)
        shown = [text.text for text in badge.iter(f"{SVG}text")]
        assert shown[-1] == "<b>&\"'".upper() if STYLES[style].is_upper else "<b>&\"'"
        assert not taken or shown[0] == (taken.upper() if STYLES[style].is_upper else taken)
        assert {element.tag.removeprefix(SVG) for element in badge.iter()} <= {
            *("svg", "title", "g", "text", "path", "linearGradient", "stop")
        }


@pytest.mark.parametrize("label", ["a\nb", "\x00", "a" * (MAX_LABEL + 1), "\u202eab", "\ufffe", "\ud800"])
def test_labels_that_can_not_be_drawn_are_refused(label: str) -> None:
    """Control characters, those that turn the text around, what XML has no room for, and too many."""
    with pytest.raises(BadInput, match=f"label: at most {MAX_LABEL} printable"):
        read_label(label)


@given(st.integers(0, 0xFFFFFF))
def test_text_stands_out_from_any_colour(number: int) -> None:
    """By 4.5 : 1 at least (WCAG AA)."""
    colour = f"#{number:06x}"
    assert contrast(colour, text_colour(colour)) >= 4.5


def test_contrast_is_the_one_of_the_guidelines() -> None:
    """Black and white differ by 21, a colour and itself by 1; and a grey that is known to pass just so."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#d4213d", "#d4213d") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("red", "#d4213d"),
        ("RED", "#d4213d"),
        ("d4213d", "#d4213d"),
        ("#D4213D", "#d4213d"),
        ("#1af", "#11aaff"),
        ("1af", "#11aaff"),
    ],
)
def test_colours_are_names_or_hex_digits(text: str, colour: str) -> None:
    """In either case, with or without the number sign."""
    assert read_colour(text, "color") == colour


@pytest.mark.parametrize("text", ["", "rgb(1,2,3)", "#12345", '"/><script>', "reddish", "#1234567", "١٢٣"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    """With the field's name and what would be one."""
    with pytest.raises(BadInput, match=r"^color: a colour: hex digits such as"):
        read_colour(text, "color")


def test_every_name_is_a_colour() -> None:
    """The table's values can be read themselves, and what counters take without being asked are names of it."""
    assert all(read_colour(value, "") == value for value in COLOURS.values())
    assert {show.colour for show in SHOWN.values()} | {LABEL_COLOUR} <= COLOURS.keys()


def test_widths_are_the_fonts() -> None:
    """Digits are equally wide, 1303 of 2048 units; wide characters take an em, marks nothing."""
    assert {text_width(digit, 2048) for digit in "0123456789"} == {1303}
    assert text_width("訪", 10) == 10
    assert text_width("e\u0301", 10) == text_width("e", 10)
    assert text_width("ab", 10, spacing=1) == text_width("ab", 10) + 2
    assert all(text_width(a, 11, is_bold=True) >= text_width(a, 11) for a in "abcXYZ0189")


@pytest.mark.parametrize(
    ("number", "plain", "grouped", "short"),
    [
        (0, "0", "0", "0"),
        (999, "999", "999", "999"),
        (1000, "1000", "1,000", "1k"),
        (1234, "1234", "1,234", "1.2k"),
        (1999, "1999", "1,999", "1.9k"),
        (99_999, "99999", "99,999", "99.9k"),
        (123_456, "123456", "123,456", "123k"),
        (999_999, "999999", "999,999", "999k"),
        (1_250_000, "1250000", "1,250,000", "1.2M"),
        (3 * 10**9, "3000000000", "3,000,000,000", "3G"),
        (5 * 10**15, "5000000000000000", "5,000,000,000,000,000", "5000T"),
    ],
)
def test_numbers_are_written_as_asked(number: int, plain: str, grouped: str, short: str) -> None:
    """The short form is rounded down: it never says more than there is."""
    assert [written(number, form) for form in ("plain", "grouped", "short")] == [plain, grouped, short]


def test_shapes_may_stand_beside_each_other_in_a_page() -> None:
    """What has an id is the same in all badges of its style, whatever they say."""
    for style in STYLES:
        gradients = [
            [ElementTree.tostring(each) for each in drawn(label, value, style).iter(f"{SVG}linearGradient")]
            for label, value in itertools.product(("views", ""), ("1", "22,222"))
        ]
        assert all(each == gradients[0] for each in gradients)
