"""Hostile clients neither fill the server's memory nor keep it from others: with a real server, and bounded in time."""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import attacks
from tests.support.attacks import ATTACKS
from tests.support.servers import HOST, FootfallServer
from tests.support.servers.load import BROWSER

#: Bytes that the server may have in memory at any time, and keep of what an attack took.
MOST = 150_000_000
KEPT = 20_000_000

#: The 99th percentile of what another client waits for `/count` meanwhile, in seconds.
SLOWEST = 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[FootfallServer]:
    with tempfile.TemporaryDirectory() as folder, FootfallServer(f"sqlite:///{Path(folder)}/footfall.db") as server:
        views(server, 1)  # what the first views load is not the attacks' doing
        yield server


def resident(server: FootfallServer) -> int:
    """Bytes of the server's memory: VmRSS of proc_pid_status(5)."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def views(server: FootfallServer, seconds: float) -> tuple[list[float], int]:
    """Count views for some seconds as one client: how long each took, and the most memory that the server had meanwhile."""
    took, most, end = [], 0, time.monotonic() + seconds
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    while time.monotonic() < end:
        began = time.monotonic()
        connection.request("GET", "/count?s=example.com&p=/", headers={"User-Agent": BROWSER})
        reply = connection.getresponse()
        reply.read()
        assert reply.headers["X-Footfall"] == "counted"
        took.append(time.monotonic() - began)
        most = max(most, resident(server))
        time.sleep(0.002)
    connection.close()
    return took, most


def hold_against(server: FootfallServer, attack: str, seconds: float) -> None:
    before = resident(server)
    command = [sys.executable, attacks.__file__, attack, str(server.port), str(seconds)]
    with subprocess.Popen(command) as attacking:
        took, most = views(server, seconds)
        assert attacking.wait(20) == 0
    assert most < MOST, f"{most:,} bytes while {attack}"
    assert sorted(took)[int(len(took) * 0.99)] < SLOWEST
    deadline = time.monotonic() + 5
    while resident(server) > before + KEPT and time.monotonic() < deadline:
        time.sleep(0.1)
    assert resident(server) <= before + KEPT


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_an_attack_takes_neither_memory_nor_time(server: FootfallServer, attack: str) -> None:
    """Memory stays bounded and is given back, and other clients' views are counted without delay."""
    hold_against(server, attack, 1.5)


@pytest.mark.soak
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_long_attack_takes_no_more(server: FootfallServer, attack: str) -> None:
    """The same for half a minute."""
    hold_against(server, attack, 30)
