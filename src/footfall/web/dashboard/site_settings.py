"""`/sites/SITE/settings`, and the form that adds a site: a site's rules, for admins who are logged in.

The form is made from `site.Rules`, field by field, so a new rule is in it without a word here (its own words are in `_WORDS`). A
change is proved by the session's proof, and is saved through `Sites`, which says what is wrong with it.
"""

from __future__ import annotations

import hmac
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from footfall.auth import Caller, Credentials
from footfall.errors import BadInput
from footfall.registry.sites import Sites
from footfall.rules import RETENTION_RULES, Rules, Visibility, site_name
from footfall.settings.values import duration_words, whole_seconds
from footfall.stores import Store
from footfall.web.dashboard.dashboard import site_href, to_login
from footfall.web.dashboard.forms import ADMIN_BYTES, read_form
from footfall.web.dashboard.pages import Pages
from footfall.web.permissions import Access
from footfall.web.requests import site_asked

#: What a rule is called in the form, and what it does.
_WORDS: Mapping[str, tuple[str, str]] = {
    "visibility": ("Who may see the numbers", "Counter: anyone may see the counters of its pages, and nothing else."),
    "origins": ("Hosts that views may come from", "One a line, as in *.example.com; “self” is the site's own. Empty: any."),
    "excluded_addresses": ("Addresses not to count", "Your own, say: one address or network (10.0.0.0/8) a line."),
    "excluded_paths": ("Paths not to count", "One pattern a line, as in /admin/* or *.json."),
    "kept_parameters": ("Parameters that tell pages apart", "Of the query, one name a line; all others are cut off."),
    "honours_privacy_signals": ("Honour privacy signals", "Views with DNT: 1 or Sec-GPC: 1 are not counted."),
    "merges_slash": ("Count /page/ as /page", ""),
    "merges_index": ("Count /index.html as /", ""),
    "counts_visitors": ("Tell visitors apart", "By a hash that changes every day; off, only views are counted."),
    "visitor_rate": ("Most views a minute of one visitor", "0 for no limit."),
    "site_rate": ("Most views a minute of the site", "0 for no limit."),
    "pages_per_day": ("Most new pages a day", "0 for no limit."),
    "retention_second": ("Keep each second's views for", "As in 10m or 1h: the past minute is read from them."),
    "retention_minute": ("Keep each minute's views for", "As in 48h; not shorter than for seconds."),
    "retention_hour": (
        "Keep each hour's views for",
        "As in 90d; not shorter than for minutes. Sources and visitors go with them.",
    ),
    "retention_day": ("Keep each day's views for", "As in 730d; not shorter than for hours. Months and totals stay for ever."),
}

#: What each visibility is called.
_VISIBILITIES: Mapping[Visibility, str] = {
    Visibility.PRIVATE: "Private",
    Visibility.COUNTER: "Counter only",
    Visibility.PUBLIC: "Public",
}


class Field(msgspec.Struct, frozen=True):
    """A rule in the form, `value` as the form has it. `kind` is choice, lines, switch, number or duration; `is_own`: it is the
    site's own.
    """

    name: str
    label: str
    help: str
    kind: str
    value: str
    choices: Sequence[tuple[str, str]]
    is_own: bool
    is_fixed: bool


