"""Who a request comes from, and whether they may do what it asks: bearer tokens, session and share cookies, public sites.

Counting is open to all; reading is private unless the site's numbers are public. What changes something by a cookie's right must
come from our own pages. What the credentials are is `footfall.auth`'s; nothing here answers a request.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping

from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import Scope as RequestScope

from footfall.auth import NOBODY, Caller, Credentials
from footfall.errors import StoreError
from footfall.headers import Headers, headers_of
from footfall.intake.addresses import Addresses
from footfall.networks import Networks, pack
from footfall.registry.sites import Sites
from footfall.rules import Visibility
from footfall.web.requests import peer_of

SESSION_COOKIE = "footfall_session"
SHARE_COOKIE = "footfall_share"

#: Headers that proxies, balancers and content networks add, by the parts that their names have in common. A request that carries
#: one does not come from the machine itself, whatever its connection says.
_FORWARDING = re.compile(
    rb"forwarded|client-?ip|(?:^|-)(?:client|remote|external|source|original)-addr|(?:^|-)ip(?:v[46])?$"
    rb"|^(?:x-)?via$|^x-(?:scheme|url-scheme|host|port|proto|protocol|https|ssl|server)$|^cdn-loop$|^front-end-https$"
    rb"|^(?:x-)?(?:akamai|amz|amzn|appengine|arr|azure|cf|cloudfront|envoy|fastly|fly|gfe|nginx|original|proxy|traefik|varnish"
    rb"|vercel)(?:-|$)"
)

_LOOPBACK = Networks(("127.0.0.0/8", "::1"), "loopback")

#: What a program on the same machine calls it. A proxy that adds no header passes on the name that its client asked for.
_OWN_NAME = re.compile(rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])\.?(?::[0-9]{1,5})?", re.IGNORECASE)

#: Longer headers are not looked at: other programs of the same host may have cookies too, but not as many.
_MAX_COOKIE_BYTES = 16_384

#: Where a server can be reached; what else a Host header may hold is shown to nobody.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}")


class Access:
    """Decides for every face. `metrics_token` opens the metrics; `of_proxies` are headers that the operator's proxies write.

    `public_url` is where browsers reach the server, where a setting says so.
    """

    def __init__(
        self,
        sites: Sites,
        credentials: Credentials,
        addresses: Addresses,
        metrics_token: str | None = None,
        of_proxies: Iterable[str] = (),
        public_url: str | None = None,
    ) -> None:
        self._sites = sites
        self._credentials = credentials
        self._addresses = addresses
        self._of_proxies = frozenset(name.lower().encode() for name in of_proxies)
        self._public_url = public_url
        self._metrics_key = f"Bearer {metrics_token}".encode() if metrics_token else None

    # Who it is

    async def caller(self, headers: Headers) -> Caller:
        """Who a request with these headers comes from."""
        authorization = headers.get(b"authorization")
        if authorization is not None:
            kind, _, secret = authorization.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":  # any other kind is for a proxy before us
                return await self._credentials.token(secret.strip())
        cookie = headers.get(b"cookie")
        if cookie is None:
            return NOBODY
        cookies = _cookies(cookie)
        caller = NOBODY
        if SESSION_COOKIE in cookies:
            caller = await self._credentials.session(cookies[SESSION_COOKIE])
        if caller is NOBODY and SHARE_COOKIE in cookies:
            caller = await self._credentials.share(cookies[SHARE_COOKIE])
        return caller

    async def known_caller(self, headers: Headers) -> Caller:
        """The same; nobody where a store that is away can't confirm who they are. For pages that are shown in any case."""
        try:
            return await self.caller(headers)
        except StoreError:
            return NOBODY

    async def caller_of(self, connection: HTTPConnection) -> Caller:
        """Who a request comes from."""
        return await self.caller(headers_of(connection.scope["headers"]))

    # What they may do

    def has_site(self, site: str) -> bool:
        """Whether there is such a site."""
        return self._sites.get(site) is not None

    def is_public(self, site: str) -> bool:
        """Whether anyone may see all numbers of `site`."""
        found = self._sites.get(site)
        return found is not None and found.rules.visibility is Visibility.PUBLIC

    def has_public_counters(self, site: str) -> bool:
        """Whether anyone may see the counters of the pages of `site`."""
        found = self._sites.get(site)
        return found is not None and found.rules.visibility is not Visibility.PRIVATE

    async def may_read(self, headers: Headers, site: str) -> bool:
        """Whether who sends these headers may see all numbers of `site`. Costs nothing where everyone or nobody may."""
        if self.is_public(site):
            return True
        if b"authorization" not in headers and b"cookie" not in headers:
            return False
        return self._sites.get(site) is not None and (await self.caller(headers)).may_read(site)

    async def is_known_reader(self, headers: Headers, site: str) -> bool:
        """The same; False where a store that is away can't confirm who they are. For replies that count in any case."""
        try:
            return await self.may_read(headers, site)
        except StoreError:
            return False

    async def may_read_counter(self, headers: Headers, site: str) -> bool:
        """Whether they may see the counters of its pages."""
        return self.has_public_counters(site) or await self.may_read(headers, site)

    async def may_see_metrics(self, connection: HTTPConnection) -> bool:
        """Whether the request has the metrics' token or an admin's, or comes from this machine and passed no proxy."""
        headers = headers_of(connection.scope["headers"])
        authorization = headers.get(b"authorization", b"")
        if self._metrics_key and hmac.compare_digest(authorization, self._metrics_key):
            return True
        if self._is_at_home(connection.scope, headers):
            return True
        return bool(authorization) and (await self.caller(headers)).is_admin

    def _is_at_home(self, scope: RequestScope, headers: Headers) -> bool:
        """Whether a request was made on this machine, for all that can be told.

        nginx, unless told otherwise, adds nothing and asks by HTTP/1.0, as no monitor does.
        """
        peer = pack(peer_of(scope))
        return (
            peer in _LOOPBACK
            and not self._addresses.is_trusted(peer_of(scope))
            and scope.get("http_version") != "1.0"
            and _OWN_NAME.fullmatch(headers.get(b"host", b"")) is not None
            and not any(name in self._of_proxies or _FORWARDING.search(name) for name in headers)
        )

    def comes_from_our_pages(self, connection: HTTPConnection) -> bool:
        """Whether a request that changes something was sent by a page of this server, as the browser tells (OWASP, CSRF)."""
        headers = headers_of(connection.scope["headers"])
        fetched_from = headers.get(b"sec-fetch-site")
        if fetched_from is not None:
            return fetched_from in (b"same-origin", b"none")
        origin = headers.get(b"origin")
        if origin is None or origin.partition(b"://")[2] == headers.get(b"host"):
            return True
        return origin.decode("latin-1") == self.origin(connection.scope)  # behind a proxy that asks for us by another name

    # How it came

    def address(self, connection: HTTPConnection) -> str:
        """What limits count the client's address by, through trusted proxies; of IPv6 its network (/64)."""
        address = self._addresses.client(peer_of(connection.scope), headers_of(connection.scope["headers"]))
        return self._addresses.limit_key(address)[0]

    def is_secure(self, scope: RequestScope) -> bool:
        """Whether the browser reached us by TLS, as the connection or a trusted proxy says."""
        return scope["scheme"] == "https" or self._told(scope, b"x-forwarded-proto", "proto") == "https"

    def origin(self, scope: RequestScope) -> str:
        """Where browsers reach this server (``https://host[:port]``): as the setting says, or a trusted proxy, or the request.

        "" where none of them does.
        """
        if self._public_url:
            return self._public_url
        host = self._told(scope, b"x-forwarded-host", "host") or headers_of(scope["headers"]).get(b"host", b"").decode("latin-1")
        origin = f"{'https' if self.is_secure(scope) else scope['scheme']}://{host}"
        return origin if _ORIGIN.fullmatch(origin) else ""

    def _told(self, scope: RequestScope, header: bytes, parameter: str) -> str:
        """What the nearest proxy says in this header, or in Forwarded (RFC 7239); "" where it is not trusted, or says nothing."""
        if not self._addresses.is_trusted(peer_of(scope)):
            return ""
        headers = headers_of(scope["headers"])
        if header in headers:
            return headers[header].rpartition(b",")[2].strip().decode("latin-1")  # the last is the proxy's own word
        for pair in headers.get(b"forwarded", b"").rpartition(b",")[2].decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name.lower() == parameter:
                return value.strip('" ')
        return ""


def _cookies(header: bytes) -> Mapping[str, str]:
    return {} if len(header) > _MAX_COOKIE_BYTES else cookie_parser(header.decode("latin-1"))
