"""How our own pages are answered: rendered from a template, under the strictest policy that fits them.

Every page that is not the home page goes out here, so that its headers stand in one place. This module knows no numbers.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from footfall.web.permissions import Access
from footfall.web.rendering import EXAMPLE_ORIGIN, Renderer

#: Nothing but our own files and streams, no frames, forms to ourselves.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

#: Browsers that came by TLS come by TLS for so long, in seconds (RFC 6797): half a year.
HSTS = "max-age=15768000"


class Pages:
    """Answers with pages."""

    def __init__(self, renderer: Renderer, access: Access, instance: str) -> None:
        self._renderer = renderer
        self._access = access
        self._instance = instance

    def answer(self, request: Request, template: str, status: int = 200, /, **context: Any) -> Response:
        """A page of a template; every one knows the `instance` that answers, and the `origin` where it was reached."""
        origin = self._access.origin(request.scope) or EXAMPLE_ORIGIN
        body = self._renderer.render(template, instance=self._instance, origin=origin, **context)
        return Response(body, status, self.headers(request), "text/html; charset=utf-8")

    def headers(self, request: Request) -> dict[str, str]:
        """The headers of every page."""
        return HEADERS | ({"Strict-Transport-Security": HSTS} if self._access.is_secure(request.scope) else {})
