"""Errors are reported to where the setting says, and what arrives there holds nothing of visitors and no secret."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import structlog

from footfall.errors import SettingError
from footfall.telemetry.error_reporting import EVENTS_PER_MINUTE, MAX_TEXT, Scrubber, start_reporting
from footfall.version import __version__
from tests.contract.conftest import Clock
from tests.support.servers import FootfallServer, wait_until

SECRET = "hunter2"
STORE = f"redis://footfall:{SECRET}@redis.internal:6379/0?password={SECRET}"

_log = logging.getLogger("footfall.x")


class Ingest(ThreadingHTTPServer):
    """Stands in for a Sentry: keeps the bodies that are sent to project 1, and answers as it does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.dsn = f"http://0123456789abcdef@127.0.0.1:{self.server_address[1]}/1"

    def events(self) -> list[dict[str, Any]]:
        """The events among what has arrived: the third line of an envelope (Develop Docs, "Envelopes")."""
        return [json.loads(body.split(b"\n")[2]) for body in self.bodies if b'"type":"event"' in body]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_packed = self.headers.get("Content-Encoding") == "gzip"
        assert isinstance(self.server, Ingest)
        assert self.path == "/api/1/envelope/"
        self.server.bodies.append(gzip.decompress(body) if is_packed else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    with Ingest() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def reporting(ingest: Ingest) -> Iterator[None]:
    """What this process logs is reported to `ingest`, until the test ends."""
    handler = start_reporting(ingest.dsn, "web-1", hidden=(STORE, SECRET, ""))
    yield
    logging.getLogger().removeHandler(handler)
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.init()


def test_a_servers_error_arrives(ingest: Ingest, tmp_path: Path) -> None:
    """What a real server logs as an error is an event: one, with version, instance and logger."""
    (tmp_path / "broken.spool").write_bytes(b"this is no spool file" * 100)
    settings = {"SENTRY_DSN": ingest.dsn, "SPOOL": str(tmp_path)}
    with FootfallServer("memory://", instance="web-7", settings=settings) as server:
        wait_until(lambda: bool(ingest.bodies), "an event arrives", seconds=30, shown=server.program.last_words)
        server.stop()
    (event,) = ingest.events()
    assert event["logger"] == "footfall.counting.spool"
    assert event["level"] == "error"
    assert event["server_name"] == "web-7"
    assert event["release"] == f"footfall@{__version__}"
    assert "can't be read and is left as it is" in event["logentry"]["formatted"]


@pytest.mark.usefixtures("reporting")
def test_what_arrives_holds_no_secret_and_no_visitor(ingest: Ingest) -> None:
    """Neither in the message, its arguments and extras, nor in exceptions and their causes, nor in local variables."""
    agent = "Mozilla/5.0 (X11; Linux) Hers/99"
    private = {SECRET, "203.0.113.77", "2001:db8::beef", "utm_source", "Hers/99", "sid=tasty", "redis.internal", "Bearer"}
    lines = "\n".join([f"connecting to {STORE}", f"User-Agent: {agent}", "Cookie: sid=tasty", "authorization: Bearer hunter3"])
    local = f"{STORE} {agent}"
    with structlog.contextvars.bound_contextvars(request_id="abc-12345"):
        try:
            try:
                raise ValueError(f"{lines} from 203.0.113.77:4711 and [2001:db8::beef]:80, {len(local)}")
            except ValueError as error:
                raise ConnectionError("Error 111 connecting to redis.internal:6379") from error
        except ConnectionError:
            _log.exception(
                "GET /blog?utm_source=%s by %s at %s", "x", agent, "2001:db8::beef", extra={"cookie": "sid=tasty", "ip": SECRET}
            )
    sentry_sdk.flush(30)
    (event,) = ingest.events()
    assert not [text for text in private if text in json.dumps(event)]
    assert not [text for text in private if text.encode() in b"".join(ingest.bodies)]
    assert [each["type"] for each in event["exception"]["values"]] == ["ValueError", "ConnectionError"]
    assert event["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"].startswith("test_what_arrives")
    assert event["tags"] == {"request_id": "abc-12345"}
    assert set(event) <= {
        *("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "sdk"),
        *("logentry", "exception", "tags"),
    }


@pytest.mark.usefixtures("reporting")
def test_warnings_are_no_events(ingest: Ingest) -> None:
    """Only errors are, so a store that is away for a while reports nothing."""
    _log.warning("3 views were not acknowledged")
    sentry_sdk.flush(30)
    assert not ingest.bodies


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("views of /blog/post", "views of /blog/post"),
        ("5 views were not acknowledged: no answer within 5 s", "5 views were not acknowledged: no answer within 5 s"),
        ("see https://example.com/x?y=1 now", "see [url] now"),
        ("in sqlite:////var/lib/footfall.db", "in [url]"),
        ("GET /count?s=a&p=/b", "GET /count?[query]"),
        ("{'cookie': 'a=b'}", "{'cookie: [hidden]"),
        ("password=hunter2 x\nnext", "password: [hidden]\nnext"),
        ("from 10.0.0.1", "from [address]"),
        ("from 10.0.0.1:80.", "from [address]."),
        ("from ::1 and fe80::1%eth0", "from [address] and [address]"),
        ("host redis:6379", "host [address]"),
        ("version 1.2.3", "version 1.2.3"),
        ("x" * 5000, "x" * MAX_TEXT),
    ],
)
def test_a_text_is_scrubbed(text: str, scrubbed: str) -> None:
    """What could be a visitor's or a secret is named by its kind; the rest stays."""
    assert Scrubber().text(text) == scrubbed


def test_no_more_than_so_many_leave_in_a_minute() -> None:
    """The same fault in every request does not become as many events; the next minute begins anew."""
    monotonic = Clock(600.0)
    scrubber = Scrubber(monotonic=monotonic)
    sent = [scrubber({"level": "error"}, {}) for _ in range(EVENTS_PER_MINUTE + 10)]
    assert sum(event is not None for event in sent) == EVENTS_PER_MINUTE
    monotonic.advance(60)
    assert scrubber({"level": "error"}, {}) is not None


@pytest.mark.parametrize("command", ["serve", "check"])
def test_without_the_extra_the_start_stops_with_one_line(tmp_path: Path, command: str) -> None:
    """It names the setting and what to install; the DSN is not repeated. `footfall check` says the same beforehand."""
    code = "import sys; sys.modules['sentry_sdk'] = None; from footfall.cli import main; main()"
    environment = {"PATH": "/usr/bin:/bin", "FOOTFALL_SENTRY_DSN": f"https://{SECRET}@sentry.example/1", "FOOTFALL_PORT": "0"}
    environment["FOOTFALL_STORE"] = "memory://"
    ended = subprocess.run(
        [sys.executable, "-c", code, command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("footfall: FOOTFALL_SENTRY_DSN: ")
    assert "pip install 'footfall[sentry]'" in line
    assert SECRET not in line


def test_a_dsn_that_cannot_be_used_is_refused() -> None:
    """Also where it passed the settings."""
    with pytest.raises(SettingError, match="FOOTFALL_SENTRY_DSN") as refused:
        start_reporting(f"ftp://{SECRET}@host/1", "web-1")
    assert SECRET not in str(refused.value)
