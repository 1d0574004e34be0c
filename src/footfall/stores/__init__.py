"""Where views are kept: the protocol, its backends, and the table that turns a URL into one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from footfall.errors import SettingError, StoreUnavailable
from footfall.model import Retention
from footfall.stores.base import Clock, Store
from footfall.stores.memory import MemoryStore
from footfall.stores.sqlite import SqliteStore

__all__ = ["Clock", "Store", "open_store", "scheme_of"]

#: Makes a store from what follows "scheme:" in its URL.
Maker = Callable[[str, Clock, Retention, int], Store]


def _memory(rest: str, clock: Clock, retention: Retention, event_id_ttl: int) -> Store:
    if rest != "//":
        raise SettingError("FOOTFALL_STORE", "memory:// takes nothing behind it")
    return MemoryStore(clock, retention, event_id_ttl)


def _sqlite(rest: str, clock: Clock, retention: Retention, event_id_ttl: int) -> Store:
    path = os.path.expanduser(rest.removeprefix("///"))
    if not rest.startswith("///") or not path or path.endswith("/"):
        raise SettingError("FOOTFALL_STORE", "write sqlite:///relative/file.db or sqlite:////absolute/file.db")
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"can't make the folder of {path}: {error.strerror}; name another in FOOTFALL_STORE") from error
    return SqliteStore(path, clock, retention, event_id_ttl)


#: One row a backend.
_MAKERS: Mapping[str, Maker] = {"memory": _memory, "sqlite": _sqlite}


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


def open_store(url: str, clock: Clock, retention: Retention, event_id_ttl: int) -> Store:
    """Open the store a URL names.

    Raises SettingError where the URL can't be read, StoreUnavailable where the store can't be reached or opened now, and
    StoreUnusable where it is not ours or too new. `event_id_ttl` is in seconds.
    """
    scheme = scheme_of(url)
    return _MAKERS[scheme](url[len(scheme) + 1 :], clock, retention, event_id_ttl)
