"""`/sites/SITE/settings`: a site's rules as a form, for admins who are logged in.

The form is made from `rules.Rules`, field by field; `_WORDS` groups the fields and says what they are called. A rule that has no
words there is under Advanced all the same. A change is proved by the session's proof, and is saved through `Sites`, which says
what is wrong with it.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from footfall.auth import Caller, Credentials
from footfall.errors import BadInput
from footfall.intake.pages import BadPage, page_of
from footfall.registry.sites import Sites
from footfall.rules import RETENTION_RULES, Rules, Visibility, duration_words
from footfall.settings.values import whole_seconds
from footfall.stores import Store
from footfall.web.dashboard.forms import ADMIN_BYTES, read_form, refusal, see_other
from footfall.web.dashboard.pages import Pages, site_href, to_login
from footfall.web.permissions import Access
from footfall.web.requests import site_asked

#: The groups of rules in their order, and which of them are under Advanced.
_SEEN, _COUNTED, _PRIVACY = "Visibility", "What is counted", "Privacy"
_PAGES, _LIMITS, _KEPT, _OTHER = "Pages", "Limits", "How long data is kept", "Other"
_BASIC = (_SEEN, _COUNTED, _PRIVACY)
_ADVANCED = (_PAGES, _LIMITS, _KEPT, _OTHER)


class _Words(NamedTuple):
    """A rule's group in the form, what it is called there, and what it does."""

    group: str
    label: str
    help: str = ""


_WORDS: Mapping[str, _Words] = {
    "visibility": _Words(
        _SEEN,
        "Who can see the numbers",
        "Private: people who log in or have a share link. Counter only: anyone sees the counters of its pages. "
        "Public: anyone sees everything.",
    ),
    "origins": _Words(
        _COUNTED, "Hosts that views may come from", "One per line, such as *.example.com; “self” is the site's own. Empty: any."
    ),
    "excluded_addresses": _Words(
        _COUNTED, "IP addresses not to count", "For example your own. One address or network (10.0.0.0/8) per line."
    ),
    "excluded_paths": _Words(_COUNTED, "Paths not to count", "One pattern per line, such as /admin/* or *.json."),
    "honours_privacy_signals": _Words(_PRIVACY, "Respect privacy signals", "Views with DNT: 1 or Sec-GPC: 1 are not counted."),
    "counts_visitors": _Words(
        _PRIVACY, "Tell visitors apart", "By a hash that changes every day. If off, only views are counted."
    ),
    "kept_parameters": _Words(
        _PAGES, "Query parameters that make a page of its own", "One name per line, such as id. All others are cut off."
    ),
    "merges_slash": _Words(_PAGES, "Count /page/ as /page"),
    "merges_index": _Words(_PAGES, "Count /index.html as /"),
    "visitor_rate": _Words(_LIMITS, "Max. views per minute per visitor", "0: no limit."),
    "site_rate": _Words(_LIMITS, "Max. views per minute of the site", "0: no limit."),
    "pages_per_day": _Words(_LIMITS, "Max. new pages per day", "0: no limit."),
    "retention_second": _Words(_KEPT, "Keep seconds for", "10m, for example. The past minute is read from them."),
    "retention_minute": _Words(_KEPT, "Keep minutes for", "48h, for example. At least as long as seconds."),
    "retention_hour": _Words(
        _KEPT, "Keep hours for", "90d, for example. At least as long as minutes. Sources and visitors by hour go with them."
    ),
    "retention_day": _Words(
        _KEPT, "Keep days for", "730d, for example. At least as long as hours. Months and totals are kept forever."
    ),
}

#: What each visibility is called.
_VISIBILITIES: Mapping[Visibility, str] = {
    Visibility.PRIVATE: "Private",
    Visibility.COUNTER: "Counter only",
    Visibility.PUBLIC: "Public",
}


class Field(msgspec.Struct, frozen=True):
    """A rule in the form, `value` as the form has it, `error` what is wrong with it.

    `kind` is choice, lines, switch, number or duration.
    """

    name: str
    group: str
    label: str
    help: str
    kind: str
    value: str
    choices: Sequence[tuple[str, str]]
    is_fixed: bool
    error: str


