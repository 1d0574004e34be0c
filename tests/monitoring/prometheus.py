"""A real Prometheus that scrapes real instances with the configuration we ship, and what is asked of it.

The configuration is adapted in three things only: which instances there are, how often they and the rules are asked, and
where the token lies.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers.program import found_on_path, wait_until
from tests.support.servers.server import HOST, Server

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
PROMETHEUS = FOLDER / "prometheus"
DASHBOARD = FOLDER / "grafana" / "footfall.json"
ALERTMANAGER = FOLDER / "alertmanager" / "alertmanager.yml"

#: So often, in seconds, instances are asked: longer than an instance without its store takes to answer.
SCRAPE_SECONDS = 3

#: Every name of a metric, recorded ones included. (Functions and labels look otherwise.)
_METRIC = re.compile(r"\b(?:footfall_\w+|process_\w+|job(?:_\w+)?:\w+(?::\w+)*|up|ALERTS)\b(?=\{|\[|\)| |$)")


def rules() -> list[dict[str, Any]]:
    """All rules we ship, recording and alerting, in their order."""
    groups = yaml.safe_load((PROMETHEUS / "footfall.rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def metrics_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads."""
    without_texts = re.sub(r"\{[^}]*\}", "{}", expression)
    without_labels = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right) *\([^)]*\)", "", without_texts)
    return set(_METRIC.findall(without_labels))


class Prometheus(Server):
    """A Prometheus on loopback that scrapes `targets` (host and port each); `token` is the instances' FOOTFALL_METRICS_TOKEN."""

    def __init__(self, targets: Sequence[str], token: str) -> None:
        super().__init__("prometheus", start_seconds=30, stop_seconds=30)
        self._targets = targets
        self._token = token

    def configuration(self) -> dict[str, Any]:
        """What we ship, adapted."""
        shipped: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
        shipped["global"] |= {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"}
        (scrape,) = shipped["scrape_configs"]
        del scrape["dns_sd_configs"]
        scrape["static_configs"] = [{"targets": list(self._targets)}]
        scrape["authorization"]["credentials_file"] = str(self.folder / "token")
        shipped["alerting"]["alertmanagers"] = []
        return shipped

    def command(self) -> Sequence[str | Path]:
        (self.folder / "token").write_text(self._token)
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(self.configuration()))
        shipped = yaml.safe_load((PROMETHEUS / "footfall.rules.yml").read_text("utf-8"))
        for group in shipped["groups"]:
            group.pop("interval", None)
        (self.folder / "footfall.rules.yml").write_text(yaml.safe_dump(shipped))
        return [
            found_on_path("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'series'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of a reply of the HTTP API. Raises OSError (an HTTPError has what is wrong) where it is refused."""
        query = urllib.parse.urlencode({name.replace("match", "match[]"): value for name, value in parameters.items()})
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/api/v1/{path}?{query}", timeout=30) as reply:
            return json.load(reply)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression comes to now."""
        found = self.get("query", query=expression)
        assert found["resultType"] == "vector", expression
        return list(found["result"])

    def wait_for(self, expression: str, what: str) -> None:
        """Return as soon as an expression gives something."""
        wait_until(lambda: bool(self.query(expression)), what, seconds=60, shown=self.program.last_words)
