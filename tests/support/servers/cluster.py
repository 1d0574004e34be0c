"""A Redis Cluster of primaries and replicas on loopback, and what a test does to one: fail over, migrate a slot, wait for calm.

Nodes are ordinary servers: a test kills, pauses and restarts them. Questions about the whole are answered from the view of nodes
that run, never from what was once set up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import redis
from redis.crc import key_slot

from tests.support.servers.program import ServerError, wait_until
from tests.support.servers.redis import RedisServer
from tests.support.servers.sentinel import REPLICATION
from tests.support.servers.server import HOST

#: How many hash slots a cluster has (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
SLOTS = 16_384

#: So many keys travel with one MIGRATE.
MIGRATED_AT_ONCE = 100

#: Milliseconds that one MIGRATE may take.
MIGRATE_TIMEOUT = 5000


@dataclass(frozen=True)
class Member:
    """A node as one node sees it: a line of CLUSTER NODES (https://redis.io/docs/latest/commands/cluster-nodes/)."""

    id: str
    port: int
    flags: frozenset[str]
    primary_id: str
    epoch: int
    is_linked: bool
    slots: tuple[range, ...]

    def holds(self, slot: int) -> bool:
        """Whether a slot is among those it says it holds."""
        return any(slot in part for part in self.slots)

    @property
    def is_primary(self) -> bool:
        """Whether it is a primary, and not a failed one."""
        return "master" in self.flags and self.is_sound

    @property
    def is_sound(self) -> bool:
        """Whether it is held for alive."""
        return not self.flags & {"fail", "fail?", "handshake", "noaddr"}


class RedisCluster:
    """`primaries` nodes that share the slots, and `replicas` of each, as a context manager.

    A node that is silent for `node_timeout` seconds is held for dead. `options` are further lines of each node's configuration.
    """

    def __init__(
        self,
        program: Path | None = None,
        *,
        primaries: int = 3,
        replicas: int = 1,
        node_timeout: float = 2.0,
        password: str | None = None,
        aof: Literal["no", "everysec", "always"] = "no",
        options: Mapping[str, str] | None = None,
    ) -> None:
        lines = REPLICATION | {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(round(node_timeout * 1000)),
        }
        self.nodes = [
            RedisServer(program, name=f"node-{number}", aof=aof, password=password, options=lines | dict(options or {}))
            for number in range(primaries * (1 + replicas))
        ]
        self._primaries = primaries
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            for node in self.nodes:
                started.enter_context(node)
            self._form()
            self._open = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """The cluster's address: `redis+cluster://h1,h2,h3`, with the nodes' password. It names the first three nodes."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes[:3])
        return f"redis+cluster://{self.nodes[0].credentials}{hosts}"

    def _form(self) -> None:
        """Deal out the slots, let all nodes meet, and give each primary its replicas."""
        first = self.nodes[: self._primaries]
        for number, node in enumerate(first):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            slots = range(SLOTS * number // len(first), SLOTS * (number + 1) // len(first))
            node.ask("CLUSTER", "ADDSLOTS", *slots)
        for number, node in enumerate(self.nodes):
            for other in self.nodes[number + 1 :]:
                node.ask("CLUSTER", "MEET", HOST, other.port)

        def have_met() -> bool:
            views = [self.members(node) for node in self.nodes]
            return all(len(view) == len(self.nodes) and all(each.is_sound for each in view) for view in views)

        self._wait(have_met, "the nodes have met", 15.0)
        for number, node in enumerate(self.nodes[self._primaries :]):
            node.ask("CLUSTER", "REPLICATE", first[number % len(first)].ask("CLUSTER", "MYID"))
        self.wait_settled()

    def members(self, node: RedisServer) -> list[Member]:
        """All nodes, as `node` sees them."""
        return [_member(line) for line in str(node.ask("CLUSTER", "NODES")).splitlines()]

    def _self(self, node: RedisServer) -> Member:
        return next(member for member in self.members(node) if "myself" in member.flags)

    @property
    def _running(self) -> list[RedisServer]:
        return [node for node in self.nodes if node.can_answer]

    def _node(self, port: int) -> RedisServer:
        return next(node for node in self.nodes if node.port == port)

    @property
    def primaries(self) -> list[RedisServer]:
        """The running nodes that hold slots, by their own account."""
        found = [(node, self._self(node)) for node in self._running]
        return [node for node, member in found if member.is_primary and member.slots]

    def primary_of(self, key: str | int) -> RedisServer:
        """The running node that holds a key's slot, or a slot given by number.

        After a failover the old and the new holder may both claim it for a moment: the later claim is right. Nodes that stand
        still are not asked. Raises ServerError where none holds it.
        """
        slot = key if isinstance(key, int) else self.slot_of(key)
        members = [self._self(node) for node in self._running]
        claims = [(member.epoch, member.port) for member in members if member.is_primary and member.holds(slot)]
        if not claims:
            raise ServerError(f"no running node holds slot {slot}\n{self._shown()}")
        return self._node(max(claims)[1])

    def replicas_of(self, primary: RedisServer) -> list[RedisServer]:
        """The running nodes that follow `primary`, as it sees them."""
        view = self.members(primary)
        own = next(member.id for member in view if "myself" in member.flags)
        ports = {member.port for member in view if member.primary_id == own and member.is_sound}
        return [node for node in self._running if node.port in ports]

    @staticmethod
    def slot_of(key: str) -> int:
        """The slot of a key: that of the part in braces, where it has one."""
        return int(key_slot(key.encode()))

    def failover(self, primary: RedisServer, *, seconds: float = 15.0) -> RedisServer:
        """Let a replica take the place of a living primary; the new one, once the cluster is settled."""
        slots = self._self(primary).slots
        replica = self.replicas_of(primary)[0]
        replica.ask("CLUSTER", "FAILOVER")
        self._wait(lambda: self._self(replica).slots == slots, f"{replica.name} takes the place of {primary.name}", seconds)
        self.wait_settled()
        return replica

    def wait_for_other_primary(self, old: RedisServer, key: str | int, *, seconds: float = 60.0) -> RedisServer:
        """Return the new primary of a key's slot as soon as a running node other than `old` holds it and the cluster is up."""

        def is_held() -> bool:
            holder = self.primary_of(key)
            return holder is not old and _is_up(holder)

        self._wait(is_held, f"a primary other than {old.name}", seconds)
        return self.primary_of(key)

    def begin_migration(self, slot: int, to: RedisServer) -> RedisServer:
        """Mark a slot as migrating to another primary, and return the one that holds it: asked for what it lacks, it says ASK."""
        source = self.primary_of(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self._self(source).id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self._self(to).id)
        return source

    def move_keys(self, slot: int, to: RedisServer, most: int | None = None) -> int:
        """Move at most `most` keys of a migrating slot, or all that are there; how many were moved."""
        source = self.primary_of(slot)
        password = ("AUTH", source.password) if source.password else ()
        moved = 0
        while most is None or moved < most:
            at_once = MIGRATED_AT_ONCE if most is None else min(MIGRATED_AT_ONCE, most - moved)
            keys: list[str] = source.ask("CLUSTER", "GETKEYSINSLOT", slot, at_once)
            if not keys:
                break
            source.ask("MIGRATE", HOST, to.port, "", 0, MIGRATE_TIMEOUT, *password, "KEYS", *keys)
            moved += len(keys)
        return moved

    def end_migration(self, slot: int, to: RedisServer) -> None:
        """Give the slot, whose keys have all been moved, to its new primary, and tell all others."""
        source = self.primary_of(slot)
        id = self._self(to).id
        # The target first: were the source told first and the target not at all, the slot would be nobody's.
        for node in (to, source, *(each for each in self.primaries if each not in (to, source))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", id)

    def migrate_slot(self, slot: int, to: RedisServer) -> int:
        """Move a slot with its keys to another primary while the cluster serves; how many keys were moved."""
        source = self.begin_migration(slot, to)
        moved = self.move_keys(slot, to)
        # Between the last look and the hand-over a key may still have been written on the source: it refuses then.
        for _ in range(100):
            try:
                self.end_migration(slot, to)
            except redis.ResponseError:
                moved += self.move_keys(slot, to)
            else:
                self.wait_settled()
                return moved
        raise ServerError(f"slot {slot} of {source.name} is never empty")

    def wait_settled(self, *, seconds: float = 60.0) -> None:
        """Return once all running nodes are up, agree on who holds which slot and follows whom, and replicas are linked."""
        self._wait(self._is_settled, "the cluster is settled", seconds)

    def _is_settled(self) -> bool:
        running = self._running
        ports = {node.port for node in running}
        views = [[member for member in self.members(node) if member.port in ports] for node in running]
        parts = {frozenset((member.id, member.primary_id, member.slots) for member in view) for view in views}
        return (
            len(parts) == 1
            and all(member.is_sound and member.is_linked for view in views for member in view)
            and all(_is_up(node) for node in running)
            and all(_self_is_primary(view) or node.follows() for node, view in zip(running, views, strict=True))
        )

    def _wait(self, claim: Callable[[], bool], what: str, seconds: float) -> None:
        wait_until(claim, what, seconds=seconds, shown=self._shown, despite=(redis.RedisError, ServerError))

    def _shown(self) -> str:
        return "\n".join(node.program.last_words() for node in self.nodes)


def _member(line: str) -> Member:
    """Read a line of CLUSTER NODES: id, address, flags, primary, ping, pong, epoch, link, slots (and marks of migrations)."""
    id, address, flags, primary_id, _, _, epoch, link, *slots = line.split()
    ends = [part.partition("-") for part in slots if not part.startswith("[")]
    held = tuple(range(int(first), int(last or first) + 1) for first, _, last in ends)
    port = int(address.split("@")[0].rpartition(":")[2])
    return Member(id, port, frozenset(flags.split(",")), primary_id, int(epoch), link == "connected", held)


def _is_up(node: RedisServer) -> bool:
    """Whether the node says that the cluster takes commands."""
    return "cluster_state:ok" in str(node.ask("CLUSTER", "INFO"))


def _self_is_primary(view: Sequence[Member]) -> bool:
    return any(member.is_primary for member in view if "myself" in member.flags)
