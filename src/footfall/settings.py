"""Every setting: its name, type, default and help, read from the environment, a `.env` file and secret files.

`load_settings` is the one way to them: it gives a frozen `Settings` or one SettingError that names the setting as the user
wrote it and says how to mend it. No message and no repr shows a password. The table in docs/settings.md is made from the
fields. This module knows no store and no server: which URLs a store takes is the stores' matter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from footfall.errors import SettingError
from footfall.model import DAY, DEFAULT_RETENTION, HOUR, MINUTE, Retention, Tier

PREFIX = "FOOTFALL_"

#: What follows a setting's name when its value stands in a file.
FILE_SUFFIX = "_FILE"

#: A secret file is read up to this many bytes; a longer one is not a setting.
MAX_FILE_BYTES = 64 * 1024

#: The widest window, in seconds.
LONGEST_WINDOW = 540

#: Seconds are kept at least this much longer than the window is wide, so that a slow reading never meets an expired bucket.
WINDOW_MARGIN = 60

#: No duration is longer: beyond it a slip of the pen is likelier than a wish.
LONGEST = 36_500 * DAY

_UNITS = {"": 1, "s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([smhd]?)", re.ASCII)
_SITE = re.compile(r"(?=[.-]*[a-z0-9])[a-z0-9.-]{1,253}(?::(\d{1,5}))?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?", re.ASCII)
_STORE = re.compile(r"[a-z][a-z0-9+.-]*://[^\x00-\x20\x7f]*(?: [^\x00-\x20\x7f]+)*")
_SECRET_PARAMETER = re.compile(r"(?i)([?&;#][^=&;#]*(?:pass|pwd|secret|token|auth|key|cred)[^=&;#]*=)[^&;#]*")
_HARMLESS = re.compile(r"[A-Za-z0-9 .,_+-]{1,40}", re.ASCII)

#: Kubernetes writes these into every pod beside a Service that is named "footfall". Nobody meant them as settings.
_SERVICE_LINK = re.compile(r"FOOTFALL_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)")
_SERVICE_LINK_PORT = re.compile(r"(?:tcp|udp|sctp)://")

#: Whose retention a tier's must not be shorter than.
_FINER = {
    "retention_second": "window",
    "retention_minute": "retention_second",
    "retention_hour": "retention_minute",
    "retention_day": "retention_hour",
}


class _Words(NamedTuple):
    """A field in words: what is accepted (it follows "write"), the default where it is computed, and how a value is shown."""

    accepted: str
    default: str | None = None
    show: Callable[[Any], str] = str


def setting_name(field: str) -> str:
    """The name of a field in the environment: FOOTFALL_WINDOW for `window`."""
    return PREFIX + field.upper()


def shown_url(url: str) -> str:
    """A store's URL without its password, for people to read.

    Passwords are hidden wherever drivers accept them, before the @ and as query parameters, and also where they hold
    characters that should have been escaped. What is no URL may be a bare password, and is hidden whole.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    if scheme != "sqlite":  # a file's path has no user, and may hold an @
        user_info, at, rest = rest.rpartition("@")
        user, colon, _ = user_info.partition(":")
        rest = f"{user if colon else ''}{colon}***@{rest}" if at else rest
    rest = _SECRET_PARAMETER.sub(r"\1***", rest)
    return f"{scheme}://{rest}"


def _duration_words(seconds: int) -> str:
    """A duration as one would write it: 730d, 48h, 600."""
    if seconds >= 3 * DAY and seconds % DAY == 0:
        return f"{seconds // DAY}d"
    return f"{seconds // HOUR}h" if seconds >= HOUR and seconds % HOUR == 0 else str(seconds)


# Readers of values: from what was written to what the field's type takes. What they can't read they hand on to be refused.


def _seconds(value: object) -> object:
    match = _DURATION.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        return value
    seconds = Fraction(match[1]) * _UNITS[match[2]]
    return int(seconds) if seconds.denominator == 1 else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _site(key: str) -> str:
    key = key.strip().lower()
    match = _SITE.fullmatch(key)
    if match is None or (match[1] is not None and not 1 <= int(match[1]) <= 65535):
        raise ValueError("write sites as host names such as example.com or localhost:8080, without https:// and without a path")
    return key


