"""The image: small, quick to start, without rights, a shell or anything of the machine that built it; and it counts."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.stack.conftest import HARDENED, Run
from tests.stack.engine import COMMAND_SECONDS, ROOT, Engine
from tests.support.servers import HOST, free_port
from tests.support.servers.program import Program

MOST_BYTES = 50_000_000
START_SECONDS = 0.5

#: One of so many starts has to be quick enough.
STARTS = 25

BASE = "docker.io/library/python:3.13-slim"

_log = logging.getLogger(__name__)

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----", re.DOTALL)


def ask(port: int, path: str) -> tuple[int, str]:
    """What the container answers, status and body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path, headers={"User-Agent": "curl/8"})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def inside(engine: Engine, container: str, program: str) -> str:
    """What a Python program says that runs in a container."""
    return engine.podman("exec", container, "python3", "-I", "-c", program)


def files(engine: Engine, folder: Path) -> Path:
    """The image's files, below `folder`."""
    container = engine.podman("create", "footfall")
    try:
        engine.podman("export", "--output", str(folder / "image.tar"), container)
    finally:
        engine.podman("rm", container)
    (folder / "image").mkdir()
    subprocess.run(["tar", "xf", folder / "image.tar", "-C", folder / "image"], check=True)
    return folder / "image"


