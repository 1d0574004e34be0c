"""Log lines: one form for all of them, whoever writes them.

Our own modules and uvicorn log through the standard library, and all records pass the same structlog processors and come out
as JSON lines or as lines for a terminal, with the time in UTC. Nothing that comes from outside can forge a line or steer a
terminal: control characters are taken out of every value. This module knows no settings and no server.
"""

from __future__ import annotations

import datetime
import logging
import math
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

from footfall.telemetry.structured import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

#: C0 and C1 control characters, line and paragraph separators, marks that turn the direction of text (Unicode Bidirectional
#: Algorithm, UAX #9), and halves of surrogate pairs, which no encoding can write.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

#: The values that keep their line breaks, because they are made of lines.
_TEXTS = ("exception", "stack")

#: Values are looked into this deep; what lies deeper is shown as it would be printed.
_MAX_DEPTH = 5

#: Extras that uvicorn adds for its own formatter.
_UVICORN_EXTRAS = ("color_message",)

#: Loggers of uvicorn that have handlers of their own unless they are taken away.
_UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access")


def set_up_logging(
    format: Literal["auto", "console", "json"], level: Literal["debug", "info", "warning", "error"], stream: TextIO
) -> None:
    """Send the whole process's log lines of `level` and above to `stream`. May be called again, to send them elsewhere.

    "auto" is console where `stream` is a terminal, else JSON: one object a line, with "event", "level", "logger", "timestamp" and
    what is bound to the running task, such as a "request_id". uvicorn's access log is off: the ledger counts requests, and what
    visitors asked for is nobody's to keep.
    """
    is_terminal = stream.isatty()
    as_console = format == "console" or (format == "auto" and is_terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(as_console, colours=is_terminal and not os.environ.get("NO_COLOR")))  # https://no-color.org
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    access = logging.getLogger("uvicorn.access")
    access.disabled = True
    access.propagate = False  # without a handler in its reach uvicorn does not even put the line together: 3 us a request
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(as_console: bool, colours: bool) -> logging.Formatter:
    """The one chain that every record passes, whichever library it comes from."""
    renderer: Any = structlog.processors.JSONRenderer()
    if as_console:
        renderer = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder(), _without_uvicorn_extras],
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _add_time,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,  # as plain text: richer forms show local variables, and secrets among them
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            without_control_characters,
            renderer,
        ],
    )


def without_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take control characters out of every value, however deep it lies.

    A traceback keeps its line breaks, and each of its lines is indented, so that none looks like a log line.
    """
    return {
        _plain(key): "\n".join(f"  {_plain(line)}" for line in value.split("\n"))
        if key in _TEXTS and isinstance(value, str)
        else _clean(value)
        for key, value in event.items()
    }


def _plain(text: str) -> str:
    return _CONTROL.sub("", text)


def _clean(value: object, depth: int = 0) -> object:
    """A value made of nothing but what JSON has, without control characters."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str):
        return _plain(value)
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return {_plain(str(key)): _clean(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_clean(item, depth + 1) for item in value]
    return _plain(str(value))


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """When the record was made: UTC, ISO 8601, to the microsecond."""
    made = datetime.datetime.fromtimestamp(event["_record"].created, datetime.UTC)
    event["timestamp"] = made.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def _without_uvicorn_extras(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name in _UVICORN_EXTRAS:
        event.pop(name, None)
    return event