class SiteSettings:
    """Answers for `/sites/SITE/settings`, and for `POST /sites`."""

    def __init__(self, store: Store, sites: Sites, credentials: Credentials, access: Access, pages: Pages) -> None:
        self._store = store
        self._sites = sites
        self._credentials = credentials
        self._access = access
        self._pages = pages

    async def add(self, request: Request) -> Response:
        """`POST /sites` makes a site, and goes to its settings."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            return to_login(request)
        form = await read_form(request, ADMIN_BYTES)
        refused = refusal(request, caller, form, self._access, self._pages)
        if refused is not None:
            return refused
        try:
            name = site_name(str(form.get("site", "")))
            is_made = self._sites.get(name) is None and await self._sites.save(name, {}, version=0)
        except (ValueError, BadInput) as error:
            text = f"A site is {error}." if isinstance(error, ValueError) else f"{error}."
            return self._trouble(request, caller, 400, "That can't be a site", text)
        if not is_made:
            return self._trouble(request, caller, 409, "There is such a site", f"{name} is counted already.")
        return see_other(f"{site_href(name)}/settings")

    async def settings(self, request: Request) -> Response:
        """`GET /sites/SITE/settings` shows the rules as a form, `POST` takes it."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            return to_login(request)
        name = site_asked(request)
        if self._sites.get(name) is None:
            return self._trouble(request, caller, 404, "There is no such site", f"No site is called {name}.")
        if request.method != "POST":
            return self._form(request, caller, name, 200)
        form = await read_form(request, ADMIN_BYTES)
        refused = refusal(request, caller, form, self._access, self._pages)
        if refused is not None:
            return refused
        match form.get("do"):
            case "remove":
                return await self._remove(request, caller, name, form)
            case "forget":
                return await self._forget(request, caller, name, form)
            case _:
                return await self._save(request, caller, name, form)

    async def _save(self, request: Request, caller: Caller, name: str, form: FormData) -> Response:
        version = str(form.get("version", ""))
        try:
            changes = dict.fromkeys(Rules.__struct_fields__) if form.get("do") == "reset" else self._changes(name, form)
            is_saved = await self._sites.save(name, changes, version=int(version) if version.isdecimal() else 0)
        except BadInput as error:
            return self._form(request, caller, name, 400, wrong=error.field, trouble=f"Write {error.mend}.", given=form)
        if not is_saved:
            return self._form(
                request, caller, name, 409, trouble="Somebody changed these rules meanwhile; this is how they are now."
            )
        return see_other(f"{site_href(name)}/settings?saved=1")

    def _changes(self, name: str, form: FormData) -> dict[str, Any]:
        """The rules that the form has otherwise than the site. Raises BadInput."""
        site = self._sites.get(name)
        assert site is not None  # noqa: S101  # the caller looked
        found = {}
        for rule in Rules.__struct_fields__:
            if rule == "visibility" and self._sites.is_declared_public(name):
                continue
            value = _read(rule, form)
            now = getattr(site.rules, rule)
            if value != (list(now) if isinstance(now, tuple) else now):
                found[rule] = value
        return found

    async def _remove(self, request: Request, caller: Caller, name: str, form: FormData) -> Response:
        if self._sites.is_declared(name):
            trouble = "FOOTFALL_SITES names this site; take it out there first."
            return self._form(request, caller, name, 409, wrong="confirm", trouble=trouble)
        if str(form.get("confirm", "")).strip().lower() != name:
            return self._form(request, caller, name, 400, wrong="confirm", trouble="Write the site's name to remove it.")
        await self._sites.remove(name)
        for share in await self._credentials.shares(name):
            await self._credentials.revoke_share(share)
        await self._store.forget(name)
        return see_other("/sites")

    async def _forget(self, request: Request, caller: Caller, name: str, form: FormData) -> Response:
        page = str(form.get("page", "")).strip()
        if not page.startswith("/"):
            return self._form(request, caller, name, 400, wrong="page", trouble="Write the page's path, as in /blog/post.")
        await self._store.forget(name, page)
        return see_other(f"{site_href(name)}/settings?saved=1")

    def _form(
        self,
        request: Request,
        caller: Caller,
        name: str,
        status: int,
        *,
        wrong: str = "",
        trouble: str = "",
        given: FormData | None = None,
    ) -> Response:
        own, version = self._sites.document(name)
        site = self._sites.get(name)
        assert site is not None  # noqa: S101  # the caller looked
        is_fixed = self._sites.is_declared_public(name)
        fields = [
            _field(rule, site.rules, rule in own, is_fixed and rule == "visibility", given) for rule in Rules.__struct_fields__
        ]
        return self._pages.answer(
            request,
            "settings.html",
            status,
            caller=caller,
            site=name,
            href=site_href(name),
            fields=fields,
            version=version,
            wrong=wrong,
            trouble=trouble,
            is_declared=self._sites.is_declared(name),
            is_saved=status == 200 and "saved" in request.query_params,
        )

    def _trouble(self, request: Request, caller: Caller, status: int, title: str, text: str) -> Response:
        return self._pages.answer(request, "trouble.html", status, caller=caller, title=title, text=text)


def refusal(request: Request, caller: Caller, form: FormData, access: Access, pages: Pages) -> Response | None:
    """The reply to a form that is not an admin's, or was not sent by our own page; None where it may be taken."""
    if caller.by != "session" or not caller.is_admin:
        return to_login(request)
    proof = str(form.get("proof", ""))
    if access.comes_from_our_pages(request) and hmac.compare_digest(proof.encode(), caller.proof.encode()):
        return None
    text = (
        "The form did not come from this server's own page, or from an older log-in. Open the page again, and send it from there."
    )
    return pages.answer(request, "trouble.html", 403, caller=caller, title="That was not taken", text=text)


def see_other(target: str) -> Response:
    """Go on to another page after a form."""
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


def _field(rule: str, rules: Rules, is_own: bool, is_fixed: bool, given: FormData | None) -> Field:
    label, help = _WORDS.get(rule, (rule.replace("_", " ").capitalize(), ""))
    kind = _kind(rule)
    value = duration_words(getattr(rules, rule)) if kind == "duration" else _text(getattr(rules, rule))
    if given is not None and not is_fixed:  # a browser sends nothing of a field that can't be changed
        value = str(given.get(rule, ""))
    choices = [(one.value, _VISIBILITIES[one]) for one in Visibility] if kind == "choice" else []
    return Field(rule, label, help, kind, value, choices, is_own, is_fixed)


def _kind(rule: str) -> str:
    if rule in RETENTION_RULES.values():
        return "duration"
    hint = typing.get_type_hints(Rules)[rule]
    return {Visibility: "choice", bool: "switch", int: "number"}.get(hint, "lines")


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "\n".join(value)
    if isinstance(value, bool):
        return "on" if value else ""
    return str(value)


def _read(rule: str, form: FormData) -> object:
    """A rule as the form has it, as JSON would have it. Raises BadInput."""
    text = str(form.get(rule, "")).strip()
    kind = _kind(rule)
    if kind == "switch":
        return bool(text)
    if kind == "number":
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise BadInput(rule, "a whole number; 0 for no limit")
        return int(text)
    if kind == "duration":
        seconds = whole_seconds(text)
        if not isinstance(seconds, int):
            raise BadInput(rule, "a duration such as 48h or 730d")
        return seconds
    if kind == "lines":
        return [entry.strip() for line in text.splitlines() for entry in line.split(",") if entry.strip()]
    if text not in list(Visibility):
        raise BadInput(rule, f"one of {', '.join(Visibility)}")
    return text
