"""Who may see and change what: tokens, sessions, share links, and the password.

All of it is kept as documents in the store, so that every instance knows it within a second; secrets are kept hashed and are
shown once, when they are made. This package knows no requests: `web.access` finds the credentials in them.
"""

from footfall.auth.credentials import Credentials, Made, Session, Share, Token
from footfall.auth.passwords import MIN_PASSWORD_LENGTH, CheckUnderWay, NotChecked, Passwords, TooManyAttempts
from footfall.auth.scopes import ADMIN, NOBODY, Caller, Scope, read_scope

__all__ = [
    "ADMIN",
    "MIN_PASSWORD_LENGTH",
    "NOBODY",
    "Caller",
    "CheckUnderWay",
    "Credentials",
    "Made",
    "NotChecked",
    "Passwords",
    "Scope",
    "Session",
    "Share",
    "Token",
    "TooManyAttempts",
    "read_scope",
]