def test_it_is_small(engine: Engine, tmp_path: Path) -> None:
    """Below 50 MB as an uncompressed archive, as the pipeline measures it."""
    engine.run(".github/scripts/inspect-image", "footfall", tmp_path / "bill.json", environment={"DOCKER": "podman"})
    bill = json.loads((tmp_path / "bill.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"


def test_it_says_how_it_wants_to_be_run(engine: Engine) -> None:
    """A numeric user that is not root, SIGTERM to stop, a health check without a shell, a volume, labels."""
    image = engine.inspect("image", "footfall")
    config = image["Config"]
    user, _, group = config["User"].partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert image["Healthcheck"]["Test"] == ["CMD", "footfall-ready"]
    assert list(config["Volumes"]) == ["/data"]
    assert list(config["ExposedPorts"]) == ["8000/tcp"]
    assert (config["Entrypoint"], config["Cmd"]) == (["footfall"], ["serve"])
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    assert labels >= {"title", "description", "licenses", "version", "revision", "created", "source"}


def test_it_holds_nothing_that_does_not_run(engine: Engine, tmp_path: Path) -> None:
    """No shell, no pip, no source code, no file that gives rights, none that others may change but in /tmp."""
    root = files(engine, tmp_path)
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.name for path in found}
    assert not names & {"sh", "bash", "dash", "busybox", "pip", "apt", "dpkg", "perl"}
    assert not [path for path in found if path.suffix in (".py", ".pyi", ".h", ".a") or "site-packages/pip" in str(path)]
    assert not [path for path in found if path.stat().st_mode & 0o6022]
    assert {path.name for path in (root / "usr/bin").iterdir()} <= {"python3", "python3.13", "footfall", "footfall-ready"}


def test_it_trusts_whom_the_public_trusts(engine: Engine, tmp_path: Path) -> None:
    """Every authority in it is one that Debian's own package has; an authority of the machine that built it is not."""
    root = files(engine, tmp_path)
    public = engine.podman("run", "--rm", BASE, "sh", "-c", "cat /usr/share/ca-certificates/mozilla/*.crt")
    trusted = set(_CERTIFICATE.findall((root / "etc/ssl/certs/ca-certificates.crt").read_text()))
    assert len(trusted) > 100
    assert trusted <= set(_CERTIFICATE.findall(public))
    holders = {
        path.name for path in root.rglob("*") if path.is_file() and _CERTIFICATE.search(path.read_bytes().decode("latin-1"))
    }
    assert holders <= {"ca-certificates.crt", "cacert.pem"}  # the second is that of certifi's wheel


def test_its_bill_names_all_that_was_locked(engine: Engine, tmp_path: Path) -> None:
    """What requirements/run.txt pins is in the bill at that version, and so is each Debian package that scanners find."""
    root = files(engine, tmp_path)
    bill = json.loads((root / "usr/share/footfall/sbom.cdx.json").read_text())
    versions = {part["purl"].partition("?")[0].partition("@")[0]: part["version"] for part in bill["components"]}
    lines = (ROOT / "requirements/run.txt").read_text().splitlines()
    pinned = dict(
        line.split(" ")[0].split("==")
        for line in lines
        if re.match(r"[a-z0-9]", line) and "python_full_version < '3.11" not in line and "win32" not in line
    )
    pinned = {name.partition("[")[0]: version for name, version in pinned.items()}
    assert {name: versions.get(f"pkg:pypi/{name}") for name in pinned} == pinned
    names = {part["name"] for part in bill["components"] if part["purl"].startswith("pkg:deb/debian/")}
    assert {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()} == names
    assert {"pkg:generic/python", "pkg:deb/debian/libc6"} <= set(versions)
    assert bill["metadata"]["component"]["name"] == "footfall"


def test_it_counts_without_any_right(engine: Engine, run: Run) -> None:
    """On a read-only root, with no capability and as no known user, it counts, shows what it counted and says it is well."""
    name, port = run()
    status = Path(f"/proc/{engine.inspect('container', name)['State']['Pid']}/status").read_text()
    assert re.search(r"^Uid:\s+10001\s+10001\s+10001\s+10001$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert ask(port, "/")[1].startswith("1 view")
    assert ask(port, "/")[1].startswith("2 views")
    assert json.loads(ask(port, "/api/v1/sites/localhost/count?page=/")[1])["total"] == 2
    assert ask(port, "/footfall.js")[0] == 200
    engine.podman("healthcheck", "run", name)
    assert "2 views in the past minute" in engine.podman("exec", name, "footfall", "check")
    written = inside(engine, name, "try: open('/etc/x', 'w')\nexcept OSError as error: print(error.strerror)")
    assert written == "Read-only file system"


def test_what_it_counted_outlives_it(engine: Engine, run: Run) -> None:
    """Stopped, it ends with 0 before the ten seconds of Docker are over; another container goes on with its volume."""
    volume = f"footfall-test-{free_port()}"
    try:
        name, port = run("--volume", f"{volume}:/data")
        ask(port, "/")
        engine.podman("stop", "--time", "10", name)
        assert engine.inspect("container", name)["State"]["ExitCode"] == 0
        engine.podman("rm", name)
        _, port = run("--volume", f"{volume}:/data")
        assert json.loads(ask(port, "/api/v1/sites/localhost/count?page=/")[1])["total"] == 1
    finally:
        engine.podman("rm", "--force", "--filter", f"volume={volume}", "--all", "--ignore")
        engine.podman("volume", "rm", "--force", volume)


def test_several_processes_share_a_container(engine: Engine, run: Run) -> None:
    """With FOOTFALL_WORKERS it needs a /tmp, and no more than that."""
    _, port = run("--env", "FOOTFALL_WORKERS=2", "--tmpfs", "/tmp")
    for _ in range(10):
        assert ask(port, "/count")[0] in (200, 204, 400)
    assert ask(port, "/")[1].startswith("1 view")


def test_a_long_log_is_judged_by_workers(engine: Engine, run: Run) -> None:
    """`footfall import` starts them from the image's own files; here they are seen, and every line is counted."""
    name, _ = run()
    program = """
import glob, os, subprocess, threading
line = '192.0.2.1 - - [18/Mar/2026:13:25:30 +0000] "GET /{} HTTP/1.1" 200 10 "-" "Mozilla/5.0 (X11) Firefox/140.0"\\n'
log = "".join(line.format(number % 50) for number in range(200_000)).encode()
command = ["footfall", "import", "-", "--site", "localhost", "--workers", "2"]
importing = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
threading.Thread(target=lambda: (importing.stdin.write(log), importing.stdin.close())).start()
said, most = [], 0
reading = threading.Thread(target=lambda: said.append(importing.stdout.read()))
reading.start()
while reading.is_alive():
    seen = 0
    for file in set(glob.glob("/proc/[0-9]*/cmdline")) - {f"/proc/{os.getpid()}/cmdline"}:
        try:
            seen += b"spawn_main" in open(file, "rb").read()
        except OSError:
            pass
    most = max(most, seen)
print(importing.wait(), most, said[0].decode().splitlines()[1].strip())
"""
    assert inside(engine, name, program) == "0 2 200,000  counted"


def test_nothing_that_footfall_imports_was_left_out(engine: Engine, run: Run) -> None:
    """Every module of Footfall can be imported there, those included that a command or a setting asks for.

    The client is for other programs than the server, and asks for a package that the server does without.
    """
    name, _ = run()
    program = """
import importlib, pkgutil, footfall
for module in pkgutil.walk_packages(footfall.__path__, "footfall."):
    if module.name not in ("footfall.__main__", "footfall.client"):
        importlib.import_module(module.name)
print("all")
"""
    assert inside(engine, name, program) == "all"


def test_a_store_that_is_away_is_said_in_one_line(engine: Engine) -> None:
    """A container that can't serve ends with 1 and one line, and no traceback."""
    ended = engine.podman(
        "run", "--rm", *HARDENED, "--env", "FOOTFALL_STORE=redis://127.0.0.1:1/0", "footfall", "check", fails=True
    )
    assert "Traceback" not in ended


def test_it_starts_quickly(engine: Engine, tmp_path: Path) -> None:
    """From the start of its process to the first answer of /readyz it takes less than half a second of a core.

    Its files are run in memory and without a container: what podman adds is none of the image's, nor is what the disk of a busy
    machine takes; and in a container no process can go before the machine's others.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        took = starts(engine, files(engine, Path(memory)), tmp_path)
    _log.info("started in %.2f s, the best of %d", min(took), len(took))
    assert min(took) < START_SECONDS, took


def starts(engine: Engine, root: Path, folder: Path) -> list[float]:
    """How long the image's server took to start, until that was quick enough or STARTS times, in seconds."""
    environment = dict(setting.split("=", 1) for setting in engine.inspect("image", "footfall")["Config"]["Env"])
    command = ["chrt", "--fifo", "50", "chroot", "--userspec=10001:10001", str(root), "footfall", "serve"]
    search = os.pathsep.join([environment["PATH"], "/usr/sbin", "/sbin"])
    took: list[float] = []
    while len(took) < STARTS and min(took, default=START_SECONDS) >= START_SECONDS:
        port = free_port()
        own = environment | {"PATH": search, "FOOTFALL_PORT": str(port)}
        before = time.monotonic()
        server = Program("footfall", command, folder=folder, log=folder / "server.log", environment=own)
        took.append(first_answer(port) - before)
        server.stop()
    return took


def first_answer(port: int) -> float:
    """When /readyz first said 200."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if ask(port, "/readyz")[0] == 200:
                return time.monotonic()
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
    raise AssertionError("no answer within 60 s")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_package_has_a_wheel(machine: str, tmp_path: Path) -> None:
    """The image can be built for amd64 and for arm64: each package has a wheel for that machine, with a hash that is locked."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(17, 42)] + [f"--platform=manylinux2014_{machine}"]
    options = ["--quiet", "--only-binary", ":all:", "--no-deps", "--require-hashes", "--python-version", "3.13"]
    locked = ["--requirement", "requirements/run.txt", "--dest", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "download", *options, *platforms, *locked]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".whl"]
