"""A server that is killed (SIGKILL) under load, again and again, at any moment.

What this proves is that nothing is acknowledged before it is committed, and that views with ids count once over any number of
ends. What it can't prove is the disk's part: the operating system keeps what a killed process has written, so that only a
power cut tells `synchronous=FULL` from OFF.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tests.integration.conftest import Start
from tests.integration.http.asking import SITE, counted
from tests.support.servers import send_views

#: More views than can be sent in any of these tests.
ENDLESS = 10**9

CONNECTIONS = 16

PLAIN = [f"/plain/{n}" for n in range(10)]
WITH_ID = [f"/with-id/{n}" for n in range(10)]


async def kill_under_load(start: Start, times: int) -> None:
    """Kill a server so many times while views with and without ids come in; after each restart hold its counts to the rule."""
    server = await asyncio.to_thread(start)
    sent, acknowledged, with_id, broken = 0, 0, 0, 0
    for kill in range(1, times + 1):
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            plain_views = group.create_task(
                send_views(server.port, views=ENDLESS, site=SITE, pages=PLAIN, connections=CONNECTIONS, stop=stop)
            )
            id_views = group.create_task(
                send_views(
                    server.port,
                    views=ENDLESS,
                    site=SITE,
                    pages=WITH_ID,
                    connections=CONNECTIONS,
                    event_ids=True,
                    retry_seconds=60,
                    stop=stop,
                )
            )
            await asyncio.sleep(random.uniform(0.05, 0.3))  # the moment itself is what is tried out
            await asyncio.to_thread(server.kill)
            stop.set()  # no new views; those with ids that are under way go on until the next process acknowledges them
            await asyncio.to_thread(server.start)
        plain, ids = plain_views.result(), id_views.result()
        sent += plain.sent
        acknowledged += plain.acknowledged
        with_id += ids.sent
        broken += plain.failed + ids.requests - ids.sent
        views = Counter[str]()
        for page, n in (await asyncio.to_thread(counted, server)).items():
            views[page.split("/")[1]] += n
        told = f"kill {kill}: {views}; without ids {plain}; with ids {ids}"
        assert acknowledged <= views["plain"] <= sent, told
        assert ids.stored == ids.sent, told
        assert views["with-id"] == with_id, told
    assert acknowledged > 0, "nothing was counted before the kills"
    assert broken > times, "the kills broke no requests"


async def test_what_was_acknowledged_outlives_any_kill_and_ids_count_once(start: Start) -> None:
    """8 kills. Plain views: acknowledged <= counted <= sent; with ids, sent again until acknowledged: all three equal."""
    await kill_under_load(start, 8)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_three_hundred_kills(start: Start) -> None:
    """The same for longer."""
    await kill_under_load(start, 300)
