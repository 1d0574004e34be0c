"""Whose view it is: the client's address, taken from a forwarding header only where a trusted proxy has written it.

An address is used to judge a view and then dropped: it is never stored, logged or shown. Nothing here knows a site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from footfall.rules import network

Headers = Mapping[bytes, bytes]

#: Clients whose resolved address is remembered, about 300 bytes each.
REMEMBERED_CLIENTS = 8192

#: Headers longer than this are cut at their left, where anyone may have written.
MAX_HEADER_BYTES = 1024


class Addresses:
    """Finds the client's address. `trusted` are addresses or networks of proxies; `header` names the one header they write."""

    def __init__(self, trusted: Sequence[str] = (), header: str = "x-forwarded-for") -> None:
        self._trusted = [network(text, "trusted_proxies") for text in trusted]
        self._header = header.lower().encode()
        self._read: Callable[[bytes], list[str]] = _forwarded if header.lower() == "forwarded" else _listed
        self._resolve = lru_cache(REMEMBERED_CLIENTS)(self._resolved)
        self._limit_key = lru_cache(REMEMBERED_CLIENTS)(_limit_key)

    def client(self, peer: str, headers: Headers) -> str:
        """The address a request comes from: the peer's, or the right-most in the header that is no trusted proxy's."""
        if not self._trusted:
            return peer
        return self._resolve(peer, headers.get(self._header, b"")[-MAX_HEADER_BYTES:])

    def limit_key(self, address: str) -> tuple[str, bool]:
        """What limits count an address by (IPv6: its /64), and whether it is a public one, so surely no proxy's of our own."""
        return self._limit_key(address)

    def _resolved(self, peer: str, header: bytes) -> str:
        address = peer
        for hop in reversed(self._read(header)):
            if not self.is_trusted(address):
                break
            if _parsed(hop) is None:  # a proxy that names no address: what stands before it can't be trusted either
                break
            address = hop
        return address

    def is_trusted(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        parsed = _parsed(address)
        return parsed is not None and any(parsed in each for each in self._trusted)


def _listed(header: bytes) -> list[str]:
    """Addresses of X-Forwarded-For and its like: separated by commas, perhaps with a port."""
    return [_without_port(part.strip()) for part in header.decode("latin-1").split(",") if part.strip()]


def _forwarded(header: bytes) -> list[str]:
    """The `for` addresses of Forwarded (RFC 7239)."""
    found = []
    for element in header.decode("latin-1").split(","):
        pairs = (pair.strip().partition("=") for pair in element.split(";"))
        found += [_without_port(value.strip('" ')) for name, _, value in pairs if name.lower() == "for"]
    return found


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _limit_key(address: str) -> tuple[str, bool]:
    parsed = _parsed(address)
    if parsed is None:
        return address, False
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False)), parsed.is_global
    return str(parsed), parsed.is_global
