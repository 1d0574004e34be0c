"""`/api/v1`, what changes things: sites and their rules, pages, tokens and share links. For admins alone."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from footfall.auth import Credentials, Share, Token, read_scope
from footfall.errors import BadInput
from footfall.intake.pages import BadPage, page_of
from footfall.registry.sites import Sites
from footfall.rules import Rules, site_name
from footfall.stores import Store
from footfall.web.permissions import Access
from footfall.web.problems import problem
from footfall.web.replies import json_reply
from footfall.web.requests import body_of, read_json, site_asked, text_asked

#: Bytes of a body: rules have at most a hundred entries each.
MAX_BYTES = 256 * 1024

RULE_NAMES = tuple(Rules.__struct_fields__)


class SiteReply(msgspec.Struct, frozen=True):
    """A site: the rules that apply to it, and those of them that are its own. `declared`: named in FOOTFALL_SITES."""

    site: str
    declared: bool
    rules: Rules
    own: dict[str, Any]


class SitesReply(msgspec.Struct, frozen=True):
    """All sites."""

    sites: list[SiteReply]


class TokenReply(msgspec.Struct, frozen=True):
    """A token, without its secret; `made` and `used` in Unix seconds."""

    id: str
    name: str
    scopes: list[str]
    made: int
    used: int | None


class ShareReply(msgspec.Struct, frozen=True):
    """A share link, without its secret; `made` and `until` in Unix seconds."""

    id: str
    name: str
    site: str
    made: int
    until: int | None


class MadeReply(msgspec.Struct, frozen=True):
    """What was made; `secret` is shown this once."""

    id: str
    secret: str


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A token to make."""

    name: str
    scopes: list[str]


class NewShare(msgspec.Struct, forbid_unknown_fields=True):
    """A share link to create, `until` a Unix second or forever."""

    name: str
    until: int | None = None


