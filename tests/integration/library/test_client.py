"""The client hands views in without holding its program up, once each, through failures and to the end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from footfall import client as client_module
from footfall.client import GIVE_UP_SECONDS, ID_BYTES, MAX_BATCH, MAX_WAITING, Client
from footfall.errors import BadInput
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


async def test_what_the_server_never_takes_is_given_up_with_its_reason(app: InProcess, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong token, one for another site, a site that is not there, another kind of server: each is told apart, once."""
    reading = (await app.token(f"read:{SITE}"))["authorization"].removeprefix("Bearer ")
    admin = (await app.token("admin"))["authorization"].removeprefix("Bearer ")
    for token, site, refusal, reason in (
        ("ff_wrong-token", SITE, None, "the token is not valid"),
        (reading, SITE, None, f"it needs the scope write:{SITE}"),
        (admin, "nosuch.example", None, "the server has no site nosuch.example"),
        (admin, SITE, 404, "status 404, and not as a Footfall server answers"),
        (admin, SITE, 401, "status 401, and not as a Footfall server answers"),
        (admin, SITE, 301, "the server is at another address"),
    ):
        transport = Faulty(app)
        transport.refuse = [refusal] if refusal else []
        caplog.clear()
        async with Client("http://footfall.example", token, site, transport=transport) as client:
            client.count("/")
        assert (client.stats.given_up, transport.requests) == (1, 1)
        assert [record.getMessage() for record in caplog.records if reason in record.getMessage()] == [caplog.messages[-1]]
        assert token not in caplog.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        *(
            (url, "with its scheme, as in https://")
            for url in ("footfall.example", "localhost:8000", "", "https://", "ftp://a", "/x")
        ),
        *(
            (url, "alone")
            for url in ("https://a:b@footfall.example", "https://footfall.example/?a=b", "https://footfall.example#a")
        ),
    ],
)
def test_what_is_no_address_of_a_server_is_refused(url: str, reason: str) -> None:
    """At once, before any view is taken; so is what can't be a site."""
    with pytest.raises(BadInput, match=f"url: .*{reason}"):
        Client(url, "a-token", SITE)
    with pytest.raises(BadInput, match="site: write a host name"):
        Client("https://footfall.example/sub/", "a-token", "ftp://example.com")


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

    read_event_id(secrets.token_urlsafe(ID_BYTES))


async def _until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not claim():  # noqa: ASYNC110 - any claim can be waited for
            await asyncio.sleep(0.01)


async def test_a_field_that_can_not_be_sent_stops_nothing(app: InProcess) -> None:
    """Halves of surrogate pairs, other things than texts: `count` never raises, and what comes after is counted."""
    async with counting(app) as client:
        for page in ("/\ud800", None, 7, b"/bytes", "/a"):
            client.count(page, user_agent="\udcff")  # type: ignore[arg-type]
        client.count("/b")
    assert client.stats.waiting == client.stats.given_up == 0
    assert client.stats.counted >= 2


async def test_a_visitor_s_long_headers_do_not_keep_others_from_being_counted(app: InProcess) -> None:
    """A server takes no body of any length: fields are cut, and batches are sent in parts."""
    faulty = Faulty(app)
    long = "x" * 100_000
    async with counting(app, faulty) as client:
        for n in range(MAX_BATCH):
            client.count(f"/{n}?{long}", referrer=f"https://e.example/{long}", campaign=long, language=long)
        client.count("/b")
    assert (client.stats.counted, client.stats.given_up) == (MAX_BATCH + 1, 0)
    assert faulty.requests > 2


async def test_a_reply_of_something_else_is_no_acknowledgement(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that a network shows before it lets anybody through says 200: the views are sent again, with their ids."""
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.001)

    class Portal(Faulty):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            reply = await super().handle_async_request(request)
            return httpx.Response(200, text="<html>", request=request) if self.requests <= 2 else reply

    async with counting(app, Portal(app)) as client:
        client.count("/a")
    assert (client.stats.duplicate, client.stats.given_up) == (1, 0)
    assert await total(app) == 1


def test_what_can_not_be_a_token_is_refused_and_not_shown() -> None:
    """A line break at its end, as a file has it, is nothing; anything else that a header can't hold is told, without it."""
    Client("http://footfall.example", "ff_abc.def\n", SITE)
    for token in ("ff_abc\nx.secret", "ff_abc secret", "", "ff_é"):
        with pytest.raises(BadInput, match="token") as caught:
            Client("http://footfall.example", token, SITE)
        assert "secret" not in str(caught.value)
