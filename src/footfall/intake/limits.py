"""Limits on how much one address or one site may send: views a minute, and pages that are new.

All of it is bounded: of more addresses than it has room for, the one unseen for longest is forgotten. Limits are an instance's
own, so behind a balancer a visitor may reach each instance's. Times are monotonic seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from cachetools import LRUCache

#: Addresses whose views are timed, about 200 bytes each.
TIMED_ADDRESSES = 50_000

#: A burst may use up this many seconds' worth of a rate at once.
BURST_SECONDS = 60.0

#: Pages that are known to be no new ones, about 200 bytes each; beyond it all are forgotten.
KNOWN_PAGES = 20_000

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


class Claim(NamedTuple):
    """A view that may be the first of its page, and is not settled yet: of which address, "" where none is limited, and whether
    that address may still bring a new page.
    """

    who: str
    is_granted: bool


class NewPageQuota:
    """How many new pages an address has brought today, and how many it may be bringing just now.

    The store says whether a page is new, when the view is committed. Until then each page that is not known to be there is
    claimed: otherwise any number could come before the first of them is settled.
    """

    def __init__(self, day: Callable[[], int], addresses: int = TIMED_ADDRESSES, pages: int = KNOWN_PAGES) -> None:
        self._day = day
        self._counted_on = 0
        self._brought: LRUCache[tuple[str, str], int] = LRUCache(addresses)
        #: Pages of views under way by site and address, and how many views each has.
        self._claimed: dict[tuple[str, str], dict[str, int]] = {}
        #: Pages that the store has: their views claim nothing.
        self._known: set[tuple[str, str]] = set()
        self._most_known = pages

    def knows(self, site: str, page: str) -> bool:
        """Whether a page is known to be no new one."""
        return (site, page) in self._known

    def claim(self, site: str, who: str, page: str) -> bool:
        """Whether an address may bring a page, should it be new; if so it is claimed until `settle`."""
        self._turn()
        claimed = self._claimed.get((site, who), {})
        if page not in claimed and self._brought.get((site, who), 0) + len(claimed) >= NEW_PAGES_OF_AN_ADDRESS:
            return False
        claimed[page] = claimed.get(page, 0) + 1
        self._claimed[site, who] = claimed
        return True

    def settle(self, site: str, who: str, page: str, *, is_kept: bool) -> None:
        """Give a claim back. `is_kept`: the store has the page now."""
        claimed = self._claimed.get((site, who))
        if claimed is not None:
            claimed[page] -= 1
            if not claimed[page]:
                del claimed[page]
            if not claimed:
                del self._claimed[site, who]
        if is_kept:
            self.learn(site, page)

    def learn(self, site: str, page: str) -> None:
        """The store has this page."""
        if len(self._known) >= self._most_known:
            self._known.clear()
        self._known.add((site, page))

    def brought(self, site: str, who: str) -> None:
        """An address has brought a new page."""
        self._turn()
        self._brought[site, who] = self._brought.get((site, who), 0) + 1

    def _turn(self) -> None:
        today = self._day()
        if today != self._counted_on:
            self._counted_on = today
            self._brought.clear()