class Manage:
    """Answers for admins."""

    def __init__(self, store: Store, sites: Sites, credentials: Credentials, access: Access) -> None:
        self._store = store
        self._sites = sites
        self._credentials = credentials
        self._access = access

    async def sites(self, request: Request) -> Response:
        """`GET /api/v1/sites` lists the sites that the caller may read, `POST` creates one."""
        if request.method != "POST":
            caller = await self._access.caller_of(request)
            names = [name for name in self._sites.names() if self._access.is_public(name) or caller.may_read(name)]
            return _json(SitesReply([self._reply(name) for name in names if self._sites.get(name)]))
        refused = await self._refused(request)
        if refused is not None:
            return refused
        rules = await _rules(request)
        name = _site_name(rules.pop("site", None))
        if not await self._sites.create(name, rules):
            return problem(409, f"the site {name!r} already exists; change it with PATCH /api/v1/sites/{name}")
        return _json(self._reply(name), 201)

    async def site(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE` shows a site's rules, `PATCH` changes them, `DELETE` removes it with all its views."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        name = site_asked(request)
        if self._sites.get(name) is None:
            return _no_site(name)
        if request.method == "PATCH":
            rules = await _rules(request)
            if self._sites.is_declared_public(name) and rules.get("visibility", "public") != "public":
                return problem(409, f"FOOTFALL_PUBLIC_SITES makes {name!r} public and overrides this; remove it there first")
            while not await self._sites.save(name, rules):  # somebody else changed it at the same moment: change that
                pass
        elif request.method == "DELETE":
            kept = self._sites.why_kept(name)
            if kept:
                return problem(409, kept)
            await self._sites.remove(name)
            for share in await self._credentials.shares(name):
                await self._credentials.revoke_share(share)
            await self._store.forget(name)
            return Response(status_code=204)
        return _json(self._reply(name))

    async def pages(self, request: Request) -> Response:
        """`DELETE /api/v1/sites/SITE/pages?page=` forgets a page and its history."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        name = site_asked(request)
        site = self._sites.get(name)
        if site is None:
            return _no_site(name)
        try:
            page = page_of(text_asked(request, "page") or "", site.rules)
        except BadPage as error:
            raise BadInput("page", f"{error}; name the page to forget, as in page=/blog/post") from None
        await self._store.forget(name, page)
        return Response(status_code=204)

    async def tokens(self, request: Request) -> Response:
        """`GET /api/v1/tokens` lists tokens, `POST` creates one, `DELETE ?id=` revokes one."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        if request.method == "POST":
            wanted = await _read(request, NewToken)
            scopes = frozenset(read_scope(text) for text in wanted.scopes)
            return _json(_made(await self._credentials.make_token(wanted.name, scopes)), 201)
        if request.method == "DELETE":
            return _ended(await self._credentials.revoke_token(request.query_params.get("id", "")), "token")
        found = await self._credentials.tokens()
        return _json([_token(id, token) for id, token in found.items()])

    async def shares(self, request: Request) -> Response:
        """`GET /api/v1/sites/SITE/shares` lists a site's share links, `POST` creates one, `DELETE ?id=` revokes one."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        name = site_asked(request)
        if self._sites.get(name) is None:
            return _no_site(name)
        if request.method == "POST":
            wanted = await _read(request, NewShare)
            return _json(_made(await self._credentials.make_share(wanted.name, name, wanted.until)), 201)
        if request.method == "DELETE":
            id = request.query_params.get("id", "")
            is_of_site = id in await self._credentials.shares(name)
            return _ended(is_of_site and await self._credentials.revoke_share(id), "share link")
        return _json([_share(id, share) for id, share in (await self._credentials.shares(name)).items()])

    async def _refused(self, request: Request) -> Response | None:
        """The reply to callers that are not admins, or that send what no page of ours did; None for an admin."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            status = 401 if caller.by == "nobody" else 403
            return problem(status, "send a token with the scope admin, or log in", {"WWW-Authenticate": "Bearer"})
        if caller.by == "session" and request.method not in ("GET", "HEAD") and not self._access.comes_from_our_pages(request):
            return problem(403, "send this from this server's own page, or with a token")
        return None

    def _reply(self, name: str) -> SiteReply:
        site = self._sites.get(name)
        assert site is not None  # noqa: S101  # the callers know
        return SiteReply(name, self._sites.is_declared(name), site.rules, dict(self._sites.document(name)[0]))


async def _rules(request: Request) -> dict[str, Any]:
    """The body as rules by name. Raises BadInput."""
    rules: dict[str, Any] = await _read(request, dict[str, Any])
    for name in rules:
        if name != "site" and name not in RULE_NAMES:
            raise BadInput(name if name.isprintable() else "rules", f"no rule; there are {', '.join(RULE_NAMES)}")
    return rules


async def _read(request: Request, shape: Any) -> Any:
    """The body as JSON of a shape. Raises BadInput."""
    return read_json(await body_of(request, MAX_BYTES), shape, "body", "JSON, as docs/http.md shows it")


def _site_name(name: object) -> str:
    if not isinstance(name, str):
        raise BadInput("site", "the site's name, as in example.com")
    try:
        return site_name(name)
    except ValueError as error:
        raise BadInput("site", str(error)) from None


def _json(value: Any, status: int = 200) -> Response:
    reply = json_reply(msgspec.json.encode(value))
    reply.status_code = status
    return reply


def _no_site(name: str) -> Response:
    return problem(404, f"there is no site {name!r} here")


def _ended(is_ended: bool, what: str) -> Response:
    return Response(status_code=204) if is_ended else problem(404, f"there is no {what} of that id; send it as id=")


def _made(made: Any) -> MadeReply:
    return MadeReply(made.id, made.secret)


def _token(id: str, token: Token) -> TokenReply:
    return TokenReply(id, token.name, token.scopes, token.made, token.used)


def _share(id: str, share: Share) -> ShareReply:
    return ShareReply(id, share.name, share.site, share.made, share.until)
