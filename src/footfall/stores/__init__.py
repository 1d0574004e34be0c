"""Where views are kept: the protocol, its backends, and the table that turns a URL into one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from footfall.errors import SettingError, StoreUnavailable
from footfall.files import make_folder
from footfall.model import Retention
from footfall.settings import Settings
from footfall.stores.base import Clock, Limits, Store
from footfall.stores.sqlite import SqliteStore

__all__ = ["Clock", "Store", "open_configured", "open_store", "scheme_of"]


class Options(NamedTuple):
    """What a store is opened with besides its URL; each takes what concerns it. See `open_store`."""

    clock: Clock
    retention: Retention
    event_id_ttl: int
    window: int
    durability: str
    limits: Limits


#: Makes a store from what follows "scheme:" in its URL. All but the default load their backend themselves: it keeps other starts
#: short. The default's is there from the start: where a program just ends, the last thread to count can't load it any more.
Maker = Callable[[str, Options], Store]


def _memory(rest: str, options: Options) -> Store:
    from footfall.stores.memory import MemoryStore

    if rest != "//":
        raise SettingError("FOOTFALL_STORE", "memory:// takes nothing after it")
    return MemoryStore(options.clock, options.retention, options.event_id_ttl, options.limits)


def _sqlite(rest: str, options: Options) -> Store:
    path = os.path.expanduser(rest.removeprefix("///"))
    if not rest.startswith("///") or not path or path.endswith("/"):
        raise SettingError("FOOTFALL_STORE", "write sqlite:///relative/file.db or sqlite:////absolute/file.db")
    try:
        make_folder(os.path.dirname(path) or ".")
    except OSError as error:
        raise StoreUnavailable(f"can't make the folder of {path}: {error.strerror}; name another in FOOTFALL_STORE") from error
    return SqliteStore(path, options.clock, options.retention, options.event_id_ttl, options.limits)


def _redis(scheme: str, rest: str, options: Options) -> Store:
    from footfall.stores.redis import RedisStore
    from footfall.stores.redis.server.url import read_url

    place = read_url(scheme, rest)
    return RedisStore(
        place,
        options.retention,
        options.event_id_ttl,
        window=options.window,
        durability=options.durability,
        limits=options.limits,
    )


#: The schemes of a Redis URL. They stand here because the backend is loaded only where one of them is used.
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")

#: One row a backend.
_MAKERS: Mapping[str, Maker] = {"memory": _memory, "sqlite": _sqlite} | {name: partial(_redis, name) for name in _REDIS_SCHEMES}


def scheme_of(url: str) -> str:
    """The scheme of a store URL, if it is one we know; SettingError otherwise.

    No message repeats the URL: it may hold a password.
    """
    scheme = url.partition(":")[0]
    if scheme not in _MAKERS:
        raise SettingError(
            "FOOTFALL_STORE", f"unknown kind of store; begin the URL with one of {', '.join(f'{name}:' for name in _MAKERS)}"
        )
    return scheme


def open_store(
    url: str,
    clock: Clock,
    retention: Retention,
    event_id_ttl: int,
    *,
    window: int = 60,
    durability: str = "primary",
    limits: Limits = Limits(),  # noqa: B008 - a tuple can't change
) -> Store:
    """Open the store a URL names.

    Raises SettingError where the URL or an option can't be read, StoreUnavailable where the store can't be opened now, and
    StoreUnusable where it is not ours or too new; a store on other machines is not asked for anything before its first call.
    `clock` is for stores that have none of their own. `event_id_ttl` and `window` are in seconds; windows of that width are cheap
    to read. `durability` is "primary", or "replicas:N" where the store has replicas. `limits` bound the detail of a site and day.
    """
    scheme = scheme_of(url)
    return _MAKERS[scheme](url[len(scheme) + 1 :], Options(clock, retention, event_id_ttl, window, durability, limits))


def open_configured(settings: Settings, clock: Clock) -> Store:
    """Open the store that the settings name; raises as `open_store` does."""
    return open_store(
        settings.store,
        clock,
        settings.retention,
        settings.event_id_ttl,
        window=settings.window,
        durability=settings.durability,
    )
