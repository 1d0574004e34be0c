"""What comes in is as long as its sender likes: judging it takes bounded time, and what is remembered of it bounded memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from footfall.intake.pages import page_of
from footfall.intake.query import MAX_QUERY_BYTES, QueryReader
from footfall.intake.traits import Evidence, TraitReader
from footfall.model import View
from footfall.rules import Rules, Site
from tests.support.judging import bench

#: What a few thousand things that are remembered may take, in bytes: each is at most some kilobytes long.
BOUND = 16 * 2**20


@pytest.mark.parametrize("piece", ["a", "=", "&", "a=", "&=", "%41", "a;"])
def test_a_long_query_of_a_page_is_read_in_one_pass(piece: str) -> None:
    """What is ten times as long takes some ten times as long, not a hundred: 30 s of it held a server up for all."""
    rules = Rules(kept_parameters=("id", "q"))

    def took(length: int) -> float:
        path = "/a?" + piece * (length // len(piece))
        started = time.process_time()
        for _ in range(5):
            assert page_of(path, rules) == "/a"
        return time.process_time() - started

    took(1000)
    assert took(100_000) < 1


@pytest.mark.parametrize("field", ["user_agent", "referrer", "campaign", "language"])
def test_long_evidence_is_not_kept_whole(field: str) -> None:
    """A header of 100 kB costs no more memory than a short one."""
    starts = {"user_agent": "Mozilla/5.0 ", "referrer": "https://", "campaign": "utm_source=", "language": "de,"}
    traits, many = TraitReader(), 200
    tracemalloc.start()
    try:
        for n in range(many):
            evidence = Evidence(**{field: f"{starts[field]}{n}{'x' * 100_000}"})  # type: ignore[arg-type]  # all are texts
            traits.read(evidence, "example.com")
        del evidence
        assert tracemalloc.get_traced_memory()[0] < many * 16_384
    finally:
        tracemalloc.stop()


def test_long_queries_are_not_kept() -> None:
    """They are read each time, and as well as short ones."""
    reader = QueryReader()
    tail = "x" * (MAX_QUERY_BYTES - 100)
    tracemalloc.start()
    try:
        for n in range(2000):
            assert reader.read(f"s=example.com&p=/{n}&r={tail}&e=0123456789abcdef".encode()).path == f"/{n}"
        assert tracemalloc.get_traced_memory()[0] < BOUND / 8
    finally:
        tracemalloc.stop()


def test_an_address_is_excluded_however_the_socket_shows_it() -> None:
    """A socket that takes IPv4 and IPv6 shows 192.0.2.7 as ::ffff:192.0.2.7."""
    site = Site("example.com", Rules(excluded_addresses=("192.0.2.0/24",)))
    assert site.excludes_address("192.0.2.7")
    assert site.excludes_address("::ffff:192.0.2.7")
    assert not site.excludes_address("::ffff:198.51.100.7")
    assert not site.excludes_address("2001:db8::1")


@pytest.mark.parametrize("peer", ["fe80::1%eth0", "fe80::1%x y", "::ffff:192.0.2.7", "testclient", "", "256.1.1.1"])
def test_any_peer_can_be_judged(peer: str) -> None:
    """Whatever the server calls it."""
    judging = bench(Rules(visitor_rate=1, excluded_addresses=("192.0.2.8",)))
    assert judging.intake.claim(View("example.com", "/"), {}, peer) is not None
    judging.count(peer=peer)
