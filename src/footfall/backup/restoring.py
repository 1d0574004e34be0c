"""Restoring a backup into an empty store, and comparing what the store has then with what the backup says."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, NamedTuple

from footfall.auth.credentials import KEY_KIND
from footfall.backup.lines import KINDS, MOST_ROWS, Bucket, BucketSums, Kept, Line, Progress, Rows, Sums, dumped
from footfall.backup.reading import rows_of
from footfall.errors import BadInput
from footfall.model import Retention, Section, Tier, oldest_kept
from footfall.stores import Store
from footfall.stores.base import VISITOR_HOURS
from footfall.stores.retention import SITE_KIND, Keeping


class Restored(NamedTuple):
    """What a restore has loaded, how many buckets it compared with the manifest, and how many the store no longer keeps."""

    rows: int
    sites: int
    documents: int
    compared: int
    too_old: int


async def refuse_unless_empty(store: Store) -> None:
    """Raise BadInput where a store has views, sites, tokens, links or a password.

    A key does not count: a server that was only started has drawn one, and nothing is signed with it.
    """
    found = [f"views of {site}" for site in (await store.sites())[:3]]
    found += [f"a {kind}" for kind in KINDS if kind != KEY_KIND and await store.documents(kind)]
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
    restoring = _Restoring(store, retention, progress)
    try:
        return await restoring.load(lines)
    except BaseException:
        await restoring.undo()
        raise


class _Restoring:
    """One restore, and what it has done so far."""

    def __init__(self, store: Store, retention: Retention, progress: Progress) -> None:
        self._store = store
        self._retention = retention
        self._progress = progress
        self._rows = self._compared = self._too_old = 0
        self._begun: set[str] = set()
        self._documents: list[tuple[str, str]] = []
        self._kept: dict[str, Retention] = {}
        #: The site that is being loaded, and what its parts must come to.
        self._site = ""
        self._manifest: dict[tuple[Section, Tier], list[Bucket]] = {}

    async def load(self, lines: Iterable[Line]) -> Restored:
        """Load all lines."""
        keys: list[Kept] = []
        for line in lines:
            if isinstance(line, Rows | Sums):
                if line.site != self._site:
                    await self._compare()
                    self._site = line.site
                if isinstance(line, Rows):
                    await self._load_rows(line)
                else:
                    self._manifest.setdefault((line.section, line.tier), []).extend(line.buckets)
            elif isinstance(line, Kept):
                if line.kind == KEY_KIND:
                    keys.append(line)
                else:
                    await self._load_document(line)
        await self._compare()
        for key in keys:  # last, for it takes the place of one that may be there, and that can't be undone
            await self._store.put_document(key.kind, key.key, key.value, until=key.until)
        return Restored(self._rows, len(self._begun), len(self._documents) + len(keys), self._compared, self._too_old)

    async def _load_rows(self, line: Rows) -> None:
        self._begun.add(line.site)
        rows = rows_of(line)
        await self._store.load(line.site, line.section, line.tier, rows)
        self._rows += len(rows)
        self._progress(self._rows, line.site)

    async def _load_document(self, kept: Kept) -> None:
        if await self._store.put_document(kept.kind, kept.key, kept.value, version=0, until=kept.until) is None:
            raise BadInput("store", f"somebody else has written a {kept.kind}; let nobody write, and restore again")
        self._documents.append((kept.kind, kept.key))
        if kept.kind == SITE_KIND:
            self._kept[kept.key] = Keeping(self._retention).of(kept.value)

    async def _compare(self) -> None:
        """Compare a site's parts with its manifest. Raises BadInput."""
        retention: Mapping[Tier, int] = self._kept.get(self._site, self._retention)
        for (section, tier), buckets in self._manifest.items():
            sums = BucketSums()
            at = 0
            async for moment, rows in dumped(self._store, self._site, section, tier, MOST_ROWS):
                at = moment
                sums.add(rows)
            oldest = oldest_kept(tier, retention, at)
            if section is Section.VISITORS and tier is Tier.HOUR:
                oldest = max(oldest, at - VISITOR_HOURS + 1)
            for bucket in buckets:
                if bucket.start < oldest:
                    self._too_old += 1
                elif sums.bucket(bucket.start) != bucket:
                    found = sums.bucket(bucket.start)
                    raise BadInput(
                        "store",
                        f"the {section.value} of {self._site} in the {tier.value} from {bucket.start} are {found.sum}, but "
                        f"{bucket.sum} in the backup; let nobody else write to the store, and restore again",
                    )
                else:
                    self._compared += 1
        self._manifest = {}

    async def undo(self) -> None:
        """Take away what was loaded. What has failed already is told; the store may be away."""
        undoing: list[Awaitable[Any]] = [self._store.forget(site) for site in self._begun]
        undoing += [self._store.put_document(kind, key, None) for kind, key in self._documents]
        for each in undoing:
            try:
                await each
            except Exception:  # noqa: S112
                continue
