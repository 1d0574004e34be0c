"""Starts the servers that are measured, pinned to one core, each on a free port, and asks them what they counted.

To measure another server, write a function like `footfall` and add its row to `LAUNCHES`; those with a Redis are in
`redis_servers.py`. Only what was started here is stopped, by its process id.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import BenchmarkError

#: The site that all views go to.
SITE = "localhost"

#: What an ordinary browser calls itself; a load generator's own name would be taken for a robot's, and not be counted.
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"

_ROOT = Path(__file__).resolve().parent.parent
_HOST = "127.0.0.1"
_START_SECONDS = 20.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


class Place(msgspec.Struct, frozen=True):
    """Where servers run: the cores of server, load generator and store, and the folder for their files."""

    server_core: int
    load_core: int
    store_core: int
    folder: Path

    @classmethod
    def on_this_machine(cls, folder: Path) -> Place:
        """The first cores we may use. A store that is a server gets the third or, where there are but two, the generator's.

        Raises BenchmarkError where there is but one: the generator would slow the server.
        """
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchmarkError("two cores are needed, one for the server and one for the load generator")
        return cls(cores[0], cores[1], cores[min(2, len(cores) - 1)], folder)


#: Opens the metrics: who asks for them may stand behind a proxy that is trusted.
METRICS_TOKEN = "of-the-benchmarks"  # noqa: S105


class Answer(msgspec.Struct, frozen=True):
    """A reply of a server; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Books(msgspec.Struct, frozen=True):
    """What a server says it did since its start: views in its store, views counted by its ledger, and commits."""

    stored: int
    counted: int
    commits: int


class StoreWork(msgspec.Struct, frozen=True):
    """What a store that is a server has done since its start: calls answered, and seconds of processor time."""

    calls: int
    cpu: float


class Running:
    """A server that runs: where it listens, and which process it is."""

    def __init__(self, port: int, pid: int) -> None:
        self.url = f"http://{_HOST}:{port}"
        self.port = port
        self.pid = pid

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask once. Raises OSError where nobody answers."""
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=10)
        try:
            connection.request("GET", target, headers={"Host": SITE, **(headers or {})})
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def books(self) -> Books:
        """What was counted so far. Raises BenchmarkError where the server does not tell."""
        sums = self.metrics()
        return Books(
            stored=self.total(),
            counted=int(sums.get("footfall_views_counted_total", 0)),
            commits=int(sums.get("footfall_store_commits_total", 0)),
        )

    def total(self) -> int:
        """How many views of the site its store has. Raises BenchmarkError where the server does not tell."""
        return msgspec.json.decode(self._expect(f"/api/v1/sites/{SITE}/count"), type=_Total).total

    def metrics(self) -> Mapping[str, float]:
        """Its metrics by name, summed over their labels. Raises BenchmarkError where the server does not tell."""
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(
            self._expect("/metrics", {"Authorization": f"Bearer {METRICS_TOKEN}"}).decode()
        ):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0) + sample.value
        return sums

    def store_work(self) -> StoreWork | None:
        """What its store has done; None where that is no server of its own."""
        return None

    def memory(self) -> Memory:
        """The memory of the process, as the kernel counts it in /proc/PID/status."""
        lines = (line.split() for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines())
        kibibytes = {words[0]: int(words[1]) for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
        return Memory(kibibytes["VmRSS:"] * 1024, kibibytes["VmHWM:"] * 1024)

    def cpu_seconds(self) -> float:
        """The processor time that the process's threads have had, user's and system's: proc_pid_stat(5), fields 14 and 15."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _expect(self, target: str, headers: Mapping[str, str] | None = None) -> bytes:
        answer = self.get(target, headers)
        if answer.status != 200:
            raise BenchmarkError(f"{target} answered {answer.status}: {answer.body[:200].decode(errors='replace')}")
        return answer.body


class _Total(msgspec.Struct):
    total: int


class Memory(msgspec.Struct, frozen=True):
    """Bytes of a process in memory: now, and at most since it began. Pages it shares with others are in it."""

    resident: int
    peak: int


Launch = Callable[[Place], contextlib.AbstractContextManager[Running]]


@contextlib.contextmanager
def footfall(place: Place, file: str = "footfall.db") -> Iterator[Running]:
    """`footfall serve` as it comes, on a new SQLite file, the site declared: the home site, its numbers public."""
    with serve(place, f"sqlite:///{place.folder / file}") as running:
        yield running


@contextlib.contextmanager
def serve(
    place: Place,
    store: str,
    *,
    sites: Sequence[str] = (SITE,),
    instance: str = "benchmark",
    settings: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """`footfall serve` on the store of a URL, with more `settings`. The first of the sites is the home site, and public."""
    environment = {
        "FOOTFALL_STORE": store,
        "FOOTFALL_SITES": ",".join(sites),
        "FOOTFALL_INSTANCE": instance,
        "FOOTFALL_PAGES_PER_DAY": "20000",  # more than there are: the limit is on, and refuses nothing
        "FOOTFALL_METRICS_TOKEN": METRICS_TOKEN,
        **(settings or {}),
    }
    command = [str(Path(sys.executable).with_name("footfall")), "serve", "--host", _HOST, "--port", "{port}"]
    with _started(command, environment, place) as running:
        yield running


@contextlib.contextmanager
def bare(place: Place, headers: int) -> Iterator[Running]:
    """The constant 204 of bare.py under plain uvicorn, with `headers` headers, uvicorn's two among them."""
    with uvicorn("benchmarks.bare:app", {"BARE_HEADERS": str(max(0, headers - 2))}, place) as running:
        yield running


@contextlib.contextmanager
def uvicorn(app: str, environment: Mapping[str, str], place: Place, *options: str) -> Iterator[Running]:
    """An application of this package under plain uvicorn, with the same event loop and parser as Footfall."""
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(_ROOT), "--host", _HOST, "--port", "{port}"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", *options]
    with _started(command, environment, place) as running:
        yield running


#: The servers that count, by the name that benchmarks know them by.
#: One of them gets the visits from many sources: what it has to add up of them later would slow the others' runs.
LAUNCHES: Mapping[str, Launch] = {"footfall": footfall, "footfall, visits": functools.partial(footfall, file="visits.db")}


@contextlib.contextmanager
def _started(command: list[str], environment: Mapping[str, str], place: Place) -> Iterator[Running]:
    """Start a server on a free port, pinned to its core; hand it out once it answers /ping; stop it in the end.

    It sees no setting of ours but `environment`, and runs in the place's folder, where no .env file is.
    """
    port = _free_port()
    command = ["taskset", "-c", str(place.server_core), *(word.replace("{port}", str(port)) for word in command)]
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("FOOTFALL_")}
    log = place.folder / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=place.folder, env={**inherited, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        running = Running(port, process.pid)
        _await_answer(running, process, command, log)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(running: Running, process: subprocess.Popen[bytes], command: list[str], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if running.get("/ping").status < 300:
                return
        time.sleep(_POLL_SECONDS)
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
    raise BenchmarkError(f"the server did not come up ({' '.join(command)}): {said or 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
