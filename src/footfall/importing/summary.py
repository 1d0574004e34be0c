"""What an import has found so far: how many lines, what became of them and why, and some that could not be read.

It knows what lines come to, not how. What it shows of a line holds no client's address.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from footfall.importing.judging import COUNTED, drop_reasons
from footfall.importing.lines import Line
from footfall.importing.sums import MAX_SAMPLES, Sums
from footfall.model import DropReason

#: So many characters of an unreadable line are shown.
SAMPLE_LENGTH = 100

#: IPv4 and IPv6 addresses; of the latter what has eight groups or "::", which no time has.
_GROUPS = r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*"
_ADDRESS = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
    rf"|(?<![\w:])(?:(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}}|(?:{_GROUPS})?::(?:{_GROUPS})?(?:\.[0-9.]+)?)(?![\w:])"
)


class Sample(msgspec.Struct, frozen=True):
    """A line that could not be read: the byte it begins at, and its beginning, with addresses blotted out."""

    start: int
    text: str


class Summary(msgspec.Struct, frozen=True):
    """What an import found: lines = already + counted + all that were dropped.

    `already`: lines an earlier import has dealt with. `first` and `last` are the earliest and the latest time of the views
    counted, in Unix seconds; None where there are none. `rules` has the lines that were judged by the name of the rule that
    decided, `sites` the views counted by site. Where the same log is imported twice at once, both may call a line counted; the
    store counts it once.
    """

    lines: int
    already: int
    counted: int
    dropped: Mapping[DropReason, int]
    first: int | None
    last: int | None
    rules: Mapping[str, int] = {}
    sites: Mapping[str, int] = {}
    samples: tuple[Sample, ...] = ()


class Tally:
    """Sums up judgements."""

    def __init__(self) -> None:
        self._already = 0
        self._rules: Counter[str] = Counter()
        self._sites: Counter[str] = Counter()
        self._first: int | None = None
        self._last: int | None = None
        self._samples: list[Sample] = []

    def pass_over(self, lines: int) -> None:
        """Lines that an earlier import has dealt with."""
        self._already += lines

    def take(self, site: str | None, sums: Sums, part: Sequence[Line]) -> None:
        """What lines of one site, or of none, come to. `part`: the lines among which the unreadable ones have their places."""
        self._rules.update(sums.rules)
        if sums.batch.timed and site is not None:
            self._sites[site] += sums.rules[COUNTED]
            times = [at for _, at in sums.batch.timed]
            self._first = min(times) if self._first is None else min(*times, self._first)
            self._last = max(times) if self._last is None else max(*times, self._last)
        for place in sums.unreadable[: MAX_SAMPLES - len(self._samples)]:
            self._samples.append(Sample(part[place].start, sample_of(part[place].content)))

    def summary(self) -> Summary:
        """What was found up to now."""
        dropped: Counter[DropReason] = Counter()
        for rule, reason in drop_reasons().items():
            if self._rules[rule]:
                dropped[reason] += self._rules[rule]
        return Summary(
            self._already + self._rules.total(),
            self._already,
            self._rules[COUNTED],
            dict(dropped),
            self._first,
            self._last,
            dict(self._rules),
            dict(self._sites),
            tuple(self._samples),
        )


def sample_of(content: bytes) -> str:
    """The beginning of a line, for people to read; what is not UTF-8 as U+FFFD."""
    text = _ADDRESS.sub("…", content[: 4 * SAMPLE_LENGTH].decode("utf-8", "replace").rstrip("\r"))
    return text if len(text) <= SAMPLE_LENGTH else text[: SAMPLE_LENGTH - 1] + "…"
