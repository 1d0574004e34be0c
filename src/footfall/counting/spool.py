"""The outbox on disk for when the store is away: batches are acknowledged as spooled, and replayed in their order.

One file a process, locked while the process lives; a process adopts the files of dead ones from the same folder. A spooled batch
keeps its writer and sequence, so that one the store had applied before its answer was lost is not applied again; views get the
second they came in by the store's clock as far as it is known. Size and age are bounded. This room knows batches and the store
contract; it knows nothing of requests and replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from footfall.counting.spool_files import SUFFIX, Row, SpooledBatch, SpoolFile, decoded, encoded
from footfall.errors import SettingError, StoreError, StoreUnavailable
from footfall.files import make_folder
from footfall.model import Batch
from footfall.stores import Store

__all__ = ["Spool", "SpoolLedger", "StoreTime"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

#: How long to wait between two attempts while the store is away, in seconds: doubled each time, with jitter.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 3.0

#: How long one attempt to replay may take, in seconds.
REPLAY_TIMEOUT = 5.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SpoolLedger(Protocol):
    """Who keeps the books of what waits here (`metrics.Ledger`)."""

    @property
    def name(self) -> str:
        """What tells these books from all others; processes that keep theirs together have one name for them."""
        ...

    def received(self, site: str, views: int) -> None: ...
    def counted(self, site: str, views: int) -> None: ...
    def duplicate(self, site: str, views: int) -> None: ...
    def failed(self, site: str, views: int) -> None: ...
    def spooled(self, site: str, views: int) -> None: ...


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

    `folder` holds a file a process; `max_bytes` bounds what this process holds in its own file and in those it has adopted,
    `max_age` (seconds) how long a batch may wait. `monotonic` and `wall` are clocks in seconds: the wall's serves only to tell
    the age of what was spooled before the machine was started. `pause` waits for so many seconds.
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
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Make the folder and this process's file, and adopt those of dead processes. Raises SettingError where that can't be."""
        self._folder = Path(folder).expanduser()
        self._store = store
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._monotonic = monotonic
        self._wall = wall
        self._pause = pause
        self._store_time = StoreTime(monotonic)
        self._boot = _boot_id()
        self._thread = ThreadPoolExecutor(1, "footfall-spool")
        self._is_closed = False
        self._away = False
        self._has_refused = False
        self._oldest: Row | None = None
        self._wake = asyncio.Event()
        self._replaying: asyncio.Task[None] | None = None
        try:
            make_folder(self._folder)
            self._own = SpoolFile(self._folder / f"{secrets.token_hex(8)}{SUFFIX}")
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
        """Whether another batch can be taken, as far as is known."""
        return not self._has_refused and self.size < self._max_bytes

    @property
    def size(self) -> int:
        """How much waits here, in bytes: in this process's file and in those it has adopted."""
        return self._own.size + sum(file.size for file in self._adopted)

    @property
    def oldest_seconds(self) -> float:
        """For how many seconds the batch that is to be replayed next has waited, as far as clocks tell; 0 where none waits."""
        return 0.0 if self._oldest is None else max(0.0, self._waited(self._oldest))

    def saw(self, at: int) -> None:
        """The store has just answered, and its clock says `at`."""
        self._store_time.saw(at)

    async def take(self, batch: Batch) -> int | None:
        """Keep a batch durably; return the second its views will be counted in, None where the store's clock is not known yet.

        Raises StoreUnavailable where there is no room or the disk does not take it.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is away and the spool is closed")
        if not self._away:
            self._away = True
            _log.warning("the store is away: views are spooled in %s", self._own.path)
        self._wake.set()
        at = self._store_time.now()
        row = Row(0, self._ledger.name, self._boot, self._monotonic(), int(self._wall()), encoded(batch, at))
        if self.size + len(row.body) > self._max_bytes:
            self._has_refused = True
            raise StoreUnavailable("the store is away and the spool is full")
        try:
            await self._in_thread(partial(self._own.add, row))
        except (sqlite3.Error, OSError) as error:
            self._has_refused = True
            raise StoreUnavailable(f"the store is away and the spool can't be written: {error}") from error
        for site, part in batch.sites.items():
            self._ledger.spooled(site, part.views)
        return at

    def start(self) -> None:
        """Begin to replay, first of all what dead processes left."""
        if self._adopted:
            self._wake.set()
        self._replaying = asyncio.get_running_loop().create_task(self._replay(), name="footfall-replay")

    async def close(self) -> None:
        """Stop replaying. What still waits stays on disk, for the next process in this folder. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._replaying is not None:
            self._replaying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._replaying
        for file in (self._own, *self._adopted):
            await self._let_go(file)
        self._adopted.clear()
        self._thread.shutdown()

    async def _let_go(self, file: SpoolFile) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            await asyncio.shield(self._in_thread(file.close))  # no longer among the adopted: nobody else would close it

    async def _replay(self) -> None:
        """Whenever something waits, replay it, oldest first, until nothing does."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            replayed = 0
            for file in [*self._adopted, self._own]:
                replayed += await self._replay_file(file)
                if file is not self._own:
                    self._adopted.remove(file)
                    await self._let_go(file)
            self._away = self._has_refused = False
            if replayed:
                _log.info("%d spooled views are in the store now", replayed)

    async def _replay_file(self, file: SpoolFile) -> int:
        """Replay all that waits in a file, however often the store is away meanwhile; how many views those were.

        An adopted file that fails is left for another process to adopt; our own is tried again and again.
        """
        replayed = 0
        pause = FIRST_PAUSE
        while True:
            is_news = pause == FIRST_PAUSE
            try:
                views = await self._replay_oldest(file)
            except (StoreError, TimeoutError) as error:
                reason = str(error) or f"no answer within {REPLAY_TIMEOUT:g} s"
                _log.log(logging.WARNING if is_news else logging.DEBUG, "spooled views wait for the store: %s", reason)
            except Exception as error:
                self._away = False  # a spool that fails must not keep new views from a store that may be there
                level = logging.ERROR if is_news else logging.DEBUG
                _log.log(level, "spooled views in %s can't be replayed: %s", file.path, error, exc_info=error)
                if file is not self._own:
                    return replayed
            else:
                if views is None:
                    return replayed
                replayed += views
                pause = FIRST_PAUSE
                continue
            await self._pause(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _replay_oldest(self, file: SpoolFile) -> int | None:
        """Hand the oldest batch of a file to the store, or give it up where it is too old.

        Returns how many of its views were handed over; None where no batch waits.
        """
        row = await self._in_thread(file.oldest)
        self._oldest = row and row._replace(body=b"")
        if row is None:
            return None
        spooled = decoded(row.body)
        age = self._age(row)
        duplicates = None
        if self._waited(row) > self._max_age:
            _log.error("%d spooled views are older than FOOTFALL_SPOOL_AGE and are given up", spooled.views)
        else:
            duplicates = await self._commit(spooled, age)
            self._away = False
        # It is settled when it is taken out: were that to fail, it would be sent again, and not be counted again.
        await self._in_thread(partial(file.remove, row.key))
        self._has_refused = False
        self._settle(spooled, duplicates)
        return 0 if duplicates is None else spooled.views

    def _age(self, row: Row) -> float | None:
        """For how many seconds a batch has waited; None where it was spooled before the machine was started."""
        return self._monotonic() - row.monotonic if row.boot and row.boot == self._boot else None

    def _waited(self, row: Row) -> float:
        """The same, by the wall's clock where nothing better is known."""
        age = self._age(row)
        return self._wall() - row.wall if age is None else age

    async def _commit(self, spooled: SpooledBatch, age: float | None) -> dict[str, int]:
        """Commit a batch as it was, each view at its own second; the number of duplicates by site."""
        async with asyncio.timeout(REPLAY_TIMEOUT):
            at = spooled.at
            if at is None and age is not None and spooled.parts:
                at = (await self._store.counts(spooled.parts[0].site, [], 1)).at - int(age)
            receipt = await self._store.commit(spooled.batch(at))
        return {site: len(part.duplicates) for site, part in receipt.items()}

    def _settle(self, spooled: SpooledBatch, duplicates: dict[str, int] | None) -> None:
        for part in spooled.parts:
            self._ledger.spooled(part.site, -part.views)
            if duplicates is None:
                self._ledger.failed(part.site, part.views)
            else:
                self._ledger.counted(part.site, part.views - duplicates[part.site])
                self._ledger.duplicate(part.site, duplicates[part.site])

    def _adopt(self) -> list[SpoolFile]:
        """Lock and open the files of processes that live no more. Views that stand in other books are received into ours."""
        found = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}"), key=_modified):
            if path == self._own.path:
                continue
            try:
                file = SpoolFile(path)
            except BlockingIOError:  # its process lives
                continue
            except (OSError, sqlite3.Error) as error:
                _log.error("%s can't be read and is left as it is: %s", path, error)
                continue
            try:
                parts = [(row.books, part) for row in file.rows() for part in decoded(row.body).parts]
            except (sqlite3.Error, msgspec.MsgspecError) as error:
                _log.error("%s can't be read and is left as it is: %s", path, error)
                file.leave()
                continue
            found.append(file)
            for books, part in parts:
                if books != self._ledger.name:
                    self._ledger.received(part.site, part.views)
                self._ledger.spooled(part.site, part.views)
            if parts:
                _log.info("%d views that another process spooled in %s wait here now", sum(part.views for _, part in parts), path)
        return found

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _modified(path: Path) -> float:
    """When a file was last written: of several dead processes' files, the oldest is replayed first."""
    try:
        return path.stat().st_mtime
    except OSError:  # its process has just ended and taken it along
        return 0.0


def _boot_id() -> str:
    """What names this running of the machine: monotonic clocks can be compared only within it. Empty where nothing tells."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
