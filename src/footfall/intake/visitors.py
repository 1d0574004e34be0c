"""Telling visitors apart for a day, and never longer: a keyed hash of site, address and user agent.

The key is the day's salt, which all instances share through the store and which is then forgotten (`registry.salts`). Without it
a hash says nothing; it is 64 bits, and only ever goes into a sketch of how many there were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache

from footfall.model import DAY

#: Bytes of a salt.
SALT_BYTES = 32

#: Visitors whose hash is remembered, at most 800 bytes each: who views a page is likely to view another.
REMEMBERED = 4096


class Visitors:
    """Hashes visitors with the salt of the day. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The salts in use, by day, counted from the epoch.
        self.salts: Mapping[int, bytes] = {}
        self._hash = lru_cache(REMEMBERED)(self._hashed)

    def today(self) -> int:
        """The day it is (UTC), counted from the epoch."""
        return int(self._clock()) // DAY

    def use(self, salts: Mapping[int, bytes]) -> None:
        """Hash with these salts, by day, from now on; all others are forgotten."""
        self.salts = salts
        self._hash.cache_clear()

    def hash(self, site: str, address: str, user_agent: bytes, day: int | None = None) -> int | None:
        """A visitor of a site on a day (today); None where its salt is not known."""
        return self._hash(site, address, user_agent[:512], self.today() if day is None else day) if address else None

    def _hashed(self, site: str, address: str, user_agent: bytes, day: int) -> int | None:
        salt = self.salts.get(day)
        if salt is None:
            return None
        hashed = hashlib.blake2b(f"{site}\0{address}\0".encode() + user_agent, digest_size=8, key=salt)
        return int.from_bytes(hashed.digest())
