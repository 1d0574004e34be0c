"""What the dashboard says of the ledger's rows and of a change, in words for the site's owner.

A reason that has no sentence here is shown by its name alone, so that a new one needs nothing here to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from footfall.model import DUPLICATE, DropReason

#: Why views that are not counted are not, by outcome.
WHY: Mapping[str, str] = {
    DUPLICATE: "Sent more than once with the same event id, and counted once.",
    DropReason.UNKNOWN_SITE: "The site is not one of this server's.",
    DropReason.ORIGIN: "They came from a page on a host that the site's rules do not allow.",
    DropReason.BOT: "Robots, crawlers and monitors, by how they call themselves.",
    DropReason.PREFETCH: "Fetched by a browser ahead of a visit that may never come.",
    DropReason.PRIVACY: "The visitor asked not to be counted, and the site honours that.",
    DropReason.RATE: "One visitor, or the site, sent more a minute than its rules allow.",
    DropReason.TOO_MANY_PAGES: "They would have opened more new pages a day than the site's rules allow.",
    DropReason.BAD_PAGE: "The page's path could not be used.",
    DropReason.NOT_A_PAGE: "Files, feeds, errors and what is no page view.",
    DropReason.EXCLUDED: "The site's rules leave out their page or their address.",
    DropReason.UNREADABLE: "Lines of a log that could not be read.",
}


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
