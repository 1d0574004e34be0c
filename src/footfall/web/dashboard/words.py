"""What the dashboard says of the ledger's rows and of a change, in words for the site's owner.

A reason that has no sentence here is shown by its name alone, so that a new one needs nothing here to be seen.
"""

from __future__ import annotations

import msgspec

from footfall.reading.ledger import WHY


class LedgerRow(msgspec.Struct, frozen=True):
    """What became of some views: a name, how many (percent of those received), and why."""

    name: str
    views: int
    percent: str
    why: str


def ledger_rows(counted: int, outcomes: list[tuple[str, int]]) -> list[LedgerRow]:
    """The rows of a ledger: counted first, then what was not, the most first."""
    received = counted + sum(views for _, views in outcomes)
    rows = [LedgerRow("counted", counted, percent(counted, received), "")]
    rows += [LedgerRow(name.replace("-", " "), views, percent(views, received), WHY.get(name, "")) for name, views in outcomes]
    return rows


def sentence(text: str) -> str:
    """A text as a sentence: with a capital first, and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def percent(part: int, whole: int) -> str:
    """A part in percent of the whole: "12 %"; what is there is never called 0 %, nor what is missing nothing."""
    if not whole or not part:
        return "0 %"
    share = 100 * part / whole
    if share < 1:
        return "< 1 %"
    return "> 99 %" if 99 < share < 100 else f"{share:.0f} %"


def change(now: int, before: int) -> str:
    """How `now` differs from `before`: "+12 %", "−3 %", "±0 %"; "" where there was nothing before."""
    if not before:
        return ""
    share = round(100 * (now - before) / before)
    return "±0 %" if not share else f"{share:+,} %".replace("-", "\N{MINUS SIGN}")
