"""Work on a site that is too long for one script call: the top pages of long periods.

It is done in pieces, each short, between which the server counts on. Whatever is counted meanwhile, no number is wrong by it:
how that is so stands with each. This module knows which scripts there are, and nothing of how they are called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from footfall.model import Retention, Span, Tier, oldest_kept
from footfall.stores.redis.calls import Scripts

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
