"""Logging in and out, the first password, and share links: server-rendered pages that work without scripts.

A form brings a proof along that is bound to its session, or is taken only from our own pages; a wrong password says no more than
that. Secrets leave in cookies that scripts can't read, and are in an address only where a link is the secret.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from footfall.auth import MIN_PASSWORD_LENGTH, Credentials, NotChecked, Passwords
from footfall.auth.credentials import SESSION_SECONDS
from footfall.errors import BadInput
from footfall.web.dashboard.forms import read_form
from footfall.web.dashboard.pages import Pages
from footfall.web.dashboard.words import sentence
from footfall.web.permissions import SESSION_COOKIE, SHARE_COOKIE, Access
from footfall.web.problems import problem

#: A share link's cookie is forgotten by the browser after so many seconds; the link gives another.
SHARE_COOKIE_SECONDS = 30 * 86400


class Auth:
    """Answers for `/login`, `/logout`, `/welcome` and `/share`."""

    def __init__(self, access: Access, credentials: Credentials, passwords: Passwords, pages: Pages) -> None:
        self._access = access
        self._credentials = credentials
        self._passwords = passwords
        self._pages = pages

    async def login(self, request: Request) -> Response:
        """`GET /login` shows the form, `POST` takes it."""
        if request.method == "POST":
            return await self._log_in(request)
        target = _next(request.query_params.get("next"))
        if (await self._access.caller_of(request)).by == "session":
            return _see_other(target)
        return await self._form(request, 200, "", target)

    async def _log_in(self, request: Request) -> Response:
        if not self._access.comes_from_our_pages(request):
            return problem(403, "send the form from this server's own page")
        form = await read_form(request)
        target = _next(form.get("next"))
        try:
            is_right = await self._passwords.check(str(form.get("password", "")), self._access.address(request))
        except NotChecked as error:  # without a look into the store, as all that is refused so
            context = {"trouble": sentence(str(error)), "next": target, "has_password": True}
            reply = self._pages.answer(request, "login.html", 429, **context)
            reply.headers["Retry-After"] = str(error.retry_after)
            return reply
        if not is_right:
            return await self._form(request, 401, "Wrong password.", target)
        return await self._begin_session(request, target)

    async def _form(self, request: Request, status: int, trouble: str, target: str) -> Response:
        return self._pages.answer(
            request,
            "login.html",
            status,
            trouble=trouble,
            next=target,
            has_password=await self._passwords.is_set(),
        )

    async def _begin_session(self, request: Request, target: str) -> Response:
        made = await self._credentials.make_session()
        reply = _see_other(target)
        self._set_cookie(request, reply, SESSION_COOKIE, made.secret, SESSION_SECONDS)
        return reply

    async def logout(self, request: Request) -> Response:
        """`POST /logout` ends the session, here and everywhere."""
        if not self._access.comes_from_our_pages(request):  # a browser sends it without the cookie, and would take its removal
            return problem(403, "send the form from this server's own page")
        caller = await self._access.caller_of(request)
        reply = _see_other("/login")
        if caller.by == "session":
            form = await read_form(request)
            if not _is_proved(str(form.get("proof", "")), caller.proof):
                return problem(403, "send the form from this server's own page")
            await self._credentials.revoke_session(caller.id)
        for name in (SESSION_COOKIE, SHARE_COOKIE):
            reply.delete_cookie(name, httponly=True, samesite="lax", secure=self._access.is_secure(request.scope))
        return reply

    async def welcome(self, request: Request) -> Response:
        """`GET /welcome?key=` shows the form for the first password to who has the one-time link; `POST` sets it and logs in."""
        if request.method == "POST":
            return await self._accept(request)
        key = request.query_params.get("key", "")
        if not await self._passwords.is_invited(key):
            return self._pages.answer(request, "welcome.html", 403, key="", trouble="", least=MIN_PASSWORD_LENGTH)
        return self._pages.answer(request, "welcome.html", 200, key=key, trouble="", least=MIN_PASSWORD_LENGTH)

    async def _accept(self, request: Request) -> Response:
        if not self._access.comes_from_our_pages(request):
            return problem(403, "send the form from this server's own page")
        form = await read_form(request)
        key, password = str(form.get("key", "")), str(form.get("password", ""))
        try:
            if await self._passwords.accept(key, password):
                return await self._begin_session(request, "/sites")
        except BadInput as error:
            trouble = sentence(f"write {error.hint}")
            return self._pages.answer(request, "welcome.html", 400, key=key, trouble=trouble, least=MIN_PASSWORD_LENGTH)
        return self._pages.answer(request, "welcome.html", 403, key="", trouble="", least=MIN_PASSWORD_LENGTH)

    async def share(self, request: Request) -> Response:
        """`GET /share/SECRET` lets its holder see the site it was made for."""
        secret = request.path_params["secret"]
        site = await self._credentials.shared_site(secret)
        if site is None:
            return self._pages.answer(request, "gone.html", 404)
        reply = _see_other(f"/sites/{site}")
        self._set_cookie(request, reply, SHARE_COOKIE, secret, SHARE_COOKIE_SECONDS)
        return reply

    def _set_cookie(self, request: Request, reply: Response, name: str, value: str, seconds: int) -> None:
        is_secure = self._access.is_secure(request.scope)
        reply.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=is_secure)


def _is_proved(given: str, proof: str) -> bool:
    return bool(proof) and hmac.compare_digest(given.encode(), proof.encode())


def _see_other(target: str) -> Response:
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


def _next(target: object) -> str:
    """Where to go after a log-in: a path of our own, and nothing that leads elsewhere."""
    if isinstance(target, str) and target.startswith("/") and not target.startswith(("//", "/\\")):
        parts = urlsplit(target)
        if not parts.scheme and not parts.netloc and target.isprintable():
            return target
    return "/sites"
