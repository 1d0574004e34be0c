"""`footfall site | token | share | admin`: sites and their rules, and who may see and change what.

A secret goes to standard output, alone and once; what is said about it goes to standard error.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from footfall.auth import MIN_PASSWORD_LENGTH, Credentials, Passwords, read_scope
from footfall.commands.arguments import SiteArgument, StoreOption, read_site, settings_with, with_store
from footfall.commands.seed import seed
from footfall.errors import BadInput
from footfall.registry.sites import Sites
from footfall.rules import RETENTION_RULES, Rules, duration_words
from footfall.settings import PREFIX, Settings
from footfall.settings.values import whole_seconds
from footfall.stores import Store
from footfall.terminal import agrees, console, read_line, say

RULES = {field.name: field for field in msgspec.structs.fields(Rules)}
_RULES_HELP = f"Any of {', '.join(RULES)}; an empty value: the settings' again."

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")

site_app = typer.Typer(help="Sites and their rules.", rich_markup_mode=None)
token_app = typer.Typer(help="Tokens, for programs.", rich_markup_mode=None)
share_app = typer.Typer(help="Links that show one site's dashboard.", rich_markup_mode=None)
admin_app = typer.Typer(help="The password of the dashboard.", rich_markup_mode=None)


IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The id, as `list` shows it.")]
NameOption = Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is for.")]
RulesArgument = Annotated[list[str] | None, typer.Argument(metavar="[RULE=VALUE]...", help=_RULES_HELP)]


# Sites


@site_app.command("list")
def list_sites(store: StoreOption = None) -> None:
    """List all sites and who may see them."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        sites = _sites(opened, settings)
        await sites.refresh()
        for name in sites.names():
            site = sites.get(name)
            if site is not None:
                own = ", ".join(
                    f"{rule}={_written(rule, value)}" for rule, value in sites.document(name)[0].items() if rule != "visibility"
                )
                say(console(), (f"{site.rules.visibility.value:<8}", "dim"), "  ", (name, "bold"), f"  {own}" if own else "")

    with_store(settings, run)


@site_app.command("add")
def add_site(site: SiteArgument, rules: RulesArgument = None, store: StoreOption = None) -> None:
    """Make a site. Every running server counts for it within a second."""
    settings = settings_with(store=store)
    name, changes = read_site(site), _changes(rules)

    async def run(opened: Store) -> None:
        sites = _sites(opened, settings)
        await sites.refresh()
        if not await sites.create(name, changes):
            raise BadInput("SITE", f"{name} already exists; footfall site set changes it")
        say(console(), f"{name} is counted from now on")

    with_store(settings, run)


@site_app.command("set")
def set_site(site: SiteArgument, rules: RulesArgument = None, store: StoreOption = None) -> None:
    """Change a site's rules."""
    settings = settings_with(store=store)
    name, changes = read_site(site), _changes(rules)
    if not changes:
        raise BadInput("RULE=VALUE", f"name a rule to change: {', '.join(RULES)}")

    async def run(opened: Store) -> None:
        sites = _sites(opened, settings)
        await sites.refresh()
        if sites.get(name) is None:
            raise BadInput("SITE", f"there is no site {name}; footfall site add makes it")
        if sites.is_declared_public(name) and "visibility" in changes:
            raise BadInput("visibility", f"{PREFIX}PUBLIC_SITES makes {name} public and overrides this; remove it there first")
        while not await sites.save(name, changes):  # somebody else changed it at the same moment: change that
            pass
        for rule in changes:
            found = sites.get(name)
            say(console(), f"{rule}: {_written(rule, getattr(found.rules, rule) if found else None)}")

    with_store(settings, run)


@site_app.command("remove")
def remove_site(
    site: SiteArgument,
    page: Annotated[str | None, typer.Option("--page", metavar="PAGE", help="Only this page.", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
) -> None:
    """Remove a site, or one of its pages, with all its history."""
    settings = settings_with(store=store)
    name = read_site(site)
    what = f"page {page} of {name}" if page else name
    if not yes and not agrees(f"Remove {what} and all its views?", "--yes"):
        raise typer.Exit(1)

    async def run(opened: Store) -> None:
        sites = _sites(opened, settings)
        if page is None:
            kept = sites.why_kept(name)
            if kept:
                raise BadInput("SITE", kept)
            await sites.remove(name)
        await opened.forget(name, page)
        say(console(), f"{what} is removed")

    with_store(settings, run)


site_app.command("seed")(seed)


# Tokens


@token_app.command("create")
def create_token(
    scopes: Annotated[list[str], typer.Argument(metavar="SCOPE...", help="admin, read:SITE or write:SITE; * for every site.")],
    name: NameOption = "made by footfall token create",
    store: StoreOption = None,
) -> None:
    """Make a token. It is shown this once."""
    settings = settings_with(store=store)
    wanted = frozenset(map(read_scope, scopes))

    async def run(opened: Store) -> None:
        made = await _credentials(opened).make_token(name, wanted)
        say(console(stderr=True), f"Token {made.id}, for {', '.join(sorted(map(str, wanted)))}. Keep it: it is not shown again.")
        say(console(), made.secret)

    with_store(settings, run)


@token_app.command("list")
def list_tokens(store: StoreOption = None) -> None:
    """List tokens: id, last use (UTC), scopes, name."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        for id, token in (await _credentials(opened).tokens()).items():
            used = _moment(token.used) if token.used else "never used"
            say(console(), (id, "bold"), f"  {used:<16}  {', '.join(token.scopes)}  ", (token.name, "dim"))

    with_store(settings, run)


@token_app.command("revoke")
def revoke_token(id: IdArgument, store: StoreOption = None) -> None:
    """End a token, on every server within a second."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        if not await _credentials(opened).revoke_token(id):
            raise BadInput("ID", f"there is no token {id}; footfall token list shows them")
        say(console(), f"token {id} has ended")

    with_store(settings, run)


# Share links


@share_app.command("create")
def create_share(
    site: SiteArgument,
    name: NameOption = "made by footfall share create",
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="As in 30d or 12h.  [default: forever]", show_default=False)
    ] = None,
    store: StoreOption = None,
) -> None:
    """Make a link that shows a site's dashboard. It is shown this once."""
    settings = settings_with(store=store)
    site = read_site(site)
    seconds = None if lasts is None else whole_seconds(lasts)
    if seconds is not None and (not isinstance(seconds, int) or seconds < 1):
        raise BadInput("--for", "write a duration such as 30d or 12h")

    async def run(opened: Store) -> None:
        sites = _sites(opened, settings)
        await sites.refresh()
        if sites.get(site) is None:
            raise BadInput("SITE", f"there is no site {site}; footfall site list shows them")
        until = None if seconds is None else int(time.time()) + seconds
        made = await _credentials(opened).make_share(name, site, until)
        say(console(stderr=True), f"Link {made.id}, for {site}. {_before(settings)}It is not shown again.")
        say(console(), f"{settings.public_url or ''}/share/{made.secret}")

    with_store(settings, run)


