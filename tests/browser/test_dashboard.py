"""The dashboard in a real browser: live, reached by keyboard, read by everyone, and quiet: nothing shifts, nothing fails."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Response, expect

from tests.browser.visiting import DEADLINE, PERSON, Visitor, visit
from tests.support.servers import FootfallServer

AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

PASSWORD = "a long enough password"  # a test's own
PUBLIC = "public.example"
PRIVATE = "private.example"
QUIET = "quiet.example"

#: A short minute: what is counted leaves it while a test looks on.
WINDOW = 6

MOST_BYTES = 150_000

MS = DEADLINE * 1000

#: How the pages are looked at: what a browser says of itself.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "a phone, dark, without motion": {
        "viewport": {"width": 375, "height": 700},
        "has_touch": True,
        "color_scheme": "dark",
        "reduced_motion": "reduce",
    },
}

#: Collects layout shifts from before the first of them.
_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().filter((one) => !one.hadRecentInput).map((one) => ({
  value: one.value, nodes: one.sources.map(({node}) => node?.nodeName + '#' + node?.id + '.' + node?.className)
})))).observe({type: 'layout-shift', buffered: true});
"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="session")
def board_server() -> Iterator[FootfallServer]:
    """A server with a public site, a private one, one that has no view, and a password."""
    settings = {"PUBLIC_SITES": PUBLIC, "ADMIN_PASSWORD": PASSWORD, "WINDOW": str(WINDOW)}
    with FootfallServer("memory://", sites=(PUBLIC, PRIVATE, QUIET), settings=settings) as running:
        count(running, PUBLIC, "/", 3)
        count(running, PUBLIC, "/a", 2)
        count(running, PRIVATE, "/", 1)
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def owner(chromium: Browser, board_server: FootfallServer) -> AsyncIterator[Visitor]:
    """Someone who is logged in, and at the end has nothing to complain of."""
    async with visit(chromium) as person:
        await log_in(person.page, board_server)
        yield person
        assert not person.troubles


def count(server: FootfallServer, site: str, page: str, views: int = 1) -> None:
    """Count views of a page, each acknowledged. Blocks."""
    query = urllib.parse.urlencode({"s": site, "p": page})
    for _ in range(views):
        request = urllib.request.Request(f"{server.url}/count?{query}", method="POST", headers={"User-Agent": PERSON})
        with urllib.request.urlopen(request, timeout=DEADLINE) as reply:
            assert reply.headers["X-Footfall"] == "counted"


def asked(server: FootfallServer, path: str) -> Any:
    """What the API says of the public site. Blocks."""
    with urllib.request.urlopen(f"{server.url}/api/v1/sites/{PUBLIC}/{path}", timeout=DEADLINE) as reply:
        return json.load(reply)


async def log_in(page: Page, server: FootfallServer) -> None:
    await page.goto(f"{server.url}/login")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{server.url}/sites")


async def test_a_view_is_shown_and_leaves_by_itself(visitor: Visitor, board_server: FootfallServer) -> None:
    """The number is the API's for the same second, and falls to nothing with nobody touching the page."""
    page = visitor.page
    await page.goto(f"{board_server.url}/sites/{PUBLIC}")
    number = page.locator("#dial .number")
    await expect(number).to_have_text("0", timeout=MS)
    await page.evaluate(
        """() => {
          window.seen = [];
          const now = () => [Date.parse(document.querySelector('#clock').dateTime) / 1000,
            Number(document.querySelector('#dial .number').textContent)];
          new MutationObserver(() => window.seen.push(now())).observe(
            document.querySelector('#clock'), {attributes: true, attributeFilter: ['datetime']});
        }"""
    )
    await asyncio.to_thread(count, board_server, PUBLIC, "/live", 4)
    await expect(number).to_have_text("4", timeout=MS)
    await expect(page.locator("#busiest")).to_contain_text("/live")
    await expect(number).to_have_text("0", timeout=MS)
    seen = await page.evaluate("window.seen")
    first, last = seen[0][0] - WINDOW, seen[-1][0] + 1
    points = dict((await asyncio.to_thread(asked, board_server, f"series?tier=second&from={first}&to={last}"))["points"])
    for at, views in seen:
        whole = sum(points[second] for second in range(at - WINDOW + 1, at + 1))
        # A second that was still open when it was shown may have got views after that.
        assert whole - points[at] <= views <= whole
    assert any(views == 4 for _, views in seen)


