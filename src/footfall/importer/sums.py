"""What the lines of a part come to: each judged, and all added up by site.

It knows lines without their places, judgements and batches; what of them is new, and what is committed, is not decided here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from footfall.importer.lines import MAX_LINE_BYTES
from footfall.intake.logs import Format, Judgement, LogJudge
from footfall.intake.logs.judging import UNREADABLE
from footfall.model import Drop, SiteBatch, Traits, View

#: So many unreadable lines of a part are remembered by their places: more are never shown.
MAX_SAMPLES = 3


class Sums(NamedTuple):
    """What lines of one site, or of none, come to: how many were decided by which rule, and what is to be committed.

    `unreadable`: the places, among the lines that were judged together, of the first that could not be read.
    """

    rules: Mapping[str, int]
    batch: SiteBatch
    unreadable: Sequence[int]

    @property
    def lines(self) -> int:
        """How many lines these are."""
        return sum(self.rules.values())


def judged(judge: LogJudge, form: Format | None, contents: Iterable[bytes]) -> list[Judgement]:
    """What becomes of lines, given without their ends. A line that is too long, or in no format, is unreadable."""
    decide = judge.judge
    if form is None:
        return [decide(None) for _ in contents]
    read = form.read
    return [decide(read(content) if len(content) <= MAX_LINE_BYTES else None) for content in contents]


def sums_by_site(judge: LogJudge, form: Format, contents: Sequence[bytes]) -> dict[str | None, Sums]:
    """What lines come to, by site; None has those of no site."""
    judgements = judged(judge, form, contents)
    if len({judgement.outcome.site for judgement in judgements}) == 1:  # as nearly always
        return {judgements[0].outcome.site: sums_of(judgements)}
    places: dict[str | None, list[int]] = defaultdict(list)
    for place, judgement in enumerate(judgements):
        places[judgement.outcome.site].append(place)
    return {site: sums_of([judgements[place] for place in some], some) for site, some in places.items()}


def sums_of(judgements: Sequence[Judgement], places: Sequence[int] | None = None) -> Sums:
    """What judgements of one site come to. `places` are their lines', where these do not just follow each other."""
    rules = Counter([judgement.rule for judgement in judgements])
    unreadable: list[int] = []
    if rules[UNREADABLE]:
        numbers = range(len(judgements)) if places is None else places
        unreadable = [number for number, each in zip(numbers, judgements, strict=True) if each.rule == UNREADABLE]
    return Sums(dict(rules), summed([judgement.outcome for judgement in judgements]), unreadable[:MAX_SAMPLES])


def summed(outcomes: Iterable[View | Drop]) -> SiteBatch:
    """What views of one site with times of their own, and drops, add up to."""
    timed: dict[tuple[str, int], int] = defaultdict(int)
    traits: dict[tuple[str, int | None, Traits], int] = defaultdict(int)
    visitors: dict[tuple[str, int | None], set[int]] = defaultdict(set)
    dropped: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            dropped[outcome.reason.value] += 1
        elif outcome.at is not None:
            timed[outcome.page, outcome.at] += 1
            if outcome.traits:
                traits[outcome.page, outcome.at, outcome.traits] += 1
            if outcome.visitor is not None:
                visitors[outcome.page, outcome.at].add(outcome.visitor)
    return SiteBatch(timed=timed, traits=traits, visitors=visitors, outcomes=dropped)
