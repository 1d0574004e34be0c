"""The minute dial's geometry: views by second in, bars, hand and type size out.

Sixty bars, one a second, stand on a ring at their second's angle like the marks of a station clock, 0 at the top. They grow
outward with their views and fade with their age; a red hand points at the newest second. Everything here is a pure function
of numbers; this module must not know HTML, sites or stores. Lengths are in the drawing's own units: the whole drawing is
`SIZE` units square with its origin in the middle.

For a window shorter than 60 seconds only its own seconds have bars, and the rest of the ring stays empty. For a longer one the
bars are the 60 newest seconds, so that an angle always names one second; the number in the middle is the whole window's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

#: Bars on the ring, and seconds in one turn of the hand.
TURN = 60

#: The drawing's width and height.
SIZE = 420

#: Bars begin at this distance from the middle, and are at most this long.
RING_RADIUS = 146.0
LONGEST_BAR = 60.0

#: A second with any view has at least this long a bar, so that one view beside a burst can be seen.
SHORTEST_BAR = 3.0

#: Bars of quiet seconds would look like a rush if the scale followed them all the way down: it stops at this many views.
LEAST_FULL_VIEWS = 5

#: Steps of the scale within a power of ten. Neighbours differ by at most a third: the tallest bar is three quarters long or more.
_SCALE_STEPS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

#: A bar's opacity in its first and in its sixtieth second.
FRESH_OPACITY = 1.0
OLD_OPACITY = 0.2

#: The number stays within this distance from the middle and is at most this large.
NUMBER_RADIUS = 118.0
LARGEST_NUMBER = 96.0

#: Below the number's baseline: the baselines of the caption's two lines, and the foot of the whole.
CAPTION_DROPS = (37.0, 60.0)
CAPTION_FOOT = 62.0

#: Widths of a bold digit and a comma and the height of digits, in ems: the widest of the usual system fonts, set 0.03 em tight.
_DIGIT_EM = 0.61
_COMMA_EM = 0.28
_HEIGHT_EM = 0.73


class Bar(msgspec.Struct, frozen=True):
    """One second on the ring: `angle` in degrees clockwise from the top; `at` the Unix second, None where it is not known."""

    at: int | None
    views: int
    angle: int
    length: float
    opacity: float
    is_newest: bool


class Dial(msgspec.Struct, frozen=True):
    """All there is to draw: sixty bars in the order of their angle, the hand, and the number with its size.

    `full_views` is how many views in a second a bar of the whole length stands for.
    """

    bars: tuple[Bar, ...]
    hand_angle: int
    full_views: int
    number: str
    number_size: float
    number_baseline: float
    caption_baselines: tuple[float, float]

    @property
    def by_age(self) -> list[Bar]:
        """The bars whose second is known, newest first."""
        return sorted((bar for bar in self.bars if bar.at is not None), key=lambda bar: -(bar.at or 0))


def draw_dial(seconds: Sequence[tuple[int, int]], views: int, at: int) -> Dial:
    """The dial for `views` in a window that ends with second `at` (Unix seconds), of which `seconds` are (second, views).

    Seconds after `at` or more than 59 before it have no place on the ring and are left out.
    """
    shown = {start: count for start, count in seconds if 0 <= at - start < TURN}
    full = full_views(max(shown.values(), default=0))
    bars = []
    for position in range(TURN):
        age = (at - position) % TURN
        count = shown.get(at - age, 0)
        second = at - age if at - age in shown else None
        bars.append(Bar(second, count, angle_of(position), bar_length(count, full), bar_opacity(age), age == 0))
    number = f"{views:,}"
    size = number_size(number)
    baseline = round((size * _HEIGHT_EM - CAPTION_FOOT) / 2, 1)
    first, second_line = (round(baseline + drop, 1) for drop in CAPTION_DROPS)
    return Dial(tuple(bars), angle_of(at), full, number, size, baseline, (first, second_line))


def angle_of(second: int) -> int:
    """Where a Unix second stands on the ring: degrees clockwise from the top, 6 for each second of its minute."""
    return second % TURN * 360 // TURN


def full_views(peak: int) -> int:
    """The views a bar of the whole length stands for, where `peak` is the busiest second's.

    The least of 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, ... that is not less than `peak`. Being one of few
    round numbers it stays put while the peak wanders, so that bars do not all change because one left the ring.
    """
    if peak <= LEAST_FULL_VIEWS:
        return LEAST_FULL_VIEWS
    power: int = 10 ** (len(str(peak)) - 1)
    return next(full for step in _SCALE_STEPS if (full := step * power // 10) >= peak)


def bar_length(views: int, full: int) -> float:
    """How long the bar of a second is: ``LONGEST_BAR * views / full``, at least `SHORTEST_BAR` for any view, 0 for none.

    The scale is linear: a bar twice as long is twice as many views.
    """
    if views <= 0:
        return 0.0
    return round(max(SHORTEST_BAR, LONGEST_BAR * min(1.0, views / full)), 1)


def bar_opacity(age: int) -> float:
    """How strongly the bar of a second `age` seconds ago is drawn: falls evenly from 1 to 0.2 over the turn."""
    return round(FRESH_OPACITY - (FRESH_OPACITY - OLD_OPACITY) * age / (TURN - 1), 2)


def number_size(number: str) -> float:
    """The type size at which the digits and commas of `number` fit into the middle of the dial, at most `LARGEST_NUMBER`.

    Number and caption together are centred, so the number's box (width w and height h per unit of size) ends ``s*h/2 + f/2``
    above the middle, f being the caption's height. Its upper corners lie on the circle of radius R for the size s that solves
    ``(s*w/2)**2 + (s*h/2 + f/2)**2 = R**2``.
    """
    width = sum(_COMMA_EM if sign == "," else _DIGIT_EM for sign in number)
    a = (width / 2) ** 2 + (_HEIGHT_EM / 2) ** 2
    b = _HEIGHT_EM * CAPTION_FOOT / 2
    c = (CAPTION_FOOT / 2) ** 2 - NUMBER_RADIUS**2
    size = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return math.floor(min(size, LARGEST_NUMBER) * 10) / 10
