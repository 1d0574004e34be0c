"""The country a view comes from: a header that the operator's network writes, or a file in MaxMind's format that he names.

Nothing is looked up elsewhere, and no address leaves this module.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb

from footfall.errors import SettingError
from footfall.headers import Headers
from footfall.intake.traits import country_of

REMEMBERED_ADDRESSES = 8192


class Countries:
    """Finds countries by `header` (its name) and else in the file `path`; None for neither. Raises SettingError."""

    def __init__(self, header: str | None = None, path: str | None = None) -> None:
        self._header = header.lower().encode() if header else None
        self._file: maxminddb.Reader | None = None
        if path:
            try:
                self._file = maxminddb.open_database(Path(path).expanduser(), maxminddb.MODE_MMAP_EXT)
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
                raise SettingError(
                    "FOOTFALL_COUNTRY_DATABASE", f"can't read the file ({reason}); name one that is there"
                ) from error
            except (ValueError, maxminddb.InvalidDatabaseError) as error:
                raise SettingError(
                    "FOOTFALL_COUNTRY_DATABASE", "the file is not in MaxMind's format, or cut; name a country database"
                ) from error
        self._look_up = lru_cache(REMEMBERED_ADDRESSES)(self._looked_up)
        #: Whether there is any means to know a country.
        self.are_known = bool(self._header or self._file)

    def country(self, address: str, headers: Headers) -> str:
        """The country's code, "" where it is not known."""
        if self._header is not None and self._header in headers:
            return country_of(headers[self._header].decode("latin-1"))
        return self._look_up(address) if self._file is not None and address else ""

    def _looked_up(self, address: str) -> str:
        assert self._file is not None  # noqa: S101  # the caller knows
        try:
            record: Any = self._file.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return ""
        if not isinstance(record, dict):
            return ""
        country = record.get("country") or record.get("registered_country") or {}
        code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
        return country_of(code) if isinstance(code, str) else ""
