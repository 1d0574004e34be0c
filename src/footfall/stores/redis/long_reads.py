"""Work on a site that is too long for one script call: the top pages of long periods, and forgetting.

It is done in pieces, each short, between which the server counts on. Whatever is counted meanwhile, no number is wrong by it:
how that is so stands with each. This module knows which scripts there are, and nothing of how they are called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from footfall.model import Retention, Span, Tier, oldest_kept
from footfall.stores.redis.calls import Scripts

#: Buckets that are erased in one call.
ERASED_AT_ONCE = 2000

#: The tiers that a forgotten site's buckets are left in, as lua/forget_site.lua has them in KEPT.
ERASED_TIERS = (Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY)

#: Buckets that are read in one round trip, each by a call of its own.
SCANNED_AT_ONCE = 8


def pages_of(flat: Sequence[Any]) -> list[tuple[str, int]]:
    """Pages and their views from a script's flat list of both."""
    return [(name.decode(), views) for name, views in zip(flat[::2], flat[1::2], strict=True)]


async def summed(scripts: Scripts, retention: Retention, site: str, span: Span) -> tuple[int, Mapping[str, int]]:
    """A site's second, and the views of all its pages in a span."""
    at, *known = await scripts.ask("look", site)
    if not known:
        return at, {}
    born = known[0].decode()
    newest, _, *unfolded = known[1:]
    start = max(span.start(at), oldest_kept(span.tier, retention, at))
    views: dict[str, int] = defaultdict(int)
    if span.tier is Tier.SECOND:
        part = 0
        while start <= newest:
            start, part, flat = await scripts.ask("seconds", site, born=born, first=start, behind=part, last=newest)
            for page, n in pages_of(flat):
                views[page] += n
        return at, views
    starts = [bucket for bucket in span.tier.starts(start, newest + 1) if bucket >= start]
    for first in range(0, len(starts), SCANNED_AT_ONCE):
        for found in await _buckets(scripts, site, born, span.tier, starts[first : first + SCANNED_AT_ONCE], unfolded):
            for page, n in found.items():
                views[page] += n
    return at, views


async def _buckets(
    scripts: Scripts, site: str, born: str, tier: Tier, starts: Sequence[int], unfolded: Sequence[int]
) -> list[dict[str, int]]:
    """The pages of some buckets of a tier.

    Each page's number is exact at the moment it is read, and where a page is met again, the later number holds. A page that is
    not folded yet may stand in none of the buckets' own keys: so the minutes that were not folded at the start are searched too.
    """
    minutes = [minute for minute in unfolded if minute >= 0 and tier is not Tier.MINUTE]
    scans = [
        (i, minute, b"0")
        for i, start in enumerate(starts)
        for minute in (*(minute for minute in minutes if tier.start(minute) == start), -1)
    ]
    found: list[dict[str, int]] = [{} for _ in starts]
    while scans:
        calls = [
            scripts.call("scan", site, born=born, tier=tier.value, start=starts[i], minute=minute, cursor=cursor.decode())
            for i, minute, cursor in scans
        ]
        replies = await scripts.run(calls)
        for (i, _, _), (_, flat) in zip(scans, replies, strict=True):
            found[i].update(pages_of(flat))
        scans = [(i, minute, reply[0]) for (i, minute, _), reply in zip(scans, replies, strict=True) if reply[0] != b"0"]
    return found


async def forget_site(scripts: Scripts, event_id_ttl: int, site: str) -> None:
    """Forget a site: at once nothing of it can be read any more, and what is counted from then on is a new site's.

    Then the buckets that are left are erased, those too that were left when this was cut short before.
    """
    left = await scripts.ask("forget_site", site, durable=True, ttl=event_id_ttl)
    for name, newest, oldest, dimensions in left:
        born = name.decode()
        for tier, first in zip(ERASED_TIERS, oldest, strict=True):
            starts = tier.starts(first, newest + 1)
            await _erase(scripts, "erase", site, tier, starts, born=born)
            while starts and tier in (Tier.HOUR, Tier.DAY):
                some = starts[:ERASED_AT_ONCE]
                arguments = {"tier": tier.value, "starts": some, "dimensions": [name.decode() for name in dimensions]}
                done = await scripts.ask("erase_details", site, durable=True, born=born, **arguments)
                starts = starts[done:]
        await scripts.ask("erase", site, durable=True, tier="", starts=[], born=born)


async def forget_page(scripts: Scripts, retention: Retention, site: str, page: str) -> None:
    """Forget a page: at once it is out of the window, the total and all buckets that still get views.

    Then it is erased from the buckets behind those.
    """
    found = await scripts.ask("forget_page", site, durable=True, page=page, starts=[], tier="", born="")
    if not found:
        return
    second, open_minute, minute_before, until, newest, first = found[:6]
    born = found[6].decode()
    for tier in (tier for tier in Tier if tier is not Tier.TOTAL):
        oldest = until - retention[tier] if tier in retention else first
        if tier is Tier.SECOND:
            starts = list(range(oldest, second))
        else:
            done = {tier.start(minute) for minute in (open_minute, minute_before) if minute >= 0}
            starts = [start for start in tier.starts(oldest, newest + 1) if start not in done]
        await _erase(scripts, "forget_page", site, tier, starts, born=born, page=page)


async def _erase(scripts: Scripts, script: str, site: str, tier: Tier, starts: Sequence[int], **arguments: Any) -> None:
    for first in range(0, len(starts), ERASED_AT_ONCE):
        some = list(starts[first : first + ERASED_AT_ONCE])
        await scripts.ask(script, site, durable=True, tier=tier.value, starts=some, **arguments)
