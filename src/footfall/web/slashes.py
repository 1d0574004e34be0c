"""An address with a slash too many at its end leads to the one without it.

Starlette does so itself, by a whole URL that it builds from the Host header: behind a proxy that writes another name there it
leads elsewhere. A relative reference stays on the server that was asked, by the same scheme and below the same prefix.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.routing import Match, Router
from starlette.types import Receive, Scope, Send


class WithoutSlash:
    """What a router asks when no route matches: redirects where one would without the slash at the end."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._otherwise = router.default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        target = self._target(scope) if scope["type"] == "http" else None
        answer = RedirectResponse(target) if target else self._otherwise
        await answer(scope, receive, send)

    def _target(self, scope: Scope) -> str | None:
        path: str = scope["path"].removesuffix("/")
        if path == scope["path"] or all(route.matches({**scope, "path": path})[0] is Match.NONE for route in self._router.routes):
            return None
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        last = raw.removesuffix(b"/").rpartition(b"/")[2].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        return f"../{last}?{query}" if query else f"../{last}"
