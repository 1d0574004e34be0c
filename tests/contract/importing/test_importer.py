"""An access log is counted once, at its own times, whatever happens on the way; on every store."""

from __future__ import annotations

import asyncio
import gzip
import io
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from footfall.errors import BadInput, StoreUnavailable
from footfall.importing import MAX_LINE_BYTES, PART_BYTES, PART_LINES, Sample, Summary, import_log, open_log, writer_of
from footfall.model import OUTCOME, PERIODS, WHOLE_SITE, Batch, DropReason, Receipt, Tier
from footfall.stores import Store
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock, bucket_of, count_of, utc
from tests.unit.importing.logs_given import judge_of

JUDGE = judge_of(SITE)
SAMPLE = (Path(__file__).parents[2] / "data" / "access-sample.log").read_bytes()
SAMPLE_VIEWS = 40


def logged(at: int = START - 3600, page: str = "/a", status: int = 200, agent: str = "Mozilla/5.0 (X11) Firefox/140.0") -> bytes:
    """A line of a log."""
    moment = datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'192.0.2.1 - - [{moment}] "GET {page} HTTP/1.1" {status} 10 "-" "{agent}"\n'.encode()


def long_log(lines: int) -> bytes:
    """A log of so many views, each with another time or page."""
    return b"".join(logged(START - 7200 + number // 3, f"/{number % 3}") for number in range(lines))


async def imported(store: Store, log: bytes, site: str = SITE) -> Summary:
    return await import_log(io.BytesIO(log), store, JUDGE if site == SITE else judge_of(site))


async def total(store: Store, page: str = WHOLE_SITE, site: str = SITE) -> int:
    return (await count_of(store, page, site=site)).total


async def never(seconds: float) -> None:
    """For a pause that must not be made."""
    raise AssertionError(f"paused for {seconds} s")


# What is counted


async def test_a_real_log_is_summed_up(store: Store, clock: Clock) -> None:
    """Every line is counted or dropped for a reason, and the views are in the store."""
    clock.set(utc("2015-05-20 00:00:00"))
    summary = await imported(store, SAMPLE)
    assert summary.lines == 300
    assert summary.already == 0
    assert summary.counted == SAMPLE_VIEWS == await total(store)
    assert summary.dropped == {DropReason.NOT_A_PAGE: 217, DropReason.BOT: 43}
    assert summary.first is not None
    assert summary.last is not None
    assert utc("2015-05-17 10:05:00") <= summary.first < summary.last <= utc("2015-05-19 13:00:00")


async def test_views_keep_their_own_time(store: Store) -> None:
    """A view of yesterday stands in yesterday's second, hour and day, as far as they are kept, and not in today's."""
    yesterday = START - 86_400
    summary = await imported(store, logged(yesterday) * 2 + logged(START - 100, "/b") + logged(yesterday - 5))
    assert (summary.first, summary.last) == (yesterday - 5, START - 100)
    assert await bucket_of(store, "/a", Tier.HOUR, yesterday) == 3
    assert await bucket_of(store, "/a", Tier.DAY, START) == 0
    assert await bucket_of(store, "/b", Tier.SECOND, START - 100) == 1
    assert (await count_of(store, WHOLE_SITE)).today == 1


async def test_identical_lines_count_as_often_as_they_stand_there(store: Store) -> None:
    """Two people may ask for the same page within a second."""
    assert (await imported(store, logged() * 5)).counted == 5
    assert await total(store, "/a") == 5


async def test_dropped_lines_are_counted_by_reason(store: Store) -> None:
    """Lines of no view: errors, bots, bad pages, and lines that are none."""
    log = logged(status=404) * 2 + logged(agent="Googlebot/2.1") + logged(page="/%00") + b"\n" + b"what?\n" + logged()
    summary = await imported(store, log)
    assert summary == Summary(
        lines=7,
        already=0,
        counted=1,
        dropped={DropReason.NOT_A_PAGE: 2, DropReason.BOT: 1, DropReason.BAD_PAGE: 1, DropReason.UNREADABLE: 2},
        first=START - 3600,
        last=START - 3600,
        rules={"not shown": 2, "bot": 1, "no page": 1, "unreadable": 2, "view": 1},
        sites={SITE: 1},
        samples=(Sample(log.index(b"\n\n") + 1, ""), Sample(log.index(b"what?"), "what?")),
    )


async def test_dropped_lines_stand_in_the_ledger_once(store: Store) -> None:
    """By reason, in the hour of the import; another import of the log adds nothing, nor does a file that is no log."""
    log = logged(status=404) * 2 + logged(agent="Googlebot/2.1") + b"what?\n"
    for _ in range(2):
        await imported(store, log)
    await imported(store, b"a letter\n")
    ledger = await store.breakdown(SITE, WHOLE_SITE, OUTCOME, PERIODS["24h"], 10)
    assert ledger.values == [("not-a-page", 2), ("bot", 1), ("unreadable", 1)]


async def test_an_empty_last_line_is_dealt_with_once(store: Store) -> None:
    """It begins where it ends; a part of its own is no other."""
    log = long_log(PART_LINES - 1)
    for whole in (log + b"\n", log + b"\n\n", log + b"\n\n" + logged()):
        await imported(store, whole)
        again = await imported(store, whole)
        assert (again.lines, again.already) == (whole.count(b"\n"), whole.count(b"\n"))
        ledger = await store.breakdown(SITE, WHOLE_SITE, OUTCOME, PERIODS["24h"], 10)
        assert ledger.values == [("unreadable", whole.count(b"\n\n") + (b"\n\n\n" in whole))]


async def test_a_log_without_views_leaves_nothing(store: Store) -> None:
    """An empty log, and a file that is no log: no site, no page, no writer."""
    assert await imported(store, b"") == Summary(0, 0, 0, {}, None, None)
    assert (await imported(store, b"\x00\xff\n" * 10)).dropped == {DropReason.UNREADABLE: 10}
    assert (await store.top(SITE, PERIODS["all"], 10)).pages == []
    assert await store.applied(SITE, writer_of(b"\x00\xff")) == 0


async def test_bytes_that_are_not_utf_8_do_no_harm(store: Store) -> None:
    """They stay percent-encoded in a page, and may stand anywhere else."""
    log = logged(page="/caf@", agent="Opera@").replace(b"@", b"\xe9")
    assert (await imported(store, log)).counted == 1
    assert await total(store, "/caf%E9") == 1


# Once


async def test_the_same_log_counts_once(store: Store) -> None:
    """A second import finds all lines imported already."""
    log = long_log(PART_LINES + 100)
    assert (await imported(store, log)).counted == PART_LINES + 100
    again = await imported(store, log)
    assert (again.already, again.counted) == (PART_LINES + 100, 0)
    assert await total(store) == PART_LINES + 100


async def test_a_log_counts_once_for_each_site(store: Store) -> None:
    """What one site has imported, another one may."""
    await imported(store, logged())
    assert (await imported(store, logged(), OTHER_SITE)).counted == 1
    assert await total(store, site=OTHER_SITE) == 1


@pytest.mark.parametrize("before", [1, 5, PART_LINES - 1, PART_LINES, PART_LINES + 1, 2 * PART_LINES])
async def test_a_grown_log_counts_its_new_lines(store: Store, before: int) -> None:
    """Wherever the log ended the first time."""
    log = long_log(2 * PART_LINES + 50)
    lines = log.splitlines(keepends=True)
    await imported(store, b"".join(lines[:before]))
    grown = await imported(store, log)
    assert (grown.already, grown.counted) == (before, len(lines) - before)
    assert await total(store) == len(lines)


async def test_a_last_line_that_is_whole_but_for_its_end_counts_once(store: Store) -> None:
    """Without its line feed at first, with it and followed by others the next time."""
    log = logged() + logged(START - 60, "/last")
    assert (await imported(store, log[:-1])).counted == 2
    assert (await imported(store, log + logged(page="/new"))).counted == 1
    assert await total(store) == 3
    assert await total(store, "/last") == 1


async def test_a_last_line_that_is_cut_counts_when_it_is_whole(store: Store) -> None:
    """It is called unreadable at first, and is not lost."""
    log = logged() + logged(START - 60, "/last")
    cut = await imported(store, log[:-10])
    assert (cut.counted, cut.dropped) == (1, {DropReason.UNREADABLE: 1})
    whole = await imported(store, log)
    assert (whole.already, whole.counted) == (1, 1)
    assert await total(store, "/last") == 1


async def test_logs_with_other_first_lines_are_other_logs(store: Store) -> None:
    """The first line is what a log is known by."""
    await imported(store, logged() + logged())
    assert (await imported(store, logged(page="/b") + logged())).counted == 2
    assert await total(store) == 4


class Yielding:
    """A store whose calls let others go first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def applied(self, site: str, writer: str) -> int:
        await asyncio.sleep(0)
        return await self._store.applied(site, writer)

    async def commit(self, batch: Batch) -> Receipt:
        await asyncio.sleep(0)
        return await self._store.commit(batch)


async def test_two_imports_at_once_count_once(store: Store) -> None:
    """Two that go hand in hand on one store, and a third that starts when they are under way."""
    log = long_log(3 * PART_LINES + 7)
    shared = cast("Store", Yielding(store))
    under_way = asyncio.Event()

    async def first() -> None:
        await import_log(io.BytesIO(log), shared, JUDGE, progress=lambda _: under_way.set())

    async def late() -> None:
        await under_way.wait()
        await imported(shared, log)

    await asyncio.gather(first(), imported(shared, log), late())
    assert await total(store) == 3 * PART_LINES + 7


async def test_two_imports_through_two_stores_at_one_place_count_once(
    store: Store, another: Callable[[], Store], clock: Clock
) -> None:
    """Two processes that import one log see one another."""
    log = long_log(2 * PART_LINES + 7)
    await asyncio.gather(imported(store, log), imported(another(), log))
    assert await total(store) == 2 * PART_LINES + 7


# Trouble


class Failing:
    """A store that is unavailable in some of its calls: "before" it does anything, or "after" it has done it."""

    def __init__(self, store: Store, *trouble: str) -> None:
        self._store = store
        self._trouble = iter(trouble)

    async def applied(self, site: str, writer: str) -> int:
        trouble = next(self._trouble, "")
        if trouble:
            raise StoreUnavailable("away")
        return await self._store.applied(site, writer)

    async def commit(self, batch: Batch) -> Receipt:
        trouble = next(self._trouble, "")
        if trouble == "before":
            raise StoreUnavailable("away")
        receipt = await self._store.commit(batch)
        if trouble == "after":
            raise StoreUnavailable("the answer was lost")
        return receipt


async def test_a_store_that_comes_back_is_waited_for(store: Store) -> None:
    """Longer each time; a commit whose answer was lost is sent again and counts once."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    shaky = cast("Store", Failing(store, "before", "", "before", "after", "after", ""))
    summary = await import_log(io.BytesIO(logged() * 3), shaky, JUDGE, pause=pause)
    assert summary.counted == 3 == await total(store)
    assert pauses == [0.25, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_import_that_was_cut_goes_on_where_it_was(store: Store, when: str) -> None:
    """The store went away in the second part, before or after it took it: the next import counts the rest."""

    async def pause(seconds: float) -> None:
        assert seconds > 0

    log = long_log(2 * PART_LINES)
    away = cast("Store", Failing(store, "", "", "", *[when] * 3))
    with pytest.raises(StoreUnavailable):
        await import_log(io.BytesIO(log), away, JUDGE, attempts=3, pause=pause)
    assert await total(store) == (PART_LINES if when == "before" else 2 * PART_LINES)
    await imported(store, log)
    assert await total(store) == 2 * PART_LINES


class Cut:
    """A log that can't be read beyond some of its bytes."""

    def __init__(self, log: bytes, readable: int) -> None:
        self._log = io.BytesIO(log[:readable])

    def readline(self, limit: int = -1, /) -> bytes:
        found = self._log.readline(limit)
        if not found.endswith(b"\n"):
            raise OSError(5, "Input/output error")
        return found


async def test_a_log_that_can_not_be_read_on_is_one_clear_error_and_counts_the_next_time(store: Store) -> None:
    """What was committed before is not counted again."""
    log = long_log(PART_LINES + 500)
    with pytest.raises(BadInput, match=r"^log: can't be read beyond byte \d+ \(\[Errno 5\]") as caught:
        await import_log(Cut(log, len(log) - 1000), store, JUDGE)
    assert "\n" not in str(caught.value)
    assert await total(store) == PART_LINES
    assert (await imported(store, log)).counted == 500
    assert await total(store) == PART_LINES + 500


class Endless:
    """A line of many bytes, made up as it is read, and what follows it: memory is used only by who keeps it."""

    def __init__(self, length: int, tail: bytes) -> None:
        self._left = length
        self._tail = io.BytesIO(tail)

    def readline(self, limit: int = -1, /) -> bytes:
        if self._left:
            size = min(self._left, limit) if limit >= 0 else self._left
            self._left -= size
            return b"x" * size
        return self._tail.readline(limit)


async def test_a_line_that_is_too_long_is_unreadable_and_not_held(store: Store) -> None:
    """A line of 64 MB takes less than 1 MB; the line behind it counts, and counts once."""
    for counted in (1, 0):
        tracemalloc.start()
        summary = await import_log(Endless(64_000_000, b"\n" + logged()), store, JUDGE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000 or counted  # the first time, tables that are made once may be among it
        assert summary.counted == counted
        assert summary.dropped == ({DropReason.UNREADABLE: 1} if counted else {})
    assert await total(store) == 1


async def test_the_longest_readable_line_has_16_kib(store: Store) -> None:
    """One byte more, and it is unreadable."""
    for excess in (0, 1):
        line = logged()
        line = line[:-1] + b" " + b"x" * (MAX_LINE_BYTES - len(line)) + b"x" * excess
        assert len(line) == MAX_LINE_BYTES + excess
        assert (await imported(store, line + b"\n")).counted == 1 - excess


async def test_a_part_has_bounded_lines_and_bytes(store: Store) -> None:
    """Progress is told after each: at most PART_LINES lines, and little more than PART_BYTES bytes."""
    for log in (long_log(3 * PART_LINES), (logged()[:-1] + b" " + b"x" * 10_000 + b"\n") * 500):
        told: list[int] = []
        await import_log(io.BytesIO(log), store, JUDGE, progress=told.append, pause=never)
        assert len(told) >= 3
        assert told == sorted(told)
        assert told[-1] == len(log) - 1
        assert max(end - start for start, end in zip([0, *told], told, strict=False)) <= PART_BYTES + MAX_LINE_BYTES


# Gzip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes a file and gives its path."""

    def write(content: bytes) -> str:
        path = tmp_path / "access.log"
        path.write_bytes(content)
        return str(path)

    return write


async def test_a_log_and_its_gzip_are_one_log(store: Store, write: Callable[[bytes], str]) -> None:
    """Rotated and packed, it is still the same lines at the same places."""
    await imported(store, logged())
    with open_log(write(gzip.compress(logged() + logged(page="/b")))) as log:
        assert (await import_log(log, store, JUDGE)).counted == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "header"])
async def test_damaged_gzip_is_one_clear_error(store: Store, write: Callable[[bytes], str], damage: str) -> None:
    """What could be read before is counted once in all, when the mended file is imported."""
    log = long_log(PART_LINES + 500)
    packed = gzip.compress(log)
    broken = {
        "cut": packed[:-20],
        "changed": packed[:-8] + bytes(4) + packed[-4:],
        "header": packed[:2] + b"\x07" + packed[3:],
    }
    path = write(broken[damage])
    with pytest.raises(BadInput, match=r"^log: its packed data are damaged at byte \d+") as caught, open_log(path) as opened:
        await import_log(opened, store, JUDGE)
    assert "\n" not in str(caught.value)
    await imported(store, log)
    assert await total(store) == PART_LINES + 500
