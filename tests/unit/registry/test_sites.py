"""Sites and salts come from the store, seen by every instance; what the settings declare wins."""

from __future__ import annotations

import asyncio
import logging

import pytest

from footfall.errors import BadInput, StoreUnavailable
from footfall.intake.visitors import Visitors
from footfall.model import DAY, Document
from footfall.registry.instances import REPEAT_SECONDS, ROW_SECONDS, Shares
from footfall.registry.salts import Salts
from footfall.registry.sites import Sites
from footfall.rules import Rules, Visibility
from footfall.settings import load_settings
from footfall.stores.base import VISITOR_GRACE
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


def sites_at(store: MemoryStore) -> Sites:
    """An instance's sites: two declared, the second public."""
    return Sites(store, ["a.example", "b.example"], ["b.example"], Rules(site_rate=9))


async def test_a_change_made_anywhere_is_seen_everywhere(store: MemoryStore) -> None:
    """At the next look; a site that has not changed stays the same object."""
    here, there = sites_at(store), sites_at(store)
    assert await here.save("c.example", {"visibility": "counter"}, version=0)
    assert there.get("c.example") is None
    unchanged = there.get("a.example")
    await there.refresh()
    site = there.get("c.example")
    assert site is not None
    assert (site.rules.visibility, site.rules.site_rate) == (Visibility.COUNTER, 9)
    assert there.get("a.example") is unchanged
    assert there.names() == ["a.example", "b.example", "c.example"]
    await here.remove("c.example")
    await there.refresh()
    assert there.get("c.example") is None


async def test_a_site_that_nobody_asked_for_goes_with_the_first_that_is_created(store: MemoryStore) -> None:
    """On every instance. It stays where somebody has given it rules, which asks for it."""
    settings = load_settings({}, {}, None)
    here, there = Sites.of(store, settings), Sites.of(store, settings)
    assert here.names() == ["localhost"]
    assert here.why_kept("localhost") == "localhost is there by default: it goes when the first site is created"
    assert await here.create("a.example", {})
    await there.refresh()
    assert here.names() == there.names() == ["a.example"]
    assert not await here.create("a.example", {})
    await here.remove("a.example")
    assert here.names() == ["localhost"]
    assert await here.create("localhost", {"site_rate": 9})
    assert await here.create("a.example", {})
    assert here.names() == ["a.example", "localhost"]
    assert here.why_kept("localhost") is None


@pytest.mark.parametrize("asked", [{"sites": "localhost"}, {"home_site": "localhost"}, {"public_sites": "localhost"}])
async def test_a_site_that_a_setting_names_stays(store: MemoryStore, asked: dict[str, str]) -> None:
    """Whichever setting it is."""
    sites = Sites.of(store, load_settings(asked, {}, None))
    await sites.create("a.example", {})
    assert sites.names() == ["localhost", "a.example"]
    assert sites.why_kept("localhost") == "FOOTFALL_SITES names localhost: remove it there first"


async def test_of_two_who_change_a_site_at_once_one_succeeds(store: MemoryStore) -> None:
    """Whoever looked first must look again."""
    here, there = sites_at(store), sites_at(store)
    await here.save("a.example", {"site_rate": 1})
    _, version = here.document("a.example")
    assert await there.save("a.example", {"site_rate": 2}, version=version)
    assert not await here.save("a.example", {"site_rate": 3}, version=version)


async def test_an_older_look_does_not_undo_a_change(store: MemoryStore) -> None:
    """A look at the store that was under way while a site was made does not take the site away again."""
    sites = sites_at(store)
    look, arrived, go_on = store.documents, asyncio.Event(), asyncio.Event()

    async def slow(kind: str) -> list[Document]:
        found = await look(kind)
        if not arrived.is_set():
            arrived.set()
            await go_on.wait()
        return found

    store.documents = slow  # type: ignore[method-assign]
    refreshing = asyncio.create_task(sites.refresh())
    await arrived.wait()
    saving = asyncio.create_task(sites.save("c.example", {}))
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(refreshing, saving)
    assert sites.get("c.example") is not None


async def test_what_the_settings_declare_wins(store: MemoryStore) -> None:
    """A public site stays public, a declared one stays; its other rules are its own."""
    sites = sites_at(store)
    await sites.save("b.example", {"visibility": "private", "site_rate": 1})
    site = sites.get("b.example")
    assert site is not None
    assert (site.rules.visibility, site.rules.site_rate) == (Visibility.PUBLIC, 1)
    await sites.remove("b.example")
    site = sites.get("b.example")
    assert site is not None
    assert site.rules.site_rate == 9


