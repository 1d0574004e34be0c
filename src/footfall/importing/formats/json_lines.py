"""Logs whose lines are JSON objects: nginx's with a `log_format` of that kind, and Caddy's own.

nginx has no JSON format of its own, so an object is read by the names that people give its fields: those of nginx's variables
and their common short forms. docs/importing.md shows a `log_format` to copy. Sources for Caddy: "log" in the documentation of the
Caddyfile, and the encoders of zap, its logger, for what a time may look like.
"""

from __future__ import annotations

import abc
import json
import re
from typing import Any, Generic, TypeVar

import msgspec

from footfall.importing.formats.entry import (
    NO_HEADERS,
    LogEntry,
    Times,
    encoded,
    plain,
    sent_bytes,
    split_request,
    without_origin,
)

#: What nginx writes for a byte where its format lacks `escape=json`; behind an even number of backslashes.
_NGINX_BYTE = re.compile(rb"(?<!\\)((?:\\\\)*)\\x([0-9A-Fa-f]{2})")

#: What nginx writes for a number that it does not know, where the format puts no quotes around it.
_BARE_DASH = re.compile(rb"(:\s*)-(\s*[,}])")

#: What says that a line is not as it should be.
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

T = TypeVar("T")


class _JsonLines(abc.ABC, Generic[T]):
    """Reads an object as a `shape`, and what is not quite JSON, too."""

    tells_host = True
    shape: type[T]

    def __init__(self) -> None:
        self._times = Times()
        self._decode = msgspec.json.Decoder(self.shape).decode

    def read(self, line: bytes) -> LogEntry | None:
        """Read a line; see `Format.read`."""
        if not line.startswith(b"{"):
            line = line.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t?")
            if not line.startswith(b"{"):
                return None
        try:
            read = self._decode(line)
        except _UNREADABLE:
            try:
                read = msgspec.convert(_lenient(line), self.shape)
            except _UNREADABLE:
                return None
        return self._entry(read)

    @abc.abstractmethod
    def _entry(self, read: T) -> LogEntry | None:
        """What an object says of a request; None where it says too little."""


def _lenient(line: bytes) -> Any:
    """What a line holds that is not quite JSON: with nginx's escapes, or bytes that are not UTF-8. None where it is neither."""
    line = _BARE_DASH.sub(b"\\1null\\2", line)
    line = _NGINX_BYTE.sub(lambda found: found[1] + _json_byte(int(found[2], 16)), line)
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"))
    except ValueError:
        return None


def _json_byte(byte: int) -> bytes:
    return b"\\u%04x" % byte if byte < 0x80 else bytes([byte])


def _first(*texts: str | None) -> str | None:
    for text in texts:
        if text is not None:
            return text
    return None


class NginxFields(msgspec.Struct, frozen=True):
    """The fields that are looked for, by each of their names; of those that say the same, the one that stands first here."""

    time_iso8601: str | None = None
    time_local: str | None = None
    msec: str | float | None = None
    time: str | float | None = None
    timestamp: str | float | None = None
    date: str | float | None = None
    at_timestamp: str | float | None = msgspec.field(name="@timestamp", default=None)
    request: str | None = None
    request_method: str | None = None
    method: str | None = None
    request_uri: str | None = None
    uri: str | None = None
    url: str | None = None
    path: str | None = None
    args: str | None = None
    query_string: str | None = None
    status: str | int | None = None
    http_referer: str | None = None
    http_referrer: str | None = None
    referer: str | None = None
    referrer: str | None = None
    http_user_agent: str | None = None
    user_agent: str | None = None
    agent: str | None = None
    host: str | None = None
    http_host: str | None = None
    vhost: str | None = None
    server_name: str | None = None
    remote_addr: str | None = None
    client_ip: str | None = None
    remote_ip: str | None = None
    ip: str | None = None
    http_accept_language: str | None = None
    http_sec_purpose: str | None = None
    http_dnt: str | None = None
    http_sec_gpc: str | None = None


#: Request headers that are read beside referrer and agent.
_HEADER_FIELDS = (
    ("http_accept_language", b"accept-language"),
    ("http_sec_purpose", b"sec-purpose"),
    ("http_dnt", b"dnt"),
    ("http_sec_gpc", b"sec-gpc"),
)


