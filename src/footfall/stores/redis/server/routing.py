"""Which server takes a key's writes: the one server there is, the primary that Sentinels name, or a cluster's node.

A route is learned when it is first needed and forgotten when a server says or shows that it is no longer right. Commands that a
cluster's node wants sent elsewhere for the time of a migration (ASK) are never sent there: the other node has some of a site's
keys and not the rest, and would count with what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import MovedError, RedisError, ResponseError

from footfall.stores.redis.keys import SLOTS, slot_of
from footfall.stores.redis.server.connections import Reply, Server
from footfall.stores.redis.server.errors import UNKNOWN_SERVICE
from footfall.stores.redis.server.url import Address, Kind, Place


class Route(Protocol):
    """Finds servers. Raises the driver's exceptions."""

    async def server_for(self, key: bytes) -> Server:
        """The server that takes writes to a key."""
        ...

    async def servers(self) -> Sequence[Server]:
        """All servers that take writes."""
        ...

    async def doubt(self, server: Server, moved: MovedError | None = None) -> None:
        """Learn the way anew next time: a server was silent, takes no writes, or said that a key is elsewhere."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def route_to(place: Place) -> Route:
    """The route that a URL asks for."""
    if place.kind is Kind.SENTINEL:
        return Sentinels(place)
    return Cluster(place) if place.kind is Kind.CLUSTER else OneServer(place)


def _server(place: Place, address: Address) -> Server:
    return Server(address, place.database, place.login, place.tls)


def _text(word: Reply) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


class OneServer:
    """One server."""

    def __init__(self, place: Place) -> None:
        self._one = _server(place, place.addresses[0])

    async def server_for(self, key: bytes) -> Server:  # noqa: ARG002 - all keys are there
        return self._one

    async def servers(self) -> Sequence[Server]:
        return [self._one]

    async def doubt(self, server: Server, moved: MovedError | None = None) -> None:  # noqa: ARG002 - there is no other
        await server.hang_up()

    async def close(self) -> None:
        await self._one.hang_up()


class Sentinels:
    """The primary of a service, as its Sentinels name it (https://redis.io/docs/latest/develop/reference/sentinel-clients/)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sentinels = [Server(address, 0, place.sentinel_login, place.tls) for address in place.addresses]
        self._primary: Server | None = None
        self._finding = asyncio.Lock()

    async def server_for(self, key: bytes) -> Server:  # noqa: ARG002 - all keys are there
        async with self._finding:
            if self._primary is None:
                self._primary = await self._find()
            return self._primary

    async def _find(self) -> Server:
        """Ask one Sentinel after the other; a server counts as the primary only if it says so itself."""
        trouble: Exception = DriverConnectionError(UNKNOWN_SERVICE)
        refused: set[Address] = set()
        for sentinel in list(self._sentinels):
            try:
                address = await self._named_by(sentinel)
                if address is None or address in refused:
                    continue
                refused.add(address)
                primary = await self._proved(address)
            except (RedisError, OSError) as error:
                trouble = error
            else:
                # Who was right is asked first next time.
                self._sentinels.remove(sentinel)
                self._sentinels.insert(0, sentinel)
                return primary
        raise trouble

    async def _named_by(self, sentinel: Server) -> Address | None:
        (address,) = await sentinel.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._place.service))
        if isinstance(address, ResponseError):
            raise address
        return Address(_text(address[0]), int(address[1])) if address else None

    async def _proved(self, address: Address) -> Server:
        """The server at an address, if it is a primary."""
        server = _server(self._place, address)
        try:
            (role,) = await server.ask(("ROLE",))
            if isinstance(role, ResponseError):
                raise role
            if _text(role[0]) != "master":
                raise DriverConnectionError("the server that the Sentinel names is no primary yet")
        except (RedisError, OSError):
            await server.leave()
            raise
        return server

    async def servers(self) -> Sequence[Server]:
        return [await self.server_for(b"")]

    async def doubt(self, server: Server, moved: MovedError | None = None) -> None:  # noqa: ARG002 - Sentinels know no slots
        if server is self._primary:
            self._primary = None
            await server.leave()

    async def close(self) -> None:
        if self._primary is not None:
            await self._primary.leave()
        for sentinel in self._sentinels:
            await sentinel.hang_up()


class Cluster:
    """The nodes of a cluster, each with its slots (https://redis.io/docs/latest/commands/cluster-slots/)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._seeds = list(place.addresses)
        self._servers: dict[Address, Server] = {}
        self._silent: Address | None = None
        self._owners: list[Server | None] = []
        self._finding = asyncio.Lock()

    async def server_for(self, key: bytes) -> Server:
        await self._learn()
        server = self._owners[slot_of(key)]
        if server is None:
            self._owners = []
            raise DriverConnectionError("no node serves the slot")
        return server

    async def servers(self) -> Sequence[Server]:
        await self._learn()
        return list({id(server): server for server in self._owners if server is not None}.values())

    async def _learn(self) -> None:
        """Ask one node after the other who has which slots."""
        async with self._finding:
            if self._owners:
                return
            trouble: Exception = DriverConnectionError("no node of the cluster answers")
            addresses = dict.fromkeys([*self._seeds, *self._place.addresses, *self._servers])
            for address in sorted(addresses, key=lambda address: address == self._silent):  # whom we doubt is asked last
                server = self._server(address)
                try:
                    (reply,) = await server.ask(("CLUSTER", "SLOTS"))
                except (RedisError, OSError) as error:
                    trouble = error
                    continue
                if isinstance(reply, ResponseError):
                    trouble = reply
                    continue
                await self._take(reply, address)
                return
            raise trouble

    async def _take(self, reply: Reply, asked: Address) -> None:
        owners: list[Server | None] = [None] * SLOTS
        for first, last, primary, *_ in reply:
            # A node that does not know its own host name or address gives none: it is where it was asked.
            host = _text(primary[0] or b"")
            server = self._server(Address(host if host not in ("", "?") else asked.host, primary[1]))
            owners[first : last + 1] = [server] * (last + 1 - first)
        self._owners = owners
        known = {server.address for server in owners if server is not None}
        for address in [address for address in self._servers if address not in known]:
            await self._servers.pop(address).leave()
        self._seeds = list(known)

    def _server(self, address: Address) -> Server:
        if address not in self._servers:
            self._servers[address] = _server(self._place, address)
        return self._servers[address]

    async def doubt(self, server: Server, moved: MovedError | None = None) -> None:
        self._owners = []
        self._silent = server.address
        if moved is not None and moved.host:
            # The node that has the slot knows the new order of things before others do.
            self._seeds.insert(0, Address(moved.host, moved.port))

    async def close(self) -> None:
        for server in self._servers.values():
            await server.hang_up()
