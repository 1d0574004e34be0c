"""Forgetting a site or a page.

It takes too long for one script call, so it is done in short pieces, between which the server counts on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from footfall.model import Retention, Tier
from footfall.stores.redis.calls import Scripts

#: Buckets that are erased in one call.
ERASED_AT_ONCE = 2000


#: The tiers that a forgotten site's buckets are left in, as lua/forget_site.lua has them in KEPT.
ERASED_TIERS = (Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY)


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
