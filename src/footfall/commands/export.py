"""`footfall export`: a site's rows as CSV or NDJSON, to standard output or a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from footfall.commands.arguments import SiteArgument, StoreOption, known_site, settings_with, with_store
from footfall.errors import BadInput
from footfall.export import DEFAULT_TABLE, TABLES, Form, read_wanted
from footfall.export import export as exported
from footfall.model import Tier
from footfall.stores import Store
from footfall.terminal import console, number_of, say, shown


def export(
    site: SiteArgument,
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="TIER", help=f"One of {', '.join(tier.value for tier in Tier)}.  [default: all]", show_default=False
        ),
    ] = None,
    table: Annotated[str, typer.Option(metavar="TABLE", help=f"One of {', '.join(TABLES)}.")] = DEFAULT_TABLE,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="csv or ndjson.")] = Form.CSV.value,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here.  [default: standard output]", show_default=False),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a site's numbers as a table, while servers go on counting."""
    settings = settings_with(store=store)
    try:
        wanted = read_wanted(table, tier)
    except BadInput as error:
        raise BadInput(f"--{error.field}", f"write {error.hint}") from None
    if form not in list(Form):
        raise BadInput("--format", f"write {' or '.join(Form)}")
    name = known_site(site, settings)

    async def run(opened: Store) -> None:
        total = 0
        with _opened(output) as out:
            async for rows, piece in exported(opened, name, wanted, Form(form)):
                out.write(piece if output or not sys.stdout.isatty() else _shown(piece))
                total += rows
        if output is not None:
            say(console(stderr=True), f"{number_of(total, 'row')} of {name}")

    with_store(settings, run)


def _shown(piece: bytes) -> bytes:
    """A piece as a terminal may get it: nothing in it is obeyed."""
    return "\n".join(map(shown, piece.decode().split("\n"))).encode()


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        if sys.__stdout__ is None:
            raise BadInput("--output", "standard output is closed; name a file")
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever reads has had enough
            sys.stdout = None  # or Python would complain once more at its end
            raise SystemExit(0) from None
        return
    try:
        file = output.open("xb")
    except FileExistsError:
        raise BadInput("--output", f"{str(output)!r} already exists; name a new file") from None
    except OSError as error:
        raise BadInput(
            "--output", f"can't write {str(output)!r} ({error.strerror}); name a file in a folder that is there"
        ) from None
    with file:
        yield file
