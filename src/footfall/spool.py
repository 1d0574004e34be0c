"""The outbox on disk for when the store is away: batches are acknowledged as spooled, and replayed in their order.

One file a process, locked while the process lives; a process adopts the files of dead ones from the same folder. A spooled batch
keeps its writer and sequence, so that one the store had applied before its answer was lost is not applied again; views get the
second they came in by the store's clock as far as it is known. Size and age are bounded. This module knows batches and the store
contract; it knows nothing of requests and replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import random
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from footfall.errors import SettingError, StoreError, StoreUnavailable
from footfall.model import Batch, SiteBatch
from footfall.stores import Store

T = TypeVar("T")
_log = logging.getLogger(__name__)

#: How long to wait between two attempts while the store is away, in seconds: doubled each time, with jitter.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 3.0

#: How long one attempt to replay may take, in seconds.
REPLAY_TIMEOUT = 5.0

SUFFIX = ".spool"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_SCHEMA = """CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, monotonic REAL NOT NULL,
    wall INTEGER NOT NULL, body BLOB NOT NULL) STRICT"""


class SpoolLedger(Protocol):
    """Who keeps the books of what waits here (`metrics.Ledger`)."""

    def counted(self, site: str, views: int) -> None: ...
    def duplicate(self, site: str, views: int) -> None: ...
    def failed(self, site: str, views: int) -> None: ...
    def spooled(self, site: str, views: int) -> None: ...


class _Part(msgspec.Struct, array_like=True):
    """One site of a batch on disk. A time of None is to be filled in when the store's clock is known."""

    site: str
    pages: list[tuple[str, int]]
    timed: list[tuple[str, int, int]]
    events: list[tuple[str, str, int | None]]


class _Spooled(msgspec.Struct, array_like=True):
    """A batch on disk; `at` is the second its views came in by the store's clock, where that was known."""

    writer: str
    sequence: int
    at: int | None
    parts: list[_Part]

    def views(self, part: _Part) -> int:
        return sum(n for _, n in part.pages) + sum(n for _, _, n in part.timed) + len(part.events)


class StoreTime:
    """The store's clock as this process knows it: the last second it saw, and its own monotonic clock since."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: tuple[int, float] | None = None

    def saw(self, at: int) -> None:
        """The store has just said that it is `at`."""
        self._seen = at, self._monotonic()

    def now(self) -> int | None:
        """The store's second now; None where the store has never been heard of."""
        if self._seen is None:
            return None
        at, moment = self._seen
        return at + int(self._monotonic() - moment)


