"""Limits on how much one address or one site may send: views a minute, and pages that are new.

All of it is bounded: of more addresses than it has room for, the one unseen for longest is forgotten. Limits are an instance's
own, so behind a balancer a visitor may reach each instance's. Times are monotonic seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import LRUCache

#: Addresses whose views are timed, about 200 bytes each.
TIMED_ADDRESSES = 50_000

#: A burst may use up this many seconds' worth of a rate at once.
BURST_SECONDS = 60.0

#: One address brings at most this many pages a day that its site has not had before.
NEW_PAGES_OF_AN_ADDRESS = 20


class Rates:
    """Views a minute by key, by the generic cell rate algorithm (ITU-T I.371): a bucket of a minute's views that refills."""

    def __init__(self, keys: int = TIMED_ADDRESSES, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due: LRUCache[tuple[str, str], float] = LRUCache(keys)

    def allows(self, site: str, who: str, per_minute: int) -> bool:
        """Whether one more view fits into the rate; if so it is taken. `who` is "" for the site as a whole."""
        now = self._monotonic()
        key = (site, who)
        due = max(self._due.get(key, now), now)
        step = 60.0 / per_minute
        if due + step - now > BURST_SECONDS + 1e-6:
            return False
        self._due[key] = due + step
        return True


class NewPageQuota:
    """How many new pages an address has brought today."""

    def __init__(self, day: Callable[[], int], addresses: int = TIMED_ADDRESSES) -> None:
        self._day = day
        self._counted_on = 0
        self._pages: LRUCache[tuple[str, str], int] = LRUCache(addresses)

    @property
    def are_none(self) -> bool:
        """No address has brought a new page of late: each may bring one."""
        return not self._pages

    def may_open(self, site: str, who: str) -> bool:
        """Whether an address may bring another new page."""
        self._turn()
        return self._pages.get((site, who), 0) < NEW_PAGES_OF_AN_ADDRESS

    def opened(self, site: str, who: str) -> None:
        """An address has brought a new page."""
        self._turn()
        self._pages[site, who] = self._pages.get((site, who), 0) + 1

    def _turn(self) -> None:
        today = self._day()
        if today != self._counted_on:
            self._counted_on = today
            self._pages.clear()
