"""What the Redis store promises beyond the contract: what lies in the server, how it is moved, and what a commit costs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from footfall.errors import SettingError
from footfall.model import DAY, HOUR, WHOLE_SITE, Batch, SiteBatch, Span, Tier
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis.keys import SLOTS, documents_key, ping_key, site_key, sites_key, slot_of
from tests.support.servers import RedisServer
from tests.unit.stores.redis_given import (
    EVENT,
    SITE,
    START,
    Clock,
    Writer,
    calls_of,
    key_named,
    keys_of,
    store_at,
    total_of,
    views_of,
)

MINUTES = Span(Tier.MINUTE, 20)


@pytest.fixture
async def store(server: RedisServer, clock: Clock) -> AsyncIterator[RedisStore]:
    store = store_at(server.url, clock)
    yield store
    await store.close()


@pytest.fixture
def writer(store: RedisStore) -> Writer:
    return Writer(store)


async def fill(writer: Writer, clock: Clock, seconds: int, pages: int = 5) -> None:
    """Count a view of each of some pages in each second."""
    for _ in range(seconds):
        await writer.count({f"/{n}": 1 for n in range(pages)})
        clock.t += 1


# Keys


@pytest.mark.parametrize("site", ["example.com", "localhost:8080", "a}b", "{", "}", "{}", "%7B", "é"])
async def test_all_keys_of_a_site_lie_in_one_slot(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock, site: str
) -> None:
    """Every key has the site's name as its hash tag, whatever the name."""
    for _ in range(3):
        await writer.count({"/": 1}, timed={("/", START - DAY): 1}, events=[f"{EVENT}-{clock.t}"], site=site)
        clock.t += 45
    await store.forget(site, "/x")
    keys = keys_of(server).keys() - {sites_key().decode()}
    assert len(keys) > 12
    assert {slot_of(key.encode()) for key in keys} == {slot_of(site_key(site))}
    assert await total_of(store, "/", site) == 9


def test_no_two_sites_share_a_key() -> None:
    """Names that look alike once they are escaped have keys of their own, and no site has a key of what is no site's."""
    names = ["{", "}", "%7B", "%7D", "%257B", "{}", "a", "a}", "{a", "0", "0}:ping", "%sites", "sites", "%documents:a"]
    kinds = ["a", "b", "{", "}", "%7B"]
    keys = {site_key(name) for name in names} | {ping_key(0), sites_key()} | {documents_key(kind) for kind in kinds}
    assert len(keys) == len(names) + 2 + len(kinds)
    assert all(0 <= slot_of(key) < SLOTS for key in keys)


async def test_what_has_a_retention_expires_by_itself(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock
) -> None:
    """A bucket's key lives at least as long as the bucket is kept and little longer; only totals, months, state and sums stay."""
    for _ in range(4):
        await writer.count({"/": 1}, timed={("/", clock.t - 2 * HOUR): 1, ("/", clock.t - 70): 1}, events=[f"{EVENT}-{clock.t}"])
        clock.t += 70
    keep = {"s": 600, "m": 48 * HOUR, "h": 90 * DAY, "d": 730 * DAY, "e": 600, "el": 0, "writers": 7 * DAY}
    staying = {"mo", "t", "w", "u"}
    minute_before = (clock.t - 140) // 60 * 60  # it and the open one have not been folded
    seen = set()
    for key in keys_of(server):
        ttl = server.ask("TTL", key)
        _, _, name = key.partition("}:")
        kind = name.split(":")[1] if name else "state"
        seen.add(kind)
        if kind in staying | {"state"} or (kind == "m" and int(name.split(":")[2]) >= minute_before):
            assert ttl == -1
        else:
            assert 0 < ttl <= keep[kind] + 2 * HOUR
    assert seen == keep.keys() | staying | {"state"}


async def test_a_site_that_is_forgotten_leaves_nothing(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock
) -> None:
    """Not a key is left: no bucket of any tier, no id, no writer, and no part of a second that had several."""
    tiny = Writer(store_at(server.url, clock, pieces=Pieces(2, 2, 1)), "v")
    for _ in range(5):
        await writer.count({"/": 1}, timed={("/", START - 400 * DAY): 1, ("/", clock.t - 700): 1}, events=[f"{EVENT}-{clock.t}"])
        await tiny.count({f"/{n}": 1 for n in range(5)})
        await writer.count({f"/{n}": 1 for n in range(9)}, site="other.example")
        clock.t += 50
    await store.forget(SITE)
    await store.forget("other.example")
    await tiny.store.close()
    assert keys_of(server) == {}