def _sites(value: object) -> object:
    """Sites from a list with commas: read, in their order, each once."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(key, str) for key in value):
        return value
    return tuple(dict.fromkeys(_site(key) for key in value))


def _known_sites(keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    sites = info.data.get("sites", keys)  # where the sites can't be read, that is the error to report
    if not set(keys) <= set(sites):
        raise ValueError(
            f"only sites that {setting_name('sites')} names can stand here: choose one of those, or name it there too"
        )
    return keys


def _known_site(key: str, info: ValidationInfo) -> str:
    return _known_sites((_site(key),), info)[0]


def _store_url(url: str) -> str:
    url = url.strip()
    if not _STORE.fullmatch(url):
        raise ValueError("write a URL such as sqlite:////var/lib/footfall/footfall.db or redis://localhost:6379/0")
    return url


def _host(host: str) -> str:
    host = host.strip()
    if not _HOST.fullmatch(host):
        raise ValueError(f"write an address or a host name alone; the port goes into {setting_name('port')}")
    return host


def _few_enough(workers: int, info: ValidationInfo) -> int:
    if workers > 1 and str(info.data.get("store", "")).startswith("memory:"):
        raise ValueError(f"memory:// is not shared between processes: write 1, or set {setting_name('store')} to one that is")
    return workers


def _kept_long_enough(seconds: int, info: ValidationInfo) -> int:
    finer = _FINER[info.field_name or ""]
    margin = WINDOW_MARGIN if finer == "window" else 0
    least = info.data.get(finer, 0) + margin
    if seconds < least:
        more = f" and {margin} seconds more" if margin else ""
        raise ValueError(
            f"write {_duration_words(least)} or longer (as long as {setting_name(finer)}{more}), or make that one shorter"
        )
    return seconds


def _default_store() -> str:
    from platformdirs import user_data_path  # only where the default is asked for: it keeps every start short

    return f"sqlite:///{user_data_path('footfall', appauthor=False).as_posix()}/footfall.db"


_SECONDS = BeforeValidator(_seconds)
_KEPT = (
    _SECONDS,
    Field(ge=1, le=LONGEST),
    AfterValidator(_kept_long_enough),
    _Words("a duration such as 48h", show=_duration_words),
)


class Settings(BaseSettings):
    """All settings, valid and frozen. Made directly it takes what it is given and looks nowhere else; see `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    store: Annotated[str, AfterValidator(_store_url), _Words("a URL", "a file `footfall.db` in the user's data folder")] = Field(
        default_factory=_default_store,
        description="Where views are kept: a file (`sqlite:////path/file.db`), Redis or Valkey (`redis://host:6379/0`), "
        "or memory (`memory://`, lost at the end).",
    )
    sites: Annotated[
        tuple[str, ...],
        BeforeValidator(_sites),
        Field(min_length=1),
        _Words("host names such as example.com or localhost:8080, separated by commas", show=", ".join),
    ] = Field(default=("localhost",), description="The sites whose views are counted.")
    home_site: Annotated[str, AfterValidator(_known_site), _Words("one of the sites", "the first of the sites")] = Field(
        default_factory=lambda fields: fields["sites"][0] if "sites" in fields else "",
        description="The site whose page `/` is the server's own front page, `GET /`.",
    )
    public_sites: Annotated[
        tuple[str, ...],
        BeforeValidator(_sites),
        AfterValidator(_known_sites),
        _Words("some of the sites, separated by commas; nothing for none", "the home site"),
    ] = Field(
        default_factory=lambda fields: (fields["home_site"],) if "home_site" in fields else (),
        description="The sites whose numbers everyone may read.",
    )
    host: Annotated[str, AfterValidator(_host), _Words("an address or a host name")] = Field(
        default="127.0.0.1", description="The address the server listens on; `0.0.0.0` or `::` for all of the machine's."
    )
    port: Annotated[int, Field(ge=0, le=65535), _Words("a whole number from 0 to 65535")] = Field(
        default=8000, description="The port the server listens on; 0 takes any that is free."
    )
    workers: Annotated[int, Field(ge=1), AfterValidator(_few_enough), _Words("a whole number, 1 or more")] = Field(
        default=1, description="How many server processes share the port; with `memory://` only 1."
    )
    instance: Annotated[str | None, _Words("text", "the name of the ECS task, the EC2 instance or the host")] = Field(
        default=None, description="What this instance is called on pages and in replies."
    )
    window: Annotated[int, _SECONDS, Field(ge=1, le=LONGEST_WINDOW), _Words(f"a duration from 1 to {LONGEST_WINDOW} seconds")] = (
        Field(60, description="How many of the newest seconds the live count covers.")
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
    max_pending_views: Annotated[int, Field(ge=1), _Words("a whole number, 1 or more")] = Field(
        default=100_000, description="How many views may wait for the store in one process; beyond it the server answers 503."
    )
    commit_timeout: Annotated[
        float, Field(gt=0, allow_inf_nan=False), _Words("a number of seconds greater than 0", show=lambda seconds: f"{seconds:g}")
    ] = Field(
        default=5.0, description="How many seconds a view may wait for the store to confirm it; parts of a second are allowed."
    )
    drain_seconds: Annotated[int, _SECONDS, Field(ge=0, le=LONGEST), _Words("a duration, 0 or longer")] = Field(
        default=10, description="How many seconds a stopping server gives the requests under way."
    )
    unready_seconds: Annotated[int, _SECONDS, Field(ge=0, le=LONGEST), _Words("a duration, 0 or longer")] = Field(
        default=0,
        description="How many seconds a stopping server goes on serving but says it is not ready; 5 behind a balancer.",
    )
    event_id_ttl: Annotated[int, _SECONDS, Field(ge=60, le=DAY), _Words("a duration from 60 seconds to 1d")] = Field(
        default=600, description="How many seconds an event id is remembered, so that a view sent again with it is counted once."
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower), _Words("auto, console or json")] = Field(
        default="auto", description="How log lines look; auto is console on a terminal, else json."
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(_lower), _Words("debug, info, warning or error")
    ] = Field(default="info", description="The least important log lines that are written.")

    @property
    def retention(self) -> Retention:
        """How long each tier's buckets are kept, in seconds, as the stores take it."""
        return {tier: getattr(self, f"retention_{tier.value}") for tier in DEFAULT_RETENTION}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: the library's own sources would read the process's environment, and know no NAME_FILE."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, shown_url(value) if name == "store" else value


