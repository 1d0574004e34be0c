"""How long a store keeps what it has of a site: as the site's document says, and else as the store was told.

The stores read the document themselves, so that whoever opens one (a server, an import, a restore) keeps every site's buckets
alike. Of the document they know its kind and the names of its retentions; all else in it is the business of `registry.sites`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from footfall.errors import BadInput
from footfall.model import Retention
from footfall.rules import RETENTION_RULES, check_order, check_windows

#: The kind of a site's document: its rules as JSON, those alone that differ from the settings'.
SITE_KIND = "site"

#: So many documents are remembered with what they came to; beyond that they are read anew.
MOST_REMEMBERED = 10_000


class Keeping:
    """The retention of sites, in a store whose own is `of_store`."""

    def __init__(self, of_store: Retention) -> None:
        self._of_store = of_store
        self._remembered: dict[bytes, Retention] = {}

    def of(self, rules: bytes | None) -> Retention:
        """The retention of a site with these rules in its document, or with no document.

        Rules that can't be used are as if they were not there: whoever saves them sees to it that they can.
        """
        if rules is None:
            return self._of_store
        found = self._remembered.get(rules)
        if found is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[rules] = self._read(rules)
        return found

    def _read(self, rules: bytes) -> Retention:
        try:
            own = _retentions(msgspec.json.decode(rules, type=dict[str, msgspec.Raw]))
            if not own:
                return self._of_store
            kept = {**self._of_store, **own}
            check_order(kept)
            check_windows(kept, self._of_store)
        except (msgspec.MsgspecError, BadInput):
            return self._of_store
        return kept


def _retentions(rules: Mapping[str, msgspec.Raw]) -> Retention:
    """The retentions among a document's rules. Raises msgspec.MsgspecError."""
    return {tier: msgspec.json.decode(rules[rule], type=int) for tier, rule in RETENTION_RULES.items() if rule in rules}
