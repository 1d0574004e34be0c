"""The command line: `footfall serve | count | top | import | check`.

Errors are one line on standard error and a non-zero status. Names from outside reach the terminal as plain text: what would be
markup or a control character is shown, not obeyed. Heavy modules are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from footfall import __version__
from footfall.errors import BadInput, FootfallError, SettingError
from footfall.model import PERIODS, Batch, SiteBatch, Span, Tier
from footfall.settings import LONGEST_WINDOW, Settings, load_settings, shown_url, unknown_settings
from footfall.stores import Store, open_store, scheme_of
from footfall.terminal import console, label, number_table, page_table, period_words, progress_bar, window_words

app = typer.Typer(
    name="footfall",
    help="Footfall counts page views: exact to the second, durable, live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreOption = Annotated[str | None, typer.Option("--store", help="Store URL, instead of FOOTFALL_STORE.", show_default=False)]
SiteArgument = Annotated[str, typer.Argument(help="The site's name, as in example.com.")]


def main() -> NoReturn:
    """Run the command line; what the installed `footfall` calls."""
    try:
        app()
    except FootfallError as error:
        console(stderr=True).print(label("footfall: ", "bold red", str(error)), soft_wrap=True)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    raise SystemExit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"footfall {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """What stands before any command."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of FOOTFALL_HOST.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of FOOTFALL_PORT.", show_default=False)] = None,
    store: StoreOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve, instead of FOOTFALL_WORKERS.", show_default=False)
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start anew whenever a source file changes (for development).")
    ] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what is under way and commit the last batch."""
    from footfall.server import serve as run

    given: Mapping[str, object] = {"host": host, "port": port, "store": store, "workers": workers}
    settings = load_settings(given)
    for name, value in given.items():
        if value is not None:  # the workers read their settings from the environment
            os.environ.pop(f"FOOTFALL_{name.upper()}_FILE", None)
            os.environ[f"FOOTFALL_{name.upper()}"] = str(value)
    err = console(stderr=True)
    for line in unknown_settings():
        err.print(label("warning: ", "yellow", line), soft_wrap=True)
    where = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # compared, not bound
    err.print(f"Footfall {__version__} counts for {', '.join(settings.sites)} in {shown_url(settings.store)}", soft_wrap=True)
    err.print(label("Open ", "", "") + label(f"http://{where}:{settings.port}", "bold", "   (Ctrl-C stops)"))
    run(settings, reload=reload)


@app.command()
def count(
    site: SiteArgument,
    page: Annotated[str, typer.Argument(help="The page's path, as in /blog/post.")],
    n: Annotated[int, typer.Option("--n", min=0, max=1_000_000, help="How many views to count; 0 only reads.")] = 1,
    store: StoreOption = None,
) -> None:
    """Count views of a page from here, and show its numbers."""
    from footfall.intake.pages import BadPage, normalise

    settings = load_settings({"store": store})
    try:
        path = normalise(page)
    except BadPage as error:
        raise BadInput("PAGE", f"{error}; a page is a path, as in /blog/post") from None
    site = _known_site(site, settings)

    async def run(opened: Store) -> None:
        if n:
            await opened.commit(Batch(secrets.token_hex(16), 1, {site: SiteBatch(pages={path: n})}, settings.window))
        numbers = (await opened.counts(site, [path], settings.window)).pages[path]
        out = console()
        past = f" views of {path} in the past {window_words(settings.window)}"
        out.print(label(f"{numbers.views:,}", "bold", past), soft_wrap=True)
        out.print(f"{numbers.today:,} today (UTC), {numbers.total:,} in total", style="dim")

    _with_store(settings, run)


@app.command()
def top(
    site: SiteArgument,
    window: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_WINDOW, help="The newest so many seconds.", show_default=False)
    ] = None,
    period: Annotated[str | None, typer.Option(help=f"One of {', '.join(PERIODS)}.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many pages.")] = 20,
    store: StoreOption = None,
) -> None:
    """Show a site's most viewed pages, of the past minute unless told otherwise."""
    settings = load_settings({"store": store})
    if window and period:
        raise BadInput("--period", "give --window or --period, not both")
    if period and period not in PERIODS:
        raise BadInput("--period", f"one of {', '.join(PERIODS)}")
    site = _known_site(site, settings)
    width = window or settings.window
    span = PERIODS[period] if period else Span(Tier.SECOND, width)

    async def run(opened: Store) -> None:
        found = await opened.top(site, span, limit)
        when = datetime.datetime.fromtimestamp(found.at, datetime.UTC)
        past = period_words(period) if period else f"past {window_words(width)}"
        title = f"{site}, {past} to {when:%Y-%m-%d %H:%M:%S} UTC"
        out = console()
        out.print(title if found.pages else f"No views of {title}.", soft_wrap=True)
        if found.pages:
            out.print(page_table(found.pages))

    _with_store(settings, run)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="A combined or common log, gzipped or not; - for standard input.")],
    site: Annotated[str, typer.Option("--site", help="The site whose log it is.")],
    store: StoreOption = None,
) -> None:
    """Count the page views of a web server's log, each at its own time; the same file counts once."""
    from footfall.importer import import_log, open_log
    from footfall.intake.agents import Agents

    settings = load_settings({"store": store})
    site = _known_site(site, settings)

    size = Path(file).stat().st_size if Path(file).is_file() and not file.endswith(".gz") else None

    async def run(opened: Store) -> None:
        started = time.monotonic()
        with open_log(file) as lines, progress_bar(size) as bar:
            task = bar.add_task("", total=size)
            summary = await import_log(lines, site, opened, Agents(), progress=lambda done: bar.update(task, completed=done))
        seconds = time.monotonic() - started
        rows = [("counted", summary.counted), ("counted by an earlier import", summary.already)]
        rows += [(f"not counted: {reason.value}", n) for reason, n in sorted(summary.dropped.items(), key=lambda row: -row[1])]
        title = f"{summary.lines:,} lines in {seconds:.2f} s for {site}"
        if summary.first is not None and summary.last is not None:
            title += f", views from {_moment(summary.first)} to {_moment(summary.last)} UTC"
        out = console()
        out.print(title, soft_wrap=True)
        out.print(number_table([row for row in rows if row[1]]))

    _with_store(settings, run)


