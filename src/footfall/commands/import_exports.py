"""`footfall import` of what GoatCounter and Plausible export: CSV, packed or not, and Plausible's archive of several."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, TextIO, cast

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from footfall.composition import Registry, import_intake
from footfall.errors import BadInput
from footfall.importing import DryRun
from footfall.importing.exports import ExportImport, kind_of
from footfall.intake.countries import Countries
from footfall.rules import Site
from footfall.settings import Settings
from footfall.stores import Store
from footfall.terminal import console, say, say_numbers

#: The table of Plausible's archive that tells the views of pages.
_PAGES = "imported_pages"


class _Export(NamedTuple):
    """An export that is open: its text, and the file whose place tells how far it was read."""

    lines: TextIO
    file: BinaryIO


def are_exports(files: Sequence[str]) -> bool:
    """Whether the files are exports of other counters. Raises BadInput where some are and others are not."""
    found = [_is_export(file) for file in files]
    if any(found) and not all(found):
        raise BadInput(
            "FILE", f"{files[found.index(False)]!r} is no export of another counter; import logs and exports one by one"
        )
    return all(found)


def _is_export(file: str) -> bool:
    if file == "-":
        return False
    try:
        with _opened(file) as export:
            return kind_of(export.lines.readline(10_000)) is not None
    except (OSError, EOFError, UnicodeDecodeError, BadInput, zlib.error, zipfile.BadZipFile):
        return False


async def import_exports(store: Store, settings: Settings, files: Sequence[str], site: str, *, is_dry: bool) -> None:
    """Import exports of a site to their ends, and show what was found."""
    registry = Registry.of(store, settings, time.time)
    await registry.sites.refresh()
    found = registry.sites.get(site) or Site(site, settings.rules)
    countries = Countries(settings.country_header, settings.country_database)
    intake = import_intake(registry.sites, registry.visitors, countries)
    importing = ExportImport(DryRun(store) if is_dry else store, found, intake)
    out = console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(style="dim", complete_style="red"), TaskProgressColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        for file in files:
            with _opened(file) as export:
                task = bar.add_task("", total=os.fstat(export.file.fileno()).st_size or None)
                await _read(importing, export, bar, task)
    _say(importing, site, is_dry=is_dry)


async def _read(importing: ExportImport, export: _Export, bar: Progress, task: TaskID) -> None:
    try:
        await importing.read(export.lines, lambda: bar.update(task, completed=export.file.tell()))
    except BadInput as error:
        raise BadInput("FILE", error.hint) from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput("FILE", f"the export is cut or damaged ({error}); export it again") from None


def _say(importing: ExportImport, site: str, *, is_dry: bool) -> None:
    found = importing.found()
    say(console(), f"views of {site} by another counter")
    rows = [(found.counted, "would be counted" if is_dry else "counted")]
    rows += [(found.already, "dealt with by an earlier import")] if found.already else []
    rows += [(number, f"not counted: {reason}") for reason, number in sorted(found.dropped.items(), key=lambda row: -row[1])]
    say_numbers(console(), rows)
    if is_dry:
        say(console(stderr=True), ("note:", "yellow"), " a dry run: nothing was written")


@contextlib.contextmanager
def _opened(file: str) -> Iterator[_Export]:
    with contextlib.ExitStack() as opened:
        raw = opened.enter_context(open(file, "rb"))
        start = raw.peek(4)[:4]
        content: BinaryIO = raw
        if start.startswith(b"\x1f\x8b"):
            content = cast("BinaryIO", opened.enter_context(gzip.open(raw)))
        elif start == b"PK\x03\x04":
            archive = opened.enter_context(zipfile.ZipFile(raw))
            names = [name for name in archive.namelist() if name.rpartition("/")[2].startswith(_PAGES)]
            if len(names) != 1:
                raise BadInput("FILE", f"the archive has {len(names)} tables {_PAGES}; unpack it and name the one to import")
            content = cast("BinaryIO", opened.enter_context(archive.open(names[0])))
        yield _Export(opened.enter_context(io.TextIOWrapper(content, "utf-8-sig", newline="")), raw)
