"""A log that is followed counts whole, each line once: through rotations of every kind, stops, kills and beginnings.

Time is the test's: between two looks it moves the clock and does to the files what servers and logrotate do.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from footfall.errors import BadInput, StoreUnavailable
from footfall.importing import import_log, open_log
from footfall.importing.following import LINGER_SECONDS, MISSING_SECONDS, POLL_SECONDS
from footfall.model import Batch, Receipt
from footfall.stores import Store
from footfall.stores.memory import MemoryStore
from tests.unit.importing.following import JUDGE, NOW, Scene, line, lines, once


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.write(0, 1)
    return scene


def test_a_log_that_grows_is_counted_as_it_grows(scene: Scene) -> None:
    """What is there counts at once, what is written by the next look; the log is looked at every half second."""
    scene.follow(lambda: scene.write(2), lambda: None, lambda: scene.write(3, 4))
    assert scene.counted() == once(range(5))
    assert [found.counted for found in scene.seen] == [2, 3, 3, 5]
    assert scene.now == 4 * POLL_SECONDS
    assert scene.notes == []


def test_a_line_counts_when_it_is_whole(scene: Scene) -> None:
    """A server may write it in pieces."""

    def append(content: bytes) -> None:
        with scene.log.open("ab") as file:
            file.write(content)

    scene.follow(lambda: append(line(2)[:50]), lambda: append(line(2)[50:-1]), lambda: append(line(2)[-1:] + line(3)))
    assert [found.counted for found in scene.seen] == [2, 2, 2, 4]
    assert scene.counted() == once(range(4))


def test_an_empty_log_may_be_followed(scene: Scene) -> None:
    """Its first line is what it is known by, when there is one."""
    scene.log.write_bytes(b"")
    scene.follow(lambda: scene.write(5))
    assert scene.counted() == {5: 1}


def test_a_log_that_was_renamed_is_read_to_its_end(scene: Scene) -> None:
    """The server goes on writing into it until it has opened the new one, and a little beyond."""
    scene.follow(
        lambda: scene.write(2),
        scene.rename,
        lambda: scene.write(3, to="access.log.1"),
        lambda: scene.write(4),
        lambda: scene.write(5, to="access.log.1"),
        lambda: scene.wait(LINGER_SECONDS),
        lambda: scene.write(6),
    )
    assert scene.counted() == once(range(7))


def test_the_last_line_of_a_log_that_is_left_counts_without_an_end(scene: Scene) -> None:
    """When nothing more comes."""
    scene.follow(
        lambda: scene.log.write_bytes(lines(0, 1) + line(2)[:-1]),
        scene.rename,
        lambda: scene.write(3),
        lambda: scene.wait(LINGER_SECONDS),
        lambda: None,
    )
    assert scene.counted() == once(range(4))


def test_a_log_that_was_renamed_and_packed_at_once_is_read_to_its_end(scene: Scene) -> None:
    """It stays open as long as it takes."""

    def rotate() -> None:
        scene.write(2)
        scene.rename()
        scene.pack()
        scene.write(3)

    scene.follow(rotate)
    assert scene.counted() == once(range(4))


def test_a_log_that_was_copied_and_cut_is_read_to_its_end(scene: Scene) -> None:
    """What was written between the last look and the copy stands in the copy."""

    def rotate() -> None:
        scene.write(2)
        scene.copy_and_cut()
        scene.write(3)

    scene.follow(rotate, lambda: scene.write(4))
    assert scene.counted() == once(range(5))
    assert scene.notes == []


def test_a_log_that_was_cut_and_has_grown_beyond_where_it_was_is_another(scene: Scene) -> None:
    """Its first line tells."""

    def rotate() -> None:
        scene.copy_and_cut()
        scene.write(*range(2, 12))

    scene.follow(rotate)
    assert scene.counted() == once(range(12))


def test_a_copy_that_is_being_packed_is_waited_for(scene: Scene) -> None:
    """Half an archive is none yet."""
    packed = gzip.compress(lines(0, 1, 2))

    def rotate() -> None:
        (scene.folder / "access.log.1.gz").write_bytes(packed[:-10])
        scene.log.write_bytes(line(3))

    scene.follow(rotate, lambda: scene.wait(60), lambda: (scene.folder / "access.log.1.gz").write_bytes(packed))
    assert scene.counted() == once(range(4))
    assert scene.notes == []


def test_a_log_that_was_cut_without_a_copy_is_noted(scene: Scene) -> None:
    """Some lines may be lost; after a while somebody should know."""
    scene.follow(lambda: scene.log.write_bytes(line(2)), lambda: scene.wait(MISSING_SECONDS), lambda: None)
    assert scene.counted() == once(range(3))
    assert scene.notes == [
        "a log that was rotated away may not be counted to its end: no file beside it begins with its first line"
    ]


def test_a_log_may_be_away_for_a_while(scene: Scene) -> None:
    """Between its renaming and the making of the new one."""
    scene.follow(scene.rename, lambda: scene.write(2, to="access.log.1"), lambda: None, lambda: scene.write(3))
    assert scene.counted() == once(range(4))


def test_following_again_goes_on_where_it_was(scene: Scene) -> None:
    """What was written meanwhile counts, what was counted does not."""
    scene.follow()
    scene.write(2)
    summary = scene.follow(lambda: scene.write(3))
    assert (summary.already, summary.counted) == (2, 2)
    assert scene.counted() == once(range(4))


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("rotate", ["rename", "copy_and_cut"])
def test_rotations_while_nobody_looked_are_made_up_for(scene: Scene, rotate: str, is_packed: bool) -> None:
    """One that was read in part, one that was never seen, and the log itself."""
    scene.follow()
    scene.write(2)
    getattr(scene, rotate)("access.log.2")
    scene.write(3)
    getattr(scene, rotate)("access.log.1")
    os.utime(scene.folder / "access.log.2", (1, 1))
    os.utime(scene.folder / "access.log.1", (2, 2))
    if is_packed:
        scene.pack("access.log.2")
    scene.write(4)
    scene.follow()
    assert scene.counted() == once(range(5))


def test_two_rotations_between_two_looks_are_made_up_for(scene: Scene) -> None:
    """The one in the middle was never open here."""

    def rotate() -> None:
        scene.write(2)
        scene.rename("access.log.2")
        scene.write(3)
        scene.rename("access.log.1")
        os.utime(scene.folder / "access.log.2", (1, 1))
        os.utime(scene.folder / "access.log.1", (2, 2))
        scene.write(4)

    scene.follow(rotate)
    assert scene.counted() == once(range(5))


def test_what_was_written_late_into_the_log_before_the_last_is_made_up_for(scene: Scene) -> None:
    """The next log was begun, and counted, when a server still wrote into the one before; then both were rotated unseen."""
    scene.follow(scene.rename, lambda: scene.write(2))
    scene.write(3, to="access.log.1")
    (scene.folder / "access.log.1").rename(scene.folder / "access.log.2")
    scene.rename("access.log.1")
    os.utime(scene.folder / "access.log.2", (1, 1))
    scene.write(4)
    scene.follow()
    assert scene.counted() == once(range(5))


def test_the_names_of_caddy_and_of_dates_are_known(scene: Scene) -> None:
    """Rotated logs are called in several ways; what is called otherwise is left alone."""
    scene.follow()
    scene.write(2)
    scene.rename("access-2026-03-18T14-25-30.000.log")
    scene.write(3)
    scene.rename("access.log-20260318")
    os.utime(scene.folder / "access-2026-03-18T14-25-30.000.log", (1, 1))
    os.utime(scene.folder / "access.log-20260318", (2, 2))
    scene.write(9, to="access.log.backup")
    scene.write(8, to="other.log.1")
    scene.write(4)
    scene.follow()
    assert scene.counted() == once(range(5))


def test_old_logs_that_were_never_imported_stay_so(scene: Scene) -> None:
    """Following begins with the log itself."""
    scene.write(7, to="access.log.1")
    scene.follow(scene.rename)
    assert 7 not in scene.counted()


def test_a_log_that_is_followed_can_not_be_imported_beside(scene: Scene) -> None:
    """Nor followed twice: its end could count twice. When it is over, it can."""

    def disturb() -> None:
        with pytest.raises(BadInput, match="is being imported already"), open_log(str(scene.log)):
            pass
        with ThreadPoolExecutor(1) as another, pytest.raises(BadInput, match="is being imported already; stop that import first"):
            another.submit(scene.follow).result()

    scene.follow(disturb)
    with open_log(str(scene.log)) as log:
        assert asyncio.run(import_log(log, scene.store, JUDGE)).already == 2


def test_a_log_that_is_not_there_is_an_error(scene: Scene) -> None:
    """At first; later it is waited for."""
    scene.log.unlink()
    with pytest.raises(BadInput, match=r"^log: can't open '.*access\.log' \(No such file or directory\); name a file"):
        scene.follow()


class Away:
    """A store that is unavailable for a while: what it is asked then, it does not do, or does without saying so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.answers = 0
        self.counts = store.counts

    async def applied(self, site: str, writer: str) -> int:
        self._say()
        return await self._store.applied(site, writer)

    async def commit(self, batch: Batch) -> Receipt:
        receipt = await self._store.commit(batch)
        self._say()
        return receipt

    def _say(self) -> None:
        self.answers += 1
        if self.answers % 3:
            raise StoreUnavailable("away")


def test_a_store_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    """However long; what it did without an answer does not count again."""
    scene = Scene(tmp_path, cast("Store", Away(MemoryStore(lambda: NOW))))
    scene.write(0, 1)
    quiet = [lambda: None] * 20
    scene.follow(*quiet, lambda: scene.write(2), *quiet)
    assert scene.counted() == once(range(3))


def test_who_is_stopped_while_the_store_is_away_ends(tmp_path: Path) -> None:
    """With the store's error; nothing is lost by the next time."""
    store = Away(MemoryStore(lambda: NOW))
    scene = Scene(tmp_path, cast("Store", store))
    scene.write(0, 1)
    with pytest.raises(StoreUnavailable):
        scene.follow()
    store.answers = -1
    scene.follow(lambda: None)
    assert scene.counted() == once(range(2))
