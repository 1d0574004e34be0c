"""Containers as `make image` and `make stack-test` make them: buildah's images, run by podman, and by Compose through its socket.

Where they lie and by what settings is said by deploy/stack/engine.sh alone. This module knows no image.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: Seconds that one command may take on a busy machine.
COMMAND_SECONDS = 300


class Engine:
    """The commands, in the environment that deploy/stack/engine.sh makes."""

    def __init__(self) -> None:
        sourced = ["sh", "-c", '. deploy/stack/engine.sh && env -0 | grep -z "^STACK=\\|^CONTAINERS_\\|^DOCKER_HOST="']
        printed = subprocess.run(sourced, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        self.settings: Mapping[str, str] = dict(line.split("=", 1) for line in printed.split("\0") if line)
        self.folder = Path(self.settings["STACK"])

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None, fails: bool = False) -> str:
        """Run a command to its end and return what it printed to its output.

        AssertionError where it fails and should not, or the other way round.
        """
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self.settings, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert bool(ended.returncode) == fails, f"{command} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def podman(self, *arguments: str, fails: bool = False) -> str:
        """Run podman with these arguments."""
        return self.run("podman", *arguments, fails=fails).strip()

    def logs(self, container: str) -> str:
        """What a container has written, to its output and its errors."""
        return self.run("sh", "-c", 'podman logs "$1" 2>&1', "sh", container)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """What podman knows of an image or a container."""
        found: dict[str, Any] = json.loads(self.podman(kind, "inspect", name))[0]
        return found

    def kill(self, container: str) -> None:
        """End a container's process at once, as a crash would: not through podman, which would take it for our wish."""
        os.kill(self.inspect("container", container)["State"]["Pid"], signal.SIGKILL)
