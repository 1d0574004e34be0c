"""The ledger of every view, and how it and the store's work are shown to Prometheus.

received = counted + duplicate + dropped (by reason) + failed + spooled, site by site; views that wait for the store stand in
`pending` and in no other row yet. With several workers the numbers live in files that prometheus-client shares between processes,
and any worker shows the sum. This module knows no requests and no store.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from footfall import __version__
from footfall.model import Drop

#: The row of all views that name no known site: names that visitors invent must not grow the ledger.
UNKNOWN_SITE = "(unknown)"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Ledger:
    """Keeps the books. `shared` says that other worker processes keep theirs in the same folder (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self, *, shared: bool = False) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line a row that says when it was first seen
        self._shared = shared
        #: What tells these books from all others. Processes that share theirs share the folder they lie in.
        self.name = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "") if shared else secrets.token_hex(8)
        self._count_pending: Callable[[], int] = int
        self.registry = CollectorRegistry()

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"footfall_{name}", help, labels, registry=self.registry)

        self._received = counter("views_received", "Views that came in: the sum of the five below.", "site")
        self._counted = counter("views_counted", "Views the store has durably.", "site")
        self._duplicate = counter("views_duplicate", "Views whose event id had been counted before.", "site")
        self._dropped = counter("views_dropped", "Views that were not counted, by reason.", "site", "reason")
        self._failed = counter("views_failed", "Views that were not acknowledged, and are perhaps stored.", "site")
        self._commits = counter("store_commits", "Batches the store has durably.")
        self._commit_seconds = Histogram(
            "footfall_store_commit_seconds",
            "How long a batch took, retries included.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self._pending = Gauge(
            "footfall_views_pending", "Views that wait for the store.", registry=self.registry, multiprocess_mode="livesum"
        )
        self._spooled = Gauge(
            "footfall_views_spooled",
            "Views acknowledged as spooled, which wait for the store to come back.",
            ["site"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        if not shared:
            Info("footfall_build", "The version that runs.", registry=self.registry).info({"version": __version__})

    def watch_pending(self, pending: Callable[[], int]) -> None:
        """Let the number of waiting views be asked for whenever the metrics are shown.

        That of other processes can't be asked for: see `note_pending`.
        """
        self._count_pending = pending
        if not self._shared:
            self._pending.set_function(pending)

    def note_pending(self) -> None:
        """Write the number of waiting views down for the other processes to read; to be called about once a second."""
        self._pending.set(self._count_pending())

    def received(self, site: str, views: int) -> None:
        """Views of a known site were taken in; one of the calls below follows for each."""
        self._received.labels(site).inc(views)

    def counted(self, site: str, views: int) -> None:
        """Views are in the store."""
        self._counted.labels(site).inc(views)

    def duplicate(self, site: str, views: int) -> None:
        """Views had been counted before."""
        if views:
            self._duplicate.labels(site).inc(views)

    def failed(self, site: str, views: int) -> None:
        """Views were not acknowledged."""
        self._failed.labels(site).inc(views)

    def spooled(self, site: str, views: int) -> None:
        """Views wait in the spool; a negative number: they no longer do."""
        self._spooled.labels(site).inc(views)

    def dropped(self, drop: Drop) -> None:
        """A view was received and not counted."""
        site = drop.site or UNKNOWN_SITE
        self._received.labels(site).inc()
        self._dropped.labels(site, drop.reason.value).inc()

    def committed(self, seconds: float) -> None:
        """A batch was committed, after `seconds`."""
        self._commits.inc()
        self._commit_seconds.observe(seconds)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, those of other workers summed in."""
        if not self._shared:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        return generate_latest(together)