@app.command()
def check(store: StoreOption = None) -> None:
    """Say in plain words whether settings and store are fit to serve with."""
    out = console()
    settings = load_settings({"store": store})

    def fine(text: str) -> None:
        out.print(label("ok    ", "green", text), soft_wrap=True)

    def note(text: str) -> None:
        out.print(label("note  ", "yellow", text), soft_wrap=True)

    for line in unknown_settings():
        note(line)
    fine(
        f"settings: counts for {', '.join(settings.sites)}; anyone may read {', '.join(settings.public_sites) or 'none of them'}"
    )
    if scheme_of(settings.store) == "memory":
        note("store: memory:// forgets everything when the server stops")
        return

    async def run(opened: Store) -> None:
        started = time.monotonic()
        await opened.ping()
        fine(f"store: {shown_url(settings.store)} takes a durable write in {(time.monotonic() - started) * 1000:.1f} ms")
        for site in settings.sites:
            numbers = (await opened.counts(site, [""], settings.window)).pages[""]
            fine(f"{site}: {numbers.views:,} views in the past {window_words(settings.window)}, {numbers.total:,} in total")

    _with_store(settings, run)


def _known_site(site: str, settings: Settings) -> str:
    """The site's name as it is stored, with a note where the server would not count it."""
    name = site.lower()
    if name not in settings.sites:
        note = f"{name} is not in FOOTFALL_SITES: a server with these settings neither counts nor shows it"
        console(stderr=True).print(label("note: ", "yellow", note), soft_wrap=True)
    return name


def _with_store(settings: Settings, run: Callable[[Store], Awaitable[None]]) -> None:
    if scheme_of(settings.store) == "memory":
        raise SettingError(
            "FOOTFALL_STORE", "memory:// lives in the server's own process; name a file, as in sqlite:///footfall.db"
        )

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = open_store(settings.store, time.time, settings.retention, settings.event_id_ttl)
        try:
            yield store
        finally:
            await store.close()

    async def work() -> None:
        async with opened() as store:
            await run(store)

    asyncio.run(work())


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
