"""The rules and routes are well formed, and each alert fires when it should and only then: as Prometheus' own tools judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitoring.prometheus import ALERTMANAGER, PROMETHEUS, Prometheus, alerts
from tests.support.servers.program import found_on_path

pytestmark = pytest.mark.monitoring

SEVERITIES = {"page": "on-call", "ticket": "tickets", "notice": "notices"}


def run(*command: str | Path) -> str:
    """What a tool prints; it has to succeed."""
    ended = subprocess.run(
        [found_on_path(str(command[0])), *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
        cwd=PROMETHEUS,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_configuration_is_valid() -> None:
    """As it is shipped, but for files that only the machine it runs on has; and adapted, those files included."""
    run("promtool", "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    adapted = Prometheus(["127.0.0.1:1"], "token")
    try:
        adapted.command()
        run("promtool", "check", "config", adapted.folder / "prometheus.yml")
    finally:
        adapted.close()


def test_the_rules_are_valid() -> None:
    """Without a finding of promtool's linter, which is fatal here."""
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS / "footfall.rules.yml")


def test_alerts_fire_when_they_should() -> None:
    """All stories of footfall.rules.test.yml come out as told."""
    run("promtool", "test", "rules", PROMETHEUS / "footfall.rules.test.yml")


def test_every_alert_is_seen_firing_and_silent() -> None:
    """The stories have a moment of either kind for each alert."""
    stories = yaml.safe_load((PROMETHEUS / "footfall.rules.test.yml").read_text("utf-8"))["tests"]
    moments = [moment for story in stories for moment in story["alert_rule_test"]]
    fires = {moment["alertname"] for moment in moments if moment["exp_alerts"]}
    is_silent = {moment["alertname"] for moment in moments if not moment["exp_alerts"]}
    assert fires == is_silent == set(alerts())


def test_alertmanager_takes_its_example() -> None:
    """Amtool has no finding."""
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_reaches_whom_its_severity_means(name: str) -> None:
    """Each severity has a receiver of its own."""
    severity = alerts()[name]["labels"]["severity"]
    told = run(
        *("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}"),
        *(f"severity={severity}", f"alertname={name}", "job=footfall"),
    )
    assert told.splitlines()[-1] == SEVERITIES[severity], told
