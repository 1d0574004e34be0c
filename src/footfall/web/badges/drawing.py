"""Draws a badge: a label and a value side by side, as an SVG picture that needs no font, style sheet or script of its own.

Every style is one row of STYLES. Widths are measured, text stands out from its colour by at least 4.5 : 1, and the
same words are there for anyone who can't see the picture. What the value means, and who may see it, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from footfall.errors import BadInput
from footfall.web.badges.text_width import text_width

#: A label has at most so many characters.
MAX_LABEL = 64

#: Colours by name. Those that badges are commonly asked for, and our own: paper, ink and the red of the hand.
COLOURS: Mapping[str, str] = {
    "ink": "#2b2d34",
    "paper": "#eeebe2",
    "hand": "#d4213d",
    "black": "#15171c",
    "blue": "#1f6fbf",
    "brightgreen": "#3fb618",
    "gray": "#62656d",
    "green": "#2e8b32",
    "grey": "#62656d",
    "lightgray": "#9fa1a8",
    "lightgrey": "#9fa1a8",
    "orange": "#f27d1c",
    "pink": "#e05d9b",
    "purple": "#7a4fc4",
    "red": "#d4213d",
    "teal": "#0b7a7c",
    "white": "#ffffff",
    "yellow": "#e2b714",
    "yellowgreen": "#9aad1f",
}

_HEX = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)

_FAMILY = "Verdana,Geneva,DejaVu Sans,sans-serif"

_WHITE, _BLACK = "#ffffff", "#000000"


class _Shade(NamedTuple):
    """What lies over the whole badge, from top to bottom: stops of (place, colour, opacity)."""

    stops: tuple[tuple[str, str, str], ...]


class Style(NamedTuple):
    """How a badge looks. Lengths are in pixels; `baseline` is where the text stands, `spacing` follows each of its characters."""

    height: int
    radius: int
    size: float
    baseline: float
    padding: float
    spacing: float = 0
    is_upper: bool = False
    is_bold: bool = False
    shade: _Shade | None = None


#: The styles by name.
STYLES: Mapping[str, Style] = {
    "flat": Style(20, 3, 11, 14, 6, shade=_Shade((("0", "#fff", ".1"), ("1", "#000", ".1")))),
    "flat-square": Style(20, 0, 11, 14, 6),
    "plastic": Style(
        18,
        4,
        11,
        13,
        6,
        shade=_Shade((("0", "#fff", ".55"), (".1", "#fff", ".14"), (".9", "#000", ".14"), ("1", "#000", ".4"))),
    ),
    "for-the-badge": Style(28, 0, 10, 17.5, 11, spacing=1.1, is_upper=True, is_bold=True),
}


class Badge(NamedTuple):
    """What a badge says: `label` may be empty. Colours are those that `read_colour` gives."""

    label: str
    value: str
    colour: str
    label_colour: str
    style: str = "flat"


class _Part(NamedTuple):
    """One of the two fields: its text, and from where to where it and the text go."""

    text: str
    background: str
    is_bold: bool
    start: float
    end: float
    text_start: float
    text_end: float


def read_colour(text: str, field: str) -> str:
    """A colour's "#rrggbb", from its name or from hex digits with or without "#". Raises BadInput naming `field`."""
    named = COLOURS.get(text.lower())
    if named:
        return named
    found = _HEX.fullmatch(text)
    if not found:
        raise BadInput(field, f"a colour: hex digits such as d4213d, or one of {', '.join(COLOURS)}")
    digits = found[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def read_label(text: str) -> str:
    """A label as it may be drawn. Raises BadInput."""
    if len(text) > MAX_LABEL or not text.isprintable():
        raise BadInput("label", f"at most {MAX_LABEL} printable characters")
    return text.strip()


def contrast(colour: str, other: str) -> float:
    """How much two colours differ in light, 1 to 21 (WCAG 2.2, contrast ratio)."""
    darker, lighter = sorted((_luminance(colour), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_colour(background: str) -> str:
    """White or black, whichever stands out more from a colour. Of any colour one of them does by 4.5 : 1."""
    return _WHITE if contrast(background, _WHITE) >= 4.5 else max(_WHITE, _BLACK, key=lambda each: contrast(background, each))


def _luminance(colour: str) -> float:
    """The relative luminance of "#rrggbb" (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def draw(badge: Badge, more: str = "") -> str:
    """The badge as SVG. Those who can't see it, or point at it, are told the same words, or `more`."""
    style = STYLES[badge.style]
    parts = _parts(badge, style)
    width = _number(parts[-1].end)
    words = escape(more or (f"{badge.label}: {badge.value}" if badge.label else badge.value))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{style.height}" viewBox="0 0 {width} {style.height}" '
        f'role="img" aria-label="{words}"><title>{words}</title>'
        f"{''.join(_field(part, style, part is parts[0], part is parts[-1]) for part in parts)}"
        f"{_shade(badge.style, style, parts[-1].end)}"
        f'<g aria-hidden="true" font-family="{_FAMILY}" font-size="{_number(style.size)}" text-rendering="geometricPrecision">'
        f"{''.join(_text(part, style) for part in parts)}</g></svg>"
    )


def _parts(badge: Badge, style: Style) -> list[_Part]:
    fields = [(badge.label, badge.label_colour, False), (badge.value, badge.colour, style.is_bold)]
    parts: list[_Part] = []
    start = 0.0
    for text, background, is_bold in fields:
        if not text:
            continue
        shown = text.upper() if style.is_upper else text
        width = text_width(shown, style.size, is_bold=is_bold, spacing=style.spacing)
        # Edges lie on whole pixels, or they blur; what is left over goes to both sides of the text.
        end = start + round(width - style.spacing + 2 * style.padding)
        text_start = start + (end - start - width + style.spacing) / 2  # in the middle but for the space after its last character
        parts.append(_Part(shown, background, is_bold, start, end, text_start, text_start + width))
        start = end
    return parts


def _field(part: _Part, style: Style, is_first: bool, is_last: bool) -> str:
    left, right = style.radius if is_first else 0, style.radius if is_last else 0
    return f'<path fill="{part.background}" d="{_outline(part.start, part.end, style.height, left, right)}"/>'


def _outline(start: float, end: float, height: int, left: int, right: int) -> str:
    """A rectangle whose corners at its left and at its right are rounded. (A clip path would need an id, unique in a page.)"""
    path = f"M{_number(start + left)} 0H{_number(end - right)}"
    path += f"a{right} {right} 0 0 1 {right} {right}V{height - right}a{right} {right} 0 0 1 -{right} {right}" if right else ""
    path += f"V{height}" if not right else ""
    path += f"H{_number(start + left)}"
    path += f"a{left} {left} 0 0 1 -{left} -{left}V{left}a{left} {left} 0 0 1 {left} -{left}" if left else ""
    return path + "z"


def _shade(name: str, style: Style, end: float) -> str:
    if style.shade is None:
        return ""
    stops = "".join(
        f'<stop offset="{place}" stop-color="{colour}" stop-opacity="{opacity}"/>' for place, colour, opacity in style.shade.stops
    )
    outline = _outline(0, end, style.height, style.radius, style.radius)
    # The same in all badges of a style: several in one page may share the id.
    id = f"footfall-{name}"
    return f'<linearGradient id="{id}" x2="0" y2="1">{stops}</linearGradient><path fill="url(#{id})" d="{outline}"/>'


def _text(part: _Part, style: Style) -> str:
    weight = ' font-weight="bold"' if part.is_bold else ""
    spacing = f' letter-spacing="{_number(style.spacing)}"' if style.spacing else ""
    place = f'x="{_number(part.text_start)}" textLength="{_number(part.text_end - part.text_start)}"'
    colour = text_colour(part.background)
    text = escape(part.text)
    shadow = ""
    if style.shade is not None:
        under = _BLACK if colour == _WHITE else _WHITE
        shadow = (
            f'<text {place} y="{_number(style.baseline + 1)}" fill="{under}" fill-opacity=".25"{weight}{spacing}>{text}</text>'
        )
    return f'{shadow}<text {place} y="{_number(style.baseline)}" fill="{colour}"{weight}{spacing}>{text}</text>'


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
