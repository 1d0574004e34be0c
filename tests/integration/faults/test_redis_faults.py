"""Faults of a Redis store under load, on real servers: it stops, dies, fails over, loses a node, moves a slot, is cut off.

After each the counts keep to the rule of `loading.py`: nothing that was acknowledged is lost, nothing is counted twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

import pytest

from footfall.counting.counter import Counter
from footfall.model import Outcome, Span, Tier, View
from footfall.stores.redis import RedisStore
from footfall.stores.redis.keys import site_key
from footfall.stores.redis.scripts import ScriptClock
from footfall.stores.redis.server.url import read_url
from footfall.telemetry.ledger import Ledger
from tests.integration.conftest import LookAfter
from tests.integration.faults.loading import PLAIN, blocking, under_load, wait_counted_on
from tests.integration.http.asking import SITE, ask, is_ready, view
from tests.support.servers import FootfallServer, RedisCluster, RedisServer, RedisWithSentinels, TcpProxy, wait_until

_log = logging.getLogger(__name__)

#: The key that says in which slot the site is.
KEY = site_key(SITE).decode()


def instance(url: str, look_after: LookAfter, **settings: str) -> FootfallServer:
    """A started instance on the store at `url`."""
    server = FootfallServer(url, sites=[SITE], settings=settings)
    look_after(server)
    return server


async def test_a_store_that_stands_still(look_after: LookAfter) -> None:
    """Stopped (SIGSTOP) for 5 s, longer than views may wait. What it had in hand then is applied when it goes on, once."""
    with RedisServer() as redis:
        server = await asyncio.to_thread(instance, redis.url, look_after, COMMIT_TIMEOUT="1")
        async with under_load(server) as load:
            redis.pause()
            await asyncio.sleep(5)  # the outage itself
            redis.resume()
            started = time.monotonic()
            await asyncio.to_thread(wait_counted_on, server)
            _log.info("counted on %.2f s after the stop", time.monotonic() - started)
        assert load.broken > 0, "the outage was not noticed"
        await asyncio.to_thread(load.assert_counted_by, server)


async def test_a_store_that_is_killed_and_started_again(look_after: LookAfter) -> None:
    """With an append-only file that is synced always, what was acknowledged is there when it comes back."""
    with RedisServer(aof="always") as redis:
        server = await asyncio.to_thread(instance, redis.url, look_after, COMMIT_TIMEOUT="1")
        async with under_load(server) as load:
            for _ in range(2):
                redis.kill()
                await asyncio.sleep(0.5)  # the outage itself
                await asyncio.to_thread(redis.start)
                await asyncio.to_thread(wait_counted_on, server)
        await asyncio.to_thread(load.assert_counted_by, server)


async def test_a_network_that_refuses_and_cuts(look_after: LookAfter) -> None:
    """Connections are cut under way, then refused for a while, then swallowed: each time it recovers by itself."""
    with RedisServer() as redis, TcpProxy(redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        server = await asyncio.to_thread(instance, url, look_after, COMMIT_TIMEOUT="1")
        async with under_load(server) as load:
            for _ in range(10):
                await asyncio.to_thread(proxy.cut)
                await asyncio.sleep(0.05)
            for trouble in (proxy.refuse, proxy.hold):
                await asyncio.to_thread(trouble)
                await asyncio.sleep(1.5)  # the outage itself
                await asyncio.to_thread(proxy.pass_on)
                await asyncio.to_thread(wait_counted_on, server)
        assert load.broken > 0, "the outages were not noticed"
        await asyncio.to_thread(load.assert_counted_by, server)


async def test_without_a_spool_views_are_refused_and_all_is_well_when_the_store_is_back(look_after: LookAfter) -> None:
    """503 with Retry-After for views, readings and readiness; the process lives, and needs no restart."""
    with RedisServer(aof="always") as redis:
        server = await asyncio.to_thread(instance, redis.url, look_after, COMMIT_TIMEOUT="0.3")

        def look() -> None:
            assert view(server).status == 204
            redis.kill()
            wait_until(lambda: not is_ready(server), "readiness goes")
            for path in (f"/count?s={SITE}&p=/", f"/api/v1/sites/{SITE}/count", "/", "/readyz"):
                reply = ask(server, path)
                assert (reply.status, reply.headers["Content-Type"]) == (503, "application/problem+json"), path
                assert int(reply.headers["Retry-After"]) >= 1
                assert reply.seconds < 3
            page = ask(server, "/", accept="text/html")
            assert (page.status, page.headers["Retry-After"]) == (503, "1")
            assert ask(server, "/livez").status == 200
            pid = server.pid
            redis.start()
            wait_until(lambda: is_ready(server), "readiness comes back")
            assert view(server).status == 204
            assert server.pid == pid

        await asyncio.to_thread(look)


# A primary and its replicas


def cut_off(*replicas: RedisServer) -> None:
    """Let replicas get nothing from their primary any more: they lose it, and come back with a password it does not want."""
    for replica in replicas:
        replica.ask("CONFIG", "SET", "masterauth", "unwanted")
        replica.ask("CLIENT", "KILL", "TYPE", "master")


def let_follow(*replicas: RedisServer) -> None:
    """Let them follow whatever primary there is then."""
    for replica in replicas:
        replica.ask("CONFIG", "SET", "masterauth", "")


async def lose_primaries(look_after: LookAfter, times: int) -> None:
    """Kill the primary under load, while its replicas lag behind; the old one comes back before the next dies."""
    with RedisWithSentinels() as setup:
        server = await asyncio.to_thread(
            instance, setup.url, look_after, DURABILITY="replicas:1", COMMIT_TIMEOUT="15", DRAIN_SECONDS="20"
        )
        async with under_load(server) as load:
            for time_ in range(times):
                old, replicas = await asyncio.to_thread(lambda: (setup.primary, setup.replicas))
                await asyncio.to_thread(cut_off, *replicas)
                await asyncio.sleep(0.4)  # views that the primary alone has
                old.kill()
                started = time.monotonic()
                await asyncio.to_thread(let_follow, *replicas)
                await asyncio.to_thread(setup.wait_for_other_primary, old)
                named = time.monotonic() - started
                await asyncio.to_thread(wait_counted_on, server)
                _log.info("another primary after %.1f s, counted on after %.1f s", named, time.monotonic() - started)
                if time_ < times - 1:
                    await blocking(old.start, setup.wait_settled)
        assert load.broken == 0, f"the views outlived the fail-over: {load}"
        await asyncio.to_thread(load.assert_counted_by, server)


async def test_a_primary_that_dies_takes_no_acknowledged_view_with_it(look_after: LookAfter) -> None:
    """With DURABILITY=replicas:1, also where the replicas lag behind when it dies: what they had not was not acknowledged."""
    await lose_primaries(look_after, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_ten_primaries_that_die(look_after: LookAfter) -> None:
    """The same again and again."""
    await lose_primaries(look_after, 10)


#: A clock for scripts that is two minutes behind on every server but the one with this port.
BEHIND = """
local function clock()
  local port = redis.call('INFO', 'server'):match('tcp_port:(%d+)')
  return tonumber(redis.call('TIME')[1]) - (port == '{port}' and 0 or 120)