class Spool:
    """Takes batches while the store is away, and replays them when it is back.

    `folder` holds a file a process; `max_bytes` bounds what waits in this one's, `max_age` (seconds) how long anything may wait.
    """

    def __init__(
        self,
        folder: str,
        store: Store,
        ledger: SpoolLedger,
        *,
        max_bytes: int,
        max_age: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the folder and this process's file. Raises SettingError where that can't be."""
        self._folder = Path(folder).expanduser()
        self._store = store
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._monotonic = monotonic
        self._store_time = StoreTime(monotonic)
        self._boot = _boot_id()
        self._thread = ThreadPoolExecutor(1, "footfall-spool")
        self._away = False
        self._wake = asyncio.Event()
        self._replaying: asyncio.Task[None] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._own = _File(self._folder / f"{secrets.token_hex(8)}{SUFFIX}")
        except (OSError, sqlite3.Error) as error:
            raise SettingError(
                "FOOTFALL_SPOOL", f"can't write in {folder} ({error}); name a folder that can be written, or off"
            ) from error
        self._adopted = self._adopt()

    @property
    def takes_over(self) -> bool:
        """Whether the store is known to be away, so that batches come here without being tried."""
        return self._away

    @property
    def has_room(self) -> bool:
        """Whether another batch can be taken."""
        return self._own.size < self._max_bytes

    def saw(self, at: int) -> None:
        """The store has just answered, and its clock says `at`."""
        self._store_time.saw(at)

    async def take(self, batch: Batch) -> int | None:
        """Keep a batch durably; return the second its views will be counted in, None where the store's clock is not known yet.

        Raises StoreUnavailable where there is no room or the disk does not take it.
        """
        self._away = True
        self._wake.set()
        if not self.has_room:
            raise StoreUnavailable("the store is away and the spool is full")
        at = self._store_time.now()
        spooled = _Spooled(batch.writer, batch.sequence, at, [_part(site, part) for site, part in batch.sites.items()])
        row = (self._boot, self._monotonic(), int(time.time()), msgspec.msgpack.encode(spooled))
        try:
            await self._in_thread(lambda: self._own.add(row))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store is away and the spool can't be written: {error}") from error
        for part in spooled.parts:
            self._ledger.spooled(part.site, spooled.views(part))
        return at

    def start(self) -> None:
        """Begin to replay, first of all what dead processes left."""
        if self._adopted:
            self._wake.set()
        self._replaying = asyncio.get_running_loop().create_task(self._replay(), name="footfall-replay")

    async def close(self) -> None:
        """Stop replaying. What still waits stays on disk, for the next process that names the same folder."""
        if self._replaying is not None:
            self._replaying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._replaying
        for file in (self._own, *self._adopted):
            await self._in_thread(file.close)
        self._thread.shutdown()

    async def _replay(self) -> None:
        """Whenever something waits, replay it, oldest first, until nothing does."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for file in [*self._adopted, self._own]:
                await self._replay_file(file)
                if file is not self._own:
                    self._adopted.remove(file)
                    await self._in_thread(file.close)
            self._away = False

    async def _replay_file(self, file: _File) -> None:
        pause = FIRST_PAUSE
        while (row := await self._in_thread(file.oldest)) is not None:
            key, boot, monotonic, wall, body = row
            spooled = msgspec.msgpack.decode(body, type=_Spooled)
            if time.time() - wall > self._max_age:
                _log.error("a spooled batch is older than FOOTFALL_SPOOL_AGE and is given up")
                self._settle(spooled, None)
            else:
                try:
                    duplicates = await self._commit(
                        spooled, self._monotonic() - monotonic if boot and boot == self._boot else None
                    )
                except (StoreError, TimeoutError) as error:
                    _log.warning("spooled batches wait, the store is away: %s", error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1))
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                self._settle(spooled, duplicates)
                self._away = False
                pause = FIRST_PAUSE
            await self._in_thread(partial(file.remove, key))

    async def _commit(self, spooled: _Spooled, age: float | None) -> dict[str, int]:
        """Commit a batch as it was, each view at its own second; the number of duplicates by site."""
        async with asyncio.timeout(REPLAY_TIMEOUT):
            at = spooled.at
            if at is None and age is not None and spooled.parts:
                at = (await self._store.counts(spooled.parts[0].site, [], 1)).at - int(age)
            sites = {part.site: _site_batch(part, at) for part in spooled.parts}
            receipt = await self._store.commit(Batch(spooled.writer, spooled.sequence, sites))
        return {site: len(part.duplicates) for site, part in receipt.items()}

    def _settle(self, spooled: _Spooled, duplicates: dict[str, int] | None) -> None:
        for part in spooled.parts:
            views = spooled.views(part)
            self._ledger.spooled(part.site, -views)
            if duplicates is None:
                self._ledger.failed(part.site, views)
            else:
                self._ledger.counted(part.site, views - duplicates[part.site])
                self._ledger.duplicate(part.site, duplicates[part.site])

    def _adopt(self) -> list[_File]:
        """Lock and open the files of processes that live no more."""
        found = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path == self._own.path:
                continue
            with contextlib.suppress(OSError, sqlite3.Error):
                file = _File(path)
                found.append(file)
                for body in file.bodies():
                    spooled = msgspec.msgpack.decode(body, type=_Spooled)
                    for part in spooled.parts:
                        self._ledger.spooled(part.site, spooled.views(part))
        return found

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _File:
    """One spool file, locked for as long as it is open. BlockingIOError where another process has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_SCHEMA)
        except BaseException:
            os.close(self._lock)
            raise
        self.size: int = self._connection.execute("SELECT coalesce(sum(length(body)), 0) FROM batch").fetchone()[0]

    def add(self, row: tuple[str, float, int, bytes]) -> None:
        self._connection.execute("INSERT INTO batch (boot, monotonic, wall, body) VALUES (?, ?, ?, ?)", row)
        self.size += len(row[3])

    def oldest(self) -> tuple[int, str, float, int, bytes] | None:
        row: tuple[int, str, float, int, bytes] | None = self._connection.execute(
            "SELECT id, boot, monotonic, wall, body FROM batch ORDER BY id LIMIT 1"
        ).fetchone()
        return row

    def bodies(self) -> list[bytes]:
        return [body for (body,) in self._connection.execute("SELECT body FROM batch")]

    def remove(self, key: int) -> None:
        for (length,) in self._connection.execute("DELETE FROM batch WHERE id = ? RETURNING length(body)", (key,)).fetchall():
            self.size -= length

    def close(self) -> None:
        """Let go; a file with nothing in it is removed."""
        empty = self.oldest() is None
        self._connection.close()
        if empty:
            for path in (self.path, self.path.with_suffix(".lock")):
                path.unlink(missing_ok=True)
        os.close(self._lock)


def _boot_id() -> str:
    """What names this running of the machine: monotonic clocks can be compared only within it. Empty where nothing tells."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _part(site: str, part: SiteBatch) -> _Part:
    events = [(id, page, at) for id, (page, at) in part.events.items()]
    return _Part(site, list(part.pages.items()), [(page, at, n) for (page, at), n in part.timed.items()], events)


def _site_batch(part: _Part, at: int | None) -> SiteBatch:
    """The batch of one site, every view with a time where one is known."""
    timed = {(page, own): n for page, own, n in part.timed}
    pages = dict(part.pages)
    if at is not None:
        for page, n in pages.items():
            timed[page, at] = timed.get((page, at), 0) + n
        pages = {}
    events = {id: (page, at if own is None else own) for id, page, own in part.events}
    return SiteBatch(pages, timed, events)
