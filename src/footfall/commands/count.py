"""`footfall count` and `footfall top`: a view of a page and its numbers, and the pages that are viewed most."""

from __future__ import annotations

import datetime
import secrets
from typing import Annotated

import typer

from footfall.commands.arguments import (
    SiteArgument,
    StoreOption,
    known_site,
    read_page,
    rules_of,
    settings_with,
    whole_number,
    with_store,
)
from footfall.errors import BadInput
from footfall.model import PERIODS, Batch, SiteBatch, Span, Tier
from footfall.settings.values import whole_seconds
from footfall.stores import Store
from footfall.terminal import console, period_words, say, say_pages, views_words, window_words

#: `footfall count` takes at most so many views at once: a slip of the finger must not spoil a total for ever.
MOST_VIEWS = 1_000_000

MOST_PAGES = 1000
PAGES_SHOWN = 20


def count(
    site: SiteArgument,
    page: Annotated[str, typer.Argument(metavar="PAGE", help="The page's path, as in /blog/post.")],
    n: Annotated[str, typer.Option("--n", "-n", metavar="N", help="Number of views; 0 counts none and only shows.")] = "1",
    store: StoreOption = None,
) -> None:
    """Count a view of a page, and show its numbers.

    The view counts now, by the clock of the store, as if a visitor had come.
    """
    settings = settings_with(store=store)
    read_page("PAGE", page, settings.rules)  # what is no page is told before a store is opened
    views = whole_number("--n", n, 0, MOST_VIEWS)
    site = known_site(site, settings)

    async def run(opened: Store) -> None:
        path = read_page("PAGE", page, await rules_of(opened, settings, site))
        if views:
            await opened.commit(Batch(secrets.token_hex(16), 1, {site: SiteBatch(pages={path: views})}, settings.window))
        numbers = (await opened.counts(site, [path], settings.window)).pages[path]
        out = console()
        say(out, (views_words(numbers.views), "bold"), f" of {path} in the past {window_words(settings.window)}")
        say(out, (f"{numbers.today:,} today (UTC), {numbers.total:,} in total", "dim"))

    with_store(settings, run)


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


def _window(written: str, longest: int) -> int:
    """A window's width in seconds."""
    seconds = whole_seconds(written)
    if not isinstance(seconds, int) or not 1 <= seconds <= longest:
        raise BadInput("--window", f"write a whole number of seconds from 1 to {longest}")
    return seconds


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
