"""Whatever happens to a log that is followed, in whatever order, each of its lines counts once."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall.importing.following import BESIDE_SECONDS, LINGER_SECONDS
from tests.unit.importing.following import Scene, once

HAPPENINGS = st.lists(
    st.sampled_from(["write", "write", "write", "rename", "rename and pack", "copy and cut", "write late", "linger", "stop"]),
    max_size=25,
)


class Story(Scene):
    """A scene to which any of HAPPENINGS may happen."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.written = 0
        self.rotated = 0
        self.is_seen = True  # the log had a line when it was looked at
        self.late = ""  # a log that was renamed away just now, into which a server may still write
        self.log.touch()

    def happen(self, what: str) -> None:
        if what == "linger":
            self.wait(LINGER_SECONDS)
            self.late = ""
        elif what == "write" or (what == "write late" and self.late):
            self.write(self.written, to=self.late if what == "write late" else "access.log")
            self.written += 1
        elif what == "write late":
            pass
        elif self.log.stat().st_size:
            self._rotate(what)

    def happen_at_once(self, happenings: list[str]) -> None:
        """All of these, between two looks. What was copied and cut before it was ever seen with a line can't be known (docs)."""
        self.is_seen = self.is_seen or self.log.stat().st_size > 0
        for what in happenings:
            if what != "copy and cut" or self.is_seen:
                self.happen(what)

    def _rotate(self, how: str) -> None:
        self.rotated += 1
        name = f"access.log-2026{self.rotated:04}"
        if how == "copy and cut":
            self.copy_and_cut(name)
        else:
            self.rename(name)
            self.log.touch()
        self.is_seen = False
        os.utime(self.folder / name, (self.rotated, self.rotated))
        self.late = name if how == "rename" else ""
        if how == "rename and pack":
            self.pack(name)


@settings(deadline=None, max_examples=60)
@given(HAPPENINGS)
def test_whatever_happens_every_line_counts_once(tmp_path_factory: pytest.TempPathFactory, happenings: list[str]) -> None:
    """Any order of writing, rotating, waiting, stopping and beginning again."""
    story = Story(tmp_path_factory.mktemp("followed"))
    story.happen("write")
    story.follow()
    runs: list[list[str]] = [[]]
    for what in happenings:
        if what == "stop":
            runs.append([])
        else:
            runs[-1].append(what)
    for number, run in enumerate(runs):
        unseen = number % 3  # so many happen while nobody looks
        for what in run[:unseen]:
            story.happen(what)
        story.late = ""
        at_once = 1 + number % 2  # so many happen between two looks
        deeds = [partial(story.happen_at_once, run[at : at + at_once]) for at in range(unseen, len(run), at_once)]
        story.follow(*deeds, partial(story.wait, BESIDE_SECONDS))
        story.late = ""
    assert story.counted() == once(range(story.written))
