"""What the lines of a part come to: each judged, and all added up by site.

It knows lines without their places, judgements and batches; what of them is new, and what is committed, is not decided here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from footfall.importing.formats import Format
from footfall.importing.judging import UNREADABLE, Judgement, LogJudge
from footfall.importing.lines import MAX_LINE_BYTES
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


def judged(judge: LogJudge, form: Format | None, contents: Iterable[bytes]) -> Sequence[Judgement]:
    """What becomes of lines, given without their ends. A line that is too long, or in no format, is unreadable."""
    decide = judge.judge
    if form is None:
        return [decide(None) for _ in contents]
    read = form.read
    return [decide(read(content) if len(content) <= MAX_LINE_BYTES else None) for content in contents]


def places_by_site(judgements: Sequence[Judgement]) -> Mapping[str | None, Sequence[int]]:
    """Where the judgements of each site stand; None has those of no site."""
    if len({judgement.outcome.site for judgement in judgements}) == 1:  # as nearly always
        return {judgements[0].outcome.site: range(len(judgements))}
    places: dict[str | None, list[int]] = defaultdict(list)
    for place, judgement in enumerate(judgements):
        places[judgement.outcome.site].append(place)
    return places


def sums_of(judgements: Sequence[Judgement], places: Sequence[int]) -> Sums:
    """What those of the judgements come to that stand at these places, all of one site."""
    some = judgements if len(places) == len(judgements) else [judgements[place] for place in places]
    rules = Counter([judgement.rule for judgement in some])
    unreadable = [place for place in places if judgements[place].rule == UNREADABLE] if rules[UNREADABLE] else []
    return Sums(dict(rules), summed([judgement.outcome for judgement in some]), unreadable[:MAX_SAMPLES])


def sums_by_site(judge: LogJudge, form: Format, contents: Sequence[bytes]) -> dict[str | None, Sums]:
    """What lines come to, by site."""
    judgements = judged(judge, form, contents)
    return {site: sums_of(judgements, places) for site, places in places_by_site(judgements).items()}


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
