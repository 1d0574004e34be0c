"""Takes the pictures of pages that the documentation shows: `python -m docs.images.dashboard`, with a Chromium on PATH.

The site and its numbers are made up, and the clock stands still, so that the same pictures come out each time.
"""

from __future__ import annotations

import asyncio
import calendar
import math
import random
import shutil
import socket
from pathlib import Path

import uvicorn
from playwright.async_api import Browser, async_playwright

from footfall.model import DIMENSIONS, HOUR, OUTCOME, WHOLE_SITE, Batch, Section, SiteBatch, Tier
from footfall.settings import load_settings
from footfall.stores import Store
from footfall.web.app import build, make_app

HERE = Path(__file__).resolve().parent
SITE = "example.com"
NOW = calendar.timegm((2026, 6, 17, 14, 26, 41))
VIEWS_AN_HOUR = 2600

#: The pictures: name, path, width, height, colours.
BOARD = f"/sites/{SITE}"
PICTURES = (
    ("dashboard-light", BOARD, 1440, 1260, "light"),
    ("dashboard-dark", BOARD, 1440, 1260, "dark"),
    ("dashboard-phone", BOARD, 390, 844, "light"),
    ("home-light", "/", 1440, 900, "light"),
    ("home-dark", "/", 1440, 900, "dark"),
)

PAGES = (
    "/",
    "/blog/exact-to-the-second",
    "/projects/minute-dial/",
    "/docs/start",
    "/pricing",
    "/blog/one-clock-for-all",
    "/docs/install",
    "/about",
)
VALUES = {
    "channel": ("search", "direct", "social", "referral", "e-mail", "campaign"),
    "referrer": ("google.com", "duckduckgo.com", "bing.com", "lobste.rs", "github.com", "mastodon.social"),
    "browser": ("Chrome", "Safari", "Firefox", "Edge", "Opera"),
    "system": ("Windows", "iOS", "macOS", "Android", "Linux"),
    "device": ("desktop", "phone", "tablet"),
    "language": ("en", "de", "fr", "es", "ja"),
    "country": ("US", "DE", "GB", "FR", "NL", "JP"),
}


class Clock:
    """A clock that goes when it is told to."""

    now = float(NOW - 60)

    def __call__(self) -> float:
        return self.now


async def _fill(store: Store, clock: Clock) -> None:
    """Two days by the hour, then the past minute by the second."""
    drawn = random.Random(4)
    for back in range(47, -1, -1):
        hour = Tier.HOUR.back(NOW, back)
        part = 1.0 if back else NOW % HOUR / HOUR
        day = 1 + 0.55 * math.sin((hour % 86400 / HOUR - 8) / 24 * 2 * math.pi)
        views = VIEWS_AN_HOUR * day * part * drawn.uniform(0.88, 1.12) * (1 if back < 24 else 0.86)
        counts = {page: int(views * 0.34 / (place + 1) ** 0.9) for place, page in enumerate(PAGES)}
        whole = sum(counts.values())
        rows = [(WHOLE_SITE, whole), *counts.items()]
        for tier in (Tier.HOUR, Tier.DAY, Tier.MONTH, Tier.TOTAL):
            await store.load(SITE, Section.VIEWS, tier, [(tier.start(hour), page, n) for page, n in rows])
        traits: list[tuple[int | str, ...]] = [
            (hour, WHOLE_SITE, one.name, value, int(whole * 0.45 / (place + 1) ** 1.2))
            for one in DIMENSIONS
            for place, value in enumerate(VALUES.get(one.name, ("spring / newsletter", "launch / post")))
        ]
        traits += [(hour, WHOLE_SITE, OUTCOME, why, int(whole * n)) for why, n in (("bot", 0.11), ("prefetch", 0.02))]
        await store.load(SITE, Section.TRAITS, Tier.HOUR, traits)
        await store.load(SITE, Section.VISITORS, Tier.HOUR, [(hour, WHOLE_SITE, int(whole * 0.58))])
        await store.load(SITE, Section.VISITORS, Tier.DAY, [(Tier.DAY.start(hour), WHOLE_SITE, int(whole * 0.4))])
    for second in range(60):
        clock.now += 1
        rate = 9 + 5 * math.sin(second / 7) + drawn.uniform(-4, 6)
        views_now = {page: max(0, round(rate / (place + 1.2))) for place, page in enumerate(PAGES)}
        visitors: dict[tuple[str, int | None], set[int]] = {
            (page, None): {random.Random(drawn.getrandbits(8)).getrandbits(64) for _ in range(n)}
            for page, n in views_now.items()
            if n
        }
        pages = {page: n for page, n in views_now.items() if n}
        await store.commit(Batch("pictures", second + 1, {SITE: SiteBatch(pages=pages, visitors=visitors)}))


async def _take(browser: Browser, address: str) -> None:
    for name, path, width, height, colours in PICTURES:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=2 if width < 600 else 1,
            color_scheme="dark" if colours == "dark" else "light",
            reduced_motion="reduce",
            timezone_id="UTC",
        )
        page = await context.new_page()
        await page.goto(address + path)
        await page.locator("#plot.is-drawn" if path == BOARD else ".copy.is-ready").wait_for()
        await page.evaluate("document.fonts.ready")
        await page.screenshot(path=HERE / f"{name}.png")
        await context.close()


async def main() -> None:
    """Serve the made-up site, and take its pictures."""
    clock = Clock()
    shown = {"sites": SITE, "public_sites": SITE, "instance": "node-2", "public_url": "https://counter.example"}
    settings = load_settings({"store": "memory://", **shown}, {}, None)
    parts = build(settings, "node-2", clock)
    await _fill(parts.store, clock)
    parts.shares.counted(SITE, (await parts.store.counts(SITE, [WHOLE_SITE], 60)).pages[WHOLE_SITE].views)
    app = make_app(settings, "node-2", clock, parts)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", interface="asgi3", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve([listening]))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            await _take(browser, f"http://127.0.0.1:{listening.getsockname()[1]}")
            await browser.close()
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
