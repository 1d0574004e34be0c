"""Writing a backup, line by line, while the store counts on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import msgspec

from footfall.auth.credentials import KEY_KIND, KEY_NAME
from footfall.backup.lines import (
    KINDS,
    MAX_LINE_BYTES,
    PARTS,
    ROWS_AT_ONCE,
    VERSION,
    BucketSums,
    End,
    Header,
    Kept,
    Progress,
    Row,
    Sums,
    dumped,
)
from footfall.model import Document, Section, Tier
from footfall.stores import Store
from footfall.stores.base import VISITOR_GRACE
from footfall.stores.retention import SITE_KIND


async def back_up(store: Store, made: int, by: str, progress: Progress = lambda _rows, _site: None) -> AsyncIterator[bytes]:
    """The lines of a backup, each with its end. `made` is now in Unix seconds, `by` Footfall's version. Raises StoreError."""
    encode = msgspec.json.Encoder().encode
    yield encode(Header(VERSION, made, by)) + b"\n"
    total = documents = 0
    for document in await _worth_keeping(store, SITE_KIND):
        documents += 1
        yield encode(Kept(SITE_KIND, document.key, document.value, document.until)) + b"\n"
    sites = await store.sites()
    for site in sites:
        for section, tier in PARTS:
            sums = BucketSums()
            first = None
            async for at, rows in dumped(store, site, section, tier, ROWS_AT_ONCE):
                first = at if first is None else first
                for line in _lines_of_rows(encode, site, section, tier, rows):
                    yield line
                total += len(rows)
                progress(total, site)
                if section is not Section.WRITERS:
                    sums.add(rows)
            ended = [sums.bucket(start) for start in sorted(sums.sums) if _has_ended(section, tier, start, first or 0)]
            for place in range(0, len(ended), ROWS_AT_ONCE):
                yield encode(Sums(site, section, tier, ended[place : place + ROWS_AT_ONCE])) + b"\n"
    for kind in (kind for kind in KINDS if kind != SITE_KIND):
        for document in await _worth_keeping(store, kind):
            documents += 1
            yield encode(Kept(kind, document.key, document.value, document.until)) + b"\n"
    yield encode(End(total, len(sites), documents)) + b"\n"


async def _worth_keeping(store: Store, kind: str) -> list[Document]:
    """The documents of a kind; of the keys only the one that what is kept is signed with."""
    documents = await store.documents(kind)
    return [document for document in documents if document.key == KEY_NAME] if kind == KEY_KIND else documents


def _lines_of_rows(
    encode: Callable[[object], bytes], site: str, section: Section, tier: Tier, rows: Sequence[Row]
) -> Iterator[bytes]:
    """The line of some rows; several where it would be too long, or where a store gave more rows than one call takes."""
    if not rows:
        return
    line = encode({"type": "rows", "site": site, "section": section, "tier": tier, "rows": rows}) + b"\n"
    if len(line) <= MAX_LINE_BYTES and len(rows) <= 2 * ROWS_AT_ONCE:
        yield line
        return
    half = len(rows) // 2
    yield from _lines_of_rows(encode, site, section, tier, rows[:half])
    yield from _lines_of_rows(encode, site, section, tier, rows[half:])


def _has_ended(section: Section, tier: Tier, start: int, at: int) -> bool:
    """Whether the bucket that begins at `start` takes no more views at `at`, nor visitors where it is about these."""
    if tier is Tier.TOTAL:
        return False
    return tier.back(start, -1) + (VISITOR_GRACE if section is Section.VISITORS else 0) <= at
