"""What the Redis store promises of details, documents and the list of sites beyond the contract: where they lie, and how long."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from footfall.errors import StoreUnavailable
from footfall.model import DAY, HOUR, PRESENCE_MINUTES, WHOLE_SITE, Batch, Section, SiteBatch, Span, Tier
from footfall.stores.base import VISITOR_GRACE, VISITOR_HOURS, Limits
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis.keys import documents_key, site_key, sites_key, slot_of
from tests.support.servers import RedisServer
from tests.support.servers.proxy import TcpProxy
from tests.unit.stores.redis_given import (
    SITE,
    START,
    Clock,
    Writer,
    calls_of,
    key_named,
    keys_of,
    numbers_of,
    store_at,
    total_of,
    visited,
)

TINY = Pieces(2, 2, 1, 1)
PAGES = ("/", "/a", "/b", WHOLE_SITE)
THIS_DAY = Span(Tier.DAY, 1)


@pytest.fixture
async def store(server: RedisServer, clock: Clock) -> AsyncIterator[RedisStore]:
    store = store_at(server.url, clock)
    yield store
    await store.close()


@pytest.fixture
async def tiny(server: RedisServer, clock: Clock) -> AsyncIterator[RedisStore]:
    """A store that does as little at once as there is."""
    store = store_at(server.url, clock, pieces=TINY)
    yield store
    await store.close()


@pytest.fixture
def writer(store: RedisStore) -> Writer:
    return Writer(store)


async def visit(writer: Writer, clock: Clock, hours: int = 3, site: str = SITE) -> None:
    """Views of two pages by some visitors in each of some hours, some of them late, and what was not counted."""
    for n in range(hours):
        await writer.commit(visited(["/", "/a"], range(n, n + 3)), site)
        await writer.commit(visited(["/b"], [n], clock.t - HOUR, value="y"), site)
        await writer.commit(SiteBatch(outcomes={"bot": 1}), site)
        clock.t += HOUR


def kinds_of(server: RedisServer) -> dict[str, set[str]]:
    """Keys of the site by the kind that their names tell."""
    kinds: dict[str, set[str]] = {}
    for key in keys_of(server):
        name = key.partition("}:")[2]
        if name:
            kinds.setdefault(name.split(":")[1], set()).add(key)
    return kinds


def _kept(server: RedisServer) -> dict[str, object]:
    """What a server has, but for seconds: those have expired where hours have passed."""
    return {key: held for key, held in keys_of(server).items() if ":s:" not in key}


# Where they lie, and how long


async def test_all_details_of_a_site_lie_in_its_slot(writer: Writer, server: RedisServer, clock: Clock) -> None:
    """Whatever is known of visits has the site's hash tag; documents and the list of sites have their own."""
    await visit(writer, clock)
    await writer.store.put_document("token", "a", b"1", until=clock.t + 9)
    slots = {slot_of(key.encode()) for key in keys_of(server)}
    assert slots == {slot_of(key) for key in (site_key(SITE), sites_key(), documents_key("token"))}


async def test_details_expire_by_themselves(writer: Writer, server: RedisServer, clock: Clock) -> None:
    """A key lives as long as what it tells is known, and little longer; only a site's months stay."""
    await visit(writer, clock)
    keep = {
        "xh": 90 * DAY,
        "xd": 730 * DAY,
        "ph": 90 * DAY,
        "pd": 730 * DAY,
        "i": 730 * DAY,
        "f": 730 * DAY,
        "vm": PRESENCE_MINUTES * 60,
        "vh": VISITOR_HOURS,
        "vd": 730 * DAY,
        "nh": VISITOR_HOURS,
        "nd": 730 * DAY,
    }
    kinds = kinds_of(server)
    assert kinds.keys() >= keep.keys() | {"xmo"}
    for kind, seconds in keep.items():
        for key in kinds[kind]:
            assert 0 < server.ask("TTL", key) <= seconds + 120, key
    assert {server.ask("TTL", key) for key in kinds["xmo"]} == {-1}