async def test_the_dial_moves_as_the_server_draws_it(visitor: Visitor, board_server: FootfallServer) -> None:
    """Bars, hand and number that a script has set are those of the server's drawing of the same seconds."""
    page = visitor.page
    await page.goto(f"{board_server.url}/sites/{PUBLIC}?page=%2Fdrawn")  # a page that no other test views in this minute
    await asyncio.to_thread(count, board_server, PUBLIC, "/drawn", 7)
    await expect(page.locator("#dial .number")).to_have_text("7", timeout=MS)
    compared = await page.evaluate(
        """async () => {
          const drawn = (root) => ({
            at: Date.parse(root.querySelector('#clock').dateTime) / 1000,
            hand: root.querySelector('#dial .hand').getAttribute('transform'),
            number: ['y', 'font-size'].map((name) => Number(root.querySelector('#dial .number').getAttribute(name)).toFixed(1))
              .concat(root.querySelector('#dial .number').textContent),
            bars: [...root.querySelectorAll('#dial rect')].map((bar) => [Number(bar.getAttribute('height')),
              Number(bar.getAttribute('opacity')), bar.classList.contains('newest')]),
            summary: root.querySelector('#summary').textContent,
          });
          for (;;) {
            const text = await (await fetch(location.href)).text();
            const mine = drawn(document);
            const servers = drawn(new DOMParser().parseFromString(text, 'text/html'));
            if (mine.at === servers.at) return [mine, servers];
          }
        }"""
    )
    assert compared[0] == compared[1]


async def test_drill_down_and_back(visitor: Visitor, board_server: FootfallServer) -> None:
    """A page's link filters, its cross and the browser's way back undo it; the period stays."""
    page = visitor.page
    await page.goto(f"{board_server.url}/sites/{PUBLIC}?period=7d")
    await page.locator("#top").get_by_role("link", name="/a", exact=True).click()
    await page.wait_for_url(re.compile(r"page=%2Fa&period=7d$"))
    await expect(page.locator("h1")).to_contain_text("/a")
    await expect(page.locator("#total")).to_have_text("2")
    await expect(page.locator("#top")).to_have_count(0)
    await page.go_back()
    await expect(page.locator("#top")).to_be_visible()
    await page.go_forward()
    await page.get_by_role("link", name="Show the whole site").click()
    await page.wait_for_url(re.compile(rf"/sites/{PUBLIC}\?period=7d$"))


