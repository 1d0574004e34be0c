"""A view is counted once whatever happens on its way: the server away, the reply lost, the browser offline, the page left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Put, Tag
from tests.browser.visiting import Store, Visitor
from tests.support.servers import FootfallServer, RedisServer, TcpProxy

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Opens another page of a single-page application.
NEXT = "history.pushState({}, '', '/next')"

#: Keeps in the tab how many beacons were sent, and the last one's event id: requests of pages that are left are not reported.
NOTES_BEACONS = """
const { sendBeacon } = navigator;
let beacons = 0;
navigator.sendBeacon = (address) => {
  sessionStorage.beacons = ++beacons + new URL(address).searchParams.get("e");
  return sendBeacon.call(navigator, address);
};
"""


@pytest.fixture
def way(server: FootfallServer) -> Iterator[TcpProxy]:
    """The way from the browser to the server, which a test can cut."""
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def way_tag(way: TcpProxy, tag: Tag) -> str:
    """The tag, with the server behind the way."""
    return tag(server=f"http://127.0.0.1:{way.port}")


async def test_a_server_that_was_away_gets_every_view(visitor: Visitor, put: Put, tmp_path: Path) -> None:
    """While the server is down for a while people read on: nothing is lost, and nothing is counted twice."""
    site = "down.example"
    server = FootfallServer(f"sqlite:///{tmp_path}/footfall.db", sites=[site])
    with server:
        tag = f'<script async src="{server.url}/footfall.js" data-site="{site}"></script>'
        await visitor.open(put("/a", tag))
        await asyncio.to_thread(server.stop)
        for page in ("/b", "/c", "/b"):
            async with visitor.page.expect_event("requestfailed"):
                await visitor.run(f"history.pushState({{}}, '', '{page}')")
        await asyncio.to_thread(server.start)
        await visitor.settle()
        await Store(server, site).reaches(a=1, b=2, c=1)
    assert len(visitor.ids) == 4
    assert len(visitor.sent) >= 7
    visitor.troubles.clear()


async def test_a_store_that_was_away_gets_every_view(visitor: Visitor, put: Put) -> None:
    """A view that the server can't acknowledge (503), whether it was stored or not, is sent again and counts once."""
    site = "away.example"
    with RedisServer() as redis, FootfallServer(redis.url, sites=[site], settings={"COMMIT_TIMEOUT": "0.3"}) as server:
        tag = f'<script async src="{server.url}/footfall.js" data-site="{site}"></script>'
        await visitor.open(put("/a", tag))
        redis.pause()
        async with visitor.page.expect_response("**/count?*") as answered:
            await visitor.run(NEXT)
        assert (await answered.value).status == 503
        redis.resume()
        await visitor.settle()
        await Store(server, site).reaches(a=1, next=1)
    assert len(visitor.sent) > len(visitor.ids) == 2
    visitor.troubles.clear()


async def test_a_lost_reply_is_no_second_view(visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put) -> None:
    """A view that was counted but not acknowledged is sent again under its event id, and counts once."""
    await visitor.open(put("/a", way_tag))
    way.lose_replies(2, b"/count?")
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(a=1, next=1)
    assert await asyncio.to_thread(store.ledger, "duplicate") >= 1
    assert len(visitor.ids) == 2
    visitor.troubles.clear()


