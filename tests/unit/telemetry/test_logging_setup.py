"""All log lines have one form, wherever they come from, and nobody outside can forge one."""

from __future__ import annotations

import datetime
import io
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import structlog
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from footfall.telemetry.logging import set_up_logging, without_control_characters

pytestmark = pytest.mark.usefixtures("logging_as_before")

#: ESC, which begins what steers a terminal; a line break; a line separator; a mark that turns text round; half a surrogate pair.
HOSTILE = "a\x1b[31m\r\n2026-01-01T00:00:00Z [info] forged\u2028\u202e\udc80\x9b\x7fz"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(write: Callable[[], object], stream: io.StringIO | None = None, **how: Any) -> list[str]:
    """The lines that `write` leads to."""
    stream = io.StringIO() if stream is None else stream
    set_up_logging(how.get("format", "json"), how.get("level", "info"), stream)
    write()
    return stream.getvalue().splitlines()


def objects(write: Callable[[], object], **how: Any) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [json.loads(line) for line in lines(write, **how)]


@pytest.mark.parametrize("get_logger", [logging.getLogger, structlog.get_logger])
def test_both_libraries_lines_have_one_form(get_logger: Callable[[str], Any]) -> None:
    """Event, level, logger's name and time, with the arguments put in."""
    (line,) = objects(lambda: get_logger("footfall.x").warning("%d views of %s", 3, "/blog"))
    assert datetime.datetime.fromisoformat(line.pop("timestamp")).utcoffset() == datetime.timedelta(0)
    assert line == {"event": "3 views of /blog", "level": "warning", "logger": "footfall.x"}


def test_the_time_is_the_records_in_utc() -> None:
    """To the microsecond, in ISO 8601, with a Z."""
    record = logging.makeLogRecord(
        {"msg": "x", "name": "footfall", "levelname": "INFO", "levelno": 20, "created": 1_700_000_000.25}
    )
    (line,) = objects(lambda: logging.getLogger().handle(record))
    assert line["timestamp"] == "2023-11-14T22:13:20.250000Z"


def test_extras_and_bound_values_become_fields() -> None:
    """`extra=` of the one library, keywords of the other."""

    def write() -> None:
        logging.getLogger("footfall.x").info("one", extra={"site": "a.example", "views": 3})
        structlog.get_logger("footfall.x").bind(site="a.example").info("two", views=3)

    assert [(line["event"], line["site"], line["views"]) for line in objects(write)] == [
        ("one", "a.example", 3),
        ("two", "a.example", 3),
    ]


@pytest.mark.parametrize("get_logger", [logging.getLogger, structlog.get_logger])
def test_what_is_bound_to_the_task_is_in_its_lines(get_logger: Callable[[str], Any]) -> None:
    """Such as a request's id; and in no others."""

    def write() -> None:
        with structlog.contextvars.bound_contextvars(request_id="abc"):
            get_logger("footfall.x").warning("one")
        get_logger("footfall.x").warning("two")

    assert [line.get("request_id") for line in objects(write)] == ["abc", None]


