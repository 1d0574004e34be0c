"""Real servers for tests and benchmarks, each on a free loopback port and in a folder of its own.

Every server is a context manager, is ended by its pid, and leaves nothing behind, whatever becomes of the test. Starting,
stopping and asking block: a test that runs an event loop calls them with `asyncio.to_thread`. Nothing here knows what
Footfall counts: `footfall` starts it as its users do, `load` speaks to it as browsers do.
"""

from __future__ import annotations

from tests.servers.program import PortTakenError, ServerError, wait_until
from tests.servers.redis import Engine, RedisServer
from tests.servers.server import HOST, free_port

__all__ = ["HOST", "Engine", "PortTakenError", "RedisServer", "ServerError", "free_port", "wait_until"]
