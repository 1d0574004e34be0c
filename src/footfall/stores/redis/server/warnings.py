"""What in a server's settings puts views at risk: said once, in words, at the start and by `footfall check`.

Managed services often forbid CONFIG; then a note says that their settings could not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import ResponseError

from footfall.stores.redis.calls import Scripts
from footfall.stores.redis.server.connections import Command, Reply

_QUESTIONS: tuple[Command, ...] = (
    ("CONFIG", "GET", "maxmemory-policy"),
    ("CONFIG", "GET", "appendonly"),
    ("INFO", "replication"),
)


async def warnings_of(scripts: Scripts) -> list[str]:
    """One line for each risk, with the server it is about. Raises as every call of the store does."""
    return [
        f"{address}: {warning}" for address, replies in await scripts.ask_each(*_QUESTIONS) for warning in _warnings(*replies)
    ]


def _warnings(policy: Reply, append_only: Reply, replication: Reply) -> Iterator[str]:
    if isinstance(policy, ResponseError) or isinstance(append_only, ResponseError):
        yield "its settings can't be seen (CONFIG is not allowed): see that maxmemory-policy is noeviction and appendonly yes"
    else:
        if (name := _setting(policy)) not in ("noeviction", ""):
            yield f"its maxmemory-policy is {name}, so it may throw counts away when memory is short: set it to noeviction"
        if _setting(append_only) == "no":
            yield "it keeps no append-only file, so what came after its last snapshot is lost when it ends: set appendonly to yes"
    if not isinstance(replication, ResponseError) and b"connected_slaves:0" in replication:
        yield "it has no replica: when its machine is lost, so are the counts"


def _setting(reply: Reply) -> str:
    """The value in a reply of CONFIG GET: name and value, or nothing."""
    return reply[1].decode() if reply else ""
