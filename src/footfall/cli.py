"""The command line: `footfall serve | count | top`, and all that stands in `commands/`.

An error is one line on standard error and a non-zero status: 2 where the command line itself can't be understood, else 1.
Whatever a line says comes out as plain text: a control character or markup in a name is shown, not obeyed. Heavy modules are
imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import os
import secrets
import signal
import sys
import time
from functools import partial
from typing import Annotated, NoReturn

import typer

from footfall import __version__
from footfall.commands.access import admin_app, share_app, site_app, token_app
from footfall.commands.backup import back_up, restore
from footfall.commands.check import check
from footfall.commands.export import export
from footfall.commands.opening import (
    SiteArgument,
    StoreOption,
    known_site,
    named_as_given,
    settings_with,
    whole_number,
    with_store,
)
from footfall.commands.seed import seed
from footfall.commands.watch import watch
from footfall.errors import BadInput, FootfallError
from footfall.model import PERIODS, Batch, SiteBatch, Span, Tier
from footfall.settings import PREFIX, setting_name, shown_url, unknown_settings
from footfall.settings.values import whole_seconds
from footfall.stores import Store, open_configured
from footfall.terminal import console, period_words, say, say_pages, views_words, window_words

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


for _name, _group in (("site", site_app), ("token", token_app), ("share", share_app), ("admin", admin_app)):
    app.add_typer(_group, name=_name)
site_app.command("seed")(seed)


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
    settings = settings_with(**given)
    for name, value in given.items():
        if value is not None:  # the workers read their settings from the environment
            os.environ.pop(f"{setting_name(name)}_FILE", None)
            os.environ[setting_name(name)] = value
    err = console(stderr=True)
    for line in unknown_settings():
        say(err, ("warning:", "yellow"), f" {line}")

    def announce(port: int, key: str | None) -> None:
        where = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # compared, not bound
        address = f"http://[{where}]:{port}" if ":" in where else f"http://{where}:{port}"
        say(err, f"Footfall {__version__} counts for {', '.join(settings.sites)} in {shown_url(settings.store)}")
        say(err, "Open ", (address, "bold"), "   (Ctrl-C stops)")
        if key:
            say(err, "Set the dashboard's password, once and within an hour: ", (f"{address}/welcome?key={key}", "bold"))

    with named_as_given(given):
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

    settings = settings_with(store=store)
    try:
        path = normalise(page)
    except BadPage as error:
        raise BadInput("PAGE", f"{error}; write a path, as in /blog/post") from None
    views = whole_number("--n", n, 0, MOST_VIEWS)
    site = known_site(site, settings)

    async def run(opened: Store) -> None:
        if views:
            await opened.commit(Batch(secrets.token_hex(16), 1, {site: SiteBatch(pages={path: views})}, settings.window))
        numbers = (await opened.counts(site, [path], settings.window)).pages[path]
        out = console()
        say(out, (views_words(numbers.views), "bold"), f" of {path} in the past {window_words(settings.window)}")
        say(out, (f"{numbers.today:,} today (UTC), {numbers.total:,} in total", "dim"))

    with_store(settings, run)


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
    settings = settings_with(store=store)
    if window is not None and period is not None:
        raise BadInput("--period", "give --window or --period, not both")
    if period is None:
        width = settings.window if window is None else _window(window, settings.longest_window)
        span, past = Span(Tier.SECOND, width), f"past {window_words(width)}"
    elif period in PERIODS:
        span, past = PERIODS[period], period_words(period)
    else:
        raise BadInput("--period", f"write one of {', '.join(PERIODS)}")
    wanted = PAGES_SHOWN if limit is None else whole_number("--limit", limit, 1, MOST_PAGES)
    site = known_site(site, settings)

    async def run(opened: Store) -> None:
        found = await opened.top(site, span, wanted + 1)
        out = console()
        say(out, f"Views of {site} by page" if found.pages else f"No views of {site}", f", {past}, at {_moment(found.at)} UTC")
        say_pages(out, found.pages[:wanted])
        if limit is None and len(found.pages) > wanted:
            say(console(stderr=True), ("note:", "yellow"), " there are more pages; --limit says how many to show")

    with_store(settings, run)


app.command()(watch)


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Logs, plain or packed; - for standard input.")],
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="SITE", help="The site of lines that name no known site.", show_default=False),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="A format's name, or a pattern.  [default: told by the first lines]"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log is written, until Ctrl-C or SIGTERM.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be counted, and write nothing.")] = False,
    store: StoreOption = None,
) -> None:
    """Count the views in logs, or in other counters' exports.

    Each view counts at the time its line names, and each line once, however often a log is imported. docs/importing.md has the
    formats, and docs/what-counts.md says which lines are views.
    """
    from footfall.commands.import_exports import are_exports, import_exports
    from footfall.commands.import_logs import Wanted, follow_log, import_logs, is_nothing_stored

    settings = settings_with(store=store)
    site = None if site is None else known_site(site, settings)
    if follow and (dry_run or len(files) > 1 or files == ["-"]):
        raise BadInput("--follow", "follows one log that is a file, and counts it; leave out --dry-run, other files, and -")
    if form is None and not follow and are_exports(files):
        if site is None:
            raise BadInput("--site", "say whose views another counter exported, as in --site example.com")
        run = partial(import_exports, settings=settings, files=files, site=site, is_dry=dry_run)
        with_store(settings, run)
        return
    wanted = Wanted(files, site, form, dry_run)
    if dry_run and is_nothing_stored(settings):  # opening a store would make it
        asyncio.run(import_logs(open_configured(settings.model_copy(update={"store": "memory://"}), time.time), settings, wanted))
    else:
        with_store(settings, lambda opened: (follow_log if follow else import_logs)(opened, settings, wanted))


app.command("export")(export)
app.command("backup")(back_up)
app.command("restore")(restore)
app.command()(check)


def _window(written: str, longest: int) -> int:
    """A window's width in seconds."""
    seconds = whole_seconds(written)
    if not isinstance(seconds, int) or not 1 <= seconds <= longest:
        raise BadInput("--window", f"write a whole number of seconds from 1 to {longest}")
    return seconds


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
