"""The list of sites: a set of names in a slot of its own, apart from what is counted of them.

A site is put there before its first view is counted, so none with views is missing; whoever asks for the list leaves out those
that have nothing (they were listed, or forgotten, and then something failed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from footfall.stores.redis.calls import Call, Scripts
from footfall.stores.redis.keys import sites_key
from footfall.stores.redis.scripts import as_msgpack
from footfall.stores.redis.server.connections import Reply

#: Sites that are looked at in one round trip, and names that one process remembers to have listed.
LOOKED_AT_ONCE = 500
REMEMBERED = 100_000


class ListOfSites:
    """The sites at a place; remembers which ones this process has listed."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._listed: set[str] = set()

    async def add(self, sites: Iterable[str]) -> frozenset[str]:
        """Put those into the list that this process has not put there yet; which those were."""
        new = [site for site in sites if site not in self._listed]
        if new:
            await self.put(new)
        return frozenset(new)

    async def put(self, sites: Sequence[str]) -> None:
        """Put sites into the list, whatever is remembered."""
        for first in range(0, len(sites), LOOKED_AT_ONCE):
            await self._ask(add=sites[first : first + LOOKED_AT_ONCE])
        if len(self._listed) > REMEMBERED:
            self._listed.clear()
        self._listed.update(sites)

    async def remove(self, site: str) -> None:
        """Take a site out that was forgotten, unless it has begun anew meanwhile."""
        self._listed.discard(site)
        await self._ask(remove=[site])
        if await self._with_something([site]):
            await self.put([site])

    async def names(self) -> list[str]:
        """The names of the sites that have something, in order."""
        found: set[str] = set()
        cursor = "0"
        while True:
            reply, names = await self._ask(cursor=cursor)
            found |= {name.decode() for name in names}
            cursor = reply.decode()
            if cursor == "0":
                return await self._with_something(sorted(found))

    async def _with_something(self, sites: Sequence[str]) -> list[str]:
        known = []
        for first in range(0, len(sites), LOOKED_AT_ONCE):
            some = sites[first : first + LOOKED_AT_ONCE]
            looks = await self._scripts.run([self._scripts.call("look", site) for site in some])
            known += [site for site, look in zip(some, looks, strict=True) if len(look) > 1]
        return known

    async def _ask(self, *, add: Sequence[str] = (), remove: Sequence[str] = (), cursor: str = "") -> Reply:
        arguments = as_msgpack(add=add, remove=remove, cursor=cursor)
        (reply,) = await self._scripts.run([Call("sites", sites_key(), arguments)], durable=bool(add or remove))
        return reply
