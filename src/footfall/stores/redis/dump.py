"""Dumping a site and loading it, in script calls of some 2,000 rows, between which the server counts on.

A dump goes from bucket to bucket of a tier. Buckets that have ended do not change under it; those that minutes will still be
folded into are given all their pages first, so that each is met once however far the folding has come.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from footfall.model import OTHER, Dump, Section, Tier
from footfall.stores.redis.calls import Scripts

#: Rows that one call of a script gives, about, or adds.
DUMPED_AT_ONCE = 2000
LOADED_AT_ONCE = 2000

#: Tiers that minutes are folded into.
_COARSE = (Tier.HOUR, Tier.DAY, Tier.MONTH, Tier.TOTAL)


async def dump(scripts: Scripts, site: str, section: Section, tier: Tier, after: str | None, limit: int) -> Dump:
    """About `limit` rows of a section and tier, from where `after` says."""
    if after is None:
        born, start, place = "", 0, ""
        if section is Section.VIEWS and tier in _COARSE:
            await _settle(scripts, site, tier)
    else:
        born, start, place = json.loads(after)
    at, rows = 0, list[tuple[int | str, ...]]()
    while start >= 0 and (len(rows) < limit or not rows):
        arguments: dict[str, Any] = {"tier": tier.value, "born": born, "start": start, "place": place}
        reply = await scripts.ask(f"dump_{section.value}", site, most=min(limit, DUMPED_AT_ONCE), **arguments)
        at, born, start, place, more = reply[0], reply[1].decode(), reply[2], reply[3].decode(), reply[4]
        rows += [tuple(word.decode() if isinstance(word, bytes) else word for word in row) for row in more]
    return Dump(at, rows, None if start < 0 else json.dumps([born, start, place]))


async def _settle(scripts: Scripts, site: str, tier: Tier) -> None:
    minute, cursor = -1, "0"
    while True:
        minute, found = await scripts.ask("settle", site, tier=tier.value, minute=minute, cursor=cursor)
        cursor = found.decode()
        if minute < 0:
            return


async def load(scripts: Scripts, site: str, section: Section, tier: Tier, rows: Sequence[tuple[Any, ...]], window: int) -> None:
    """Add rows of a dump to a site that stands in the list of sites; `window` (seconds) is the width kept as a running sum."""
    for first in range(0, len(rows), LOADED_AT_ONCE):
        some = rows[first : first + LOADED_AT_ONCE]
        arguments = {"section": section.value, "tier": tier.value, "rows": some, "window": window, "other": OTHER}
        await scripts.ask("load", site, durable=True, **arguments)
