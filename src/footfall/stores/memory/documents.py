"""Documents in memory, as the specification has them: small values by kind and key, changed by compare-and-set."""

from __future__ import annotations

from collections import defaultdict

from footfall.errors import BadInput
from footfall.model import Document
from footfall.stores.base import MAX_DOCUMENT_BYTES, Clock


class Documents:
    """All documents of a store; `clock` tells when their time is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kinds: dict[str, dict[str, Document]] = defaultdict(dict)
        self._versions: dict[str, int] = defaultdict(int)

    def get(self, kind: str, key: str) -> Document | None:
        """A document whose time is not over."""
        document = self._kinds[kind].get(key)
        return document if document and not self._is_over(document) else None

    def list(self, kind: str) -> list[Document]:
        """All of a kind, by key."""
        return [document for _, document in sorted(self._kinds[kind].items()) if not self._is_over(document)]

    def put(self, kind: str, key: str, value: bytes | None, version: int | None, until: int | None) -> int | None:
        """Write or remove a document where its version is the expected one; the new version."""
        if value is not None and len(value) > MAX_DOCUMENT_BYTES:
            raise BadInput("value", f"a document has at most {MAX_DOCUMENT_BYTES} bytes")
        current = self.get(kind, key)
        if version is not None and version != (current.version if current else 0):
            return None
        self._versions[kind] += 1
        self._kinds[kind].pop(key, None)
        if value is not None:
            self._kinds[kind][key] = Document(key, value, self._versions[kind], until)
        return self._versions[kind]

    def _is_over(self, document: Document) -> bool:
        return document.until is not None and document.until <= int(self._clock())
