"""Every error Footfall raises, drawn as a tree.

    FootfallError
    ├── SettingError          a setting has a value that can't be used; names it and how to fix it
    ├── BadInput              what a caller sent can't be read; names the field and how to fix it
    ├── StoreError
    │   ├── StoreUnavailable  the store did not answer in time or can't write now; try again
    │   └── StoreUnusable     the store answered, but is not one we can use (a newer schema, another kind of file)
    ├── Overloaded            more views wait than may wait; try again
    ├── Draining              the process is stopping and takes no more views
    └── NotAcknowledged       a view may or may not have been stored; it was not acknowledged

Drivers' exceptions are translated at one seam, inside each store. No message carries a secret: URLs are shown without
passwords. This module imports nothing of ours.
"""

from __future__ import annotations


class FootfallError(Exception):
    """What all errors of this package have in common: one line that can be shown to a user."""


class SettingError(FootfallError):
    """A setting can't be used.

    `setting` is the name as the user writes it (``FOOTFALL_WINDOW``), `problem` says what is wrong with the value and how to
    fix it.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


class BadInput(FootfallError):
    """Input from outside can't be read. `field` names the parameter, `hint` says what would be accepted."""

    def __init__(self, field: str, hint: str) -> None:
        super().__init__(f"{field}: {hint}")
        self.field = field
        self.hint = hint


class StoreError(FootfallError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store did not answer in time, or can't write at the moment. The same call may succeed later."""


class StoreUnusable(StoreError):
    """The store answered, but can't be used as it is. Trying again does not help; the message says what does."""


class Overloaded(FootfallError):
    """As many views wait to be committed as the setting MAX_PENDING_VIEWS allows."""


class Draining(FootfallError):
    """The process is stopping: views already taken are being committed, new ones are refused."""


class NotAcknowledged(FootfallError):
    """The store did not confirm a view within COMMIT_TIMEOUT seconds. It may have been stored all the same."""
