"""A log that is followed, and what servers and logrotate do to it meanwhile; time is the test's."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from footfall.importing import Follow, Import, Summary
from footfall.model import WHOLE_SITE
from footfall.stores import Store
from footfall.stores.memory import MemoryStore
from tests.unit.importing.logs_given import judge_of

SITE = "example.com"
NOW = 1773843930  # 2026-03-18 14:25:30 UTC
JUDGE = judge_of(SITE)

Deed = Callable[[], object]


def line(number: int) -> bytes:
    """The only line of a log about the page of that number."""
    return b'192.0.2.1 - - [18/Mar/2026:14:25:%02d +0000] "GET /%d HTTP/1.1" 200 10 "-" "Mozilla/5.0 (X11) Firefox/140.0"\n' % (
        number % 30,
        number,
    )


def lines(*numbers: int) -> bytes:
    return b"".join(map(line, numbers))


class Scene:
    """A folder with a log in it, a store, a clock, and what happens between the looks of whoever follows the log."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.log = folder / "access.log"
        self.folder = folder
        self.store = store or MemoryStore(lambda: NOW)
        self.now = 0.0
        self.notes: list[str] = []
        self.seen: list[Summary] = []

    def write(self, *numbers: int, to: str = "access.log") -> None:
        """A server writes lines into a log, where it stands."""
        with (self.folder / to).open("ab") as file:
            file.write(lines(*numbers))

    def rename(self, to: str = "access.log.1") -> None:
        self.log.rename(self.folder / to)

    def copy_and_cut(self, to: str = "access.log.1") -> None:
        """Logrotate's copytruncate."""
        shutil.copy2(self.log, self.folder / to)
        os.truncate(self.log, 0)

    def pack(self, name: str = "access.log.1") -> None:
        """Gzip, which keeps a file's time."""
        plain = self.folder / name
        packed = self.folder / f"{name}.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        os.utime(packed, ns=(plain.stat().st_mtime_ns, plain.stat().st_mtime_ns))
        plain.unlink()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def follow(self, *deeds: Deed) -> Summary:
        """Follow the log; between two looks one of the deeds is done. Stopped after the look that follows the last."""
        left = list(deeds)
        is_over = False

        async def pause(seconds: float) -> None:
            nonlocal is_over
            self.now += seconds
            if left:
                left.pop(0)()
            else:
                is_over = True

        importing = Import(self.store, JUDGE, pause=pause, attempts=1000, is_stopped=lambda: is_over)
        follow = Follow(
            str(self.log),
            importing,
            lambda: {SITE},
            clock=lambda: self.now,
            pause=pause,
            is_stopped=lambda: is_over,
            note=self.notes.append,
            looked=lambda: self.seen.append(importing.summary()),
        )
        asyncio.run(follow.run())
        return importing.summary()

    def counted(self) -> dict[int, int]:
        """Views by the number of the page, of those that have any."""
        pages = [f"/{number}" for number in range(100)]
        found = asyncio.run(self.store.counts(SITE, [*pages, WHOLE_SITE], 60)).pages
        assert sum(found[page].total for page in pages) == found[WHOLE_SITE].total
        return {int(page[1:]): found[page].total for page in pages if found[page].total}


def once(numbers: Iterable[int]) -> dict[int, int]:
    return dict.fromkeys(numbers, 1)
