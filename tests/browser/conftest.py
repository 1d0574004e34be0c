"""One Footfall server, one host of pages and one Chromium for all browser tests; a site and a visitor for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.hosting import Host
from tests.browser.visiting import ANYWHERE, AS_A_PERSON, Store, Visitor, visit
from tests.support.servers import FootfallServer
from tests.support.servers.program import found_on_path

#: More than there are browser tests.
SITES = tuple(f"site-{number}.example" for number in range(200))

#: What a driven Chromium does not do by itself, and a person's does: keep pages for "back".
NOT_AS_A_PERSON = ["--disable-back-forward-cache"]

#: Writes the snippet's tag, with further attributes.
Tag = Callable[..., str]

#: Puts a document at a path; its URL.
Put = Callable[..., str]


@pytest.fixture(scope="session")
def server() -> Iterator[FootfallServer]:
    """A server that counts for SITES, in memory."""
    with FootfallServer("memory://", sites=SITES) as running:
        yield running


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Where the pages are."""
    with Host() as running:
        yield running


@pytest.fixture(scope="session")
def unused() -> Iterator[str]:
    """The sites that no test has used."""
    return iter(SITES)


@pytest.fixture
def store(server: FootfallServer, unused: Iterator[str]) -> Store:
    """What has been counted of the test's own site."""
    return Store(server, next(unused))


@pytest.fixture
def tag(store: Store) -> Tag:
    """The snippet's tag for the test's site, from the server unless told otherwise, with attributes as HTML has them."""

    def write(attributes: str = "", server: str = store.server.url) -> str:
        return f'<script async src="{server}/footfall.js" data-site="{store.site}" {attributes}></script>'

    return write


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, as a person uses it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found_on_path("chromium"), args=AS_A_PERSON + ANYWHERE, ignore_default_args=NOT_AS_A_PERSON
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser) -> AsyncIterator[Visitor]:
    """A person. At the end the browser may have found nothing to complain of; a test that provokes it clears `troubles`."""
    async with visit(chromium) as person:
        yield person
        assert not person.troubles


@pytest.fixture
def put(host: Host) -> Put:
    """Puts a document with this body at a path of the host; its URL. It says that it has no icon, or a browser would ask."""

    def write(path: str, body: str, **headers: str) -> str:
        head = f'<meta charset=utf-8><title>{path}</title><link rel=icon href="data:,">'
        return host.put(path, f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>", **headers)

    return write
