"""Settings from an environment that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from footfall.errors import SettingError
from footfall.settings import PREFIX, Settings, load_settings


def loaded(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from this environment alone; names without their prefix."""
    return load_settings(overrides, {PREFIX + name: value for name, value in (environ or {}).items()}, dotenv=None)


def refused(environ: Mapping[str, str]) -> SettingError:
    """The error this environment leads to, which is one line."""
    with pytest.raises(SettingError) as caught:
        loaded(environ)
    assert "\n" not in str(caught.value)
    return caught.value
