"""What the dashboard works out from numbers: periods, scales, lines, lists less lists, and words."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.model import DAY, HOUR, PERIODS, DropReason, Span, Tier
from footfall.web.dashboard.charts import HEIGHT, Point, draw_chart, line_step, spark
from footfall.web.dashboard.period import NAMES, Asked, period_of, read_asked
from footfall.web.dashboard.reads import less, ordered
from footfall.web.dashboard.words import change, ledger_rows, percent

#: Tuesday, 24 November 2026, 11:20:35 UTC.
NOW = calendar.timegm((2026, 11, 24, 11, 20, 35))
TODAY = Tier.DAY.start(NOW)


def test_every_period_has_a_name() -> None:
    """Those that the store knows are those that can be chosen."""
    assert NAMES.keys() == PERIODS.keys()


@pytest.mark.parametrize("name", [name for name in PERIODS if name != "all"])
def test_a_period_ends_now_and_has_one_of_the_same_length_before_it(name: str) -> None:
    """Both are whole buckets, and they touch."""
    period = period_of(Asked(name), NOW, 0)
    assert period.start <= NOW < period.end
    assert period.start == PERIODS[name].start(NOW)
    assert period.before is not None
    count = len(period.buckets)
    before = period.tier.starts(period.before, period.start)
    if period.tier is period.span.tier:
        assert (count, len(before)) == (period.span.buckets, period.span.buckets)
    assert before[-1] == period.tier.back(period.start, 1)


@pytest.mark.parametrize(("months", "tier"), [(0, Tier.DAY), (2, Tier.DAY), (3, Tier.DAY), (4, Tier.MONTH), (50, Tier.MONTH)])
def test_all_time_is_drawn_by_the_month_when_there_are_enough(months: int, tier: Tier) -> None:
    """And begins with the first month that has views."""
    first = Tier.MONTH.back(NOW, months)
    period = period_of(Asked("all"), NOW, first)
    assert (period.tier, period.start, period.before) == (tier, first, None)


def test_days_that_have_ended_leave_out_what_came_later() -> None:
    """Both ends are included; the lists are of a span less a later one."""
    period = period_of(read_asked({"from": "2026-11-10", "to": "2026-11-19"}), NOW, 0)
    assert (period.start, period.end) == (TODAY - 14 * DAY, TODAY - 4 * DAY)
    assert period.before == TODAY - 24 * DAY
    assert (period.span, period.later) == (Span(Tier.DAY, 15), Span(Tier.DAY, 5))
    assert period.span.start(NOW) == period.start
    assert period.later is not None
    assert period.later.start(NOW) == period.end


def test_days_up_to_today_end_now() -> None:
    """There is nothing later, and a day to come is no part of it."""
    period = period_of(read_asked({"from": "2026-11-24", "to": "2026-12-24"}), NOW, 0)
    assert (period.later, period.end, period.tier) == (None, NOW + 1, Tier.HOUR)
    assert period.buckets == [TODAY + hour * HOUR for hour in range(12)]


@pytest.mark.parametrize(
    "query",
    [{"from": "2026-11-25", "to": "2026-11-26"}, {"from": "2024-11-24", "to": "2026-11-26"}],
)
def test_days_that_are_not_kept_or_yet_to_come_are_refused(query: dict[str, str]) -> None:
    """The message names the field."""
    with pytest.raises(BadInput) as error:
        period_of(read_asked(query), NOW, 0)
    assert error.value.field == "from"


@given(st.integers(0, 10**12))
def test_a_scale_has_round_lines_and_room_for_the_peak(peak: int) -> None:
    """Four of them reach the peak, and not three times as far."""
    step = line_step(peak)
    assert 4 * step >= peak
    assert peak <= 4 or 4 * step <= 3 * peak
    assert str(step).rstrip("0") in {"1", "2", "25", "5"}


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=60))
def test_no_bar_leaves_the_drawing_and_none_of_visitors_that_of_views(numbers: list[tuple[int, int]]) -> None:
    """More visitors than views are an estimate's error."""
    points = [Point(n, "", views, visitors, None) for n, (views, visitors) in enumerate(numbers)]
    chart = draw_chart(points, ends_open=True)
    assert [bar.is_open for bar in chart.bars] == [False] * (len(points) - 1) + [True]
    for bar in chart.bars:
        assert 0 <= bar.inner_height <= bar.height <= HEIGHT
        assert bar.top + bar.height == pytest.approx(HEIGHT)
    assert all(0 < place < 100 for place, _ in chart.names)


def test_a_sparkline_spans_its_drawing() -> None:
    """From the left to the right; one number is no line."""
    assert spark([0, 5, 10]) == "0.0,22.0 50.0,12.0 100.0,2.0"
    assert spark([3]) == ""


def test_a_list_less_a_later_one_keeps_its_order() -> None:
    """What is left of nothing is not listed."""
    assert less([("a", 9), ("b", 8), ("c", 7)], [("a", 5), ("b", 8), ("d", 1)]) == [("c", 7), ("a", 4)]
    assert ordered([("b", 2), ("a", 2), ("c", 3)], (3, "c")) == [("a", 2), ("b", 2)]


def test_the_ledger_names_every_reason() -> None:
    """Also one that has no sentence yet."""
    outcomes = [(reason.value, 1) for reason in DropReason] + [("something-new", 1)]
    rows = ledger_rows(10, outcomes)
    assert sum(row.views for row in rows) == 10 + len(outcomes)
    assert all(row.why for row in rows[1:-1])
    assert (rows[-1].name, rows[-1].why) == ("something new", "")


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0 %"), (0, 9, "0 %"), (1, 1000, "< 1 %"), (999, 1000, "> 99 %"), (5, 5, "100 %"), (1, 3, "33 %")],
)
def test_percentages_do_not_lie_at_their_ends(part: int, whole: int, text: str) -> None:
    """A little is not nothing, and almost all is not all."""
    assert percent(part, whole) == text


@pytest.mark.parametrize(("now", "before", "text"), [(5, 0, ""), (12, 10, "+20 %"), (9, 10, "\u221210 %"), (10, 10, "±0 %")])
def test_a_change_has_its_sign(now: int, before: int, text: str) -> None:
    """Against nothing there is none."""
    assert change(now, before) == text
