"""The first minutes of somebody who has just started a server: from the link that it prints to the dashboard, no dead end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from footfall.rules import site_name
from tests.browser.hosting import Host
from tests.browser.visiting import DEADLINE, Visitor, visit
from tests.support.servers import FootfallServer

MS = DEADLINE * 1000
PASSWORD = "a long enough password"  # a test's own

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FootfallServer]:
    """A server as `make serve` starts it: no setting but where it listens and keeps its file."""
    file = tmp_path_factory.mktemp("fresh") / "footfall.db"
    with FootfallServer(f"sqlite:///{file}", sites=None) as running:
        yield running


@pytest.fixture(scope="module")
def empty() -> Iterator[FootfallServer]:
    """One without a site that has a password."""
    with FootfallServer("memory://", sites=None, settings={"ADMIN_PASSWORD": PASSWORD}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def owner(chromium: Browser) -> AsyncIterator[Visitor]:
    """Someone whose browser has a clipboard, and at the end nothing to complain of."""
    async with visit(chromium, permissions=["clipboard-read", "clipboard-write"]) as person:
        yield person
        assert not person.troubles


async def test_the_first_five_minutes(
    fresh: FootfallServer, owner: Visitor, visitor: Visitor, host: Host, tmp_path: Path
) -> None:
    """A password by the printed link, a pasted address, its tag copied into a page, the first view seen, and the dashboard."""
    page = owner.page
    # Before there is a password, the front page leads to the log-in, and that says where to get one.
    await page.goto(fresh.url)
    await page.get_by_role("link", name="Log in").click()
    await expect(page.get_by_role("main")).to_contain_text("footfall admin link")
    # The printed link.
    printed = re.search(rf"{re.escape(fresh.url)}/welcome\?key=\S+", fresh.log)
    assert printed
    await page.goto(printed[0])
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Set password and log in").click()
    await page.wait_for_url(f"{fresh.url}/sites")
    # A site, by what was in the address bar.
    await page.get_by_label("Website address").fill("https://exa mple.com/path")
    await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("alert")).to_contain_text("Write a host name such as example.com")
    await expect(page.get_by_label("Website address")).to_have_value("https://exa mple.com/path")
    owner.troubles.clear()  # the console says of the reply that it was 400
    await page.get_by_label("Website address").fill("https://Example.com/path")
    await expect(page.get_by_text("The site will be called example.com.")).to_be_visible()
    await page.get_by_role("button", name="Add").click()
    await page.wait_for_url(f"{fresh.url}/sites/example.com")
    await expect(page.get_by_role("heading", level=1)).to_have_text("example.com")
    await expect(page.get_by_role("status").filter(has_text="Waiting for the first view")).to_be_visible()
    # The tag, copied and pasted.
    await page.get_by_role("button", name="Copy the tag").click()
    await expect(page.locator(".copy")).to_have_text("Copied")
    tag = await page.evaluate("navigator.clipboard.readText()")
    assert tag == f'<script async src="{fresh.url}/footfall.js" data-site="example.com"></script>'
    assert await page.locator("#tag").inner_text() == tag
    await visitor.page.goto(host.put("/first", f"<!doctype html><title>x</title><link rel=icon href='data:,'>{tag}"))
    # The page turns into the dashboard by itself.
    await expect(page.locator("#wait")).to_have_text("The first view is here", timeout=MS)
    await expect(page.locator("#dial .number")).to_have_text("1", timeout=MS)
    await expect(page.locator("#busiest")).to_contain_text("/first")
    # The site that nobody asked for is gone, the front page leads on, and the password opens the same again.
    await page.get_by_role("link", name="Sites").click()
    await expect(page.locator(".card-name")).to_have_text(["example.com"])
    await page.get_by_role("button", name="Log out").click()
    await page.goto(fresh.url)
    await page.wait_for_url(re.compile(r"/login\?next=%2Fsites$"))
    await page.get_by_label("Password").fill("another password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_have_text("Wrong password.", timeout=MS)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("link", name="example.com").click()
    await expect(page.locator("#total")).to_have_text("1")
    await expect(page.locator("#zone")).to_be_visible()
    # The link worked once.
    await page.goto(printed[0])
    await expect(page.get_by_role("heading", level=1)).to_have_text("This link has expired", timeout=MS)
    refused = [re.findall(r"status of (\d+)", trouble) for trouble in owner.troubles]
    assert refused == [["401"], ["403"]]  # the wrong password, and the link
    owner.troubles.clear()


async def test_the_preview_is_what_the_server_makes_of_it(chromium: Browser, empty: FootfallServer) -> None:
    """The script that says beside the field what the site will be called agrees with `site_name`."""
    async with visit(chromium) as person:
        await log_in(person.page, empty)
        for written in (
            "HTTPS://Example.com:443/a?b#c",
            "http://example.com:80",
            "example.com:80/",
            "example.com.",
            "localhost:3000/x",
            "bücher.example",
        ):
            await person.page.get_by_label("Website address").fill(written)
            await expect(person.page.locator("#site-preview b")).to_have_text(site_name(written))


async def test_waiting_works_without_scripts(chromium: Browser, empty: FootfallServer) -> None:
    """The tag is text that one click selects; a link looks again."""
    async with visit(chromium, java_script_enabled=False) as person:
        page = person.page
        await log_in(page, empty)
        await page.get_by_label("Website address").fill("plain.example")
        await page.get_by_role("button", name="Add").click()
        await expect(page.locator("#tag")).to_contain_text('data-site="plain.example"')
        assert not await page.locator(".copy").is_visible()
        await page.get_by_role("link", name="Check again").click()
        await expect(page.get_by_text("Waiting for the first view")).to_be_visible()


async def log_in(page: Page, server: FootfallServer) -> None:
    await page.goto(f"{server.url}/login")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{server.url}/sites")
