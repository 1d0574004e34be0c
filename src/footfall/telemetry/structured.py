"""structlog, without what it takes along wherever that is installed.

It draws tracebacks for terminals with Rich, whose syntax highlighting costs a server over a megabyte. Our log lines have none
of that, so it does not find it; what imports Rich itself does. All of Footfall imports structlog from here.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let modules look as if they were not installed, but for those that are loaded already."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # the import system takes None for "there is none"
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _hidden("rich", "rich.traceback"):
    import structlog as structlog

__all__ = ["structlog"]
