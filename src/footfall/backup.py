"""Backing a store up while it counts, and restoring the backup into an empty store of any kind.

A backup is lines of JSON, written and read one by one, so neither its size nor the store's matters: a header, the sites'
documents (which say how long each is kept), each site's rows and the sums of all its buckets that had ended, the other documents
worth keeping, and an end that says how much there was. A restore is right when the new store has the same sums. Salts, sessions,
attempts to log in and what instances tell each other are left out. Nothing here knows files or a command line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from footfall.errors import BadInput
from footfall.model import Retention, Section, Tier, oldest_kept
from footfall.stores import Store
from footfall.stores.base import VISITOR_GRACE, VISITOR_HOURS
from footfall.stores.retention import SITE_KIND, Keeping

#: The version of the form that is written; only this one is read.
VERSION = 1

#: Rows of one line, about; a store takes at most 10,000 at a time.
ROWS_AT_ONCE = 2000
MOST_ROWS = 10_000

#: The parts of a site, in the order in which they are dumped and loaded.
PARTS: tuple[tuple[Section, Tier], ...] = (
    *((Section.VIEWS, tier) for tier in Tier),
    *((Section.TRAITS, tier) for tier in (Tier.HOUR, Tier.DAY, Tier.MONTH)),
    *((Section.VISITORS, tier) for tier in (Tier.HOUR, Tier.DAY)),
    (Section.WRITERS, Tier.TOTAL),
)

#: The kinds of documents that are backed up: sites, the hashes of tokens, share links and of the password. (A test compares these
#: names with those of the modules that own them.)
KINDS = (SITE_KIND, "token", "share", "password")

Row: TypeAlias = tuple[int | str, ...]


class Header(msgspec.Struct, frozen=True, tag="footfall-backup"):
    """The first line: the version of the form, and when (Unix seconds) and by which Footfall it was made."""

    version: int
    made: int
    by: str


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Some rows of a part of a site; their shape is that of the section."""

    site: str
    section: Section
    tier: Tier
    rows: msgspec.Raw


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """What the rows of a bucket add up to: its start, how many rows there are, and the sum of their numbers."""

    start: int
    rows: int
    sum: int


class Sums(msgspec.Struct, frozen=True, tag="sums"):
    """The manifest of a part of a site: all its buckets that had ended when the part was dumped."""

    site: str
    section: Section
    tier: Tier
    buckets: list[Bucket]


class Kept(msgspec.Struct, frozen=True, tag="document"):
    """A document; its value is in Base64."""

    kind: str
    key: str
    value: bytes
    until: int | None = None


class End(msgspec.Struct, frozen=True, tag="end"):
    """The last line: how many rows, sites and documents stand before it."""

    rows: int
    sites: int
    documents: int


Line: TypeAlias = Header | Rows | Sums | Kept | End

_ROW_TYPES: Mapping[Section, Any] = {
    Section.VIEWS: list[tuple[int, str, int]],
    Section.TRAITS: list[tuple[int, str, str, str, int]],
    Section.VISITORS: list[tuple[int, str, int]],
    Section.WRITERS: list[tuple[str, int]],
}

#: Told how many rows have been dealt with, and of which site.
Progress = Callable[[int, str], None]


class Restored(NamedTuple):
    """What a restore has loaded, how many buckets it compared with the manifest, and how many the store no longer keeps."""

    rows: int
    sites: int
    documents: int
    compared: int
    too_old: int


