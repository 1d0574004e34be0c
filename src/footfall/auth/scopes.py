"""A caller and what they may do, by scopes: `read:SITE`, `write:SITE` and `admin`; `*` stands for every site."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from footfall.errors import BadInput
from footfall.rules import site_name

EVERY_SITE = "*"

_SCOPE = re.compile(r"admin|(?:read|write):(?:\*|(?=[.-]*[a-z0-9])[a-z0-9.-]{1,253}(?::\d{1,5})?)")


class Scope(NamedTuple):
    """An action (`read`, `write` or `admin`) and the site it is allowed on."""

    action: str
    site: str = EVERY_SITE

    def __str__(self) -> str:
        return self.action if self.action == "admin" else f"{self.action}:{self.site}"


def read_scope(text: str) -> Scope:
    """A scope from its text. Raises BadInput."""
    action, colon, site = text.strip().lower().partition(":")
    with contextlib.suppress(ValueError):
        site = site_name(site) if site != EVERY_SITE else site
    if not _SCOPE.fullmatch(action + colon + site):
        raise BadInput("scopes", "admin, or read:SITE and write:SITE, as in read:example.com; read:* for every site")
    return Scope(action, site or EVERY_SITE)


class Caller(msgspec.Struct, frozen=True):
    """Who calls: by what they were known (`nobody`, `share`, `token` or `session`), and with which scopes.

    `id` tells credentials of one kind apart, and is no secret; `proof` is what a session's forms must bring along.
    """

    by: str
    scopes: frozenset[Scope] = frozenset()
    id: str = ""
    proof: str = ""

    def __repr__(self) -> str:
        return f"Caller({self.by!r}, {sorted(map(str, self.scopes))}, {self.id!r})"  # a proof is a secret

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see and change everything."""
        return Scope("admin") in self.scopes

    def may_read(self, site: str) -> bool:
        """Whether the caller may see all numbers of a site."""
        return self._may("read", site)

    def may_write(self, site: str) -> bool:
        """Whether the caller may hand in views of a site."""
        return self._may("write", site)

    def _may(self, action: str, site: str) -> bool:
        return self.is_admin or Scope(action, site) in self.scopes or Scope(action, EVERY_SITE) in self.scopes


def scopes_of(texts: Iterable[str]) -> frozenset[Scope]:
    """Scopes from their texts; what a newer version may have written is left out."""
    return frozenset(read_scope(text) for text in texts if _SCOPE.fullmatch(text))


NOBODY = Caller("nobody")
ADMIN = frozenset({Scope("admin")})
