"""The log tells once a minute what became of the views, and its lines add up to the ledger."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from footfall.model import Drop, DropReason
from footfall.telemetry.ledger import Ledger
from footfall.telemetry.logging import set_up_logging
from footfall.telemetry.minute_log import EVENT, TALLY_SECONDS, Tally
from tests.unit.counting.spooling import until

SERVICE = Path(__file__).resolve().parents[3] / "deploy" / "aws" / "service.yaml"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process logs, as JSON."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging("json", "info", stream)
    yield stream
    root.handlers[:], root.level = before


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """The tallies among the lines."""
    found = map(json.loads, log.getvalue().splitlines())
    return [line for line in found if line["event"] == EVENT]


def test_a_line_holds_what_came_since_the_one_before(log: io.StringIO) -> None:
    """Each outcome is told once, all sites together, drops by reason too; what waits is told as it is now."""
    ledger = Ledger()
    tally = Tally(ledger)
    for site in ("a.example", "b.example"):
        ledger.received(site, 5)
        ledger.counted(site, 3)
        ledger.spooled(site, 2)
    ledger.dropped(Drop(DropReason.BOT, "a.example"))
    tally.tell()
    ledger.spooled("a.example", -2)
    ledger.counted("a.example", 1)
    ledger.failed("a.example", 1)
    ledger.dropped(Drop(DropReason.UNKNOWN_SITE, None))
    tally.tell()
    fields = ("received", "counted", "duplicate", "dropped", "failed", "spooled", "pending", "reasons")
    assert [[line[field] for field in fields] for line in lines(log)] == [
        [11, 6, 0, 1, 0, 4, 0, {"bot": 1}],
        [1, 1, 0, 1, 1, 2, 0, {"unknown-site": 1}],
    ]


def test_nothing_is_told_of_nothing(log: io.StringIO) -> None:
    """A minute without a view has no line; one in which views still wait has."""
    ledger = Ledger()
    tally = Tally(ledger)
    tally.tell()
    ledger.spooled("a.example", 1)
    for _ in range(2):
        tally.tell()
    ledger.spooled("a.example", -1)
    tally.tell()
    assert [line["spooled"] for line in lines(log)] == [1, 1]


async def test_it_is_told_every_minute(log: io.StringIO) -> None:
    """Each time a minute has passed there is a line, and none when the block is over."""
    ledger = Ledger()
    sleeps: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(seconds: float) -> None:
        sleeps.append((seconds, asyncio.get_running_loop().create_future()))
        await sleeps[-1][1]

    async with Tally(ledger, sleep).told():
        for views in (1, 2):
            await until(lambda: bool(sleeps) and not sleeps[-1][1].done(), "it sleeps")
            ledger.received("a.example", views)
            sleeps[-1][1].set_result(None)
        await until(lambda: not sleeps[-1][1].done(), "it sleeps again")
    assert [seconds for seconds, _ in sleeps] == [TALLY_SECONDS] * 3
    assert [line["received"] for line in lines(log)] == [1, 2]
    assert sleeps[-1][1].cancelled()


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as nothing: no filter is made of any."""


def _nothing(_loader: yaml.SafeLoader, _tag: str, _node: yaml.Node) -> None:
    return None


_Loader.add_multi_constructor("!", _nothing)


def test_the_cloud_filters_find_what_they_look_for(log: io.StringIO) -> None:
    """Every field of the line that deploy/aws/service.yaml makes a metric of is in it, under the name it is looked for."""
    resources = yaml.load(SERVICE.read_text("utf-8"), _Loader)["Resources"]
    filters = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Logs::MetricFilter"]
    of_tally = [each for each in filters if each["FilterPattern"] == f'{{ $.event = "{EVENT}" }}']
    assert len(of_tally) == len(filters) - 1  # the other one counts lines by their level
    ledger = Ledger()
    ledger.received("a.example", 1)
    Tally(ledger).tell()
    (line,) = lines(log)
    for each in of_tally:
        (transformation,) = each["MetricTransformations"]
        assert isinstance(line[transformation["MetricValue"].removeprefix("$.")], int)
