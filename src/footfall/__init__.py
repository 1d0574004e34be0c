"""Footfall counts page views: exact to the second, durable, live, on any number of servers.

Programs use `Client` to hand views in to a server, and the middlewares to count the pages of an application of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from footfall.client import Client as Client
    from footfall.middleware import FootfallMiddleware as FootfallMiddleware
    from footfall.middleware import FootfallWSGIMiddleware as FootfallWSGIMiddleware

from footfall.version import __version__

__all__ = ["Client", "FootfallMiddleware", "FootfallWSGIMiddleware", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded when they are asked for: the server and the command need none of them, and start sooner.
    from importlib import import_module

    modules = {
        "Client": "footfall.client",
        "FootfallMiddleware": "footfall.middleware",
        "FootfallWSGIMiddleware": "footfall.middleware",
    }
    if name in modules:
        return getattr(import_module(modules[name]), name)
    raise AttributeError(f"module 'footfall' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