class SiteSettings:
    """Answers for `/sites/SITE/settings`."""

    def __init__(self, store: Store, sites: Sites, credentials: Credentials, access: Access, pages: Pages) -> None:
        self._store = store
        self._sites = sites
        self._credentials = credentials
        self._access = access
        self._pages = pages

    async def settings(self, request: Request) -> Response:
        """`GET /sites/SITE/settings` shows the rules as a form, `POST` takes it."""
        caller = await self._access.caller_of(request)
        if not caller.is_admin:
            return to_login(request)
        name = site_asked(request)
        if self._sites.get(name) is None:
            return self._pages.no_such_site(request, caller, name)
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
        is_reset = form.get("do") == "reset"
        changes, errors = (dict.fromkeys(Rules.__struct_fields__), {}) if is_reset else self._changes(name, form)
        if not errors:
            try:
                is_saved = await self._sites.save(name, changes, version=int(version) if version.isdecimal() else 0)
            except BadInput as error:
                errors = {error.field: f"Write {error.hint}."}
        if errors:
            return self._form(request, caller, name, 400, errors=errors, given=form)
        if not is_saved:
            conflict = "Someone else has changed these settings in the meantime. This is how they are now."
            return self._form(request, caller, name, 409, errors={"": conflict})
        return see_other(f"{site_href(name)}/settings?done={'reset' if is_reset else 'saved'}")

    def _changes(self, name: str, form: FormData) -> tuple[dict[str, Any], dict[str, str]]:
        """The rules that the form has otherwise than the site, and what is wrong with those that can't be read."""
        site = self._sites.get(name)
        assert site is not None  # noqa: S101  # the caller looked
        found, errors = {}, {}
        for rule in Rules.__struct_fields__:
            if rule == "visibility" and self._sites.is_declared_public(name):
                continue
            try:
                value = _read(rule, form)
            except BadInput as error:
                errors[rule] = f"Write {error.hint}."
                continue
            now = getattr(site.rules, rule)
            if value != (list(now) if isinstance(now, tuple) else now):
                found[rule] = value
        return found, errors

    async def _remove(self, request: Request, caller: Caller, name: str, form: FormData) -> Response:
        kept = self._sites.why_kept(name)
        if kept:
            return self._form(request, caller, name, 409, errors={"confirm": f"{kept}."}, given=form)
        if str(form.get("confirm", "")).strip().lower() != name:
            error = f"Type {name} to confirm."
            return self._form(request, caller, name, 400, errors={"confirm": error}, given=form)
        await self._sites.remove(name)
        for share in await self._credentials.shares(name):
            await self._credentials.revoke_share(share)
        await self._store.forget(name)
        return see_other("/sites")

    async def _forget(self, request: Request, caller: Caller, name: str, form: FormData) -> Response:
        error = ""
        try:
            page = page_of(str(form.get("page", "")).strip(), self._sites.rules(name))
        except BadPage:
            error = "Write the page's path, such as /blog/post."
        else:
            if not (await self._store.counts(name, [page], 1)).pages[page].total:
                error = f"No views of {page} were counted. Check the path."
        if error:
            return self._form(request, caller, name, 400, errors={"page": error}, given=form)
        await self._store.forget(name, page)
        return see_other(f"{site_href(name)}/settings?done=deleted")

    def _form(
        self,
        request: Request,
        caller: Caller,
        name: str,
        status: int,
        *,
        errors: Mapping[str, str] | None = None,
        given: FormData | None = None,
    ) -> Response:
        errors = errors or {}
        site = self._sites.get(name)
        assert site is not None  # noqa: S101  # the caller looked
        is_of_rules = given is not None and given.get("do") not in ("remove", "forget")
        is_fixed = self._sites.is_declared_public(name)
        fields = [
            _field(rule, site.rules, is_fixed and rule == "visibility", given if is_of_rules else None, errors.get(rule, ""))
            for rule in Rules.__struct_fields__
        ]
        return self._pages.answer(
            request,
            "settings.html",
            status,
            caller=caller,
            site=name,
            href=site_href(name),
            basic=_grouped(_BASIC, fields),
            advanced=_grouped(_ADVANCED, fields),
            labels={field.name: field.label for field in fields},
            version=self._sites.document(name)[1],
            errors=errors,
            given=given or {},
            why_kept=self._sites.why_kept(name),
            done=request.query_params.get("done", "") if status == 200 else "",
        )


def _grouped(groups: Sequence[str], fields: Sequence[Field]) -> list[tuple[str, list[Field]]]:
    """The fields of these groups; a group that has none is left out."""
    found = [(group, [field for field in fields if field.group == group]) for group in groups]
    return [(group, members) for group, members in found if members]


def _field(rule: str, rules: Rules, is_fixed: bool, given: FormData | None, error: str) -> Field:
    words = _WORDS.get(rule, _Words(_OTHER, rule.replace("_", " ").capitalize()))
    kind = _kind(rule)
    value = duration_words(getattr(rules, rule)) if kind == "duration" else _text(getattr(rules, rule))
    if given is not None and not is_fixed:  # a browser sends nothing of a field that can't be changed
        value = str(given.get(rule, ""))
    choices = [(one.value, _VISIBILITIES[one]) for one in Visibility] if kind == "choice" else []
    return Field(rule, words.group, words.label, words.help, kind, value, choices, is_fixed, error)


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
