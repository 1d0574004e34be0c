"""What every command needs first: the settings, the store, and what was written on the command line in the form it is used in."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated

import typer

from footfall.errors import BadInput, SettingError
from footfall.intake.pages import BadPage, page_of
from footfall.registry.sites import Sites
from footfall.rules import Rules, site_name
from footfall.settings import PREFIX, Settings, load_settings, setting_name
from footfall.stores import Store, open_configured, scheme_of
from footfall.terminal import console, say

StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help=f"The store, instead of {PREFIX}STORE.", show_default=False)
]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE", help="The site's name, as in example.com.")]


def settings_with(**given: str | None) -> Settings:
    """The settings, those that options of a command give before all others."""
    with named_as_given(given):
        settings = load_settings(given)
        scheme_of(settings.store)
    return settings


@contextlib.contextmanager
def named_as_given(given: Mapping[str, str | None]) -> Iterator[None]:
    """Let an error about a setting name the option, where that is what gave it."""
    try:
        yield
    except SettingError as error:
        option = error.setting.removeprefix(PREFIX).lower()
        if given.get(option) is None:
            raise
        raise BadInput(f"--{option}", error.problem) from None


def _require_text(field: str, written: str) -> None:
    """Raise BadInput where an argument is no text: Python hands on what it can't read as it is, byte by byte."""
    if any("\ud800" <= letter <= "\udfff" for letter in written):
        raise BadInput(field, "this can't be read as text; use a terminal and a locale in UTF-8, such as LANG=C.UTF-8")


def read_site(written: str, field: str = "SITE") -> str:
    """A site's name as it is stored. Raises BadInput naming the argument."""
    _require_text(field, written)
    try:
        return site_name(written)
    except ValueError as error:
        raise BadInput(field, str(error)) from None


def known_site(written: str, settings: Settings, field: str = "SITE") -> str:
    """The same, with a note where the settings name no such site."""
    name = read_site(written, field)
    if name not in settings.sites:
        note = f" {name} is not in {PREFIX}SITES: unless it was made, no server with these settings counts for it or shows it"
        say(console(stderr=True), ("note:", "yellow"), note)
    return name


def read_page(field: str, written: str, rules: Rules) -> str:
    """A page as a site's rules spell it. Raises BadInput naming the argument."""
    _require_text(field, written)
    try:
        return page_of(written, rules)
    except BadPage as error:
        raise BadInput(field, f"{error}; write a path, as in /blog/post") from None


async def rules_of(store: Store, settings: Settings, site: str) -> Rules:
    """A site's rules as they are now; the settings' where there is no such site. Raises StoreError."""
    sites = Sites.of(store, settings)
    await sites.refresh()
    return sites.rules(site)


def whole_number(option: str, written: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`, from what was given with an option. Raises BadInput."""
    if not re.fullmatch("[0-9]{1,18}", written) or not least <= int(written) <= most:
        raise BadInput(option, f"write a whole number from {least} to {most}")
    return int(written)


def with_store(settings: Settings, run: Callable[[Store], Awaitable[None]]) -> None:
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


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when SIGINT or SIGTERM comes, in place of what they would do."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
