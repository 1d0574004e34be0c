"""What becomes of a commit when the server can't take it: an error of ours that says what to do, and no half of a batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable
from footfall.model import DAY, HOUR, WHOLE_SITE, Batch, SiteBatch, Span, Tier
from footfall.stores.redis import RedisStore
from tests.support.servers import Engine, RedisServer
from tests.support.servers.proxy import TcpProxy
from tests.unit.stores.redis_given import (
    EVENT,
    SITE,
    START,
    Clock,
    Writer,
    brought_back,
    keys_of,
    numbers_of,
    saved,
    store_at,
    total_of,
    views_of,
    visited,
)


@pytest.fixture(scope="module", params=list(Engine), ids=lambda engine: engine.name)
def running(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param.path) as server:
        yield server


@pytest.fixture
async def store(server: RedisServer, clock: Clock) -> AsyncIterator[RedisStore]:
    store = store_at(server.url, clock)
    yield store
    await store.close()


PAGES = ("/", "/a", "/b", "/late", WHOLE_SITE)


async def lived_in(store: RedisStore, clock: Clock) -> Writer:
    """A site with keys of every kind, whose next batch touches as many of them as one can."""
    writer = Writer(store)
    for _ in range(4):
        timed = {("/late", clock.t - 65): 1, ("/late", clock.t - 2 * HOUR): 1}
        await writer.count({"/": 1, "/a": 2}, timed=timed, events=[f"{EVENT}-{clock.t}"])
        clock.t += 31
    await writer.commit(visited(["/"], [1, 2]))
    await writer.commit(visited(["/late"], [3], clock.t - 2 * HOUR))
    clock.t -= 31
    return writer


async def count_everywhere(writer: Writer, clock: Clock) -> None:
    """A batch with views of now, of the last minute, of long ago and with ids, some with details, and with drops."""
    timed = {("/late", clock.t - age): 1 for age in (1, 65, 2 * HOUR, 3 * DAY)}
    now, late = visited(["/", "/b"], [2, 4], value="y"), visited(["/late"], [5], clock.t - 2 * HOUR)
    await writer.commit(
        SiteBatch(
            {"/": 1, "/b": 2},
            timed,
            {"an-id-never-seen": ("/", None)},
            traits={**now.traits, **late.traits},
            visitors={**now.visitors, **late.visitors},
            outcomes={"bot": 1},
        )
    )


async def test_a_key_of_another_type_stops_a_commit_before_it_writes(
    store: RedisStore, server: RedisServer, clock: Clock
) -> None:
    """Whichever key is not what it should be, a batch that needs it fails whole, and counts once when the key is right again."""
    writer = await lived_in(store, clock)
    keys, content, last = keys_of(server), saved(server), writer.batch
    stopped = []
    for number, key in enumerate(sorted(keys)):
        brought_back(server, content)
        writer.batch = last
        server.ask("RENAME", key, "aside")
        server.ask(*(("RPUSH", key, "wrong") if keys[key][0] != "list" else ("SADD", key, "wrong")))
        if ":v" in key and number % 2:  # a string is no sketch either
            server.ask("DEL", key)
            server.ask("SET", key, "wrong")
        (error,) = await asyncio.gather(count_everywhere(writer, clock), return_exceptions=True)
        server.ask("RENAME", "aside", key)
        if error is not None:
            stopped.append(key)
            assert isinstance(error, StoreUnusable)
            assert "footfall:" in str(error)
            assert keys_of(server) == keys, key
            await writer.again()
        assert await total_of(store, "/") == 4 * 2 + 2 + 2
        assert await total_of(store, WHOLE_SITE) == 4 * 6 + 3 + 8
    assert len(stopped) > 30
    kinds = {key.split(":")[3] for key in stopped if key.count(":") > 2}
    assert kinds >= {"s", "m", "h", "d", "t", "w", "u", "e", "el"}
    assert kinds >= {"xh", "xd", "xmo", "pd", "i", "f", "vm", "vh", "vd", "nh", "nd"}


async def test_a_full_server_takes_nothing_and_says_so(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """At maxmemory a batch fails whole, reading goes on, and what is left over is counted when there is room."""
    writer = await lived_in(store, clock)
    before = await numbers_of(store, *PAGES)
    server.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match=r"maxmemory.*noeviction"):
            await count_everywhere(writer, clock)
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await store.ping()
        assert await total_of(store, "/a") == 8
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)
    assert await numbers_of(store, *PAGES) == before
    await writer.again()
    assert await total_of(store, "/b") == 2


async def test_a_script_the_server_forgot_is_sent_again(store: RedisStore, server: RedisServer) -> None:
    """After SCRIPT FLUSH the next call loads what it needs, and counts once."""
    writer = Writer(store)
    for n in range(3):
        await writer.count({"/": 1})
        assert (await store.top(SITE, Span(Tier.HOUR, 1), 1)).pages == [("/", n + 1)]
        server.ask("SCRIPT", "FLUSH")
    await store.commit(Batch("v", 1, {f"{n}.example": SiteBatch({"/": 1}) for n in range(5)}))
    assert await total_of(store, "/", "4.example") == 1


async def test_a_replica_is_named_as_such(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Where the server became a replica, a commit fails whole and the message says what to name instead."""
    writer = await lived_in(store, clock)
    server.ask("CONFIG", "SET", "replica-serve-stale-data", "yes")
    server.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        for call in (count_everywhere(writer, clock), store.ping()):
            with pytest.raises(StoreUnavailable, match=r"replica.*FOOTFALL_STORE"):
                await call
        assert await total_of(store, "/a") == 8
    finally:
        server.ask("REPLICAOF", "NO", "ONE")
    await writer.again()
    assert await total_of(store, "/b") == 2


