"""What the spool promises, on real files: order, a view's own second, bounds, and what it does when its disk fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from footfall.counting.spool import LONGEST_PAUSE, Spool, StoreTime
from footfall.counting.spool_files import decoded, encoded
from footfall.errors import SettingError, StoreUnavailable
from footfall.model import DIMENSIONS, Batch, Tier
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, bucket_of
from tests.unit.counting.spooling import Bench, part, until

HOUR = 3600


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "spool")
    yield bench
    await bench.close()


def files(bench: Bench) -> list[Path]:
    return sorted(bench.folder.glob("*.spool"))


# Order


async def test_batches_are_replayed_whole_in_their_order(bench: Bench) -> None:
    """Each under its own writer and sequence, with all it held."""
    bench.store.is_away = True
    spool = bench.spool()
    event = {"an-event-id-of-a": ("/e", None), "another-event-id-x": ("/e", START - 9)}
    await bench.take(spool, 7, part(3, "/a", timed={("/t", START - 5): 2}, events=event), part(4))
    for sequence in range(8, 12):
        await bench.take(spool, sequence)
    bench.store.is_away = False
    await bench.replayed()
    assert [(batch.writer, batch.sequence) for batch in bench.store.applied_batches] == [("w", n) for n in range(7, 12)]
    assert {page: await bench.store.total(page) for page in ("/a", "/t", "/e")} == {"/a": 7, "/t": 2, "/e": 2}
    assert await bench.store.total(site=OTHER_SITE) == 4
    assert await bucket_of(bench.store, "/t", Tier.SECOND, START - 5) == 2
    assert await bucket_of(bench.store, "/e", Tier.SECOND, START - 9) == 1


async def test_a_replay_that_is_interrupted_goes_on_where_it_was(bench: Bench) -> None:
    """The store goes away between two batches, and once fails for a reason of its own: none is left out, none comes twice."""
    bench.store.is_away = True
    spool = bench.spool()
    for sequence in range(1, 9):
        await bench.take(spool, sequence)
    bench.store.hold()
    bench.store.is_away = False
    await until(lambda: len(bench.store.under_way) == 1, "the first is under way")
    bench.store.is_away = True
    bench.store.let_go()
    bench.pauses.clear()
    await until(lambda: len(bench.pauses) > 2, "it is found away")
    bench.store.faults.append(RuntimeError("a fault of the store's own"))
    bench.store.is_away = False
    await bench.replayed()
    assert [batch.sequence for batch in bench.store.applied_batches] == list(range(1, 9))
    assert await bench.store.total() == 8


async def test_attempts_become_rarer_while_the_store_is_away(bench: Bench) -> None:
    """The pauses grow to some seconds, no two processes' alike."""
    bench.store.is_away = True
    await bench.take(bench.spool(), 1)
    await until(lambda: len(bench.pauses) >= 12, "it was tried twelve times")
    assert max(bench.pauses[:2]) <= 0.4
    assert LONGEST_PAUSE / 2 <= min(bench.pauses[8:]) < max(bench.pauses[8:]) <= LONGEST_PAUSE


async def test_a_batch_that_the_store_had_applied_is_not_counted_again(bench: Bench) -> None:
    """Replies are lost, and then the replay's own are: the store knows writer and sequence."""
    spool = bench.spool()
    bench.store.loses_replies = True
    with pytest.raises(StoreUnavailable):
        await bench.store.commit(Batch("w", 1, {SITE: part(5)}))
    await bench.take(spool, 1, part(5))
    await until(lambda: len(bench.store.applied_batches) > 3, "the replay has lost replies too")
    bench.store.loses_replies = False
    await bench.replayed()
    assert await bench.store.total() == 5
    assert bench.books() == {"counted": 5}


# A view's own second


async def test_a_spooled_view_is_counted_in_its_own_second(bench: Bench) -> None:
    """The store's last second and the monotonic clock since; the wall clock, an hour off and moved about, has no say."""
    spool = bench.spool()
    bench.wall.advance(HOUR)
    spool.saw(START)
    bench.store.is_away = True
    for sequence in range(1, 4):
        bench.monotonic.advance(7.9)
        bench.wall.advance((-5 * HOUR, HOUR, 99)[sequence - 1])
        assert await bench.take(spool, sequence) == START + int(7.9 * sequence)
    bench.clock.advance(40)
    bench.store.is_away = False
    await bench.replayed()
    seconds = dict((await bench.store.series(SITE, "/a", Tier.SECOND, START, START + 41)).points)
    assert {at for at, views in seconds.items() if views} == {START + 7, START + 15, START + 23}


