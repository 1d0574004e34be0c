"""The command line: `footfall serve | count | top | import | check`.

An error is one line on standard error and a non-zero status: 2 where the command line itself can't be understood, else 1.
Whatever a line says comes out as plain text: a control character or markup in a name is shown, not obeyed. Heavy modules are
imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

from footfall import __version__
from footfall.errors import BadInput, FootfallError, SettingError
from footfall.model import PERIODS, Batch, SiteBatch, Span, Tier
from footfall.settings import PREFIX, Settings, load_settings, setting_name, shown_url, unknown_settings
from footfall.settings.values import listed_sites, whole_seconds
from footfall.stores import Store, open_configured, scheme_of
from footfall.terminal import console, period_words, progress_bar, say, say_numbers, say_pages, views_words, window_words

#: `footfall count` takes at most so many views at once: a slip of the finger must not spoil a total for ever.
MOST_VIEWS = 1_000_000

MOST_PAGES = 1000
PAGES_SHOWN = 20

app = typer.Typer(
    name="footfall",
    help="Footfall counts page views: exact to the second, durable, live.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> NoReturn:
    """Run the command line; what the installed `footfall` calls."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a page is called, and whatever the terminal can write
            stream.reconfigure(errors="backslashreplace")
    # asyncio's own handler would let a blocking read, as of standard input, go on until the second Ctrl-C.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        ended = app(prog_name="footfall", standalone_mode=False)
    except typer.TyperException as error:  # the command line can't be understood
        path = getattr(getattr(error, "ctx", None), "command_path", "footfall")
        message = error.format_message().rstrip(".?")
        _fail(f"{path}: {message[:1].lower()}{message[1:]}; see {path} --help", 2)
    except FootfallError as error:
        _fail(f"footfall: {error}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:  # a store's and a log's are ours by now: what is left is our own output, as on a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _fail(f"footfall: can't go on: {error.strerror or error}")
    except Exception as error:
        if os.environ.get(setting_name("log_level"), "").lower() == "debug":
            raise
        fault = f"{type(error).__name__}: {error}"
        _fail(f"footfall: a fault of its own, please report it ({fault}); with {setting_name('log_level')}=debug it says where")
    raise SystemExit(ended if isinstance(ended, int) else 0)


def _fail(line: str, status: int = 1) -> NoReturn:
    name, colon, rest = line.partition(":")
    say(console(stderr=True), (name + colon, "bold red"), rest)
    raise SystemExit(status)


def _interrupt(_signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"footfall {__version__}")
        raise typer.Exit


StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help=f"The store, instead of {PREFIX}STORE.", show_default=False)
]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE", help="The site's name, as in example.com.")]


@app.callback()
def _options(
    ctx: typer.Context,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help=f"Listen here, instead of on {PREFIX}HOST.", show_default=False)
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help=f"Listen here, instead of on {PREFIX}PORT.", show_default=False)
    ] = None,
    store: StoreOption = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help=f"So many processes, instead of {PREFIX}WORKERS.", show_default=False)
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the source changes; for development.")] = False,
) -> None:
    """Count and show views, until Ctrl-C or SIGTERM.

    Then requests under way are finished and the last batch is committed. All other settings come from the environment and
    from a file .env; docs/settings.md lists them.
    """
    from footfall.server import serve as run

    given = {"host": host, "port": port, "store": store, "workers": workers}
    settings = _settings(**given)
    for name, value in given.items():
        if value is not None:  # the workers read their settings from the environment
            os.environ.pop(f"{setting_name(name)}_FILE", None)
            os.environ[setting_name(name)] = value
    err = console(stderr=True)
    for line in unknown_settings():
        say(err, ("warning:", "yellow"), f" {line}")

    def announce(port: int) -> None:
        where = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # compared, not bound
        address = f"http://[{where}]:{port}" if ":" in where else f"http://{where}:{port}"
        say(err, f"Footfall {__version__} counts for {', '.join(settings.sites)} in {shown_url(settings.store)}")
        say(err, "Open ", (address, "bold"), "   (Ctrl-C stops)")

    with _named_as_given(given):
        run(settings, announce, reload=reload)


