"""Addresses and networks on their bytes: every view has one, mostly one never seen before.

`ipaddress` takes 2 us to read an address, and more for each network that it is compared with: 16 us of the 88 of a view.
Here an address is the bytes that `inet_pton` returns for it, in 0.1 us. `ipaddress` still decides which addresses are public.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_pton

from footfall.errors import BadInput

#: How IPv6 writes an IPv4 address, as a socket for both kinds shows it (RFC 4291, 2.5.5.2).
_MAPPED = b"\0" * 10 + b"\xff\xff"

#: Bytes of an IPv6 network that one customer has (RFC 6177): limits count by it.
_CUSTOMER_BYTES = 8

#: Networks of the special-purpose registries of IANA: within each, and between them, all addresses are public, or none is.
_SPECIAL = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31", "192.0.2.0/24", "192.31.196.0/24"),
    *("192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24"),
    *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23"),
    *("2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    *("5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)


def pack(address: str) -> bytes | None:
    """The bytes of an address: 4 of IPv4, also where IPv6 writes it, else 16; None for what is no address."""
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        packed = inet_pton(AF_INET6, address.partition("%")[0])  # a zone is this machine's own affair (RFC 4007)
    except (OSError, ValueError):
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def network(text: str, field: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or a network in CIDR notation. Raises BadInput naming `field`."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise BadInput(field, "addresses or networks such as 192.0.2.7 or 10.0.0.0/8; separated by commas") from None


class Networks:
    """Some networks, by length of their prefix. Raises BadInput naming `field` for what is none."""

    __slots__ = ("_by_length",)

    def __init__(self, texts: Iterable[str], field: str) -> None:
        found: dict[tuple[int, int], set[int]] = {}
        for each in (network(text, field) for text in texts):
            shift = each.max_prefixlen - each.prefixlen
            found.setdefault((each.max_prefixlen // 8, shift), set()).add(int(each.network_address) >> shift)
        self._by_length = tuple((size, shift, frozenset(prefixes)) for (size, shift), prefixes in sorted(found.items()))

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def __contains__(self, packed: bytes | None) -> bool:
        """Whether the address with these bytes is in one of them; what is no address is in none."""
        if packed is None:
            return False
        length, number = len(packed), int.from_bytes(packed)
        for size, shift, prefixes in self._by_length:  # noqa: SIM110 - any() would make a generator for each view
            if size == length and number >> shift in prefixes:
                return True
        return False


def customer(packed: bytes) -> str:
    """What limits count an address by: its own bytes, of IPv6 those of its /64, as a name."""
    return packed[:_CUSTOMER_BYTES].hex()


class PublicAddresses:
    """Tells public addresses from others, as `ipaddress` does (`is_global`)."""

    __slots__ = ("_four", "_six")

    def __init__(self) -> None:
        self._four = _turns(ipaddress.ip_network("0.0.0.0/0"))
        self._six = _turns(ipaddress.ip_network("::/0"))

    def __contains__(self, packed: bytes) -> bool:
        starts, are_public = self._four if len(packed) == 4 else self._six
        return are_public[bisect_right(starts, int.from_bytes(packed)) - 1]


def _turns(whole: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[Sequence[int], Sequence[bool]]:
    """The numbers at which addresses may turn from public to not or back, and which they are from there on."""
    special = [each for each in map(ipaddress.ip_network, _SPECIAL) if each.version == whole.version]
    starts = {0, *(int(each[0]) for each in special), *(int(each[-1]) + 1 for each in special)}
    starts.discard(int(whole[-1]) + 1)
    ordered = sorted(starts)
    return ordered, [type(whole[0])(start).is_global for start in ordered]
