"""The geometry of the dashboard's charts and sparklines: numbers in, lengths out, for drawings that need no script and no style.

Bars of views hold within them the bars of visitors, of whom there are never more. Everything here is a pure function; this module
must not know HTML, sites or stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from footfall.model import Tier
from footfall.web.dashboard.period import bucket_name

#: The drawing's height; a bucket is SLOT wide, BAR of which are its bar.
HEIGHT = 200
SLOT = 10.0
BAR = 7.6

#: Lines of the scale above the ground.
_LINES = 4

#: A line of the scale is at one of these, times a power of ten.
_STEPS = (1, 2, 2.5, 5, 10)

#: Names below the chart.
_NAMES = 7

SPARK_WIDTH = 100
SPARK_HEIGHT = 24


class Point(msgspec.Struct, frozen=True):
    """A bucket: its start (Unix seconds), its numbers, and the views of the one at its place in the previous period."""

    at: int
    name: str
    views: int
    visitors: int | None
    before: int | None


class Bar(msgspec.Struct, frozen=True):
    """A bucket's bar: where it begins, the tops of views and of visitors within it, and whether the bucket is still open."""

    x: float
    top: float
    height: float
    inner_top: float
    inner_height: float
    is_open: bool


class Chart(msgspec.Struct, frozen=True):
    """All there is to draw. `lines` are the scale's values, the highest first; `before` is a path, "" where there is none.

    `names` are buckets with the place of their middle, in percent of the width.
    """

    width: float
    bars: tuple[Bar, ...]
    before: str
    lines: tuple[int, ...]
    names: tuple[tuple[float, Point], ...]


def draw_chart(points: Sequence[Point], *, ends_open: bool) -> Chart:
    """The chart of some buckets; the last is still open where `ends_open`."""
    peak = max((max(point.views, point.before or 0) for point in points), default=0)
    step = line_step(peak)
    full = step * _LINES
    bars = []
    for number, point in enumerate(points):
        height, inner = _length(point.views, full), _length(min(point.visitors or 0, point.views), full)
        is_open = ends_open and number == len(points) - 1
        left = round(number * SLOT + (SLOT - BAR) / 2, 1)
        bars.append(Bar(left, round(HEIGHT - height, 1), height, round(HEIGHT - inner, 1), inner, is_open))
    path = ""
    if any(point.before for point in points):
        steps = [f"{n * SLOT:g} {HEIGHT - _length(p.before or 0, full):g}H{(n + 1) * SLOT:g}" for n, p in enumerate(points)]
        path = "M" + "L".join(steps)
    lines = tuple(step * line for line in range(_LINES, -1, -1))
    return Chart(round(len(points) * SLOT, 1), tuple(bars), path, lines, _named(points))


def line_step(peak: int) -> int:
    """How many views lie between two lines of the scale, so that all lines are round and `peak` is not above the highest."""
    if peak <= _LINES:
        return 1
    power: int = 10 ** (len(str((peak - 1) // _LINES)) - 1)
    return next(int(step * power) for step in _STEPS if step * power == int(step * power) and step * power * _LINES >= peak)


def spark(values: Sequence[int]) -> str:
    """The points of a line through `values`, in a drawing SPARK_WIDTH wide and SPARK_HEIGHT high."""
    if len(values) < 2:
        return ""
    most = max(*values, 1)
    wide = SPARK_WIDTH / (len(values) - 1)
    return " ".join(f"{n * wide:.1f},{SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * v / most:.1f}" for n, v in enumerate(values))


def points_of(
    tier: Tier, views: Sequence[tuple[int, int]], visitors: Sequence[tuple[int, int]], before: Sequence[int]
) -> list[Point]:
    """The buckets of a period. `visitors` may miss buckets, whose are not known; so may `before` at its end."""
    known = dict(visitors)
    return [
        Point(at, bucket_name(tier, at), n, known.get(at), before[number] if number < len(before) else None)
        for number, (at, n) in enumerate(views)
    ]


def _length(views: int, full: int) -> float:
    return round(HEIGHT * views / full, 1)


def _named(points: Sequence[Point]) -> tuple[tuple[float, Point], ...]:
    """Some buckets, evenly apart and away from the edges: their names stand below the chart."""
    every = max(1, -(-len(points) // _NAMES))
    return tuple((round(100 * (n + 0.5) / len(points), 2), points[n]) for n in range(every // 2, len(points), every))
