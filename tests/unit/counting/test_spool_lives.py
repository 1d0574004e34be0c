"""The spool from one life of a process to the next, and with a counter before it: no view is lost, none is counted twice."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from footfall.counting.counter import Counter
from footfall.errors import NotAcknowledged
from footfall.model import Outcome, Tier, View
from footfall.telemetry.ledger import Ledger
from tests.contract.conftest import SITE, START, Clock, bucket_of
from tests.unit.counting.spooling import Bench, part, until

A = View(SITE, "/a")

#: A process that spools views of the site, says so, and then lives until it is killed.
SPOOLING = """
import asyncio, sys, time
from footfall.telemetry.ledger import Ledger
from footfall.model import Batch, SiteBatch
from footfall.counting.spool import Spool
from footfall.stores.memory import MemoryStore

async def main():
    spool = Spool(sys.argv[1], MemoryStore(time.time), Ledger(), max_bytes=65536, max_age=60)
    spool.saw(int(sys.argv[2]))
    for sequence in range(1, 4):
        await spool.take(Batch("of-the-dead", sequence, {"example.com": SiteBatch({"/a": sequence})}))
    print("spooled", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "spool", monotonic=Clock(0.0))
    yield bench
    await bench.close()


# From life to life


async def test_a_killed_process_s_views_are_adopted_and_a_living_one_s_are_not(bench: Bench) -> None:
    """While it lives its file is its own; once it is killed, the next process replays it, in order and in its seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SPOOLING, str(bench.folder), str(START - 20), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"spooled\n"
        (file,) = bench.folder.glob("*.spool")
        neighbour = bench.spool()
        await neighbour.close()
        assert file.exists()
        assert bench.books() == {}
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    bench.spool()
    await until(lambda: bench.books() == {"counted": 6}, "they are replayed")
    assert [(batch.writer, batch.sequence) for batch in bench.store.applied_batches] == [("of-the-dead", n) for n in (1, 2, 3)]
    assert await bucket_of(bench.store, "/a", Tier.SECOND, START - 20) == 6
    await until(lambda: not file.exists(), "its file is gone")


async def test_of_two_processes_that_start_one_adopts(bench: Bench) -> None:
    """A dead process's file has one heir; the other starts with nothing."""
    bench.store.is_away = True
    spool = bench.spool()
    for sequence in range(1, 4):
        await bench.take(spool, sequence)
    await spool.close()
    heir, other = Ledger(), Ledger()
    bench.spool(ledger=heir)
    bench.spool(ledger=other)
    assert [bench.views("spooled", ledger=ledger) for ledger in (heir, other)] == [3, 0]
    bench.store.is_away = False
    await bench.replayed(heir)
    assert [bench.views("counted_total", ledger=ledger) for ledger in (heir, other)] == [3, 0]
    assert await bench.store.total() == 3


async def test_what_waits_at_the_end_is_replayed_by_the_next_process(bench: Bench) -> None:
    """Through several restarts, oldest first; and the books of each process add up."""
    bench.store.is_away = True
    for life in range(1, 4):
        spool = bench.spool()
        await bench.take(spool, 1, part(life), writer=f"w{life}")
        await spool.close()
    bench.ledger = Ledger()
    bench.spool()
    assert bench.books() == {"spooled": 6}
    bench.store.is_away = False
    await bench.replayed()
    assert [batch.writer for batch in bench.store.applied_batches] == ["w1", "w2", "w3"]
    assert bench.books() == {"counted": 6}


async def test_processes_that_share_their_books_receive_a_view_once(bench: Bench) -> None:
    """Where a worker adopts what another worker left, the view stands in their books already."""
    bench.store.is_away = True
    spool = bench.spool()
    await bench.take(spool, 1, part(3))
    await spool.close()
    bench.ledger.spooled(SITE, -3)  # as what waits in a dead worker no longer shows
    bench.spool()
    assert bench.books() == {"spooled": 3}
    assert bench.views("received_total") == 3
    bench.store.is_away = False
    await bench.replayed()
    assert bench.books() == {"counted": 3}


