"""Logs that something else has wrapped line by line: Docker's json-file driver, and Caddy's console encoding.

What is inside is read by the format that it is in. Sources: "JSON File logging driver" in Docker's documentation; zap's console
encoder, which Caddy writes to a terminal with.
"""

from __future__ import annotations

import re

import msgspec

from footfall.importing.formats.entry import Format, LogEntry
from footfall.importing.formats.json_lines import CaddyJson

#: Time, level, logger and message, each followed by a tab, and then the fields.
_CONSOLE = re.compile(
    rb"(?P<time>[^\t\"]{10,40})\t[^\t]*\t(?P<logger>http\.log\.access[^\t]*)\t[^\t]*\t\{(?P<fields>.*)", re.DOTALL
)

#: What the name of a format begins with where Docker kept its lines.
DOCKER = "docker:"

#: The colours of a terminal.
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class _DockerLine(msgspec.Struct, frozen=True):
    """A line that a container wrote, with its end."""

    log: str
    stream: str


class DockerJson:
    """Lines of `inner`, each in the object that Docker keeps it in."""

    def __init__(self, inner: Format) -> None:
        self._inner = inner
        self._decode = msgspec.json.Decoder(_DockerLine).decode
        self.name = self.written = DOCKER + inner.name
        self.title = f"Docker's json-file, {inner.title}"
        self.tells_host = inner.tells_host

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        if not line.startswith(b'{"log":'):
            return None
        try:
            content = self._decode(line).log.rstrip("\r\n").encode("utf-8", "surrogateescape")
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        return self._inner.read(content)


class CaddyConsole:
    """What Caddy writes to a terminal of each request it has handled."""

    name = written = "caddy-console"
    title = "Caddy's console"
    tells_host = True

    def __init__(self) -> None:
        self._json = CaddyJson()

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        match = _CONSOLE.fullmatch(_COLOUR.sub(b"", line) if b"\x1b" in line else line)
        if match is None:
            return None
        time = msgspec.json.encode(match["time"].decode("latin-1"))
        logger = msgspec.json.encode(match["logger"].decode("latin-1"))
        return self._json.read(b'{"ts":%s,"logger":%s,%s' % (time, logger, match["fields"]))
