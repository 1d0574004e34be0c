"""What a document in a backup must be: of a kind that is backed up, under a key that can be one, and readable by its owner."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from footfall.auth.credentials import KEY_KIND, KEY_NAME, SHARES, TOKENS
from footfall.auth.passwords import KIND as PASSWORD_KIND
from footfall.auth.passwords import NAME as PASSWORD_NAME
from footfall.backup.lines import Kept
from footfall.rules import Rules, check_windows, site_name
from footfall.stores.base import MAX_DOCUMENT_BYTES
from footfall.stores.retention import SITE_KIND

_HASH = re.compile("[0-9a-f]{64}")

#: How a password's hash begins (PHC string format, Argon2).
_PASSWORD = "$argon2"  # noqa: S105 - a prefix that all have


def check_document(kept: Kept, defaults: Rules) -> None:
    """Raise ValueError, BadInput or msgspec.MsgspecError where a document can't be used; `defaults` are the settings' rules."""
    if len(kept.value) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"it has {len(kept.value)} bytes; at most {MAX_DOCUMENT_BYTES}")
    if kept.until is not None and not 0 <= kept.until < 2**53:
        raise ValueError(f"{kept.until} is no time")
    if kept.kind == SITE_KIND:
        _check_site(kept, defaults)
    elif kept.kind in (TOKENS.name, SHARES.name):
        if not _HASH.fullmatch(kept.key):
            raise ValueError("this is no hash")
        msgspec.json.decode(kept.value, type=TOKENS.shape if kept.kind == TOKENS.name else SHARES.shape)
    elif not _is_secret(kept):
        raise ValueError("this is nothing that is backed up")


def _check_site(kept: Kept, defaults: Rules) -> None:
    if site_name(kept.key) != kept.key:
        raise ValueError("this can't be the name of a site")
    own = msgspec.json.decode(kept.value, type=dict[str, Any])
    rules = msgspec.convert(msgspec.to_builtins(defaults) | own, Rules)
    check_windows(rules.retention, defaults.retention)


def _is_secret(kept: Kept) -> bool:
    """Whether it is the password's hash, or the key."""
    if (kept.kind, kept.key) == (PASSWORD_KIND, PASSWORD_NAME):
        return kept.value.decode().startswith(_PASSWORD)
    return (kept.kind, kept.key) == (KEY_KIND, KEY_NAME) and 16 <= len(kept.value) <= 64
