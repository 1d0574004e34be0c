"""The ledger of every view, and how it and the store's work are shown to Prometheus.

received = counted + duplicate + dropped (by reason) + failed + spooled, site by site; views that wait for the store stand in
`pending` and in no other row yet. With several workers the numbers live in files that prometheus-client shares between processes,
and any worker shows the sum. What can be looked up when it is asked for is not kept on the way of a view. This module knows no
requests and no store.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from footfall.model import Drop, DropReason
from footfall.version import __version__

#: The row of all views that name no known site: names that visitors invent must not grow the ledger.
UNKNOWN_SITE = "(unknown)"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LAG_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5)

#: By what views can be acknowledged.
MEANS = ("store", "spool")

#: How several workers' gauges become one: that of the dead is left out in all of them.
_Together = Literal["livesum", "livemax", "livemostrecent"]


class SpoolState(Protocol):
    """What a spool tells of itself (`spool.Spool`)."""

    @property
    def size(self) -> int:
        """How much waits in it."""
        ...

    @property
    def oldest_seconds(self) -> float:
        """For how long the batch that is to be replayed next has waited; 0 where none waits."""
        ...


class Ledger:
    """Keeps the books. `shared` says that other worker processes keep theirs in the same folder (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self, *, shared: bool = False) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line a row that says when it was first seen
        self._shared = shared
        #: What tells these books from all others. Processes that share theirs share the folder they lie in.
        self.name = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "") if shared else secrets.token_hex(8)
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self.registry = CollectorRegistry()

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"footfall_{name}", help, labels, registry=self.registry)

        def gauge(name: str, help: str, *labels: str, together: _Together = "livesum") -> Gauge:
            return Gauge(f"footfall_{name}", help, labels, registry=self.registry, multiprocess_mode=together)

        def histogram(name: str, help: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"footfall_{name}", help, buckets=buckets, registry=self.registry)

        self._received = counter("views_received", "Views that came in: the sum of the five below.", "site")
        self._counted = counter("views_counted", "Views the store has durably.", "site")
        self._duplicate = counter("views_duplicate", "Views whose event id had been counted before.", "site")
        self._dropped = counter("views_dropped", "Views that were not counted, by reason.", "site", "reason")
        self._failed = counter("views_failed", "Views that were not acknowledged, and are perhaps stored.", "site")
        self._commits = counter("store_commits", "Batches the store has durably.")
        self._commit_seconds = histogram("store_commit_seconds", "How long a batch took, retries included.", _COMMIT_SECONDS)
        self._store_warnings = gauge(
            "store_warnings", "What in the store's own settings puts views at risk: so many lines of the log.", together="livemax"
        )
        self._pending = gauge("views_pending", "Views that wait for the store.")
        self._pending_limit = gauge("views_pending_limit", "How many may wait; beyond it views are refused.")
        self._spooled = gauge("views_spooled", "Views acknowledged as spooled, which wait for the store to come back.", "site")
        self._spool_bytes = gauge("spool_bytes", "How much waits in the spool.")
        self._spool_limit_bytes = gauge(
            "spool_limit_bytes", "How much may wait; beyond it views are refused. 0: there is no spool."
        )
        self._spool_oldest = gauge("spool_oldest_seconds", "For how long the spool's next batch has waited.", together="livemax")
        self._spool_limit_seconds = gauge(
            "spool_limit_seconds", "How long a batch may wait; what is older is given up.", together="livemax"
        )
        self._ready = gauge(
            "ready", "1 by what views can be acknowledged now; all 0: by nothing.", "by", together="livemostrecent"
        )
        self._replies = counter(
            "http_replies", "Replies by class of status; those to views that were taken are in the ledger instead.", "status"
        )
        self._watchers = gauge("live_watchers", "Live streams that are open.")
        self._polls = counter("live_polls", "Polls of the store for live streams: one a second and watched site or page.")
        self._lag = histogram(
            "event_loop_lag_seconds", "How much too late what was due each second began: work that waits its turn.", _LAG_SECONDS
        )
        self._build = gauge("build_info", "1: the version that runs.", "version", together="livemax")
        self._instance = gauge("instance_info", "1: what the instance calls itself.", "name", together="livemax")
        for status in range(2, 6):
            self._replies.labels(f"{status}xx")
        if not shared:
            ProcessCollector(registry=self.registry)

    def introduce(self, instance: str, sites: Iterable[str]) -> None:
        """Say who keeps these books, and begin the rows that alerts look at.

        A row that first appears with a number in it shows Prometheus no rise.
        """
        self._build.labels(__version__).set(1)
        self._instance.labels(instance).set(1)
        for site in sites:
            self._received.labels(site)
            self._failed.labels(site)

    def watch_pending(self, pending: Callable[[], int], limit: int) -> None:
        """Let the number of waiting views be asked for whenever the metrics are shown."""
        self._watched.append((self._pending, pending))
        self._pending_limit.set(limit)

    def watch_watchers(self, watchers: Callable[[], int]) -> None:
        """The same for the number of open live streams."""
        self._watched.append((self._watchers, watchers))

    def watch_spool(self, spool: SpoolState, max_bytes: int, max_seconds: int) -> None:
        """The same for the spool's size and age, and what they may be at most."""
        self._watched += [(self._spool_bytes, lambda: spool.size), (self._spool_oldest, lambda: spool.oldest_seconds)]
        self._spool_limit_bytes.set(max_bytes)
        self._spool_limit_seconds.set(max_seconds)

    def note(self) -> None:
        """Look at what is watched; with several workers about once a second, for other processes can't ask for it."""
        for gauge, value in self._watched:
            gauge.set(value())

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

    def refused(self, site: str, views: int) -> None:
        """Views of new pages beyond a limit, which had been taken in."""
        self._dropped.labels(site, DropReason.TOO_MANY_PAGES.value).inc(views)

    def committed(self, seconds: float) -> None:
        """A batch was committed, after `seconds`."""
        self._commits.inc()
        self._commit_seconds.observe(seconds)

    def replied(self, status: int) -> None:
        """A reply was sent that stands in no other row."""
        self._replies.labels(f"{status // 100}xx").inc()

    def polled(self) -> None:
        """The store was polled for a live stream."""
        self._polls.inc()

    def lagged(self, seconds: float) -> None:
        """What was due came so much too late."""
        self._lag.observe(seconds)

    def warned(self, lines: int) -> None:
        """The store has so many warnings of its own settings."""
        self._store_warnings.set(lines)

    def ready(self, means: str | None) -> None:
        """Views can be acknowledged by `means`, one of MEANS, or by nothing."""
        for each in MEANS:
            self._ready.labels(each).set(each == means)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, those of other workers summed in."""
        self.note()
        if not self._shared:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        together.register(_Processes(Path(self.name)))
        return generate_latest(together)


class _Processes(Collector):
    """What prometheus-client's ProcessCollector tells of one process, of all live workers: start times the newest, others summed.

    Which processes live is told by the files of their gauges in `folder`: those of the dead are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """The metrics, each once."""
        together: dict[str, Metric] = {}
        for file in self._folder.glob("gauge_livesum_*.db"):
            pid = file.stem.rpartition("_")[2]
            for metric in ProcessCollector(registry=None, pid=partial(str, pid)).collect():
                merged = together.setdefault(metric.name, metric)
                if merged is not metric:
                    (one,), (other,) = merged.samples, metric.samples
                    add = max if metric.name.endswith("start_time_seconds") else float.__add__
                    merged.samples = [one._replace(value=add(float(one.value), float(other.value)))]
        return together.values()
