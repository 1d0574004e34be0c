"""Six thousand real lines, each judged as it was by hand; and the requests they tell of, judged alike.

`tests/data/README.md` has the table, and where the lines come from.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from footfall.importing.formats import LogEntry
from footfall.importing.formats.apache import Combined
from footfall.importing.judging import Judgement
from footfall.intake.request import Intake
from footfall.model import Drop, DropReason, View
from tests.unit.importing.logs_given import intake_of, judge_of

SITE = "semicomplete.com"
DATA = Path(__file__).parents[2] / "data"
LINES = gzip.decompress((DATA / "access.log.gz").read_bytes()).splitlines()
BY_HAND = "".join((DATA / "access-verdicts.txt").read_text().split())

LETTERS: Mapping[str, str] = {
    "m": "other method",
    "e": "not shown",
    "a": "asset",
    "f": "feed",
    "b": "bot",
    "V": "view",
}

#: How many of the lines are what, and for which reason they don't count.
TABLE: Mapping[str, tuple[int, DropReason | None]] = {
    "m": (27, DropReason.NOT_A_PAGE),
    "e": (260, DropReason.NOT_A_PAGE),
    "a": (3234, DropReason.NOT_A_PAGE),
    "f": (592, DropReason.NOT_A_PAGE),
    "b": (848, DropReason.BOT),
    "V": (1039, None),
}


@pytest.fixture(scope="module")
def entries() -> list[LogEntry]:
    """All lines, read."""
    combined = Combined()
    return [entry for line in LINES if (entry := combined.read(line)) is not None]


@pytest.fixture(scope="module")
def judgements(entries: list[LogEntry]) -> list[Judgement]:
    """All lines, judged."""
    judge = judge_of(SITE)
    return [judge.judge(entry) for entry in entries]


def test_every_line_is_what_it_was_found_to_be_by_hand(judgements: list[Judgement]) -> None:
    """One by one: views, bots, assets, feeds, errors and redirects, other methods."""
    found = [judgement.rule for judgement in judgements]
    differing = [number for number, rule in enumerate(found) if rule != LETTERS[BY_HAND[number]]]
    assert not differing, f"lines {differing[:10]}, counted from 0"
    assert len(found) == len(BY_HAND) == 6000


def test_the_table_sums_up(judgements: list[Judgement]) -> None:
    """How many of each there are, and their reasons."""
    assert Counter(BY_HAND) == {letter: lines for letter, (lines, _) in TABLE.items()}
    for letter, judgement in zip(BY_HAND, judgements, strict=True):
        outcome = judgement.outcome
        assert (outcome.reason if isinstance(outcome, Drop) else None) == TABLE[letter][1]


def as_request(intake: Intake, entry: LogEntry) -> View | Drop:
    """What becomes of the request to count that a page's snippet would have sent, had it been there."""
    headers = {b"user-agent": (entry.user_agent or "").encode("latin-1", "replace")}
    query = f"s={SITE}&p={quote(entry.target, safe='')}&r={quote(entry.referrer or '', safe='')}"
    return intake.classify(query.encode(), headers, entry.address or "")


def test_the_same_lines_as_requests_are_judged_alike(entries: list[LogEntry], judgements: list[Judgement]) -> None:
    """Of each line that is a page's: counted or not, for the same reason, the same page, and the same traits of the visit.

    A page that was not shown, and what is no page at all, never asks to be counted.
    """
    intake = intake_of(SITE)
    compared = 0
    for entry, judgement in zip(entries, judgements, strict=True):
        logged = judgement.outcome
        if isinstance(logged, Drop) and logged.reason is DropReason.NOT_A_PAGE:
            continue
        asked = as_request(intake, entry)
        compared += 1
        if isinstance(logged, View):
            assert isinstance(asked, View), entry
            assert (asked.site, asked.page, asked.traits) == (logged.site, logged.page, logged.traits)
        else:
            assert asked == logged
    assert compared == 848 + 1039
