"""`/livez`, `/readyz`, `/ping`, `/metrics`: for load balancers and monitoring. None of them counts a view."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from footfall.counting.spool import Spool
from footfall.errors import StoreError
from footfall.model import Batch
from footfall.stores import Store
from footfall.telemetry.ledger import CONTENT_TYPE, Ledger
from footfall.web.permissions import Access
from footfall.web.problems import problem

_log = logging.getLogger(__name__)

#: The store is asked at most once in this many seconds, however often /readyz is.
CHECK_SECONDS = 1.0

#: A store that does not take a write within this many seconds is not ready.
CHECK_TIMEOUT = 2.0

#: With a spool, a check that takes longer than this many seconds is not waited for: balancers give up after a second or two.
SPOOL_PATIENCE = 0.5


class Readiness:
    """Whether this instance can acknowledge views now: by the store or by its spool, and the process is not stopping.

    `failing` gives the last batch that the store did not confirm, while commits fail one after another.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        failing: Callable[[], Batch | None] = lambda: None,
    ) -> None:
        self._store = store
        self._spool = spool
        self._failing = failing
        self._monotonic = monotonic
        self._checked_at = 0.0
        self._checking: asyncio.Task[str | None] | None = None
        self.draining = False

    async def means(self) -> tuple[str | None, str]:
        """By what views can be acknowledged, "store" or "spool"; or None and what stands against it."""
        if self.draining:
            return None, "draining"
        spool = self._spool if self._spool is not None and self._spool.has_room else None
        if spool is not None and spool.takes_over:
            return "spool", "the store is away"
        problem = await self._store_problem(None if spool is None else SPOOL_PATIENCE)
        if problem is None:
            return "store", ""
        return (None if spool is None else "spool"), problem

    async def _store_problem(self, patience: float | None) -> str | None:
        """What stands against the store, as seen CHECK_SECONDS ago or less, waiting `patience` seconds at most."""
        checking = self._checking
        if checking is None or (checking.done() and self._monotonic() - self._checked_at >= CHECK_SECONDS):
            checking = self._checking = asyncio.create_task(self._check(), name="footfall-check")
        await asyncio.wait({checking}, timeout=patience)
        return checking.result() if checking.done() else "the store has not answered yet"

    async def _check(self) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await self._store.ping()
                failed = self._failing()
                if failed is not None:  # a store that takes a ping may yet take no view
                    await self._store.rehearse(failed)
        except TimeoutError:
            return f"the store did not answer within {CHECK_TIMEOUT:g} s"
        except StoreError as error:
            return str(error)
        except Exception:
            _log.exception("readiness could not be found out")
            return "commits fail for a reason that the log has"
        finally:
            self._checked_at = self._monotonic()
        return None


class ReadyReply(msgspec.Struct, frozen=True):
    """An instance that can acknowledge views: `by` its `store`, or by its `spool` while the store is away."""

    status: str
    by: str
    instance: str


class Health:
    """The endpoints themselves."""

    def __init__(self, readiness: Readiness, ledger: Ledger, access: Access, instance: str) -> None:
        self._readiness = readiness
        self._ledger = ledger
        self._access = access
        self._instance = instance

    async def live(self, _: Request) -> Response:
        """200 as long as the process runs."""
        return _plain("ok\n")

    async def ready(self, _: Request) -> Response:
        """200 while views can be acknowledged, and by what; else 503 and why."""
        means, trouble = await self._readiness.means()
        if means is None:
            return problem(503, trouble, {"Retry-After": "1"})
        body = msgspec.json.encode(ReadyReply("ready", means, self._instance))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """The metrics, for this machine and for callers with the token."""
        if not await self._access.may_see_metrics(request):
            detail = "send the token that FOOTFALL_METRICS_TOKEN has as `Authorization: Bearer TOKEN`; without it "
            detail += "the metrics answer only requests from this machine that passed no proxy"
            return problem(401, detail, {"WWW-Authenticate": "Bearer"})
        means, _ = await self._readiness.means()
        self._ledger.ready(means)
        return Response(self._ledger.exposition(), headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE})


def _plain(text: str) -> Response:
    return Response(text, headers={"Cache-Control": "no-store"}, media_type="text/plain")


class Ping:
    """`pong`, with nothing touched: what the bare server can do."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer whatever was asked."""
        await send(_PONG)
        await send({"type": "http.response.body", "body": b"pong\n"})


_PONG = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"5"), (b"cache-control", b"no-store")],
}
