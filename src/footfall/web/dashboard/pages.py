"""How our own pages are answered: rendered from a template, under the strictest policy that fits them.

Every page that is not the home page goes out here, so that its headers are in one place. This module knows no numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from footfall.auth import Caller
from footfall.web.permissions import Access
from footfall.web.problems import RETRY_AFTER
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

#: Where a page leads that has nothing else to show.
ONWARD = (("/sites", "All sites"),)

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

    def trouble(
        self,
        request: Request,
        status: int,
        caller: Caller,
        title: str,
        text: str,
        onward: Sequence[tuple[str, str]] = ONWARD,
    ) -> Response:
        """A page that says what is wrong, and leads on to others: `onward` are their addresses and names."""
        return self.answer(request, "trouble.html", status, caller=caller, status=status, title=title, text=text, onward=onward)

    def unavailable(self, request: Request) -> Response:
        """The page that says that the store can't be read now."""
        reply = self.answer(request, "unavailable.html", 503)
        reply.headers["Retry-After"] = str(RETRY_AFTER)
        return reply

    def no_such_site(self, request: Request, caller: Caller, name: str) -> Response:
        """The page for an admin who asks for a site that is not there."""
        text = f"There is no site {name}. You can add it to the list of sites."
        return self.trouble(request, 404, caller, "Site not found", text)

    def headers(self, request: Request) -> dict[str, str]:
        """The headers of every page."""
        return HEADERS | ({"Strict-Transport-Security": HSTS} if self._access.is_secure(request.scope) else {})


def site_href(site: str) -> str:
    """The address of a site's dashboard."""
    return f"/sites/{quote(site, safe=':')}"


def to_login(request: Request) -> Response:
    """Send a caller who may not see a page to the log-in, and from there back."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?{urlencode({'next': here})}", 303, {"Cache-Control": "no-store"})
