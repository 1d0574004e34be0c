"""A file that is removed or replaced under the store: nothing that went into it is called stored, and it may be put back."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from footfall.errors import StoreUnavailable
from footfall.stores import Store, open_store
from footfall.stores.sqlite import SqliteStore
from tests.contract.conftest import SITE, Clock, Writer, count_of

PARTS = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "footfall.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    path.parent.mkdir()
    store = SqliteStore(str(path), Clock())
    yield store
    await store.close()


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("lose", [remove, replace, move_folder])
async def test_what_went_into_a_lost_file_is_not_acknowledged(
    store: Store, path: Path, part: str, lose: Callable[[Path], None]
) -> None:
    """Neither a commit nor any other write, nor the ping that readiness goes by; and no reading is shown from it."""
    writer = Writer(store)
    await writer.count({"/": 1})
    lose(path.with_name(path.name + part))
    with pytest.raises(StoreUnavailable, match=r"footfall\.db\S* was removed or replaced while it was open; put it back"):
        await writer.count({"/": 1})
    for call in (
        store.ping,
        lambda: store.put_document("k", "x", b"1"),
        lambda: store.forget(SITE),
        lambda: count_of(store, "/"),
        lambda: store.documents("k"),
    ):
        with pytest.raises(StoreUnavailable, match="was removed or replaced"):
            await call()


async def test_a_write_under_way_is_not_acknowledged(store: Store, path: Path) -> None:
    """The first to notice is the very commit that the file was taken away from."""
    remove(path)
    with pytest.raises(StoreUnavailable, match="was removed or replaced"):
        await Writer(store).count({"/": 1})


async def test_a_file_that_is_put_back_is_used_again(store: Store, path: Path) -> None:
    """Without a restart, with all that was acknowledged; a batch that was sent in between counts once."""
    writer = Writer(store)
    await writer.count({"/": 1})
    for part in PARTS:
        path.with_name(path.name + part).rename(path.with_name("away" + part))
    with pytest.raises(StoreUnavailable):
        await writer.count({"/": 1})
    for part in PARTS:
        path.with_name("away" + part).rename(path.with_name(path.name + part))
    await store.ping()
    await writer.repeat()
    assert (await count_of(store, "/")).total == 2


async def test_closing_leaves_the_file_alone_that_took_the_place(store: Store, path: Path) -> None:
    """Its write-ahead log has what another process has acknowledged."""
    await Writer(store).count({"/": 1})
    for part in PARTS:
        path.with_name(path.name + part).unlink()
    other = SqliteStore(str(path), Clock())
    await Writer(other).count({"/new": 1})
    log = path.with_name(path.name + "-wal").stat()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.close()
    assert path.with_name(path.name + "-wal").stat().st_ino == log.st_ino
    await Writer(other, "v").count({"/new": 1})
    await other.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT sum(n) FROM second WHERE page > 0").fetchone() == (2,)
    connection.close()


async def test_the_file_its_log_and_its_folder_are_their_owner_s_alone(tmp_path: Path) -> None:
    """Where Footfall creates them, whatever the umask; a file and a folder that exist keep their modes."""
    before = os.umask(0)
    try:
        for name in ("new/deep", "shared"):
            url, folder = f"sqlite:///{tmp_path / name}/footfall.db", tmp_path / name
            if name == "shared":
                folder.mkdir(0o755)
                (folder / "footfall.db").touch(0o640)
            store = open_store(url, Clock(), {}, 600)
            await Writer(store).count({"/": 1})
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
            expected = 0o640 if name == "shared" else 0o600
            assert modes == {
                folder.name: 0o755 if name == "shared" else 0o700,
                **dict.fromkeys(("footfall.db", "footfall.db-wal", "footfall.db-shm"), expected),
            }
            await store.close()
    finally:
        os.umask(before)
