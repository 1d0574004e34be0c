"""The pages about sizing and growing reckon with what was measured: their table is made from benchmarks/results, and the round
figures in their text are near to it.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from tests.docs.tracked import ROOT

SIZING = ROOT / "docs" / "sizing.md"
GROWING = ROOT / "docs" / "growing.md"
README = ROOT / "README.md"
IMPORTING = ROOT / "docs" / "importing.md"
BEGIN = "<!-- sizing:begin -->\n"
END = "\n<!-- sizing:end -->"

#: A round figure may be so far from the measured one: runs differ by as much on machines that do other work.
NEAR = 0.25

THROUGHPUT, REDIS, MEMORY = "throughput", "redis", "memory"
ONE, MANY, SITES = ("/count", "1"), ("/count", "10,000"), ("/count, one page of 10,000 sites", "10,000")
RATE, STORE_TIME, CALLS = "requests/s", "Redis CPU ms / 1,000 views", "calls / 1,000 views"


def results(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def measured(name: str, answer: tuple[str, str], column: str, connections: str = "256") -> float:
    """A figure of a benchmark's table: of the row for an answer and so many pages, at so many connections."""
    (row,) = [
        row
        for row in results(name)["rows"]
        if (row["answer"], row["pages"], row["connections"]) == (*answer, connections) and row[column] is not None
    ]
    return float(row[column]["value"])


def resident(when: int) -> float:
    return float(results(MEMORY)["rows"][when]["resident MB"]["value"])


def reading(name: str) -> float:
    return max(float(row["median ms"]["value"]) for row in results(name)["rows"])


def stored(pages: str) -> float:
    (row,) = [row for row in results("redis-memory")["rows"] if (row["sites"], row["pages a site"]) == ("1", pages)]
    return float(row["bytes a page and second"]["value"])


def imported(workers: str) -> float:
    """Lines a second, the mean of all formats."""
    rows = results("imports")["rows"]
    return sum(float(row[workers]["value"]) for row in rows) / len(rows)


def sizing_table() -> str:
    """The table of what was measured, in Markdown, without a newline at its end."""

    def rates(name: str, answer: str) -> str:
        return " / ".join(f"{measured(name, (answer, pages), RATE):,.0f}" for pages in ("1", "10,000"))

    times = " / ".join(f"{measured(REDIS, answer, STORE_TIME):.1f} ms" for answer in (ONE, MANY, SITES))
    rows = [
        ("views a second on one core, a file: one page / 10,000 pages", rates(THROUGHPUT, "/count"), THROUGHPUT),
        ("the same, the page's count in the reply", f"{measured(THROUGHPUT, ('/count, JSON', '1'), RATE):,.0f}", THROUGHPUT),
        ("views a second on one core, Redis: one page / 10,000 pages", rates(REDIS, "/count"), REDIS),
        ("the same, one page of each of 10,000 sites", f"{measured(REDIS, SITES, RATE):,.0f}", REDIS),
        ("processor time of Redis for 1,000 views: one page / 10,000 pages / 10,000 sites", times, REDIS),
        (
            "memory of a process: just started / after a million views of 10,000 pages",
            f"{resident(0):.0f} / {resident(1):.0f} MB",
            MEMORY,
        ),
        ("reading a page's past minute: file", f"{reading('reads'):.1f} ms", "reads"),
        ("the same: Redis", f"{reading('redis-reads'):.1f} ms", "redis-reads"),
        (
            "memory of Redis for a page in a second: of 100 pages / of 1,000",
            f"{stored('100'):.0f} / {stored('1,000'):.0f} bytes",
            "redis-memory",
        ),
    ]
    machine = results(REDIS)["machine"]
    when = datetime.datetime.fromtimestamp(machine["at"], datetime.UTC).date()
    by = f"Footfall {machine['packages']['footfall']}, {machine['python']}, {machine['cpu']}, {machine['cores']} cores"
    return "\n".join(
        [
            "| what, with 256 connections | measured | in `benchmarks/results/` |",
            "|---|--:|---|",
            *(f"| {what} | {figure} | [{name}](../benchmarks/results/{name}.md) |" for what, figure, name in rows),
            "",
            f"On {when}, {by}.",
        ]
    )


