"""The password of the dashboard: set, checked, and guarded against guessing on all instances together.

It is kept as an Argon2id hash in the store, or given as a setting, which then wins. Until there is one, an invitation, shown once
when the server starts, lets its holder set it. Attempts are counted by a keyed hash of the address: no address is kept.

A check costs a hash of 64 MiB and some writes, and anyone may ask for one. So a process makes one at a time, and remembers for a
while of whom no more is checked: all others are refused without the store, however many come at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cachetools import LRUCache

from footfall.auth.credentials import Credentials
from footfall.errors import BadInput, FootfallError
from footfall.model import MINUTE
from footfall.stores import Store

KIND, NAME = "password", "admin"
INVITATION_KIND = "invitation"
ATTEMPT_KIND = "attempt"
EVERYONE = "everyone"

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 1000
_LENGTHS = f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"

#: So many wrong passwords within ATTEMPT_SECONDS, from one address and from all together; then none is checked any more.
MAX_ATTEMPTS = 10
MAX_ATTEMPTS_OF_ALL = 100
ATTEMPT_SECONDS = 15 * MINUTE

INVITATION_SECONDS = 60 * MINUTE


#: For so long, in seconds, a process takes its own word for it that an address, or all together, had too many; then the store's.
REMEMBERED_SECONDS = 10.0

#: Addresses of which that is remembered.
REMEMBERED = 4096


class NotChecked(FootfallError):
    """A password was not looked at; another try makes sense after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = max(1, retry_after)


class TooManyAttempts(NotChecked):
    """There were so many wrong passwords that none is checked for a while."""

    def __init__(self, retry_after: int) -> None:
        minutes = -(-retry_after // MINUTE)
        wait = "1 minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(f"too many wrong passwords; try again in {wait}", retry_after)


class CheckUnderWay(NotChecked):
    """Another password is being checked."""

    def __init__(self) -> None:
        super().__init__("another log-in is being checked; try again in a second", 1)


class Passwords:
    """The one password. `fixed` is the setting's, if there is one. `clock` is in seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        credentials: Credentials,
        fixed: str | None = None,
        hasher: PasswordHasher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._fixed = fixed
        self._hasher = hasher or PasswordHasher()
        self._clock = clock
        self._key: bytes | None = None
        self._is_checking = False
        #: By row: since when it is remembered that none is checked, and when the store said that one may be again.
        self._full: LRUCache[str, tuple[float, float]] = LRUCache(REMEMBERED)

    async def is_set(self) -> bool:
        """Whether there is a password. Raises StoreError."""
        return self._fixed is not None or await self._store.document(KIND, NAME) is not None

    @property
    def is_fixed(self) -> bool:
        """Whether it is the setting's, and can't be changed here."""
        return self._fixed is not None

    async def set(self, password: str) -> None:
        """Keep a new password; invitations end with it. Raises BadInput, StoreError."""
        if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
            raise BadInput("password", _LENGTHS)
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        await self._store.put_document(KIND, NAME, hashed.encode())
        await self._end_invitations()

    async def check(self, password: str, address: str) -> bool:
        """Whether it is the password. Raises TooManyAttempts, CheckUnderWay, StoreError."""
        if self._key is not None:
            self._refuse_from_memory(EVERYONE, self._row(self._key, address))
        if self._is_checking:
            raise CheckUnderWay
        self._is_checking = True
        try:
            return await self._check(password, address)
        finally:
            self._is_checking = False

    async def _check(self, password: str, address: str) -> bool:
        """The check itself.

        An attempt is counted before it is looked at, or any number could be made at all instances in the same moment; a right one
        is taken back.
        """
        if self._key is None:
            self._key = await self._credentials.shared_key("attempts")
        own = self._row(self._key, address)
        await self._count_attempt(EVERYONE, MAX_ATTEMPTS_OF_ALL)
        try:
            await self._count_attempt(own, MAX_ATTEMPTS)
        except TooManyAttempts:
            await self._take_back(EVERYONE)  # an address of which no more is checked can't keep others out
            raise
        if not await self._is_right(password[: MAX_PASSWORD_LENGTH + 1]):
            return False
        await self._store.put_document(ATTEMPT_KIND, own, None)
        await self._take_back(EVERYONE)
        return True

    async def _is_right(self, password: str) -> bool:
        if self._fixed is not None:
            return hmac.compare_digest(password.encode(), self._fixed.encode())
        document = await self._store.document(KIND, NAME)
        if document is None:
            return False
        try:
            return await asyncio.to_thread(self._hasher.verify, document.value.decode(), password)
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_from_memory(self, *rows: str) -> None:
        """Raises TooManyAttempts."""
        now = self._clock()
        for row in rows:
            since, until = self._full.get(row, (0.0, 0.0))
            if since <= now < min(until, since + REMEMBERED_SECONDS):  # a clock that jumps leads to the store
                raise TooManyAttempts(math.ceil(until - now))

    @staticmethod
    def _row(key: bytes, address: str) -> str:
        return hashlib.blake2b(address.encode(), key=key, digest_size=16).hexdigest()

    async def _count_attempt(self, row: str, most: int) -> None:
        """One more; what changes the row at the same time is not overwritten. Raises TooManyAttempts."""
        while True:
            document = await self._store.document(ATTEMPT_KIND, row)
            now = await self._store_now()
            count, until, version = 0, now + ATTEMPT_SECONDS, 0
            if document is not None:
                count, until, version = int(document.value), document.until or until, document.version
            if count >= most:
                since = self._clock()
                self._full[row] = (since, since + until - now)
                raise TooManyAttempts(until - now)
            changed = await self._store.put_document(ATTEMPT_KIND, row, b"%d" % (count + 1), version=version, until=until)
            if changed is not None:
                return

    async def _take_back(self, row: str) -> None:
        """One less, if the row is still there."""
        while (document := await self._store.document(ATTEMPT_KIND, row)) is not None and int(document.value) > 0:
            less, version, until = b"%d" % (int(document.value) - 1), document.version, document.until
            if await self._store.put_document(ATTEMPT_KIND, row, less, version=version, until=until) is not None:
                return

    async def _store_now(self) -> int:
        """The store's second: by that its documents end, whatever the clock here says."""
        return (await self._store.counts("", [], 1)).at

    # Invitations

    async def invite(self) -> str:
        """A secret that lets its holder set the password, once and for an hour. Earlier ones end. Raises StoreError."""
        await self._end_invitations()
        secret = secrets.token_urlsafe(24)
        until = await self._store_now() + INVITATION_SECONDS
        await self._store.put_document(INVITATION_KIND, _hashed(secret), b"1", until=until)
        return secret

    async def _end_invitations(self) -> None:
        for document in await self._store.documents(INVITATION_KIND):
            await self._store.put_document(INVITATION_KIND, document.key, None)

    async def first_key(self) -> str | None:
        """An invitation where there is no password yet, else None. Raises StoreError."""
        return None if await self.is_set() else await self.invite()

    async def is_invited(self, secret: str) -> bool:
        """Whether a secret is an invitation that still holds."""
        return len(secret) <= 100 and await self._store.document(INVITATION_KIND, _hashed(secret)) is not None

    async def accept(self, secret: str, password: str) -> bool:
        """Set the password by an invitation, which thereby ends; False where it is none. Raises BadInput, StoreError."""
        document = await self._store.document(INVITATION_KIND, _hashed(secret)) if len(secret) <= 100 else None
        if document is None:
            return False
        if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
            raise BadInput("password", _LENGTHS)
        if await self._store.put_document(INVITATION_KIND, document.key, None, version=document.version) is None:
            return False
        await self.set(password)
        return True


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