def test_uvicorns_lines_have_the_same_form_and_its_access_log_is_off() -> None:
    """Also after uvicorn has configured its loggers in its own way."""
    uvicorn.Config("none:none")  # sets handlers of its own on its loggers

    def write() -> None:
        logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/", "1.1", 200)

    (line,) = objects(write)
    assert {key: line[key] for key in line if key != "timestamp"} == {
        "event": "Started",
        "level": "info",
        "logger": "uvicorn.error",
    }
    assert not logging.getLogger("uvicorn.access").hasHandlers(), "uvicorn puts together a line for each request"


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
@pytest.mark.parametrize("get_logger", [logging.getLogger, structlog.get_logger])
def test_lines_below_the_level_are_not_written(level: str, written: int, get_logger: Callable[[str], Any]) -> None:
    """By either library."""
    log = get_logger("footfall.x")
    found = objects(lambda: (log.debug("a"), log.info("b"), log.warning("c"), log.error("d")), level=level)
    assert [line["event"] for line in found] == ["a", "b", "c", "d"][4 - written :]


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    """And "console" and "json" hold whatever the stream is."""

    def write() -> None:
        logging.getLogger("footfall.x").info("hello", extra={"site": "a.example"})

    assert lines(write, io.StringIO(), format="auto")[0].startswith("{")
    assert lines(write, Terminal(), format="json")[0].startswith("{")
    for stream, form in ((Terminal(), "auto"), (io.StringIO(), "console")):
        assert not lines(write, stream, format=form)[0].startswith("{")
    assert "site=a.example" in lines(write, io.StringIO(), format="console")[0]


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """None in a file, none where NO_COLOR is set."""

    def write() -> None:
        logging.getLogger("footfall.x").info("hello")

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in lines(write, Terminal(), format="console")[0]
    assert "\x1b[" not in lines(write, io.StringIO(), format="console")[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in lines(write, Terminal(), format="console")[0]


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize("get_logger", [logging.getLogger, structlog.get_logger])
def test_no_value_forges_a_line_or_steers_a_terminal(format: str, get_logger: Callable[[str], Any]) -> None:
    """Neither in the message, nor in its arguments, nor deep in a field."""
    fields = {"page": HOSTILE, "deep": {HOSTILE: [HOSTILE, (HOSTILE,), {"x": HOSTILE}]}, "other": ValueError(HOSTILE)}
    log = get_logger("footfall.x")
    message = f"%s {HOSTILE}"

    def write() -> None:
        if get_logger is logging.getLogger:
            log.info(message, HOSTILE, extra=fields)
        else:
            log.info(message, HOSTILE, **fields)

    (line,) = lines(write, format=format)
    assert line.isprintable()
    assert "\\u001b" not in line
    assert "[info] forged" in line


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize("get_logger", [logging.getLogger, structlog.get_logger])
def test_a_traceback_keeps_its_lines_and_forges_none(format: str, get_logger: Callable[[str], Any]) -> None:
    """Each of its lines is indented; control characters are gone; local variables are not shown."""

    def write() -> None:
        password = "hunter" + "2"
        try:
            raise ValueError(HOSTILE + str(len(password)))
        except ValueError:
            get_logger("footfall.x").exception("went wrong")

    found = lines(write, format=format)
    if format == "json":
        (line,) = found
        found = ["went wrong", *json.loads(line)["exception"].split("\n")]
    assert "went wrong" in found[0]
    assert len(found) > 3
    assert all(line.startswith("  ") and line.isprintable() for line in found[1:])
    assert "hunter2" not in "".join(found)


def test_python_warnings_are_log_lines() -> None:
    """They don't stand between JSON lines as bare text."""

    def write() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("something is old", stacklevel=1)

    (line,) = objects(write)
    assert "something is old" in line["event"]
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")


def test_it_may_be_set_up_again_elsewhere() -> None:
    """The newest stream gets each line once, loggers that were used before included."""
    log = structlog.get_logger("footfall.x")
    first = io.StringIO()
    assert lines(lambda: log.info("one"), first) == first.getvalue().splitlines()

    def write() -> None:
        log.info("two")
        logging.getLogger("footfall.x").info("three")

    assert [line["event"] for line in objects(write)] == ["two", "three"]
    assert len(first.getvalue().splitlines()) == 1


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON_LIKE))
def test_whatever_is_logged_becomes_strict_json_without_control_characters(event: dict[str, Any]) -> None:
    """NaN, bytes and deep nesting included."""
    cleaned = without_control_characters(None, "info", event)
    text = json.dumps(cleaned, allow_nan=False, ensure_ascii=False)
    assert not [letter for letter in text if letter < " " or "\x7f" <= letter <= "\x9f"]
    text.encode()
