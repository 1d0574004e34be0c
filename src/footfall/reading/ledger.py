"""The ledger of a site: what became of all views that it received in a period, and why those that were not counted were not."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from footfall.model import DUPLICATE, OUTCOME, WHOLE_SITE, DropReason, Span
from footfall.reading.shared_reads import Reads

#: Why views that are not counted are not, by outcome.
WHY: Mapping[str, str] = {
    DUPLICATE: "Sent more than once with the same event id, and counted once.",
    DropReason.UNKNOWN_SITE: "The site is not one of this server's.",
    DropReason.ORIGIN: "They came from a page on a host that the site's rules do not allow.",
    DropReason.BOT: "Robots, crawlers and monitors, identified by user agent.",
    DropReason.PREFETCH: "Fetched by a browser ahead of a visit that may never come.",
    DropReason.PRIVACY: "The visitor asked not to be counted, and the site honours that.",
    DropReason.RATE: "One visitor, or the site, sent more a minute than its rules allow.",
    DropReason.TOO_MANY_PAGES: "They would have opened more new pages a day than the site's rules allow.",
    DropReason.BAD_PAGE: "The page's path could not be used.",
    DropReason.NOT_A_PAGE: "Files, feeds, errors and other non-page requests.",
    DropReason.EXCLUDED: "The site's rules leave out their page or their address.",
    DropReason.UNREADABLE: "Lines of a log that could not be read.",
}


class LedgerReply(msgspec.Struct, frozen=True):
    """Views of a period at second `at`: received = counted + duplicate + those dropped, by reason.

    Views that failed or wait in a spool are not in it: the store does not know of them. They stand in the metrics.
    """

    at: int
    period: str
    received: int
    counted: int
    duplicate: int
    dropped: dict[str, int]


async def read_ledger(reads: Reads, site: str, period: str, span: Span) -> LedgerReply:
    """The ledger of a site."""
    series = await reads.newest(site, WHOLE_SITE, span)
    outcomes = await reads.breakdown(site, WHOLE_SITE, OUTCOME, span, len(DropReason) + 1)
    found = dict(outcomes.values)
    counted = sum(views for _, views in series.points)
    duplicate = found.pop(DUPLICATE, 0)
    return LedgerReply(series.at, period, counted + duplicate + sum(found.values()), counted, duplicate, found)
