"""The live stream over HTTP: real servers on one store, and watchers that come, are turned away, and go."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from footfall.reading.live import MAX_WATCHERS_OF_AN_ADDRESS
from footfall.web.api.live import RETRY_AFTER, RETRY_AT_END_MS, RETRY_MS
from tests.integration.conftest import Start
from tests.integration.http.asking import SITE, view
from tests.integration.in_process import SITE as SITE_HERE
from tests.integration.in_process import InProcess, running
from tests.support.servers import HOST, FootfallServer, wait_until

#: How long a busy machine may take for what is promised within 1.2 s. What it took is printed.
PATIENCE = 30.0

VIEWS = 5


class Stream:
    """A watcher's end of a stream, read line by line."""

    def __init__(self, server: FootfallServer, query: str = "") -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE)
        self._connection.request("GET", f"/api/v1/sites/{SITE}/live{query}")
        self.reply = self._connection.getresponse()

    def lines(self) -> Iterator[str]:
        """The lines that say something, until the stream ends."""
        while line := self.reply.readline():
            if text := line.decode().strip():
                yield text

    def events(self) -> Iterator[dict[str, Any]]:
        """The states."""
        for line in self.lines():
            if line.startswith("data: {") and line != "data: {}":
                yield json.loads(line.removeprefix("data: "))

    def close(self) -> None:
        self.reply.close()
        self._connection.close()


@contextmanager
def watching(server: FootfallServer, query: str = "") -> Iterator[Stream]:
    with closing(Stream(server, query)) as stream:
        assert stream.reply.status == 200
        yield stream


def test_a_view_at_one_instance_reaches_who_watches_another(start: Start) -> None:
    """Within 1.2 s of its being acknowledged, on a machine that has the time: two servers, one file."""
    here, there = start(), start(INSTANCE="footfall-1-other")
    took = []
    with watching(there) as site, watching(there, "?page=/watched") as page:
        assert site.reply.headers["content-type"].startswith("text/event-stream")
        assert site.reply.headers["cache-control"] == "no-store"
        events, of_page = site.events(), page.events()
        assert next(events)["total"] == next(of_page)["total"] == 0
        for n in range(1, VIEWS + 1):
            assert view(here, "/watched").headers["x-footfall"] == "counted"
            counted = time.monotonic()
            event = next(each for each in events if each["total"] >= n)
            took.append(time.monotonic() - counted)
            assert (event["total"], len(event["seconds"]), sum(event["seconds"])) == (n, 60, event["views"])
            assert event["pages"] == [{"page": "/watched", "views": event["views"]}]
            assert next(each for each in of_page if each["total"] >= n)["total"] == n
    print(f"\nseconds from acknowledged to shown elsewhere: median {statistics.median(took):.2f}, most {max(took):.2f}")  # noqa: T201 - a measurement
    assert max(took) < PATIENCE


def test_when_the_server_stops_its_streams_end_and_say_when_to_come_back(start: Start) -> None:
    """Each at another time, within some seconds; and the server does not wait for them."""
    server = start(DRAIN_SECONDS="60")
    with ExitStack() as stack:
        streams = [stack.enter_context(watching(server)) for _ in range(12)]
        lines = [stream.lines() for stream in streams]
        assert {next(each) for each in lines} == {f"retry: {RETRY_MS}"}
        for each in lines:
            assert next(each).startswith("data: ")
        os.kill(server.pid, signal.SIGTERM)
        last = [list(each)[-1] for each in lines]
    wait_until(lambda: not server.is_running, "it ends", seconds=PATIENCE, shown=server.program.last_words)
    server.stop()  # only looks at how it ended
    retries = [int(line.removeprefix("retry: ")) for line in last]
    assert all(RETRY_AT_END_MS[0] <= retry <= RETRY_AT_END_MS[1] for retry in retries)
    assert len(set(retries)) > 1


