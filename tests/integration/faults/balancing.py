"""What holds for every example of deploy/balancers/: one class of claims, which a test module has once for each balancer."""

from __future__ import annotations

import abc
import http.client
from collections.abc import Iterator, Sequence

import pytest

from tests.support.servers import HOST, FootfallServer, free_port, wait_until
from tests.support.servers.balancers import NAME, ExampleBalancer
from tests.support.servers.load import BROWSER
from tests.support.servers.upstream import BREAKING, STREAM, Upstream

#: Another client's address: all of 127.0.0.0/8 is this machine.
ANOTHER_CLIENT = "127.0.0.2"

SITE = "example.com"


def asked(
    connection: http.client.HTTPConnection, path: str, *, method: str = "GET", forwarded: str | None = None
) -> http.client.HTTPResponse:
    """The reply to one request on a connection; its body is read."""
    headers = {"Host": NAME, "User-Agent": BROWSER} | ({"X-Forwarded-For": forwarded} if forwarded else {})
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    reply.read()
    return reply


def ask(
    balancer: ExampleBalancer, path: str, *, method: str = "GET", source: str = HOST, forwarded: str | None = None
) -> http.client.HTTPResponse:
    """The reply to one request on a connection of its own."""
    connection = balancer.connection(source)
    try:
        return asked(connection, path, method=method, forwarded=forwarded)
    finally:
        connection.close()


class BalancerClaims(abc.ABC):
    """Claims about one balancer."""

    #: Whether a request is tried elsewhere when an instance can't be connected to; else it is answered with 502 until the health
    #: check has noticed.
    tries_another = True

    @abc.abstractmethod
    def balancer(self, instances: Sequence[int]) -> ExampleBalancer:
        """The balancer in front of instances on these ports."""

    @pytest.fixture
    def upstreams(self) -> Iterator[tuple[Upstream, Upstream]]:
        with Upstream() as one, Upstream() as two:
            yield one, two

    @pytest.fixture
    def running(self, upstreams: tuple[Upstream, Upstream]) -> Iterator[ExampleBalancer]:
        with self.balancer([each.port for each in upstreams]) as balancer:
            yield balancer

    def test_requests_are_dealt_out(self, running: ExampleBalancer, upstreams: tuple[Upstream, Upstream]) -> None:
        """Both instances get some; path, query, host and the reply's headers go through; /metrics goes to nobody."""
        for n in range(8):
            reply = ask(running, f"/count?s={SITE}&p=/{n}")
            assert (reply.status, reply.headers["X-Footfall"]) == (204, "counted")
        paths = [each.paths() for each in upstreams]
        assert all(paths)
        assert sorted(paths[0] + paths[1]) == [f"/count?s={SITE}&p=/{n}" for n in range(8)]
        assert {request.headers["host"] for each in upstreams for request in each.requests} == {NAME}
        assert ask(running, "/metrics").status == 404
        assert not any("/metrics" in each.paths() for each in upstreams)

    def test_a_stream_s_events_come_as_they_are_sent(
        self, running: ExampleBalancer, upstreams: tuple[Upstream, Upstream]
    ) -> None:
        """The first is here before the second is sent, and it is not compressed on the way."""
        connection = running.connection()
        connection.request("GET", STREAM, headers={"Host": NAME, "Accept": "text/event-stream", "Accept-Encoding": "gzip"})
        reply = connection.getresponse()
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert [reply.readline(), reply.readline()] == [b"data: one\n", b"\n"]
        for each in upstreams:
            each.go_on.set()
        assert reply.read() == b"data: two\n\n"
        connection.close()

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("before", [0, 6], ids=["a new connection", "a connection that was used before"])
    def test_what_breaks_off_is_not_repeated(
        self, running: ExampleBalancer, upstreams: tuple[Upstream, Upstream], before: int, method: str
    ) -> None:
        """An instance that has read a request may have counted it: the client is told, and nobody is asked again."""
        for n in range(before):  # so that the balancer has open connections to both
            assert ask(running, f"/count?s={SITE}&p=/{n}").status == 204
        for _ in range(2 if before else 1):
            for each in upstreams:
                each.requests.clear()
            assert ask(running, BREAKING, method=method).status == 502
            assert sum(each.paths().count(BREAKING) for each in upstreams) == 1

    def test_an_instance_that_is_gone_costs_no_view(self, upstreams: tuple[Upstream, Upstream]) -> None:
        """What could not be sent to one goes to the other."""
        with self.balancer([upstreams[0].port, free_port()]) as balancer:
            if not self.tries_another:
                wait_until(lambda: all(ask(balancer, "/count").status == 204 for _ in range(4)), "it is noticed", seconds=30)
                upstreams[0].requests.clear()
            for n in range(12):
                assert ask(balancer, f"/{n}").status == 204
        assert upstreams[0].paths() == [f"/{n}" for n in range(12)]

    def test_the_client_s_address_is_passed_on_and_can_t_be_forged(
        self, running: ExampleBalancer, upstreams: tuple[Upstream, Upstream]
    ) -> None:
        """It is the only one that the instance is told, whatever the client says."""
        for source in (HOST, ANOTHER_CLIENT):
            for forwarded in (None, "192.0.2.1", "192.0.2.1, 127.0.0.1"):
                assert ask(running, "/count", source=source, forwarded=forwarded).status == 204
        told = [request.headers["x-forwarded-for"] for each in upstreams for request in each.requests]
        assert sorted(told) == [HOST] * 3 + [ANOTHER_CLIENT] * 3

    def test_footfall_counts_by_the_client_s_address(self) -> None:
        """Where the balancer is a trusted proxy, each client has its own limit, and no header gives it another."""
        settings = {"TRUSTED_PROXIES": HOST, "VISITOR_RATE": "1"}
        requests = [(HOST, None), (HOST, None), (HOST, "192.0.2.1"), (ANOTHER_CLIENT, None), (ANOTHER_CLIENT, "192.0.2.2")]
        with (
            FootfallServer("memory://", sites=[SITE], settings=settings) as footfall,
            self.balancer([footfall.port] * 2) as balancer,
        ):
            replies = [ask(balancer, f"/count?s={SITE}&p=/", source=source, forwarded=told) for source, told in requests]
        limited = "dropped; reason=rate"
        assert [reply.headers["X-Footfall"] for reply in replies] == ["counted", limited, limited, "counted", limited]
