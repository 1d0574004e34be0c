"""A primary with replicas, and three Sentinels that watch it and put a replica in its place when it dies.

A test kills or pauses `setup.primary` and waits with `wait_for_other_primary`; `failover` asks for a change while all is well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import redis

from tests.support.servers.program import ServerError, wait_until
from tests.support.servers.redis import RedisServer
from tests.support.servers.server import HOST

#: Replicas copy their primary at once instead of waiting some seconds for others that may want to.
REPLICATION = {"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0"}

SENTINELS = 3

#: Sentinels ask servers for their role and speak to one another this often (milliseconds), instead of every 10 and 2 s: set
#: where they can be told so (Redis 7.0), a setup settles in 1 s. When a primary is held for dead does not depend on it.
SENTINEL_PERIODS = {"INFO-PERIOD": 500, "PUBLISH-PERIOD": 200}


class Sentinel(RedisServer):
    """One Sentinel. It watches `service`, whose primary is the server given."""

    def __init__(self, program: Path | None, *, name: str, service: str, primary: RedisServer, down_after: float) -> None:
        super().__init__(program, name=name)
        self._service = service
        self._primary = primary
        self._down_after = down_after

    def command(self) -> Sequence[str | Path]:
        """Write the configuration file, and return the command that starts a Sentinel with it."""
        service = self._service
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {self.folder}",
            f"sentinel monitor {service} {HOST} {self._primary.port} {SENTINELS // 2 + 1}",
            f"sentinel down-after-milliseconds {service} {round(self._down_after * 1000)}",
            f"sentinel failover-timeout {service} 5000",
        ]
        if self._primary.password:
            lines.append(f'sentinel auth-pass {service} "{self._primary.password}"')
        return [self.binary, self.configuration(lines), "--sentinel"]

    def answers(self) -> bool:
        """Whether this very Sentinel, by its pid, answers."""
        try:
            return bool(self.info("server")["process_id"] == self.pid)
        except redis.RedisError:
            return False

    def start(self) -> None:
        """Start it, and let it look around more often than Sentinels do by themselves."""
        super().start()
        for period, milliseconds in SENTINEL_PERIODS.items():
            with contextlib.suppress(redis.ResponseError):
                self.ask("SENTINEL", "DEBUG", period, milliseconds)

    def primary_port(self) -> int:
        """The port of the primary that this Sentinel names to clients."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)[1])

    def is_at_ease(self, primary: RedisServer, replicas: Collection[RedisServer], sentinels: int) -> bool:
        """Whether it names the primary, has met so many Sentinels, itself included, and sees all of these replicas follow.

        It goes by its last look at a replica. One that has just been made a replica may still be held for a primary: were it
        made one now, such a Sentinel would undo that.
        """
        known = _named(self.ask("SENTINEL", "MASTER", self._service))
        if int(known["port"]) != primary.port or known["flags"] != "master" or int(known["num-other-sentinels"]) < sentinels - 1:
            return False
        seen = [_named(each) for each in self.ask("SENTINEL", "REPLICAS", self._service)]
        following = {
            int(each["port"])
            for each in seen
            if (each["flags"], each["role-reported"], each["master-link-status"]) == ("slave", "slave", "ok")
            and int(each["master-port"]) == primary.port
        }
        return following >= {replica.port for replica in replicas}


def _named(answer: Any) -> Mapping[str, str]:
    """An answer of names and values in turn, which the driver may have put together already."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


class RedisWithSentinels:
    """A primary, `replicas` of it, and three Sentinels, as a context manager.

    A primary that is silent for `down_after` seconds is held for dead. The servers have the password, the Sentinels have none.
    """

    def __init__(
        self,
        program: Path | None = None,
        *,
        replicas: int = 2,
        service: str = "footfall",
        down_after: float = 1.0,
        password: str | None = None,
        aof: Literal["no", "everysec", "always"] = "no",
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.service = service
        lines = REPLICATION | dict(options or {})
        self.servers = [
            RedisServer(program, name=f"redis-{number}", aof=aof, password=password, options=lines)
            for number in range(replicas + 1)
        ]
        self.sentinels = [
            Sentinel(program, name=f"sentinel-{number}", service=service, primary=self.servers[0], down_after=down_after)
            for number in range(SENTINELS)
        ]
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            for server in self.servers:
                started.enter_context(server)
                if server is not self.servers[0]:
                    server.follow(self.servers[0])
            for sentinel in self.sentinels:
                started.enter_context(sentinel)
            self.wait_settled()
            self._open = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """The service's address: `redis+sentinel://h1,h2,h3/service`, with the servers' password."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{self.servers[0].credentials}{hosts}/{self.service}"

    @property
    def primary(self) -> RedisServer:
        """The server that most running Sentinels name as the primary now; it may be dead."""
        named = sorted(sentinel.primary_port() for sentinel in self.sentinels if sentinel.can_answer)
        if not named:
            raise ServerError("no Sentinel runs")
        return next(server for server in self.servers if server.port == named[len(named) // 2])

    @property
    def replicas(self) -> list[RedisServer]:
        """The other servers."""
        primary = self.primary
        return [server for server in self.servers if server is not primary]

    def failover(self, *, seconds: float = 60.0) -> RedisServer:
        """Let the Sentinels change the primary while it lives, once all is settled; the new one, as soon as it takes writes."""
        self.wait_settled()
        old = self.primary
        self.sentinels[0].ask("SENTINEL", "FAILOVER", self.service)
        return self.wait_for_other_primary(old, seconds=seconds)

    def wait_for_other_primary(self, old: RedisServer, *, seconds: float = 60.0) -> RedisServer:
        """Return the new primary as soon as all running Sentinels name one other than `old` and it takes writes."""

        def is_named() -> bool:
            ports = {sentinel.primary_port() for sentinel in self.sentinels if sentinel.can_answer}
            return len(ports) == 1 and old.port not in ports and self.primary.info("replication")["role"] == "master"

        wait_until(is_named, f"another primary than {old.name}", seconds=seconds, shown=self._shown, despite=redis.RedisError)
        return self.primary

    def wait_settled(self, *, seconds: float = 60.0) -> None:
        """Return once all running servers follow the primary and all running Sentinels know them and one another.

        Where a Sentinel looks at servers every 10 s only (Redis 6.2), this may take 20 s after a failover.
        """
        wait_until(self._is_settled, "the Sentinels are settled", seconds=seconds, shown=self._shown, despite=redis.RedisError)

    def wait_copied(self, *, seconds: float = 60.0) -> None:
        """Return once each running replica has all that the primary has now.

        A replica whose link is up may not have been sent a byte of what came after its copy, and Sentinels that are told to
        change the primary may choose that one: a batch that another replica has confirmed is lost then.
        """
        offset = self.primary.info("replication")["master_repl_offset"]
        following = [server for server in self.servers if server.can_answer and server is not self.primary]
        wait_until(
            lambda: all(server.info("replication").get("slave_repl_offset", 0) >= offset for server in following),
            "the replicas have all",
            seconds=seconds,
            shown=self._shown,
            despite=redis.RedisError,
        )

    def _is_settled(self) -> bool:
        primary = self.primary
        following = [server for server in self.servers if server.can_answer and server is not primary]
        watching = [sentinel for sentinel in self.sentinels if sentinel.can_answer]
        return (
            primary.can_answer
            and primary.info("replication")["role"] == "master"
            and all(server.follows(primary) for server in following)
            and all(sentinel.is_at_ease(primary, following, len(watching)) for sentinel in watching)
        )

    def _shown(self) -> str:
        return "\n".join(server.program.last_words() for server in (*self.sentinels, *self.servers))