async def test_a_spool_with_nothing_in_it_leaves_nothing_behind(bench: Bench) -> None:
    """Neither one that was never used nor one that was replayed; nor what a killed process left empty."""
    bench.folder.mkdir()
    (bench.folder / "0123.spool").touch()
    bench.store.is_away = True
    used, unused = bench.spool(), bench.spool()
    await bench.take(used, 1)
    bench.store.is_away = False
    await bench.replayed()
    await until(lambda: not (bench.folder / "0123.spool").exists(), "the empty file is gone")
    for spool in (used, unused):
        await spool.close()
    assert list(bench.folder.iterdir()) == []


# With a counter


async def test_views_are_spooled_once_the_store_has_not_answered_in_time(bench: Bench) -> None:
    """The first waits for the timeout; those that follow do not try the store; all say that they are spooled, and when."""
    spool = bench.spool()
    counter = bench.counter(spool)
    assert (await counter.count(A)).outcome is Outcome.COUNTED
    bench.monotonic.advance(2)
    bench.store.is_away = True
    for _ in range(3):
        settled = await counter.count(A, wanted=True)
        assert (settled.outcome, settled.at, settled.count) == (Outcome.SPOOLED, START + 2, None)
    assert spool.takes_over
    assert bench.books() == {"counted": 1, "spooled": 3}
    bench.clock.advance(60)
    bench.store.is_away = False
    await bench.replayed()
    assert bench.books() == {"counted": 4}
    assert await bucket_of(bench.store, "/a", Tier.SECOND, START + 2) == 3


async def test_after_spooling_a_counter_goes_on_under_a_new_writer(bench: Bench) -> None:
    """So what still waits is told apart from what goes past it, and nothing is taken for a repetition."""
    spool = bench.spool()
    counter = bench.counter(spool)
    await counter.count(A)
    bench.store.is_away = True
    for _ in range(3):
        await counter.count(A)
    bench.store.hold()
    bench.store.is_away = False
    await until(lambda: len(bench.store.under_way) == 1, "the first is being replayed")
    bench.store.let_go()
    await until(lambda: not spool.takes_over, "the store is known to be back")
    assert (await counter.count(A)).outcome is Outcome.COUNTED
    await bench.replayed()
    sequences: dict[str, list[int]] = {}
    for batch in bench.store.applied_batches:
        sequences.setdefault(batch.writer, []).append(batch.sequence)
    first, second = sequences.values()
    assert first == [1, 2, 3, 4]
    assert len(second) == 1
    assert await bench.store.total() == 5


async def test_views_that_go_past_the_spool_are_counted_while_others_wait(bench: Bench) -> None:
    """A spool that takes long to replay holds nobody up, and the store may go away and come back meanwhile."""
    spool = bench.spool()
    counter = bench.counter(spool)
    bench.store.is_away = True
    for _ in range(20):
        await counter.count(A)
    bench.store.is_away = False
    await until(lambda: not spool.takes_over, "the store is known to be back")
    outcomes = set()
    while bench.views("spooled"):
        outcomes.add((await counter.count(A)).outcome)
        if len(bench.store.applied_batches) >= 5 and Outcome.SPOOLED not in outcomes:
            bench.store.is_away = True
            outcomes.add((await counter.count(A)).outcome)
            bench.store.is_away = False
        await asyncio.sleep(0)
    assert outcomes == {Outcome.COUNTED, Outcome.SPOOLED}
    assert await bench.store.total() == bench.views("received_total")
    assert len(bench.books()) == 1


async def test_a_commit_whose_reply_was_lost_is_spooled_and_counted_once(bench: Bench) -> None:
    """The store had it all along; the replay finds that out, event ids included, which are no duplicates of themselves."""
    counter = bench.counter(bench.spool())
    event = View(SITE, "/e", event_id="an-event-id-of-e")
    bench.store.loses_replies = True
    settled = await asyncio.gather(*(counter.count(view) for view in (A, A, event)))
    assert {one.outcome for one in settled} == {Outcome.SPOOLED}
    bench.store.loses_replies = False
    await bench.replayed()
    assert await bench.store.total() == 3
    assert bench.books() == {"counted": 3}
    assert (await counter.count(event)).outcome is Outcome.DUPLICATE


