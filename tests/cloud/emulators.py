"""Starts the emulators of AWS and a real Footfall, on this machine's loopback only, and ends them by their ids."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3

from tests.cloud.templates import ROOT

REGION = "eu-central-1"

#: A slow machine takes this long, in seconds, to start one of them, or to carry a stack out.
PATIENCE = 60.0

BIN = Path(sys.executable).parent


def environment(endpoint: str) -> dict[str, str]:
    """The environment in which every AWS client talks to the emulator, and to nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FOOTFALL_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_PAGER": "",
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }


class Cloud:
    """An emulator that runs, and its clients."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.environment = environment(endpoint)

    def client(self, service: str) -> Any:
        """A client of a service."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether something answers there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(command: list[str], environ: Mapping[str, str], url: str, folder: Path) -> Iterator[None]:
    """Run a program in a folder until the block ends; it is up when `url` answers."""
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(environ), stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ministack(folder: Path) -> Iterator[Cloud]:
    """ministack, empty, without the servers that it would open on every address of the machine."""
    port = free_port()
    environ = environment("") | {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/none.sock",  # it would run tasks there
        "TMPDIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    del environ["AWS_ENDPOINT_URL"]
    url = f"http://127.0.0.1:{port}"
    with running([str(BIN / "ministack")], environ, f"{url}/_ministack/health", folder):
        yield Cloud(url)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Cloud]:
    """A server of moto, empty."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = environment("")
    del environ["AWS_ENDPOINT_URL"]
    with running([str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], environ, f"{url}/moto-api/", folder):
        yield Cloud(url)


@contextlib.contextmanager
def footfall(folder: Path, **settings: str) -> Iterator[str]:
    """A real Footfall with an empty store in memory: its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = environment("") | {"FOOTFALL_STORE": "memory://", "FOOTFALL_PORT": str(port)} | settings
    with running([str(ROOT / ".venv" / "bin" / "footfall"), "serve"], environ, f"{url}/livez", folder):
        yield url
