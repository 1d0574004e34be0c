"""Backing up and restoring, between stores of every kind: every bucket that had ended comes out as it was, or it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from footfall.auth import Credentials, Scope
from footfall.auth.credentials import KEY_KIND, SESSIONS
from footfall.auth.credentials import KINDS as CREDENTIALS
from footfall.auth.passwords import KIND as PASSWORD
from footfall.backup import KINDS, PARTS, Sums, back_up, read_backup, restore
from footfall.errors import BadInput
from footfall.model import DAY, DEFAULT_RETENTION, HOUR, WHOLE_SITE, Section, Tier
from footfall.registry.sites import KIND as SITE_KIND
from footfall.stores import Store
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import OTHER_SITE, SHORT, SITE, START, Clock, Writer
from tests.contract.test_dump import dumped, history

#: A document of each kind that is backed up: its key and value.
DOCUMENTS = {
    SITE_KIND: (SITE, b'{"visitor_rate":7}'),
    "token": ("a" * 64, b'{"name":"a program","scopes":["admin"],"made":1}'),
    "share": ("b" * 64, b'{"name":"a friend","site":"example.com","made":1}'),
    "password": ("admin", b"$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"),
    "key": ("signing", bytes(range(224, 256))),
}


async def backed_up(store: Store, clock: Clock) -> list[bytes]:
    return [line async for line in back_up(store, clock.second, "1.2.3")]


async def filled(store: Store, clock: Clock) -> None:
    """Views of all kinds over some days, on two sites, and documents."""
    await history(store, clock)
    await Writer(store, "v").count({"/": 7}, site=OTHER_SITE)
    clock.advance(2 * HOUR)
    for kind, (key, value) in DOCUMENTS.items():
        await store.put_document(kind, key, value, until=clock.second + 1000)
    for kind in ("salt", "session", "attempt", "invitation", "key", "instance"):
        await store.put_document(kind, f"a {kind}", f"{kind}'s".encode() + b"\x00\xff", until=clock.second + 1000)


async def test_a_backup_of_any_store_is_restored(store: Store, clock: Clock) -> None:
    """Into another kind: all that had ended is the same, and so is what is open while nobody counts."""
    await filled(store, clock)
    lines = await backed_up(store, clock)
    target = MemoryStore(clock)
    done = await restore(read_backup(lines), target, DEFAULT_RETENTION)
    for site in (SITE, OTHER_SITE):
        for section, tier in PARTS:
            assert await dumped(target, section, tier, site=site) == await dumped(store, section, tier, site=site)
    assert (done.sites, done.documents, done.too_old) == (2, len(KINDS), 0)
    assert done.compared > 20


async def test_a_backup_is_restored_into_any_store(store: Store, clock: Clock) -> None:
    """From another kind; counting then goes on, and an import that was done is known to be."""
    source = MemoryStore(clock)
    await filled(source, clock)
    await restore(read_backup(await backed_up(source, clock)), store, DEFAULT_RETENTION)
    for site in (SITE, OTHER_SITE):
        for section, tier in PARTS:
            assert await dumped(store, section, tier, site=site) == await dumped(source, section, tier, site=site)
    for kind in KINDS:
        (found,) = await store.documents(kind)
        assert (found.key, found.value) == DOCUMENTS[kind]
        assert found.until == clock.second + 1000
    assert not await store.documents("salt") + await store.documents("session") + await store.documents("attempt")
    assert await store.applied(SITE, "an-import") == 1
    before = (await source.counts(SITE, ["/"], 60)).pages["/"].total
    receipt = await Writer(store, "after").count({"/": 2}, wanted=["/"])
    assert receipt.counts["/"].total == before + 2


async def test_a_backup_under_load_has_every_bucket_that_had_ended(store: Store, clock: Clock) -> None:
    """Views come in between any two pieces of it; what had ended before it began is in it, and restores as its manifest says."""
    await history(store, clock)
    clock.advance(2 * HOUR)
    began = clock.second
    before = {(section, tier): await dumped(store, section, tier) for section, tier in PARTS}
    writer = Writer(store, "meanwhile")
    lines = []
    async for line in back_up(store, clock.second, ""):
        lines.append(line)
        await writer.count({"/": 1, "/new": 1})
        clock.advance(1)
    target = MemoryStore(clock)
    await restore(read_backup(lines), target, DEFAULT_RETENTION)
    for section, tier in ((Section.VIEWS, Tier.MINUTE), (Section.VIEWS, Tier.HOUR), (Section.TRAITS, Tier.HOUR)):
        ended = [row for row in before[section, tier] if int(row[0]) + tier.width <= began]
        assert ended
        assert set(ended) <= set(await dumped(target, section, tier))


async def test_the_store_must_be_empty(store: Store, clock: Clock) -> None:
    """Neither views nor a site, a token, a link or a password may be there; and what is there stays as it is."""
    source = MemoryStore(clock)
    await history(source, clock)
    lines = await backed_up(source, clock)
    for kind in set(KINDS) - {"key"}:
        await store.put_document(kind, "x", b"{}")
        with pytest.raises(BadInput, match=f"not empty.*a {kind}"):
            await restore(read_backup(lines), store, DEFAULT_RETENTION)
        await store.put_document(kind, "x", None)
    await Writer(store).count({"/mine": 1})
    with pytest.raises(BadInput, match=f"not empty.*views of {SITE}"):
        await restore(read_backup(lines), store, DEFAULT_RETENTION)
    assert await dumped(store, Section.VIEWS, Tier.TOTAL) == [(0, WHOLE_SITE, 1), (0, "/mine", 1)]


async def test_another_number_is_found_and_undone(store: Store, clock: Clock) -> None:
    """A bucket that comes out otherwise than the manifest says fails the restore, which leaves nothing behind."""
    source = MemoryStore(clock)
    await filled(source, clock)
    lines = await backed_up(source, clock)
    number = next(n for n, line in enumerate(lines) if b'"sums"' in line and b'"hour"' in line)
    sums = msgspec.json.decode(lines[number], type=Sums)
    spoilt = [msgspec.structs.replace(sums.buckets[0], sum=sums.buckets[0].sum + 1), *sums.buckets[1:]]
    lines[number] = msgspec.json.encode(msgspec.structs.replace(sums, buckets=spoilt)) + b"\n"
    with pytest.raises(BadInput, match=r"the views of .* in the hour from .* but .* in the backup"):
        await restore(read_backup(lines), store, DEFAULT_RETENTION)
    assert await store.sites() == []
    assert await store.documents(SITE_KIND) == []


async def test_what_the_store_does_not_keep_is_told(place_short: Callable[[], Store], clock: Clock) -> None:
    """A store that keeps less is right with less, and says how many buckets that were."""
    source = MemoryStore(clock)
    await filled(source, clock)
    done = await restore(read_backup(await backed_up(source, clock)), place_short(), SHORT)
    assert done.too_old > 0
    assert done.compared > 0


@pytest.fixture
def place_short(place: object) -> Callable[[], Store]:
    return lambda: place.open(SHORT)  # type: ignore[attr-defined]


async def broken(lines: list[bytes], clock: Clock) -> str:
    with pytest.raises(BadInput) as raised:
        await asyncio.to_thread(lambda: list(read_backup(lines)))
    assert raised.value.field == "backup"
    return raised.value.hint


async def test_what_is_no_whole_backup_is_refused() -> None:
    """Another file, a cut one, one with lines that are missing or doubled, one of a later version."""
    clock = Clock(START)
    source = MemoryStore(clock)
    await history(source, clock)
    clock.advance(DAY)
    lines = await backed_up(source, clock)
    assert "not whole" in await broken(lines[:-1], clock)
    assert "not whole" in await broken([lines[0], *lines[2:]], clock)
    assert "not whole" in await broken([], clock)
    assert "no backup of Footfall" in await broken([b"hello\n"], clock)
    assert "line 1 is out of place" in await broken(lines[1:], clock)
    assert "out of place" in await broken([*lines, lines[1]], clock)
    assert "line 2 can't be used" in await broken([lines[0], lines[1][:-20] + b"\n", *lines[2:]], clock)
    assert "version 2" in await broken([lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]], clock)
    negative = b'{"type":"rows","site":"a","section":"views","tier":"total","rows":[[0,"/",-1]]}\n'
    assert "line 2 can't be used" in await broken([lines[0], negative], clock)


def test_the_kinds_are_those_that_are_worth_keeping() -> None:
    """Sites, tokens, share links, what they are signed with, and the password, by their owners' names; no session."""
    assert set(KINDS) == {SITE_KIND, PASSWORD, KEY_KIND, *(kind.name for kind in CREDENTIALS)} - {SESSIONS.name}
    assert tuple(DOCUMENTS) == KINDS


