"""Real servers for tests and benchmarks, each on a free loopback port and in a folder of its own.

Every server is a context manager, is ended by its pid, and leaves nothing behind, whatever becomes of the test. Starting,
stopping and asking block: a test that runs an event loop calls them with `asyncio.to_thread`. Nothing here knows what
Footfall counts: `footfall` starts it as its users do, `load` speaks to it as browsers do.
"""

from __future__ import annotations

from tests.servers.cluster import RedisCluster
from tests.servers.footfall import FootfallServer
from tests.servers.load import Report, send_views
from tests.servers.nginx import Nginx
from tests.servers.program import PortTakenError, ServerError, wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.redis import Engine, RedisServer
from tests.servers.sentinel import RedisWithSentinels
from tests.servers.server import HOST, free_port

__all__ = [
    "HOST",
    "Engine",
    "FootfallServer",
    "Nginx",
    "PortTakenError",
    "RedisCluster",
    "RedisServer",
    "RedisWithSentinels",
    "Report",
    "ServerError",
    "TcpProxy",
    "free_port",
    "send_views",
    "wait_until",
]