async def test_the_second_follows_what_the_store_said_last() -> None:
    """A clock that goes too fast here is put right whenever the store answers."""
    monotonic = Clock(0.0)
    store_time = StoreTime(monotonic)
    assert store_time.now() is None
    for at in (START, START + 100, START + 90):
        store_time.saw(at)
        monotonic.advance(30.9)
        assert store_time.now() == at + 30


async def test_before_the_store_was_heard_of_the_second_is_found_at_the_replay(bench: Bench) -> None:
    """Nobody can say it while the store is away; later it is the store's second less the batch's age."""
    bench.store.is_away = True
    spool = bench.spool()
    assert await bench.take(spool, 1) is None
    bench.monotonic.advance(10)
    assert await bench.take(spool, 2) is None
    bench.monotonic.advance(20)
    bench.clock.advance(100)
    bench.store.is_away = False
    await bench.replayed()
    assert await bucket_of(bench.store, "/a", Tier.SECOND, START + 70) == 1
    assert await bucket_of(bench.store, "/a", Tier.SECOND, START + 80) == 1


async def test_the_first_batch_s_event_ids_keep_their_page_and_second(bench: Bench) -> None:
    """Views with an id are replayed in the batch's second as those without, and once, however often they were spooled."""
    spool = bench.spool()
    spool.saw(START)
    bench.store.is_away = True
    for sequence in (1, 2):
        await bench.take(spool, sequence, part(1, events={"sent-two-times-xx": ("/e", None)}))
        bench.monotonic.advance(3)
    bench.clock.advance(9)
    bench.store.is_away = False
    await bench.replayed()
    assert await bucket_of(bench.store, "/e", Tier.SECOND, START) == 1
    assert await bench.store.total("/e") == 1
    assert bench.books() == {"counted": 3, "duplicate": 1}


# Bounds


async def test_a_full_spool_refuses_until_it_was_replayed(bench: Bench) -> None:
    """Never more bytes wait than the setting allows; what was refused is not counted, what was taken is."""
    limit = 65536
    bench.store.is_away = True
    spool = bench.spool(max_bytes=limit)
    with pytest.raises(StoreUnavailable, match="the spool is full"):
        await bench.fill(spool, 1000)
    taken = bench.views("spooled")
    assert 50 <= taken < limit / 1000
    assert not spool.has_room
    with sqlite3.connect(files(bench)[0]) as file:
        assert limit - 1100 < file.execute("SELECT sum(length(body)) FROM batch").fetchone()[0] <= limit
    file.close()
    bench.store.is_away = False
    await bench.replayed()
    assert spool.has_room
    assert await bench.store.total() == taken


async def test_what_was_adopted_takes_room_too(bench: Bench) -> None:
    """A process that is killed again and again holds no more than one that lives."""
    bench.store.is_away = True
    for life in range(1, 4):
        spool = bench.spool(max_bytes=65536)
        await bench.fill(spool, 20, f"w{life}")
        await spool.close()
    spool = bench.spool(max_bytes=65536)
    with pytest.raises(StoreUnavailable, match="the spool is full"):
        await bench.fill(spool, 6, "w4")


@pytest.mark.parametrize("wall", [-HOUR, 0, 10 * 24 * HOUR])
async def test_what_has_waited_too_long_is_given_up_and_booked(bench: Bench, wall: int) -> None:
    """By the monotonic clock, wherever the wall clock was set meanwhile; what came later is replayed."""
    bench.store.is_away = True
    spool = bench.spool(max_age=60)
    await bench.take(spool, 1, part(5))
    bench.monotonic.advance(30)
    await bench.take(spool, 2)
    bench.wall.advance(wall)
    assert bench.books() == {"spooled": 6}
    bench.monotonic.advance(31)
    await until(lambda: bench.views("failed_total") > 0, "the first is given up")
    assert bench.books() == {"failed": 5, "spooled": 1}
    bench.store.is_away = False
    await bench.replayed()
    assert bench.books() == {"failed": 5, "counted": 1}
    assert await bench.store.total() == 1


