"""`footfall check`: whether settings and store are fit to serve with; and with a site, where its views went, and why.

It proves what it says: the store takes a write, and the spool's folder a file. What it finds of a site is the ledger that the
store keeps; nothing is counted.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from footfall.commands.arguments import StoreOption, read_site, settings_with, with_store
from footfall.errors import BadInput, SettingError
from footfall.files import make_folder
from footfall.model import DUPLICATE, PERIODS, WHOLE_SITE
from footfall.settings import Settings, setting_name, shown_url, unknown_settings
from footfall.stores import Store, scheme_of
from footfall.terminal import console, period_words, say, say_numbers, views_words, window_words

DEFAULT_PERIOD = "24h"

#: So many of the store's own sites are looked at.
MOST_SITES = 20


def check(
    site: Annotated[
        str | None, typer.Argument(metavar="[SITE]", help="Show where this site's views went.", show_default=False)
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(metavar="PERIOD", help=f"With SITE: one of {', '.join(PERIODS)}.  [default: {DEFAULT_PERIOD}]"),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Check settings and store.

    The store proves it by taking a write; a store that does not exist yet is made. With SITE, it is said instead what became of
    the views that the site received in a period, and why.
    """
    settings = settings_with(store=store)
    if site is not None:
        _check_site(site, period or DEFAULT_PERIOD, settings)
    elif period is not None:
        raise BadInput("--period", "name a site, too, as in footfall check example.com --period 7d")
    else:
        _check_all(settings)


def _check_all(settings: Settings) -> None:
    for line in unknown_settings():
        _note(line)
    if settings.declared_sites:
        public = ", ".join(settings.public_sites) or "none of them"
        _fine(f"settings: counts for {', '.join(settings.declared_sites)}; anyone may read {public}")
    else:
        _fine("settings: counts for the sites in the store")
    if settings.spool:
        _prove_folder(settings.spool)
        _fine(f"spool: views wait in {settings.spool} while the store is away")
    if settings.sentry_dsn:
        from footfall.telemetry.error_reporting import require_reporter

        require_reporter()
        _fine("errors: they are reported")
    if scheme_of(settings.store) == "memory":
        _note("store: memory:// forgets everything when the server stops")
        return

    from footfall.registry.sites import Sites

    async def run(opened: Store) -> None:
        started = time.monotonic()
        await opened.ping()
        _fine(f"store: {shown_url(settings.store)} takes a durable write in {(time.monotonic() - started) * 1000:.1f} ms")
        for line in await opened.warnings():
            _note(f"store: {line}")
        sites = Sites.of(opened, settings)
        await sites.refresh()
        for site in settings.declared_sites or sites.names()[:MOST_SITES]:
            numbers = (await opened.counts(site, [WHOLE_SITE], settings.window)).pages[WHOLE_SITE]
            past = f"{views_words(numbers.views)} in the past {window_words(settings.window)}"
            _fine(f"{site}: {past}, {numbers.total:,} in total")

    with_store(settings, run)


def _check_site(written: str, period: str, settings: Settings) -> None:
    from footfall.reading.ledger import WHY, read_ledger
    from footfall.reading.shared_reads import Reads
    from footfall.registry.sites import Sites

    name = read_site(written)
    if period not in PERIODS:
        raise BadInput("--period", f"write one of {', '.join(PERIODS)}")

    async def run(opened: Store) -> None:
        sites = Sites.of(opened, settings)
        await sites.refresh()
        if sites.get(name) is None:
            raise BadInput("SITE", f"no site {name} is here: its views are dropped as unknown-site; footfall site add makes it")
        ledger = await read_ledger(Reads(opened), name, period, PERIODS[period])
        moment = datetime.datetime.fromtimestamp(ledger.at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        say(console(), f"Views of {name}, {period_words(period)}, at {moment} UTC")
        rows = [(ledger.received, "received"), (ledger.counted, "counted")]
        if ledger.duplicate:
            rows.append((ledger.duplicate, f"duplicate: {_inside(WHY[DUPLICATE])}"))
        dropped = sorted(ledger.dropped.items(), key=lambda row: (-row[1], row[0]))
        rows += [
            (views, f"dropped, {reason}: {_inside(WHY.get(reason, 'see docs/what-counts.md'))}") for reason, views in dropped
        ]
        say_numbers(console(), rows)

    with_store(settings, run)


def _inside(sentence: str) -> str:
    """A sentence as the end of another line."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _fine(text: str) -> None:
    say(console(), ("ok", "green"), f"    {text}")


def _note(text: str) -> None:
    say(console(), ("note", "yellow"), f"  {text}")


def _prove_folder(folder: str) -> None:
    try:
        path = Path(folder).expanduser()
        make_folder(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SettingError(
            setting_name("spool"), f"can't write in {folder} ({error.strerror}); name a folder that can be written, or off"
        ) from None
