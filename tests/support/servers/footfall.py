"""A Footfall server as its users start it: a process of its own, told what to do by FOOTFALL_* in its environment.

It is up when /readyz says so, it has to end with 0 when it is asked to, and what it logs is shown when something is wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.support.servers.server import HOST, Server

#: What it may take to import everything on a busy machine, and to see that a store does not answer.
START_SECONDS = 30.0

#: Longer than DRAIN_SECONDS, within which the server itself gives up.
STOP_SECONDS = 20.0


class FootfallServer(Server):
    """One Footfall instance on loopback.

    `store` is the store's URL, `instance` its name in replies, `sites` the sites it counts for, all of them public (None: no
    setting names any).
    `settings` are further settings by their names without FOOTFALL_. At the end of a `with` block that went well it is asked
    to end, which it has to do with 0; otherwise it is killed.
    """

    def __init__(
        self,
        store: str,
        *,
        instance: str = "footfall-1",
        sites: Sequence[str] | None = ("example.com",),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(instance, start_seconds=START_SECONDS, stop_seconds=STOP_SECONDS)
        self.instance = instance
        named = {} if sites is None else dict.fromkeys(("SITES", "PUBLIC_SITES"), ",".join(sites))
        self._settings = {"STORE": store, "INSTANCE": instance} | named | dict(settings or {})

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """The command that serves, run by the same Python. It starts in its own folder: no .env file lies there."""
        return [sys.executable, "-m", "footfall", "serve"]

    def environment(self) -> Mapping[str, str]:
        """The environment of this process with the instance's settings and no others."""
        others = {name: value for name, value in os.environ.items() if not name.upper().startswith("FOOTFALL_")}
        own = {"HOST": HOST, "PORT": str(self.port)} | self._settings
        return others | {f"FOOTFALL_{name}": value for name, value in own.items()}

    def answers(self) -> bool:
        """Whether this instance, by its name, says that it can acknowledge views."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        # Each of several workers adds its own number to the name.
        return reply.status == 200 and str(json.loads(body)["instance"]).startswith(self.instance)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self.is_running:
                self.stop()
        finally:
            super().__exit__(kind, error, trace)
