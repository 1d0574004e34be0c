"""Real servers for tests and benchmarks, each on a free loopback port and in a folder of its own.

Every server is a context manager, is ended by its pid, and leaves nothing behind, whatever becomes of the test. Starting,
stopping and asking block: a test that runs an event loop calls them with `asyncio.to_thread`. Nothing here knows what
Footfall counts: `footfall` starts it as its users do, `load` speaks to it as browsers do.
"""

from __future__ import annotations

from tests.support.servers.cluster import RedisCluster
from tests.support.servers.footfall import FootfallServer
from tests.support.servers.load import Report, send_views
from tests.support.servers.nginx import Nginx
from tests.support.servers.program import PortTakenError, ServerError, wait_until
from tests.support.servers.proxy import TcpProxy
from tests.support.servers.redis import Engine, RedisServer
from tests.support.servers.sentinel import RedisWithSentinels
from tests.support.servers.server import HOST, free_port

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
