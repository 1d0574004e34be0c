"""Visitors: people with an ordinary browser, seen from outside, and what the store has counted of them.

`Visitor` is a tab that a test drives. `Tabs` are tabs that nobody drives, since a browser shows its tabs all the time to the
program that does: they can be in the background, as a person's tabs can. `undriven` is a whole browser that nobody drives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Request

from tests.support.servers import FootfallServer
from tests.support.servers.program import found_on_path

#: What Chromium calls itself when a person uses it.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

#: What a person's Chromium has and a driven one has not by itself: its own name, and no sign of a driver.
AS_A_PERSON = [f"--user-agent={PERSON}", "--disable-blink-features=AutomationControlled"]

#: In a container Chromium may not make the sandbox that it otherwise wants.
ANYWHERE = ["--no-sandbox", "--disable-dev-shm-usage"]

#: How long something may take that has to happen.
DEADLINE = 30.0


async def until(claim: Callable[[], bool], what: Callable[[], str] | str) -> None:
    """Return as soon as a claim holds, asked in a thread; AssertionError with `what` if it never does."""
    deadline = time.monotonic() + DEADLINE
    pause = 0.02
    while not await asyncio.to_thread(claim):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, 0.1)


class Store:
    """What the server says that its store has counted for one site."""

    def __init__(self, server: FootfallServer, site: str) -> None:
        self.server = server
        self.site = site

    def total(self, page: str | None = None) -> int:
        """All views of a page, or of the site. Blocks."""
        query = "" if page is None else f"?page={urllib.parse.quote(page, safe='')}"
        address = f"{self.server.url}/api/v1/sites/{self.site}/count{query}"
        with urllib.request.urlopen(address, timeout=DEADLINE) as reply:
            number: int = json.load(reply)["total"]
        return number

    async def reaches(self, **pages: int) -> None:
        """Wait until the site has these views: `home=1, a=2` are one of / and two of /a, and none of any other page."""
        wanted = {"/" if name == "home" else "/" + name.replace("__", "/"): views for name, views in pages.items()}

        def counted() -> dict[str, int]:
            return {page: self.total(page) for page in wanted}

        await until(
            lambda: counted() == wanted and self.total() == sum(wanted.values()),
            lambda: f"counted {counted()} and {self.total()} in all; wanted {wanted}",
        )

    def ledger(self, kind: str) -> int:
        """The site's views of one kind ("duplicate", "dropped") in /metrics. Blocks."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=DEADLINE) as reply:
            text = reply.read().decode()
        rows = re.findall(rf'(?m)^footfall_views_{kind}_total{{[^}}]*site="{re.escape(self.site)}"[^}}]*}} (\S+)$', text)
        return sum(int(float(row)) for row in rows)


class Sending(NamedTuple):
    """A request to count: how it was made, and what it said."""

    method: str
    kind: str
    fields: dict[str, str]


class Visitor:
    """Someone with a tab that the test drives. What goes wrong in the browser is in `troubles`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sent: list[Sending] = []
        self.troubles: list[str] = []
        page.context.on("request", self._note)
        page.context.on("console", lambda said: self.troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.context.on("weberror", lambda error: self.troubles.append(str(error.error)))

    @property
    def context(self) -> BrowserContext:
        """The browser's profile, empty at first."""
        return self.page.context

    @property
    def ids(self) -> set[str]:
        """The event ids that were sent: as many as there were views."""
        return {sending.fields["e"] for sending in self.sent}

    def _note(self, request: Request) -> None:
        address = urllib.parse.urlsplit(request.url)
        if address.path in ("/count", "/count.gif"):
            fields = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
            self.sent.append(Sending(request.method, request.resource_type, fields))

    async def open(self, url: str) -> None:
        """Open a page, and wait until its snippet runs and has nothing left to send."""
        await self.page.goto(url)
        await self.settle()

    async def settle(self) -> None:
        """Wait until every view of the page is acknowledged or given up: then none will be sent any more."""
        await self.page.wait_for_function("window.footfall?.own?.[2].size === 0", timeout=DEADLINE * 1000)

    async def run(self, script: str) -> Any:
        """Run a script in the page."""
        return await self.page.evaluate(script)


@contextlib.asynccontextmanager
async def visit(browser: Browser, **options: Any) -> AsyncIterator[Visitor]:
    """A visitor, who leaves at the end."""
    context = await browser.new_context(user_agent=PERSON, locale="en-GB", **options)
    try:
        yield Visitor(await context.new_page())
    finally:
        await context.close()


class Tabs:
    """A window whose tabs nobody drives. The pages themselves have to tell what they see, by asking their host for something."""

    def __init__(self, session: CDPSession, context: str) -> None:
        self._session = session
        self._context = context

    async def open(self, url: str, *, background: bool = False) -> str:
        """Open a tab, at the front unless told otherwise; its id."""
        asked = {"url": url, "browserContextId": self._context, "background": background}
        opened: dict[str, str] = await self._session.send("Target.createTarget", asked)
        return opened["targetId"]

    async def show(self, tab: str) -> None:
        """Bring a tab to the front."""
        await self._session.send("Target.activateTarget", {"targetId": tab})


@contextlib.asynccontextmanager
async def tabs(browser: Browser) -> AsyncIterator[Tabs]:
    """A window of its own, closed at the end."""
    session = await browser.new_browser_cdp_session()
    context = (await session.send("Target.createBrowserContext"))["browserContextId"]
    try:
        yield Tabs(session, context)
    finally:
        await session.send("Target.disposeBrowserContext", {"browserContextId": context})
        await session.detach()


@contextlib.contextmanager
def undriven(url: str) -> Iterator[None]:
    """A browser that nothing is attached to, which shows a page; ended at the end.

    Chromium prerenders nothing in a tab that a driver is attached to, and a driver attaches for a moment to each tab it made.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", f"--user-data-dir={profile}", "--no-first-run", *AS_A_PERSON, *ANYWHERE]
        command = [str(found_on_path("chromium")), *options, url]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            browser.terminate()
            browser.wait(DEADLINE)
