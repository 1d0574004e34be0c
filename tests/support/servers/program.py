"""A program that a test starts: its pid, its log, and its sure end.

It is ended by pid, and only if it was started here. It goes when its owner stops it, when nobody holds it any longer, when the
interpreter ends, and also when the interpreter is killed: a sentry, a shell that waits for us to go, ends it then. What it
wrote is in its log, whose end stands in the message of every failure. This module knows no kind of server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: How many bytes of a log's end a failure shows.
SHOWN_BYTES = 4000

#: Seconds between two looks at whether something has come about: at first, and when it takes its time. A look is often a request,
#: and a hundred a second cost as much as what is waited for.
LOOK_SECONDS = 0.01
SELDOM_SECONDS = 0.05

#: Waits for the end of its input, which comes when the process that holds the other end is gone, however it went.
_SENTRY = 'read -r _; kill -s KILL -- "-$1"; rm -rf -- "$2"'


class ServerError(Exception):
    """A server did not come up, did not answer or did not end as it should. The message shows the end of its log."""


class PortTakenError(ServerError):
    """A server did not come up because another program listens on its port."""


def wait_until(
    claim: Callable[[], bool],
    what: str,
    *,
    seconds: float = 30.0,
    shown: Callable[[], str] = str,
    despite: type[Exception] | tuple[type[Exception], ...] = (),
) -> None:
    """Return as soon as `claim` holds; an error named in `despite` means that it does not yet.

    Raises ServerError ("WHAT: not within S s") with what `shown` says if it never does.
    """
    deadline = time.monotonic() + seconds
    pause = LOOK_SECONDS
    while True:
        trouble = ""
        try:
            if claim():
                return
        except despite as error:
            trouble = f" ({error})"
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {seconds:g} s{trouble}\n{shown()}")
        time.sleep(pause)
        pause = min(pause * 1.2, SELDOM_SECONDS)


def found_on_path(program: str) -> Path:
    """Where a program lies, sbin folders included; ServerError says what to install where it is missing."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(program, path=folders)
    if found is None:
        raise ServerError(f"{program} is not on PATH: install the system's package of that name")
    return Path(found)


class Program:
    """A running program, with what it writes going to `log`.

    It leads a process group of its own, so that a terminal's Ctrl-C does not reach it and what it starts ends with it.
    `folder`, the one it works in, is removed with it when this interpreter is killed.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, folder: Path, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self.is_paused = False
        self._begins = log.stat().st_size if log.exists() else 0
        with log.open("ab") as written:
            self._popen = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sentry = subprocess.Popen(
            ["/bin/sh", "-c", _SENTRY, "sentry", str(self._popen.pid), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._finalizer = weakref.finalize(self, _end, self._popen, self._sentry)

    @property
    def pid(self) -> int:
        """The program's process id, also after its end."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended; a paused one has not."""
        if not self._finalizer.alive:
            return False
        try:
            # Without reaping it: while it is a zombie, its pid and the group it led are nobody else's.
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return True
        except ChildProcessError:  # another thread has just done what follows
            return False
        self._finalizer()
        return False

    def written(self) -> str:
        """What this program has written to its log, from its own start on."""
        with self.log.open("rb") as log:
            log.seek(self._begins)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """The end of its log and how it ended, for a message."""
        state = f"runs as pid {self.pid}" if self.is_running else f"ended with {self._popen.returncode}"
        return f"--- {self.name} {state}; the end of {self.log}:\n{self.written()[-SHOWN_BYTES:]}"

    def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end (SIGTERM) and return its exit code. One that does not end in time is killed, and ServerError raised."""
        self._signal(signal.SIGTERM)
        self.resume()
        deadline = time.monotonic() + seconds
        while self.is_running:
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not end within {seconds:g} s of SIGTERM\n{self.last_words()}")
            time.sleep(LOOK_SECONDS)
        return self._popen.wait()

    def kill(self) -> None:
        """End it at once, and all that it started (SIGKILL)."""
        self._finalizer()

    def pause(self) -> None:
        """Let it stand still (SIGSTOP): its connections stay open and nothing answers."""
        if self.is_running:
            self.is_paused = True
            os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause (SIGCONT)."""
        if self.is_running:
            self.is_paused = False
            os.killpg(self.pid, signal.SIGCONT)

    def hang_up(self) -> None:
        """Send SIGHUP, which many servers take for "read your configuration again"."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.pid, number)


def _end(program: subprocess.Popen[bytes], sentry: subprocess.Popen[bytes]) -> None:
    """Kill a program with its group, and take its sentry away first: once the program is reaped its pid may be another's."""
    sentry.kill()
    sentry.wait()
    if sentry.stdin is not None:
        sentry.stdin.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of the group has ended (macOS says it the second way)
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
