"""The minute dial: what stands where, how long, and how large."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.web.dial import (
    CAPTION_FOOT,
    LONGEST_BAR,
    NUMBER_RADIUS,
    RING_RADIUS,
    SHORTEST_BAR,
    SIZE,
    Dial,
    angle_of,
    bar_length,
    bar_opacity,
    draw_dial,
    full_views,
    number_size,
)

#: 12:54:41 UTC on 24 November 2025.
AT = 1763988881


def dial_of(*views: int, at: int = AT) -> Dial:
    """The dial of a window that ends at `at` and had these views by second, oldest first."""
    return draw_dial([(at - len(views) + 1 + i, count) for i, count in enumerate(views)], sum(views), at)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(0, 2**33))
def test_bars_sum_to_the_number(views: list[int], at: int) -> None:
    """The bars of a window up to a minute long stand for exactly the views that the number says."""
    dial = dial_of(*views, at=at)
    assert sum(bar.views for bar in dial.bars) == sum(views)
    assert dial.number == f"{sum(views):,}"


def test_every_second_stands_at_its_angle() -> None:
    """Bars come in the order of the minute's seconds, 6 degrees apart from 0 at the top, each with its own second's views."""
    dial = dial_of(*range(60))
    assert [bar.angle for bar in dial.bars] == [6 * second for second in range(60)]
    for second, bar in enumerate(dial.bars):
        assert bar.at is not None
        assert bar.at % 60 == second
        assert bar.views == 59 - (AT - bar.at)


@pytest.mark.parametrize(("at", "angle"), [(0, 0), (59, 354), (60, 0), (AT, 246), (15, 90)])
def test_hand_points_at_the_newest_second(at: int, angle: int) -> None:
    """The hand stands at the second of the minute the window ends with, and only that second's bar is the newest."""
    dial = draw_dial([(at, 1)], 1, at)
    assert dial.hand_angle == angle_of(at) == angle
    assert [bar.angle for bar in dial.bars if bar.is_newest] == [angle]


def test_a_short_window_leaves_the_rest_of_the_ring_empty() -> None:
    """A window of 10 seconds has 10 bars; the other seconds have no length and no time."""
    dial = dial_of(*[3] * 10)
    assert sum(bar.length > 0 for bar in dial.bars) == 10
    assert sum(bar.at is not None for bar in dial.bars) == 10
    assert [bar.at for bar in dial.by_age] == list(range(AT, AT - 10, -1))


def test_a_long_window_shows_its_newest_minute() -> None:
    """A window of 300 seconds shows its 60 newest ones, while the number is the whole window's."""
    dial = dial_of(*[7] * 240, *[2] * 60)
    assert [bar.views for bar in dial.bars] == [2] * 60
    assert dial.number == "1,800"
    assert dial.full_views == 5


def test_seconds_to_come_are_not_drawn() -> None:
    """A second after the newest one has no place on the ring."""
    assert sum(bar.views for bar in draw_dial([(AT, 1), (AT + 1, 8)], 9, AT).bars) == 1


def test_no_views_no_bars() -> None:
    """Seconds without a view have no bar; the hand still stands at the newest."""
    dial = dial_of(*[0] * 60)
    assert {bar.length for bar in dial.bars} == {0.0}
    assert dial.hand_angle == 246


def test_bars_fade_with_age() -> None:
    """The newest bar is opaque; each older one is fainter or as faint, and none vanishes."""
    opacities = [bar_opacity(age) for age in range(60)]
    assert opacities[0] == 1.0
    assert opacities == sorted(opacities, reverse=True)
    assert len(set(opacities)) == 60
    assert opacities[-1] == 0.2


@given(st.integers(0, 10**9))
def test_scale_holds_the_peak_and_wastes_little(peak: int) -> None:
    """The full bar is never less than the peak; above the scale's floor the peak's bar is at least three quarters long."""
    full = full_views(peak)
    assert full >= max(5, peak)
    if peak > 5:
        assert peak / full >= 0.75


def test_scale_is_a_known_row_of_round_numbers() -> None:
    """The scale's values are few and round, so that bars do not change whenever the peak does."""
    scale = [5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200]
    assert sorted({full_views(peak) for peak in range(201)}) == scale
    assert full_views(5000) == 5000


def test_lengths_are_proportional() -> None:
    """Twice the views are twice the length, up to the full bar; one view beside a burst can still be seen; none is nothing."""
    assert bar_length(20, 40) == 2 * bar_length(10, 40) == LONGEST_BAR / 2
    assert bar_length(40, 40) == LONGEST_BAR
    assert bar_length(1, 5000) == SHORTEST_BAR
    assert bar_length(0, 5000) == 0.0


def test_bars_stay_within_the_drawing() -> None:
    """The longest bar ends inside the drawing."""
    assert RING_RADIUS + LONGEST_BAR <= SIZE / 2


@pytest.mark.parametrize("views", [0, 7, 37, 212, 1_284, 48_210, 299_531, 8_765_432, 98_765_432, 987_654_321])
def test_number_fits_between_the_marks(views: int) -> None:
    """The upper corners of the number's box, taken with wide digits, lie in the free middle; number and caption are centred."""
    text = f"{views:,}"
    dial = draw_dial([], views, AT)
    width = dial.number_size * sum(0.28 if sign == "," else 0.61 for sign in text)
    top = dial.number_baseline - 0.73 * dial.number_size
    assert math.hypot(width / 2, top) <= NUMBER_RADIUS + 0.2
    assert abs(top) == pytest.approx(dial.number_baseline + CAPTION_FOOT, abs=0.2)
    assert dial.number_size >= 30


def test_number_size_follows_the_count_of_digits_alone() -> None:
    """Numbers of equally many digits have one size, so that a counting number does not jump; a longer one is never larger."""
    assert number_size("1,111") == number_size("8,888")
    sizes = [number_size(f"{10**digits:,}") for digits in range(12)]
    assert sizes == sorted(sizes, reverse=True)
