"""Hostile clients neither fill the server's memory nor keep it from others: with a real server, and bounded in time."""

from __future__ import annotations

import asyncio
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.auth import Credentials, Passwords
from footfall.model import DEFAULT_RETENTION
from footfall.stores import open_store
from tests.support import attacks
from tests.support.attacks import ATTACKS, LOG_IN, LOG_INS
from tests.support.cores import Stopwatch
from tests.support.servers import HOST, FootfallServer
from tests.support.servers.load import BROWSER

#: Bytes that the server may have in memory at any time, and keep of what an attack took.
MOST = 150_000_000
KEPT = 20_000_000

#: Where the store is: other tests keep a disk busy, and every view waits for it.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

#: The 99th percentile of what another client waits for `/count` in that time, in seconds.
SLOWEST = 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[FootfallServer]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        store = f"sqlite:///{Path(folder)}/footfall.db"
        asyncio.run(set_password(store))
        with FootfallServer(store) as server:
            views(server, 1)  # what the first views load is not the attacks' doing
            yield server


async def set_password(url: str) -> None:
    """Set a password that costs to be checked what an owner's does."""
    store = open_store(url, time.time, DEFAULT_RETENTION, 60)
    await Passwords(store, Credentials(store, time.time)).set("correct horse battery")
    await store.close()


def resident(server: FootfallServer) -> int:
    """Bytes of the server's memory: VmRSS of proc_pid_status(5)."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def views(server: FootfallServer, seconds: float) -> tuple[list[float], int]:
    """Count views for some seconds as one client: how long each took, and the most memory that the server had in that time.

    The time in which client and server had no core, because the attack or other tests used them, is not counted.
    """
    took, most, end = [], 0, time.monotonic() + seconds
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    while time.monotonic() < end:
        watch, began = Stopwatch(server.pid, os.getpid()), time.monotonic()
        connection.request("GET", "/count?s=example.com&p=/", headers={"User-Agent": BROWSER})
        reply = connection.getresponse()
        reply.read()
        assert reply.headers["X-Footfall"] == "counted"
        took.append(watch.without(time.monotonic() - began))
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


def processor_seconds(server: FootfallServer) -> float:
    """Processor time that the server has taken: utime and stime of proc_pid_stat(5)."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_log_ins_made_at_once_cost_one_check_and_little_more(server: FootfallServer) -> None:
    """200 in the same moment: one password is checked, and the others are told when to try again."""

    async def log_in() -> tuple[bytes, bool]:
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(LOG_IN)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head.split()[1], b"\r\nretry-after: 1\r\n" in head

    async def at_once() -> Counter[tuple[bytes, bool]]:
        return Counter(await asyncio.gather(*(log_in() for _ in range(LOG_INS))))

    before = processor_seconds(server)
    replies = asyncio.run(at_once())
    assert replies[b"401", False] in (1, 2, 3)  # a second may come when the first has been checked
    assert replies[b"429", True] == LOG_INS - replies[b"401", False]
    assert processor_seconds(server) - before < 2  # each for itself: 5 s


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_an_attack_takes_neither_memory_nor_time(server: FootfallServer, attack: str) -> None:
    """Memory stays bounded and is given back, and other clients' views are counted without delay."""
    hold_against(server, attack, 1.5)


@pytest.mark.soak
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_long_attack_takes_no_more(server: FootfallServer, attack: str) -> None:
    """The same for half a minute."""
    hold_against(server, attack, 30)
