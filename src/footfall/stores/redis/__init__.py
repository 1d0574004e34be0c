"""The store for several instances: one Redis or Valkey, its replicas and Sentinels, or a cluster.

A commit is one script call a site, all sites of a batch at once; inside it the site's batch is applied whole or not at all, and
once. The server's clock decides the second. A commit writes seconds, the minute and the running sum of the window; minutes that
have passed are folded into the coarser tiers later, and every read adds what is not folded yet. So numbers are exact whenever
the folding happens. Pages' traits wait for their hour in the same way, and visitors in sketches until their bucket is closed.
What the keys are, and what a key holds, is in `lua/site.lua` and `lua/pages.lua`; how servers are reached, in `redis_routes.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from footfall.errors import SettingError, StoreUnavailable
from footfall.model import (
    DEFAULT_RETENTION,
    MAX_BATCH_ENTRIES,
    WHOLE_SITE,
    Batch,
    Breakdown,
    Count,
    Counts,
    Document,
    Dump,
    Presence,
    Receipt,
    Retention,
    Section,
    Series,
    Span,
    Tier,
    TopPages,
)
from footfall.stores.base import Limits
from footfall.stores.redis.calls import Call, Scripts
from footfall.stores.redis.commits import NAMES, Status, commit_arguments, counts_from, limits_of, receipt_from
from footfall.stores.redis.detail_reads import broken_down, here_now, visitors_in
from footfall.stores.redis.documents import get_document, get_documents, put_document
from footfall.stores.redis.dump import dump, load
from footfall.stores.redis.forget import forget_page, forget_site
from footfall.stores.redis.keys import site_key
from footfall.stores.redis.long_reads import pages_of, summed
from footfall.stores.redis.retention import SiteKeeping
from footfall.stores.redis.scripts import ScriptClock, server_clock
from footfall.stores.redis.server.connections import Reply
from footfall.stores.redis.server.url import Place
from footfall.stores.redis.server.warnings import warnings_of
from footfall.stores.redis.site_list import ListOfSites
from footfall.stores.retention import SITE_KIND

_log = logging.getLogger(__name__)

#: Pages or buckets that one script call reads, and the most pages times seconds of a window: what it looks at where the running
#: sum has another width, or has not been brought up to the second.
READ_AT_ONCE = 2000
SUMMED_AT_ONCE = 40_000


class Pieces(NamedTuple):
    """How much a script call does at once, so that each stays short whatever the site's size.

    `part`: entries in one part of a second's bucket. `moved`: entries that go into the running sum or out of it.
    `folded`: pages of a passed minute that a commit folds into the coarser tiers on its way, or as many as it has entries itself:
    so folding keeps up with counting. Before a third minute is opened, the first is folded to its end. `sketches`: pages whose
    visitors of a closed hour or day a commit folds into numbers, or as many as it brings visitors of itself.
    """

    part: int = MAX_BATCH_ENTRIES
    moved: int = MAX_BATCH_ENTRIES
    folded: int = 500
    sketches: int = 100


#: Script calls that may lie between a call and its answer: some 2,000 entries each are moved into or out of the running sum.
PATIENCE = 10_000

#: A warning of a server's clock is not repeated for so many seconds.
WARNING_SECONDS = 60.0

_DURABILITY = re.compile(r"primary|replicas:([1-9]\d?)")


def replicas_of(durability: str) -> int:
    """How many replicas must confirm a commit: 0 for "primary", N for "replicas:N". SettingError for anything else."""
    match = _DURABILITY.fullmatch(durability)
    if match is None:
        raise SettingError(
            "FOOTFALL_DURABILITY", "write primary, or replicas:N with the number of replicas that shall confirm a view"
        )
    return int(match[1] or 0)


class RedisStore:
    """Counts in the Redis or Valkey at `place`.

    `event_id_ttl` is in seconds; `window` (seconds) is the width kept as a running sum, any other is summed when it is asked
    for. `durability` is "primary", or "replicas:N": then a commit counts once N replicas have confirmed it. `clock` is the
    snippet that scripts take the time with; `pieces` says how much they do at once.
    """

    def __init__(
        self,
        place: Place,
        retention: Retention = DEFAULT_RETENTION,
        event_id_ttl: int = 600,
        *,
        window: int = 60,
        durability: str = "primary",
        limits: Limits = Limits(),  # noqa: B008 - a tuple can't change
        clock: ScriptClock | None = None,
        pieces: Pieces = Pieces(),  # noqa: B008 - a tuple can't change
    ) -> None:
        """Make the store. It connects when it is first asked: `ping` shows whether it can. Raises SettingError."""
        self._pieces = pieces._asdict()
        self._keeping = SiteKeeping(retention, self._site_documents)
        self._event_id_ttl = event_id_ttl
        self._window = window
        self._of_commits = {**self._pieces, **NAMES, **limits_of(limits), "window": window, "ttl": event_id_ttl}
        self._scripts = Scripts(place, clock or server_clock(), replicas_of(durability), self._common)
        self._sites = ListOfSites(self._scripts)
        self._under_way = 0
        self._is_closed = False
        self._silent_until = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    def _common(self, site: str) -> Mapping[str, Any]:
        """What every script that is about a site is told."""
        return {**self._pieces, "keep": self._keeping.words(site)}

    # Calls of the contract

    async def commit(self, batch: Batch) -> Receipt:
        async with self._call_of_sites():
            replies = await self._commit_sites(batch)
            receipt = {}
            for site, part in batch.sites.items():
                receipt[site] = receipt_from(part, replies[site])
                if replies[site][0] == Status.UNCOUNTED:
                    counts = await self._read_counts(site, list(part.wanted), batch.window)
                    receipt[site] = msgspec.structs.replace(receipt[site], counts=counts.pages)
            return receipt

    async def rehearse(self, batch: Batch) -> None:
        async with self._call_of_sites():
            waiting = {
                site: commit_arguments(part, batch, self._of_commit(site), listed=True, rehearsed=True)
                for site, part in batch.sites.items()
            }
            await self._run_commits(batch, waiting)

    async def _commit_sites(self, batch: Batch) -> Mapping[str, Reply]:
        """Apply the batch to all its sites."""
        listed = await self._sites.add(batch.sites)
        waiting = {
            site: commit_arguments(part, batch, self._of_commit(site), listed=site in listed)
            for site, part in batch.sites.items()
        }
        return await self._run_commits(batch, waiting)

    async def _run_commits(self, batch: Batch, waiting: dict[str, bytes]) -> Mapping[str, Reply]:
        """Run a commit's script for each site. One that first has old seconds or minutes to take away is called again."""
        begun: list[str] = []
        replies: dict[str, Reply] = {}
        for _ in range(PATIENCE):
            if not waiting:
                await self._sites.put(begun)  # whoever forgot them may have taken them out since
                return replies
            calls = [Call("commit", site_key(site), arguments) for site, arguments in waiting.items()]
            for site, reply in zip(list(waiting), await self._scripts.run(calls, durable=True), strict=True):
                if reply[0] == Status.UNLISTED:
                    begun.append(site)
                    await self._sites.put([site])
                    waiting[site] = commit_arguments(batch.sites[site], batch, self._of_commit(site), listed=True)
                    continue
                self._warn_of_clock(reply[1 if reply[0] == Status.AGAIN else 2])
                if reply[0] != Status.AGAIN:
                    replies[site] = reply
                    del waiting[site]
        raise StoreUnavailable(f"{self._scripts.place} could not expire a site's old seconds in time; try again")

    def _of_commit(self, site: str) -> Mapping[str, Any]:
        return {**self._of_commits, "keep": self._keeping.words(site)}

    def _warn_of_clock(self, seconds: int) -> None:
        """Say that a server's clock is behind: not for each site that notices, but at most once a minute."""
        now = asyncio.get_running_loop().time()
        if seconds and now >= self._silent_until:
            self._silent_until = now + WARNING_SECONDS
            _log.warning(
                "the clock of %s is %d s behind the newest second of a site; its seconds go on from there, and its window was "
                "summed up again",
                self._scripts.place,
                seconds,
            )

    async def applied(self, site: str, writer: str) -> int:
        with self._call():
            return int(await self._scripts.ask("applied", site, writer=writer))

    async def counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        async with self._call_of_sites():
            return await self._read_counts(site, pages, window)

    async def _read_counts(self, site: str, pages: Sequence[str], window: int) -> Counts:
        at_once = max(1, min(READ_AT_ONCE, SUMMED_AT_ONCE // window))
        at = 0
        found: dict[str, Count] = {}
        for first in range(0, max(len(pages), 1), at_once):
            some = list(pages[first : first + at_once])
            at, flat = await self._scripts.ask("counts", site, pages=some, width=window, at=at)
            found |= counts_from(some, flat)
        return Counts(at, found)

    async def series(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        async with self._call_of_sites():
            starts = tier.starts(start, end)
            at, points = 0, []
            for first in range(0, max(len(starts), 1), READ_AT_ONCE):
                some = starts[first : first + READ_AT_ONCE]
                at, more = await self._points(site, page, tier, some, 0)
                points += more
            return Series(at, points)

    async def newest(self, site: str, page: str, span: Span) -> Series:
        async with self._call_of_sites():
            buckets = 1 if span.tier is Tier.TOTAL else span.buckets
            at, points = await self._points(site, page, span.tier, [], min(buckets, READ_AT_ONCE))
            while len(points) < buckets:
                first = span.tier.back(points[0][0], min(buckets - len(points), READ_AT_ONCE))
                older = span.tier.starts(first, points[0][0])
                points = (await self._points(site, page, span.tier, older, 0))[1] + points
            return Series(at, points)

    async def _points(
        self, site: str, page: str, tier: Tier, starts: Sequence[int], buckets: int
    ) -> tuple[int, list[tuple[int, int]]]:
        at, flat = await self._scripts.ask("series", site, page=page, tier=tier.value, starts=starts, buckets=buckets)
        return at, list(zip(flat[::2], flat[1::2], strict=True))

    async def top(self, site: str, span: Span, limit: int, after: tuple[int, str] | None = None) -> TopPages:
        async with self._call_of_sites():
            if span == Span(Tier.SECOND, self._window) and limit <= READ_AT_ONCE:
                found = await self._top_window(site, limit, after or (0, ""))
                if found is not None:
                    return found
            at, views = await summed(self._scripts, self._keeping.of(site), site, span)
            return TopPages(at, _ranked(views, limit, after))

    async def _top_window(self, site: str, limit: int, after: tuple[int, str]) -> TopPages | None:
        """The top pages of the running sum; None where none of our width is kept."""
        for _ in range(PATIENCE):
            reply = await self._scripts.ask("top_window", site, window=self._window, limit=limit, views=after[0], page=after[1])
            if reply[0] == 0:
                return TopPages(reply[1], pages_of(reply[2]))
            if reply[0] == 2:
                return None
            self._warn_of_clock(reply[1])
        raise StoreUnavailable(f"{self._scripts.place} could not expire a site's old seconds in time; try again")

    async def breakdown(
        self, site: str, page: str, dimension: str, span: Span, limit: int, after: tuple[int, str] | None = None
    ) -> Breakdown:
        async with self._call_of_sites():
            at, views = await broken_down(self._scripts, self._keeping.of(site), site, page, dimension, span)
            return Breakdown(at, _ranked(views, limit, after))

    async def visitors(self, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
        async with self._call_of_sites():
            return await visitors_in(self._scripts, site, page, tier, start, end)

    async def present(self, site: str) -> Presence:
        with self._call():
            return await here_now(self._scripts, site)

    async def document(self, kind: str, key: str) -> Document | None:
        with self._call():
            return await get_document(self._scripts, kind, key)

    async def documents(self, kind: str) -> list[Document]:
        with self._call():
            if kind != SITE_KIND:
                return await get_documents(self._scripts, kind)
            take = self._keeping.begin()
            found = await self._site_documents()
            take(found)
            return found

    async def _site_documents(self) -> list[Document]:
        return await get_documents(self._scripts, SITE_KIND)

    async def put_document(
        self, kind: str, key: str, value: bytes | None, *, version: int | None = None, until: int | None = None
    ) -> int | None:
        with self._call():
            try:
                return await put_document(self._scripts, kind, key, value, version, until)
            finally:
                if kind == SITE_KIND:
                    self._keeping.doubt()

    async def sites(self) -> list[str]:
        with self._call():
            return await self._sites.names()

    async def dump(self, site: str, section: Section, tier: Tier, after: str | None = None, limit: int = 10_000) -> Dump:
        async with self._call_of_sites():
            return await dump(self._scripts, site, section, tier, after, limit)

    async def load(self, site: str, section: Section, tier: Tier, rows: Sequence[tuple[int | str, ...]]) -> None:
        async with self._call_of_sites():
            await self._sites.put([site])
            await load(self._scripts, site, section, tier, rows, self._window)

    async def forget(self, site: str, page: str | None = None) -> None:
        async with self._call_of_sites():
            if page is None:
                await forget_site(self._scripts, self._event_id_ttl, site)
                await self._sites.remove(site)
            elif page != WHOLE_SITE:
                await forget_page(self._scripts, self._keeping.of(site), site, page)

    async def ping(self) -> None:
        with self._call():
            await self._scripts.ping()

    async def warnings(self) -> list[str]:
        """What in the servers' settings puts views at risk, one line each. Raises as every call does."""
        with self._call():
            return await warnings_of(self._scripts)

    async def close(self) -> None:
        self._is_closed = True
        await self._idle.wait()
        await self._scripts.close()

    # Scripts

    @contextlib.asynccontextmanager
    async def _call_of_sites(self) -> AsyncIterator[None]:
        """The same, for what depends on how long sites are kept."""
        with self._call():
            await self._keeping.keep_fresh()
            yield

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        """A call under way, which `close` waits for."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()


def _ranked(views: Mapping[str, int], limit: int, after: tuple[int, str] | None) -> list[tuple[str, int]]:
    """Names by their views, most first, equals by name, at most `limit` of those behind `after`."""
    entries = ((-n, name) for name, n in views.items() if n > 0)
    if after is not None:
        entries = (entry for entry in entries if entry > (-after[0], after[1]))
    return [(name, -n) for n, name in heapq.nsmallest(limit, entries)]