async def test_a_forgotten_site_leaves_no_details(store: RedisStore, tiny: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Not a key of it is left, folded or not, counted or loaded, nor its name in the list; documents stay."""
    await store.put_document("site", SITE, b"settings")
    before = keys_of(server)
    await visit(Writer(store), clock)
    await visit(Writer(tiny, "v"), clock)
    await store.load(SITE, Section.TRAITS, Tier.MONTH, [(Tier.MONTH.start(START - 400 * DAY), WHOLE_SITE, "country", "x", 1)])
    await store.load(SITE, Section.TRAITS, Tier.HOUR, [(Tier.HOUR.start(START - 5 * DAY), "/", "an old one", "x", 1)])
    await store.load(SITE, Section.VISITORS, Tier.DAY, [(Tier.DAY.start(START - 5 * DAY), "/", 7)])
    await store.load(SITE, Section.VIEWS, Tier.HOUR, [(Tier.HOUR.start(clock.t + 9 * HOUR), "/", 7)])
    assert await store.sites() == [SITE]
    await store.forget(SITE)
    assert _kept(server) == before


async def test_a_forgotten_page_s_details_are_nowhere_in_the_server(
    store: RedisStore, writer: Writer, server: RedisServer, clock: Clock
) -> None:
    """No key names the page or counts its values any more, whether its hours had been folded or not."""
    await writer.commit(visited(["/secret"], [1], value="hidden"))
    await visit(writer, clock)
    await writer.commit(visited(["/secret"], [2], clock.t - HOUR, value="hidden"))
    await writer.commit(visited(["/secret"], [2], value="hidden"))
    await store.load(SITE, Section.TRAITS, Tier.HOUR, [(Tier.HOUR.start(START - 5 * DAY), "/secret", "country", "x", 1)])
    await store.forget(SITE, "/secret")
    left = _kept(server)
    assert "secret" not in repr(left)
    assert "hidden" not in repr([content for key, content in left.items() if ":f:" in key or ":p" in key])
    assert (await store.breakdown(SITE, WHOLE_SITE, "country", THIS_DAY, 9)).values == [("x", 18), ("hidden", 3), ("y", 3)]


# Folding


async def test_closed_sketches_become_numbers(store: RedisStore, tiny: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Some of a closed hour's sketches are folded by each commit that follows, and no number changes by it."""
    folding = Writer(tiny)
    pages = [f"/{n}" for n in range(60)]
    await folding.commit(visited(pages, [1, 2, 3]))
    end = Tier.HOUR.start(START) + HOUR
    clock.t = end + VISITOR_GRACE - 1
    await folding.count({"/": 1})
    assert len(kinds_of(server)["vh"]) == 61
    clock.t += 1
    left, steps = 61, 0
    while left:
        await folding.count({"/": 1})
        assert (await store.visitors(SITE, "/7", Tier.HOUR, START, START + 1)).points[0][1] == 3
        assert (await store.visitors(SITE, WHOLE_SITE, Tier.HOUR, START, START + 1)).points[0][1] == 3
        before, left, steps = left, len(kinds_of(server).get("vh", ())), steps + 1
        assert before - left <= 1
        assert steps < 100
    assert len(kinds_of(server)["vd"]) == 61  # the day is still open


async def test_an_hour_is_folded_page_by_page_and_reads_the_same(
    store: RedisStore, tiny: RedisStore, server: RedisServer, clock: Clock
) -> None:
    """Pages' traits of an hour that has passed leave its fresh hash, a few a commit; every reading between is exact."""
    folding = Writer(tiny)
    for n in range(3):
        await folding.commit(visited([f"/{page}" for page in range(20)], range(9 - 3 * n), value=f"v{n}"))
    fresh = key_named(server, ":f:")
    clock.t = Tier.HOUR.start(START) + HOUR
    await folding.commit(visited(["/0"], [1, 2], value="v2"))
    steps = 0
    while server.ask("EXISTS", fresh):
        steps += 1
        for page, more in (("/0", 2), ("/19", 0)):
            for span in (THIS_DAY, Span(Tier.HOUR, 2)):
                found = (await store.breakdown(SITE, page, "country", span, 9)).values
                assert found == [("v0", 9), ("v1", 6), ("v2", 3 + more)]
        clock.t += 60
        await folding.count({"/x": 1})
    assert steps >= 19
    assert len(kinds_of(server)["f"]) == 1  # the hour that is still open


async def test_a_late_view_comes_into_an_hour_that_is_being_folded(tiny: RedisStore, server: RedisServer, clock: Clock) -> None:
    """What is added behind the folding's back is folded too, and counted once."""
    writer = Writer(tiny)
    hour = Tier.HOUR.start(START)
    await writer.commit(visited([f"/{page}" for page in range(8)], [1], value="a"))
    clock.t = hour + HOUR
    for n in range(30):
        clock.t += 61
        await writer.commit(visited([f"/{n % 8}"], [1], hour + n, value="b"))
    for _ in range(40):
        clock.t += 61
        await writer.count({"/": 1})
    assert kinds_of(server).get("f", set()) == set()
    for page in range(8):
        late = len(range(page, 30, 8))
        assert (await tiny.breakdown(SITE, f"/{page}", "country", THIS_DAY, 9)).values == [("b", late), ("a", 1)]


async def test_no_more_than_some_hours_wait_to_be_folded(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """An import of many hours at once is folded before the next batch is counted; nothing is lost."""
    writer = Writer(store_at(server.url, clock, pieces=Pieces(folded=20)))
    for _ in range(3):
        at = [clock.t - n * HOUR for n in range(40)]
        parts = [visited(["/", "/a"], [1], t) for t in at]
        timed = {key: n for part in parts for key, n in part.timed.items()}
        await writer.commit(SiteBatch(timed=timed, traits={key: n for part in parts for key, n in part.traits.items()}))
    await writer.count({"/": 1})
    assert len(kinds_of(server)["f"]) <= 8
    assert (await store.breakdown(SITE, "/", "country", Span(Tier.DAY, 3), 9)).values == [("x", 120)]
    assert (await store.breakdown(SITE, "/a", "country", Span(Tier.HOUR, 20), 9)).values == [("x", 60)]
    await writer.store.close()


async def test_values_that_hold_anything_are_told_apart(store: RedisStore, writer: Writer, clock: Clock) -> None:
    """Control characters, signs of the store's own writing, and names of what values belong to are values like others."""
    values = ["a\x01Bb\x027", "\x03a", "\x01", "place", "#", "1", "é\x00", "(other)", "A(other)", "[^b]%d+"]
    for value in values * 2:
        await writer.commit(visited(["/"], [1], value=value))
    clock.t += HOUR
    for _ in range(3):
        expected = sorted((value, 2) for value in values)
        for page in ("/", WHOLE_SITE):
            assert (await store.breakdown(SITE, page, "country", THIS_DAY, 99)).values == expected
        assert sorted(value for _, _, dimension, value, _ in await rows_of(store, Tier.DAY) if dimension == "country") == sorted(
            values * 2
        )
        clock.t += 61
        await writer.count({"/": 1})


async def rows_of(store: RedisStore, tier: Tier) -> list[tuple[int | str, ...]]:
    return (await store.dump(SITE, Section.TRAITS, tier)).rows


async def test_limits_hold_across_the_hours_of_a_batch(server: RedisServer, clock: Clock) -> None:
    """Values come into a day in the order in which a batch has them, whichever hour they belong to."""
    store = store_at(server.url, clock, limits=Limits(page_values=2))
    at = [clock.t, clock.t - HOUR, clock.t, clock.t - HOUR, clock.t - 2 * HOUR, clock.t]
    parts = [visited(["/"], [1], t, value) for t, value in zip(at, ["a", "b", "c", "c", "a", "d"], strict=True)]
    traits = {key: n for part in parts for key, n in part.traits.items()}
    await Writer(store).commit(SiteBatch(timed={("/", t): at.count(t) for t in at}, traits=traits))
    assert (await store.breakdown(SITE, "/", "country", THIS_DAY, 9)).values == [("(other)", 3), ("a", 2), ("b", 1)]
    assert (await store.breakdown(SITE, "/", "country", Span(Tier.HOUR, 1), 9)).values == [("(other)", 2), ("a", 1)]
    await store.close()


# Loading


async def test_loaded_views_of_an_open_minute_are_not_folded(store: RedisStore, writer: Writer, clock: Clock) -> None:
    """Each tier has its own rows: a minute's go no further, whether the minute was open, is open or will be."""
    minute = Tier.MINUTE.start(clock.t)
    await writer.count({"/": 1})
    for t in (minute, minute + 60, minute + 120):
        await store.load(SITE, Section.VIEWS, Tier.MINUTE, [(t, "/", 10), (t, "/loaded", 10), (t, WHOLE_SITE, 20)])
    for n in range(5):
        assert await total_of(store, "/") == n + 1
        assert await total_of(store, "/loaded") == 0
        minutes = await store.series(SITE, "/", Tier.MINUTE, minute, minute + 180)
        assert [views for _, views in minutes.points] == [11, 10 + (n > 0), 10 + (n > 1)]
        clock.t += 60
        await writer.count({"/": 1})
    assert await total_of(store, WHOLE_SITE) == 6


async def test_a_full_second_is_loaded_in_parts(tiny: RedisStore) -> None:
    """Loaded seconds are kept as counted ones are, and go on being counted."""
    rows: list[tuple[int | str, ...]] = [(START, f"/{n}", n + 1) for n in range(9)]
    await tiny.load(SITE, Section.VIEWS, Tier.SECOND, rows[:5])
    await tiny.load(SITE, Section.VIEWS, Tier.SECOND, rows[3:])
    await Writer(tiny).count({"/0": 1, "/8": 1})
    expected = {f"/{n}": n + 1 for n in range(9)} | {"/0": 2, "/3": 8, "/4": 10, "/8": 10, WHOLE_SITE: 2}
    dumped = (await tiny.dump(SITE, Section.VIEWS, Tier.SECOND)).rows
    assert sorted(dumped) == sorted((START, page, n) for page, n in expected.items())
    assert dict((await tiny.top(SITE, Span(Tier.SECOND, 60), 20)).pages) == {page: n for page, n in expected.items() if page}


# Documents and sites


async def test_a_change_whose_reply_was_lost_is_made_once(server: RedisServer, clock: Clock) -> None:
    """A connection that had been idle is replaced and the change sent again, and it succeeds as if it had been sent once."""
    with TcpProxy(server.port) as proxy:
        store = store_at(f"redis://127.0.0.1:{proxy.port}", clock)
        version = await store.put_document("site", "a", b"0")
        for n in range(5):
            proxy.lose_replies(1, b"EVALSHA")
            made = await store.put_document("site", "a", b"%d" % n, version=version)
            proxy.pass_on()
            assert made == (version or 0) + 1
            version = made
        await store.close()


async def test_documents_whose_time_is_over_leave_the_server(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Others that are put take them away."""
    for n in range(60):
        await store.put_document("session", f"old-{n}", b"", until=clock.t + 1)
    await store.put_document("session", "new", b"", until=clock.t + 100)
    clock.t += 1
    await store.put_document("session", "another", b"")
    await store.put_document("session", "another", None)
    assert "old" not in repr(keys_of(server))
    assert [each.key for each in await store.documents("session")] == ["new"]


async def test_many_documents_are_listed_in_pieces(store: RedisStore, server: RedisServer) -> None:
    """No call lists them all; each is there once."""
    for n in range(700):
        await store.put_document("session", f"{n:03}", bytes(80))
    server.ask("CONFIG", "RESETSTAT")
    assert [each.key for each in await store.documents("session")] == [f"{n:03}" for n in range(700)]
    assert calls_of(server, "hscan") > 4


async def test_a_site_that_begins_anew_is_listed_again(store: RedisStore, server: RedisServer, clock: Clock) -> None:
    """Also where the process that counts it has listed it before, and another has forgotten it since."""
    writer, other = Writer(store), store_at(server.url, clock)
    await writer.count({"/": 1})
    await other.forget(SITE)
    assert await other.sites() == []
    await writer.count({"/": 1})
    assert await other.sites() == [SITE]
    await other.close()


async def test_a_site_that_was_listed_and_never_counted_is_not_named(store: RedisStore) -> None:
    """Whoever failed between the list and the first view leaves no site behind."""
    await store._sites.put(["half.example"])
    await Writer(store).count({"/": 1})
    assert await store.sites() == [SITE]


async def test_reading_details_changes_nothing(store: RedisStore, writer: Writer, server: RedisServer, clock: Clock) -> None:
    """No key is written by a breakdown, a number of visitors or a look at who is there."""
    await visit(writer, clock)
    await numbers_of(store, *PAGES)
    before = keys_of(server)
    await numbers_of(store, *PAGES)
    assert keys_of(server) == before


async def test_a_lost_reply_refuses_the_same_pages(server: RedisServer, clock: Clock) -> None:
    """A batch that is sent again because its reply was lost gets the same pages refused."""
    with TcpProxy(server.port) as proxy:
        store = store_at(f"redis://127.0.0.1:{proxy.port}", clock)
        batch = Batch("w", 1, {SITE: SiteBatch({"/a": 1, "/b": 1, "/c": 1}, most_new_pages=1)})
        proxy.lose_replies(2, b"EVALSHA")
        with pytest.raises(StoreUnavailable):
            await store.commit(batch)
        proxy.pass_on()
        receipt = (await store.commit(batch))[SITE]
        assert receipt.refused == {"/b", "/c"}
        assert await total_of(store, WHOLE_SITE) == 1
        await store.close()
