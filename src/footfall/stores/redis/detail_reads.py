"""Reading what is known of visits: breakdowns, visitors by hour and day, and who is here now; each in pieces of bounded work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from footfall.model import Presence, Retention, Series, Span, Tier, oldest_kept
from footfall.stores.base import detail_tier
from footfall.stores.redis.calls import Scripts
from footfall.stores.redis.long_reads import pages_of

#: Buckets that one call is asked for; it answers for fewer where they are full.
READ_AT_ONCE = 500


async def broken_down(
    scripts: Scripts, retention: Retention, site: str, page: str, dimension: str, span: Span
) -> tuple[int, Mapping[str, int]]:
    """A site's second, and the views of all values of a dimension in a span."""
    tier = detail_tier(span.tier, page)
    at, *known = await scripts.ask("look", site)
    views: dict[str, int] = defaultdict(int)
    if not known:
        return at, views
    born, newest, first = known[0].decode(), known[1], known[2]
    oldest = max(span.start(at), oldest_kept(tier, retention, at))
    starts = [start for start in tier.starts(max(oldest, first), newest + 1) if start >= oldest]
    while starts:
        some = starts[:READ_AT_ONCE]
        done, flat = await scripts.ask("breakdown", site, born=born, page=page, dimension=dimension, tier=tier.value, starts=some)
        for value, n in pages_of(flat):
            views[value] += n
        starts = starts[done:]
    return at, views


async def visitors_in(scripts: Scripts, site: str, page: str, tier: Tier, start: int, end: int) -> Series:
    """A page's or the site's visitors by hour or day."""
    starts = tier.starts(start, end)
    at = 0
    points: list[tuple[int, int]] = []
    for first in range(0, max(len(starts), 1), READ_AT_ONCE):
        some = starts[first : first + READ_AT_ONCE]
        at, numbers = await scripts.ask("visitors_of", site, page=page, tier=tier.value, starts=some)
        points += zip(some, numbers, strict=True)
    return Series(at, points)


async def here_now(scripts: Scripts, site: str) -> Presence:
    """The visitors of the newest minutes."""
    at, visitors = await scripts.ask("present", site)
    return Presence(at, visitors)