class _Tally:
    """Sums of rows by bucket."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.sums: dict[int, int] = {}

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            start, number = int(row[0]), int(row[-1])
            self.rows[start] = self.rows.get(start, 0) + 1
            self.sums[start] = self.sums.get(start, 0) + number

    def bucket(self, start: int) -> Bucket:
        return Bucket(start, self.rows.get(start, 0), self.sums.get(start, 0))


# Backing up


async def back_up(store: Store, made: int, by: str, progress: Progress = lambda _rows, _site: None) -> AsyncIterator[bytes]:
    """The lines of a backup, each with its end. `made` is now in Unix seconds, `by` Footfall's version. Raises StoreError."""
    encode = msgspec.json.Encoder().encode
    yield encode(Header(VERSION, made, by)) + b"\n"
    total = documents = 0
    for document in await store.documents(SITE_KIND):
        documents += 1
        yield encode(Kept(SITE_KIND, document.key, document.value, document.until)) + b"\n"
    sites = await store.sites()
    for site in sites:
        for section, tier in PARTS:
            tally = _Tally()
            first = None
            async for at, rows in dumped(store, site, section, tier, ROWS_AT_ONCE):
                first = at if first is None else first
                if rows:
                    yield encode({"type": "rows", "site": site, "section": section, "tier": tier, "rows": rows}) + b"\n"
                    total += len(rows)
                    progress(total, site)
                if section is not Section.WRITERS:
                    tally.add(rows)
            ended = [tally.bucket(start) for start in sorted(tally.sums) if _has_ended(section, tier, start, first or 0)]
            if ended:
                yield encode(Sums(site, section, tier, ended)) + b"\n"
    for kind in (kind for kind in KINDS if kind != SITE_KIND):
        for document in await store.documents(kind):
            documents += 1
            yield encode(Kept(kind, document.key, document.value, document.until)) + b"\n"
    yield encode(End(total, len(sites), documents)) + b"\n"


async def dumped(store: Store, site: str, section: Section, tier: Tier, limit: int) -> AsyncIterator[tuple[int, list[Row]]]:
    """All rows of a part of a site, some at a time, each time with the store's second."""
    after: str | None = None
    while True:
        dump = await store.dump(site, section, tier, after, limit)
        yield dump.at, dump.rows
        after = dump.after
        if after is None:
            return


def _has_ended(section: Section, tier: Tier, start: int, at: int) -> bool:
    """Whether the bucket that begins at `start` takes no more views at `at`, nor visitors where it is about these."""
    if tier is Tier.TOTAL:
        return False
    return tier.back(start, -1) + (VISITOR_GRACE if section is Section.VISITORS else 0) <= at


# Restoring


def read_backup(lines: Iterable[bytes]) -> Iterator[Line]:
    """The lines of a backup, checked one by one and against the last. Raises BadInput where it is none, or not whole."""
    decode = msgspec.json.Decoder(Line).decode
    rows = documents = 0
    sites: set[str] = set()
    end: End | None = None
    for number, raw in enumerate(lines, 1):
        try:
            line: Line = decode(raw)
            if isinstance(line, Rows):
                found = rows_of(line)
                rows += len(found)
                sites.add(line.site)
        except msgspec.MsgspecError as error:
            what = "it is no backup of Footfall" if number == 1 else f"line {number} can't be read ({error})"
            raise BadInput("backup", f"{what}; name a file that footfall backup has written") from None
        if (number == 1) is not isinstance(line, Header) or end is not None:
            raise BadInput("backup", f"line {number} is out of place; name a file that footfall backup has written")
        if isinstance(line, Header) and line.version != VERSION:
            raise BadInput("backup", f"its form has version {line.version}; this Footfall reads {VERSION}, another may read it")
        documents += isinstance(line, Kept)
        end = line if isinstance(line, End) else None
        yield line
    # A site may have nothing left but lines that expired meanwhile, so there may be more sites than rows tell of.
    if end is None or (end.rows, end.documents) != (rows, documents) or end.sites < len(sites):
        raise BadInput("backup", "it is not whole: its end is missing or tells of other numbers; use another backup")


def rows_of(line: Rows) -> list[Row]:
    """The rows in a line. Raises msgspec.ValidationError."""
    rows: list[Row] = msgspec.json.decode(line.rows, type=_ROW_TYPES[line.section])
    if len(rows) > MOST_ROWS or any(isinstance(number := row[-1], int) and number < 0 for row in rows):
        raise msgspec.ValidationError(f"at most {MOST_ROWS} rows, none below 0")
    return rows


