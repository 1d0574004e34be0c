"""A cluster: sites on all its nodes, nodes that change places, and a slot that moves while its site is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from footfall.errors import StoreError, StoreUnavailable, StoreUnusable
from footfall.model import WHOLE_SITE, Batch, Count, SiteBatch
from footfall.stores.redis import RedisStore
from footfall.stores.redis.keys import site_key, slot_of
from tests.support.servers import RedisServer
from tests.support.servers.cluster import RedisCluster
from tests.unit.stores.redis_given import EVENT, SITE, Clock, Writer, keys_of, numbers_of, store_at, total_of

SLOT = slot_of(site_key(SITE))
PAGES = ("/", "/a", "/new", "/late", WHOLE_SITE)


@pytest.fixture(scope="module")
def running() -> Iterator[RedisCluster]:
    with RedisCluster(replicas=1) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: RedisCluster) -> RedisCluster:
    for node in running.primaries:
        node.ask("FLUSHALL")
    return running


@pytest.fixture
async def store(cluster: RedisCluster, clock: Clock) -> AsyncIterator[RedisStore]:
    store = store_at(cluster.url, clock)
    yield store
    await store.close()


def other_than(cluster: RedisCluster, node: RedisServer) -> RedisServer:
    """A primary that is not this one."""
    return next(each for each in cluster.primaries if each is not node)


async def lived_in(store: RedisStore, clock: Clock) -> Writer:
    """A site with keys of every kind, in the middle of folding a minute."""
    writer = Writer(store)
    for _ in range(4):
        timed = {("/late", clock.t - 65): 1, ("/late", clock.t - 7200): 1}
        await writer.count({"/": 1, "/a": 2}, timed=timed, events=[f"{EVENT}-{clock.t}"])
        clock.t += 31
    return writer


async def test_the_sites_of_a_batch_go_to_all_nodes(store: RedisStore, cluster: RedisCluster) -> None:
    """A batch of many sites is one commit, and each node is asked once for all of its sites."""
    sites = {f"{n}.example": SiteBatch({"/": n + 1}, wanted=frozenset({"/"})) for n in range(40)}
    receipt = await store.commit(Batch("w", 1, sites))
    assert [receipt[site].counts["/"] for site in sites] == [Count(n + 1, n + 1, n + 1) for n in range(40)]
    assert all(keys_of(node) for node in cluster.primaries)
    assert await store.commit(Batch("w", 1, sites)) == receipt


async def test_ping_writes_to_every_node(store: RedisStore, cluster: RedisCluster) -> None:
    """Each primary takes one."""
    await store.ping()
    assert all(node.ask("KEYS", "footfall:*:ping") for node in cluster.primaries)


async def test_each_node_s_settings_are_looked_at(store: RedisStore, cluster: RedisCluster) -> None:
    """What is wrong is said for each node."""
    node = cluster.primaries[1]
    node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        warnings = await store.warnings()
    finally:
        node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert [w for w in warnings if "maxmemory-policy is allkeys-lru" in w and str(node.port) in w]
    assert len([w for w in warnings if "append-only" in w]) == 3


@pytest.mark.parametrize("moved", [0, 1, 3, 5, 8, 12, 16, 99])
async def test_a_slot_that_moves_takes_a_batch_whole_or_not_at_all(
    store: RedisStore, cluster: RedisCluster, clock: Clock, moved: int
) -> None:
    """While some of a site's keys are on one node and some on the other, no batch counts; afterwards each has counted once."""
    writer = await lived_in(store, clock)
    before = await numbers_of(store, *PAGES)
    source = cluster.primary_of(SLOT)
    target = other_than(cluster, source)
    cluster.begin_migration(SLOT, target)
    cluster.move_keys(SLOT, target, moved)
    timed = {("/late", clock.t - age): 1 for age in (1, 65, 7200)}
    try:
        with pytest.raises(StoreUnavailable, match="moving the site's slot"):
            await writer.count({"/": 1, "/new": 2}, timed=timed, events=["a-new-event-id-here"])
        with pytest.raises(StoreUnavailable):
            await writer.again()
    finally:
        cluster.move_keys(SLOT, target)
        cluster.end_migration(SLOT, target)
        await asyncio.to_thread(cluster.wait_settled)
    assert await numbers_of(store, *PAGES) == before
    await writer.again()
    await writer.again()
    counts = (await store.counts(SITE, PAGES, 60)).pages
    assert [counts[page].total for page in PAGES] == [4 + 4 + 1 + 1, 8, 2, 8 + 3, 24 + 7]


async def test_a_slot_moves_under_load_without_a_view_lost_or_counted_twice(store: RedisStore, cluster: RedisCluster) -> None:
    """A batch that is sent again until it is taken counts once, however its site's keys move meanwhile."""
    live = store_at(cluster.url)
    writer = Writer(live)
    done = asyncio.Event()

    async def persist() -> int:
        """The same, each batch until it is taken."""
        batches = 0
        while not done.is_set():
            writer.batch = Batch("w", batches + 1, {SITE: SiteBatch({"/": 1, f"/{batches % 50}": 1})})
            while True:
                try:
                    await writer.again()
                except StoreUnavailable:
                    await asyncio.sleep(0.005)
                else:
                    break
            batches += 1
        return batches

    counting = asyncio.ensure_future(persist())
    await asyncio.sleep(0.2)
    for _ in range(2):
        target = other_than(cluster, cluster.primary_of(SLOT))
        await asyncio.to_thread(cluster.migrate_slot, SLOT, target)
        await asyncio.sleep(0.1)
    done.set()
    batches = await counting
    assert batches > 50
    assert await total_of(live, WHOLE_SITE) == 2 * batches
    assert await total_of(live, "/") == batches
    await live.close()


async def test_a_node_that_fails_over_is_found_again(store: RedisStore, cluster: RedisCluster) -> None:
    """After a replica took its primary's place the next calls go there."""
    writer = Writer(store)
    await writer.count({"/": 1})
    old = cluster.primary_of(SLOT)
    new = await asyncio.to_thread(cluster.failover, old)
    assert new is not old
    for n in range(20):
        try:
            await writer.count({"/": 1})
        except StoreUnavailable:
            await writer.again()
        assert await total_of(store, "/") == n + 2


async def test_a_node_of_a_cluster_is_no_single_server(cluster: RedisCluster, clock: Clock) -> None:
    """A redis:// URL that names one gets the mend."""
    for node in cluster.primaries:
        store = store_at(node.url, clock)
        try:
            await Writer(store).count({"/": 1})
        except StoreUnusable as error:
            assert "redis+cluster://" in str(error)  # noqa: PT017 - two of the three nodes raise it
        await store.close()


async def test_a_single_server_is_no_cluster(clock: Clock) -> None:
    """A redis+cluster:// URL that names one gets the mend."""
    with RedisServer() as server:
        store = store_at(f"redis+cluster://127.0.0.1:{server.port}", clock)
        with pytest.raises(StoreUnusable, match="redis://"):
            await Writer(store).count({"/": 1})
        await store.close()


async def test_a_cluster_without_all_its_slots_is_unavailable(clock: Clock) -> None:
    """Neither a slot that nobody has nor a cluster that is down is anything but a reason to try again."""
    with RedisServer(options={"cluster-enabled": "yes"}) as node:
        store = store_at(f"redis+cluster://127.0.0.1:{node.port}", clock)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await Writer(store).count({"/": 1})
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for _ in range(200):
            try:
                await Writer(store).count({"/": 1})
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                break
        assert await total_of(store, "/") == 1
        await store.close()
