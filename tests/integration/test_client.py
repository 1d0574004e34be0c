"""The client hands views in without holding its program up, once each, through failures and to the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from footfall import client as client_module
from footfall.client import GIVE_UP_SECONDS, MAX_BATCH, MAX_WAITING, Client
from tests.integration.in_process import CHROME, SITE, InProcess, running

Answer = Callable[[httpx.Request], httpx.Response | None]


class Faulty(httpx.AsyncBaseTransport):
    """A transport to the application in this process that a test can make fail: before a request, or after it was answered."""

    def __init__(self, app: InProcess) -> None:
        self._real = app.client._transport  # its own way to the application
        self.requests = 0
        self.refuse: list[int | type[Exception]] = []
        self.lose_replies = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.refuse:
            fault = self.refuse.pop(0)
            if isinstance(fault, int):
                return httpx.Response(fault, request=request)
            raise fault("away")
        reply = await self._real.handle_async_request(request)
        if self.lose_replies:
            self.lose_replies -= 1
            await reply.aread()
            raise httpx.ReadError("cut")
        return reply


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running() as app:
        yield app


@contextlib.asynccontextmanager
async def counting(
    app: InProcess, transport: Faulty | None = None, token: str | None = None, **how: float
) -> AsyncIterator[Client]:
    secret = token or (await app.token(f"write:{SITE}"))["authorization"].removeprefix("Bearer ")
    made = Client("http://footfall.example/", secret, SITE, transport=transport or Faulty(app), **how)  # type: ignore[arg-type]
    async with made as client:
        yield client


async def total(app: InProcess) -> int:
    reply = await app.client.get(f"/api/v1/sites/{SITE}/count", headers=await app.token("admin"))
    number: int = reply.json()["total"]
    return number


async def test_views_are_counted_by_the_time_the_client_is_left(app: InProcess) -> None:
    """All of them, in few requests, and what became of each is told."""
    transport = Faulty(app)
    async with counting(app, transport) as client:
        for n in range(2 * MAX_BATCH):
            assert client.count(f"/{n % 7}", user_agent=CHROME)
        client.count("/", user_agent="Googlebot/2.1")
        client.count("no path")
    assert await total(app) == 2 * MAX_BATCH
    assert transport.requests <= 4
    assert (client.stats.counted, client.stats.dropped, client.stats.waiting) == (2 * MAX_BATCH, 2, 0)


async def test_counting_never_waits(app: InProcess) -> None:
    """Whatever the server does: a thousand calls take a fraction of the time of one request."""
    transport = Faulty(app)
    transport.refuse = [httpx.ConnectTimeout] * 1000
    async with counting(app, transport, drain_seconds=0.0) as client:
        began = time.perf_counter()
        for _ in range(1000):
            client.count("/")
        assert time.perf_counter() - began < 0.5
    assert client.stats.given_up == 1000


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ReadTimeout, 500, 503, 429])
async def test_a_server_that_is_away_for_a_while_loses_nothing(app: InProcess, fault: int | type[Exception]) -> None:
    """The same views are sent again until they are taken."""
    transport = Faulty(app)
    transport.refuse = [fault, fault]
    async with counting(app, transport, drain_seconds=30.0) as client:
        for _ in range(5):
            client.count("/")
    assert (await total(app), client.stats.counted, transport.requests) == (5, 5, 3)


async def test_a_reply_that_is_lost_doubles_nothing(app: InProcess) -> None:
    """The views were counted; sent again, they are known by their ids."""
    transport = Faulty(app)
    transport.lose_replies = 2
    async with counting(app, transport, drain_seconds=30.0) as client:
        for _ in range(5):
            client.count("/")
    assert await total(app) == 5
    assert (client.stats.duplicate, client.stats.counted) == (5, 0)


async def test_an_id_of_one_s_own_counts_once(app: InProcess) -> None:
    """However often it is counted."""
    async with counting(app) as client:
        for _ in range(3):
            client.count("/", event_id="order-number-000001")
    assert await total(app) == 1


async def test_a_view_that_has_waited_counts_when_it_was(app: InProcess) -> None:
    """It brings its own time along."""
    moment = [0.0]
    transport = Faulty(app)
    transport.refuse = [503]
    async with counting(app, transport, drain_seconds=30.0) as client:
        client._monotonic, client._wall = lambda: moment[0], lambda: time.time() - 100 + moment[0]
        client.count("/")
        await _until(lambda: not transport.refuse)
        moment[0] = 100.0
    reply = await app.client.get(f"/api/v1/sites/{SITE}/count", headers=await app.token("admin"))
    assert (reply.json()["views"], reply.json()["total"]) == (0, 1)


async def test_a_view_is_given_up_before_its_id_is_forgotten(app: InProcess) -> None:
    """It might count twice later; it is told as given up."""
    moment = [0.0]
    transport = Faulty(app)
    transport.refuse = [503]
    async with counting(app, transport, drain_seconds=30.0) as client:
        client._monotonic = lambda: moment[0]
        client.count("/")
        await _until(lambda: not transport.refuse)
        moment[0] = GIVE_UP_SECONDS
    assert (await total(app), client.stats.given_up) == (0, 1)


async def test_a_token_that_may_not_is_told_and_not_tried_again(app: InProcess, caplog: pytest.LogCaptureFixture) -> None:
    """With the status, and never the token."""
    transport = Faulty(app)
    async with counting(app, transport, token="ff_wrong-token") as client:
        client.count("/")
    assert (client.stats.given_up, transport.requests) == (1, 1)
    assert "401" in caplog.text
    assert "ff_wrong-token" not in caplog.text


async def test_the_queue_has_an_end(app: InProcess) -> None:
    """Beyond it the newest views are dropped, and counted as such; after the end none is taken."""
    transport = Faulty(app)
    transport.refuse = [httpx.ConnectError] * 100
    async with counting(app, transport, drain_seconds=0.0) as client:
        taken = [client.count("/") for _ in range(MAX_WAITING + 5)]
        assert (sum(taken), client.stats.overflowed) == (MAX_WAITING, 5)
    assert not client.count("/")
    await client.close()


def test_ids_are_ids() -> None:
    """What the client draws is what a server takes."""
    from footfall.intake.query import read_event_id

    read_event_id(client_module.secrets.token_urlsafe(18))


async def _until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not claim():  # noqa: ASYNC110 - any claim can be waited for
            await asyncio.sleep(0.01)