async def test_views_wait_until_the_browser_is_online(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Nothing is sent while the browser is offline, however long that lasts; all of it is once it is online."""
    await visitor.page.clock.install()
    await visitor.open(put("/a", tag()))
    await visitor.context.set_offline(True)
    await visitor.run(NEXT)
    await visitor.run("history.pushState({}, '', '/b')")
    await visitor.page.clock.fast_forward("10:00:00")
    assert len(visitor.sent) == 1
    await visitor.context.set_offline(False)
    await visitor.settle()
    await store.reaches(a=1, next=1, b=1)
    assert len(visitor.sent) == len(visitor.ids) == 3


async def test_a_view_is_given_up_when_its_id_may_be_forgotten(
    visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put
) -> None:
    """A view that was sent, and perhaps counted, is not sent again once the server may have forgotten its event id."""
    await visitor.page.clock.install()
    await visitor.open(put("/a", way_tag))
    way.lose_replies(2, b"%2Fnext")  # the browser itself asks once more
    async with visitor.page.expect_event("requestfailed"):
        await visitor.run(NEXT)
    await store.reaches(a=1, next=1)
    way.refuse()
    await visitor.page.clock.run_for(60_000)
    tries = len(visitor.sent)
    assert tries >= 3
    await visitor.page.clock.fast_forward(540_000)
    way.pass_on()
    await visitor.settle()
    assert len(visitor.sent) == tries
    await store.reaches(a=1, next=1)
    visitor.troubles.clear()


async def test_a_view_is_given_up_when_the_clock_is_set_back(
    visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put
) -> None:
    """Where the browser's clock was set back nobody knows how old an event id is."""
    await visitor.page.clock.install()
    await visitor.open(put("/a", way_tag))
    way.refuse()
    async with visitor.page.expect_event("requestfailed"):
        await visitor.run(NEXT)
    await visitor.page.clock.set_system_time("2020-01-01")
    await visitor.page.clock.run_for(5_000)
    way.pass_on()
    await visitor.settle()
    await store.reaches(a=1)
    visitor.troubles.clear()


async def test_a_page_that_is_left_says_what_it_could_not(
    visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put
) -> None:
    """A view whose sending failed goes as a beacon when the page is left, and no other view ever does."""
    await visitor.context.add_init_script(NOTES_BEACONS)
    await visitor.page.clock.install()  # so that no retry comes first
    other = put("/other", "nothing")
    await visitor.open(put("/a", way_tag))
    way.refuse()
    async with visitor.page.expect_event("requestfailed"):
        await visitor.run(NEXT)
    way.pass_on()
    await visitor.page.goto(other)
    await store.reaches(a=1, next=1)
    assert len(visitor.sent) == 2
    assert await visitor.run("sessionStorage.beacons") == f"1{visitor.sent[1].fields['e']}"
    visitor.troubles.clear()


async def test_a_page_that_is_left_and_returns_counts_once(
    visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put
) -> None:
    """A beacon tells nobody whether it arrived: a page that returns from the cache sends the view again, and it counts once."""
    other = put("/other", "nothing")
    await visitor.open(put("/a", way_tag))
    await visitor.run("window.isKept = true")
    way.lose_replies(2, b"%2Fnext")
    await visitor.run(f"{NEXT}; location.href = '{other}'")
    await visitor.page.wait_for_url(other)
    await visitor.page.go_back(wait_until="commit")
    await visitor.page.wait_for_function("window.isKept")
    await visitor.settle()
    await store.reaches(a=1, next=2)  # the second is the return
    assert len(visitor.ids) == 3
    visitor.troubles.clear()


async def test_leaving_at_once_is_a_view_all_the_same(
    visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put
) -> None:
    """A page that is left while its view is under way is counted, once."""
    other = put("/other", "nothing")
    await visitor.open(put("/a", way_tag))
    way.delay(0.2)
    await visitor.run(f"{NEXT}; location.href = '{other}'")
    await visitor.page.wait_for_url(other)
    await store.reaches(a=1, next=1)
    assert len(visitor.ids) == 2


async def test_an_image_counts_where_there_is_nothing_else(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A browser without fetch and sendBeacon counts with an image, once a view."""
    await visitor.context.add_init_script("delete window.fetch; delete Navigator.prototype.sendBeacon")
    await visitor.open(put("/a", tag()))
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(a=1, next=1)
    assert {(sending.method, sending.kind) for sending in visitor.sent} == {("GET", "image")}
    assert len(visitor.ids) == 2


async def test_a_refused_image_is_tried_again(visitor: Visitor, store: Store, way: TcpProxy, way_tag: str, put: Put) -> None:
    """An image that does not come is a view that failed."""
    await visitor.context.add_init_script("delete window.fetch")
    await visitor.open(put("/a", way_tag))
    way.refuse()
    async with visitor.page.expect_event("requestfailed"):
        await visitor.run(NEXT)
    way.pass_on()
    await visitor.settle()
    await store.reaches(a=1, next=1)
    visitor.troubles.clear()


async def test_what_is_wrong_is_not_sent_again(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A view that the server refuses for good (400) is given up at once."""
    await visitor.open(put("/a", tag()))
    await visitor.run("footfall.count({path: '/' + 'x'.repeat(9000)})")
    await visitor.settle()
    assert len(visitor.sent) == 2
    await store.reaches(a=1)
    visitor.troubles.clear()