def test_a_watcher_that_goes_away_frees_its_place(start: Start) -> None:
    """An address has 64; one more is told when to try again; each that leaves makes room for one, and all for all."""
    server = start()

    def status() -> tuple[int, str | None]:
        with closing(Stream(server)) as stream:
            return stream.reply.status, stream.reply.headers["retry-after"]

    for _ in range(2):
        with ExitStack() as stack:
            streams: list[Stream] = []

            def fill(stack: ExitStack = stack, streams: list[Stream] = streams) -> bool:
                while len(streams) < MAX_WATCHERS_OF_AN_ADDRESS:
                    stream = Stream(server)
                    if stream.reply.status != 200:  # the places of those who left are not free yet
                        stream.close()
                        return False
                    streams.append(stack.enter_context(closing(stream)))
                return True

            wait_until(fill, "all places are free", seconds=PATIENCE)
            assert status() == (503, str(RETRY_AFTER))
            streams[0].close()
            wait_until(lambda: status()[0] == 200, "a place is free", seconds=PATIENCE)


# In this process: who watches by which right, and from where


class Watcher:
    """A watcher at the application's own interface."""

    def __init__(self, app: InProcess, peer: str = "203.0.113.7", **headers: str) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/api/v1/sites/{SITE_HERE}/live",
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "scheme": "http",
            "client": (peer, 1),
            "server": ("footfall.example", 80),
            "root_path": "",
        }
        application = app.client._transport.app  # type: ignore[attr-defined]
        self._task = asyncio.ensure_future(application(scope, self._receive, self.messages.put))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def status(self) -> int:
        status: int = (await self.messages.get())["status"]
        return status

    async def close(self) -> None:
        self._gone.set()
        await self._task


@pytest.fixture
async def app() -> AsyncIterator[InProcess]:
    async with running(peer="10.0.0.1", trusted_proxies="10.0.0.0/8") as app:
        yield app


async def test_a_stream_is_read_with_get_and_by_who_may(app: InProcess) -> None:
    """HEAD opens none; a site that is not public has none for nobody, and neither has one that is not there."""
    assert (await app.client.head(f"/api/v1/sites/{SITE_HERE}/live")).status_code == 405
    for site in (SITE_HERE, "other.example"):
        assert (await app.client.get(f"/api/v1/sites/{site}/live")).status_code == 401


async def test_a_stream_ends_with_the_right_to_read_it(app: InProcess) -> None:
    """A log-in that has ended, a token, a share link, a site that was public: each within some events."""
    credentials, sites = app.parts.credentials, app.parts.core.registry.sites
    session = await credentials.make_session()
    share = await credentials.make_share("a link", SITE_HERE)
    token = await app.token(f"read:{SITE_HERE}")
    watchers = [
        Watcher(app, cookie=f"footfall_session={session.secret}"),
        Watcher(app, cookie=f"footfall_share={share.secret}"),
        Watcher(app, **token),
    ]
    assert [await each.status() for each in watchers] == [200] * 3
    await credentials.revoke_session(session.id)
    await credentials.revoke_share(share.id)
    await credentials.revoke_token(next(iter(await credentials.tokens())))
    await sites.save(SITE_HERE, {"visibility": "public"})
    public = Watcher(app)
    assert await public.status() == 200
    await sites.save(SITE_HERE, {"visibility": "private"})
    async with asyncio.timeout(PATIENCE):
        for each in (*watchers, public):
            await each._task
    assert app.parts.live.watchers == 0


async def test_watchers_are_told_apart_behind_a_proxy_that_is_trusted(app: InProcess) -> None:
    """Each address has its places; of IPv6 a network has."""
    await app.parts.core.registry.sites.save(SITE_HERE, {"visibility": "public"})
    watchers = [Watcher(app, "10.0.0.1", x_forwarded_for=f"198.51.{n}.7") for n in range(MAX_WATCHERS_OF_AN_ADDRESS + 1)]
    networked = [Watcher(app, "10.0.0.1", x_forwarded_for=f"2001:db8::{n + 1:x}") for n in range(MAX_WATCHERS_OF_AN_ADDRESS + 1)]
    async with asyncio.timeout(PATIENCE):
        assert [await each.status() for each in watchers] == [200] * (MAX_WATCHERS_OF_AN_ADDRESS + 1)
        assert sorted([await each.status() for each in networked]) == [200] * MAX_WATCHERS_OF_AN_ADDRESS + [503]
        shown = app.parts.ledger.exposition().decode()
        assert f"footfall_live_watchers {app.parts.live.watchers}.0\n" in shown
        assert float(shown.partition("\nfootfall_live_polls_total ")[2].partition("\n")[0]) >= 1
        for each in (*watchers, *networked):
            await each.close()
    assert app.parts.live.watchers == 0
