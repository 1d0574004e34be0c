"""Error reporting: log lines of level error and above, tracebacks included, go to a Sentry or what speaks its protocol.

An event is built anew from a few named parts, and what a visitor or a secret could have left in a text is cut out, so that
nothing gets there because a library began to collect it. Reporting never stops or slows counting: events wait in a short queue
and are sent by a thread of their own, and no more than so many a minute. This module knows no settings but the name of its own.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from footfall.errors import SettingError
from footfall.telemetry.structured import structlog
from footfall.version import __version__

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

SETTING = "FOOTFALL_SENTRY_DSN"

#: More events in a minute are not sent: the same fault in every request is one finding, and costs someone's quota.
EVENTS_PER_MINUTE = 60

#: So many events may wait to be sent; more are dropped.
QUEUED_EVENTS = 50

#: How long a stopping process goes on sending, in seconds.
LAST_SECONDS = 2.0

#: A text is cut off here.
MAX_TEXT = 1000

#: What is kept of an event, of a stack's frame and of an exception, by the names of Sentry's event format (Develop Docs, "Event
#: Payloads"). The texts among it are scrubbed besides.
_EVENT = ("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "sdk")
_FRAME = ("filename", "function", "module", "lineno", "in_app")
_EXCEPTION = ("type", "module")

#: What follows one of these names, up to the end of the line, is nobody's.
_PRIVATE_NAMES = (
    "set-cookie|cookie|authorization|user-agent|referer|forwarded|x-forwarded-for|x-real-ip"
    "|pass(?:word|wd)?|pwd|secret|token|dsn|api[-_]?key"
)
_IPV6 = r"\[?(?:[0-9A-Fa-f]{0,4}:){2,7}(?:\d+(?:\.\d+){3}|[0-9A-Fa-f]{0,4})(?:%\w+)?\]?(?::\d+)?"

#: What a text may hold of visitors and of stores, and what stands in its place; from the widest to the narrowest.
_PRIVATE = (
    (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+"), "[url]"),
    (re.compile(rf"(?i)\b({_PRIVATE_NAMES})\b(?=['\"]?\s*[:=,]).*"), r"\1: [hidden]"),
    (re.compile(r"Mozilla/.*"), "[agent]"),
    (re.compile(r"\?[^\s'\"]+"), "?[query]"),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?!\w|\.\d)"), "[address]"),
    (re.compile(rf"(?<![\w:.]){_IPV6}(?!\w)"), "[address]"),
    (re.compile(r"(?<![\w./-])[A-Za-z0-9_.-]+:\d{2,5}(?!\w)"), "[address]"),
)


def require_reporter() -> None:
    """Raise SettingError, with how to fix it, where what reports is not installed."""
    try:
        import sentry_sdk  # noqa: F401  # only whether it can be
    except ImportError:
        raise SettingError(
            SETTING, "errors can't be reported without the extra: `pip install 'footfall[sentry]'`, or remove the setting"
        ) from None


def start_reporting(
    dsn: str, instance: str, hidden: Iterable[str] = (), monotonic: Callable[[], float] = time.monotonic
) -> logging.Handler:
    """Report what the whole process logs from now on to the project that `dsn` names; return the handler that does.

    To be called after logging is set up. `instance` is whose errors these are; texts in `hidden`, such as the store's URL, are
    cut out wherever they appear. Raises SettingError where it can't be done.
    """
    require_reporter()
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.logging import EventHandler
    from sentry_sdk.utils import BadDsn

    scrubber = Scrubber(hidden, monotonic)
    try:
        sentry_sdk.init(
            dsn=dsn,
            release=f"footfall@{__version__}",
            server_name=instance,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[AtexitIntegration(callback=lambda _pending, _timeout: None)],
            auto_session_tracking=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            propagate_traces=False,
            enable_metrics=False,
            spotlight=False,
            transport_queue_size=QUEUED_EVENTS,
            shutdown_timeout=LAST_SECONDS,
            before_send=scrubber,
        )
    except BadDsn:
        raise SettingError(SETTING, "write the project's DSN, as in https://KEY@HOST/PROJECT-NUMBER") from None
    handler = EventHandler(level=logging.ERROR)
    logging.getLogger().addHandler(handler)
    return handler


class Scrubber:
    """Makes of an event one that may leave the machine, or None where enough have left within a minute."""

    def __init__(self, hidden: Iterable[str] = (), monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hidden = sorted(filter(None, hidden), key=len, reverse=True)
        self._monotonic = monotonic
        self._minute = -1
        self._sent = 0

    def __call__(self, event: Event, _hint: Hint) -> Event | None:
        """The event with nothing but what is named here."""
        if not self._has_room():
            return None
        whole: Mapping[str, Any] = event
        kept = {name: whole[name] for name in _EVENT if name in whole}
        line = whole.get("logentry") or {}
        message = line.get("message") or ""
        kept["logentry"] = {"message": self.text(message), "formatted": self.text(line.get("formatted") or message)}
        raised = (whole.get("exception") or {}).get("values") or ()
        if raised:
            kept["exception"] = {"values": [self._exception(each) for each in raised]}
        request = structlog.contextvars.get_contextvars().get("request_id")
        if request:
            kept["tags"] = {"request_id": request}
        return kept  # type: ignore[return-value]  # a TypedDict of just these keys

    def text(self, text: str) -> str:
        """A text without what could be a visitor's or a secret."""
        for secret in self._hidden:
            text = text.replace(secret, "[hidden]")
        for pattern, instead in _PRIVATE:
            text = pattern.sub(instead, text)
        return text[:MAX_TEXT]

    def _exception(self, raised: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: raised[name] for name in _EXCEPTION if name in raised}
        kept["value"] = self.text(str(raised.get("value") or ""))
        frames = (raised.get("stacktrace") or {}).get("frames") or ()
        kept["stacktrace"] = {"frames": [{name: frame[name] for name in _FRAME if name in frame} for frame in frames]}
        return kept

    def _has_room(self) -> bool:
        minute = int(self._monotonic() // 60)
        if minute != self._minute:
            self._minute, self._sent = minute, 0
        self._sent += 1
        return self._sent <= EVENTS_PER_MINUTE
