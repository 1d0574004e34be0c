"""Header lines of one name are one list, wherever they are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.headers import headers_of
from footfall.intake.addresses import Addresses

NAMES = st.sampled_from([b"x-forwarded-for", b"cookie", b"accept", b"user-agent"])


def test_lines_of_one_name_are_one_list() -> None:
    """In the order in which they came; cookies keep their own separator."""
    lines = [(b"x-forwarded-for", b"198.51.100.1"), (b"cookie", b"a=1"), (b"x-forwarded-for", b"10.0.0.1"), (b"cookie", b"b=2")]
    assert headers_of(lines) == {b"x-forwarded-for": b"198.51.100.1, 10.0.0.1", b"cookie": b"a=1; b=2"}


@given(st.lists(st.tuples(NAMES, st.binary(max_size=20))))
def test_no_line_is_lost(lines: list[tuple[bytes, bytes]]) -> None:
    """However many there are; a name that came once has its value as it came."""
    headers = headers_of(lines)
    assert set(headers) == {name for name, _ in lines}
    for name in headers:
        values = [value for each, value in lines if each == name]
        assert headers[name] == (b"; " if name == b"cookie" else b", ").join(values)


@pytest.mark.parametrize(
    ("header", "in_one_line", "in_two"),
    [
        ("x-forwarded-for", b"198.51.100.1, 10.0.0.1", [b"198.51.100.1", b"10.0.0.1"]),
        ("x-forwarded-for", b"6.6.6.6, 198.51.100.1", [b"6.6.6.6", b"198.51.100.1"]),
        ("forwarded", b"for=198.51.100.1, for=10.0.0.1", [b"for=198.51.100.1", b"for=10.0.0.1"]),
    ],
)
def test_an_address_forwarded_in_two_lines_is_that_of_one(header: str, in_one_line: bytes, in_two: list[bytes]) -> None:
    """A proxy that adds a line of its own says the same as one that lengthens the line it got."""
    addresses = Addresses(("10.0.0.0/8",), header)
    name = header.encode()
    assert addresses.client("10.0.0.9", headers_of([(name, in_one_line)])) == "198.51.100.1"
    assert addresses.client("10.0.0.9", headers_of([(name, line) for line in in_two])) == "198.51.100.1"


def test_nothing_else_makes_a_mapping_of_header_lines() -> None:
    """`dict` keeps the last line of a name, and Starlette's mapping finds the first: lists are read here alone."""
    lists = "cookie|if-none-match|accept|accept-encoding|forwarded|x-forwarded-[a-z]+"
    wrong = re.compile(rf"""dict\([a-z.]*(?:headers|\["headers"\])\)|[a-z]\.headers(?:\.get\(|\[)"(?:{lists})\"""")
    sources = sorted((Path(__file__).resolve().parents[2] / "src/footfall").rglob("*.py"))
    found = [f"{path.name}: {match[0]}" for path in sources for match in wrong.finditer(path.read_text())]
    assert found == ["instance.py: dict(headers)"]  # of a request that it sends
