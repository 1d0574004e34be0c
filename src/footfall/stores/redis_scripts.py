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
_DETAILS = ("fold_traits", "traits", "page_traits", "visitors", "sweep")

#: What each script is made of besides clock.lua, in this order; the last part is its own file.
PARTS: Mapping[str, tuple[str, ...]] = {
    "applied": ("site", "applied"),
    "breakdown": ("site", "pages", "breakdown"),
    "commit": ("site", "slide", "fold", "pages", "begin", "ids", "opening", *_DETAILS, "commit"),
    "counts": ("site", "counts"),
    "dump_traits": ("site", "pages", "dump", "dump_traits"),
    "dump_views": ("site", "dump", "dump_views"),
    "dump_visitors": ("site", "dump", "dump_visitors"),
    "dump_writers": ("site", "dump", "dump_writers"),
    "erase": ("site", "erase"),
    "erase_details": ("site", "erase_details"),
    "forget_page": ("site", "pages", "forget_page"),
    "forget_site": ("site", "forget_site"),
    "get_documents": ("plain", "documents", "get_documents"),
    "load": ("site", "slide", "fold", "pages", "begin", "load"),
    "look": ("site", "look"),
    "present": ("site", "present"),
    "put_document": ("plain", "documents", "put_document"),
    "scan": ("site", "scan"),
    "seconds": ("site", "seconds"),
    "series": ("site", "series"),
    "settle": ("site", "settle"),
    "sites": ("plain", "sites"),
    "top_window": ("site", "slide", "top_window"),
    "visitors_of": ("site", "visitors_of"),
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
    return (files("footfall.stores") / "lua" / f"{part}.lua").read_text("utf-8")


def server_clock() -> ScriptClock:
    """The clock of the server that a script runs in: one for all instances."""
    return ScriptClock(_read("clock"))


def compose(clock: ScriptClock) -> Mapping[str, Script]:
    """All scripts, by name."""
    shared = {part: _read(part) for part in {part for parts in PARTS.values() for part in parts}}
    scripts = {}
    for name, parts in PARTS.items():
        source = "\n".join([clock.lua, *(shared[part] for part in parts)])
        scripts[name] = Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    return scripts


def packed(**arguments: Any) -> bytes:
    """A script's arguments as it reads them: a MessagePack map of text, integers, lists and maps. Lua can't read its bytes."""
    return _msgpack.encode(arguments)


def as_text(value: bytes) -> msgspec.Raw:
    """Bytes among a script's arguments, written as text (str 32 of the MessagePack format): Lua reads any bytes in it."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
