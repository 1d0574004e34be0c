"""Counters in pages: spans that the snippet fills, live where they say so, and those of busuanzi."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Put, Tag
from tests.browser.visiting import DEADLINE, Store, Visitor, visit
from tests.support.servers import FootfallServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

expect.set_options(timeout=DEADLINE * 1000)

SPANS = """
<p><span id=minute data-footfall=minute>-</span> <span id=today data-footfall=today>-</span>
<span id=total data-footfall=total>-</span> <span id=site data-footfall=total data-of=site>-</span>
<span id=other data-footfall=total data-of=/other>-</span> <span id=what data-footfall=nonsense>-</span></p>"""


async def test_spans_show_the_numbers_of_the_page(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Spans show the page's numbers with the view itself in them, or those of the site or of a page that they name."""
    await visitor.open(put("/other", tag()))
    url = put("/a", tag() + SPANS)
    for views in (1, 2):
        await visitor.open(url)
        for id, number in (("minute", views), ("today", views), ("total", views), ("site", views + 1), ("other", 1)):
            await expect(visitor.page.locator(f"#{id}")).to_have_text(f"{number}")
    await expect(visitor.page.locator("#what")).to_have_text("-")
    await store.reaches(a=2, other=1)


async def test_spans_follow_the_page(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """In a single-page application spans that stay, and spans that come later, show the page that is open."""
    await visitor.open(put("/a", f"{tag()}<b data-footfall=total>-</b><main></main>"))
    await visitor.open(visitor.page.url)
    await expect(visitor.page.locator("b")).to_have_text("2")
    await visitor.run("history.pushState({}, '', '/b'); document.querySelector('main').innerHTML = 'another page'")
    await expect(visitor.page.locator("b")).to_have_text("1")
    await visitor.run("document.querySelector('main').innerHTML = '<i data-footfall=total data-of=/a>-</i>'")
    await expect(visitor.page.locator("i")).to_have_text("2")
    await store.reaches(a=2, b=1)


async def test_spans_may_come_after_the_page(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Spans of a view that is opened later make the snippet load what fills them."""
    await visitor.open(put("/a", f"{tag()}<main></main>"))
    await visitor.run("document.querySelector('main').innerHTML = '<i data-footfall=total>-</i>'")
    await visitor.run("history.pushState({}, '', '/b')")
    await expect(visitor.page.locator("i")).to_have_text("1")
    await store.reaches(a=1, b=1)


async def test_busuanzi_pages_work_as_they_are(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """The elements of busuanzi are filled by their ids, and the words around them are shown once the number is there."""
    body = """
    <span id=busuanzi_container_page_pv style="display:none">read <span id=busuanzi_value_page_pv></span> times</span>
    <span id=busuanzi_container_site_pv style="display:none"><span id=busuanzi_value_site_pv></span> views</span>"""
    await visitor.open(put("/b", tag()))
    await visitor.open(put("/a", tag() + body))
    await expect(visitor.page.locator("#busuanzi_container_page_pv")).to_have_text("read 1 times")
    await expect(visitor.page.locator("#busuanzi_container_page_pv")).to_be_visible()
    await expect(visitor.page.locator("#busuanzi_value_site_pv")).to_have_text("2")
    await store.reaches(a=1, b=1)


async def test_numbers_that_are_not_public_are_not_shown(visitor: Visitor, put: Put) -> None:
    """A site that keeps its numbers to itself is counted, and its pages keep the words that stand in their spans."""
    site = "private.example"
    with FootfallServer("memory://", sites=["open.example", site], settings={"PUBLIC_SITES": "open.example"}) as server:
        tag = f'<script async src="{server.url}/footfall.js" data-site="{site}"></script>'
        async with visitor.page.expect_response("**/counter/private.example.json**") as asked:
            await visitor.open(put("/a", f"{tag}<b data-footfall=total>many</b>"))
        assert (await asked.value).status == 401
        await expect(visitor.page.locator("b")).to_have_text("many")
    visitor.troubles.clear()


async def test_live_spans_move(chromium: Browser, visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """A span with data-live follows the views of others, second by second."""
    url = put("/a", f"{tag()}<b data-footfall=minute data-live>-</b> <i data-footfall=total data-live>-</i>")
    await visitor.open(url)
    await expect(visitor.page.locator("b")).to_have_text("1")
    async with visit(chromium) as other:
        await other.open(url)
        await expect(visitor.page.locator("b")).to_have_text("2")
        await expect(visitor.page.locator("i")).to_have_text("2")
    await store.reaches(a=2)


async def test_live_spans_that_are_left_and_return_go_on(
    chromium: Browser, visitor: Visitor, store: Store, tag: Tag, put: Put
) -> None:
    """A page with live spans can be kept for "back", and its spans move again when it returns."""
    other = put("/other", "nothing")
    url = put("/a", f"{tag()}<b data-footfall=minute data-live>-</b>")
    await visitor.open(url)
    await visitor.run("window.isKept = true")
    await expect(visitor.page.locator("b")).to_have_text("1")
    await visitor.page.goto(other)
    await visitor.page.go_back(wait_until="commit")
    await visitor.page.wait_for_function("window.isKept")
    await expect(visitor.page.locator("b")).to_have_text("2")
    async with visit(chromium) as someone:
        await someone.open(url)
        await expect(visitor.page.locator("b")).to_have_text("3")
    await store.reaches(a=3)