async def test_what_was_left_of_a_forgotten_site_is_erased_the_next_time(
    store: RedisStore, writer: Writer, server: RedisServer
) -> None:
    """Forgetting that is cut short after its first step is finished when it is asked for again, whatever began anew meanwhile."""
    await writer.count({"/": 1})
    await store._scripts.ask("forget_site", SITE, ttl=600)  # the first step alone
    assert await total_of(store, "/") == 0
    left = set(keys_of(server))
    await writer.count({"/": 2})
    assert left
    await store.forget(SITE)
    assert keys_of(server) == {}


async def test_a_page_that_is_forgotten_is_nowhere_in_the_server(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock
) -> None:
    """No key names it any more; the site's line still has its views."""
    tiny = Writer(store_at(server.url, clock, pieces=Pieces(2, 2, 1)), "v")
    for _ in range(6):
        for each in (writer, tiny):
            timed = {("/secret", clock.t - 700): 1, ("/secret", START - 100 * DAY): 1}
            await each.count({"/secret": 1, "/a": 1, "/b": 1, "/c": 1}, timed=timed)
        clock.t += 50
    await store.forget(SITE, "/secret")
    await tiny.store.close()
    assert "secret" not in repr(keys_of(server))
    assert (await store.counts(SITE, ["/a", WHOLE_SITE], 60)).pages[WHOLE_SITE].total == 12 * 6


# The running sum


async def test_a_commit_moves_a_bounded_number_of_entries(server: RedisServer, clock: Clock) -> None:
    """What leaves the window after a pause is taken out in calls of a few entries, and every reading between them is exact."""
    store, reader = store_at(server.url, clock, pieces=Pieces(4, 4, 4)), store_at(server.url, clock)
    writer = Writer(store)
    await fill(writer, clock, 40)
    clock.t = START + 99
    before = calls_of(server, "evalsha")
    receipt = await writer.count({"/0": 1}, wanted=["/0", WHOLE_SITE])
    assert [receipt.counts["/0"].views, receipt.counts[WHOLE_SITE].views] == [1, 1]
    clock.t = START + 130
    await fill(writer, clock, 40)
    clock.t += 40
    steps = 0
    while (await store._scripts.ask("top_window", SITE, window=60, limit=9, views=0, page=""))[0] == 1:
        steps += 1
        assert await views_of(reader, "/0") == 19
        assert await views_of(reader, WHOLE_SITE) == 95
    assert steps > 20
    assert calls_of(server, "evalsha") - before > 20
    assert (await reader.top(SITE, Span(Tier.SECOND, 60), 9)).pages == [(f"/{n}", 19) for n in range(5)]
    await store.close()
    await reader.close()


async def test_an_idle_site_drops_the_sum(store: RedisStore, writer: Writer, server: RedisServer, clock: Clock) -> None:
    """After a pause as long as the window nothing is taken out entry by entry: the sum is thrown away."""
    await fill(writer, clock, 30)
    clock.t = START + 29 + 60
    server.ask("CONFIG", "RESETSTAT")
    await writer.count({"/new": 1})
    assert calls_of(server, "hgetall") == 0
    assert server.ask("ZRANGE", key_named(server, ":w:60"), 0, -1) == [WHOLE_SITE, "/new"]


async def test_a_page_without_views_in_the_window_is_not_in_the_sum(writer: Writer, server: RedisServer, clock: Clock) -> None:
    """The sum holds the pages of the window and no others, however many there were."""
    for n in range(200):
        await writer.count({f"/{n}": 1})
        clock.t += 1
    assert server.ask("ZCARD", key_named(server, ":w:60")) == 61


