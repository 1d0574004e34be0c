"""The settings themselves: one field each, with its type, default and help.

To add a setting, add a field here; its row in docs/settings.md is made from it. Fields are checked in their order, so that one
that looks at another stands below it. This module reads nothing: where values come from is the business of `sources`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from footfall.model import DAY, DEFAULT_RETENTION, Retention, Tier
from footfall.rules import LONGEST_DURATION, LONGEST_WINDOW, MAX_NUMBER, WINDOW_MARGIN, Rules, duration_words
from footfall.settings.values import (
    Words,
    as_a_rule,
    database_path,
    default_store,
    few_enough,
    folder_or_off,
    header_name,
    host_name,
    kept_long_enough,
    known_durability,
    known_site,
    known_sites,
    listed,
    listed_sites,
    long_password,
    long_token,
    lower,
    networks,
    none_if_empty,
    project_dsn,
    public_address,
    setting_name,
    shown_url,
    store_url,
    whole_seconds,
)

_SECONDS = BeforeValidator(whole_seconds)
_KEPT = (
    _SECONDS,
    Field(ge=1, le=LONGEST_DURATION),
    AfterValidator(kept_long_enough),
    Words("a duration such as 48h", show=duration_words),
)


_RULE = AfterValidator(as_a_rule)
_LIST = BeforeValidator(listed)
_NUMBER = Words(f"a whole number from 0 to {MAX_NUMBER}")


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _shown(values: tuple[str, ...]) -> str:
    return ", ".join(values) or "none"


class Settings(BaseModel):
    """All settings, valid and frozen. Made directly it takes what it is given and looks nowhere else; see `load_settings`."""

    # Not of pydantic-settings: its sources know no NAME_FILE, and importing them cost every command 0.1 s.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    store: Annotated[str, AfterValidator(store_url), Words("a URL", "a file `footfall.db` in the user's data folder")] = Field(
        default_factory=default_store,
        description="Where views are kept: a file (`sqlite:////path/file.db`), Redis or Valkey (`redis://host:6379/0`), "
        "or memory (`memory://`, lost at the end).",
    )
    sites: Annotated[
        tuple[str, ...],
        BeforeValidator(listed_sites),
        Field(min_length=1),
        Words("host names such as example.com or localhost:8080, separated by commas", show=", ".join),
    ] = Field(
        default=("localhost",),
        description="The sites whose views are counted. `localhost` is there until the first site is created, unless named.",
    )
    home_site: Annotated[str, AfterValidator(known_site), Words("one of the sites", "the first of the sites")] = Field(
        default_factory=lambda fields: fields["sites"][0] if "sites" in fields else "",
        description="The site whose page `/` is the server's own front page, `GET /`.",
    )
    public_sites: Annotated[
        tuple[str, ...],
        BeforeValidator(listed_sites),
        AfterValidator(known_sites),
        Words("some of the sites, separated by commas; nothing for none", "the home site"),
    ] = Field(
        default_factory=lambda fields: (fields["home_site"],) if "home_site" in fields else (),
        description="The sites whose numbers everyone may read.",
    )
    host: Annotated[str, AfterValidator(host_name), Words("an address or a host name")] = Field(
        default="127.0.0.1", description="The address the server listens on; `0.0.0.0` or `::` for all of the machine's."
    )
    port: Annotated[int, Field(ge=0, le=65535), Words("a whole number from 0 to 65535")] = Field(
        default=8000, description="The port the server listens on; 0 takes any that is free."
    )
    public_url: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(public_address),
        Words("a URL without a path, such as `https://counter.example`", "what a trusted proxy or the request says"),
    ] = Field(
        default=None,
        description="Where browsers reach the server. Tags and links name it, also the link that sets the password.",
    )
    workers: Annotated[int, Field(ge=1), AfterValidator(few_enough), Words("a whole number, 1 or more")] = Field(
        default=1, description="How many server processes share the port; with `memory://` only 1."
    )
    instance: Annotated[str | None, Words("text", "the name of the ECS task, the EC2 instance or the host")] = Field(
        default=None, description="What this instance is called on pages and in replies."
    )
    window: Annotated[int, _SECONDS, Field(ge=1, le=LONGEST_WINDOW), Words(f"a duration from 1 to {LONGEST_WINDOW} seconds")] = (
        Field(default=60, description="How many of the newest seconds the live count covers.")
    )
    retention_second: Annotated[int, *_KEPT] = Field(
        default=DEFAULT_RETENTION[Tier.SECOND],
        description="How long each second's views are kept; at least the window and 60 s.",
    )
    retention_minute: Annotated[int, *_KEPT] = Field(
        default=DEFAULT_RETENTION[Tier.MINUTE], description="How long each minute's views are kept; not shorter than for seconds."
    )
    retention_hour: Annotated[int, *_KEPT] = Field(
        default=DEFAULT_RETENTION[Tier.HOUR], description="How long each hour's views are kept; not shorter than for minutes."
    )
    retention_day: Annotated[int, *_KEPT] = Field(
        default=DEFAULT_RETENTION[Tier.DAY], description="How long each day's views are kept; not shorter than for hours."
    )
    max_pending_views: Annotated[int, Field(ge=1), Words("a whole number, 1 or more")] = Field(
        default=100_000, description="How many views may wait for the store in one process; beyond it the server answers 503."
    )
    commit_timeout: Annotated[
        float, Field(gt=0, allow_inf_nan=False), Words("a number of seconds greater than 0", show=lambda number: f"{number:g}")
    ] = Field(
        default=5.0, description="How many seconds a view may wait for the store to confirm it; parts of a second are allowed."
    )
    drain_seconds: Annotated[int, _SECONDS, Field(ge=0, le=LONGEST_DURATION), Words("a duration, 0 or longer")] = Field(
        default=10, description="How many seconds a stopping server gives the requests under way."
    )
    unready_seconds: Annotated[int, _SECONDS, Field(ge=0, le=LONGEST_DURATION), Words("a duration, 0 or longer")] = Field(
        default=0,
        description="How many seconds a stopping server goes on serving but says it is not ready; 5 behind a balancer.",
    )
    event_id_ttl: Annotated[int, _SECONDS, Field(ge=60, le=DAY), Words("a duration from 60 seconds to 1d")] = Field(
        default=600, description="How many seconds an event id is remembered, so that a view sent again with it is counted once."
    )
    durability: Annotated[str, AfterValidator(known_durability), Words("primary or replicas:N")] = Field(
        default="primary",
        description="What a Redis store must say before a view is acknowledged: that its primary has it, or N replicas too.",
    )
    spool: Annotated[str | None, BeforeValidator(folder_or_off), Words("a folder's path, or off", "off")] = Field(
        default=None,
        description="Where views wait on this machine's disk while the store is away; off: they are refused with 503.",
    )
    spool_max_bytes: Annotated[int, Field(ge=65536), Words("a whole number of bytes, 65536 or more")] = Field(
        default=256 * 1024 * 1024, description="How much may wait in one process's spool, in bytes; beyond it views are refused."
    )
    spool_age: Annotated[
        int, _SECONDS, Field(ge=60, le=3 * DAY), Words("a duration from 60 seconds to 3d", show=duration_words)
    ] = Field(
        default=3 * DAY, description="How long a view may wait in the spool; the store remembers 7 days what it has applied."
    )
    origins: Annotated[
        tuple[str, ...], _LIST, _RULE, Words("hosts, `*.example.com` for all below one, `self` for the site's own", show=_shown)
    ] = Field(
        default=(), description="Hosts of pages whose views count; none: of any. A view that names no origin always counts."
    )
    excluded_addresses: Annotated[tuple[str, ...], _LIST, _RULE, Words("addresses and networks (CIDR)", show=_shown)] = Field(
        default=(), description="Addresses whose views are not counted."
    )
    excluded_paths: Annotated[tuple[str, ...], _LIST, _RULE, Words("paths such as `/admin/*`", show=_shown)] = Field(
        default=(), description="Pages whose views are not counted; `*` stands for any characters, `?` for one."
    )
    kept_parameters: Annotated[tuple[str, ...], _LIST, _RULE, Words("names of query parameters", show=_shown)] = Field(
        default=(), description="Query parameters that tell pages apart; all others are cut off."
    )
    honours_privacy_signals: Annotated[bool, Words("yes or no", show=_yes_or_no)] = Field(
        default=False, description="Whether views with `DNT: 1` or `Sec-GPC: 1` are not counted."
    )
    merges_slash: Annotated[bool, Words("yes or no", show=_yes_or_no)] = Field(
        default=False, description="Whether `/blog/` counts as `/blog`."
    )
    merges_index: Annotated[bool, Words("yes or no", show=_yes_or_no)] = Field(
        default=True, description="Whether `/blog/index.html` counts as `/blog/`."
    )
    counts_visitors: Annotated[bool, Words("yes or no", show=_yes_or_no)] = Field(
        default=True, description="Whether visitors are told apart, by a hash that is of no use after the day."
    )
    visitor_rate: Annotated[int, Field(ge=0, le=MAX_NUMBER), _NUMBER] = Field(
        default=0, description="Views a minute that an instance counts of one address; 0: no limit. See FOOTFALL_TRUSTED_PROXIES."
    )
    site_rate: Annotated[int, Field(ge=0, le=MAX_NUMBER), _NUMBER] = Field(
        default=0, description="Views a minute that an instance counts of one site; 0: no limit."
    )
    pages_per_day: Annotated[int, Field(ge=0, le=MAX_NUMBER), _NUMBER] = Field(
        default=Rules().pages_per_day, description="New pages that a site may gain a day; 0: any number."
    )
    trusted_proxies: Annotated[
        tuple[str, ...], _LIST, AfterValidator(networks), Words("addresses and networks (CIDR)", show=_shown)
    ] = Field(default=(), description="Proxies that are believed when they say whom a request comes from.")
    client_address_header: Annotated[str, AfterValidator(header_name), Words("the name of a header")] = Field(
        default="X-Forwarded-For",
        description="The header in which trusted proxies say it: one like X-Forwarded-For, or Forwarded.",
    )
    country_header: Annotated[
        str | None, BeforeValidator(none_if_empty), AfterValidator(header_name), Words("the name of a header", "none")
    ] = Field(default=None, description="The header in which a network says the country, such as CF-IPCountry.")
    country_database: Annotated[
        str | None, BeforeValidator(none_if_empty), AfterValidator(database_path), Words("the path of an .mmdb file", "none")
    ] = Field(default=None, description="A country database in MaxMind's format, by which countries are found.")
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(lower), Words("auto, console or json")] = Field(
        default="auto", description="How log lines look; auto is console on a terminal, else json."
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(lower), Words("debug, info, warning or error")
    ] = Field(default="info", description="The least important log lines that are written.")
    admin_password: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(long_password),
        Words("10 characters or more", "the one that was set", is_secret=True),
    ] = Field(
        default=None,
        description="The password of the dashboard; overrides the one that `footfall admin password` has set.",
    )
    metrics_token: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(long_token),
        Words("16 letters and digits or more", "none", is_secret=True),
    ] = Field(
        default=None,
        description="What opens `/metrics` to other machines, as `Authorization: Bearer TOKEN`; none: only this machine may ask.",
    )
    sentry_dsn: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(project_dsn),
        Words("a DSN such as https://KEY@HOST/1", "none", is_secret=True),
    ] = Field(
        default=None,
        description="Where errors are reported: a Sentry, or a service that speaks its protocol. Needs `footfall[sentry]`.",
    )

    @property
    def declared_sites(self) -> tuple[str, ...]:
        """The sites that the settings ask for: none where `localhost` is there by default alone."""
        asked = self.model_fields_set
        return self.sites if asked & {"sites", "home_site"} or ("public_sites" in asked and self.public_sites) else ()

    @property
    def retention(self) -> Retention:
        """How long each tier's buckets are kept, in seconds, as the stores take it."""
        return {tier: getattr(self, f"retention_{tier.value}") for tier in DEFAULT_RETENTION}

    @property
    def rules(self) -> Rules:
        """The rules that hold for sites that have none of their own."""
        return Rules(**{name: getattr(self, name) for name in Rules.__struct_fields__ if name != "visibility"})

    @property
    def longest_window(self) -> int:
        """The widest window that can be asked for, in seconds: what the second tier keeps, less a margin."""
        return min(LONGEST_WINDOW, self.retention_second - WINDOW_MARGIN)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            is_hidden = name is not None and value is not None and words_of(name).is_secret
            yield name, shown_url(value) if name == "store" else "***" if is_hidden else value


def words_of(field: str) -> Words:
    """What a field says of itself."""
    return next(item for item in Settings.model_fields[field].metadata if isinstance(item, Words))


def default_words(field: str) -> str:
    """A field's default, in words where it is computed."""
    words = words_of(field)
    return words.default or words.show(Settings.model_fields[field].default)


class SettingRow(NamedTuple):
    """A setting as the documentation shows it: its name in the environment and, in words, value, default and help."""

    name: str
    accepted: str
    default: str
    help: str


def describe() -> list[SettingRow]:
    """All settings in words, in the order of the fields."""
    return [
        SettingRow(setting_name(field), words_of(field).accepted, default_words(field), info.description or "")
        for field, info in Settings.model_fields.items()
    ]


def markdown_table() -> str:
    """The table of all settings in docs/settings.md, in Markdown, without a newline at its end."""
    rows = [("setting", "value", "default", "what it is"), ("---",) * 4]
    rows += [(f"`{row.name}`", row.accepted, row.default, row.help) for row in describe()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