class _Given(NamedTuple):
    """A value as the user gave it: under which name, in which file of settings ("" for none) and the text or object itself."""

    name: str
    place: str
    value: object

    @property
    def stands_in_a_file(self) -> bool:
        return self.name.endswith(FILE_SUFFIX)


def load_settings(
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Read all settings.

    `overrides` (by field name; None means not given) go before the environment, that before the `.env` file, and that before
    the defaults. `environ` is the process's environment unless one is given; with `dotenv` None no such file is read. A name
    with _FILE behind it gives a file that holds the value. Raises SettingError, about the first setting that can't be used.
    """
    given: dict[str, _Given] = {}
    if dotenv is not None:
        given |= _given_in(read_dotenv(dotenv), str(dotenv))
    given |= _given_in(os.environ if environ is None else environ, "")
    given |= {field: _Given(setting_name(field), "", value) for field, value in (overrides or {}).items() if value is not None}
    values = {field: _file_text(item) if item.stands_in_a_file else item.value for field, item in given.items()}
    try:
        return Settings(**values)  # type: ignore[arg-type]  # what does not fit is refused here, at run time
    except ValidationError as error:
        refused = _refusal(error, given)
    raise refused  # out here, so that no traceback carries pydantic's error, which knows the values


def read_dotenv(path: Path = Path(".env")) -> dict[str, str]:
    """The names and values in a `.env` file, taken literally; none where there is no such file. Raises SettingError."""
    from dotenv import dotenv_values

    try:
        if not path.is_file():
            return {}
        with path.open(encoding="utf-8-sig") as lines:
            return {name: value or "" for name, value in dotenv_values(stream=lines, interpolate=False).items()}
    except (OSError, UnicodeError) as error:
        raise SettingError(str(path), f"can't be read ({_reason(error)}); make it a readable UTF-8 file, or remove it") from None


def unknown_settings(environ: Mapping[str, str] | None = None, dotenv: Mapping[str, str] | None = None) -> list[str]:
    """A line of warning for each FOOTFALL_ name that is no setting, with the nearest one that is.

    Without arguments it looks where `load_settings` does. Raises SettingError where the `.env` file can't be read.
    """
    from difflib import get_close_matches

    environ = os.environ if environ is None else environ
    dotenv = read_dotenv() if dotenv is None else dotenv
    known = [setting_name(field) + suffix for field in Settings.model_fields for suffix in ("", FILE_SUFFIX)]
    warnings = []
    for name in sorted({*environ, *dotenv}):
        if not name.upper().startswith(PREFIX) or name in known or _SERVICE_LINK.fullmatch(name):
            continue
        near = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[:80])
        warnings.append(f"{shown} is no setting of Footfall" + (f"; did you mean {near[0]}?" if near else ""))
    return warnings


def _given_in(named: Mapping[str, str], place: str) -> dict[str, _Given]:
    """What a mapping of names gives, by field."""
    found: dict[str, _Given] = {}
    for field in Settings.model_fields:
        name = setting_name(field)
        if name in named and name + FILE_SUFFIX in named:
            raise SettingError(name, f"{name} and {name}{FILE_SUFFIX} are both given; keep one of them")
        for written in (name, name + FILE_SUFFIX):
            if written in named and not (field == "port" and _SERVICE_LINK_PORT.match(named[written])):
                found[field] = _Given(written, place, named[written])
    return found


def _file_text(item: _Given) -> str:
    """The value in the file that a NAME_FILE names. No message repeats the path: it may be the secret itself, by mistake."""
    try:
        with open(str(item.value), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it is longer than {MAX_FILE_BYTES} bytes")
        return content.decode("utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingError(
            item.name, f"the file it names can't be read ({_reason(error)}); write the path of a readable UTF-8 text file"
        ) from None


def _reason(error: OSError | ValueError) -> str:
    """Why a file could not be read, without its name or content."""
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)


def _refusal(error: ValidationError, given: Mapping[str, _Given]) -> SettingError:
    """The first of pydantic's complaints in our words."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0])
    if field not in Settings.model_fields:
        return SettingError(setting_name(field), "there is no such setting; see docs/settings.md for those there are")
    words = _words(field)
    problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"write {words.accepted}"
    item = given.get(field)
    if item is None:
        return SettingError(setting_name(field), f"{problem}; by default it is {_default_words(field)}")
    place = f" in {item.place}" if item.place else ""
    if field == "store" or item.stands_in_a_file or not _HARMLESS.fullmatch(str(item.value)):
        return SettingError(item.name, problem + (f"; it stands{place}" if place else ""))
    return SettingError(item.name, f"{problem}; it is {str(item.value)!r}{place}")


class SettingRow(NamedTuple):
    """A setting as the documentation shows it: its name in the environment and, in words, value, default and help."""

    name: str
    accepted: str
    default: str
    help: str


def describe() -> list[SettingRow]:
    """All settings in words, in the order of the fields."""
    return [
        SettingRow(setting_name(field), _words(field).accepted, _default_words(field), info.description or "")
        for field, info in Settings.model_fields.items()
    ]


def markdown_table() -> str:
    """The table of all settings in docs/settings.md, in Markdown, without a newline at its end."""
    rows = [("setting", "value", "default", "what it is"), ("---",) * 4]
    rows += [(f"`{row.name}`", row.accepted, row.default, row.help) for row in describe()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _words(field: str) -> _Words:
    return next(item for item in Settings.model_fields[field].metadata if isinstance(item, _Words))


def _default_words(field: str) -> str:
    words = _words(field)
    return words.default or words.show(Settings.model_fields[field].default)