async def test_rules_that_nobody_can_use_do_no_harm(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """A newer version's or a broken document: the settings' rules hold, and the log says so."""
    for value in (b"nonsense", b'{"site_rate": "x"}', b'{"colour": 1}', b'{"origins": ["not a host!"]}'):
        await store.put_document("site", "a.example", value)
        sites = sites_at(store)
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                await sites.refresh()
        site = sites.get("a.example")
        assert site is not None
        assert site.rules == Rules(site_rate=9)
        assert caplog.text.count("can't be used") == 1


async def test_a_rule_that_can_not_be_is_refused(store: MemoryStore) -> None:
    """By its name, before anything is written."""
    sites = sites_at(store)
    with pytest.raises(BadInput, match="pages_per_day"):
        await sites.save("a.example", {"pages_per_day": -1})
    assert await store.document("site", "a.example") is None


# Salts


async def test_all_instances_hash_alike_today_and_otherwise_tomorrow(store: MemoryStore, clock: Clock) -> None:
    """One salt a day, whoever draws it; it is forgotten an hour after its day."""
    instances = [Visitors(clock), Visitors(clock)]
    salts = [Salts(store, visitors, clock) for visitors in instances]

    async def hashes() -> set[int | None]:
        for each in salts:
            await each.renew()
        return {visitors.hash("a.example", "192.0.2.1", b"agent") for visitors in instances}

    today = await hashes()
    assert len(today) == 1
    assert await hashes() == today
    end = (int(clock()) // DAY + 1) * DAY
    clock.set(end - 60)
    assert await hashes() == today
    assert len(await store.documents("salt")) == 2
    clock.set(end)
    tomorrow = await hashes()
    assert len(tomorrow | today) == 2
    clock.set(end + VISITOR_GRACE)
    await hashes()
    assert len(await store.documents("salt")) == 1


async def test_without_a_salt_nobody_is_hashed(store: MemoryStore, clock: Clock) -> None:
    """Before it has come, without an address, and on another day."""
    visitors = Visitors(clock)
    assert visitors.hash("a.example", "192.0.2.1", b"") is None
    await Salts(store, visitors, clock).renew()
    assert visitors.hash("a.example", "192.0.2.1", b"") is not None
    assert visitors.hash("a.example", "", b"") is None
    clock.advance(DAY)
    assert visitors.hash("a.example", "192.0.2.1", b"") is None


async def test_a_salt_is_forgotten_though_the_store_is_away(store: MemoryStore, clock: Clock) -> None:
    """An hour after its day, by this process too."""
    visitors = Visitors(clock)
    salts = Salts(store, visitors, clock)
    await salts.renew()
    day = int(clock()) // DAY
    clock.set((day + 1) * DAY + VISITOR_GRACE)

    async def away(_kind: str, _key: str) -> object:
        raise StoreUnavailable("away")

    store.document = away  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable):
        await salts.renew()
    assert visitors.hash("a.example", "192.0.2.1", b"", day) is None


# Shares


async def test_instances_tell_one_another_what_they_count(store: MemoryStore, clock: Clock) -> None:
    """Of the past minute; one that has gone is forgotten."""
    one, two = Shares(store, "one", clock), Shares(store, "two", clock)
    one.counted("a.example", 3)
    two.counted("a.example", 1)
    two.counted("b.example", 5)
    for each in (one, two, one):
        await each.show()
    assert dict(one.of("a.example")) == {"one": 3, "two": 1}
    assert dict(two.of("b.example")) == {"one": 0, "two": 5}
    clock.advance(ROW_SECONDS)
    one.counted("a.example", 1)
    await one.show()
    assert dict(one.of("a.example")) == {"one": 4}
    clock.advance(60)
    await one.show()
    assert dict(one.of("a.example")) == {"one": 0}


async def test_an_instance_that_counts_nothing_writes_seldom(store: MemoryStore, clock: Clock) -> None:
    """Only that it is still there."""
    shares = Shares(store, "one", clock)
    await shares.show()
    (first,) = await store.documents("instance")
    clock.advance(REPEAT_SECONDS - 1)
    await shares.show()
    assert (await store.documents("instance"))[0].version == first.version
    clock.advance(1)
    await shares.show()
    assert (await store.documents("instance"))[0].version > first.version


async def test_a_store_that_is_away_is_not_the_end_of_it(store: MemoryStore, clock: Clock) -> None:
    """What was seen last holds."""
    sites = sites_at(store)
    await sites.save("c.example", {})

    async def away(_kind: str) -> list[object]:
        raise StoreUnavailable("away")

    store.documents = away  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable):
        await sites.refresh()
    assert sites.get("c.example") is not None
