"""The middleware of WSGI applications (Flask, Django, Bottle, …): views are counted in a thread of their own."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from footfall.middleware.sinks import PATH_CHARACTERS, RunningSink, Shown, Sink, is_page, sink_maker
from footfall.settings import Settings, load_settings

if TYPE_CHECKING:
    from footfall.client import Client  # needs httpx, which only those need who use it

_log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

#: How long, in seconds, the end of the process waits for views that are under way.
STOP_SECONDS = 15.0


class FootfallWSGIMiddleware:
    """Counts the pages that `app` shows, after they were sent. `site`, `settings` and `client` as for `FootfallMiddleware`;
    `client` is a function that makes one, for it must be made in the thread that uses it.
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        site: str | None = None,
        settings: Settings | None = None,
        client: Callable[[], Client] | None = None,
    ) -> None:
        self._app = app
        self._make_sink = sink_maker(settings or load_settings(), site, client)
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI interface (PEP 3333)."""
        if environ["REQUEST_METHOD"] != "GET":
            return self._app(environ, start_response)
        shown = _shown(environ)  # before the application changes it, as Django writes PATH_INFO in another encoding
        watch = _Watch(start_response)
        body = self._app(environ, watch.start_response)
        counted = _CountedSized if hasattr(body, "__len__") else _Counted
        return counted(body, lambda: self._count(shown) if watch.shows_page else None)

    def _count(self, shown: Shown) -> None:
        try:
            self._running().count(shown)
        except Exception:
            _log.exception("a view could not be counted")

    def _running(self) -> _Worker:
        """The thread that counts; a process that was forked since begins its own."""
        worker = self._worker
        if worker is None or worker.process != os.getpid():
            with self._lock:
                worker = self._worker
                if worker is None or worker.process != os.getpid():
                    worker = self._worker = _Worker(self._make_sink)
        return worker

    def close(self) -> None:
        """Wait for views that are under way, and stop counting. The end of the process does so by itself."""
        if self._worker is not None and self._worker.process == os.getpid():
            self._worker.stop()
            self._worker = None


class _Worker:
    """A thread with an event loop, and the sink that runs there."""

    def __init__(self, make_sink: Callable[[], Sink]) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._running = RunningSink(make_sink, self._loop)
        self._thread = threading.Thread(target=self._run, name="footfall-middleware", daemon=True)
        self._thread.start()
        _at_end(self.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def count(self, shown: Shown) -> None:
        """Count a page. Never waits."""
        self._loop.call_soon_threadsafe(self._running.count, shown)

    def stop(self) -> None:
        """Wait for what is under way, and end the thread."""
        if not self._thread.is_alive() or self.process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(STOP_SECONDS)

    async def _end(self) -> None:
        try:
            await self._running.stop()
        finally:
            self._loop.stop()


def _at_end(stop: Callable[[], None]) -> None:
    """Call a method when the process ends, while the stores' threads can still be used.

    Python stops its thread pools before it calls what `atexit` knows; `threading` has a list of what comes before that, which the
    pools themselves use. It is not public: where it is missing, `atexit` is the next best.
    """
    method = weakref.WeakMethod(stop)

    def call() -> None:
        found = method()
        if found is not None:
            found()

    getattr(threading, "_register_atexit", atexit.register)(call)


class _Watch:
    """Looks at the start of a response."""

    def __init__(self, start_response: StartResponse) -> None:
        self.shows_page = False
        self._start_response = start_response

    def start_response(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
        lower: Mapping[str, str] = {name.lower(): value for name, value in headers}
        code = int(status[:3]) if status[:3].isdecimal() else 0
        self.shows_page = is_page(code, lower.get("content-type", "").encode("latin-1", "replace"))
        return self._start_response(status, headers, *rest)


class _Counted:
    """A response that is counted when it is closed, which servers do when all of it was sent."""

    def __init__(self, body: Iterable[bytes], count: Callable[[], None]) -> None:
        self._body = body
        self._counts = count

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __getattr__(self, name: str) -> Any:
        # What a server looks for in its own kinds of bodies, as a file's descriptor.
        return getattr(self._body, name)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._counts()


class _CountedSized(_Counted):
    """The same with a length: of a body of one part servers know by it how long it is."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # it has one, or another class would be here


def _shown(environ: Environ) -> Shown:
    """What was asked for. Never raises: it is read before the application runs."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
    query = environ.get("QUERY_STRING", "")
    headers = {
        name[5:].replace("_", "-").lower().encode(): str(value).encode("latin-1", "replace")
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    # PEP 3333: paths are bytes shown as latin-1; what they are in UTF-8 is for `page_of`, which takes percent-encoding. A path
    # that is no latin-1 was decoded by something in front of us.
    try:
        raw = path.encode("latin-1")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "replace")
    quoted = quote(raw, safe=PATH_CHARACTERS)
    return Shown(f"{quoted}?{query}" if query else quoted, headers, environ.get("REMOTE_ADDR", ""))
