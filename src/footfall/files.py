"""The files that Footfall keeps: readable to their owner alone, and watched for being taken away while they are open.

A file that was removed or replaced under a process still takes what the process writes, and nobody finds it again. So before
something in a file is acknowledged, its path is looked at. This module knows no format and no store.
"""

from __future__ import annotations

import os
from pathlib import Path

#: What the owner alone may do: read and write a file; list and enter a folder.
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

#: The device and inode of a file: they tell it from every other file of the machine.
_Identity = tuple[int, int]


def make_folder(path: str | Path) -> None:
    """Create a folder, and those above it, where they are missing. A folder that exists keeps its mode. Raises OSError."""
    os.makedirs(path, PRIVATE_FOLDER, exist_ok=True)


def create_file(path: str | Path) -> bool:
    """Create an empty file where there is none; whether it did. A file that exists keeps its mode. Raises OSError.

    It opens nothing that exists: closing a file would release the locks that this process holds on it elsewhere.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    except FileExistsError:
        return False
    return True


def _identity_of(status: os.stat_result) -> _Identity:
    """What tells a file from every other file of the machine."""
    return status.st_dev, status.st_ino


class OpenFiles:
    """Files that are open now, and belong together. Raises OSError where one of them is not there."""

    def __init__(self, *paths: str | Path) -> None:
        self._identities = [(path, _identity_of(os.stat(path))) for path in paths]

    def gone(self) -> str | Path | None:
        """The first whose path no longer leads to the file that was opened; None while all do."""
        for path, identity in self._identities:
            try:
                found = _identity_of(os.stat(path))
            except OSError:
                return path
            if found != identity:
                return path
        return None