@app.command()
def count(
    site: SiteArgument,
    page: Annotated[str, typer.Argument(metavar="PAGE", help="The page's path, as in /blog/post.")],
    n: Annotated[str, typer.Option("--n", "-n", metavar="N", help="So many views; 0 counts none and only shows.")] = "1",
    store: StoreOption = None,
) -> None:
    """Count a view of a page, and show its numbers.

    The view counts now, by the clock of the store, as if a visitor had come.
    """
    from footfall.intake.pages import BadPage, normalise

    settings = _settings(store=store)
    try:
        path = normalise(page)
    except BadPage as error:
        raise BadInput("PAGE", f"{error}; write a path, as in /blog/post") from None
    views = _number("--n", n, 0, MOST_VIEWS)
    site = _site_name(site, settings)

    async def run(opened: Store) -> None:
        if views:
            await opened.commit(Batch(secrets.token_hex(16), 1, {site: SiteBatch(pages={path: views})}, settings.window))
        numbers = (await opened.counts(site, [path], settings.window)).pages[path]
        out = console()
        say(out, (views_words(numbers.views), "bold"), f" of {path} in the past {window_words(settings.window)}")
        say(out, (f"{numbers.today:,} today (UTC), {numbers.total:,} in total", "dim"))

    _with_store(settings, run)


