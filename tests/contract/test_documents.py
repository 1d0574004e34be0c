"""Documents: small values beside the counts, changed by compare-and-set and gone when their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from footfall.errors import BadInput
from footfall.stores import Store
from footfall.stores.base import MAX_DOCUMENT_BYTES
from tests.contract.conftest import START, Clock

#: A key and a value that would break a careless encoding.
KEY = "a b{c}:é\x00%"
VALUE = bytes(range(256))


async def test_a_document_is_what_was_put(store: Store) -> None:
    """Any bytes under any key, by kind."""
    assert await store.document("token", KEY) is None
    version = await store.put_document("token", KEY, VALUE)
    found = await store.document("token", KEY)
    assert found is not None
    assert (found.key, found.value, found.version, found.until) == (KEY, VALUE, version, None)
    assert await store.document("site", KEY) is None


async def test_a_version_never_comes_again(store: Store) -> None:
    """Each change in a kind has a greater one, also after a removal."""
    versions = [
        await store.put_document("site", key, value) for key, value in (("a", b"1"), ("b", b"1"), ("a", None), ("a", b"2"))
    ]
    numbers = [version for version in versions if version is not None]
    assert len(numbers) == 4
    assert numbers == sorted(set(numbers))


async def test_with_a_version_only_that_one_is_replaced(store: Store) -> None:
    """None tells of the failure, and nothing changes; 0 expects that there is none."""
    first = await store.put_document("site", "a", b"1", version=0)
    assert first is not None
    assert await store.put_document("site", "a", b"2", version=0) is None
    assert await store.put_document("site", "a", b"2", version=first + 7) is None
    assert await store.put_document("site", "a", None, version=first + 7) is None
    second = await store.put_document("site", "a", b"2", version=first)
    assert second is not None
    assert await store.put_document("site", "a", None, version=first) is None
    found = await store.document("site", "a")
    assert found is not None
    assert (found.value, found.version) == (b"2", second)
    assert await store.put_document("site", "a", None, version=second) is not None
    assert await store.document("site", "a") is None
    assert await store.put_document("site", "a", None, version=0) is not None


async def test_a_list_has_all_of_a_kind_by_key(store: Store) -> None:
    """And no others."""
    for key in ("b", "a", "é", "c"):
        await store.put_document("site", key, key.encode())
    await store.put_document("token", "d", b"")
    await store.put_document("site", "c", None)
    assert [(each.key, each.value) for each in await store.documents("site")] == [("a", b"a"), ("b", b"b"), ("é", "é".encode())]
    assert await store.documents("session") == []


async def test_a_document_is_gone_at_its_time(store: Store, clock: Clock) -> None:
    """At the second it names, for every call; another may then take its place."""
    await store.put_document("session", "a", b"1", until=START + 10)
    clock.advance(9)
    assert [each.until for each in await store.documents("session")] == [START + 10]
    clock.advance(1)
    assert await store.document("session", "a") is None
    assert await store.documents("session") == []
    assert await store.put_document("session", "a", b"2", version=0, until=START + 20) is not None
    clock.advance(9)
    assert await store.document("session", "a") is not None


async def test_of_many_who_change_a_document_at_once_one_succeeds(store: Store) -> None:
    """Compare-and-set, by as many as there are."""
    version = await store.put_document("site", "a", b"")
    done = await asyncio.gather(*(store.put_document("site", "a", b"%d" % n, version=version) for n in range(20)))
    assert len([each for each in done if each is not None]) == 1


async def test_a_document_has_a_limit(store: Store) -> None:
    """A longer value is bad input, and is not written."""
    await store.put_document("site", "a", bytes(MAX_DOCUMENT_BYTES))
    with pytest.raises(BadInput, match="65536 bytes"):
        await store.put_document("site", "b", bytes(MAX_DOCUMENT_BYTES + 1))
    assert await store.document("site", "b") is None


async def test_documents_are_shared_by_all_at_one_store(another: Callable[[], Store], store: Store) -> None:
    """What one has put, every other finds."""
    version = await store.put_document("site", "a", b"1")
    other = another()
    assert [each.version for each in await other.documents("site")] == [version]
    assert await other.put_document("site", "a", b"2", version=version) is not None
    found = await store.document("site", "a")
    assert found is not None
    assert found.value == b"2"
