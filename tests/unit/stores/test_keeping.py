"""How long sites are kept: what their documents come to, and how soon and how surely the stores go by it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from footfall.errors import BadInput, StoreUnavailable
from footfall.model import DAY, DEFAULT_RETENTION, HOUR, MINUTE, Document, SiteBatch, Tier
from footfall.rules import LONGEST_DURATION, RETENTION_RULES, Rules
from footfall.stores import retention as keeping
from footfall.stores.redis import Pieces, RedisStore
from footfall.stores.redis import retention as redis_keeping
from footfall.stores.redis.retention import SiteKeeping
from footfall.stores.retention import SITE_KIND, Keeping
from footfall.stores.sqlite import SqliteStore
from tests.contract.conftest import Clock as ContractClock
from tests.contract.conftest import Writer as ContractWriter
from tests.support.servers import RedisServer
from tests.unit.stores.redis_given import SITE, START, Clock, Writer, keys_of, store_at, visited

SHORTER = {"retention_minute": HOUR, "retention_hour": DAY, "retention_day": 3 * DAY}
LONGER = {"retention_minute": 90 * HOUR, "retention_hour": 200 * DAY, "retention_day": 800 * DAY}


def written(rules: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(rules)


async def keep(store: RedisStore | SqliteStore, rules: Mapping[str, Any], site: str = SITE) -> None:
    await store.put_document(SITE_KIND, site, written(rules))


# Rules


@pytest.mark.parametrize("rule", RETENTION_RULES.values())
@pytest.mark.parametrize("seconds", [0, -1, LONGEST_DURATION + 1])
def test_no_tier_is_kept_for_no_time_or_for_ages(rule: str, seconds: int) -> None:
    """The rule at fault is named."""
    with pytest.raises(BadInput) as refused:
        Rules(**{rule: seconds})  # type: ignore[arg-type]  # of a rule's own type
    assert refused.value.field == rule


def test_no_tier_is_kept_shorter_than_a_finer_one() -> None:
    """As with the settings; all four may be changed together."""
    assert Rules(**SHORTER).retention == {  # type: ignore[arg-type]  # of the rules' own types
        Tier.SECOND: 600,
        Tier.MINUTE: HOUR,
        Tier.HOUR: DAY,
        Tier.DAY: 3 * DAY,
    }
    with pytest.raises(BadInput, match="retention_day: 90d or longer: days must be kept at least as long as hours"):
        Rules(retention_day=DAY)


def test_a_store_remembers_documents_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they come to stays right."""
    monkeypatch.setattr(keeping, "MOST_REMEMBERED", 2)
    kept = Keeping(DEFAULT_RETENTION)
    for _ in range(2):
        for days in range(91, 96):
            assert kept.of(written({"retention_day": days * DAY}))[Tier.DAY] == days * DAY
            assert len(kept._remembered) <= 2
    assert kept.of(None) is kept.of(b"no JSON") is kept.of(b"{}") is DEFAULT_RETENTION


# SQLite


async def test_upkeep_deletes_each_site_s_rows_by_its_own_retention(tmp_path: Path) -> None:
    """Within two minutes of views; the rows of a site without its own stay, and so do months and totals."""
    clock = ContractClock()
    store = SqliteStore(str(tmp_path / "footfall.db"), clock)
    writer = ContractWriter(store)
    await keep(store, SHORTER)
    part = visited(["/"], {1})
    await writer.commit({SITE: part, "other.example": part})
    for later in (HOUR, DAY, 4 * DAY, 4 * DAY + 120):
        clock.set(START + later)
        await writer.commit({SITE: SiteBatch({"/new": 1}), "other.example": SiteBatch({"/new": 1})})
    await store.close()
    with sqlite3.connect(tmp_path / "footfall.db") as beside:
        count = "SELECT (SELECT count(*) FROM {} WHERE site = id AND t < ?) FROM site ORDER BY name"
        of_tables = {
            table: [n for (n,) in beside.execute(count.format(table), (START,))]
            for table in ("hour", "day", "month", "trait_hour", "trait_day", "trait_month")
        }
    beside.close()
    for table, (own, other) in of_tables.items():
        assert other > 0
        assert (own > 0) == (table in ("month", "trait_month")), table


