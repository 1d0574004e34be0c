"""What all kinds of server have in common: a folder, a free port, a start that waits for the first answer, and an end.

A server is a context manager: `with RedisServer() as server:`. Whatever the test does, its programs are gone and its folder is
removed afterwards. A kind of server says what command starts it and what shows that it answers; this module knows none of them.
"""

from __future__ import annotations

import abc
import random
import shutil
import socket
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.servers.program import PortTakenError, Program, ServerError, wait_until

HOST = "127.0.0.1"

#: Ports are drawn from below the range (32768 on Linux) from which systems take the ports of outgoing connections: so nobody
#: takes the port of a server that is down for a moment. Adding BUS_OFFSET does not leave that range.
PORTS = range(10_240, 22_700)

#: A Redis Cluster node also listens this far above its port.
BUS_OFFSET = 10_000

#: So often a server that finds its port taken is given another.
PORT_CHOICES = 5


def free_port() -> int:
    """A loopback port on which nobody listens now, and neither BUS_OFFSET above it."""
    for _ in range(1000):
        port = random.choice(PORTS)
        if all(_is_free(each) for each in (port, port + BUS_OFFSET)):
            return port
    raise ServerError(f"no free port from {PORTS.start} to {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: connections of the past don't count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


class Server(abc.ABC):
    """A server that can be started, stopped, killed, paused and started again on the same port and folder.

    `start_seconds` is how long it may take to come up, `stop_seconds` how long to end when it is asked to.
    """

    #: What the server writes, in its folder. Later starts write on behind it.
    LOG = "log"

    def __init__(self, name: str, *, start_seconds: float = 10.0, stop_seconds: float = 15.0) -> None:
        self.name = name
        self.port = 0
        self.start_seconds = start_seconds
        self.stop_seconds = stop_seconds
        self.folder = Path(tempfile.mkdtemp(prefix="footfall-test-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._program: Program | None = None

    @abc.abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Write what the server reads at its start, and return the command that starts it in the foreground on `port`."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether the server, and no other on its port, answers now as one that is fit for use."""

    def environment(self) -> Mapping[str, str] | None:
        """The environment it starts with; None: this process's own."""
        return None

    @property
    def program(self) -> Program:
        """The program that was started last."""
        if self._program is None:
            raise ServerError(f"{self.name} has not been started")
        return self._program

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended; a paused server has not."""
        return self._program is not None and self._program.is_running

    @property
    def can_answer(self) -> bool:
        """Whether it runs and is not paused."""
        return self.is_running and not self.program.is_paused

    @property
    def pid(self) -> int:
        """The process id of the program that was started last."""
        return self.program.pid

    @property
    def log(self) -> str:
        """What all its programs have written."""
        path = self.folder / self.LOG
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and return once it answers: the first time on a free port, later on the same one.

        Raises ServerError with the end of the log when it does not come up in `start_seconds`.
        """
        if self.is_running:
            raise ServerError(f"{self.name} runs already, as pid {self.pid}")
        if self.port:
            self._start()
            return
        for choice in range(1, PORT_CHOICES + 1):
            self.port = free_port()
            try:
                self._start()
            except PortTakenError:
                self.port = 0
                if choice == PORT_CHOICES:
                    raise
            else:
                return

    def _start(self) -> None:
        program = self._program = Program(
            self.name, self.command(), folder=self.folder, log=self.folder / self.LOG, environment=self.environment()
        )

        def is_up() -> bool:
            if program.is_running:
                return self.answers()
            kind = PortTakenError if "address already in use" in program.written().lower() else ServerError
            raise kind(f"{self.name} ended instead of answering\n{program.last_words()}")

        try:
            wait_until(is_up, f"{self.name} answers on port {self.port}", seconds=self.start_seconds, shown=program.last_words)
        except BaseException:
            program.kill()
            raise

    def stop(self) -> None:
        """Ask it to end (SIGTERM); ServerError when it takes more than `stop_seconds` or ends with another code than 0."""
        code = self.program.stop(self.stop_seconds)
        if code != 0:
            raise ServerError(f"{self.name} ended with {code} when it was asked to end\n{self.program.last_words()}")

    def kill(self) -> None:
        """End it without a chance to tidy up (SIGKILL)."""
        self.program.kill()

    def pause(self) -> None:
        """Let it stand still (SIGSTOP), its connections open."""
        self.program.pause()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.program.resume()

    def restart(self) -> None:
        """Stop it where it runs, and start it again on the same port and folder."""
        if self.is_running:
            self.stop()
        self.start()

    def close(self) -> None:
        """End it at once if it still runs, and remove its folder."""
        if self._program is not None:
            self._program.kill()
        self._remove_folder()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
