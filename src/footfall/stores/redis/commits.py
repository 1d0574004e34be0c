"""What a commit's script is told of a site's part of a batch, and what its reply says.

The views of a batch go to the script as they stand in it, without a step for each in Python: one process commits for many
visitors, and the server has more time for that than the process has. This module knows nothing of how scripts are called.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from footfall.model import DIMENSIONS, DUPLICATE, OTHER, OUTCOME, Batch, Count, DropReason, SiteBatch, SiteReceipt
from footfall.stores.base import MAX_EVENT_IDS, Limits
from footfall.stores.redis.scripts import as_msgpack
from footfall.stores.redis.server.connections import Reply

#: What the scripts that count need to know by name.
NAMES: Mapping[str, Any] = {
    "dimensions": [dimension.name for dimension in DIMENSIONS],
    "outcome": OUTCOME,
    "other": OTHER,
    "duplicate": DUPLICATE,
    "too_many": DropReason.TOO_MANY_PAGES.value,
}


class Status(enum.IntEnum):
    """What became of a commit: see lua/commit.lua, which says the same."""

    DONE = 0
    AGAIN = 1
    UNCOUNTED = 2
    UNLISTED = 3


def limits_of(limits: Limits) -> Mapping[str, int]:
    """The limits under the names that the script knows them by."""
    return {"values": limits.values, "pages_a_day": limits.pages, "page_values": limits.page_values}


def commit_arguments(part: SiteBatch, batch: Batch, common: Mapping[str, Any], *, listed: bool, rehearsed: bool = False) -> bytes:
    """A site's part of a batch as the script reads it; `listed` says that the site has just been put into the list of sites,
    `rehearsed` that nothing is to be counted.

    Visitors are written in decimal: Lua's numbers hold 53 bits.
    """
    entries = len(part.pages) + len(part.timed) + len(part.events)
    times = part.events.values()
    return as_msgpack(
        **{**common}
        | {"folded": max(entries, common["folded"]), "sketches": max(len(part.visitors) + len(part.visits), common["sketches"])},
        listed=listed,
        rehearsed=rehearsed,
        writer=batch.writer,
        sequence=batch.sequence,
        lasting=batch.lasting,
        pages=list(part.pages.items()),
        timed=list(part.timed.items()),
        ids=list(part.events),
        id_pages=[page for page, _ in times],
        id_times=[at for _, at in times],
        wanted=list(part.wanted),
        width=batch.window,
        most_ids=MAX_EVENT_IDS,
        visitors=[(page, at, list(map(str, who))) for (page, at), who in part.visitors.items()],
        visits=[(id, str(who)) for id, (_, who) in part.visits.items() if who is not None],
        **_rows(part),
        outcomes=dict(part.outcomes),
        most_new_pages=part.most_new_pages,
        known_only=list(part.known_only),
    )


def _rows(part: SiteBatch) -> Mapping[str, Any]:
    """Traits by rows, and by columns the different values of each dimension and where a row's is among them, from 1 on."""
    rows = [(*key, views) for key, views in part.traits.items() if key[2]]
    visits = [(id, traits) for id, (traits, _) in part.visits.items() if traits]
    columns = []
    for column in zip(*(row[2] for row in rows), *(traits for _, traits in visits), strict=True):
        places = {value: place for place, value in enumerate(dict.fromkeys(column), 1)}
        columns.append((list(places), [places[value] for value in column]))
    return {
        "row_pages": [row[0] for row in rows],
        "row_times": [row[1] for row in rows],
        "row_views": [row[3] for row in rows],
        "row_ids": [id for id, _ in visits],
        "columns": columns,
    }


def counts_from(pages: Sequence[str], flat: Sequence[int]) -> dict[str, Count]:
    """Counts from a script's three numbers a page. A site that was never seen has none."""
    if not flat:
        return dict.fromkeys(pages, Count(0, 0, 0))
    return {page: Count(*flat[3 * i : 3 * i + 3]) for i, page in enumerate(pages)}


def receipt_from(part: SiteBatch, reply: Reply) -> SiteReceipt:
    """What a reply says of a site's part; without the counts where it says UNCOUNTED."""
    status, at, _, places, refused, opened, flat = reply
    ids = list(part.events) if places else []
    return SiteReceipt(
        at,
        counts_from(list(part.wanted), flat) if status == Status.DONE and part.wanted else {},
        frozenset(ids[place] for place in places),
        frozenset(page.decode() for page in refused),
        frozenset(page.decode() for page in opened),
    )