@app.command()
def top(
    site: SiteArgument,
    window: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="The newest seconds, as in 10 or 5m.", show_default=False)
    ] = None,
    period: Annotated[
        str | None, typer.Option(metavar="PERIOD", help=f"One of {', '.join(PERIODS)}.", show_default=False)
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="N", help=f"At most so many pages.  [default: {PAGES_SHOWN}]", show_default=False),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Show a site's most viewed pages.

    Those of the past minute, unless --window or --period says otherwise. Periods are whole hours, days or months (UTC), the
    current one included.
    """
    settings = _settings(store=store)
    if window is not None and period is not None:
        raise BadInput("--period", "give --window or --period, not both")
    if period is None:
        width = settings.window if window is None else _window(window, settings.longest_window)
        span, past = Span(Tier.SECOND, width), f"past {window_words(width)}"
    elif period in PERIODS:
        span, past = PERIODS[period], period_words(period)
    else:
        raise BadInput("--period", f"write one of {', '.join(PERIODS)}")
    wanted = PAGES_SHOWN if limit is None else _number("--limit", limit, 1, MOST_PAGES)
    site = _site_name(site, settings)

    async def run(opened: Store) -> None:
        found = await opened.top(site, span, wanted + 1)
        out = console()
        say(out, f"Views of {site} by page" if found.pages else f"No views of {site}", f", {past}, at {_moment(found.at)} UTC")
        say_pages(out, found.pages[:wanted])
        if limit is None and len(found.pages) > wanted:
            say(console(stderr=True), ("note:", "yellow"), " there are more pages; --limit says how many to show")

    _with_store(settings, run)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The log, plain or gzip; - for standard input.")],
    site: Annotated[str, typer.Option("--site", metavar="SITE", help="The site whose log it is.")],
    store: StoreOption = None,
) -> None:
    """Count the views in a web server's log.

    Logs are read in the combined and the common format, which Apache and nginx write by default. Each view counts at the time
    its line names, and each line once, however often the file is imported. docs/what-counts.md says which lines are views.
    """
    from footfall.importer import import_log, open_log
    from footfall.intake.agents import Agents
    from footfall.model import DropReason

    settings = _settings(store=store)
    site = _site_name(site, settings)
    size = os.path.getsize(file) if os.path.isfile(file) and not file.endswith(".gz") else None

    async def run(opened: Store) -> None:
        started = time.monotonic()
        try:
            with open_log(file) as lines, progress_bar(size) as bar:
                task = bar.add_task("", total=size)
                summary = await import_log(lines, site, opened, Agents(), progress=lambda done: bar.update(task, completed=done))
        except BadInput as error:
            raise BadInput("FILE", error.mend) from None
        if summary.lines and summary.dropped.get(DropReason.UNREADABLE) == summary.lines:
            raise BadInput("FILE", "no line of it is in the combined or the common log format; see docs/what-counts.md")
        title = f"{summary.lines:,} lines for {site} in {time.monotonic() - started:.2f} s"
        if summary.first is not None and summary.last is not None:
            title += f", views from {_moment(summary.first)} to {_moment(summary.last)} UTC"
        rows = [(summary.counted, "counted"), (summary.already, "dealt with by an earlier import")]
        rows += sorted(((n, f"not counted: {reason.value}") for reason, n in summary.dropped.items()), reverse=True)
        out = console()
        say(out, title)
        say_numbers(out, [row for row in rows if row[0]])

    _with_store(settings, run)


@app.command()
def check(store: StoreOption = None) -> None:
    """Say whether settings and store are fit to serve with.

    The store proves it by taking a write; a store that does not exist yet is made.
    """
    out = console()
    settings = _settings(store=store)

    def fine(text: str) -> None:
        say(out, ("ok", "green"), f"    {text}")

    def note(text: str) -> None:
        say(out, ("note", "yellow"), f"  {text}")

    for line in unknown_settings():
        note(line)
    fine(
        f"settings: counts for {', '.join(settings.sites)}; anyone may read {', '.join(settings.public_sites) or 'none of them'}"
    )
    if settings.spool:
        _prove_folder(settings.spool)
        fine(f"spool: views wait in {settings.spool} while the store is away")
    if scheme_of(settings.store) == "memory":
        note("store: memory:// forgets everything when the server stops")
        return

    async def run(opened: Store) -> None:
        started = time.monotonic()
        await opened.ping()
        fine(f"store: {shown_url(settings.store)} takes a durable write in {(time.monotonic() - started) * 1000:.1f} ms")
        for line in await opened.warnings():
            note(f"store: {line}")
        for site in settings.sites:
            numbers = (await opened.counts(site, [""], settings.window)).pages[""]
            past = f"{views_words(numbers.views)} in the past {window_words(settings.window)}"
            fine(f"{site}: {past}, {numbers.total:,} in total")

    _with_store(settings, run)


def _settings(**given: str | None) -> Settings:
    """The settings, those that options of a command give before all others."""
    with _named_as_given(given):
        settings = load_settings(given)
        scheme_of(settings.store)
    return settings


@contextlib.contextmanager
def _named_as_given(given: Mapping[str, str | None]) -> Iterator[None]:
    """Let an error about a setting name the option, where that is what gave it."""
    try:
        yield
    except SettingError as error:
        option = error.setting.removeprefix(PREFIX).lower()
        if given.get(option) is None:
            raise
        raise BadInput(f"--{option}", error.problem) from None


def _site_name(written: str, settings: Settings) -> str:
    """The site's name as it is stored, with a note where the server would not count it."""
    try:
        (name,) = cast("tuple[str]", listed_sites([written]))
    except ValueError:
        raise BadInput("SITE", "write a host name such as example.com or localhost:8080, without https:// and a path") from None
    if name not in settings.sites:
        note = f" {name} is not in {PREFIX}SITES: a server with these settings neither counts for it nor shows it"
        say(console(stderr=True), ("note:", "yellow"), note)
    return name


def _number(option: str, written: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`, from what was given with an option."""
    if not re.fullmatch("[0-9]{1,18}", written) or not least <= int(written) <= most:
        raise BadInput(option, f"write a whole number from {least} to {most}")
    return int(written)


def _window(written: str, longest: int) -> int:
    """A window's width in seconds."""
    seconds = whole_seconds(written)
    if not isinstance(seconds, int) or not 1 <= seconds <= longest:
        raise BadInput("--window", f"write a whole number of seconds from 1 to {longest}")
    return seconds


def _prove_folder(folder: str) -> None:
    try:
        path = Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SettingError(
            setting_name("spool"), f"can't write in {folder} ({error.strerror}); name a folder that can be written, or off"
        ) from None


def _with_store(settings: Settings, run: Callable[[Store], Awaitable[None]]) -> None:
    """Open the store, run with it, and close it whatever comes."""
    if scheme_of(settings.store) == "memory":
        raise SettingError(
            setting_name("store"), "memory:// lives in the server's own process; name a file, as in sqlite:///footfall.db"
        )

    async def work() -> None:
        store = open_configured(settings, time.time)
        try:
            await run(store)
        finally:
            await store.close()

    asyncio.run(work())


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
