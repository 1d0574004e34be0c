"""What handlers read of a request, in one place."""

from __future__ import annotations

from starlette.types import Scope


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection, "" where there is none (a socket in the file system)."""
    client = scope.get("client")
    return client[0] if client else ""
