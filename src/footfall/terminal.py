"""How numbers look on a terminal: tables, bars, periods and progress, in plain text that names from outside can't dress up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

#: Width of the longest bar, in characters.
BAR_WIDTH = 24

_PERIOD_WORDS: Mapping[str, str] = {
    "24h": "past 24 hours",
    "7d": "past 7 days",
    "30d": "past 30 days",
    "12mo": "past 12 months",
    "all": "all time",
}


def window_words(seconds: int) -> str:
    """A window's width in words: "minute", "90 seconds"."""
    return "minute" if seconds == 60 else f"{seconds} seconds"


def period_words(period: str) -> str:
    """A period's name in words."""
    return _PERIOD_WORDS[period]


def console(*, stderr: bool = False) -> Console:
    """A console that colours nothing by itself."""
    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def label(word: str, style: str, text: str) -> Text:
    """A line that begins with a coloured word."""
    return Text.assemble((word, style), text)


def page_table(pages: Sequence[tuple[str, int]]) -> Table:
    """Pages and their views, most viewed first, with a bar each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Page", overflow="fold")
    table.add_column("Views", justify="right")
    table.add_column("", no_wrap=True)
    most = max(views for _, views in pages)
    for page, views in pages:
        table.add_row(Text(page), Text(f"{views:,}", "bold"), Text("━" * max(1, round(BAR_WIDTH * views / most)), "red"))
    return table


def number_table(rows: Sequence[tuple[str, int]]) -> Table:
    """Names and numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, number in rows:
        table.add_row(Text(name), Text(f"{number:,}", "bold"))
    return table


def progress_bar(total: int | None) -> Progress:
    """Progress through `total` bytes, or through an unknown number of them; shown on standard error where that is a terminal."""
    columns = [TextColumn("reading"), BarColumn(style="dim", complete_style="red"), TaskProgressColumn(), DownloadColumn()]
    out = console(stderr=True)
    return Progress(
        *columns, *([TimeRemainingColumn()] if total else []), console=out, transient=True, disable=not out.is_terminal
    )