async def test_all_of_it_can_be_reached_by_keyboard(visitor: Visitor, board_server: FootfallServer) -> None:
    """Tab goes through the periods and on to the days; Enter takes one."""
    page = visitor.page
    await page.goto(f"{board_server.url}/sites/{PUBLIC}")
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent") == "30 days":
            break
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("period=30d"))
    await page.locator(".custom summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("From (UTC)")).to_be_visible()


async def test_it_is_complete_without_scripts(chromium: Browser, board_server: FootfallServer) -> None:
    """The numbers, the chart, the pages, and the way to another period."""
    async with visit(chromium, java_script_enabled=False) as person:
        page = person.page
        await asyncio.to_thread(count, board_server, PUBLIC, "/plain", 2)
        await page.goto(f"{board_server.url}/sites/{PUBLIC}")
        assert int(await page.locator("#dial .number").text_content() or "") >= 2
        assert await page.locator("#plot .drawn").is_visible()
        await page.get_by_role("link", name="30 days").click()
        await page.get_by_text("Choose days").click()
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(re.compile(r"from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d"))
        await expect(page.locator("#top")).to_contain_text("/plain")


async def test_hours_are_in_the_viewers_zone_and_days_in_utc(chromium: Browser, board_server: FootfallServer) -> None:
    """Both say so."""
    async with visit(chromium, timezone_id="Asia/Kolkata") as person:
        await person.page.goto(f"{board_server.url}/sites/{PUBLIC}")
        await expect(person.page.locator("#zone")).to_contain_text("your time zone")
        assert re.search(r":30$", await person.page.locator("#points tbody th").first.text_content() or "")
        await person.page.goto(f"{board_server.url}/sites/{PUBLIC}?period=30d")
        await expect(person.page.locator("#zone")).to_have_text("Days are in UTC.")
        assert not person.troubles


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_is_for_everyone_and_quiet(chromium: Browser, board_server: FootfallServer, look: str) -> None:
    """axe-core finds nothing, nothing shifts, nothing sticks out, nothing is in the console."""
    axe = AXE.read_text("utf-8")
    async with visit(chromium, **LOOKS[look]) as person:
        page = person.page
        await page.add_init_script(_SHIFTS)
        await page.goto(f"{board_server.url}/login")
        await judge(page, axe)
        await log_in(page, board_server)
        for path in (
            "/sites",
            f"/sites/{PUBLIC}",
            f"/sites/{PUBLIC}?page=/a&period=7d",
            f"/sites/{PUBLIC}?period=all",
            f"/sites/{PUBLIC}?list=pages",
            f"/sites/{PUBLIC}?list=browser&find=x",
            f"/sites/{PUBLIC}?from=1999-01-01&to=1999-01-02",
            f"/sites/{PUBLIC}/settings",
            f"/sites/{QUIET}",
            "/access",
            "/nothing",
            "/welcome",
        ):
            await page.goto(board_server.url + path)
            if "from" in path:
                await expect(page.get_by_role("alert")).to_be_in_viewport()
            elif "list" not in path and "settings" not in path and path.startswith(f"/sites/{PUBLIC}"):
                first = await page.locator("#clock").get_attribute("datetime")
                await expect(page.locator("#clock")).not_to_have_attribute("datetime", first or "", timeout=MS)
                await page.locator("#numbers summary").click()
            elif "settings" in path:
                await page.get_by_text("Advanced").click()
            await judge(page, axe)
        await page.goto(board_server.url)  # its list is as long as there are pages: what comes below moves
        await judge(page, axe, is_quiet=False)
        # The console says of a page that could not be had that it could not.
        assert not [
            trouble for trouble in person.troubles if "400" not in trouble and "404" not in trouble and "403" not in trouble
        ]


async def judge(page: Page, axe: str, *, is_quiet: bool = True) -> None:
    """Hold the page against axe-core, its width and, where it has to be quiet, what shifts in it."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    violations = {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in found["violations"]}
    assert violations == {}, page.url
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    # What follows a click is no shift to the one who clicked; the rest has to stay where it was.
    shifts = await page.evaluate("window.shifts")
    assert not is_quiet or sum(one["value"] for one in shifts) < 0.001, (page.url, shifts)


async def test_the_first_load_is_small_and_all_our_own(chromium: Browser, board_server: FootfallServer) -> None:
    """Under 150 KB gzipped, from one origin."""
    async with visit(chromium) as person:
        replies: list[Response] = []
        person.page.on("response", lambda reply: replies.append(reply))  # noqa: PLW0108  # Playwright takes no built-in
        await person.page.goto(f"{board_server.url}/sites/{PUBLIC}", wait_until="load")
        await expect(person.page.locator("#plot.is-drawn")).to_be_visible()
        bodies = [await reply.body() for reply in replies if "/live" not in reply.url]
        assert len(bodies) >= 4
        assert all(reply.url.startswith(board_server.url) for reply in replies)
        assert sum(len(gzip.compress(body)) for body in bodies) < MOST_BYTES


async def test_a_site_is_made_public_shared_and_logged_out_of(owner: Visitor, board_server: FootfallServer) -> None:
    """The way of an owner: settings, a link for a friend, a token, and the door."""
    page = owner.page
    await page.goto(f"{board_server.url}/sites/{PRIVATE}")
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Who can see the numbers").select_option("counter")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    await expect(page.get_by_label("Who can see the numbers")).to_have_value("counter")
    await page.get_by_role("link", name="Access").click()
    links = page.get_by_role("form", name="Create a share link")
    await links.get_by_label("Who is it for?").fill("a friend")
    await links.get_by_label("Site").select_option(PRIVATE)
    await links.get_by_role("button", name="Create link").click()
    link = await page.locator("#secret").inner_text()
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url(re.compile("/login"))
    await page.goto(f"{board_server.url}/sites/{PRIVATE}")
    await page.wait_for_url(re.compile(rf"/login\?next=%2Fsites%2F{re.escape(PRIVATE)}"))
    await page.goto(link)
    await expect(page.locator("h1")).to_contain_text(PRIVATE)


async def test_an_ended_session_leads_to_the_login(owner: Visitor, board_server: FootfallServer) -> None:
    """A dashboard that is open when its session ends does not go on pretending."""
    page = owner.page
    await page.goto(f"{board_server.url}/sites/{PRIVATE}")
    await expect(page.locator("#plot.is-drawn")).to_be_visible()
    await owner.context.clear_cookies()
    await page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_url(re.compile("/login"), timeout=MS)
    owner.troubles.clear()  # the browser says of the stream that it was refused


#: Collects the elements whose text or drawing changes.
_MOVES = """
window.moved = new Set();
new MutationObserver((changes) => changes.forEach(({target, type}) => {
  const element = target.nodeType === 1 ? target : target.parentElement;
  if (type !== 'attributes' || element.closest('svg')) window.moved.add(element);
})).observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true, attributes: true});
"""

#: Those of them that are shown, and not faded.
_NOT_FADED = """
[...window.moved].filter((one) => one.isConnected && one.getClientRects().length && !one.closest('.aside, [role=status]'))
  .filter((one) => {
    for (let up = one; up; up = up.parentElement) if (Number(getComputedStyle(up).opacity) < 0.6) return false;
    return true;
  }).map((one) => one.outerHTML.slice(0, 120))
