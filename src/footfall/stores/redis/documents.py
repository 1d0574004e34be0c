"""Documents in Redis: a hash a kind under a hash tag of its own, changed by one script that compares and sets.

A change is drawn a token, so that it is made once even where it had to be sent twice. The server's clock says when a document's
time is over. This module knows nothing of sites and counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from footfall.errors import BadInput
from footfall.model import Document
from footfall.stores.base import MAX_DOCUMENT_BYTES
from footfall.stores.redis.calls import Call, Scripts
from footfall.stores.redis.keys import documents_key
from footfall.stores.redis.scripts import as_msgpack, as_text
from footfall.stores.redis.server.connections import Reply


async def get_document(scripts: Scripts, kind: str, key: str) -> Document | None:
    """A document whose time is not over."""
    _, flat = await _ask(scripts, kind, key=key, cursor="")
    found = _documents(flat)
    return found[0] if found else None


async def get_documents(scripts: Scripts, kind: str) -> list[Document]:
    """All of a kind, by key."""
    found: dict[str, Document] = {}
    cursor = "0"
    while True:
        reply, flat = await _ask(scripts, kind, key="", cursor=cursor)
        found |= {document.key: document for document in _documents(flat)}
        cursor = reply.decode()
        if cursor == "0":
            return [found[key] for key in sorted(found)]


async def put_document(
    scripts: Scripts, kind: str, key: str, value: bytes | None, version: int | None, until: int | None
) -> int | None:
    """Write or remove a document where its version is the expected one; the new version. Raises BadInput for a long value."""
    if value is not None and len(value) > MAX_DOCUMENT_BYTES:
        raise BadInput("value", f"a document has at most {MAX_DOCUMENT_BYTES} bytes")
    arguments = as_msgpack(
        key=key,
        value=None if value is None else as_text(value),
        version=version,
        until_=None if until is None else max(until, 0),
        token=secrets.token_hex(8),
    )
    (made,) = await scripts.run([Call("put_document", documents_key(kind), arguments)], durable=True)
    return None if made < 0 else int(made)


async def _ask(scripts: Scripts, kind: str, **arguments: Any) -> Reply:
    (reply,) = await scripts.run([Call("get_documents", documents_key(kind), as_msgpack(**arguments))])
    return reply


def _documents(flat: Sequence[Any]) -> list[Document]:
    records = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [Document(key.decode(), value, version, None if until < 0 else until) for key, version, until, value in records]
