"""Telling visitors apart for a day, and never longer: a keyed hash of site, address and user agent.

The key is the day's salt, which all instances share through the store and which is then forgotten (`registry.salts`). Without it
a hash says nothing; it is 64 bits, and only ever goes into a sketch of how many there were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache

from footfall.model import DAY
from footfall.networks import pack

#: Bytes of a salt.
SALT_BYTES = 32

#: Sites and user agents for which a hash is begun and remembered, about 1,500 bytes each. Each visitor adds an address.
REMEMBERED = 1024


class Visitors:
    """Hashes visitors with the salt of the day. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The salts in use, by day, counted from the epoch.
        self.salts: Mapping[int, bytes] = {}
        self._begun = lru_cache(REMEMBERED)(self._begin)

    def today(self) -> int:
        """The day it is (UTC), counted from the epoch."""
        return int(self._clock()) // DAY

    def use(self, salts: Mapping[int, bytes]) -> None:
        """Hash with these salts, by day, from now on; all others are forgotten."""
        self.salts = salts
        self._begun.cache_clear()

    def hash(self, site: str, address: str, user_agent: bytes, day: int | None = None) -> int | None:
        """A visitor of a site on a day (today); None where its salt is not known."""
        if not address:
            return None
        begun = self._begun(site, user_agent[:512], self.today() if day is None else day)
        if begun is None:
            return None
        visitor = begun.copy()
        visitor.update(pack(address) or address.encode("utf-8", "surrogateescape"))
        return int.from_bytes(visitor.digest())

    def _begin(self, site: str, user_agent: bytes, day: int) -> hashlib.blake2b | None:
        """A hash that is begun with what many visitors share: to begin one takes longer than to go on with it."""
        salt = self.salts.get(day)
        if salt is None:
            return None
        return hashlib.blake2b(site.encode() + b"\0" + user_agent + b"\0", digest_size=8, key=salt)