async def test_a_clock_far_behind_lets_the_window_be_summed_up_anew(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """More than 60 s behind the newest second, the sum is built from the seconds whatever it held, with one warning."""
    await fill(writer, clock, 30)
    newest = clock.t - 1
    server.ask("ZADD", key_named(server, ":w:60"), -1000, "/0")
    server.ask("ZREM", key_named(server, ":w:60"), "/1")
    assert await views_of(store, "/0") == 1000
    with caplog.at_level(logging.WARNING):
        clock.t = newest - 60
        await writer.count({"/2": 1})
        assert not caplog.records
        for _ in range(3):
            clock.t = newest - 61
            assert (await writer.count({"/0": 1, "/1": 1}, wanted=["/0"])).at == newest
    (record,) = caplog.records
    assert "61 s behind" in record.getMessage()
    assert [await views_of(store, page) for page in ("/0", "/1", "/2")] == [33, 33, 31]
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 9)).pages == [("/0", 33), ("/1", 33), ("/2", 31), ("/3", 30), ("/4", 30)]
    clock.t = newest
    await writer.count({"/0": 1})
    clock.t = newest - 100
    server.ask("ZADD", key_named(server, ":w:60"), -1000, "/0")
    assert (await writer.count({"/0": 1}, wanted=["/0"])).counts["/0"].views == 35


async def test_a_sum_that_a_fast_clock_emptied_is_there_again(store: RedisStore, writer: Writer, clock: Clock) -> None:
    """Reading the top pages while the clock is ahead takes seconds out of the sum; when it is right again they are back."""
    await fill(writer, clock, 30)
    clock.t = START + 70
    assert len((await store.top(SITE, Span(Tier.SECOND, 60), 9)).pages) == 5
    clock.t = START + 40
    assert await views_of(store, "/0") == 30
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 1)).pages == [("/0", 30)]
    assert (await writer.count({"/0": 1}, wanted=["/0"])).counts["/0"].views == 31


async def test_two_widths_of_window_are_both_exact_and_the_newer_takes_over(server: RedisServer, clock: Clock) -> None:
    """While instances with two widths run, the sum keeps the older; a minute after the last of those it changes."""
    old, new = store_at(server.url, clock), store_at(server.url, clock, window=30)
    writers = [Writer(old, "w", 60), Writer(new, "v", 30)]
    for n in range(80):
        for writer in writers:
            receipt = await writer.count({"/": 1}, wanted=["/"])
            views = 2 * min(n, writer.batch.window - 1) + (1 if writer is writers[0] else 2)
            assert receipt.counts["/"].views == views
        clock.t += 1
    assert key_named(server, ":w:").endswith(":w:60")
    for _ in range(70):
        receipt = await writers[1].count({"/": 1}, wanted=["/"])
        clock.t += 1
    assert receipt.counts["/"].views == 30
    assert key_named(server, ":w:").endswith(":w:30")
    clock.t -= 1
    assert await views_of(new, "/", 30) == await views_of(old, "/", 30) == 30
    for store in (old, new):
        assert (await store.top(SITE, Span(Tier.SECOND, 30), 1)).pages == [("/", 30)]
        assert (await store.top(SITE, Span(Tier.SECOND, 60), 1)).pages == [("/", 60)]
        await store.close()


async def test_top_goes_on_behind_any_entry_among_equals(store: RedisStore, writer: Writer) -> None:
    """Lists go by bytes, not by a language's order, and continue also behind a page that is no longer there."""
    names = sorted(["/a", "/A", "/Z", "/ä", "/é", "/z", "/aa", "/a/", "/日"])
    await writer.count(dict.fromkeys(names, 1) | {"/first": 2})
    span, after, found = Span(Tier.SECOND, 60), None, []
    while pages := (await store.top(SITE, span, 2, after)).pages:
        found += pages
        after = (pages[-1][1], pages[-1][0])
    assert found == [("/first", 2), *((name, 1) for name in names)]
    assert (await store.top(SITE, span, 1, (1, "/aa0"))).pages == [("/z", 1)]
    assert (await store.top(SITE, span, 1, (2, "/zzz"))).pages == [("/A", 1)]


# Folding


async def test_no_more_than_two_minutes_wait_to_be_folded(server: RedisServer, clock: Clock) -> None:
    """A minute with many pages is folded a few at a time by the commits that follow, and to its end before a third is opened."""
    store = store_at(server.url, clock, pieces=Pieces(2, 5, 3))
    writer = Writer(store)
    for n in range(8):
        await writer.count({f"/{n}/{page}": 1 for page in range(20)})
        assert len(server.ask("KEYS", "*:u:*")) <= 2
        assert await total_of(store, WHOLE_SITE) == 20 * (n + 1)
        assert await total_of(store, "/0/0") == 1
        clock.t += 60
    await store.close()


