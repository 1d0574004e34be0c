"""Load on running servers while something happens to them, and the rule that their counts are held to afterwards.

Two kinds of view come in side by side: plain ones, each sent once, and ones with event ids, each sent again until it is
acknowledged. Whatever happens, of the plain ones acknowledged <= counted <= sent; of the others all three are equal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.integration.http.asking import SITE, counted, total
from tests.support.servers import FootfallServer, Report, ServerError, send_views, wait_until
from tests.support.servers.program import LOOK_SECONDS

PLAIN = "/plain"
WITH_ID = "/with-id"

#: More views than can be sent in any test.
ENDLESS = 10**9

#: Connections that send each kind of view, and how many views of each are begun in a second: enough for batches of several
#: views, little enough that two cores have time for what the test is about.
CONNECTIONS = 16
VIEWS_A_SECOND = 250.0

#: A view with an id is sent again for so many seconds.
RETRY_SECONDS = 60.0


@dataclass
class Load:
    """What became of the views, once the load has ended."""

    plain: Report = field(default_factory=Report)
    ids: Report = field(default_factory=Report)

    def assert_counted_by(self, *servers: FootfallServer) -> None:
        """Hold what each server reads to the rule."""
        for server in servers:
            views = counted(server)
            told = f"{server.name} counted {views}; plain {self.plain}; with ids {self.ids}"
            assert self.plain.stored <= views[PLAIN] <= self.plain.sent, told
            assert self.ids.failed == 0, told
            assert views[WITH_ID] == self.ids.stored == self.ids.sent, told

    @property
    def broken(self) -> int:
        """How many requests of plain views came to nothing."""
        return self.plain.failures.total()

    def __str__(self) -> str:
        return f"plain: {self.plain}; with ids: {self.ids}"


@contextlib.asynccontextmanager
async def under_load(*servers: FootfallServer, per_second: float = VIEWS_A_SECOND) -> AsyncIterator[Load]:
    """Load the servers while the block runs. The block begins when views are counted."""
    stop = asyncio.Event()
    load = Load()
    ports = [server.port for server in servers]

    async def send(page: str, retry_seconds: float) -> Report:
        return await send_views(
            ports,
            views=ENDLESS,
            site=SITE,
            pages=[page],
            connections=CONNECTIONS,
            event_ids=retry_seconds > 0,
            retry_seconds=retry_seconds,
            reply_seconds=30.0,
            per_second=per_second,
            stop=stop,
        )

    plain = asyncio.create_task(send(PLAIN, 0))
    ids = asyncio.create_task(send(WITH_ID, RETRY_SECONDS))
    try:
        await asyncio.to_thread(wait_counted_on, servers[0])
        yield load
    finally:
        stop.set()
        load.plain, load.ids = await plain, await ids


def wait_counted_on(server: FootfallServer, more: int = 100, seconds: float = 30.0) -> None:
    """Return once the server reads so many views more than it does now, or than it does when it can read again."""
    least = 0
    deadline = time.monotonic() + seconds
    while least == 0:
        with contextlib.suppress(AssertionError):
            least = total(server) + more
        if time.monotonic() > deadline:
            raise ServerError(f"{server.name} can't be read within {seconds:g} s\n{server.program.last_words()}")
        time.sleep(LOOK_SECONDS)
    wait_until(
        lambda: total(server) >= least,
        f"{server.name} counts on",
        seconds=seconds,
        shown=server.program.last_words,
        despite=AssertionError,
    )


async def blocking(*steps: Callable[[], object]) -> None:
    """Run steps that block, one after the other, in a thread."""
    for step in steps:
        await asyncio.to_thread(step)
