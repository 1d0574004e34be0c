"""The README's table of figures is what the benchmarks measured: it is made from benchmarks/results."""

from __future__ import annotations

import json

from tests.docs.tracked import ROOT

BEGIN = "<!-- bench:begin -->\n"
END = "\n\n"

COUNT, VISITS = "/count", "/count, referrers and agents"

#: The rows: what the README calls it, the benchmark, and there the answer and the pages.
ROWS = (
    ("`/count`, one page, SQLite, each view on disk before the reply", "throughput", COUNT, "1"),
    ("the same, every view with a referrer", "throughput", VISITS, "1"),
    ("10,000 pages", "throughput", COUNT, "10,000"),
    ("10,000 pages, with 1,000 referrers and 1,000 browsers", "throughput", VISITS, "10,000"),
    ("`/count` on Redis, one page", "redis", COUNT, "1"),
    ("10,000 pages", "redis", COUNT, "10,000"),
    ("10,000 pages, with 1,000 referrers and 1,000 browsers", "redis", VISITS, "10,000"),
)


def share(benchmark: str, answer: str, pages: str, connections: str) -> str:
    """The share of the bare server's requests a second, to two places; a dash where that was not measured."""
    rows = json.loads((ROOT / "benchmarks" / "results" / f"{benchmark}.json").read_text("utf-8"))["rows"]
    of_bare = [
        row["of bare"] for row in rows if (row["answer"], row["pages"], row["connections"]) == (answer, pages, connections)
    ]
    return f"{of_bare[0]['value']:.2f}" if of_bare else "–"


def table() -> str:
    """The table's rows, in Markdown."""
    return "\n".join(
        f"| {words} | {share(benchmark, answer, pages, '64')} | {share(benchmark, answer, pages, '256')} |"
        for words, benchmark, answer, pages in ROWS
    )


def test_the_readme_has_the_measured_figures() -> None:
    """To mend it, put the rows that this prints into the README."""
    lines = (ROOT / "README.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()
    assert "\n".join(lines[2:]) == table()
