"""How long each site of a Redis store is kept: what `keeping.py` makes of its document, which lies in another slot than the site.

So a script can't read it; the store looks at all sites' documents, at most once a second, and tells every call what it saw. It
sees at once what was written or listed through itself, which in a server is all it needs. While the documents can't be read the
last that was seen holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from footfall.errors import StoreError
from footfall.model import Document, Retention
from footfall.stores.retention import Keeping

#: For so many seconds what was seen is gone by; and so many pass, where a look has failed, until the next.
FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 10.0

#: Lists all sites' documents. Raises StoreError.
Look = Callable[[], Awaitable[Iterable[Document]]]


class SiteKeeping:
    """The retention of each site. `of_store` holds for those that have none of their own; `look` lists their documents."""

    def __init__(self, of_store: Retention, look: Look) -> None:
        self._keeping = Keeping(of_store)
        self._look = look
        self._own: Mapping[str, Retention] = {}
        #: How many documents were written, when the look began that was taken in last, and until when it is gone by.
        self._written = 0
        self._began = -1.0
        self._fresh_until = 0.0
        self._looking = asyncio.Lock()

    def of(self, site: str) -> Retention:
        """The retention of a site, as last seen."""
        return self._own.get(site) or self._keeping.of(None)

    def words(self, site: str) -> Mapping[str, int]:
        """The same by the tiers' names, as scripts are told it."""
        return {tier.value: seconds for tier, seconds in self.of(site).items()}

    def doubt(self) -> None:
        """A document may just have been written: what was seen, or is being looked at, may be older."""
        self._written += 1
        self._fresh_until = 0.0

    def begin(self) -> Callable[[Iterable[Document]], None]:
        """A look begins; gives back what takes in all sites' documents, as it has seen them."""
        return partial(self._take, self._written, _now())

    def _take(self, written: int, began: float, documents: Iterable[Document]) -> None:
        if written != self._written or began < self._began:
            return
        own = {document.key: self._keeping.of(document.value) for document in documents}
        self._own = {site: kept for site, kept in own.items() if kept is not self._keeping.of(None)}
        self._began, self._fresh_until = began, began + FRESH_SECONDS

    async def keep_fresh(self) -> None:
        """Look, where the last look was too long ago. Raises StoreError where it fails and was the first."""
        if _now() < self._fresh_until:
            return
        async with self._looking:
            while _now() >= self._fresh_until:
                take = self.begin()
                try:
                    take(await self._look())
                except StoreError:
                    if self._began < 0:
                        raise
                    self._fresh_until = _now() + PATIENCE_SECONDS


def _now() -> float:
    """The loop's time, in seconds."""
    return asyncio.get_running_loop().time()
