"""`/access`: tokens for programs and share links for people, listed, created and revoked by admins who are logged in.

A secret is shown once, in the reply to the form that created it. It is never in an address of ours or in a log. What tokens and
links are is `footfall.auth`'s.
"""

from __future__ import annotations

import time
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from footfall.auth import Caller, Credentials, Made, read_scope
from footfall.errors import BadInput
from footfall.model import DAY
from footfall.registry.sites import Sites
from footfall.web.dashboard.forms import ADMIN_BYTES, read_form, refusal, see_other
from footfall.web.dashboard.pages import Pages, to_login
from footfall.web.dashboard.period import long_day
from footfall.web.dashboard.words import sentence
from footfall.web.permissions import Access

#: When a share link can expire, in days; 0 for never.
LASTING = ((7, "in 7 days"), (30, "in 30 days"), (365, "in a year"), (0, "never"))

#: What a token can be for.
ACTIONS = (("read", "read the numbers"), ("write", "send views"), ("admin", "everything"))


class AccessPages:
    """Answers for `/access`."""

    def __init__(self, sites: Sites, credentials: Credentials, access: Access, pages: Pages) -> None:
        self._sites = sites
        self._credentials = credentials
        self._access = access
        self._pages = pages

    async def access(self, request: Request) -> Response:
        """`GET /access` lists tokens and share links, `POST` creates one or revokes one."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            return to_login(request)
        if request.method != "POST":
            return await self._page(request, caller, 200)
        form = await read_form(request, ADMIN_BYTES)
        refused = refusal(request, caller, form, self._access, self._pages)
        if refused is not None:
            return refused
        match form.get("do"):
            case "end-token":
                await self._credentials.revoke_token(str(form.get("id", "")))
                return see_other("/access")
            case "end-share":
                await self._credentials.revoke_share(str(form.get("id", "")))
                return see_other("/access")
        try:
            return await self._make(request, caller, form)
        except BadInput as error:
            wrong = (str(form.get("do", "")), error.field)
            return await self._page(request, caller, 400, trouble=sentence(error.hint), wrong=wrong, given=form)

    async def _make(self, request: Request, caller: Caller, form: FormData) -> Response:
        name = str(form.get("name", ""))
        if form.get("do") == "make-share":
            site = str(form.get("site", ""))
            if self._sites.get(site) is None:
                raise BadInput("site", "one of the sites there are")
            days = str(form.get("days", "0"))
            if days not in {str(number) for number, _ in LASTING}:
                raise BadInput("days", "one of the times to choose from")
            until = int(time.time()) + int(days) * DAY if days != "0" else None
            made = await self._credentials.make_share(name, site, until)
            origin = self._access.origin(request.scope) or str(request.base_url).rstrip("/")
            link = f"{origin}/share/{quote(made.secret)}"
            return await self._page(request, caller, 200, made=("link", made, link))
        action, site = str(form.get("action", "")), str(form.get("site", ""))
        scope = read_scope(action if action == "admin" else f"{action}:{site}")
        made = await self._credentials.make_token(name, frozenset({scope}))
        return await self._page(request, caller, 200, made=("token", made, made.secret))

    async def _page(
        self,
        request: Request,
        caller: Caller,
        status: int,
        *,
        made: tuple[str, Made, str] | None = None,
        trouble: str = "",
        wrong: tuple[str, str] = ("", ""),
        given: FormData | None = None,
    ) -> Response:
        tokens, shares = await self._credentials.tokens(), await self._credentials.shares()
        return self._pages.answer(
            request,
            "access.html",
            status,
            caller=caller,
            tokens=[
                (id, token.name, ", ".join(token.scopes), long_day(token.made), long_day(token.used) if token.used else "never")
                for id, token in tokens.items()
            ],
            shares=[
                (id, share.name, share.site, long_day(share.made), long_day(share.until) if share.until else "never")
                for id, share in shares.items()
            ],
            sites=self._sites.names(),
            lasting=LASTING,
            made=made,
            trouble=trouble,
            wrong=wrong,
            given=given or {},
            actions=ACTIONS,
        )
