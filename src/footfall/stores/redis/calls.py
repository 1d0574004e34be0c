"""Calling scripts: sent to the servers that have their sites, all servers at once, one round trip each.

A server that does not know a script is told it, and a cluster's node that says where a key is now is believed. With replicas to
wait for, the same round trip ends with WAIT, on the connection that wrote. All calls may be sent twice: they are made for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.exceptions import MovedError, NoScriptError, RedisError, ResponseError

from footfall.errors import StoreUnavailable
from footfall.stores.redis.keys import ping_key, site_key
from footfall.stores.redis.scripts import ScriptClock, as_msgpack, compose
from footfall.stores.redis.server.connections import Command, Reply, Server
from footfall.stores.redis.server.errors import is_about_the_route, translate
from footfall.stores.redis.server.routing import route_to
from footfall.stores.redis.server.url import Kind, Place

#: Seconds that replicas may take to confirm: less than a round trip may.
WAIT_SECONDS = 1.0

#: So often a call is sent, in all: its script may be unknown, and its key may have moved, more than once.
ATTEMPTS = 4

#: Tags tried to find a ping's key for each node of a cluster. With three nodes the first few do.
PING_TAGS = 10_000

#: How long, in seconds, a ping's key lives.
PING_SECONDS = 60


class Call(NamedTuple):
    """A script called for the site whose key this is, with its packed arguments."""

    script: str
    key: bytes
    arguments: bytes


class Scripts:
    """The scripts at a place.

    `replicas` of a server must have confirmed a durable call's writes before it counts. Every call about a site is given the
    arguments that `common` has for it, besides its own.
    """

    def __init__(self, place: Place, clock: ScriptClock, replicas: int, common: Callable[[str], Mapping[str, Any]]) -> None:
        self.place = place
        self._route = route_to(place)
        self._clock = clock
        self._replicas = replicas
        self._common = common
        self._scripts = compose(clock)

    def call(self, script: str, site: str, **arguments: Any) -> Call:
        """A call to be run."""
        return Call(script, site_key(site), as_msgpack(**self._common(site), **arguments))

    async def ask(self, script: str, site: str, *, durable: bool = False, **arguments: Any) -> Reply:
        """Run one call; its reply. Raises as `run` does."""
        (reply,) = await self.run([self.call(script, site, **arguments)], durable=durable)
        return reply

    async def run(self, calls: Sequence[Call], *, durable: bool = False) -> list[Reply]:
        """Run calls; their replies in order.

        Raises StoreUnavailable or StoreUnusable where one has no good reply; others may have run all the same.
        """
        replies: dict[int, Reply] = {}
        unknown: set[str] = set()
        for _ in range(ATTEMPTS):
            left = [number for number in range(len(calls)) if number not in replies]
            for server, number, reply in await self._attempt(calls, left, unknown, durable):
                if isinstance(reply, NoScriptError):
                    unknown.add(calls[number].script)
                elif isinstance(reply, MovedError) and self.place.kind is Kind.CLUSTER:
                    await self._route.doubt(server, reply)
                else:
                    replies[number] = await self._good(reply, server)
            if len(replies) == len(calls):
                return [replies[number] for number in range(len(calls))]
        raise StoreUnavailable(f"{self.place} answered too often that a site's keys have moved; try again")

    async def _attempt(
        self, calls: Sequence[Call], left: Sequence[int], unknown: set[str], durable: bool
    ) -> list[tuple[Server, int, Reply]]:
        """Send the calls that are left, by number: one round trip to each server that has keys of theirs."""
        numbers: dict[Server, list[int]] = {}
        for number in left:
            numbers.setdefault(await self._server_for(calls[number].key), []).append(number)
        sent = [self._send(server, [calls[number] for number in some], unknown, durable) for server, some in numbers.items()]
        if len(sent) == 1:  # the usual case, without a task of its own
            outcomes: list[list[Reply] | BaseException] = [await sent[0]]
        else:
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        found = []
        for (server, some), outcome in zip(numbers.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            found += [(server, number, reply) for number, reply in zip(some, outcome, strict=True)]
        return found

    async def _send(self, server: Server, calls: Sequence[Call], unknown: set[str], durable: bool) -> list[Reply]:
        """One round trip: what the server must be told, the calls, and the wait for replicas."""
        told = [self._scripts[name] for name in sorted(unknown & {call.script for call in calls})]
        commands: list[Command] = [("SCRIPT", "LOAD", script.source) for script in told]
        clock = self._clock.words()
        commands += [("EVALSHA", self._scripts[call.script].sha, 1, call.key, call.arguments, *clock) for call in calls]
        return (await self._exchange(server, commands, durable))[len(told) :]

    async def _exchange(self, server: Server, commands: Sequence[Command], durable: bool) -> list[Reply]:
        wait: list[Command] = [("WAIT", self._replicas, round(WAIT_SECONDS * 1000))] if durable and self._replicas else []
        try:
            replies = await server.ask(*commands, *wait)
        except (RedisError, OSError) as error:
            await self._route.doubt(server)
            raise translate(error, str(server.address)) from error
        if wait:
            confirmed = replies.pop()
            if not all(isinstance(reply, ResponseError) for reply in replies):
                await self._good(confirmed, server)
                if confirmed < self._replicas:
                    raise StoreUnavailable(
                        f"{confirmed} of {self._replicas} replicas of {server.address} confirmed within {WAIT_SECONDS:g} s"
                    )
        return replies

    async def _good(self, reply: Reply, server: Server) -> Reply:
        """A reply, unless it is an error."""
        if isinstance(reply, ResponseError):
            if is_about_the_route(reply):
                await self._route.doubt(server)
            raise translate(reply, str(server.address))
        return reply

    async def _server_for(self, key: bytes) -> Server:
        try:
            return await self._route.server_for(key)
        except (RedisError, OSError) as error:
            raise translate(error, str(self.place)) from error

    async def ping(self) -> None:
        """Prove that each server takes a durable write now."""
        for tag in await self._ping_tags():
            server = await self._server_for(ping_key(tag))
            (reply,) = await self._exchange(server, [("SET", ping_key(tag), "1", "EX", PING_SECONDS)], True)
            await self._good(reply, server)

    async def _ping_tags(self) -> list[int]:
        """Tags whose keys lie on all the servers, one each."""
        servers = await self._servers()
        tags: dict[Server, int] = {}
        for tag in range(PING_TAGS):
            tags.setdefault(await self._server_for(ping_key(tag)), tag)
            if len(tags) == len(servers):
                break
        return list(tags.values())

    async def ask_each(self, *commands: Command) -> list[tuple[str, list[Reply]]]:
        """What each server that takes writes says to some commands, errors as values, beside its address."""
        return [(str(server.address), await self._exchange(server, commands, False)) for server in await self._servers()]

    async def _servers(self) -> Sequence[Server]:
        try:
            return await self._route.servers()
        except (RedisError, OSError) as error:
            raise translate(error, str(self.place)) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._route.close()
