"""Real servers over one SQLite file a test, ended as they should end, and none of whose logs may hold a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.http.asking import SITE
from tests.support.servers import FootfallServer

#: Starts a server, and sees to its end.
LookAfter = Callable[[FootfallServer], None]


class Start(Protocol):
    """Starts another server on the test's file, with settings by their names without FOOTFALL_."""

    def __call__(self, **settings: str) -> FootfallServer: ...


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file that the test's servers count in."""
    return tmp_path / "footfall.db"


@pytest.fixture
def look_after() -> Iterator[LookAfter]:
    """What starts a server. If it still runs at the end it has to stop with 0; no log may hold a traceback."""
    with contextlib.ExitStack() as closing:
        started: list[FootfallServer] = []

        def begin(server: FootfallServer) -> None:
            closing.callback(server.close)
            server.start()
            started.append(server)

        yield begin
        for server in started:
            if server.is_running:
                server.stop()
            assert "Traceback" not in server.log, server.log


@pytest.fixture
def start(look_after: LookAfter, database: Path) -> Start:
    """What starts servers on `database`."""

    def begin(**settings: str) -> FootfallServer:
        server = FootfallServer(f"sqlite:///{database}", sites=[SITE], settings=settings)
        look_after(server)
        return server

    return begin