@pytest.mark.parametrize("is_too_old", [True, False])
async def test_the_age_of_what_was_spooled_before_a_reboot_is_told_by_the_wall_clock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_too_old: bool
) -> None:
    """The monotonic clock began anew. A second that was not known then is the one of the replay."""
    bench.store.is_away = True
    spool = bench.spool(max_age=60)
    await bench.take(spool, 1)
    await spool.close()
    other_boot = bench.folder / "boot_id"
    other_boot.write_text("another")
    monkeypatch.setattr("footfall.counting.spool._BOOT_ID", other_boot)
    bench.monotonic.set(3.0)
    bench.wall.advance(61 if is_too_old else 59)
    bench.clock.advance(50)
    bench.ledger = type(bench.ledger)()
    bench.store.is_away = False
    bench.spool(max_age=60)
    await bench.replayed()
    assert bench.books() == ({"failed": 1} if is_too_old else {"counted": 1})
    assert await bucket_of(bench.store, "/a", Tier.SECOND, START + 50) == int(not is_too_old)


# Faults of the disk


async def test_a_folder_that_can_t_be_is_named_with_its_mend(bench: Bench) -> None:
    """Before anything serves."""
    bench.folder.write_text("a file")
    with pytest.raises(SettingError, match=r"^FOOTFALL_SPOOL: can't write in .*; name a folder that can be written, or off$"):
        bench.spool()


async def test_a_spool_that_can_t_be_written_leaves_the_store_to_be_tried(bench: Bench) -> None:
    """It says so, has no room, and does not keep views from a store that may be back."""
    bench.store.is_away = True
    spool = bench.spool()
    with sqlite3.connect(files(bench)[0]) as file:
        file.execute("DROP TABLE batch")
    file.close()
    with pytest.raises(StoreUnavailable, match="the spool can't be written"):
        await bench.take(spool, 1)
    assert not spool.has_room
    await until(lambda: not spool.takes_over, "the store is tried again")


@pytest.mark.parametrize("part_of_file", ["", "-wal"])
async def test_a_spool_file_that_was_removed_takes_nothing(bench: Bench, part_of_file: str) -> None:
    """No process would find there what went into it. What it had taken before is still replayed, and nothing else."""
    bench.store.is_away = True
    spool = bench.spool()
    await bench.take(spool, 1)
    size = spool.size
    (path,) = files(bench)
    path.with_name(path.name + part_of_file).unlink()
    with pytest.raises(StoreUnavailable, match=r"can't be written: .* was removed or replaced; restart Footfall"):
        await bench.take(spool, 2, part(5))
    assert not spool.has_room
    assert spool.size == size
    bench.store.is_away = False
    await until(lambda: bench.views("counted_total") == 1, "the first is replayed")
    assert await bench.store.total() == 1


async def test_what_waits_is_for_its_owner_s_eyes_alone(bench: Bench) -> None:
    """The folder, where we create it, and all files in it, whatever the umask."""
    before = os.umask(0)
    try:
        bench.store.is_away = True
        await bench.take(bench.spool(), 1)
        assert stat.S_IMODE(bench.folder.stat().st_mode) == 0o700
        names = [path.suffix for path in bench.folder.iterdir() if stat.S_IMODE(path.stat().st_mode) == 0o600]
        assert sorted(names) == [".lock", ".spool", ".spool-shm", ".spool-wal"]
    finally:
        os.umask(before)


