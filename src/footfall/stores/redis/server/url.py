"""Reading the URL of a Redis or Valkey: one server, Sentinels that name it, or a cluster; with or without TLS.

    redis://[user:password@]host[:port][/database]          rediss:// for TLS
    unix://[user:password@]/path/of.sock[?db=1]
    redis+sentinel://[user:password@]host[:port],…/service[/database]      rediss+sentinel://
    redis+cluster://[user:password@]host[:port],…           rediss+cluster://

Query parameters: `password_file`, `db`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, and for Sentinels `sentinel_username`,
`sentinel_password` and `sentinel_password_file`. A % in a user or password is written %25. What can't be read is a SettingError;
none repeats a secret.
"""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from footfall.errors import SettingError

SETTING = "FOOTFALL_STORE"

PORT = 6379
SENTINEL_PORT = 26379

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\[\]:/,@\s]+))(?::(?P<port>\d{1,5}))?")
_COMMON = frozenset({"password_file", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_FILES = ("password_file", "sentinel_password_file", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL = frozenset({"sentinel_username", "sentinel_password", "sentinel_password_file"})


class Kind(enum.Enum):
    """How the server that takes the writes is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


SCHEMES = {
    "redis": Kind.SINGLE,
    "rediss": Kind.SINGLE,
    "unix": Kind.SINGLE,
    "redis+sentinel": Kind.SENTINEL,
    "rediss+sentinel": Kind.SENTINEL,
    "redis+cluster": Kind.CLUSTER,
    "rediss+cluster": Kind.CLUSTER,
}


class Address(NamedTuple):
    """Host and port; a Unix socket's path has port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if self.port == 0:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Login:
    """A user's name and password, or the file that the password is read from whenever a connection is made."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None


@dataclass(frozen=True)
class Tls:
    """Paths of PEM files: whom to trust (the system's authorities where none is named), and what to show of oneself."""

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None


@dataclass(frozen=True)
class Place:
    """What a URL says. `service` is the name that Sentinels know the primary by."""

    kind: Kind
    addresses: tuple[Address, ...]
    database: int = 0
    service: str = ""
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Tls | None = None

    def __str__(self) -> str:
        """Where it is, without secrets."""
        where = ", ".join(map(str, self.addresses))
        if self.kind is Kind.SENTINEL:
            return f"{self.service}, which the Sentinels at {where} name"
        return f"the cluster at {where}" if self.kind is Kind.CLUSTER else where


def _refuse(problem: str) -> SettingError:
    return SettingError(SETTING, problem)


def read_url(scheme: str, rest: str) -> Place:
    """Read what stands behind `scheme:` in a URL. Raises SettingError that says what to write."""
    kind = SCHEMES[scheme]
    if not rest.startswith("//"):
        raise _refuse(f"write // after {scheme}:")
    # The last @ ends the password, so that one which should have been escaped, but was not, is taken as it stands.
    user_info, at, location = rest[2:].rpartition("@")
    location, _, query = location.partition("?")
    login = _login(user_info) if at else Login()
    words = _words(query, kind, scheme)
    if scheme == "unix":
        return Place(kind, (_socket(location),), _database(words.get("db", "0")), login=_with_file(login, words, ""))
    hosts, _, path = location.partition("/")
    addresses = tuple(_address(host, kind) for host in hosts.split(","))
    if kind is Kind.SINGLE and len(addresses) > 1:
        raise _refuse("several hosts are a cluster (redis+cluster://) or Sentinels (redis+sentinel://)")
    service = ""
    if kind is Kind.SENTINEL:
        service, _, path = path.partition("/")
        if not service:
            raise _refuse("name the service behind the Sentinels: redis+sentinel://host1,host2,host3/service")
    if kind is Kind.CLUSTER and path.strip("/"):
        raise _refuse("a cluster has one database: write nothing after its hosts")
    return Place(
        kind,
        addresses,
        _database(path.strip("/") or words.get("db", "0")),
        unquote(service),
        _with_file(login, words, ""),
        _with_file(Login(words.get("sentinel_username"), words.get("sentinel_password")), words, "sentinel_"),
        _tls(words) if scheme.startswith("rediss") else None,
    )


def _login(user_info: str) -> Login:
    user, colon, password = user_info.partition(":")
    if not colon:
        raise _refuse("write user:password@ or :password@ before the host")
    return Login(unquote(user) or None, unquote(password) or None)


def _with_file(login: Login, words: dict[str, str], prefix: str) -> Login:
    path = words.get(f"{prefix}password_file")
    if path is None:
        return login
    if login.password is not None:
        raise _refuse(f"the {prefix}password stands in the URL and in {prefix}password_file: leave one of them out")
    return Login(login.username, None, path)


def _words(query: str, kind: Kind, scheme: str) -> dict[str, str]:
    allowed = _COMMON | (_SENTINEL if kind is Kind.SENTINEL else frozenset()) | (frozenset() if kind is Kind.CLUSTER else {"db"})
    words = dict(parse_qsl(query, keep_blank_values=True))
    for name in words:
        if name not in allowed:
            raise _refuse(f"{scheme}: takes the query parameters {', '.join(sorted(allowed))} and no others")
        if name.startswith("ssl_") and not scheme.startswith("rediss"):
            raise _refuse(f"{name} is for TLS: begin the URL with {scheme.replace('redis', 'rediss')}:")
    for name in _FILES:
        if name in words and not os.access(words[name], os.R_OK):
            raise _refuse(f"{name}: there is no readable file {words[name]!r}")
    return words


def _tls(words: dict[str, str]) -> Tls:
    if ("ssl_certfile" in words) != ("ssl_keyfile" in words):
        raise _refuse("a client's certificate is ssl_certfile and ssl_keyfile together")
    return Tls(words.get("ssl_ca_certs"), words.get("ssl_certfile"), words.get("ssl_keyfile"))


def _address(text: str, kind: Kind) -> Address:
    match = _HOST.fullmatch(text)
    port = int(match["port"] or (SENTINEL_PORT if kind is Kind.SENTINEL else PORT)) if match else 0
    if match is None or not 1 <= port <= 65535:
        raise _refuse("write the host as name:port, 192.0.2.1:port or [2001:db8::1]:port, and %40 for an @ after it")
    return Address(match["six"] or match["name"], port)


def _socket(path: str) -> Address:
    if not path.startswith("/"):
        raise _refuse("write the socket's whole path: unix:///run/redis/redis.sock")
    return Address(unquote(path), 0)


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise _refuse("the database after the host is a number such as 0")
    return int(text)
