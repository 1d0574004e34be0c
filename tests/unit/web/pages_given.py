"""What tests of our own pages have in common: an application with two sites, a log-in, and what a page says."""

from __future__ import annotations

import html
import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from footfall.model import Batch, SiteBatch
from tests.integration.in_process import InProcess, running

PUBLIC = "public.example"
PRIVATE = "private.example"
PASSWORD = "a long enough password"  # a test's own

SITE_PAGE = f"/sites/{PUBLIC}"
PRIVATE_PAGE = f"/sites/{PRIVATE}"


@pytest_asyncio.fixture
async def app() -> AsyncIterator[InProcess]:
    """The application, with a public site, a private one, and a password."""
    async with running(sites=f"{PUBLIC},{PRIVATE}", public_sites=PUBLIC, admin_password=PASSWORD) as made:
        yield made


async def count(app: InProcess, site: str, **pages: int) -> None:
    """Count views: `a=2` are two of page /a."""
    batch = {"/" + name: views for name, views in pages.items()}
    await app.parts.store.commit(Batch("test", int(time.monotonic_ns()), {site: SiteBatch(pages=batch)}))


async def log_in(app: InProcess) -> str:
    """Log in; the proof that the session's forms bring along."""
    reply = await app.client.post("/login", data={"password": PASSWORD})
    assert reply.status_code == 303
    return proof_in((await app.client.get("/sites")).text)


def proof_in(page: str) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', page)
    assert found
    return found[1]


def text_of(reply: httpx.Response) -> str:
    """What a page says, without its elements."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", reply.text)).split())


def filled(page: str) -> dict[str, str]:
    """The first form of the settings page as a browser would send it unchanged."""
    form = re.search(r'id="rules">(.*?)</form>', page, re.DOTALL)
    assert form
    found = dict(re.findall(r'<input type="(?:hidden|text)"[^>]*\sname="(\w+)"[^>]*\svalue="([^"]*)"', form[1]))
    found |= dict(re.findall(r'<textarea[^>]*\sname="(\w+)"[^>]*>([^<]*)<', form[1]))
    found |= dict.fromkeys(re.findall(r'<input type="checkbox"[^>]*\sname="(\w+)"[^>]*\schecked', form[1]), "on")
    chosen = re.search(r'<select[^>]*\sname="(\w+)"[^>]*>.*?<option value="(\w+)" selected', form[1], re.DOTALL)
    return found | ({chosen[1]: chosen[2]} if chosen else {}) | {"do": "save"}
