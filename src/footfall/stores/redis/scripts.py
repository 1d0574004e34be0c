"""The scripts that run inside Redis: composed from the files in `lua/`, and how their arguments are written.

A script is the clock, what all scripts share, and its own file. The clock is a part that can be exchanged when a store is
made; nothing else about a script can be. This module knows no connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

#: What a commit does with all that is known of visits.
_DETAILS = ("details/fold_traits", "details/traits", "details/page_traits", "details/visitors", "parts/sweep")

#: What stands before most scripts: the keys of a site, and what a time is.
_SITE = "parts/site"

#: What each script is made of besides parts/clock.lua, in this order: files below lua/. The last is its own.
PARTS: Mapping[str, tuple[str, ...]] = {
    "applied": (_SITE, "applied"),
    "breakdown": (_SITE, "parts/pages", "details/breakdown"),
    "commit": (
        _SITE,
        *("parts/slide", "parts/fold", "parts/pages", "parts/begin", "parts/ids", "parts/opening"),
        *_DETAILS,
        "commit",
    ),
    "counts": (_SITE, "reads/counts"),
    "dump_traits": (_SITE, "parts/pages", "parts/dump", "details/dump_traits"),
    "dump_views": (_SITE, "parts/dump", "dump_views"),
    "dump_visitors": (_SITE, "parts/dump", "details/dump_visitors"),
    "dump_writers": (_SITE, "parts/dump", "dump_writers"),
    "erase": (_SITE, "erase"),
    "erase_details": (_SITE, "details/erase_details"),
    "forget_page": (_SITE, "parts/pages", "forget_page"),
    "forget_site": (_SITE, "forget_site"),
    "get_documents": ("documents/plain", "documents/documents", "documents/get_documents"),
    "load": (_SITE, "parts/slide", "parts/fold", "parts/pages", "parts/begin", "load"),
    "look": (_SITE, "reads/look"),
    "present": (_SITE, "details/present"),
    "put_document": ("documents/plain", "documents/documents", "documents/put_document"),
    "scan": (_SITE, "reads/scan"),
    "seconds": (_SITE, "reads/seconds"),
    "series": (_SITE, "reads/series"),
    "settle": (_SITE, "settle"),
    "sites": ("documents/plain", "reads/sites"),
    "top_window": (_SITE, "parts/slide", "reads/top_window"),
    "visitors_of": (_SITE, "details/visitors_of"),
}

_msgpack = msgspec.msgpack.Encoder()


class ScriptClock(NamedTuple):
    """The clock that scripts are composed with.

    `lua` defines the function `clock()`, which gives whole Unix seconds; `words` are what it finds behind ARGV[1] at each call.
    """

    lua: str
    words: Callable[[], tuple[str, ...]] = tuple


class Script(NamedTuple):
    """A composed script and the name the server keeps it under, its SHA-1 in hex."""

    source: str
    sha: str


def _read(part: str) -> str:
    return (files("footfall.stores.redis") / "lua" / f"{part}.lua").read_text("utf-8")


def server_clock() -> ScriptClock:
    """The clock of the server that a script runs in: one for all instances."""
    return ScriptClock(_read("parts/clock"))


def compose(clock: ScriptClock) -> Mapping[str, Script]:
    """All scripts, by name."""
    shared = {part: _read(part) for part in {part for parts in PARTS.values() for part in parts}}
    scripts = {}
    for name, parts in PARTS.items():
        source = "\n".join([clock.lua, *(shared[part] for part in parts)])
        scripts[name] = Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    return scripts


def as_msgpack(**arguments: Any) -> bytes:
    """A script's arguments as it reads them: a MessagePack map of text, integers, lists and maps. Lua can't read its bytes."""
    return _msgpack.encode(arguments)


def as_text(value: bytes) -> msgspec.Raw:
    """Bytes among a script's arguments, written as text (str 32 of the MessagePack format): Lua reads any bytes in it."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
