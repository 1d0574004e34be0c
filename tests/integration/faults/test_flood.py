"""A flood of made-up visits, beside the views of real readers: memory stays bounded, the real pages' numbers stay exact, and
whatever is not counted says why.

The flood has random pages, referrers, user agents, languages and campaigns, from many addresses, with forged forwarding headers,
robots, sites that are none, paths that are no pages and query strings that can't be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.http.asking import ask
from tests.support.servers import HOST, FootfallServer, RedisServer

SITE = "example.com"
CONNECTIONS = 64
REAL_PAGES = 10
ATTACKERS = 2000

#: New pages that the site may gain; one address brings at most 20 of them.
PAGES_PER_DAY = 500

#: By how much the server may grow while it is flooded, in bytes: its caches fill.
GROWTH = 60_000_000

#: What the flood may leave in the store, in bytes, however long it is: new pages, values a dimension, and sketches of visitors.
STORE_BYTES = 80_000_000

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{}.0.0.0 Safari/537.36"
OUTCOME = re.compile(rb"\r\nx-footfall: ([^\r]*)", re.IGNORECASE)

#: What can be right for a request.
COUNTED = frozenset({"counted"})
BOT, UNKNOWN_SITE, BAD_PAGE, RATE, TOO_MANY_PAGES = (
    frozenset({f"dropped; reason={reason}"}) for reason in ("bot", "unknown-site", "bad-page", "rate", "too-many-pages")
)


class Flood:
    """Makes requests up; `real` has the views of the real pages that were acknowledged."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.real: Tally[str] = Tally()
        self.outcomes: Tally[str] = Tally()

    def request(self) -> tuple[bytes, str, frozenset[str]]:
        """A request, the real page it views ("" for none), and the outcomes that are right for it."""
        chance = self._chance
        kind = chance.random()
        if kind < 0.1:
            page = f"/real/{chance.randrange(REAL_PAGES)}"
            return self._count(page, CHROME.format(40), f"9.9.{chance.randrange(100)}.1"), page, COUNTED
        agent = CHROME.format(chance.randrange(10**9))
        address = f"11.{chance.randrange(ATTACKERS) // 250}.{chance.randrange(250)}.7"
        if kind < 0.15:
            return self._count("/real/0", f"Googlebot/2.{chance.random()}", address), "", BOT
        if kind < 0.2:
            return self._count("/x", agent, address, site=f"{chance.randrange(10**9)}.example"), "", UNKNOWN_SITE
        if kind < 0.25:
            return self._count(f"x{chance.random()}", agent, address), "", BAD_PAGE
        if kind < 0.28:
            return self._raw(f"/count?s={SITE}&p=%FF{chance.random()}", agent, address), "", frozenset({"400"})
        if kind < 0.33:
            return self._count("/real/1", agent, "11.0.0.66"), "", COUNTED | RATE
        return self._count(f"/{chance.getrandbits(64):x}", agent, address), "", COUNTED | RATE | TOO_MANY_PAGES

    def _count(self, page: str, agent: str, address: str, site: str = SITE) -> bytes:
        chance = self._chance
        referrer = quote(f"https://{chance.getrandbits(40):x}.example/{chance.random()}", safe="")
        language = chance.choice("abcdefgh") + chance.choice("abcdefgh")
        query = f"s={site}&p={quote(page, safe='')}&w={chance.randrange(3000)}&l={language}"
        return self._raw(f"/count?{query}&r={referrer}&u=utm_campaign%3D{chance.getrandbits(40):x}", agent, address)

    def _raw(self, target: str, agent: str, address: str) -> bytes:
        forged = f"{self._chance.randrange(256)}.1.1.1"
        return (
            f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {agent}\r\nX-Forwarded-For: {forged}, {address}\r\n"
            f"X-Real-IP: {forged}\r\nForwarded: for={forged}\r\n\r\n"
        ).encode()


async def pour(flood: Flood, port: int, requests: int) -> None:
    """Send so many requests, and hold each reply to what is right for it."""
    left = iter(range(requests))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for _ in left:
            request, page, right = flood.request()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if length:
                await reader.readexactly(int(length[1]))
            found = OUTCOME.search(head)
            outcome = found[1].decode() if found else head[9:12].decode()
            assert outcome in right, (outcome, request)
            flood.outcomes[outcome] += 1
            if page:
                flood.real[page] += 1
            elif b"real%2F1" in request and outcome == "counted":
                flood.real["/real/1"] += 1
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def resident(pid: int) -> int:
    """The memory a process holds, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def sqlite(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    file = folder / "footfall.db"
    yield f"sqlite:///{file}", lambda: sum(path.stat().st_size for path in folder.glob("footfall.db*"))


@contextlib.contextmanager
def redis(_: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    with RedisServer() as server:
        yield server.url, lambda: int(server.info("memory")["used_memory"])


STORES = {"sqlite": sqlite, "redis": redis}


async def flooded(store: str, folder: Path, requests: int) -> AsyncIterator[str]:
    """Flood a server, and check it; the figures in one line."""
    settings = {"TRUSTED_PROXIES": HOST, "PAGES_PER_DAY": str(PAGES_PER_DAY), "VISITOR_RATE": "600", "COUNTS_VISITORS": "yes"}
    with STORES[store](folder) as (url, size), FootfallServer(url, sites=[SITE], settings=settings) as server:
        flood = Flood(requests)
        await pour(flood, server.port, 2000)
        before, empty = resident(server.program.pid), size()
        await pour(flood, server.port, requests - 2000)
        grown, stored = resident(server.program.pid) - before, size()
        pages = [f"/real/{n}" for n in range(REAL_PAGES)]
        for page in pages:
            total = ask(server, f"/api/v1/sites/{SITE}/count?page={page}").json["total"]
            assert total == flood.real[page], page
        await asyncio.sleep(1.5)  # what was dropped reaches the store's ledger within a second
        ledger = ask(server, f"/api/v1/sites/{SITE}/ledger?period=24h").json
        told = Tally({outcome.rpartition("=")[2]: n for outcome, n in flood.outcomes.items() if "reason" in outcome})
        del told["unknown-site"]
        assert ledger["dropped"] == told
        assert ledger["counted"] == flood.outcomes["counted"]
        new_pages = ledger["counted"] - sum(flood.real.values())
        assert new_pages <= PAGES_PER_DAY
        assert grown < GROWTH
        assert stored < STORE_BYTES
        memory = f"server +{grown / 1e6:.0f} MB, store {empty / 1e6:.1f} to {stored / 1e6:.1f} MB"
        yield f"{store}: {requests:,} requests: {dict(flood.outcomes)}; {memory}"


@pytest.mark.parametrize("store", STORES)
async def test_a_flood_leaves_memory_bounded_and_the_real_pages_exact(store: str, tmp_path: Path) -> None:
    """Each made-up view is dropped for its own reason, or counted within the limits."""
    async for figures in flooded(store, tmp_path, 3000):
        print(figures)  # noqa: T201 - shown with -s: the figures are what one runs it for


@pytest.mark.soak
@pytest.mark.parametrize("store", STORES)
async def test_a_flood_of_a_million(store: str, tmp_path: Path) -> None:
    """The same, at length: nothing grows with what was made up."""
    async for figures in flooded(store, tmp_path, 1_000_000):
        print(figures)  # noqa: T201 - shown with -s: the figures are what one runs it for