# Redis


@pytest.fixture
async def stores(server: RedisServer, clock: Clock) -> AsyncIterator[list[RedisStore]]:
    """Two instances' stores at one server; the second does as little as can be at once."""
    stores = [store_at(server.url, clock), store_at(server.url, clock, pieces=Pieces(2, 2, 1, 1))]
    yield stores
    for store in stores:
        await store.close()


AGES = (0, 70, 3 * HOUR, 30 * HOUR, 40 * DAY)


async def filled(store: RedisStore, server: RedisServer) -> Writer:
    """A site with views, traits and visitors of many ages, all folded."""
    writer = Writer(store)
    for age in AGES:
        await writer.commit(visited(["/", "/a"], {1, 2}, START - age))
    return writer


async def swept(writer: Writer, server: RedisServer, clock: Clock) -> int:
    """Count on until what the site has is brought into line; after how many commits, about, it was."""
    for commits in range(0, 8000, 10):
        for _ in range(10):
            await writer.count({"/": 1})
        clock.t += 30 if commits < 100 else 0  # hours that may be added to wait for a minute until they are folded
        if "sweep" not in state_of(server):
            return commits + 10
    raise AssertionError("the site is never swept to its end")


def kinds_of(server: RedisServer, *kinds: str) -> dict[str, list[int]]:
    """The starts of the buckets that there are keys of, by the letters in their names."""
    found: dict[str, list[int]] = {kind: [] for kind in kinds}
    for key in keys_of(server):
        words = key.partition("}:")[2].split(":")
        if len(words) > 2 and words[1] in found:
            found[words[1]].append(int(words[2]))
    return found


@pytest.mark.parametrize("place", [0, 1], ids=["usual", "tiny"])
async def test_a_shorter_retention_erases_the_keys_that_are_there(
    stores: list[RedisStore], server: RedisServer, clock: Clock, place: int
) -> None:
    """By the commits that follow, in pieces: then no key is left of a bucket that has had its time, and others stay."""
    store = stores[place]
    writer = await filled(store, server)
    before = kinds_of(server, "m", "h", "d", "xh", "xd")
    assert all(min(starts) < START - DAY for starts in before.values())
    await keep(store, SHORTER)
    assert await swept(writer, server, clock) <= (200 if place == 0 else 8000)
    left = kinds_of(server, "m", "h", "d", "xh", "xd", "nh", "nd", "ph", "pd", "i")
    for kind, starts in left.items():
        kept = {"m": HOUR, "h": DAY}.get(kind[-1], 3 * DAY)
        assert starts, kind
        assert min(starts) > START - kept, kind
    months = {Tier.MONTH.start(START - age) for age in AGES}
    assert set(kinds_of(server, "mo")["mo"]) == months == set(kinds_of(server, "xmo")["xmo"])


async def test_a_longer_retention_prolongs_the_keys_that_are_there(
    stores: list[RedisStore], server: RedisServer, clock: Clock
) -> None:
    """From then on each lives for as long as its bucket is kept, and a minute more."""
    store = stores[0]
    writer = await filled(store, server)
    await keep(store, LONGER)
    assert await swept(writer, server, clock) <= 10
    kept = {"m": 90 * HOUR, "h": 200 * DAY, "d": 800 * DAY, "xh": 200 * DAY, "xd": 800 * DAY, "pd": 800 * DAY, "i": 800 * DAY}
    seen = set()
    for key in keys_of(server):
        words = key.partition("}:")[2].split(":")
        if len(words) > 2 and words[1] in kept and int(words[2]) < START - 2 * HOUR:
            seen.add(words[1])
            assert abs(server.ask("TTL", key) - (int(words[2]) + kept[words[1]] - START + MINUTE)) <= 30, key
    assert seen == kept.keys()


