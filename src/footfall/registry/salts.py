"""The salts that visitors are hashed with: one a day, drawn at random, shared by all instances through the store, then forgotten.

A salt's document ends an hour after its day. Where its bytes may linger after that (a write-ahead log, an append-only file, a
backup) is said in docs/privacy.md.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from footfall.errors import StoreError
from footfall.intake.visitors import SALT_BYTES, Visitors
from footfall.model import DAY
from footfall.stores import Store
from footfall.stores.base import VISITOR_GRACE

_log = logging.getLogger(__name__)

#: The kind of a salt's document; its key is the day, counted from the epoch.
KIND = "salt"

#: The next day's salt is fetched so many seconds before it begins.
AHEAD_SECONDS = 600

#: How often it is seen to, in seconds; while a salt is missing, more often.
CARE_SECONDS = 60.0
RETRY_SECONDS = 2.0


class Salts:
    """Sees to it that `visitors` has the salts it needs. `clock` is in seconds since the epoch."""

    def __init__(self, store: Store, visitors: Visitors, clock: Callable[[], float]) -> None:
        self._store = store
        self._visitors = visitors
        self._clock = clock
        self._known: dict[int, bytes] = {}

    async def renew(self) -> None:
        """Have the salts of today and, shortly before it, of tomorrow; forget all others. Raises StoreError."""
        now = int(self._clock())
        days = {now // DAY, (now + AHEAD_SECONDS) // DAY, (now - VISITOR_GRACE) // DAY}
        self._know({day: salt for day, salt in self._known.items() if day in days})  # also while the store is away
        for day in sorted(days - self._known.keys()):
            if day >= now // DAY:
                self._know(self._known | {day: await self._shared(day)})

    def _know(self, salts: dict[int, bytes]) -> None:
        self._known = salts
        self._visitors.use(salts)

    async def _shared(self, day: int) -> bytes:
        """The salt of a day that all instances have: the one that is there, or the first that was put there."""
        key = str(day)
        document = await self._store.document(KIND, key)
        if document is None:
            salt = secrets.token_bytes(SALT_BYTES)
            until = (day + 1) * DAY + VISITOR_GRACE
            if await self._store.put_document(KIND, key, salt, version=0, until=until) is not None:
                return salt
            document = await self._store.document(KIND, key)
        return document.value if document else secrets.token_bytes(SALT_BYTES)

    async def keep_fresh(self) -> None:
        """Renew for ever."""
        while True:
            try:
                await self.renew()
            except StoreError as error:
                _log.debug("visitors are not told apart until the store gives a salt: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(CARE_SECONDS)
