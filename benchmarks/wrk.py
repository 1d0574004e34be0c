"""Runs wrk and reads what it says. A run with a single failed request is no result: it raises.

This module knows HTTP headers and the load generator, not who answers or what is compared.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import BenchmarkError

_SCRIPT = Path(__file__).with_name("load.lua")

#: Beyond its running time, wrk may take this many seconds to make its requests and to stop.
_GRACE = 15.0

#: Seconds that an answer may take. A slow server may need long; it has failed only where it does not answer.
_TIMEOUT = 10


#: Whom requests come from: whoever is connected, an address never seen before for each, or always one address.
Visitors = Literal["peer", "new", "one"]


class Run(msgspec.Struct, frozen=True):
    """What came of a run: requests answered, how long it took in seconds, and the latency of one request in milliseconds."""

    completed: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return self.completed / self.seconds


class _Said(msgspec.Struct):
    """The line that load.lua writes."""

    completed: int
    microseconds: int
    p50: float
    p99: float
    errors: Mapping[str, int]


class Load(msgspec.Struct, frozen=True):
    """What is sent: over how many `connections`, for how many `seconds`, to how many `pages`, drawn from `seed`.

    Where `visits` is not 0, requests for many pages come from so many referrers and have so many user agents. `visitors` says
    from which addresses they come, as a proxy names them; then they have the 60 agents of load.lua. `ids` gives each an event id.
    """

    connections: int
    seconds: int
    pages: int
    seed: int = 1
    visits: int = 0
    visitors: Visitors = "peer"
    ids: bool = False


def run(url: str, headers: Mapping[str, str], load: Load, core: int) -> Run:
    """Send requests from one thread pinned to `core`. With several pages, `url` is what their URLs begin with.

    Raises BenchmarkError where wrk is missing or a request failed: not answered, or answered with 400 or above.
    """
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed; Debian and Ubuntu have it as the package wrk")
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
    command += ["--timeout", f"{_TIMEOUT}s", "-s", str(_SCRIPT)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [url, "--", str(load.pages), str(load.seed), str(load.visits)]
    command.append(load.visitors + ("+id" if load.ids else ""))
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=load.seconds + _GRACE, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"wrk did not end {_GRACE:g} s after its time was up: {url}") from None
    lines = [line for line in ended.stdout.splitlines() if line.startswith('{"completed"')]
    if ended.returncode != 0 or len(lines) != 1:
        raise BenchmarkError(f"wrk failed on {url}: {(ended.stderr or ended.stdout).strip()[-300:]}")
    said = msgspec.json.decode(lines[0], type=_Said)
    errors = ", ".join(f"{n} {kind}" for kind, n in said.errors.items() if n)
    if errors or not said.completed:
        raise BenchmarkError(f"{said.completed} requests to {url} were answered, errors: {errors or 'none'}")
    return Run(said.completed, said.microseconds / 1e6, said.p50 / 1e3, said.p99 / 1e3)
