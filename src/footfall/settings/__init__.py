"""Every setting: its name, type, default and help, read from the environment, a `.env` file and secret files.

`load_settings` is the one way to them: it gives a frozen `Settings` or one SettingError that names the setting as the user
wrote it and says how to fix it. No message and no repr shows a password. The table in docs/settings.md is made from the
fields. This package knows no store and no server: which URLs a store takes is the stores' matter.
"""

from footfall.rules import LONGEST_WINDOW
from footfall.settings.fields import SettingRow, Settings, describe, markdown_table
from footfall.settings.sources import load_settings, read_dotenv, unknown_settings
from footfall.settings.values import FILE_SUFFIX, PREFIX, setting_name, shown_url

__all__ = [
    "FILE_SUFFIX",
    "LONGEST_WINDOW",
    "PREFIX",
    "SettingRow",
    "Settings",
    "describe",
    "load_settings",
    "markdown_table",
    "read_dotenv",
    "setting_name",
    "shown_url",
    "unknown_settings",
]
