"""What the tests of image and stack share: the engine, a container of the image, and the stack that compose.yaml describes.

`make stack-test` runs them, having built the image. They need root, and take a minute or two, and so are no part of `make test`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.stack.engine import ROOT, Engine
from tests.stack.stack import Stack
from tests.support.servers import free_port, wait_until
from tests.support.servers.program import Program

#: How the image is meant to be run, and how little it needs.
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host")

Run = Callable[..., tuple[str, int]]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Podman, where `make image` has left the image."""
    return Engine()


@pytest.fixture
def run(engine: Engine) -> Iterator[Run]:
    """Starts containers of the image, hardened: options in, name and port out, once it says that it is ready."""
    started: list[str] = []

    def start(*options: str, image: str = "footfall") -> tuple[str, int]:
        port = free_port()
        name = engine.podman("run", "--detach", *HARDENED, "--env", f"FOOTFALL_PORT={port}", *options, image)
        started.append(name)
        wait_until(
            lambda: engine.podman("exec", name, "footfall-ready") != "",
            "the container is ready",
            seconds=60,
            despite=AssertionError,
            shown=lambda: engine.logs(name),
        )
        return name, port

    yield start
    for name in started:
        engine.podman("rm", "--force", "--volumes", name)


@pytest.fixture(scope="session")
def stack(engine: Engine) -> Iterator[Stack]:
    """The stack of compose.yaml, up and well, on a free port; gone afterwards with all that it kept."""
    socket = engine.folder / "podman.sock"
    socket.unlink(missing_ok=True)
    environment = {**os.environ, **engine.settings}
    programs = [
        Program(name, command, folder=ROOT, log=engine.folder / f"{name}.log", environment=environment)
        for name, command in (
            ("podman-service", ["podman", "system", "service", "--time", "0", f"unix://{socket}"]),
            ("health", [ROOT / "deploy/stack/health.sh"]),
        )
    ]
    stack = Stack(engine, free_port())
    try:
        wait_until(socket.exists, "podman listens", seconds=30, shown=programs[0].last_words)
        stack.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "1")
        stack.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "200")
        yield stack
        stack.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "1")
    finally:
        for program in programs:
            if program.is_running:
                os.kill(program.pid, signal.SIGTERM)
            program.kill()