async def test_an_idle_site_s_last_minute_outlasts_its_retention(store: RedisStore, writer: Writer, clock: Clock) -> None:
    """What is not folded yet has no expiry: it is in day and total however long nothing is counted."""
    await writer.count({"/": 3})
    clock.t += 400 * DAY
    assert await total_of(store, "/") == 3
    await writer.count({"/": 1})
    clock.t += 60
    await writer.count({"/": 1})
    assert await total_of(store, "/") == 5
    assert (await store.series(SITE, "/", Tier.DAY, START, START + 1)).points == [(START - START % DAY, 3)]


async def test_counts_are_exact_far_beyond_what_a_site_gets(store: RedisStore, writer: Writer, clock: Clock) -> None:
    """Numbers up to 2^52 are whole numbers everywhere: in seconds, sums, lists and totals."""
    many = 2**51 - 1
    await writer.count({"/a": many, "/b": 1}, wanted=["/a"])
    for _ in range(2):
        clock.t += 60
        await writer.count({"/b": 1})
    clock.t -= 61
    assert await total_of(store, "/a") == many
    assert await total_of(store, WHOLE_SITE) == many + 3
    assert (await store.series(SITE, "/a", Tier.SECOND, START, START + 1)).points == [(START, many)]
    await writer.count({"/a": many})
    assert (await store.top(SITE, Span(Tier.DAY, 1), 1)).pages == [("/a", 2 * many)]
    assert (await store.top(SITE, Span(Tier.SECOND, 60), 1)).pages == [("/a", many)]


# What it costs


async def test_a_batch_of_many_sites_is_one_round_trip(store: RedisStore, server: RedisServer) -> None:
    """One script call a site, all in one exchange; before it, one that lists those that this process has not met yet."""
    await store.commit(Batch("w", 1, {SITE: SiteBatch({"/": 1})}))
    calls, reads = calls_of(server, "evalsha"), server.info("stats")["total_reads_processed"]
    sites = {f"site-{n}.example": SiteBatch({"/": 1}) for n in range(50)}
    receipt = await store.commit(Batch("w", 2, sites))
    assert len(receipt) == 50
    assert calls_of(server, "evalsha") == calls + 1 + 50
    await store.commit(Batch("w", 3, sites))
    assert calls_of(server, "evalsha") == calls + 1 + 50 + 50
    # The packets of three exchanges, and the connections of these looks.
    assert server.info("stats")["total_reads_processed"] - reads < 20


async def test_reading_a_window_costs_the_same_after_many_views(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock
) -> None:
    """The commands behind one reading do not grow with the views, the pages and the seconds that were counted."""

    async def cost() -> int:
        server.ask("CONFIG", "RESETSTAT")
        await store.counts(SITE, ["/0"], 60)
        return sum(calls_of(server, command) for command in ("get", "hmget", "zmscore", "smismember", "hget", "hgetall"))

    await writer.count({"/0": 1})
    first = await cost()
    await fill(writer, clock, 100, pages=50)
    clock.t -= 1
    assert await cost() <= first + 2 <= 8


# Options


@pytest.mark.parametrize(
    "durability", ["", "replica", "replicas", "replicas:0", "replicas:", "replicas:x", "replicas:100", "PRIMARY "]
)
def test_durability_that_is_none_is_refused(durability: str) -> None:
    """Only primary and replicas:N are accepted."""
    with pytest.raises(SettingError, match="replicas:N"):
        store_at("redis://localhost", durability=durability)


async def test_the_server_s_clock_is_the_clock(server: RedisServer) -> None:
    """Without another, the server's own time decides the second."""
    store = store_at(server.url)
    receipt = await Writer(store).count({"/": 1})
    assert 0 <= int(server.ask("TIME")[0]) - receipt.at <= 1
    await store.close()


async def test_silent_writers_are_cleared_away(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Those not heard of for seven days go out of the server while others count; lasting ones stay."""
    await store.commit(Batch("import", 1, {SITE: SiteBatch({"/": 1})}, lasting=True))
    for n in range(20):
        await Writer(store, f"old-{n}").count({"/": 1})
    clock.t += 7 * DAY
    await Writer(store, "new").count({"/": 1})
    assert server.ask("HKEYS", key_named(server, "writers")) == ["import", "new"]
