"""Log lines about what anyone can cause as often as they like: each kind once a minute, with how often it happened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

#: A kind is logged again after so many seconds at the earliest.
QUIET_SECONDS = 60.0


class Repeated:
    """Writes warnings to `log`. `monotonic` is in seconds. The kinds are few: whoever calls names them from a fixed list."""

    def __init__(self, log: logging.Logger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._since: dict[str, tuple[float, int]] = {}

    def warn(self, kind: str, *, who: str = "") -> None:
        """Something of this kind happened, caused by `who` (an address, shown for the one that is logged)."""
        now = self._monotonic()
        logged_at, unsaid = self._since.get(kind, (-QUIET_SECONDS, 0))
        if now - logged_at < QUIET_SECONDS:
            self._since[kind] = logged_at, unsaid + 1
            return
        self._since[kind] = now, 0
        more = f", and {unsaid:,} more since the last such line" if unsaid else ""
        self._log.warning("%s%s%s", kind, f" ({who})" if who else "", more)
