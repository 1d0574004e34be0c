"""Passwords and credentials hold where it is tight: many guesses at once, a clock that is wrong, a look that is under way."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally

import pytest

from footfall.auth import ADMIN, Caller, CheckUnderWay, Credentials, Passwords, TooManyAttempts, read_scope
from footfall.auth.passwords import MAX_ATTEMPTS, MAX_ATTEMPTS_OF_ALL, REMEMBERED_SECONDS
from footfall.errors import BadInput, StoreUnavailable
from footfall.model import DAY, Document
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import Clock

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


class Slow(Passwords):
    """Passwords that take their time to be compared, as a good hash does: others come in the meantime."""

    tried = 0

    async def _is_right(self, password: str) -> bool:
        Slow.tried += 1
        await asyncio.sleep(0.01)
        return await super()._is_right(password)


def slow(store: MemoryStore, clock: Clock) -> Slow:
    Slow.tried = 0
    return Slow(store, Credentials(store, clock), PASSWORD)


async def guess(passwords: Passwords, times: int = 100) -> Tally[type]:
    """Guesses from one address in the same moment; what came of them."""
    guesses = (passwords.check(f"a wrong password {n}", "203.0.113.7") for n in range(times))
    return Tally(type(result) for result in await asyncio.gather(*guesses, return_exceptions=True))


async def test_of_guesses_made_at_once_one_is_checked(store: MemoryStore, clock: Clock) -> None:
    """Each process checks one at a time; of one address, no more than may be tried."""
    passwords = slow(store, clock)
    for tried in range(1, MAX_ATTEMPTS + 1):
        assert await guess(passwords) == {bool: 1, CheckUnderWay: 99}
        assert Slow.tried == tried
    assert await guess(passwords) == {TooManyAttempts: 100}
    assert Slow.tried == MAX_ATTEMPTS


async def test_many_processes_share_the_limit(store: MemoryStore, clock: Clock) -> None:
    """Thirty that check one each in the same moment count each attempt before they look at it."""
    Slow.tried = 0
    processes = [Slow(store, Credentials(store, clock), PASSWORD) for _ in range(30)]
    results = await asyncio.gather(*(guess(each, 1) for each in processes))
    assert sum(results, Tally()) == {bool: MAX_ATTEMPTS, TooManyAttempts: 30 - MAX_ATTEMPTS}
    assert Slow.tried == MAX_ATTEMPTS


async def test_what_was_refused_is_refused_again_without_the_store(store: MemoryStore, clock: Clock) -> None:
    """For some seconds, or until a clock jumps; then the store is asked again. Other addresses have nothing to do with it."""
    passwords = Slow(store, Credentials(store, clock), PASSWORD, clock=clock)
    for _ in range(MAX_ATTEMPTS):
        assert not await passwords.check("a wrong password", "203.0.113.7")
    assert await guess(passwords, 1) == {TooManyAttempts: 1}
    look, looks = store.document, []

    async def noted(kind: str, key: str) -> Document | None:
        looks.append(kind)
        return await look(kind, key)

    store.document = noted  # type: ignore[method-assign]
    assert await guess(passwords) == {TooManyAttempts: 100}
    assert looks == []
    for seconds in (REMEMBERED_SECONDS, -DAY):
        clock.advance(seconds)
        looks.clear()
        assert await guess(passwords, 1) == {TooManyAttempts: 1}
        assert looks
    assert await passwords.check(PASSWORD, "198.51.100.9")


async def test_a_check_that_fails_lets_the_next_one_in(store: MemoryStore, clock: Clock) -> None:
    """A store that is away for a moment does not lock out all."""
    passwords = slow(store, clock)
    look = store.document

    async def away(_kind: str, _key: str) -> Document | None:
        raise StoreUnavailable("away")

    store.document = away  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        await passwords.check(PASSWORD, "203.0.113.7")
    store.document = look  # type: ignore[method-assign]
    assert await passwords.check(PASSWORD, "203.0.113.7")


@pytest.mark.parametrize(("seconds", "words"), [(1, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes")])
def test_the_wait_is_told_in_minutes(seconds: int, words: str) -> None:
    """Never a shorter one than it is."""
    assert str(TooManyAttempts(seconds)).endswith(f"try again in {words}")


async def test_one_address_does_not_lock_out_all(store: MemoryStore, clock: Clock) -> None:
    """Guesses that are not looked at count for nobody else; neither do right ones."""
    passwords = slow(store, clock)
    for _ in range(MAX_ATTEMPTS_OF_ALL + MAX_ATTEMPTS):
        try:
            await passwords.check("a wrong password", "203.0.113.7")
        except TooManyAttempts:
            continue
    for _ in range(MAX_ATTEMPTS_OF_ALL + 1):
        assert await passwords.check(PASSWORD, "198.51.100.9")


async def test_attempts_end_by_the_store_s_clock(clock: Clock) -> None:
    """An instance whose clock is a day behind limits guesses all the same, and its one-time links hold."""
    ahead = Clock(clock() + DAY)
    store = MemoryStore(ahead)
    passwords = slow(store, clock)
    for _ in range(MAX_ATTEMPTS):
        assert not await passwords.check("a wrong password", "203.0.113.7")
    with pytest.raises(TooManyAttempts) as caught:
        await passwords.check(PASSWORD, "203.0.113.7")
    assert 0 < caught.value.retry_after <= 15 * 60
    assert await passwords.is_invited(await passwords.invite())


async def test_a_password_that_is_set_ends_the_links_that_set_one(store: MemoryStore, clock: Clock) -> None:
    """Whoever read one in a log can't set another password."""
    passwords = Passwords(store, Credentials(store, clock))
    key = await passwords.invite()
    await passwords.set(PASSWORD)
    assert not await passwords.is_invited(key)
    assert not await passwords.accept(key, "another password")


async def test_a_password_of_the_wrong_length_is_told_both_bounds(store: MemoryStore, clock: Clock) -> None:
    """One that is too long is not told to be longer."""
    passwords = Passwords(store, Credentials(store, clock))
    for password in ("short", "x" * 1001):
        with pytest.raises(BadInput, match="10 to 1000 characters"):
            await passwords.set(password)


async def test_what_is_revoked_stays_so_though_a_look_was_under_way(store: MemoryStore, clock: Clock) -> None:
    """One that began before and ends after it."""
    credentials = Credentials(store, clock)
    made = await credentials.make_session()
    await credentials.refresh()
    look, arrived, go_on = store.documents, asyncio.Event(), asyncio.Event()

    async def held(kind: str) -> list[Document]:
        found = await look(kind)
        if kind == "session" and not arrived.is_set():
            arrived.set()
            await go_on.wait()
        return found

    store.documents = held  # type: ignore[method-assign]
    refreshing = asyncio.create_task(credentials.refresh())
    await arrived.wait()
    assert (await credentials.session(made.secret)).is_admin
    assert await credentials.revoke_session(made.id)
    go_on.set()
    await refreshing
    assert not (await credentials.session(made.secret)).is_admin


async def test_no_secret_is_in_what_is_printed(store: MemoryStore, clock: Clock) -> None:
    """Of what was made, and of a caller."""
    credentials = Credentials(store, clock)
    made = await credentials.make_token("a name", frozenset({read_scope("read:example.com")}))
    assert made.secret not in repr(made)
    assert made.id in repr(made)
    caller = Caller("session", ADMIN, "id", "the proof")
    assert "the proof" not in repr(caller)
    assert repr(caller) == "Caller('session', ['admin'], 'id')"
