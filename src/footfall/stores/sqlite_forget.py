"""Forgetting a page or a site in the SQLite store, in pieces that hold counting up only for a moment each.

What is to be forgotten has lost its name before, so no new view finds it; a piece is a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from footfall.model import Tier
from footfall.stores import sqlite_sql as sql

#: Buckets whose rows one piece deletes.
BUCKETS_AT_ONCE = 5000

#: Runs a statement in a transaction of its own; gives the number of rows it changed.
Execute = Callable[..., Awaitable[int]]

#: Gives the rows of a question.
Fetch = Callable[..., Awaitable[list[Any]]]


async def forget_site(execute: Execute, id: int) -> None:
    """Delete all rows of a site, and the site."""
    for statement in sql.FORGET_SITE:
        while await execute(statement, id):
            pass
    await execute(sql.REMOVE_SITE, id)


async def forget_page(fetch: Fetch, execute: Execute, site: int, id: int) -> None:
    """Delete all rows of a page, and the page."""
    for tier in Tier:
        ((first, last),) = await fetch(sql.EXTENT[tier], site)
        starts = tier.starts(first, last + 1) if first is not None else []
        for some in (starts[i : i + BUCKETS_AT_ONCE] for i in range(0, len(starts), BUCKETS_AT_ONCE)):
            await execute(sql.FORGET_PAGE[tier], site, id, msgspec.json.encode(some).decode())
    await execute(sql.REMOVE_PAGE, id)