async def test_tokens_and_share_links_work_after_a_restore(store: Store, clock: Clock) -> None:
    """Also in a server that has drawn a key of its own before, and runs on; a restore that failed leaves it its own."""
    source = MemoryStore(clock)
    credentials = Credentials(source, clock)
    token = await credentials.make_token("a program", frozenset({Scope("read", SITE)}))
    share = await credentials.make_share("a friend", SITE)
    await Writer(source).count({"/": 1})
    clock.advance(DAY)
    lines = await backed_up(source, clock)
    running = Credentials(store, clock)
    session = await running.make_session()
    number = next(n for n, line in enumerate(lines) if b'"sums"' in line)
    sums = msgspec.json.decode(lines[number], type=Sums)
    other = msgspec.structs.replace(sums, buckets=[msgspec.structs.replace(sums.buckets[0], sum=99)])
    with pytest.raises(BadInput, match="but 99 in the backup"):
        await restore(read_backup([*lines[:number], msgspec.json.encode(other), *lines[number + 1 :]]), store, DEFAULT_RETENTION)
    await running.refresh()
    assert (await running.session(session.secret)).is_admin
    assert not (await running.token(token.secret)).scopes
    await restore(read_backup(lines), store, DEFAULT_RETENTION)
    await running.refresh()
    for each in (running, Credentials(store, clock)):
        assert (await each.token(token.secret)).may_read(SITE)
        assert await each.shared_site(share.secret) == SITE


async def test_a_site_that_is_kept_longer_is_restored_with_all_that_it_has(store: Store, clock: Clock) -> None:
    """Its document comes first, so that the new store keeps the old buckets, which its own retention would not."""
    source = MemoryStore(clock)
    await source.put_document(SITE_KIND, SITE, b'{"retention_day":172800000}')
    await Writer(source).count({"/": 1}, timed={("/old", clock.second - 1500 * DAY): 1})
    clock.advance(DAY)
    done = await restore(read_backup(await backed_up(source, clock)), store, DEFAULT_RETENTION)
    assert done.too_old == 0
    assert await dumped(store, Section.VIEWS, Tier.DAY) == await dumped(source, Section.VIEWS, Tier.DAY)
    assert len(await dumped(store, Section.VIEWS, Tier.DAY)) == 4