class NginxJson(_JsonLines[NginxFields]):
    """An object with a time, a status, and either the request or its path; everything else may be missing."""

    name = written = "nginx-json"
    title = "nginx with a JSON log_format"
    shape = NginxFields

    def _entry(self, read: NginxFields) -> LogEntry | None:
        times = (read.time_iso8601, read.time_local, read.msec, read.time, read.timestamp, read.date, read.at_timestamp)
        at = next((self._times.any(written) for written in times if written is not None), None)
        status = _status(read.status)
        if at is None or status is None:
            return None
        if read.request is not None:
            method, target = split_request(read.request)
        else:
            path = _first(read.request_uri, read.uri, read.url, read.path)
            if path is None:
                return None
            method = _first(read.request_method, read.method) or "GET"
            target, _ = without_origin(path)
            query = _first(read.args, read.query_string)
            if query and query != "-" and read.request_uri is None and "?" not in target:
                target += "?" + query
        return LogEntry(
            at,
            method,
            encoded(target),
            status,
            plain(_first(read.http_referer, read.http_referrer, read.referer, read.referrer)),
            plain(_first(read.http_user_agent, read.user_agent, read.agent)),
            _first(read.host, read.http_host, read.vhost, read.server_name) or None,
            _first(read.remote_addr, read.client_ip, read.remote_ip, read.ip),
            {name: sent_bytes(value) for field, name in _HEADER_FIELDS if (value := getattr(read, field))} or NO_HEADERS,
        )


def _status(written: str | int | None) -> int | None:
    if isinstance(written, str):
        written = int(written) if len(written) == 3 and written.isascii() and written.isdigit() else None
    return written if written is not None and 0 <= written <= 999 else None


class CaddyRequest(msgspec.Struct, frozen=True):
    """What was asked, and by whom."""

    method: str
    uri: str
    host: str | None = None
    client_ip: str | None = None
    remote_ip: str | None = None
    remote_addr: str | None = None
    headers: dict[str, list[str]] = {}


class CaddyFields(msgspec.Struct, frozen=True):
    """What Caddy says of a request it has handled."""

    ts: str | float
    request: CaddyRequest
    status: int
    logger: str = "http.log.access"


#: Headers that a judgement may ask for. The others, often the longest, stay where they are.
_CADDY_HEADERS = (
    ("Accept-Language", b"accept-language"),
    ("Sec-Purpose", b"sec-purpose"),
    ("Purpose", b"purpose"),
    ("X-Purpose", b"x-purpose"),
    ("X-Moz", b"x-moz"),
    ("Dnt", b"dnt"),
    ("Sec-Gpc", b"sec-gpc"),
)


class CaddyJson(_JsonLines[CaddyFields]):
    """What Caddy 2 writes of each request it has handled; what else it logs (its start, certificates, errors) is unreadable."""

    name = written = "caddy-json"
    title = "Caddy"
    shape = CaddyFields

    def _entry(self, read: CaddyFields) -> LogEntry | None:
        at = self._times.any(read.ts)
        if at is None or not read.logger.startswith("http.log.access") or not 0 <= read.status <= 999:
            return None
        request, headers = read.request, read.request.headers
        address = _first(request.client_ip, request.remote_ip)
        if address is None and request.remote_addr is not None:  # before Caddy 2.5, with the port
            address = request.remote_addr.rpartition(":")[0].strip("[]")
        return LogEntry(
            at,
            request.method,
            encoded(without_origin(request.uri)[0]),
            read.status,
            plain(_last(headers, "Referer") or ""),
            plain(_last(headers, "User-Agent") or ""),
            request.host,
            address,
            {name: sent_bytes(value) for key, name in _CADDY_HEADERS if (value := _last(headers, key))} or NO_HEADERS,
        )


def _last(headers: dict[str, list[str]], name: str) -> str | None:
    values = headers.get(name)
    return values[-1] if values else None


class TraefikFields(msgspec.Struct, frozen=True):
    """What Traefik says of a request; headers only where it is told to keep them."""

    RequestMethod: str
    RequestPath: str
    DownstreamStatus: int
    StartUTC: str | None = None
    time: str | None = None
    RequestHost: str | None = None
    ClientHost: str | None = None
    referrer: str | None = msgspec.field(name="request_Referer", default=None)
    agent: str | None = msgspec.field(name="request_User-Agent", default=None)
    language: str | None = msgspec.field(name="request_Accept-Language", default=None)


class TraefikJson(_JsonLines[TraefikFields]):
    """What Traefik writes with `accessLog.format: json`. Source: "Access logs" in the documentation of Traefik."""

    name = written = "traefik-json"
    title = "Traefik"
    shape = TraefikFields

    def _entry(self, read: TraefikFields) -> LogEntry | None:
        written = read.StartUTC or read.time
        at = self._times.any(written) if written else None
        if at is None or not 0 <= read.DownstreamStatus <= 999:
            return None
        return LogEntry(
            at,
            read.RequestMethod,
            encoded(without_origin(read.RequestPath)[0]),
            read.DownstreamStatus,
            plain(read.referrer),
            plain(read.agent),
            read.RequestHost,
            read.ClientHost,
            {b"accept-language": sent_bytes(read.language)} if read.language else NO_HEADERS,
        )
