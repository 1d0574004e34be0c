"""Tokens, sessions and share links: made, found, listed and revoked.

A secret is random and signed (HMAC with a key that all instances share), so one that was invented is refused without a look into
the store. The store has a secret's SHA-256 and never the secret. Documents are looked at once a second; one that is not seen
yet, as after a log-in at another instance, is looked up by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec
from itsdangerous import BadSignature, Signer

from footfall.auth.scopes import ADMIN, NOBODY, Caller, Scope, scopes_of
from footfall.errors import BadInput, StoreError
from footfall.model import DAY, Document
from footfall.stores import Store

_log = logging.getLogger(__name__)

#: How often the documents are looked at, in seconds.
REFRESH_SECONDS = 0.8

#: A session ends so many seconds after it was begun.
SESSION_SECONDS = 30 * DAY

#: When a token was used last is written down at most so often, in seconds.
USE_SECONDS = 60

#: So many of a kind may be kept. The oldest session makes room for a new one.
MAX_KEPT = 1000

MAX_NAME_LENGTH = 100


class Token(msgspec.Struct, frozen=True):
    """For programs: `scopes` as texts, `made` and `used` in Unix seconds."""

    name: str
    scopes: list[str]
    made: int
    used: int | None = None


class Session(msgspec.Struct, frozen=True):
    """A log-in: everything is allowed."""

    made: int


class Share(msgspec.Struct, frozen=True):
    """A link that shows one site's numbers; `until` in Unix seconds, None for ever."""

    name: str
    site: str
    made: int
    until: int | None = None


Kept = TypeVar("Kept", Token, Session, Share)


class Made(NamedTuple):
    """A secret, shown this once, and the id by which it is listed and revoked."""

    secret: str
    id: str

    def __repr__(self) -> str:
        return f"Made(secret='***', id={self.id!r})"


class _Kind(NamedTuple):
    """A kind of documents, what they hold, and what their secrets begin with."""

    name: str
    shape: type
    prefix: str


TOKENS = _Kind("token", Token, "ff_")
SESSIONS = _Kind("session", Session, "s_")
SHARES = _Kind("share", Share, "sh_")
KINDS = (TOKENS, SESSIONS, SHARES)

KEY_KIND, KEY_NAME = "key", "signing"