async def test_too_few_good_replicas_is_said(store: RedisStore, server: RedisServer) -> None:
    """A server that is told to want replicas takes no writes without them (from scripts: Redis 6.2 does not look)."""
    server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        with pytest.raises(StoreUnavailable, match="min-replicas-to-write"):
            await store.ping()
    finally:
        server.ask("CONFIG", "SET", "min-replicas-to-write", 0)


async def test_data_of_a_newer_footfall_is_left_alone(store: RedisStore, server: RedisServer) -> None:
    """A state of another format is refused by every call, and not touched."""
    await Writer(store).count({"/": 1})
    with redis.Redis(*server.address, protocol=2) as client:
        state = client.get(f"footfall:{{{SITE}}}")
        assert isinstance(state, bytes)
        client.set(f"footfall:{{{SITE}}}", state.replace(b"\xa1v\x01", b"\xa1v\x02"))
    before = keys_of(server)
    for call in (Writer(store, "v").count({"/": 1}), total_of(store, "/"), store.forget(SITE), store.applied(SITE, "w")):
        with pytest.raises(StoreUnusable, match="upgrade"):
            await call
    assert keys_of(server) == before


async def test_a_foreign_key_in_our_place_is_said(store: RedisStore, server: RedisServer) -> None:
    """What is not a site's state under a site's key is reported with the mend, whatever it is."""
    for command, value in (("SET", "y"), ("SET", "many words"), ("SET", ""), ("RPUSH", "y")):
        server.ask("FLUSHALL")
        server.ask(command, f"footfall:{{{SITE}}}", value)
        with pytest.raises(StoreUnusable, match="footfall:"):
            await Writer(store).count({"/": 1})


async def test_a_lost_reply_loses_nothing_and_counts_nothing_twice(server: RedisServer, clock: Clock) -> None:
    """Cut off after the script ran and before its reply, the same batch sent again is answered as if it had been the first."""
    with TcpProxy(server.port) as proxy:
        store = store_at(f"redis://127.0.0.1:{proxy.port}", clock)
        writer = Writer(store)
        await writer.count({"/": 1})
        for n in range(50):
            proxy.lose_replies(2, b"EVALSHA")
            try:
                await writer.count({"/": 1}, events=[f"{EVENT}-{n}"])
            except StoreUnavailable:
                receipt = await writer.again()
                assert receipt.duplicates == frozenset()
            else:
                pytest.fail("no reply was lost")
            proxy.pass_on()
        assert await total_of(store, "/") == 101
        await store.close()


