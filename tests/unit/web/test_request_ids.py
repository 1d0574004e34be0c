"""Every reply but those to views that were taken has an id, which stands in the log lines of its request; and is counted."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import time
from typing import Any

import pytest
import structlog

from footfall.counting.counter import Counter
from footfall.errors import NotAcknowledged, StoreUnavailable
from footfall.intake.request import Intake
from footfall.model import Batch, Receipt, View
from footfall.settings import load_settings
from footfall.stores.memory import MemoryStore
from footfall.telemetry.ledger import Ledger
from footfall.telemetry.logging import set_up_logging
from footfall.web.app import make_app
from footfall.web.ingest.front import Front

OURS = re.compile(r"[0-9a-f]{32}")
GIVEN = "Root-1_67891233-abcdef012345678912345678"


@pytest.fixture
def log(logging_as_before: None) -> io.StringIO:
    """Where this process's log lines go, as JSON."""
    stream = io.StringIO()
    set_up_logging("json", "info", stream)
    return stream


@pytest.fixture
def front() -> Front:
    """An application for example.com, not started: what it counts waits for nobody."""
    return make_app(load_settings({"store": "memory://", "sites": "example.com", "public_sites": ""}, {}, None), "web-1")


async def ask(front: Front, path: str, *headers: tuple[str, str], query: str = "") -> tuple[int, dict[str, str]]:
    """Status and headers of the reply to a request, run as the server runs it: in a task of its own, and its failure logged."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await front(scope, receive, send)
        except Exception as error:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "root_path": "",
    }
    await asyncio.create_task(run())
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def replied(front: Front, status: str) -> float:
    ledger = front._others._ledger
    return ledger.registry.get_sample_value("footfall_http_replies_total", {"status": status}) or 0.0


@pytest.mark.parametrize(
    ("path", "status"),
    [("/livez", 200), ("/nowhere", 404), ("/count", 400), ("/count.gif", 400), ("/api/v1/sites/example.com/count", 401)],
)
async def test_a_reply_has_an_id_and_is_counted(front: Front, path: str, status: int) -> None:
    """The one that came with the request, or a new one each time; hot addresses' errors too."""
    got, headers = await ask(front, path, ("x-request-id", GIVEN))
    assert (got, headers["x-request-id"]) == (status, GIVEN)
    drawn = {(await ask(front, path))[1]["x-request-id"] for _ in range(5)}
    assert len(drawn) == 5
    assert all(OURS.fullmatch(id) for id in drawn)
    assert replied(front, f"{status // 100}xx") == 6


@pytest.mark.parametrize(
    "given",
    [
        "short",
        "x" * 65,
        "two words here",
        "<script>alert(1)",
        "10.0.0.1",
        "a\x1b[31mbcdefgh",
        "größer-als-acht",
        "12345678\n",
        "",
    ],
)
async def test_an_id_that_is_not_harmless_is_replaced(front: Front, given: str) -> None:
    """Too short, too long, or of letters that could mean something to a terminal, a page or a shell."""
    _, headers = await ask(front, "/livez", ("x-request-id", given))
    assert OURS.fullmatch(headers["x-request-id"])


async def test_a_view_that_is_taken_has_no_id_and_is_in_the_ledger_alone(front: Front) -> None:
    """Nothing is logged of it, so nothing is drawn for it."""
    status, headers = await ask(front, "/count", ("user-agent", "x"), ("x-request-id", GIVEN), query="s=example.com&p=/")
    assert (status, headers["x-footfall"]) == (204, "counted")
    assert "x-request-id" not in headers
    assert replied(front, "2xx") == 0


async def test_the_lines_of_a_request_have_its_id(front: Front, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of two requests at once are told apart, and lines of no request have none."""

    async def away(*_: object) -> None:
        await asyncio.sleep(0)
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(MemoryStore, "counts", away)
    path = "/api/v1/sites/example.com/count"
    public = make_app(load_settings({"store": "memory://", "sites": "example.com"}, {}, None), "web-1")
    replies = await asyncio.gather(
        ask(public, path, ("x-request-id", "first-request"), query="window=10"),
        ask(public, path, ("x-request-id", "second-request"), query="window=20"),
        ask(public, "/", ("x-request-id", "a-robots-request"), ("user-agent", "Googlebot/2.1"), query="window=30"),
    )
    assert [status for status, _ in replies] == [503, 503, 503]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    away_lines = [line for line in lines if "the store could not answer" in line["event"]]
    assert sorted(line["request_id"] for line in away_lines) == ["a-robots-request", "first-request", "second-request"]
    assert replied(public, "5xx") == 3


async def test_the_lines_of_a_batch_have_no_requests_id(log: io.StringIO) -> None:
    """It is many requests', whichever of them opened it."""

    class Away(MemoryStore):
        async def commit(self, batch: Batch) -> Receipt:
            raise StoreUnavailable(f"it does not take {batch.sequence}")

    counter = Counter(Away(time.time), Ledger(), commit_timeout=0.01)
    with structlog.contextvars.bound_contextvars(request_id="one-of-many"):
        with pytest.raises(NotAcknowledged):
            await counter.count(View("example.com", "/"))
        logging.getLogger("footfall.x").info("of the request itself")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["logger"], line.get("request_id")) for line in lines] == [
        ("footfall.counting.counter", None),
        ("footfall.x", "one-of-many"),
    ]


async def test_a_fault_of_ours_is_answered_with_the_id_that_its_log_line_gets(
    front: Front, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception goes on to the server, whose line about it is written in the same task."""
    monkeypatch.setattr(Intake, "classify", lambda *_: 1 / 0)
    status, headers = await ask(front, "/count", ("x-request-id", "faulty-one"))
    (line,) = [json.loads(each) for each in log.getvalue().splitlines()]
    assert (status, headers["x-request-id"], line["request_id"]) == (500, "faulty-one", "faulty-one")
    assert "ZeroDivisionError" in line["exception"]
    assert replied(front, "5xx") == 1
