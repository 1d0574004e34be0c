"""How numbers look on a terminal: one line a page or reason, its number first and its name last, so that lines can be cut and
searched. Nothing is wrapped or padded, and what is not a terminal gets plain text. Names from outside are shown, not obeyed: a
control character comes out as its escape, and nothing is taken for markup.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.text import Text

from footfall.errors import BadInput

if TYPE_CHECKING:
    from rich.progress import Progress

#: Width of the longest bar, in characters.
BAR_WIDTH = 24

_PERIOD_WORDS: Mapping[str, str] = {
    "24h": "past 24 hours",
    "7d": "past 7 days",
    "30d": "past 30 days",
    "12mo": "past 12 months",
    "all": "all time",
}


class _Console(Console):
    """A console whose reader may go away: then the rest is nobody's, and that is no error."""

    def on_broken_pipe(self) -> NoReturn:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())  # what is still buffered goes there
        raise SystemExit(0)


def console(*, stderr: bool = False) -> Console:
    """A console that colours nothing by itself."""
    return _Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def say(out: Console, *parts: str | tuple[str, str]) -> None:
    """Print one line, however long; a part is a text, or a text and its style. Every part is made `shown`."""
    line = Text.assemble(*(shown(part) if isinstance(part, str) else (shown(part[0]), part[1]) for part in parts))
    out.print(line, soft_wrap=True)


def shown(text: str) -> str:
    r"""The text with everything that is not printable as an escape: a terminal's escape character becomes ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def read_line(field: str) -> str:
    """A line of standard input without its end, in UTF-8. Raises BadInput naming `field` where there is none."""
    if sys.stdin is None:  # so Python has it where a service or a launcher started us without one
        raise BadInput(field, "standard input is closed, so it can't be read from there")
    line = sys.stdin.buffer.readline()
    if not line:
        raise BadInput(field, "standard input is empty, so it can't be read from there")
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeError:
        raise BadInput(field, "what standard input has is not UTF-8") from None


def agrees(question: str, option: str) -> bool:
    """Whether somebody says yes to a question. Raises BadInput naming the option that agrees, where nobody can be asked."""
    out = console(stderr=True)
    out.print(Text(f"{shown(question)} [y/N]: "), end="", soft_wrap=True)
    try:
        return read_line(option).strip().lower() in ("y", "yes")
    except BadInput:
        out.print()
        raise BadInput(option, "nobody can answer, for standard input is closed or empty; give this option to agree") from None


def window_words(seconds: int) -> str:
    """A window's width in words: "minute", "90 seconds"."""
    if seconds == 1:
        return "second"
    return "minute" if seconds == 60 else f"{seconds} seconds"


def period_words(period: str) -> str:
    """A period's name in words."""
    return _PERIOD_WORDS[period]


def views_words(views: int) -> str:
    """A number of views in words: "1 view", "1,728 views"."""
    return number_of(views, "view")


def number_of(number: int, what: str) -> str:
    """A number of things in words: "1 line", "1,728 lines"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def say_pages(out: Console, pages: Sequence[tuple[str, int]]) -> None:
    """Pages with their views and a bar each, in the order given."""
    for line in page_lines(out, pages):
        out.print(line, soft_wrap=True)


def page_lines(out: Console, pages: Sequence[tuple[str, int]]) -> Iterator[Text]:
    """The same as lines, drawn with what `out` can show."""
    stroke = "━" if out.encoding.startswith("utf") else "="
    most = max((views for _, views in pages), default=0)
    width = len(f"{most:,}")
    for page, views in pages:
        bar = stroke * max(1, round(BAR_WIDTH * views / most))
        yield Text.assemble("  ", (f"{views:>{width},}", "bold"), "  ", (f"{bar:{BAR_WIDTH}}", "red"), "  ", shown(page))


def say_numbers(out: Console, rows: Iterable[tuple[int, str]]) -> None:
    """Numbers and what each of them counts."""
    written = [(f"{number:,}", name) for number, name in rows]
    width = max((len(number) for number, _ in written), default=0)
    for number, name in written:
        say(out, "  ", (f"{number:>{width}}", "bold"), "  ", name)


def progress_bar(total: int | None) -> Progress:
    """Progress through `total` bytes, or through an unknown number of them; shown on standard error where that is a terminal."""
    # Imported here, for only the commands that read a log have such a bar.
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [TextColumn("reading"), BarColumn(style="dim", complete_style="red"), TaskProgressColumn(), DownloadColumn()]
    out = console(stderr=True)
    return Progress(
        *columns, *([TimeRemainingColumn()] if total else []), console=out, transient=True, disable=not out.is_terminal
    )
