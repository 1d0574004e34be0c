"""How values of settings are read, checked and shown, whichever setting they belong to.

What can't be read is handed on for pydantic to refuse, or refused with a ValueError that says how to fix it. No message here
repeats a value. This module knows no fields: a check that looks at another setting gets it from pydantic, by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from pydantic import ValidationInfo

from footfall.errors import BadInput
from footfall.model import DAY, HOUR, MINUTE
from footfall.networks import network
from footfall.rules import WINDOW_MARGIN, Rules, duration_words, site_name

PREFIX = "FOOTFALL_"

#: What follows a setting's name when its value stands in a file.
FILE_SUFFIX = "_FILE"

_UNITS = {"": 1, "s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
_DURABILITY = re.compile(r"primary|replicas:[1-9]")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([smhd]?)", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?", re.ASCII)
#: RFC 6750, section 2.1: what can stand behind `Bearer`.
_TOKEN = re.compile(r"(?=.{16,256}$)[A-Za-z0-9._~+/-]+=*")
#: Develop Docs of Sentry, "SDK Fundamentals: Parsing the DSN".
_DSN = re.compile(r"https?://[A-Za-z0-9]+(?::[A-Za-z0-9]*)?@[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._-]+)*/\d+", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_STORE = re.compile(r"[a-z][a-z0-9+.-]*://[^\x00-\x20\x7f]*(?: [^\x00-\x20\x7f]+)*")
_PUBLIC = re.compile(r"https?://(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_SECRET_PARAMETER = re.compile(r"(?i)([?&;#][^=&;#]*(?:pass|pwd|secret|token|auth|key|cred)[^=&;#]*=)[^&;#]*")

#: Whose retention a tier's must not be shorter than.
_FINER = {
    "retention_second": "window",
    "retention_minute": "retention_second",
    "retention_hour": "retention_minute",
    "retention_day": "retention_hour",
}


class Words(NamedTuple):
    """A field in words: what is accepted (it follows "write"), the default where it is computed, and how a value is shown.

    A secret is shown to nobody, in no form.
    """

    accepted: str
    default: str | None = None
    show: Callable[[Any], str] = str
    is_secret: bool = False


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


def whole_seconds(value: object) -> object:
    """Seconds from "600", "600s", "10m", "48h" or "2d"; anything else as it is, parts of a second included."""
    match = _DURATION.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        return value
    seconds = Fraction(match[1]) * _UNITS[match[2]]
    return int(seconds) if seconds.denominator == 1 else value


def lower(value: object) -> object:
    """Text in lower case."""
    return value.strip().lower() if isinstance(value, str) else value


def listed_sites(value: object) -> object:
    """Sites from a list with commas: read, in their order, each once."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(key, str) for key in value):
        return value
    return tuple(dict.fromkeys(site_name(key) for key in value))


