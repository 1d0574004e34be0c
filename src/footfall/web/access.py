"""Who may read what. Counting is open to all; reading is private unless the site's numbers are public."""

from __future__ import annotations

from starlette.requests import Request

#: Headers a proxy adds. A request that carries one does not come from the machine itself, whatever its connection says.
_FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

_LOOPBACK = ("127.0.0.1", "::1")


class Access:
    """Decides by the settings: `public` are the sites whose numbers anyone may read."""

    def __init__(self, public: frozenset[str]) -> None:
        self._public = public

    def may_read(self, site: str) -> bool:
        """Whether anyone may read the numbers of `site`."""
        return site in self._public

    def may_see_metrics(self, request: Request) -> bool:
        """Whether the request comes from this machine and passed no proxy."""
        at_home = request.client is None or request.client.host in _LOOPBACK
        return at_home and not any(name in request.headers for name in _FORWARDING)
