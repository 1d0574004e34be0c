"""Addresses on their bytes say what `ipaddress` says: which there are, which networks they are in, and which are public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from footfall.errors import BadInput
from footfall.networks import Networks, PublicAddresses, customer, pack

PUBLIC = PublicAddresses()

#: Near the edges of special networks as well as anywhere.
EDGES = [
    *("0.0.0.0", "0.255.255.255", "1.0.0.0", "9.255.255.255", "10.0.0.0", "100.63.255.255", "100.64.0.0", "100.128.0.0"),
    *("126.255.255.255", "128.0.0.0", "169.254.0.0", "172.32.0.0", "192.0.0.7", "192.0.0.8", "192.0.0.9", "192.0.0.10"),
    *("192.0.0.169", "192.0.0.170", "192.0.0.171", "192.0.0.172", "192.0.1.0", "192.0.2.255", "198.17.255.255", "198.20.0.0"),
    *("203.0.113.0", "203.0.114.0", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.254", "255.255.255.255"),
    *("::", "::1", "::2", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::", "100::", "100:0:0:1::1"),
    *("2001::", "2001:1::1", "2001:1::2", "2001:1::3", "2001:1::4", "2001:2::", "2001:3::", "2001:4:112::", "2001:1ff::"),
    *("2001:200::", "2001:db7::", "2001:db8::", "2001:db9::", "2002::", "2003::", "2620:4f:8000::", "3fff::", "3fff:1000::"),
    *("5f00::", "fbff::", "fc00::", "fdff::", "fe00::", "fe80::", "febf::", "fec0::", "ff00::", "ff02::1"),
]
addresses = st.one_of(
    st.sampled_from(EDGES).map(ipaddress.ip_address),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(v=4).map(lambda four: ipaddress.ip_address(f"::ffff:{four}")),
)
networks = st.builds(
    lambda address, length: ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    st.integers(0, 128),
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def plain(address: Address) -> Address:
    """The address that an IPv4 address within IPv6 is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@given(addresses)
def test_an_address_has_the_bytes_that_ipaddress_gives_it(address: Address) -> None:
    """However it is written; one of IPv4 within IPv6 is that of IPv4."""
    assert pack(str(address)) == pack(address.exploded) == plain(address).packed


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-f:.%/\[\] ]{0,24}", fullmatch=True))
@example("1.2.3")
@example("1.2.3.4.5")
@example("01.2.3.4")
@example("1.2.3.4/8")
@example(" 1.2.3.4")
@example("1.2.3.4\0")
@example("::1\0")
@example("1::2::3")
@example("\u0661.2.3.4")
@example("\ud800::")
def test_what_is_no_address_has_no_bytes(text: str) -> None:
    """What `ipaddress` refuses is refused, and nothing else."""
    try:
        expected = plain(ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)).packed
    except ValueError:
        assert pack(text) is None
    else:
        assert pack(text) == expected


@given(addresses)
@example(ipaddress.ip_address("192.88.99.1"))
def test_the_same_addresses_are_public(address: Address) -> None:
    """As `is_global` says on this version of Python."""
    assert (plain(address).packed in PUBLIC) == plain(address).is_global


@pytest.mark.parametrize("edge", EDGES)
def test_the_same_addresses_are_public_at_the_edges(edge: str) -> None:
    """Before, at and behind the addresses at which special networks begin or end."""
    address = ipaddress.ip_address(edge)
    for number in {max(int(address) - 1, 0), int(address), min(int(address) + 1, 2**address.max_prefixlen - 1)}:
        near = plain(type(address)(number))
        assert (near.packed in PUBLIC) == near.is_global, near


@given(addresses, st.lists(networks, max_size=4))
def test_networks_hold_the_addresses_that_ipaddress_says(address: Address, some: list[ipaddress.IPv4Network]) -> None:
    """In IPv4 and IPv6, whatever their lengths."""
    held = Networks(map(str, some), "trusted_proxies")
    assert bool(held) == bool(some)
    assert (pack(str(address)) in held) == any(plain(address) in each for each in some)


@given(st.ip_addresses(v=6))
def test_ipv6_is_limited_by_what_one_customer_has(address: ipaddress.IPv6Address) -> None:
    """All addresses of a /64 count as one, and no others with them."""
    packed = address.packed
    neighbour = packed[:8] + bytes(8)
    stranger = bytes([packed[0] ^ 1]) + packed[1:]
    assert customer(packed) == customer(neighbour)
    assert customer(packed) != customer(stranger)
    assert customer(packed[:4]) != customer(packed)


def test_what_is_no_network_names_the_setting() -> None:
    """A mistake in a list of networks is told by the name of the list."""
    with pytest.raises(BadInput, match=r"192\.0\.2\.7") as caught:
        Networks(["10.0.0.0/8", "10.0.0.0/99"], "trusted_proxies")
    assert caught.value.field == "trusted_proxies"
