"""What holds when many count at once: nothing is lost, nothing is counted twice, and all see one number."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from footfall.counting.counter import Counter
from footfall.model import WHOLE_SITE, Batch, Count, Outcome, Settled, SiteBatch, Span, Tier, View
from footfall.stores import Store
from footfall.telemetry.ledger import Ledger
from tests.contract.conftest import SITE, Backend, Clock, Writer, count_of, placed

COUNT_VIEWS = Path(__file__).with_name("count_views.py")


async def _visit(counters: list[Counter], views: int, visitors: int) -> list[Settled]:
    """Let visitors view pages through the counters in turn, each waiting for the reply before the next view."""
    numbers = iter(range(views))

    async def visit() -> list[Settled]:
        return [await counters[n % len(counters)].count(View(SITE, f"/{n % 5}"), wanted=n % 3 == 0) for n in numbers]

    return [settled for some in await asyncio.gather(*(visit() for _ in range(visitors))) for settled in some]


async def test_many_tasks_on_one_counter_make_an_exact_total(store: Store, clock: Clock) -> None:
    """Each view is counted once, whatever batches they went in."""
    counter = Counter(store, Ledger(), commit_timeout=60)
    settled = await _visit([counter], 2000, 100)
    assert {one.outcome for one in settled} == {Outcome.COUNTED}
    assert await count_of(store, WHOLE_SITE) == Count(2000, 2000, 2000)
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 9)).pages == [(f"/{n}", 400) for n in range(5)]
    await counter.drain()


async def test_counters_on_two_stores_make_one_total(store: Store, another: Callable[[], Store]) -> None:
    """Two instances at one place lose nothing and count nothing twice; both read the same number."""
    stores = [store, another()]
    counters = [Counter(each, Ledger(), commit_timeout=60) for each in stores]
    settled = await _visit(counters, 1000, 40)
    assert [one.outcome for one in settled] == [Outcome.COUNTED] * 1000
    for each in stores:
        assert await count_of(each, WHOLE_SITE) == Count(1000, 1000, 1000)
    assert max(one.count.views for one in settled if one.count) <= 200
    for counter in counters:
        await counter.drain()


async def test_a_batch_sent_by_many_at_once_is_applied_once(store: Store, another: Callable[[], Store]) -> None:
    """Retries that overtake one another, on one store or on several, count once and get the same receipt."""
    stores = [store, another()]
    events: dict[str, tuple[str, int | None]] = {"a-view-sent-twice": ("/", None)}
    for sequence in range(1, 20):
        batch = Batch("w", sequence, {SITE: SiteBatch({"/": 2}, events=events | {f"event-id-{sequence}": ("/", None)})})
        receipts = await asyncio.gather(*(stores[n % 2].commit(batch) for n in range(6)))
        assert all(receipt == receipts[0] for receipt in receipts)
    assert (await count_of(store, "/")).total == 19 * 3 + 1


async def test_an_event_id_sent_by_many_at_once_is_counted_once(store: Store, another: Callable[[], Store]) -> None:
    """Of all who send it, one is told that it was counted, the others that it is a duplicate."""
    stores = [store, another()]
    for n in range(10):
        events: dict[str, tuple[str, int | None]] = {f"sent-by-many-{n}": ("/", None)}
        receipts = await asyncio.gather(*(Writer(stores[i % 2], f"w{i}-{n}").count(events=events) for i in range(6)))
        assert sum(not receipt.duplicates for receipt in receipts) == 1
    assert (await count_of(store, "/")).total == 10


async def test_no_reading_sees_half_a_batch(store: Store, another: Callable[[], Store], clock: Clock) -> None:
    """Pages that are always counted together are equal in every reading, and the site's line is their sum."""
    writer, reader = Writer(store), another()
    counting = True

    async def count() -> None:
        nonlocal counting
        for _ in range(200):
            await writer.count({"/a": 1}, timed={("/b", clock.second): 1})
            clock.advance(0.7)
        counting = False

    async def read() -> int:
        readings = 0
        while counting:
            a, b, whole = (await reader.counts(SITE, ["/a", "/b", WHOLE_SITE], 60)).pages.values()
            assert a == b
            assert (whole.views, whole.total) == (2 * a.views, 2 * a.total)
            listed = dict((await reader.top(SITE, Span(Tier.SECOND, 60), 9)).pages)
            assert listed.get("/a") == listed.get("/b")
            readings += 1
        return readings

    _, readings = await asyncio.gather(count(), read())
    assert readings > 10


async def test_processes_on_one_store_make_one_exact_total(backend: Backend, another: object) -> None:
    """Real processes count at the same time, on the store's real clock; each then reads the same number, the exact one."""
    processes, views = 3, 600
    async with placed(backend, time.time) as place:
        place.open()
        running = [
            await asyncio.create_subprocess_exec(
                sys.executable, COUNT_VIEWS, place.url, str(views), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(processes)
        ]
        readings = []
        try:
            for process in running:
                assert process.stdout is not None
                assert await process.stdout.readline() == f"counted {views}\n".encode()
            for process in running:
                readings.append((await process.communicate(b"\n"))[0].decode().split())
                assert process.returncode == 0
        finally:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    pages = [sum(n % 7 == page for n in range(views)) * processes for page in range(7)]
    assert readings == [[f"{n},{n}" for n in (views * processes, *pages)]] * processes