async def test_an_idle_connection_that_was_cut_is_replaced(server: RedisServer, clock: Clock) -> None:
    """A call on a connection that went away meanwhile is answered all the same."""
    with TcpProxy(server.port) as proxy:
        store = store_at(f"redis://127.0.0.1:{proxy.port}", clock)
        writer = Writer(store)
        for n in range(5):
            assert (await writer.count({"/": 1}, wanted=["/"])).counts["/"].views == n + 1
            proxy.cut()
        assert await total_of(store, "/") == 5
        await store.close()


async def test_a_silent_server_is_given_up_in_time(server: RedisServer, clock: Clock) -> None:
    """A server that takes the bytes and answers nothing is unavailable within 3 seconds, and used again when it answers."""
    with TcpProxy(server.port) as proxy:
        store = store_at(f"redis://127.0.0.1:{proxy.port}", clock)
        await Writer(store).count({"/": 1})
        proxy.hold()
        async with asyncio.timeout(3):
            with pytest.raises(StoreUnavailable, match="no answer from"):
                await total_of(store, "/")
        proxy.pass_on()
        assert await total_of(store, "/") == 1
        proxy.refuse()
        with pytest.raises(StoreUnavailable, match="can't reach"):
            await total_of(store, "/")
        proxy.pass_on()
        assert await total_of(store, "/") == 1
        await store.close()


async def test_a_call_that_is_given_up_leaves_no_reply_for_the_next(store: RedisStore) -> None:
    """Readings that are cancelled at any moment never let a later one get their answer."""
    await Writer(store).count({"/": 7})
    for pause in range(60):
        task = asyncio.ensure_future(store.series(SITE, "/", Tier.SECOND, START - 500, START))
        for _ in range(pause % 12):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await views_of(store, "/") == 7


async def test_a_closed_store_takes_nothing(store: RedisStore) -> None:
    """Every call fails with an error of ours."""
    await store.close()
    for call in (
        Writer(store).count({"/": 1}),
        views_of(store, "/"),
        store.ping(),
        store.forget(SITE),
        store.applied(SITE, "w"),
        store.warnings(),
        store.top(SITE, Span(Tier.DAY, 1), 1),
        store.newest(SITE, "/", Span(Tier.DAY, 1)),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call


async def test_no_exception_of_the_driver_passes(server: RedisServer, clock: Clock) -> None:
    """Whatever a server says instead of an answer is one of our errors."""
    replies = [
        "ERR max number of clients reached", "ERR anything else", "BUSY Redis is busy running a script", "NOREPLICAS Not enough",
        "MISCONF Redis is configured to save RDB snapshots", "LOADING Redis is loading the dataset in memory", "ASK 1 h:1",
        "MOVED 1 h:1", "TRYAGAIN Multiple keys", "CLUSTERDOWN The cluster is down", "MASTERDOWN Link with MASTER is down",
        "NOAUTH Authentication required.", "NOPERM this user", "EXECABORT x", "UNKILLABLE x", "CROSSSLOT x", "OOM x",
        "READONLY x", "NOSCRIPT x",
    ]  # fmt: skip
    for reply in replies:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: str = reply) -> None:
            while await reader.read(10_000):
                writer.write(f"-{reply}\r\n".encode())
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as fake:
            store = store_at(f"redis://127.0.0.1:{fake.sockets[0].getsockname()[1]}", clock)
            with pytest.raises(StoreError) as raised:
                await store.applied(SITE, "w")
            assert "127.0.0.1" in str(raised.value)
            await store.close()
