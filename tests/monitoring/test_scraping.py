"""A real Prometheus reads real instances: every query of the dashboard and of the alerts finds what it asks for.

Two instances share a file: one with two workers and a spool, one with neither. The file is locked for a while, and both instances
end at last: alerts that such troubles should raise find theirs. What a query finds nothing for has its reason stated here.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults.faults import locked
from tests.integration.http.asking import SITE, ask, view
from tests.monitoring.prometheus import DASHBOARD, Prometheus, alerts, metrics_in, rules
from tests.support.servers import HOST, FootfallServer, wait_until

pytestmark = [pytest.mark.monitoring, pytest.mark.timeout(300)]

TOKEN = "prometheus-may-read-this"

#: Alerts that this story does not raise, and why. promtool's unit tests raise them all.
NOT_HERE = {
    "FootfallRestarting": "no instance starts three times within the story",
    "FootfallVersionsDiffer": "both instances are of this version",
    "FootfallSaturated": "two idle instances have nothing to be late with",
    "FootfallNoViews": "it compares with the day before",
    "FootfallDropsUnusual": "it compares with the day before",
    "FootfallStoreWarnings": "a file has no settings to warn of",
    "FootfallSpoolOld": "half a minute, the least there can be, is long for a test",
}

#: Metrics that stand in no answer, and why.
NO_DATA: dict[str, str] = {}


class Story:
    """What Prometheus had to say: by alert, whether its expression found something; and the answers to other questions."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus
        self.raised: set[str] = set()

    def look(self) -> None:
        """Ask for every alert that has not been raised yet."""
        for name, rule in alerts().items():
            if name not in self.raised and self.prometheus.query(rule["expr"]):
                self.raised.add(name)

    def look_until(self, *names: str, after: Callable[[], object] = bool) -> None:
        """Look again and again until these have been raised, each time after something is done."""

        def has_seen() -> bool:
            after()
            self.look()
            return self.raised >= set(names)

        wait_until(has_seen, f"{names} are raised", seconds=90, shown=lambda: f"raised: {self.raised}")


def queries() -> list[tuple[str, str]]:
    """Title and PromQL of every query of the dashboard, its variables put in."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    values = {"$job": "footfall", "$instance": ".*", "$site": ".*", "$__rate_interval": "1m"}
    return [(title, re.sub(r"\$\w+", lambda name: values[name[0]], expression)) for title, expression in found]


@contextlib.contextmanager
def viewers(*servers: FootfallServer) -> Iterator[None]:
    """Two views of each server under way all the time: of pages with long names, which fill a spool."""
    stop = threading.Event()

    def keep_on(server: FootfallServer, number: int) -> None:
        for round in range(10_000):
            if stop.is_set():
                return
            with contextlib.suppress(OSError):
                view(server, f"/{'x' * 900}/{number}/{round}")
            stop.wait(0.02)

    threads = [threading.Thread(target=keep_on, args=(server, n)) for server in servers for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The whole story, told once."""
    folder = tmp_path_factory.mktemp("monitoring")
    database = folder / "footfall.db"
    common = {"METRICS_TOKEN": TOKEN, "COMMIT_TIMEOUT": "1.5"}
    spooling = common | {"WORKERS": "2", "SPOOL": str(folder / "spool"), "SPOOL_MAX_BYTES": "65536"}
    strict = common | {"MAX_PENDING_VIEWS": "2"}
    with contextlib.ExitStack() as running:
        first = running.enter_context(FootfallServer(f"sqlite:///{database}", sites=[SITE], instance="web-1", settings=spooling))
        second = running.enter_context(FootfallServer(f"sqlite:///{database}", sites=[SITE], instance="web-2", settings=strict))
        targets = [f"{HOST}:{server.port}" for server in (first, second)]
        prometheus = running.enter_context(Prometheus(targets, TOKEN))
        prometheus.wait_for('sum(up{job="footfall"}) == 2', "both instances are found")
        story = Story(prometheus)
        view_and_be_dropped(first, second)
        with viewers(first, second), locked(database):
            story.look_until(
                *("FootfallNotReady", "FootfallViewsNotAcknowledged", "FootfallSpooling", "FootfallSpoolNearlyFull"),
                *("FootfallViewsWaiting", "FootfallErrors"),
            )
        story.look_until("FootfallStoreSlow", after=lambda: view_slowly(second, database))
        prometheus.wait_for("sum(footfall_views_spooled) == 0", "all is replayed")
        view_and_be_dropped(first, second)
        prometheus.wait_for("sum(rate(footfall_views_duplicate_total[1m])) > 0", "duplicates are seen")
        yield story
        second.stop()
        story.look_until("FootfallInstanceDown")
        first.stop()
        story.look_until("FootfallDown")
        assert story.raised == set(alerts()) - set(NOT_HERE)


def view_slowly(server: FootfallServer, database: Path) -> None:
    """A view that waits for its commit for half a second, the file being locked so long."""
    viewing = threading.Thread(target=view, args=(server,))
    with locked(database):
        viewing.start()
        viewing.join(0.5)
    viewing.join()


def view_and_be_dropped(*servers: FootfallServer) -> None:
    """Something of everything that the ledger has a row for."""
    for server in servers:
        for path in ("/", "/blog/post?e=0123456789abcdef", "/blog/post?e=0123456789abcdef"):
            page, _, more = path.partition("?")
            assert ask(server, f"/count?s={SITE}&p={page}&{more}").status == 204
        assert ask(server, "/count?s=other.example&p=/").headers["X-Footfall"] == "dropped; reason=unknown-site"
        assert ask(server, "/count").status == 400
        assert ask(server, "/livez").status == 200


def test_both_instances_are_read(story: Story) -> None:
    """With the token that we ship the configuration for."""
    assert len(story.prometheus.query('up{job="footfall"} == 1')) == 2
    assert len(story.prometheus.query("footfall_instance_info")) == 3, "two workers and one alone"


def test_every_rule_is_evaluated_without_an_error(story: Story) -> None:
    """Recording and alerting alike, by Prometheus itself while it ran."""
    groups = story.prometheus.get("rules")["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) == len(rules())
    assert [rule["name"] for rule in found if rule["health"] != "ok" or rule.get("lastError")] == []


def test_every_metric_that_a_rule_reads_has_come(story: Story) -> None:
    """So an alert is silent because all is well, not because its metric is misspelt."""
    there = set(story.prometheus.get("label/__name__/values"))
    for rule in rules():
        missing = metrics_in(rule["expr"]) - there - set(NO_DATA)
        assert not missing, rule


@pytest.mark.parametrize(("title", "expression"), queries(), ids=lambda text: text[:60])
def test_a_query_of_the_dashboard_finds_something(story: Story, title: str, expression: str) -> None:
    """Every panel has something to show, all variables being "all"."""
    try:
        found = story.prometheus.query(expression)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{title}: {error.read().decode()}") from None
    assert found, f"{title}: {expression}"


@pytest.mark.parametrize("variable", ["job", "instance", "site"])
def test_a_variable_of_the_dashboard_has_values(story: Story, variable: str) -> None:
    """What can be chosen is there."""
    (row,) = [row for row in json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"] if row["name"] == variable]
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", row["definition"])
    assert match is not None
    values: Any = story.prometheus.get(f"label/{match[2]}/values", match=match[1].replace("$job", "footfall"))
    assert len(values) >= 1


def test_what_is_not_raised_here_is_an_alert(tmp_path: Path) -> None:
    """No reason stands for an alert that is gone."""
    assert set(NOT_HERE) < set(alerts())
