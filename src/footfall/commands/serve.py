"""`footfall serve`: the settings as the command line gives them, what is said before anything is counted, and the server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from footfall.commands.arguments import StoreOption, named_as_given, settings_with
from footfall.settings import PREFIX, setting_name, shown_url, unknown_settings
from footfall.terminal import console, say
from footfall.version import __version__


def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help=f"Listen here, instead of on {PREFIX}HOST.", show_default=False)
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help=f"Listen here, instead of on {PREFIX}PORT.", show_default=False)
    ] = None,
    store: StoreOption = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help=f"Number of processes, instead of {PREFIX}WORKERS.", show_default=False)
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
        sites = f" for {', '.join(settings.declared_sites)}" if settings.declared_sites else ""
        say(err, f"Footfall {__version__} counts{sites} in {shown_url(settings.store)}")
        listening = f"listens on {address}; " if settings.public_url else ""
        say(err, "Open ", (settings.public_url or address, "bold"), f"   ({listening}Ctrl-C stops)")
        if key:
            link = f"{settings.public_url or address}/welcome?key={key}"
            say(err, "Set a dashboard password (link valid for 1 hour): ", (link, "bold"))

    with named_as_given(given):
        run(settings, announce, reload=reload)