async def refuse_unless_empty(store: Store) -> None:
    """Raise BadInput where a store has views, sites, tokens, links or a password."""
    found = [f"views of {site}" for site in (await store.sites())[:3]]
    found += [f"a {kind}" for kind in KINDS if await store.documents(kind)]
    if found:
        raise BadInput("store", f"it is not empty ({', '.join(found)}); restore into one that is, under another name")


async def restore(
    lines: Iterable[Line], store: Store, retention: Retention, progress: Progress = lambda _rows, _site: None
) -> Restored:
    """Load a backup, checked by `read_backup` before, into an empty store, and compare its sums. Raises BadInput and StoreError.

    `retention` is what the store keeps of sites that do not say otherwise. Where it fails, what was loaded is taken away again,
    as far as the store lets it be.
    """
    await refuse_unless_empty(store)
    begun: set[str] = set()
    documents: list[tuple[str, str]] = []
    try:
        return await _load(lines, store, retention, progress, begun, documents)
    except BaseException:
        await _undo(store, begun, documents)
        raise


async def _load(
    lines: Iterable[Line],
    store: Store,
    retention: Retention,
    progress: Progress,
    begun: set[str],
    documents: list[tuple[str, str]],
) -> Restored:
    rows = compared = too_old = 0
    keeping, rules = Keeping(retention), dict[str, bytes]()
    manifest: list[Sums] = []
    for line in lines:
        if isinstance(line, Rows | Sums) and manifest and manifest[0].site != line.site:
            kept = keeping.of(rules.get(manifest[0].site))
            compared, too_old = _plus((compared, too_old), await _compare(store, manifest, kept))
            manifest = []
        if isinstance(line, Rows):
            begun.add(line.site)
            some = rows_of(line)
            await store.load(line.site, line.section, line.tier, some)
            rows += len(some)
            progress(rows, line.site)
        elif isinstance(line, Sums):
            manifest.append(line)
        elif isinstance(line, Kept) and line.kind in KINDS:
            documents.append((line.kind, line.key))
            if line.kind == SITE_KIND:
                rules[line.key] = line.value
            await store.put_document(line.kind, line.key, line.value, version=0, until=line.until)
    if manifest:
        kept = keeping.of(rules.get(manifest[0].site))
        compared, too_old = _plus((compared, too_old), await _compare(store, manifest, kept))
    return Restored(rows, len(begun), len(documents), compared, too_old)


def _plus(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


async def _compare(store: Store, manifest: Iterable[Sums], retention: Retention) -> tuple[int, int]:
    """Compare a site's parts with its manifest; how many buckets agreed, and how many are no longer kept. Raises BadInput."""
    compared = too_old = 0
    for part in manifest:
        tally = _Tally()
        at = 0
        async for moment, rows in dumped(store, part.site, part.section, part.tier, MOST_ROWS):
            at = moment
            tally.add(rows)
        oldest = oldest_kept(part.tier, retention, at)
        if part.section is Section.VISITORS and part.tier is Tier.HOUR:
            oldest = max(oldest, at - VISITOR_HOURS + 1)
        for bucket in part.buckets:
            if bucket.start < oldest:
                too_old += 1
            elif tally.bucket(bucket.start) != bucket:
                found = tally.bucket(bucket.start)
                raise BadInput(
                    "store",
                    f"the {part.section.value} of {part.site} in the {part.tier.value} from {bucket.start} are {found.sum}, but "
                    f"{bucket.sum} in the backup; let nobody else write to the store meanwhile, and restore again",
                )
            else:
                compared += 1
    return compared, too_old


async def _undo(store: Store, sites: Iterable[str], documents: Iterable[tuple[str, str]]) -> None:
    undoing: list[Awaitable[Any]] = [store.forget(site) for site in sites]
    undoing += [store.put_document(kind, key, None) for kind, key in documents]
    for each in undoing:
        try:
            await each
        except Exception:  # noqa: S112 - what has failed already is told; the store may be away
            continue
