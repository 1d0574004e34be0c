"""One Redis server: a few connections to it, and commands sent to it in one round trip.

The driver makes the connections and reads the protocol; it never repeats a command, for who repeats what is decided above,
by the batch's id. Its exceptions do not leave this package's calls: see `redis_errors.py`. This module knows no script.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError as DriverAuthenticationError
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import RedisError, ResponseError

from footfall.stores.redis.server.url import Address, Login, Tls

#: Seconds until a connection must stand, and until all replies of one round trip must be there. Less than the time a view may
#: wait for its commit, so that a server that has gone silent is given up while there is time to ask another.
CONNECT_SECONDS = 1.0
REPLY_SECONDS = 2.0

#: Connections to one server. A process commits on one at a time; the others are for reads.
MAX_CONNECTIONS = 16

#: A command: its words. A reply: what the server said, an error as a value.
Command = tuple[str | bytes | int, ...]
Reply = Any


def _pack(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub allows one word, it takes any number
    return packed


class _FilePassword(CredentialProvider):
    """Reads the password from its file whenever a connection is made, so that a new one is found there."""

    def __init__(self, username: str | None, path: str) -> None:
        self._username = username
        self._path = Path(path)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            password = self._path.read_text("utf-8").strip()
        except OSError as error:
            raise DriverAuthenticationError("password_file is not readable") from error
        except ValueError as error:
            raise DriverAuthenticationError("password_file is not UTF-8") from error
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def _connection(address: Address, database: int, login: Login, tls: Tls | None) -> AbstractConnection:
    common: dict[str, Any] = {
        "db": database,
        "socket_timeout": None,  # one timeout goes round all replies of a round trip
        "socket_connect_timeout": CONNECT_SECONDS,
        "client_name": "footfall",
        "protocol": 2,
    }
    if login.password_file is not None:
        common["credential_provider"] = _FilePassword(login.username, login.password_file)
    else:
        common |= {"username": login.username, "password": login.password}
    if address.port == 0:
        return UnixDomainSocketConnection(path=address.host, **common)
    common |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if tls is None:
        return Connection(**common)
    return SSLConnection(
        ssl_ca_certs=tls.ca_certs,
        ssl_certfile=tls.certfile,
        ssl_keyfile=tls.keyfile,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        **common,
    )


class Server:
    """A server at an address, with its idle connections. Raises the driver's exceptions."""

    def __init__(self, address: Address, database: int, login: Login, tls: Tls | None) -> None:
        self.address = address
        self._database = database
        self._login = login
        self._tls = tls
        self._idle: list[AbstractConnection] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._is_left = False

    async def ask(self, *commands: Command) -> list[Reply]:
        """Send commands on one connection, in one round trip; their replies in order, error replies as exceptions in the list.

        Raises where a reply is missing. A connection that had been lost while it was idle is replaced, and the commands are
        sent once more: all that is sent here may be sent twice.
        """
        words = [_pack(command) for command in commands]
        async with asyncio.timeout(REPLY_SECONDS):
            await self._room.acquire()
        try:
            if self._idle:
                with contextlib.suppress(DriverConnectionError):
                    return await self._exchange(self._idle.pop(), words)
                await self.hang_up()
            return await self._exchange(_connection(self.address, self._database, self._login, self._tls), words)
        finally:
            self._room.release()

    async def _exchange(self, connection: AbstractConnection, words: Sequence[bytes]) -> list[Reply]:
        async with self._sound(connection), asyncio.timeout(REPLY_SECONDS):
            try:
                if not connection.is_connected:
                    await connection.connect()  # type: ignore[no-untyped-call]  # the driver leaves it untyped
                await connection.send_packed_command(words, check_health=False)
            except RuntimeError as error:  # uvloop's word for a connection that the other side has closed meanwhile
                raise DriverConnectionError("the connection was lost") from error
            return [await self._reply(connection) for _ in words]

    @contextlib.asynccontextmanager
    async def _sound(self, connection: AbstractConnection) -> AsyncIterator[None]:
        """Keep a connection for others unless replies may still come on it."""
        try:
            yield
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if self._is_left:
            await _part_with(connection)
        else:
            self._idle.append(connection)

    @staticmethod
    async def _reply(connection: AbstractConnection) -> Reply:
        try:
            return await connection.read_response()
        except ResponseError as error:
            return error

    async def hang_up(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await _part_with(self._idle.pop())

    async def leave(self) -> None:
        """Close the idle connections, and the others once their replies are there: nobody will ask this server again."""
        self._is_left = True
        await self.hang_up()


async def _part_with(connection: AbstractConnection) -> None:
    with contextlib.suppress(RedisError):  # a server that does not say good-bye in time
        await connection.disconnect()