class Credentials:
    """All credentials in a store. `clock` is in seconds since the epoch."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._key: bytes | None = None
        self._seen: dict[str, dict[str, Document]] = {kind.name: {} for kind in KINDS}
        self._revoked = 0
        self._noting: set[asyncio.Task[None]] = set()

    # Finding

    async def token(self, secret: str) -> Caller:
        """Who calls with a token; NOBODY where it is none."""
        found = await self._find(TOKENS, secret)
        if found is None:
            return NOBODY
        document, token = found
        assert isinstance(token, Token)  # noqa: S101  # its kind says so
        self._note_use(document, token)
        return Caller("token", scopes_of(token.scopes), _id(document.key))

    async def session(self, secret: str) -> Caller:
        """Who calls with a session's cookie."""
        found = await self._find(SESSIONS, secret)
        if found is None:
            return NOBODY
        return Caller("session", ADMIN, _id(found[0].key), await self._proof(found[0].key))

    async def share(self, secret: str) -> Caller:
        """Who calls with a share link's cookie."""
        found = await self._find(SHARES, secret)
        if found is None:
            return NOBODY
        share = found[1]
        assert isinstance(share, Share)  # noqa: S101  # its kind says so
        return Caller("share", frozenset({Scope("read", share.site)}), _id(found[0].key))

    async def shared_site(self, secret: str) -> str | None:
        """The site that a share link shows."""
        scopes = (await self.share(secret)).scopes
        return next(iter(scopes)).site if scopes else None

    async def _find(self, kind: _Kind, secret: str) -> tuple[Document, Token | Session | Share] | None:
        body = await self._unsigned(kind, secret)
        if body is None:
            return None
        key = _hash(body)
        document = self._seen[kind.name].get(key) or await self._store.document(kind.name, key)
        if document is None or (document.until is not None and document.until <= self._clock()):
            return None
        try:
            return document, msgspec.json.decode(document.value, type=kind.shape)
        except msgspec.MsgspecError:
            return None

    async def _signer(self, kind: _Kind) -> Signer:
        if self._key is None:
            self._key = await self.shared_key(KEY_NAME)
        return Signer(self._key, salt=kind.name, sep=".", digest_method=hashlib.sha256)

    async def shared_key(self, name: str) -> bytes:
        """A random key of 32 bytes that all instances share; made where there is none. Raises StoreError."""
        document = await self._store.document(KEY_KIND, name)
        if document is None:
            await self._store.put_document(KEY_KIND, name, secrets.token_bytes(32), version=0)
            document = await self._store.document(KEY_KIND, name)
        assert document is not None  # noqa: S101  # keys are never removed
        return document.value

    async def _unsigned(self, kind: _Kind, secret: str) -> str | None:
        """What stands in a secret before its signature, where that is ours."""
        if not secret.startswith(kind.prefix) or len(secret) > 200 or not secret.isascii():
            return None
        try:
            return (await self._signer(kind)).unsign(secret).decode()
        except BadSignature:
            return None

    async def _proof(self, key: str) -> str:
        if self._key is None:
            self._key = await self.shared_key(KEY_NAME)
        signer = Signer(self._key, salt="form", sep=".", digest_method=hashlib.sha256)
        return signer.get_signature(key).decode()

    def _note_use(self, document: Document, token: Token) -> None:
        """Write down that a token is used, if that was not done in the past minute; nobody waits for it."""
        now = int(self._clock())
        if token.used is not None and now < token.used + USE_SECONDS:
            return
        used = msgspec.structs.replace(token, used=now)
        self._seen[TOKENS.name][document.key] = msgspec.structs.replace(document, value=msgspec.json.encode(used))

        async def note() -> None:
            try:
                await self._store.put_document(
                    TOKENS.name, document.key, msgspec.json.encode(used), version=document.version, until=document.until
                )
            except StoreError as error:
                _log.debug("when a token was used last could not be written: %s", error)

        task = asyncio.get_running_loop().create_task(note())
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    # Making and revoking. All raise StoreError.

    async def make_token(self, name: str, scopes: frozenset[Scope]) -> Made:
        """A token with these scopes. Raises BadInput."""
        if not scopes:
            raise BadInput("scopes", "at least one of admin, read:SITE and write:SITE")
        texts = sorted(str(scope) for scope in scopes)
        return await self._make(TOKENS, Token(_named(name), texts, int(self._clock())), None)

    async def make_session(self) -> Made:
        """A session; the oldest one ends where there are too many."""
        kept = await self._store.documents(SESSIONS.name)
        if len(kept) >= MAX_KEPT:
            oldest = min(kept, key=lambda document: document.version)
            await self._store.put_document(SESSIONS.name, oldest.key, None)
        now = int(self._clock())
        return await self._make(SESSIONS, Session(now), now + SESSION_SECONDS)

    async def make_share(self, name: str, site: str, until: int | None = None) -> Made:
        """A link that shows a site, `until` a Unix second or for ever. Raises BadInput."""
        now = int(self._clock())
        if until is not None and until <= now:
            raise BadInput("until", "a time to come, in Unix seconds")
        return await self._make(SHARES, Share(_named(name), site, now, until), until)

    async def _make(self, kind: _Kind, kept: Token | Session | Share, until: int | None) -> Made:
        if kind is not SESSIONS and len(await self._store.documents(kind.name)) >= MAX_KEPT:
            raise BadInput("name", f"there are {MAX_KEPT} of these, as many as there may be; revoke some first")
        body = kind.prefix + secrets.token_urlsafe(24)
        secret = (await self._signer(kind)).sign(body).decode()
        await self._store.put_document(kind.name, _hash(body), msgspec.json.encode(kept), version=0, until=until)
        return Made(secret, _id(_hash(body)))

    async def tokens(self) -> dict[str, Token]:
        """All tokens by id, as they are now."""
        return await self._list(TOKENS, Token)

    async def shares(self, site: str | None = None) -> dict[str, Share]:
        """All share links by id, of one site or of all."""
        found = await self._list(SHARES, Share)
        return {id: share for id, share in found.items() if site is None or share.site == site}

    async def _list(self, kind: _Kind, shape: type[Kept]) -> dict[str, Kept]:
        documents = await self._store.documents(kind.name)
        found = {_id(document.key): msgspec.json.decode(document.value, type=shape) for document in documents}
        return dict(sorted(found.items(), key=lambda item: item[1].made))

    async def revoke_token(self, id: str) -> bool:
        """End a token; False where there is none of that id."""
        return await self._revoke(TOKENS, id)

    async def revoke_share(self, id: str) -> bool:
        """End a share link."""
        return await self._revoke(SHARES, id)

    async def revoke_session(self, id: str) -> bool:
        """End a session."""
        return await self._revoke(SESSIONS, id)

    async def revoke_all_sessions(self) -> int:
        """End every session; how many there were."""
        documents = await self._store.documents(SESSIONS.name)
        for document in documents:
            await self._store.put_document(SESSIONS.name, document.key, None)
        self._seen[SESSIONS.name].clear()
        self._revoked += 1
        return len(documents)

    async def _revoke(self, kind: _Kind, id: str) -> bool:
        for document in await self._store.documents(kind.name):
            if _id(document.key) == id:
                await self._store.put_document(kind.name, document.key, None)
                self._seen[kind.name].pop(document.key, None)
                self._revoked += 1
                return True
        return False

    # Keeping up

    async def refresh(self) -> None:
        """Look at the store's documents now. Raises StoreError."""
        for kind in KINDS:
            while True:
                revoked = self._revoked
                found = {document.key: document for document in await self._store.documents(kind.name)}
                if revoked == self._revoked:  # else what was revoked meanwhile may still be in it
                    break
            self._seen[kind.name] = found
        key = await self._store.document(KEY_KIND, KEY_NAME)
        if key is not None:  # a restore brings the key along that what it restores is signed with
            self._key = key.value

    async def keep_fresh(self) -> None:
        """Refresh for ever. While the store is away, what was seen last holds."""
        while True:
            try:
                await self.refresh()
            except StoreError as error:
                _log.debug("credentials can't be read from the store: %s", error)
            await asyncio.sleep(REFRESH_SECONDS)


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _id(key: str) -> str:
    """What a document is listed and revoked by: enough of its key to tell it apart, and nothing of the secret."""
    return key[:12]


def _named(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise BadInput("name", f"1 to {MAX_NAME_LENGTH} printable characters that say what it is for")
    return name
