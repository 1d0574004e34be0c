"""The ledger shows what was noted: of one process as it is, of several workers together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from footfall.model import Drop, DropReason
from footfall.telemetry.ledger import Ledger
from footfall.version import __version__
from tests.unit.counting.spooling import Bench, until

#: Keeps books in the shared folder, says that it has, and waits for the end of its input.
WORKER = """
import sys
from footfall.telemetry.ledger import Ledger
from footfall.model import Drop, DropReason

class Spool:
    size, oldest_seconds = 1000, float(sys.argv[1])

ledger = Ledger(shared=True)
ledger.introduce(f"web-1-{sys.argv[1]}", ["example.com"])
ledger.watch_pending(lambda: int(sys.argv[1]), 50)
ledger.watch_spool(Spool(), 5000, 3600)
ledger.received("example.com", 2)
ledger.counted("example.com", 1)
ledger.dropped(Drop(DropReason.BOT, "example.com"))
ledger.committed(0.004)
ledger.replied(503)
ledger.lagged(0.01)
ledger.warned(int(sys.argv[1]))
ledger.note()
print(ledger.exposition().decode() if len(sys.argv) > 2 else "", flush=True)
sys.stdin.read()
"""


def samples(text: str) -> dict[str, float]:
    """Every sample by name and labels, as `name{label=value,…}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_alerts_find_their_rows_before_anything_has_happened() -> None:
    """A row that began with its first number would show no rise."""
    ledger = Ledger()
    ledger.introduce("web-1", ["example.com"])
    shown = samples(ledger.exposition().decode())
    assert shown["footfall_views_failed_total{site=example.com}"] == 0
    assert [shown[f"footfall_http_replies_total{{status={n}xx}}"] for n in range(2, 6)] == [0, 0, 0, 0]
    assert shown[f"footfall_build_info{{version={__version__}}}"] == 1
    assert shown["footfall_instance_info{name=web-1}"] == 1
    assert shown["process_resident_memory_bytes{}"] > 10_000_000


@pytest.mark.parametrize(("means", "by_store", "by_spool"), [("store", 1, 0), ("spool", 0, 1), (None, 0, 0)])
def test_readiness_says_by_what(means: str | None, by_store: float, by_spool: float) -> None:
    """All 0 where views can't be acknowledged."""
    ledger = Ledger()
    ledger.ready("store")
    ledger.ready(means)
    shown = samples(ledger.exposition().decode())
    assert (shown["footfall_ready{by=store}"], shown["footfall_ready{by=spool}"]) == (by_store, by_spool)


def test_two_workers_are_shown_together(tmp_path: Path) -> None:
    """Counts, what waits and limits are summed; ages and warnings are the greatest; processes are added up."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([*command, "3"], **pipes) as first:  # type: ignore[call-overload]  # a dictionary hides the types
        assert first.stdout.readline() == "\n"
        alone = subprocess.run([*command, "7", "show"], input="", capture_output=True, text=True, env=environment, check=True)
        shown = samples(alone.stdout)
        of_first = int(Path(f"/proc/{first.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        first.communicate(timeout=30)
    assert shown["footfall_views_received_total{site=example.com}"] == 6
    assert shown["footfall_views_dropped_total{reason=bot,site=example.com}"] == 2
    assert shown["footfall_store_commit_seconds_bucket{le=0.005}"] == 2
    assert shown["footfall_event_loop_lag_seconds_count{}"] == 2
    assert shown["footfall_http_replies_total{status=5xx}"] == 2
    assert shown["footfall_views_pending{}"] == 10
    assert shown["footfall_views_pending_limit{}"] == 100
    assert (shown["footfall_spool_bytes{}"], shown["footfall_spool_limit_bytes{}"]) == (2000, 10_000)
    assert (shown["footfall_spool_oldest_seconds{}"], shown["footfall_spool_limit_seconds{}"]) == (7, 3600)
    assert shown["footfall_store_warnings{}"] == 7
    assert shown[f"footfall_build_info{{version={__version__}}}"] == 1
    assert {key for key in shown if key.startswith("footfall_instance_info")} == {
        "footfall_instance_info{name=web-1-3}",
        "footfall_instance_info{name=web-1-7}",
    }
    assert shown["process_resident_memory_bytes{}"] > 1.5 * of_first, "the other has as much"
    assert shown["process_cpu_seconds_total{}"] > 0


async def test_the_spools_size_and_age_are_shown(tmp_path: Path) -> None:
    """They grow while the store is away, and are 0 again when all is replayed."""
    bench = Bench(tmp_path / "spool")
    try:
        spool = bench.spool()
        bench.ledger.watch_spool(spool, 2**20, 3 * 86400)

        def shown(name: str) -> float:
            bench.ledger.note()
            return bench.ledger.registry.get_sample_value(f"footfall_spool_{name}") or 0.0

        assert (shown("bytes"), shown("oldest_seconds")) == (0, 0)
        bench.store.is_away = True
        await bench.fill(spool, 1)
        bench.monotonic.advance(90)
        await until(lambda: shown("oldest_seconds") == 90, "the replay has met the batch")
        await bench.fill(spool, 1, "another")
        bench.monotonic.advance(10)
        assert shown("oldest_seconds") == 100
        assert shown("bytes") > 2000
        bench.store.is_away = False
        await bench.replayed()
        await until(lambda: shown("oldest_seconds") == 0, "nothing is left")
        assert shown("bytes") == 0
    finally:
        await bench.close()


def test_each_view_is_in_one_row() -> None:
    """What is dropped is received, too."""
    ledger = Ledger()
    ledger.dropped(Drop(DropReason.UNKNOWN_SITE, None))
    shown = samples(ledger.exposition().decode())
    assert shown["footfall_views_received_total{site=(unknown)}"] == 1
    assert shown["footfall_views_dropped_total{reason=unknown-site,site=(unknown)}"] == 1