async def test_a_site_kept_as_before_is_not_swept(stores: list[RedisStore], server: RedisServer) -> None:
    """Other rules may change; nothing is looked through for that."""
    store = stores[1]
    writer = await filled(store, server)
    await keep(store, {"site_rate": 5})
    await writer.count({"/": 1})
    assert "sweep" not in state_of(server)
    await keep(store, LONGER)
    await writer.count({"/": 1})
    assert "sweep" in state_of(server)


async def test_a_forgotten_site_leaves_nothing_however_long_it_was_kept(stores: list[RedisStore], server: RedisServer) -> None:
    """Also where its document is removed first, as happens when a site is removed."""
    store = stores[0]
    await keep(store, LONGER)
    writer = await filled(store, server)
    await writer.commit(visited(["/old"], {1}, START - 790 * DAY))
    await store.put_document(SITE_KIND, SITE, None)
    await store.forget(SITE)
    assert not [key for key in keys_of(server) if SITE in key]


async def test_another_instance_goes_by_a_change_within_a_second(stores: list[RedisStore]) -> None:
    """Without having been told: it looks once a second, and not oftener."""
    here, there = stores
    await Writer(there).count({"/": 1}, timed={("/", START - 5 * HOUR): 1})
    await keep(here, SHORTER)
    changed = asyncio.get_running_loop().time()
    while (await there.series(SITE, "/", Tier.MINUTE, START - 5 * HOUR, START - 5 * HOUR + 1)).points[0][1]:
        assert asyncio.get_running_loop().time() < changed + 30  # a slow machine must not fail this
        await asyncio.sleep(0.02)


class Documents:
    """Documents that may be slow to list, or away."""

    def __init__(self) -> None:
        self.found: list[Document] = []
        self.looks = 0
        self.is_away = False
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def look(self) -> list[Document]:
        self.looks += 1
        self.arrived.set()
        found = self.found
        await self.go_on.wait()
        if self.is_away:
            raise StoreUnavailable("away")
        return found


def document(days: int) -> list[Document]:
    return [Document(SITE, written({"retention_day": days * DAY}), 1)]


async def test_the_first_look_must_succeed_and_later_ones_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """While documents can't be read the last that was seen holds, and calls do not wait for them again and again."""
    documents = Documents()
    kept = SiteKeeping(DEFAULT_RETENTION, documents.look)
    documents.is_away = True
    with pytest.raises(StoreUnavailable):
        await kept.keep_fresh()
    documents.is_away, documents.found = False, document(100)
    await kept.keep_fresh()
    documents.is_away = True
    monkeypatch.setattr(redis_keeping, "FRESH_SECONDS", 0.0)
    kept.doubt()
    for _ in range(3):
        await kept.keep_fresh()
        assert kept.of(SITE)[Tier.DAY] == 100 * DAY
        assert kept.words(SITE)["day"] == 100 * DAY
    assert documents.looks == 3


async def test_what_a_look_saw_before_a_change_does_not_undo_it() -> None:
    """A look that was under way while a document was written is made again; many callers share one look."""
    documents = Documents()
    documents.found = document(100)
    kept = SiteKeeping(DEFAULT_RETENTION, documents.look)
    documents.go_on.clear()
    callers = [asyncio.create_task(kept.keep_fresh()) for _ in range(5)]
    await documents.arrived.wait()
    documents.found = document(200)
    kept.doubt()
    documents.go_on.set()
    await asyncio.gather(*callers)
    assert kept.of(SITE)[Tier.DAY] == 200 * DAY
    assert kept.of("other.example") == DEFAULT_RETENTION
    assert documents.looks == 2


def state_of(server: RedisServer) -> dict[str, Any]:
    """A site's state in its own key."""
    with redis.Redis(*server.address, password=server.password) as client:
        raw = client.get(f"footfall:{{{SITE}}}")
    assert isinstance(raw, bytes)
    found: dict[str, Any] = msgspec.msgpack.decode(raw)
    return found
