"""The dashboard is one that Grafana can draw: panels that don't overlap, queries with a source, variables that exist."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from footfall.model import Drop, DropReason
from footfall.telemetry.ledger import Ledger
from tests.monitoring.prometheus import DASHBOARD, metrics_in, rules

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
DRAWN = [panel for panel in PANELS if panel["type"] != "row"]

#: Grafana's grid has so many columns.
COLUMNS = 24

#: Variables that Grafana itself has.
BUILT_IN = {"__rate_interval", "__interval", "__range", "__all"}

#: What Prometheus has without us: its own, and those of a shared name that the ledger shows only together with others'.
OF_PROMETHEUS = {"up", "ALERTS"}


def shown_metrics() -> set[str]:
    """The names under which the ledger's metrics come to Prometheus."""
    ledger = Ledger()
    ledger.introduce("web-1", ["example.com"])
    for note in (ledger.counted, ledger.duplicate, ledger.spooled):
        note("example.com", 1)
    ledger.dropped(Drop(DropReason.BOT, "example.com"))
    ledger.ready("store")
    return {sample.name for metric in ledger.registry.collect() for sample in metric.samples}


def test_the_board_has_what_grafana_asks_for() -> None:
    """A name, a schema that Grafana still reads, no id of some other Grafana's database."""
    assert (BOARD["uid"], BOARD["title"], BOARD["id"]) == ("footfall", "Footfall", None)
    assert BOARD["schemaVersion"] >= 39
    assert BOARD["time"] == {"from": "now-6h", "to": "now"}


def test_panels_have_ids_and_places_of_their_own() -> None:
    """No two have one id or overlap, and none leaves the grid."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        for cell in cells:
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@pytest.mark.parametrize("panel", DRAWN, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_asks_the_chosen_prometheus(panel: dict[str, Any]) -> None:
    """A title, a sentence, a kind that Grafana has, and queries with marks of their own."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["type"] in {"stat", "timeseries", "table"}
    assert panel["targets"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in [panel, *panel["targets"]]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    marks = [target["refId"] for target in panel["targets"]]
    assert len(set(marks)) == len(marks)


def test_every_variable_that_is_used_exists() -> None:
    """And every one that exists is used."""
    known = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)\}|(\w+))", json.dumps(BOARD))}
    assert used - BUILT_IN == known


@pytest.mark.parametrize("panel", DRAWN, ids=lambda panel: panel["title"])
def test_a_panel_reads_metrics_that_there_are(panel: dict[str, Any]) -> None:
    """Those of the ledger, those that the rules record, and Prometheus' own."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for target in panel["targets"]:
        read = metrics_in(target["expr"])
        assert read
        assert read <= shown_metrics() | recorded | OF_PROMETHEUS


def test_every_rule_reads_metrics_that_there_are() -> None:
    """So does every rule, and each recorded metric stands above the rules that read it."""
    known = shown_metrics() | OF_PROMETHEUS
    for rule in rules():
        read = metrics_in(rule["expr"])
        assert read, rule
        assert read <= known, rule
        known |= {rule["record"]} if "record" in rule else set()
