"""The page about monitoring shows the metrics that the code has, and an entry for each alert that the rules have."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import Metric

from footfall.model import Drop, DropReason
from footfall.telemetry.ledger import Ledger
from tests.docs.test_links import anchors
from tests.monitoring.prometheus import alerts

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
BEGIN = "<!-- metrics:begin -->\n"
END = "\n<!-- metrics:end -->"

#: What the text format adds to the names of metrics of a type.
SUFFIXES = {"counter": "_total", "info": "_info"}

#: Labels that Prometheus adds to a histogram's buckets.
OF_BUCKETS = {"le"}


def kept() -> Ledger:
    """A ledger that has something of everything, so that every metric shows its labels."""
    ledger = Ledger()
    ledger.introduce("web-1", ["example.com"])
    ledger.ready("store")
    for note in (ledger.received, ledger.counted, ledger.duplicate, ledger.failed, ledger.spooled):
        note("example.com", 1)
    ledger.dropped(Drop(DropReason.BOT, "example.com"))
    ledger.committed(0.001)
    return ledger


def row(metric: Metric) -> str:
    name = metric.name + SUFFIXES.get(metric.type, "")
    labels = {label: None for sample in metric.samples for label in sample.labels if label not in OF_BUCKETS}
    return f"| `{name}` | {metric.type} | {', '.join(f'`{label}`' for label in labels)} | {metric.documentation} |"


def metrics_table() -> str:
    """The table of all metrics, in Markdown, without a newline at its end."""
    return "\n".join(
        ["| metric | type | labels | what it is |", "| --- | --- | --- | --- |", *map(row, kept().registry.collect())]
    )


def test_the_table_is_the_generated_one() -> None:
    """Between the marks stands every metric with its labels and help, letter for letter."""
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, end, _ = rest.partition(END)
    assert begin
    assert end
    assert table == metrics_table(), f"put this between the marks of docs/monitoring.md:\n{metrics_table()}"


def test_every_metric_shows_its_labels() -> None:
    """None of them is without a sample, which would hide its labels from the table."""
    assert all(metric.samples for metric in kept().registry.collect())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_an_entry_in_the_runbook(name: str) -> None:
    """Its runbook_url leads to it."""
    page, _, anchor = alerts()[name]["annotations"]["runbook_url"].partition("#")
    assert page == "docs/monitoring.md"
    assert anchor == name.lower()
    assert anchor in anchors(PAGE)


def test_the_runbook_has_no_entry_too_many() -> None:
    """What it explains are alerts that there are."""
    explained = {line.removeprefix("### ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("### Footfall")}
    assert explained == set(alerts())