"""


async def test_what_is_of_the_past_fades(chromium: Browser) -> None:
    """When nothing comes any more a page says so, and whatever moved before is faded; it goes on when the server does."""
    with FootfallServer("memory://", sites=(PUBLIC,)) as server:
        for path in (f"/sites/{PUBLIC}", "/"):
            await asyncio.to_thread(count, server, PUBLIC, "/still")
            async with visit(chromium) as person:
                page = person.page
                await page.clock.install()
                await page.goto(server.url + path)
                await page.evaluate(_MOVES)
                number = page.locator("#dial .number")
                first = await number.text_content()
                for viewed in ("/still", "/"):
                    await asyncio.to_thread(count, server, PUBLIC, viewed, 3)
                await expect(number).not_to_have_text(first or "", timeout=MS)
                server.pause()
                try:
                    await page.clock.fast_forward(4_000)
                    await expect(page.locator("#trouble")).to_have_text("Connection lost, reconnecting…")
                    assert await page.evaluate(_NOT_FADED) == []
                finally:
                    server.resume()
                await expect(page.locator("#trouble")).to_have_text("", timeout=MS)
                assert await page.evaluate(_NOT_FADED) != []
                assert not person.troubles


async def test_the_home_page_moves_where_anyone_may_see_it(chromium: Browser) -> None:
    """Its number follows the stream, and looking on counts nothing."""
    settings = {"HOME_SITE": PUBLIC, "WINDOW": str(WINDOW)}
    with FootfallServer("memory://", sites=(PUBLIC,), settings=settings) as server:
        async with visit(chromium) as person:
            await person.page.goto(server.url)
            number = person.page.locator("#dial .number")
            await expect(number).to_have_text("0", timeout=MS)
            await asyncio.to_thread(count, server, PUBLIC, "/", 3)
            await expect(number).to_have_text("3", timeout=MS)
            await expect(person.page.locator("#total")).to_have_text("4")
            assert not person.troubles
