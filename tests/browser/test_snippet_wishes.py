"""Who does not want to be counted, or is no person, is not; and nothing that tells visitors apart is kept in their browsers."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import async_playwright

from tests.browser.conftest import Put, Tag
from tests.browser.visiting import ANYWHERE, PERSON, Store, Visitor, visit
from tests.support.servers.program import found_on_path

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEXT = "history.pushState({}, '', '/next')"

#: What Chromium can't be made to send from outside: its settings for Do Not Track, and Global Privacy Control, which it lacks.
DO_NOT_TRACK = "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})"
PRIVACY_CONTROL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"


async def test_the_own_browser_can_be_excluded(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """#footfall-off stops counting in this browser, on other pages too, until #footfall-on; both are confirmed."""
    page, other = put("/a", tag()), put("/b", tag())
    await visitor.open(f"{page}#footfall-off")
    await visitor.page.get_by_role("status").get_by_text("not counted").wait_for()
    await visitor.run("footfall.count()")
    await visitor.open(other)
    await visitor.run(NEXT)
    await visitor.settle()
    assert visitor.sent == []
    await visitor.open(f"{page}#footfall-on")
    await visitor.page.get_by_role("status").get_by_text("counted again").wait_for()
    await visitor.open(other)
    await store.reaches(a=1, b=1)
    assert await visitor.run("localStorage.length") == 0


async def test_exclusion_needs_no_new_page(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """#footfall-off works on a page that is open already."""
    await visitor.open(put("/a", tag()))
    await visitor.run("location.hash = 'footfall-off'")
    await visitor.page.get_by_role("status").wait_for()
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(a=1)
    assert len(visitor.sent) == 1
    assert await visitor.run("({...localStorage})") == {"footfall": "#footfall-off"}


async def test_blocked_storage_breaks_nothing(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Where localStorage may not be used, as in a sandbox, views are counted, and #footfall-off holds for the page."""
    page = put("/a", tag(), Content_Security_Policy="sandbox allow-scripts")
    await visitor.open(page)
    with pytest.raises(Exception, match="SecurityError"):
        await visitor.run("localStorage.footfall")
    await store.reaches(a=1)
    await visitor.page.goto("about:blank")
    await visitor.open(f"{page}#footfall-off")
    await visitor.page.get_by_role("status").get_by_text("can't keep your wish").wait_for()
    assert len(visitor.sent) == 1


async def test_nothing_is_kept_in_the_browser(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """Counting leaves no cookie, nothing in either storage, and no database behind."""
    await visitor.open(put("/a", f"{tag()}<b data-footfall=total></b>"))
    await visitor.run(NEXT)
    await visitor.settle()
    await store.reaches(a=1, next=1)
    assert await visitor.context.cookies() == []
    assert await visitor.run("localStorage.length + sessionStorage.length") == 0
    assert await visitor.run("indexedDB.databases()") == []


@pytest.mark.parametrize(
    ("body", "attributes"), [("<p data-no-track></p>{tag}", ""), ("{tag}", "data-no-track")], ids=["on the page", "on the tag"]
)
async def test_a_page_can_refuse_to_be_counted(
    visitor: Visitor, store: Store, tag: Tag, put: Put, body: str, attributes: str
) -> None:
    """With data-no-track on the tag, or on anything in the page, nothing is counted."""
    await visitor.open(put("/a", body.format(tag=tag(attributes))))
    await visitor.run(f"{NEXT}; footfall.count()")
    await visitor.settle()
    assert visitor.sent == []
    assert await asyncio.to_thread(store.total) == 0


@pytest.mark.parametrize("signal", [DO_NOT_TRACK, PRIVACY_CONTROL], ids=["DNT", "GPC"])
async def test_signals_are_honoured_where_the_site_says_so(
    visitor: Visitor, store: Store, tag: Tag, put: Put, signal: str
) -> None:
    """With data-respect-dnt nothing is sent for those who signal; without it they count like all others."""
    await visitor.context.add_init_script(signal)
    await visitor.open(put("/honoured", tag("data-respect-dnt")))
    await visitor.run("footfall.count()")
    assert visitor.sent == []
    await visitor.open(put("/other", tag()))
    await store.reaches(other=1)


async def test_who_signals_nothing_is_counted(visitor: Visitor, store: Store, tag: Tag, put: Put) -> None:
    """data-respect-dnt leaves out nobody else."""
    await visitor.open(put("/a", tag("data-respect-dnt")))
    await store.reaches(a=1)


async def test_a_driven_browser_says_so(store: Store, tag: Tag, put: Put) -> None:
    """A browser that a program drives (navigator.webdriver) is no person, whatever it calls itself, and the ledger shows it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found_on_path("chromium"), args=ANYWHERE)
        async with visit(browser) as robot:
            await robot.open(put("/a", tag()))
            assert await robot.run("[navigator.webdriver, navigator.userAgent]") == [True, PERSON]
            assert [sending.fields["b"] for sending in robot.sent] == ["true"]
        await browser.close()
    assert await asyncio.to_thread(store.ledger, "dropped") == 1
    assert await asyncio.to_thread(store.total) == 0
