"""The stack that compose.yaml describes, as a test sees it: its services by their names, and the balancer's port."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.stack.engine import Engine
from tests.support.servers import HOST, wait_until

INSTANCES = ("footfall-1", "footfall-2", "footfall-3")

#: The home site where FOOTFALL_SITES names none: everyone may read its numbers.
SITE = "localhost"


class Stack:
    """A project of Compose of its own, published on `port`."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self.port = port
        self._environment = {"COMPOSE_PROJECT_NAME": "footfall-test", "BALANCER_PORT": str(port)}

    def compose(self, *arguments: str) -> str:
        """Run Compose."""
        return self.engine.run(self.engine.folder / "docker-compose", *arguments, environment=self._environment)

    def update(self, *options: str) -> None:
        """Update the instances as an operator does."""
        compose = str(self.engine.folder / "docker-compose")
        self.engine.run("deploy/compose/update.sh", *options, environment={"COMPOSE": compose, **self._environment})

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def services(self) -> list[str]:
        """The services that run or have run."""
        return self.compose("ps", "--all", "--services").split()

    def get(self, path: str) -> tuple[int, str]:
        """What the balancer answers: status and body. OSError or HTTPException where it does not."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"User-Agent": "curl/8"})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def count(self, page: str) -> dict[str, Any]:
        """The numbers of a page."""
        status, body = self.get(f"/api/v1/sites/{SITE}/count?page={page}")
        assert status == 200, body
        numbers: dict[str, Any] = json.loads(body)
        return numbers

    def wait_for_all(self) -> None:
        """Return when the balancer has every instance answer again."""
        seen: set[str] = set()

        def are_seen() -> bool:
            seen.add(json.loads(self.get("/readyz")[1]).get("instance", ""))
            return seen >= set(INSTANCES)

        wait_until(are_seen, "all instances answer", seconds=60, despite=(OSError, ValueError, http.client.HTTPException))