@share_app.command("list")
def list_shares(store: StoreOption = None) -> None:
    """List share links: id, end (UTC), site, name."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        for id, share in (await _credentials(opened).shares()).items():
            until = _moment(share.until) if share.until else "forever"
            say(console(), (id, "bold"), f"  {until:<16}  {share.site}  ", (share.name, "dim"))

    with_store(settings, run)


@share_app.command("revoke")
def revoke_share(id: IdArgument, store: StoreOption = None) -> None:
    """End a share link, on every server within a second."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        if not await _credentials(opened).revoke_share(id):
            raise BadInput("ID", f"there is no link {id}; footfall share list shows them")
        say(console(), f"link {id} has ended")

    with_store(settings, run)


# The password


@admin_app.command("password")
def set_password(store: StoreOption = None) -> None:
    """Set the password of the dashboard. It is asked for twice, or read from standard input."""
    settings = settings_with(store=store)
    if sys.stdin is not None and sys.stdin.isatty():
        password = typer.prompt("New password", hide_input=True, confirmation_prompt="Once more", err=True)
    else:
        password = read_line("password")
    if len(password) < MIN_PASSWORD_LENGTH:
        raise BadInput("password", f"write at least {MIN_PASSWORD_LENGTH} characters")

    async def run(opened: Store) -> None:
        await _passwords(opened, settings).set(password)
        say(console(), "the password is set")
        if settings.admin_password:
            say(console(stderr=True), ("note:", "yellow"), f" {PREFIX}ADMIN_PASSWORD is set too, and overrides it")

    with_store(settings, run)


@admin_app.command("link")
def make_link(store: StoreOption = None) -> None:
    """Make a one-time link that sets the password; it holds for an hour."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        key = await _passwords(opened, settings).invite()
        say(console(stderr=True), f"{_before(settings)}It works once, within an hour.")
        say(console(), f"{settings.public_url or ''}/welcome?key={key}")

    with_store(settings, run)


@admin_app.command("logout-all")
def log_out_all(store: StoreOption = None) -> None:
    """End every log-in, on every server within a second."""
    settings = settings_with(store=store)

    async def run(opened: Store) -> None:
        ended = await _credentials(opened).revoke_all_sessions()
        say(console(), f"{ended} {'log-in has' if ended == 1 else 'log-ins have'} ended")

    with_store(settings, run)


def _before(settings: Settings) -> str:
    """What is left to do with a link: nothing where the server's own address is known."""
    return "" if settings.public_url else f"Put your server's address before it (or set {PREFIX}PUBLIC_URL). "


def _sites(store: Store, settings: Settings) -> Sites:
    return Sites.of(store, settings)


def _credentials(store: Store) -> Credentials:
    return Credentials(store, time.time)


def _passwords(store: Store, settings: Settings) -> Passwords:
    return Passwords(store, _credentials(store), settings.admin_password)


def _changes(written: list[str] | None) -> Mapping[str, Any]:
    """Rules from RULE=VALUE. Raises BadInput."""
    changes: dict[str, Any] = {}
    for each in written or ():
        name, separator, value = each.partition("=")
        if not separator or name not in RULES:
            raise BadInput("RULE=VALUE", f"write one of {', '.join(RULES)}, an equals sign, and its value")
        changes[name] = _value(name, value.strip()) if value.strip() else None
    return changes


def _value(name: str, text: str) -> object:
    kind = RULES[name].type
    if name in RETENTION_RULES.values():
        seconds = whole_seconds(text)
        if not isinstance(seconds, int):
            raise BadInput(name, "write a duration such as 48h or 730d")
        return seconds
    if kind is bool:
        if text.lower() not in _YES + _NO:
            raise BadInput(name, "write yes or no")
        return text.lower() in _YES
    if kind is int:
        if not text.isascii() or not text.isdigit():
            raise BadInput(name, "write a whole number, 0 or more")
        return int(text)
    if name == "visibility":
        return text.lower()
    return [part.strip() for part in text.split(",") if part.strip()]


def _written(rule: str, value: object) -> str:
    if isinstance(value, int) and rule in RETENTION_RULES.values():
        return duration_words(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")
