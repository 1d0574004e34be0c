"""`footfall import`: tells logs from other counters' exports, and has either read."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated

import typer

from footfall.commands.arguments import StoreOption, known_site, settings_with, whole_number, with_store
from footfall.errors import BadInput
from footfall.stores import open_configured


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
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers", metavar="N", help="Processes that judge long logs, 0 for none.  [default: 1 a core, at most 4]"
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Count the views in logs, or in other counters' exports.

    Each view counts at the time its line names, and each line once, however often a log is imported. docs/importing.md has the
    formats, and docs/what-counts.md says which lines are views.
    """
    # Only now, so that help does not wait for them.
    from footfall.commands.import_exports import are_exports, import_exports
    from footfall.commands.import_logs import Wanted, follow_log, import_logs, is_nothing_stored
    from footfall.importing import MOST_WORKERS, workers_that_help

    settings = settings_with(store=store)
    site = None if site is None else known_site(site, settings, "--site")
    if follow and (dry_run or len(files) > 1 or files == ["-"]):
        raise BadInput("--follow", "follows one log that is a file, and counts it; leave out --dry-run, other files, and -")
    if follow and workers is not None:
        raise BadInput("--workers", "a log that is followed is judged by this command alone; leave it out")
    if form is None and not follow and are_exports(files):
        if site is None:
            raise BadInput("--site", "say whose views another counter exported, as in --site example.com")
        run = partial(import_exports, settings=settings, files=files, site=site, is_dry=dry_run)
        with_store(settings, run)
        return
    helping = workers_that_help() if workers is None else whole_number("--workers", workers, 0, MOST_WORKERS)
    wanted = Wanted(files, site, form, dry_run, helping)
    if dry_run and is_nothing_stored(settings):  # opening a store would make it
        asyncio.run(import_logs(open_configured(settings.model_copy(update={"store": "memory://"}), time.time), settings, wanted))
    else:
        with_store(settings, lambda opened: (follow_log if follow else import_logs)(opened, settings, wanted))
