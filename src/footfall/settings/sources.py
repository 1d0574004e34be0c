"""Where settings come from: options of a command, the environment, a `.env` file and secret files.

What can't be used becomes one SettingError that names the setting as the user wrote it, and says how to fix it. No message
shows a secret, nor what may be one by mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from footfall.errors import SettingError
from footfall.settings.fields import Settings, default_words, words_of
from footfall.settings.values import FILE_SUFFIX, PREFIX, setting_name

#: A secret file is read up to this many bytes; a longer one is not a setting.
MAX_FILE_BYTES = 64 * 1024

#: Values that may be repeated in a message: short, and without what a URL or a password has.
_HARMLESS = re.compile(r"[A-Za-z0-9 .,_+-]{1,40}", re.ASCII)

#: Kubernetes writes these into every pod beside a Service that is named "footfall". Nobody meant them as settings.
_SERVICE_LINK = re.compile(r"FOOTFALL_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)")
_SERVICE_LINK_PORT = re.compile(r"(?:tcp|udp|sctp)://")


#: What a name of the environment has not, as in `FOOTFALL-PORT` or `$env:FOOTFALL_PORT`.
_ODD_NAME = re.compile(r"[^A-Za-z0-9_]")


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

    `overrides` (by field name; None means not given) override the environment, the environment the `.env` file, and the file
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
    """The names and values in a `.env` file, taken literally; none where there is no such file.

    Raises SettingError, also for a line that can't be read: a setting may stand in it.
    """
    try:
        if not path.is_file():
            return {}
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise SettingError(str(path), f"can't be read ({_reason(error)}); make it a readable UTF-8 file, or remove it") from None
    from dotenv.parser import parse_stream  # only where there is something to read: it keeps every other start short

    found: dict[str, str] = {}
    for line in parse_stream(StringIO(text)):
        name = line.key or ""
        if line.error or (line.value is None and name.upper().startswith(PREFIX)):
            written = line.original.string
            number = line.original.line + written[: len(written) - len(written.lstrip())].count(
                "\n"
            )  # blank lines are part of it
            raise SettingError(str(path), f"line {number} can't be read; write NAME=VALUE, and close a quote that is opened")
        if name:
            found[name] = line.value or ""
    return found


def unknown_settings(environ: Mapping[str, str] | None = None, dotenv: Mapping[str, str] | None = None) -> list[str]:
    """A line of warning for each FOOTFALL_ name that is not a setting, with the nearest one that is.

    Without arguments it looks where `load_settings` does. Raises SettingError where the `.env` file can't be read.
    """
    environ = os.environ if environ is None else environ
    dotenv = read_dotenv() if dotenv is None else dotenv
    known = [setting_name(field) + suffix for field in Settings.model_fields for suffix in ("", FILE_SUFFIX)]
    warnings = []
    for name in sorted({*environ, *dotenv}):
        is_meant = name.upper().startswith(PREFIX) or (_ODD_NAME.search(name) and "FOOTFALL" in name.upper())
        if not is_meant or name in known or _SERVICE_LINK.fullmatch(name):
            continue
        from difflib import get_close_matches  # only where there is a warning to write

        near = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[:80])
        warnings.append(f"{shown} is not a Footfall setting" + (f"; did you mean {near[0]}?" if near else ""))
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
    words = words_of(field)
    problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"write {words.accepted}"
    item = given.get(field)
    if item is None:
        return SettingError(setting_name(field), f"{problem}; by default it is {default_words(field)}")
    place = f" in {item.place}" if item.place else ""
    if field == "store" or words.is_secret or item.stands_in_a_file or not _HARMLESS.fullmatch(str(item.value)):
        return SettingError(item.name, problem + (f"; it stands{place}" if place else ""))
    return SettingError(item.name, f"{problem}; it is {str(item.value)!r}{place}")