async def test_an_adopted_file_that_fails_holds_up_no_other(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """It is let go with a line in the log, for another process to adopt; what waits behind it is replayed."""
    bench.store.is_away = True
    spool = bench.spool()
    await bench.take(spool, 1, writer="broken")
    (path,) = files(bench)
    await spool.close()
    spool = bench.spool()
    await bench.take(spool, 1)
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE batch")
    file.close()
    bench.store.is_away = False
    await until(lambda: "w" in {batch.writer for batch in bench.store.applied_batches}, "the other is replayed")
    assert path.exists()
    assert [path.name in record.message for record in caplog.records if record.levelname == "ERROR"] == [True]


@pytest.mark.parametrize("body", [b"\x81\xa1v\x02", b"\xc1"])
async def test_a_file_that_can_t_be_read_is_left_as_it_is(bench: Bench, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """One that is no database, and one that another version wrote: the log names them, and all others are replayed."""
    bench.store.is_away = True
    newer, older = bench.spool(), bench.spool()
    for number, spool in enumerate((newer, older)):
        await bench.take(spool, 1, writer=f"w{number}")
    path, _ = files(bench)
    await bench.close()
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO batch (books, boot, monotonic, wall, body) VALUES ('', '', 0, 0, ?)", (body,))
    file.close()
    (bench.folder / "no.spool").write_bytes(b"no database, whatever its name")
    bench.store.is_away = False
    bench.spool()
    await until(lambda: len(bench.store.applied_batches) == 1, "the other is replayed")
    assert (bench.folder / "no.spool").read_bytes() == b"no database, whatever its name"
    assert path.exists()
    for name in (path.name, "no.spool"):
        assert any(name in record.message and "left as it is" in record.message for record in caplog.records)


async def test_a_closed_spool_takes_nothing(bench: Bench) -> None:
    """A view that comes too late is told so; a spool that was never started closes too."""
    spool = bench.spool()
    await spool.close()
    with pytest.raises(StoreUnavailable, match="the spool is closed"):
        await spool.take(Batch("w", 1, {SITE: part()}))
    await Spool(str(bench.folder), bench.store, bench.ledger, max_bytes=65536, max_age=60).close()
    assert list(bench.folder.iterdir()) == []


async def test_a_replay_cut_off_by_the_end_is_not_counted_twice(bench: Bench) -> None:
    """The store has applied the batch when the process ends; the next process replays it again, and it counts once."""
    bench.store.is_away = True
    spool = bench.spool()
    await bench.take(spool, 1, part(5))
    bench.store.hold()
    bench.store.is_away = False
    await until(lambda: len(bench.store.under_way) == 1, "the replay is under way")
    await asyncio.wait_for(spool.close(), 5)
    bench.store.let_go()
    bench.spool()
    await until(lambda: bench.views("counted_total") > 0, "it is replayed")
    assert len(bench.store.applied_batches) == 2
    assert await bench.store.total() == 5


def test_what_is_on_disk_can_be_read_by_the_next_version() -> None:
    """The form of a batch on disk is a contract with every spool file that was ever left behind."""
    batch = Batch("w", 7, {SITE: part(3, timed={("/t", 5): 2}, events={"an-event-id-of-a": ("/e", None)})})
    first_part = [SITE, [["/a", 3]], [["/t", 5, 2]], [["an-event-id-of-a", "/e", None]]]
    assert decoded(msgspec.msgpack.encode(["w", 7, 60, [first_part]])).batch(None) == batch
    details = [[["/a", None, ["x", "y"], 3]], [["/a", None, [2**64 - 1]]], [["an-event-id-of-a", ["x", ""], 7]], {"bot": 2}]
    names = [dimension.name for dimension in DIMENSIONS]
    form = ["w", 7, 60, [[*first_part, *details]], names]
    detailed = msgspec.structs.replace(
        batch.sites[SITE],
        traits={("/a", None, ("x", "y")): 3},
        visitors={("/a", None): {2**64 - 1}},
        visits={"an-event-id-of-a": (("x", ""), 7)},
        outcomes={"bot": 2},
    )
    assert msgspec.msgpack.decode(encoded(Batch("w", 7, {SITE: detailed}), 60)) == form
    assert decoded(msgspec.msgpack.encode(form)).batch(None) == Batch("w", 7, {SITE: detailed})


def test_traits_on_disk_are_read_by_the_names_of_their_dimensions() -> None:
    """A dimension that the next version has in another place, has not, or is the first to have, miscounts nothing."""
    names = [dimension.name for dimension in DIMENSIONS]
    before = ["gone", *reversed(names[1:])]
    traits = ["x", *(f"a {name}" for name in reversed(names[1:]))]
    part = [SITE, [], [], [], [["/a", 5, traits, 3], ["/b", 5, [], 1]], [], [["an-event-id-of-a", traits, 7]], {}]
    read = decoded(msgspec.msgpack.encode(["w", 7, 60, [part], before])).batch(None).sites[SITE]
    expected = ("", *(f"a {name}" for name in names[1:]))
    assert read.traits == {("/a", 5, expected): 3, ("/b", 5, ()): 1}
    assert read.visits == {"an-event-id-of-a": (expected, 7)}


def test_files_that_name_no_dimensions_have_those_of_the_first_version() -> None:
    """Channel, referrer, campaign, browser, system, device, language and country: spooled before names were written."""
    first = ("channel", "referrer", "campaign", "browser", "system", "device", "language", "country")
    part = [SITE, [], [], [], [["/a", 5, list(first), 3]]]
    ((_, _, traits),) = decoded(msgspec.msgpack.encode(["w", 7, 60, [part]])).batch(None).sites[SITE].traits
    known = dict(zip((dimension.name for dimension in DIMENSIONS), traits, strict=True))
    assert {name: known[name] for name in first if name in known} == {name: name for name in first if name in known}
