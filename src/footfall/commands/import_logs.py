"""What `footfall import` does: read logs into a store, whole or as they grow, and show what was found.

What was found goes to standard output, a line a number; a progress bar and notes go to standard error. It opens no store and
looks up no settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.status import Status

from footfall.commands.arguments import stopped_by_signals
from footfall.composition import Registry, import_intake
from footfall.errors import BadInput
from footfall.importing import DryRun, Follow, Import, Log, Recipe, Summary, Workers, open_log
from footfall.importing.formats import Format, format_named, known_formats
from footfall.importing.judging import COUNTED, LogJudge, drop_reasons
from footfall.intake.countries import Countries
from footfall.model import DropReason
from footfall.rules import Site
from footfall.settings import Settings
from footfall.stores import Store
from footfall.terminal import console, number_of, progress_bar, say, say_numbers, shown, views_words

#: Nobody follows a log only to give up: the store is tried until somebody stops it.
_FOR_EVER = 1_000_000_000

#: What the names of rules mean, where the rows of a dry run show them.
_RULE_WORDS: Mapping[str, str] = {
    "unreadable": "in no known format, or too long",
    "unknown site": "its host is none of the sites",
    "other method": "another method than GET",
    "not shown": "an error, a redirect, or nothing to show",
    "no page": "its path can't be a page",
    "asset": "an image, a style sheet, a script, a file",
    "feed": "a news feed",
    "bot": "read by a program",
    "prefetch": "loaded before anybody asked for it",
    "privacy": "its reader asks not to be counted",
    "excluded": "by the site's rules",
}


class Wanted(NamedTuple):
    """What was asked for: logs by name, the site of lines that name none that is known, the name of a format or a pattern, and
    how many workers judge lines.
    """

    files: Sequence[str]
    site: str | None
    form: str | None
    is_dry: bool
    workers: int


class _Judging(NamedTuple):
    """The sites there are and what follows the store with them, and the site of lines that name none of them."""

    settings: Settings
    registry: Registry
    otherwise: Site | None

    @classmethod
    def begin(cls, store: Store, settings: Settings, site: str | None) -> Self:
        registry = Registry.of(store, settings, time.time)
        otherwise = None if site is None else registry.sites.get(site) or Site(site, settings.rules)
        return cls(settings, registry, otherwise)

    def judge(self) -> LogJudge:
        """What judges by the sites as they are at each moment."""
        countries = Countries(self.settings.country_header, self.settings.country_database)
        return LogJudge(
            import_intake(self.registry.sites, self.registry.visitors, countries), self.registry.sites, self.otherwise
        )

    def recipe(self) -> Recipe:
        """What judges by the sites as they are now."""
        sites = {name: self.registry.sites.rules(name) for name in self.registry.sites.names()}
        otherwise = None if self.otherwise is None else (self.otherwise.name, self.otherwise.rules)
        return Recipe(
            sites, otherwise, self.registry.visitors.salts, self.settings.country_header, self.settings.country_database
        )


async def import_logs(store: Store, settings: Settings, wanted: Wanted) -> None:
    """Import logs to their ends, and show what was found in all of them. Raises BadInput naming the argument at fault."""
    started = time.monotonic()
    judging = _Judging.begin(store, settings, wanted.site)
    await judging.registry.sites.refresh()
    if not wanted.is_dry:
        await judging.registry.salts.renew()
    recipe = judging.recipe()
    importing = Import(DryRun(store) if wanted.is_dry else store, recipe.judge(), _form(wanted))
    sizes = [_size(file) for file in wanted.files]
    whole = None if None in sizes else sum(size for size in sizes if size is not None)
    with _named_arguments(), progress_bar(whole) as bar, Workers(recipe, wanted.workers, whole) as workers:
        task = bar.add_task("", total=whole)
        done = 0
        for file in wanted.files:
            before = importing.summary()
            with open_log(file) as log:
                source = await importing.read(log, progress=partial(_show, bar, task, log, done), workers=workers)
                done += log.size or 0
            after = importing.summary()
            lines = after.lines - before.lines
            if lines and after.dropped.get(DropReason.UNREADABLE, 0) - before.dropped.get(DropReason.UNREADABLE, 0) == lines:
                raise BadInput("log", _unreadable(file, wanted, is_known=source is not None and source.form is not None))
    _say_summary(importing.summary(), wanted, time.monotonic() - started)


async def follow_log(store: Store, settings: Settings, wanted: Wanted) -> None:
    """Import a log as it is written, until SIGINT or SIGTERM; then show what was found. Raises BadInput as `import_logs` does."""
    started = time.monotonic()
    stop = asyncio.Event()
    err = console(stderr=True)

    async def pause(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    judging = _Judging.begin(store, settings, wanted.site)
    importing = Import(store, judging.judge(), _form(wanted), attempts=_FOR_EVER, pause=pause, is_stopped=stop.is_set)
    (file,) = wanted.files
    with _named_arguments(), stopped_by_signals(stop), _status(err, importing, file) as status:
        async with judging.registry.kept_fresh():
            await Follow(
                file,
                importing,
                lambda: {*judging.registry.sites.names(), *([wanted.site] if wanted.site else [])},
                clock=time.monotonic,
                pause=pause,
                is_stopped=stop.is_set,
                note=lambda line: say(err, ("note:", "yellow"), f" {line}"),
                looked=status,
            ).run()
    _say_summary(importing.summary(), wanted, time.monotonic() - started)


def _show(bar: Progress, task: TaskID, log: Log, done: int, read: int) -> None:
    """Show how much is read: of files as they are on the disk, of standard input as it comes out."""
    bar.update(task, completed=done + (read if log.size is None else log.position()))


def is_nothing_stored(settings: Settings) -> bool:
    """The store that the settings name is not there yet: a file that was never made, or a memory."""
    kind, _, place = settings.store.partition("://")
    return kind == "memory" or (kind == "sqlite" and not os.path.exists(os.path.expanduser(place.removeprefix("/"))))


def _form(wanted: Wanted) -> Format | None:
    return None if wanted.form is None else format_named(wanted.form)


def _size(file: str) -> int | None:
    return os.path.getsize(file) if os.path.isfile(file) else None


@contextlib.contextmanager
def _named_arguments() -> Iterator[None]:
    """Let an error about a log or a site name the argument."""
    try:
        yield
    except BadInput as error:
        raise BadInput({"log": "FILE", "site": "--site"}.get(error.field, error.field), error.hint) from None


class _Told:
    """Shows on a terminal how far an import has come; elsewhere one line says that it has begun."""

    def __init__(self, status: Status | None, importing: Import, file: str) -> None:
        self._status = status
        self._importing = importing
        self._file = file

    def __call__(self) -> None:
        if self._status is not None:
            found = self._importing.summary()
            last = "" if found.last is None else f", the last at {_moment(found.last)} UTC"
            self._status.update(
                shown(f"following {self._file}: {number_of(found.lines, 'line')}, {views_words(found.counted)}{last}")
            )


@contextlib.contextmanager
def _status(err: Console, importing: Import, file: str) -> Iterator[_Told]:
    if err.is_terminal:
        with Status("", console=err, spinner_style="red") as status:
            yield _Told(status, importing, file)
    else:
        say(err, f"following {file}; SIGINT or SIGTERM stops")
        yield _Told(None, importing, file)


def _unreadable(file: str, wanted: Wanted, *, is_known: bool) -> str:
    """Why no line of a log could be read, and what to do about it."""
    which = "it" if len(wanted.files) == 1 else repr(file)
    if is_known:
        return f"no line of {which} is in the format given; leave --format out, or see docs/importing.md for how to write it"
    names = ", ".join(known.name for known in known_formats() if ":" not in known.name)
    return f"no line of {which} is in a format known here ({names}); describe it with --format, see docs/importing.md"


def _say_summary(found: Summary, wanted: Wanted, seconds: float) -> None:
    out = console()
    is_one_site = set(found.sites) <= {wanted.site}
    title = (
        number_of(found.lines, "line") + (f" for {wanted.site}" if is_one_site and wanted.site else "") + f" in {seconds:.2f} s"
    )
    if found.first is not None and found.last is not None:
        title += f", views from {_moment(found.first)} to {_moment(found.last)} UTC"
    say(out, title)
    counted = "would be counted" if wanted.is_dry else "counted"
    if is_one_site:
        rows = [(found.counted, counted)]
    else:
        rows = sorted(((views, f"{counted} for {site}") for site, views in found.sites.items()), reverse=True)
    rows.append((found.already, "dealt with by an earlier import"))
    rows += _rows_by_rule(found) if wanted.is_dry else _rows_by_reason(found)
    say_numbers(out, [row for row in rows if row[0]])
    err = console(stderr=True)
    if wanted.is_dry:
        say(err, ("note:", "yellow"), " a dry run: nothing was written")
    for sample in found.samples:
        say(err, ("note:", "yellow"), f" unreadable, at byte {sample.start:,}: {sample.text}")


def _rows_by_reason(found: Summary) -> list[tuple[int, str]]:
    return sorted(((lines, f"not counted: {reason.value}") for reason, lines in found.dropped.items()), reverse=True)


def _rows_by_rule(found: Summary) -> list[tuple[int, str]]:
    reasons = drop_reasons()
    rows = [
        (lines, f"not counted: {reasons[rule].value} ({_RULE_WORDS.get(rule, rule)})")
        for rule, lines in found.rules.items()
        if rule != COUNTED
    ]
    return sorted(rows, reverse=True)


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
