"""The sites there are, and their rules: those the settings declare, and those kept as documents in the store.

Every instance looks at the store's documents once a second, so a change made anywhere is seen everywhere within that time. What
the settings declare wins: their sites are always there, and a site they call public is. Where they declare none, a site that
nobody asked for is there until the first one is created. While the store is away the last that was seen is used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from footfall.errors import BadInput, StoreError
from footfall.model import Document
from footfall.rules import Rules, Site, Visibility, check_windows
from footfall.stores import Store
from footfall.stores.retention import SITE_KIND

if TYPE_CHECKING:
    from footfall.settings import Settings

_log = logging.getLogger(__name__)

#: The kind of a site's document.
KIND = SITE_KIND

#: How often the documents are looked at, in seconds.
REFRESH_SECONDS = 0.8

#: So many sites may be kept in the store.
MAX_SITES = 10_000


class Sites:
    """All sites by name. `declared` are the settings' sites, `public` those of them anyone may read, `defaults` the settings'
    rules, which hold where a site's document has none of its own. `placeholders` are there as long as there are no others.
    """

    def __init__(
        self, store: Store, declared: Sequence[str], public: Sequence[str], defaults: Rules, placeholders: Sequence[str] = ()
    ) -> None:
        self._store = store
        self._declared = tuple(declared)
        self._placeholders = () if declared else tuple(placeholders)
        self._public = frozenset(public)
        self._defaults = defaults
        self._documents: dict[str, Document] = {}
        self._refreshing = asyncio.Lock()
        first = self._declared or self._placeholders
        self._sites: dict[str, Site] = {name: Site(name, self._rules(name, {})) for name in first}

    @classmethod
    def of(cls, store: Store, settings: Settings, declared: Sequence[str] | None = None) -> Self:
        """The sites of a store, with those that the settings declare, or `declared` in their place."""
        names = settings.declared_sites if declared is None else declared
        public = [name for name in settings.public_sites if name in (names or settings.sites)]
        return cls(store, names, public, settings.rules, settings.sites)

    def get(self, name: str) -> Site | None:
        """A site, None where none has that name."""
        return self._sites.get(name)

    def rules(self, name: str) -> Rules:
        """A site's rules; the settings' where there is no such site."""
        site = self._sites.get(name)
        return site.rules if site else self._defaults

    def names(self) -> list[str]:
        """All names, the declared ones first, the others in order."""
        return [*self._declared, *sorted(self._sites.keys() - set(self._declared))]

    def is_declared(self, name: str) -> bool:
        """Whether the settings declare a site: then it can't be removed."""
        return name in self._declared

    @property
    def is_new(self) -> bool:
        """Whether nobody has asked for any site yet."""
        return not self._declared and not self._documents

    def _is_placeholder(self, name: str) -> bool:
        return name in self._placeholders and name not in self._documents

    def why_kept(self, name: str) -> str | None:
        """Why a site can't be removed; None where it can."""
        if self.is_declared(name):
            return f"FOOTFALL_SITES names {name}: remove it there first"
        if self._is_placeholder(name):
            return f"{name} is there by default: it goes when the first site is created"
        return None

    def is_declared_public(self, name: str) -> bool:
        """Whether the settings call a site public: then it can't be made private."""
        return name in self._public

    def document(self, name: str) -> tuple[Mapping[str, Any], int]:
        """A site's own rules as they were last seen, and their version (0: it has none)."""
        document = self._documents.get(name)
        return (_overrides(document), document.version) if document else ({}, 0)

    async def refresh(self) -> None:
        """Look at the store's documents now. Raises StoreError."""
        async with self._refreshing:  # or an older look that took longer would undo what a newer one saw
            documents = {document.key: document for document in await self._store.documents(KIND)}
            self._use(documents)

    def _use(self, documents: dict[str, Document]) -> None:
        if documents == self._documents:
            return
        sites: dict[str, Site] = {}
        for name in dict.fromkeys((*self._declared, *documents)) or self._placeholders:
            document = documents.get(name)
            if document == self._documents.get(name) and name in self._sites:
                sites[name] = self._sites[name]
            else:
                sites[name] = self._made(name, document)
        self._documents, self._sites = documents, sites

    def _made(self, name: str, document: Document | None) -> Site:
        try:
            return Site(name, self._rules(name, _overrides(document) if document else {}))
        except (BadInput, msgspec.MsgspecError) as error:
            _log.error("the rules of site %s in the store can't be used; the settings' hold: %s", name, error)
            return Site(name, self._rules(name, {}))

    def _rules(self, name: str, overrides: Mapping[str, Any]) -> Rules:
        rules = msgspec.convert(msgspec.to_builtins(self._defaults) | dict(overrides), Rules)
        check_windows(rules.retention, self._defaults.retention)
        return msgspec.structs.replace(rules, visibility=Visibility.PUBLIC) if name in self._public else rules

    async def create(self, name: str, rules: Mapping[str, Any]) -> bool:
        """Create a site; False where there is one of that name. Raises as `save` does."""
        is_taken = name in self._sites and not self._is_placeholder(name)
        return not is_taken and await self.save(name, rules, version=0)

    async def save(self, name: str, changes: Mapping[str, Any], *, version: int | None = None) -> bool:
        """Make a site or change its rules: `changes` by name of rule, None for the settings' again; False where the version is
        not the current one (0: there must be none). Raises BadInput naming the rule at fault, and StoreError.
        """
        current = await self._store.document(KIND, name)
        found = current.version if current else 0
        if version is not None and version != found:
            return False
        if current is None and len(self._documents) >= MAX_SITES:
            raise BadInput("site", f"there are {MAX_SITES} sites, as many as there may be; remove one first")
        overrides = dict(_overrides(current)) if current else {}
        overrides |= changes
        overrides = {rule: value for rule, value in overrides.items() if value is not None}
        try:
            self._rules(name, overrides)
        except msgspec.ValidationError as error:
            raise BadInput("rules", str(error)) from None
        if await self._store.put_document(KIND, name, msgspec.json.encode(overrides), version=found) is None:
            return False
        await self.refresh()
        return True

    async def remove(self, name: str) -> None:
        """Forget a site's own rules; one that the settings do not declare is no site any more. Raises StoreError."""
        await self._store.put_document(KIND, name, None)
        await self.refresh()

    async def keep_fresh(self) -> None:
        """Refresh for ever, once a second or so."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except StoreError as error:
                _log.debug("the sites can't be read from the store: %s", error)


def _overrides(document: Document) -> Mapping[str, Any]:
    """The rules in a document. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(document.value, type=dict[str, Any])
