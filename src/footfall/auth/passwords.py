"""The password of the dashboard: set, checked, and guarded against guessing on all instances together.

It is kept as an Argon2id hash in the store, or given as a setting, which then wins. Until there is one, an invitation, shown once
when the server starts, lets its holder set it. Attempts are counted by a keyed hash of the address: no address is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

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

#: So many wrong passwords within ATTEMPT_SECONDS, from one address and from all together; then none is tried any more.
MAX_ATTEMPTS = 10
MAX_ATTEMPTS_OF_ALL = 100
ATTEMPT_SECONDS = 15 * MINUTE

INVITATION_SECONDS = 60 * MINUTE


class TooManyAttempts(FootfallError):
    """So many wrong passwords were tried that no other is tried for a while; `retry_after` in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many wrong passwords; try again in {max(1, retry_after // MINUTE)} minutes")
        self.retry_after = retry_after


class Passwords:
    """The one password. `fixed` is the setting's, if there is one."""

    def __init__(
        self,
        store: Store,
        credentials: Credentials,
        fixed: str | None = None,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._fixed = fixed
        self._hasher = hasher or PasswordHasher()

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
        """Whether it is the password. Raises TooManyAttempts, StoreError.

        An attempt is counted before it is looked at, or any number could be made in the same moment; a right one is taken back.
        """
        own = await self._row(address)
        await self._count_attempt(EVERYONE, MAX_ATTEMPTS_OF_ALL)
        try:
            await self._count_attempt(own, MAX_ATTEMPTS)
        except TooManyAttempts:
            await self._take_back(EVERYONE)  # whoever is not let in any more can't keep others out
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

    async def _row(self, address: str) -> str:
        key = await self._credentials.shared_key("attempts")
        return hashlib.blake2b(address.encode(), key=key, digest_size=16).hexdigest()

    async def _count_attempt(self, row: str, most: int) -> None:
        """One more; whoever changes the row at the same time is not overwritten. Raises TooManyAttempts."""
        while True:
            document = await self._store.document(ATTEMPT_KIND, row)
            now = await self._store_now()
            count, until, version = 0, now + ATTEMPT_SECONDS, 0
            if document is not None:
                count, until, version = int(document.value), document.until or until, document.version
            if count >= most:
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