def known_sites(keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Sites that are counted. Raises ValueError where one is not."""
    sites = info.data.get("sites", keys)  # where the sites can't be read, that is the error to report
    if not set(keys) <= set(sites):
        raise ValueError(
            f"only sites that {setting_name('sites')} names can stand here: choose one of those, or name it there too"
        )
    return keys


def known_site(key: str, info: ValidationInfo) -> str:
    """The same for one."""
    return known_sites((site_name(key),), info)[0]


def store_url(url: str) -> str:
    """What has a URL's form; whether there is such a store is for the stores to say. Raises ValueError."""
    url = url.strip()
    if not _STORE.fullmatch(url):
        raise ValueError("write a URL such as sqlite:////var/lib/footfall/footfall.db or redis://localhost:6379/0")
    return url


def host_name(host: str) -> str:
    """An address, IPv6 without brackets, or a host name. Raises ValueError, for instance where a port follows."""
    host = host.strip()
    if not _HOST.fullmatch(host):
        raise ValueError(f"write an address or a host name alone; the port goes into {setting_name('port')}")
    return host


def public_address(url: str | None) -> str | None:
    """Where browsers reach the server, without a slash at its end. Raises ValueError."""
    url = url and url.strip().rstrip("/").lower()
    if url and not _PUBLIC.fullmatch(url):
        raise ValueError("write the address that browsers open, such as https://counter.example, without a path")
    return url


def few_enough(workers: int, info: ValidationInfo) -> int:
    """A number of workers that can share the store. Raises ValueError."""
    if workers > 1 and str(info.data.get("store", "")).startswith("memory:"):
        raise ValueError(f"memory:// is not shared between processes: write 1, or set {setting_name('store')} to one that is")
    return workers


def kept_long_enough(seconds: int, info: ValidationInfo) -> int:
    """A tier's retention in seconds, if it is not shorter than the finer tier's, or than the window. Raises ValueError."""
    finer = _FINER[info.field_name or ""]
    margin = WINDOW_MARGIN if finer == "window" else 0
    least = info.data.get(finer, 0) + margin
    if seconds < least:
        more = f" and {margin} seconds more" if margin else ""
        raise ValueError(
            f"write {duration_words(least)} or longer (as long as {setting_name(finer)}{more}), or make that one shorter"
        )
    return seconds


def folder_or_off(value: object) -> object:
    """A folder's path; None for "off" and for nothing. Raises ValueError for what is no path."""
    if isinstance(value, str) and value.strip().lower() in ("", "off"):
        return None
    if isinstance(value, str) and not (value.startswith(("/", "~/", "./")) and value.isprintable()):
        raise ValueError("write a folder's path such as /var/lib/footfall/spool, or off")
    return value


def known_durability(value: str) -> str:
    """What a Redis store must have before a batch is acknowledged. Raises ValueError."""
    value = value.strip().lower()
    if not _DURABILITY.fullmatch(value):
        raise ValueError("write primary, or replicas:N with N from 1 to 9")
    return value


def none_if_empty(value: object) -> object:
    """None for a text with nothing in it, as a variable has that a compose file passes on without being set."""
    return None if isinstance(value, str) and not value.strip() else value


def long_token(token: str | None) -> str | None:
    """A token that nobody guesses. Raises ValueError."""
    token = token and token.strip()
    if token and not _TOKEN.fullmatch(token):
        raise ValueError("write 16 to 256 of A-Z a-z 0-9 . _ ~ + / -, as `openssl rand -hex 32` prints them")
    return token


def long_password(password: str | None) -> str | None:
    """A password that is not guessed at once. Raises ValueError."""
    if password and not 10 <= len(password) <= 1000:
        raise ValueError("write at least 10 characters")
    return password


def project_dsn(dsn: str | None) -> str | None:
    """What has the form of a DSN. Raises ValueError."""
    dsn = dsn and dsn.strip()
    if dsn and not _DSN.fullmatch(dsn):
        raise ValueError("write the project's DSN, as in https://KEY@HOST/PROJECT-NUMBER")
    return dsn


def listed(value: object) -> object:
    """Words from a list with commas, in their order, each once."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        return value
    return tuple(dict.fromkeys(word.strip() for word in value if word.strip()))


def as_a_rule(value: object, info: ValidationInfo) -> object:
    """A value that can be the rule of its name. Raises ValueError."""
    try:
        Rules(**{str(info.field_name): value})  # type: ignore[arg-type]  # of its field's type: pydantic has seen to that
    except BadInput as error:
        raise ValueError(f"write {error.hint}") from None
    return value


def networks(values: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks. Raises ValueError."""
    try:
        for value in values:
            network(value, "networks")
    except BadInput as error:
        raise ValueError(f"write {error.hint}") from None
    return values


def header_name(value: str | None) -> str | None:
    """The name of a request header (RFC 9110, token). Raises ValueError."""
    if value and not _HEADER.fullmatch(value):
        raise ValueError("write the name of a header, such as X-Forwarded-For")
    return value


def database_path(value: str | None) -> str | None:
    """The path of a database in MaxMind's format. Raises ValueError."""
    if value and not (value.startswith(("/", "~/", "./")) and value.endswith(".mmdb") and value.isprintable()):
        raise ValueError("write the path of a file such as /var/lib/GeoIP/country.mmdb")
    return value


def default_store() -> str:
    """A file in the user's data folder, wherever the system has that."""
    from platformdirs import user_data_path  # only where the default is asked for: it keeps every start short

    return f"sqlite:///{user_data_path('footfall', appauthor=False).as_posix()}/footfall.db"