end
"""


async def test_a_primary_whose_successor_s_clock_is_two_minutes_behind(caplog: pytest.LogCaptureFixture) -> None:
    """No view is lost or counted twice, no reply's second lies before an earlier one's, and the window holds them all."""
    with RedisWithSentinels() as setup:
        old = setup.primary
        scheme, _, rest = setup.url.partition(":")
        clock = ScriptClock(BEHIND.format(port=old.port), tuple)
        stores = [RedisStore(read_url(scheme, rest), durability="replicas:1", clock=clock) for _ in range(2)]
        counter = Counter(stores[0], Ledger(), commit_timeout=20)
        seconds: list[int] = []
        is_over = False

        async def visit() -> None:
            while not is_over:
                settled = await counter.count(View(SITE, PLAIN))
                assert settled.outcome is Outcome.COUNTED
                seconds.append(settled.at or 0)
                await asyncio.sleep(0.02)  # a visitor's pace: the load is not what this is about

        async def numbers(store: RedisStore) -> tuple[int, int, list[int]]:
            count = (await store.counts(SITE, [PLAIN], 60)).pages[PLAIN]
            bars = await store.newest(SITE, PLAIN, Span(Tier.SECOND, 60))
            return count.views, count.total, [n for _, n in bars.points]

        visitors = [asyncio.create_task(visit()) for _ in range(16)]
        await until_more(seconds)
        old.kill()
        await asyncio.to_thread(setup.wait_for_other_primary, old)
        await until_more(seconds)
        await asyncio.sleep(1.1)  # into another second of the clock that is behind
        await until_more(seconds)
        is_over = True
        await asyncio.gather(*visitors)
        assert seconds == sorted(seconds)
        for store in stores:
            views, total, bars = await numbers(store)
            assert views == total == sum(bars) == len(seconds)
        assert any("s behind the newest second" in record.message for record in caplog.records)
        await counter.drain()
        for store in stores:
            await store.close()


async def until_more(seen: Sequence[object], more: int = 200) -> None:
    """Return when so many more have come."""
    least = len(seen) + more
    await asyncio.to_thread(wait_until, lambda: len(seen) >= least, f"{more} more are counted", seconds=30)


# A cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


async def test_a_slot_that_moves_under_load(look_after: LookAfter, cluster: RedisCluster) -> None:
    """No batch is applied by half, none is lost between the nodes, and the site's line stays the sum of its pages."""
    server = await asyncio.to_thread(instance, cluster.url, look_after, COMMIT_TIMEOUT="15")
    slot = cluster.slot_of(KEY)
    async with under_load(server) as load:
        for _ in range(2):
            source = await asyncio.to_thread(cluster.primary_of, slot)
            target = next(node for node in cluster.primaries if node is not source)
            started = time.monotonic()
            moved = await asyncio.to_thread(cluster.migrate_slot, slot, target)
            _log.info("moved %d keys in %.2f s", moved, time.monotonic() - started)
            assert moved > 0
            await asyncio.to_thread(wait_counted_on, server)
    assert load.broken == 0, f"the views outlived the moves: {load}"
    await asyncio.to_thread(load.assert_counted_by, server)
    await blocking(server.stop, lambda: cluster.primary_of(slot).ask("FLUSHALL"))