def test_the_table_is_the_generated_one() -> None:
    """Between the marks stands what was measured last, letter for letter."""
    _, begin, rest = SIZING.read_text(encoding="utf-8").partition(BEGIN)
    table, end, _ = rest.partition(END)
    assert begin
    assert end
    assert table == sizing_table(), (
        f"put this between the marks of docs/sizing.md, and look over what is reckoned from it:\n{sizing_table()}"
    )


FILE_MANY = measured(THROUGHPUT, MANY, RATE)
REDIS_MANY = measured(REDIS, MANY, RATE)
STORE_MANY = measured(REDIS, MANY, STORE_TIME)
STORE_SITES = measured(REDIS, SITES, STORE_TIME)


@pytest.mark.parametrize(
    ("page", "text", "figure", "by"),
    [
        (SIZING, "8,000 views a second for a core", 8000, REDIS_MANY / 4),
        (SIZING, "**75 MB a process**", 75, resident(1)),
        (IMPORTING, "some 85,000 lines a second to a file, two cores 115,000", 85_000, imported("no workers")),
        (IMPORTING, "some 85,000 lines a second to a file, two cores 115,000", 115_000, imported("2 workers")),
        (README, "some 115,000 lines a second on two cores", 115_000, imported("2 workers")),
        (GROWING, "| one file | 35 µs", 35, 1e6 / FILE_MANY),
        (GROWING, "| one Redis | 31 µs | 11 µs", 31, 1e6 / REDIS_MANY),
        (GROWING, "| one Redis | 31 µs | 11 µs", 11, STORE_MANY),
        (GROWING, "10,000 sites viewed at once | 228 µs | 177 µs", 228, 1e6 / measured(REDIS, SITES, RATE)),
        (GROWING, "10,000 sites viewed at once | 228 µs | 177 µs", 177, STORE_SITES),
        (GROWING, "2.2 ms for 1,000 views / 5.6 calls", 2.2, measured(REDIS, ONE, STORE_TIME)),
        (GROWING, "11 ms for 1,000 views / 6.3 calls", 11, STORE_MANY),
        (GROWING, "11 ms for 1,000 views / 6.3 calls", 6.3, measured(REDIS, MANY, CALLS)),
        (GROWING, "177 ms for 1,000 views / 747 calls", 747, measured(REDIS, SITES, CALLS)),
        (GROWING, "| 60 | 47 | 0.9 ms", 0.9, measured(REDIS, MANY, STORE_TIME, "64") / measured(REDIS, MANY, CALLS, "64")),
        (GROWING, "| 160 | 111 | 1.7 ms", 1.7, STORE_MANY / measured(REDIS, MANY, CALLS)),
        (GROWING, "23,000 views a second on 10,000 pages", 23_000, 1e6 / STORE_MANY / 4),
        (GROWING, "29,000 to 36,000 views a second on one core", 29_000, FILE_MANY),
        (GROWING, "39,000 ÷ 1,100", 1100, measured(REDIS, SITES, RATE) / 4),
        (GROWING, "39,000 ÷ 1,420", 1420, 1e6 / STORE_SITES / 4),
        (GROWING, "1,000,000 ÷ 32,600 = 31", 32_600, REDIS_MANY),
        (GROWING, "1,000,000 ÷ 32,000 = 31", 32_000, measured(REDIS, ("bare 204", "10,000"), RATE)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_round_figures_are_near_to_what_was_measured(page: Any, text: str, figure: float, by: float) -> None:
    """What is reckoned with is not better or worse than a quarter off."""
    assert text in " ".join(page.read_text("utf-8").split())
    assert figure == pytest.approx(by, rel=NEAR)


def expected_pages(views: int, pages: int = 10_000) -> float:
    """How many different pages are met in so many views, the n-th of them being viewed 1/n as often as the first."""
    whole = sum(1 / n for n in range(1, pages + 1))
    return sum(1 - (1 - 1 / n / whole) ** views for n in range(1, pages + 1))


@pytest.mark.parametrize(
    ("views", "pages"), [(60, 47), (98, 73), (160, 111), (980, 503), (2500, 1048), (19_600, 4261), (15_000, 3637)]
)
def test_the_different_pages_of_a_call_are_right(views: int, pages: int) -> None:
    """As Zipf's law has it for 10,000 pages, which the benchmarks draw from."""
    assert pages == pytest.approx(expected_pages(views), rel=0.02)
    assert f"{pages:,}" in GROWING.read_text("utf-8")
