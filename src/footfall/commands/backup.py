"""`footfall backup` and `footfall restore`: a store into one file, and a file into an empty store of any kind.

The file is gzip, appears under its name only when it is whole, and is readable to its owner alone.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from footfall import backup
from footfall.commands.arguments import StoreOption, settings_with, with_store
from footfall.errors import BadInput
from footfall.files import PRIVATE_FILE
from footfall.stores import Store
from footfall.terminal import console, number_of, say, shown
from footfall.version import __version__

#: Between speed and size: a backup of 10 million rows is bound by the store at any level below 9.
_LEVEL = 6

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, as in footfall.backup.gz.")]


def back_up(file: FileArgument, store: StoreOption = None) -> None:
    """Write all that the store has to one file, while it counts."""
    settings = settings_with(store=store)
    if file.exists():
        raise BadInput("FILE", f"{str(file)!r} already exists; name a new file")
    started = time.monotonic()

    async def run(opened: Store) -> None:
        last = b""
        with _written(file) as out, _bar(None) as bar:
            task = bar.add_task("backing up", total=None)

            def show(rows: int, site: str) -> None:
                bar.update(task, completed=rows, description=f"backing up {shown(site)}")

            async for line in backup.back_up(opened, int(time.time()), __version__, show):
                out.write(line)
                last = line
        done = msgspec.json.decode(last, type=backup.End)
        size = file.stat().st_size
        say(console(), (str(file), "bold"), f": {_words(done.rows, done.sites, done.documents)}")
        say(console(), (f"{size:,} bytes in {time.monotonic() - started:.1f} s", "dim"))

    with_store(settings, run)


def restore(file: FileArgument, store: StoreOption = None) -> None:
    """Load a backup into an empty store, and check it.

    Every bucket that had ended must have what the backup says.
    """
    settings = settings_with(store=store)
    started = time.monotonic()
    end = None
    with _named():
        for line in backup.read_backup(_read(file), settings.rules):
            end = line
    total = end.rows if isinstance(end, backup.End) else None

    async def run(opened: Store) -> None:
        with _named(), _bar(total) as bar:
            task = bar.add_task("restoring", total=total)

            def show(rows: int, site: str) -> None:
                bar.update(task, completed=rows, description=f"restoring {shown(site)}")

            done = await backup.restore(backup.read_backup(_read(file), settings.rules), opened, settings.retention, show)
        say(console(), ("restored", "green"), f" {_words(done.rows, done.sites, done.documents)}")
        say(console(), (f"{done.compared:,} buckets that had ended are as in the backup", "bold"))
        if done.too_old:
            say(console(), f"{done.too_old:,} are no longer kept by now")
        say(console(), (f"in {time.monotonic() - started:.1f} s", "dim"))

    with_store(settings, run)


def _words(rows: int, sites: int, documents: int) -> str:
    return f"{number_of(rows, 'row')} of {number_of(sites, 'site')}, {number_of(documents, 'document')}"


@contextlib.contextmanager
def _written(file: Path) -> Iterator[gzip.GzipFile]:
    """A new file, packed, that gets its name when all is written and on the disk."""
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")  # of its own: two may be written at once
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    except OSError as error:
        raise BadInput("FILE", f"can't write {str(file)!r} ({error.strerror}); name a file in a folder that is there") from None
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
                yield packed
            raw.flush()
            os.fsync(raw.fileno())
        _name(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _name(part: Path, file: Path) -> None:
    """Give a file its name, and never take that from another."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise BadInput("FILE", f"{str(file)!r} was created in the meantime; name a new file") from None
    except OSError:  # a file system without links
        os.replace(part, file)
    else:
        part.unlink()


_DAMAGED = "is damaged; use another one"


def _read(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") as packed:
            yield from backup.lines_of(packed)
    except EOFError:
        raise BadInput("backup", f"{str(file)!r} is cut: its end is missing; use another one") from None
    except gzip.BadGzipFile as error:
        is_other = str(error).startswith("Not a gzip")  # so Python tells it from a wrong checksum
        what = "is no backup of Footfall; name a file that footfall backup has written" if is_other else _DAMAGED
        raise BadInput("backup", f"{str(file)!r} {what}") from None
    except zlib.error:
        raise BadInput("backup", f"{str(file)!r} {_DAMAGED}") from None
    except OSError as error:
        raise BadInput("backup", f"can't read {str(file)!r} ({error.strerror}); name a file that can be read") from None


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Let an error about the backup or the store name the argument."""
    try:
        yield
    except BadInput as error:
        raise BadInput({"backup": "FILE", "store": "--store"}.get(error.field, error.field), error.hint) from None


def _bar(total: int | None) -> Progress:
    """Rows so far, of how many where that is known; on standard error where that is a terminal."""
    out = console(stderr=True)
    known = [BarColumn(style="dim", complete_style="red"), TaskProgressColumn(), MofNCompleteColumn()]
    unknown = [SpinnerColumn(style="red"), TextColumn("{task.completed:,} rows")]
    columns = [TextColumn("{task.description}"), *(unknown if total is None else known), TimeElapsedColumn()]
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
