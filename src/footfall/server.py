"""Running the server: uvicorn with uvloop and httptools, one process or several on one socket.

What can stop the start, a taken port or an unusable store, is found before anything is announced and said in one line. The
application is made in the process that serves, from the environment, so that one worker and many go the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.basereload import BaseReload

from footfall.auth import Credentials, Passwords
from footfall.errors import FootfallError, SettingError, StoreError
from footfall.instance import instance_name
from footfall.settings import Settings, load_settings, setting_name
from footfall.stores import open_configured, scheme_of
from footfall.telemetry.error_reporting import require_reporter, start_reporting
from footfall.telemetry.logging import set_up_logging
from footfall.web.app import make_app
from footfall.web.ingest.connection import Connection
from footfall.web.ingest.front import Front

_log = logging.getLogger(__name__)

#: Idle connections are kept this long: longer than the 60 s after which load balancers usually let go of theirs, so that
#: it is never we who close one just as a request is sent on it.
KEEP_ALIVE_SECONDS = 75

#: Where several workers share their metrics; read by prometheus-client when it is imported.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

#: A name may stand for addresses, often of IPv6, that this machine does not have.
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def application() -> Front:
    """Make the application from the environment: what uvicorn calls in every process that serves."""
    settings = load_settings()
    set_up_logging(settings.log_format, settings.log_level, sys.stderr)
    name = instance_name(settings.instance)
    if settings.sentry_dsn:
        start_reporting(settings.sentry_dsn, name, hidden=(settings.store, settings.metrics_token or "", settings.sentry_dsn))
    try:
        app = make_app(settings, f"{name}-{os.getpid()}" if settings.workers > 1 else name)
    except FootfallError as error:
        if settings.workers == 1:
            raise
        _log.error("a worker could not start: %s", error)
        raise SystemExit(1) from None
    _spare_the_collector()
    return app


def serve(settings: Settings, announce: Callable[[int, str | None], None], *, reload: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests under way, commit the last batch, and return.

    `announce` is called with the port once nothing stands in the way any more, and with the key of a one-time link where no
    password has been set. Raises SettingError, StoreUnavailable or
    StoreUnusable before that.
    """
    set_up_logging(settings.log_format, settings.log_level, sys.stderr)
    allow_open_files()
    if settings.sentry_dsn:
        require_reporter()
    sockets = _listen(settings.host, settings.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # uvicorn raises the signal again when it has finished: that is a clean end
    options: dict[str, Any] = {
        "factory": True,
        "interface": "asgi3",
        "loop": "uvloop",
        "http": Connection,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": max(1, round(settings.drain_seconds)),
    }
    config = uvicorn.Config("footfall.server:application", reload=reload, workers=settings.workers, **options)
    port: int = sockets[0].getsockname()[1]
    key = _prove_store(settings)
    if settings.workers == 1 and not reload:
        _Server(config, lambda key_of_memory: announce(port, key or key_of_memory)).run(sockets)
        return
    announce(port, key)
    if reload:
        _reloader(config, sockets).run()
        return
    with tempfile.TemporaryDirectory(prefix="footfall-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        _Workers(config, sockets).run()


class _Server(uvicorn.Server):
    """uvicorn's server in this process."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str | None], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        app = self.config.loaded_app
        self._announce(await app.invite() if isinstance(app, Front) and app.is_in_memory else None)


class _Workers(Multiprocess):
    """uvicorn's supervisor of several processes."""

    def keep_subprocess_alive(self) -> None:
        """Replace those that died; what waited in them waits no longer."""
        before = {each.pid for each in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {each.pid for each in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped

    def terminate_all(self) -> None:
        """Stop them, and stop listening: what came to our own copy of the socket would never be answered."""
        for each in self.sockets:
            each.close()
        super().terminate_all()


def _reloader(config: uvicorn.Config, sockets: list[socket.socket]) -> BaseReload:
    from uvicorn.supervisors import ChangeReload

    return ChangeReload(config, uvicorn.Server(config).run, sockets)


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on all addresses of a host name that this machine has. Raises SettingError."""
    try:
        found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    except OSError:
        raise SettingError(setting_name("host"), f"no address is known for {host!r}; write an address of this machine") from None
    listening: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in found:
        try:
            listening.append(_listener(family, (address[0], port, *address[2:]), is_alone=len(found) == 1))
            port = listening[-1].getsockname()[1]  # the one that was free, where port 0 was asked for
        except OSError as error:
            if error.errno not in _NO_SUCH_ADDRESS:
                raise _not_listening(host, port, error) from None
            missing = error
    if missing and not listening:
        raise _not_listening(host, port, missing)
    return listening


def _listener(family: socket.AddressFamily, address: tuple[Any, ...], *, is_alone: bool) -> socket.socket:
    """A socket that listens on an address. Raises OSError."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` alone takes in IPv4; beside an IPv4 address the port would be taken twice
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_alone)
        listener.bind(address)
        listener.listen()
        listener.set_inheritable(True)
    except BaseException:
        listener.close()
        raise
    return listener


def _not_listening(host: str, port: int, error: OSError) -> SettingError:
    """Why a host and port can't be listened on, and whose fault it is."""
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.EADDRINUSE:
        return SettingError(
            setting_name("port"), f"{port} on {host}: {reason}; end the program that listens there, or write another"
        )
    if error.errno == errno.EACCES:
        return SettingError(setting_name("port"), f"{port} on {host}: {reason}; write a port from 1024 on")
    return SettingError(setting_name("host"), f"can't listen on {host}: {reason}; write an address of this machine")


def _prove_store(settings: Settings) -> str | None:
    """Let the store prove that it takes a write, so that what is wrong with it is said in one line before anything serves.

    With a spool the server starts all the same: views wait there until the store takes them. Where no password has been set, the
    key of a one-time link that sets it; one for a store in memory only the process that has it can make.
    """

    async def prove() -> str | None:
        store = open_configured(settings, time.time)
        try:
            await store.ping()
            if scheme_of(settings.store) == "memory":
                return None
            return await Passwords(store, Credentials(store, time.time), settings.admin_password).first_key()
        except StoreError as error:
            trouble = SettingError(setting_name("store"), str(error))
            if not settings.spool:
                raise trouble from None
            _log.error("%s; views are spooled until the store takes them", trouble)
            return None
        finally:
            await store.close()

    return asyncio.run(prove())


def _exit(_signum: int, _frame: object) -> None:
    raise SystemExit(0)


def allow_open_files() -> None:
    """Let this process, and its workers, open as many files as it may: each connection is one, and shells start with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit of the kernel's than the one it tells
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking what lives for ever and what waits for a commit.

    Requests that wait survive young collections in numbers; with Python's own thresholds that costs a tenth of the
    throughput and triples the 99th percentile (measured with 64 and 256 connections). No collection goes before: it took 40 ms of
    every start and found 14 objects to free among 70,000.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