async def test_a_late_receipt_does_not_put_the_store_s_clock_back(bench: Bench) -> None:
    """It may name the second of an earlier attempt, whose reply was lost; what is spooled then still gets its own second."""
    spool = bench.spool()
    counter = bench.patient_counter(spool)
    await counter.count(A)
    bench.store.loses_replies = True
    late = asyncio.create_task(counter.count(A))
    await until(lambda: len(bench.store.applied_batches) > 1, "it was applied")
    bench.clock.advance(5)
    bench.monotonic.advance(5)
    bench.store.loses_replies = False
    assert (await late).at == START
    assert await bench.take(spool, 1) == START + 5


async def test_repeated_ids_are_booked_as_duplicates_also_while_they_are_spooled(bench: Bench) -> None:
    """Within a batch, and in one that follows."""
    counter = bench.counter(bench.spool())
    event = View(SITE, "/e", event_id="an-event-id-of-e")
    bench.store.is_away = True
    await asyncio.gather(*(counter.count(event) for _ in range(3)))
    await counter.count(event)
    assert bench.books() == {"duplicate": 2, "spooled": 2}
    bench.store.is_away = False
    await bench.replayed()
    assert bench.books() == {"duplicate": 3, "counted": 1}
    assert await bench.store.total() == 1


async def test_a_view_that_neither_store_nor_spool_takes_is_not_acknowledged(bench: Bench) -> None:
    """It fails with both reasons; when the store is back, views are counted again."""
    spool = bench.spool(max_bytes=65536)
    counter = bench.counter(spool)
    bench.store.is_away = True
    settled = [await counter.count(View(SITE, f"/{n}" + "x" * 1000)) for n in range(30)]
    assert {one.outcome for one in settled} == {Outcome.SPOOLED}
    too_many = (counter.count(View(SITE, f"/{n}" + "y" * 1000)) for n in range(64))
    results = await asyncio.gather(*too_many, return_exceptions=True)
    assert {type(result) for result in results} == {NotAcknowledged}
    assert "the spool is full" in str(results[0])
    assert bench.books() == {"failed": 64, "spooled": 30}
    bench.store.is_away = False
    await bench.replayed()
    assert (await counter.count(A)).outcome is Outcome.COUNTED
    assert await bench.store.total() == 31


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_each_acknowledged_view_is_counted_once(bench: Bench, seed: int) -> None:
    """Stores that go, come and lose replies, processes that end and begin: acknowledged <= counted <= sent, ids exactly."""
    chance = random.Random(seed)
    lives = 0
    acknowledged = sent = with_id = 0

    async def view(counter: Counter) -> None:
        nonlocal acknowledged, sent, with_id
        n = sent = sent + 1
        id = f"event-number-{n:09}" if chance.random() < 0.4 else None
        with_id += id is not None
        while True:
            try:
                await counter.count(View(SITE, "/id" if id else f"/{n % 3}", event_id=id))
            except NotAcknowledged:
                if id is None:
                    return
            else:
                acknowledged += 1
                return

    while lives < 4:
        lives += 1
        spool = bench.spool(max_bytes=10**6)
        counter = bench.counter(spool)
        for _ in range(12):
            what = chance.choice(("away", "back", "lose", "find", "step", "step", "step"))
            bench.store.is_away = {"away": True, "back": False}.get(what, bench.store.is_away)
            bench.store.loses_replies = {"lose": True, "find": False}.get(what, bench.store.loses_replies)
            bench.clock.advance(chance.random() * 3)
            bench.monotonic.advance(chance.random() * 3)
            await asyncio.gather(*(view(counter) for _ in range(chance.randrange(5))))
            await asyncio.sleep(chance.choice((0, 0, 0.003)))
        await counter.drain()
        await spool.close()
    bench.store.is_away = bench.store.loses_replies = False
    bench.ledger = Ledger()
    bench.spool()
    await bench.replayed()
    assert acknowledged <= await bench.store.total() <= sent
    assert await bench.store.total("/id") == with_id
