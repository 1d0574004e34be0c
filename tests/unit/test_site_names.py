"""The name of a site, from what a person types or pastes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.rules import site_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("example.com", "example.com"),
        ("  https://Example.com/path  ", "example.com"),
        ("https://example.com", "example.com"),
        ("HTTP://EXAMPLE.COM/?a=b#c", "example.com"),
        ("//example.com/", "example.com"),
        ("example.com/blog?x=https://other.example/", "example.com"),
        ("https://example.com?q", "example.com"),
        ("https://example.com#top", "example.com"),
        ("https://example.com.", "example.com"),
        ("https://somebody:secret@example.com/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("example.com:443", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://localhost:3000/", "localhost:3000"),
        ("https://Bücher.example/regal", "xn--bcher-kva.example"),
        ("bücher.example:8080", "xn--bcher-kva.example:8080"),
        ("ｅxample。com", "example.com"),
    ],
)
def test_what_is_pasted_becomes_a_name(written: str, name: str) -> None:
    """Only the host is left, and a port that is part of the address."""
    assert site_name(written) == name


@pytest.mark.parametrize(
    "written", ["", "/", "https://", "https:///path", "somebody@example.com", "mailto:a@b.example", "exa mple.com"]
)
def test_what_names_no_host_is_refused(written: str) -> None:
    """With what to write."""
    with pytest.raises(ValueError, match=r"write a host name such as example\.com"):
        site_name(written)


@given(st.text(max_size=60))
def test_a_name_is_its_own_name(written: str) -> None:
    """Whatever is written: it is refused in plain words, or what it becomes stays so."""
    try:
        name = site_name(written)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017  # not one of its kinds, which codecs raise
        return
    assert site_name(name) == name
    assert name.isascii()
