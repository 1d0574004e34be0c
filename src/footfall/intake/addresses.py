"""Whose view it is: the client's address, taken from a forwarding header only where a trusted proxy has written it.

An address is used to classify a view and then dropped: it is never stored, logged or shown. Nothing here knows a site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from footfall.headers import Headers
from footfall.networks import Networks, PublicAddresses, customer, pack

#: Addresses at the other end of a connection of which it is remembered whether they are proxies: those come again and again.
REMEMBERED_PEERS = 256

#: Headers longer than this are cut at their left, where anyone may have written.
MAX_HEADER_BYTES = 1024


class Addresses:
    """Finds the client's address. `trusted` are addresses or networks of proxies; `header` names the one header they write."""

    def __init__(self, trusted: Sequence[str] = (), header: str = "x-forwarded-for") -> None:
        self._trusted = Networks(trusted, "trusted_proxies")
        self._is_proxy = lru_cache(REMEMBERED_PEERS)(self.is_trusted)
        self._public = PublicAddresses()
        self._header = header.lower().encode()
        self._read: Callable[[bytes], list[str]] = _forwarded if header.lower() == "forwarded" else _listed

    def client(self, peer: str, headers: Headers) -> str:
        """The address a request comes from: the peer's, or the right-most in the header that is no trusted proxy's."""
        if not self._trusted:
            return peer
        header = headers.get(self._header)
        if not header:
            return peer
        address, hops = peer, self._read(header[-MAX_HEADER_BYTES:])
        is_proxy = self._is_proxy(peer)
        while is_proxy and hops:
            hop = hops.pop()
            packed = pack(hop)
            if packed is None:  # a proxy that names no address: what stands before it can't be trusted either
                break
            address = hop
            is_proxy = bool(hops) and packed in self._trusted
        return address

    def limit_key(self, address: str) -> tuple[str, bool]:
        """What limits count an address by (IPv6: its /64), and whether it is a public one, so surely no proxy's of our own."""
        packed = pack(address)
        return (address, False) if packed is None else (customer(packed), packed in self._public)

    def is_trusted(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        return pack(address) in self._trusted


def _listed(header: bytes) -> list[str]:
    """Addresses of X-Forwarded-For and its like: separated by commas, perhaps with a port."""
    text = header.decode("latin-1")
    if "," not in text:
        return [_without_port(text.strip())]
    return [_without_port(part.strip()) for part in text.split(",") if part.strip()]


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