async def lose_nodes(look_after: LookAfter, cluster: RedisCluster, times: int) -> None:
    """Kill the node that has the site under load, while its replica lags behind, and start it again when that has taken over."""
    server = await asyncio.to_thread(
        instance, cluster.url, look_after, DURABILITY="replicas:1", COMMIT_TIMEOUT="15", DRAIN_SECONDS="20"
    )
    async with under_load(server) as load:
        for _ in range(times):
            old = await asyncio.to_thread(cluster.primary_of, KEY)
            (replica,) = await asyncio.to_thread(cluster.replicas_of, old)
            await asyncio.to_thread(cut_off, replica)
            await asyncio.sleep(0.4)  # views that the primary alone has
            old.kill()
            started = time.monotonic()
            await asyncio.to_thread(let_follow, replica)
            await asyncio.to_thread(cluster.wait_for_other_primary, old, KEY)
            named = time.monotonic() - started
            await asyncio.to_thread(old.start)  # the new primary has no other replica that could confirm a view
            await asyncio.to_thread(wait_counted_on, server)
            _log.info("another node after %.1f s, counted on after %.1f s", named, time.monotonic() - started)
            await asyncio.to_thread(cluster.wait_settled)
    assert load.broken == 0, f"the views outlived the fail-over: {load}"
    await asyncio.to_thread(load.assert_counted_by, server)
    await blocking(server.stop, lambda: cluster.primary_of(KEY).ask("FLUSHALL"))


async def test_a_cluster_s_node_that_dies(look_after: LookAfter, cluster: RedisCluster) -> None:
    """With DURABILITY=replicas:1 its replica takes its place, and has all that was acknowledged."""
    await lose_nodes(look_after, cluster, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_five_nodes_that_die(look_after: LookAfter, cluster: RedisCluster) -> None:
    """The same again and again."""
    await lose_nodes(look_after, cluster, 5)


async def test_a_key_of_another_program_makes_unready_until_it_is_gone(look_after: LookAfter) -> None:
    """It stands in the site's place: Redis takes a ping, and no view. Readiness comes back by itself."""
    with RedisServer() as redis:
        server = await asyncio.to_thread(instance, redis.url, look_after)

        def stand_in_the_way() -> None:
            with redis.client() as client:
                client.set(KEY, "somebody's")
                for _ in range(3):
                    assert view(server).status == 503
                wait_until(lambda: not is_ready(server), "readiness goes", seconds=5)
                assert "has keys named footfall:… that are not ours" in ask(server, "/readyz").json["detail"]
                client.delete(KEY)
            wait_until(lambda: is_ready(server), "readiness comes back", seconds=5)
            assert view(server).status == 204

        await asyncio.to_thread(stand_in_the_way)
