"""Running `footfall` commands as tests do: in this process through the same `main` that the installed program calls, or as a
process of its own where pipes, terminals or signals are the point. Always in an empty folder, with a store in it and one site.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from footfall.cli import main
from footfall.model import DEFAULT_RETENTION, Batch, SiteBatch
from footfall.stores import open_store

SITE = "example.com"
STORE = "sqlite:///footfall.db"

#: How long, in seconds, a process may take that does next to nothing, on a busy machine.
PATIENCE = 30

#: What a terminal would obey: control characters but for the line's end.
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Ended(NamedTuple):
    """How a command ended, and what it wrote on standard output and standard error."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs a command to its end; `environ` is added to its environment."""

    def __call__(self, *args: str, **environ: str) -> Ended: ...


def settle_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in `folder`: one site, a store there, and no other setting of Footfall."""
    for name in [*os.environ]:
        if name.upper().startswith("FOOTFALL_") or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("FOOTFALL_SITES", SITE)
    monkeypatch.setenv("FOOTFALL_STORE", STORE)
    monkeypatch.chdir(folder)


@contextlib.contextmanager
def running_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """A `Run` in this process. What a command writes never holds what a terminal would obey."""

    def run(*args: str, **environ: str) -> Ended:
        with monkeypatch.context() as changed:
            changed.setattr(sys, "argv", ["footfall", *args])
            for name, value in environ.items():
                changed.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        assert not OBEYED.search(out + err)
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    interrupted = signal.getsignal(signal.SIGINT)
    try:
        yield run
    finally:
        signal.signal(signal.SIGINT, interrupted)


def argv(*args: str) -> list[str]:
    """The command of a process of its own."""
    return [sys.executable, "-m", "footfall", *args]


def run_process(*args: str, given: bytes = b"", environ: Mapping[str, str] | None = None) -> Ended:
    """Run a command as a process to its end, with pipes for everything that it reads and writes."""
    ended = subprocess.run(
        argv(*args), input=given, capture_output=True, env=os.environ | (environ or {}), timeout=PATIENCE, check=False
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def failed(ended: Ended) -> str:
    """The one line on standard error of a command that failed and printed nothing else."""
    assert ended.code in (1, 2)
    assert ended.out == ""
    assert re.fullmatch(r"footfall[a-z ]*: .+\n", ended.err)
    assert "Traceback" not in ended.err
    return ended.err.rstrip("\n")


def put_in_store(views: Mapping[str, int]) -> None:
    """Count views of pages, by whatever name: as another version of Footfall might, or an intruder."""

    async def put() -> None:
        store = open_store(STORE, time.time, DEFAULT_RETENTION, 600)
        await store.commit(Batch("0" * 32, 1, {SITE: SiteBatch(pages=views)}))
        await store.close()

    asyncio.run(put())


def line_of_log(page: str, age: float = 5) -> str:
    """A line of a log about a browser's request `age` seconds ago."""
    moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - age))
    return f'192.0.2.1 - - [{moment}] "GET {page} HTTP/1.1" 200 10 "-" "Mozilla/5.0 (X11) Firefox/140.0"\n'
