"""Learns from commits whether views that come together are better committed in halves.

Where all who view wait for one commit, and this process with them, it has nothing to do while the store works, and the store
nothing while it judges and answers. In two halves both have work. But each commit also takes what it takes however small it is,
the way to the store, the disk: two of them must not take longer than what is won. This module knows no views and no store.
"""

from __future__ import annotations

import math

#: For so long, in seconds, this process must have had nothing to do in so many commits more than in others; and what is known of
#: more than twice as many does not matter.
IDLE_SECONDS = 0.001
IDLE_COMMITS = 8

#: This process must have so many times as much to do for these views as the quickest commit took.
WORTH = 1.25

#: What the quickest commit took is forgotten by this much with each one: stores grow slower, too.
SLOWER = 1.0001


class Halving:
    """What is known of commits. Times are in seconds of a clock that never runs backward; `busy` are seconds of processor time
    that this process has taken.
    """

    def __init__(self, busy: float) -> None:
        #: So many views close the first batch that waits while no commit is under way.
        self.most = math.inf
        self._idle_commits = 0
        self._pending = 0
        self._together = 0
        self._quickest = math.inf
        self._started = 0.0
        self._busy = busy
        self._views = 1
        #: What this process has to do for all views that come together, in seconds.
        self._work = 0.0

    def begin(self, pending: int, now: float, busy: float) -> None:
        """A commit begins, and so many views wait, those in it included: from now on views gather for the next."""
        self.most = math.inf
        self._together, self._pending = max(pending, self._pending), pending
        self._work = (busy - self._busy) / self._views * self._together
        self._started, self._busy = now, busy

    def end(self, views: int, now: float, busy: float, *, is_alone: bool) -> None:
        """It has ended, and so many views were in it. `is_alone`: these were many, and nobody came meanwhile."""
        took = now - self._started
        self._quickest = min(took, SLOWER * self._quickest)
        self._views = max(views, 1)
        if is_alone:
            idle = took - (busy - self._busy)
            step = 1 if idle > IDLE_SECONDS and self._work > WORTH * self._quickest else -1
            self._idle_commits = min(max(self._idle_commits + step, 0), 2 * IDLE_COMMITS)
            if self._idle_commits >= IDLE_COMMITS:
                self.most = self._together / 2
