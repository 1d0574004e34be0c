"""Forgetting a page or a site in the SQLite store, in pieces that hold counting up only for a moment each.

What is to be forgotten has lost its name before, so no new view finds it; a piece is a transaction of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from footfall.stores.sqlite import statements as sql
from footfall.stores.sqlite.details.pending import fold
from footfall.stores.sqlite.site_row import as_json, look

#: Runs a statement in a transaction of its own; gives the number of rows it changed.
Execute = Callable[..., Awaitable[int]]

#: Gives the rows of a question.
Fetch = Callable[..., Awaitable[list[Any]]]


def hide_page(cx: sqlite3.Connection, site: str, page: str) -> list[tuple[int, int]]:
    """Take a page's name away: (site id, page id) of it, and of those whose forgetting was cut short before."""
    known, _ = look(cx, site, 0)
    if known is None:
        return []
    if cx.execute(sql.HIDE_PAGE, (known.id, page)).rowcount:
        fold(cx, known)  # no detail of the page may come to its table later
        cx.execute(sql.NEW_GENERATION, (known.id,))
    return [(known.id, id) for (id,) in cx.execute(sql.HIDDEN_PAGES, (known.id,))]


async def forget_site(execute: Execute, id: int) -> None:
    """Delete all rows of a site, and the site."""
    for statement in sql.FORGET_SITE:
        while await execute(statement, id):
            pass
    await execute(sql.REMOVE_SITE, id)


async def forget_page(fetch: Fetch, execute: Execute, site: int, id: int) -> None:
    """Delete all rows of a page, and the page."""
    for rows in sql.FORGET_PAGE:
        ((first, last),) = await fetch(rows.extent, site)
        starts = rows.tier.starts(first, last + 1) if first is not None else []
        for some in (starts[i : i + rows.at_once] for i in range(0, len(starts), rows.at_once)):
            await execute(rows.delete, site, id, as_json(some))
    await execute(sql.REMOVE_PAGE, id)
