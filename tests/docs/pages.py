"""Runs the examples of a Markdown page as a reader would: in their order, in one shell, in a fresh checkout.

What a fence says is what is done with it:

    console   `$ command`, and below it all that the command prints. `…` stands for any text within a line, a line `...` for any
              lines. The command must succeed, or fail where the fence says `console fails`.
    sh        a script that must succeed; what it prints does not count.
    python    a program of its own that must succeed.

Every other fence (text, json, yaml, …) is for reading. Port 8000, and each up to 8009, stands for a free one. `footfall serve`
and `make serve` stay behind, with what they print at first, until the page ends or starts another on that port. `git clone`
has been done already, and a task of make that would run all tests, or measure, is only asked for its steps.
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.servers import HOST, free_port, wait_until
from tests.support.servers.program import Program

COMMAND_SECONDS = 60
SERVER_SECONDS = 30

_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *(\w*) *(.*)$")
_PORT = re.compile(r"\b800\d\b")
_SERVES = re.compile(r"^(?:\w+=\S* +)*(?:footfall serve|make (?:serve|dev))\b")
_NAMED_PORT = re.compile(r"(?:\bPORT=|\bFOOTFALL_PORT=|--port[ =])(\d+)")
_LONG_TASK = re.compile(r"^make (?:test|check|soak|bench|lock|clean)\b")
_CLONE = re.compile(r"git clone \S+")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Block(NamedTuple):
    """A fenced block: its language, what stands behind that, the number of its first line in the page, and its lines."""

    language: str
    options: str
    number: int
    lines: list[str]


class Step(NamedTuple):
    """One command of a console block, the number of its line, and the lines that it should print."""

    number: int
    command: str
    expected: list[str]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order. One that never ends is a ValueError."""
    opened: Block | None = None
    indent = fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if opened is None and match:
            indent, fence = match[1], match[2]
            opened = Block(match[3], match[4], number + 1, [])
        elif opened is not None and line.strip() == fence:
            yield opened
            opened = None
        elif opened is not None:
            opened.lines.append(line.removeprefix(indent))
    if opened is not None:
        raise ValueError(f"the block that begins in line {opened.number} has no end")


def steps(block: Block) -> list[Step]:
    """The commands of a console block. A command whose line ends with a backslash goes on in the next."""
    found: list[Step] = []
    for number, line in enumerate(block.lines, block.number):
        if found and not found[-1].expected and found[-1].command.endswith("\\"):
            found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line.removeprefix('> ')}")
        elif line.startswith("$ "):
            found.append(Step(number, line[2:], []))
        elif found:
            found[-1].expected.append(line.rstrip())
        else:
            raise ValueError(f"line {number}: a console block begins with `$ command`")
    return found


def matches(expected: list[str], printed: str, *, begins: bool = False) -> bool:
    """Whether a command printed these lines, and nothing else unless `begins` says that more may follow."""
    lines = ["(?:.*\n)*?" if line == "..." else re.escape(line).replace("…", ".*") + "\n" for line in expected]
    got = "".join(f"{line.rstrip()}\n" for line in _COLOUR.sub("", printed).splitlines())
    return bool((re.match if begins else re.fullmatch)("".join(lines), got))


class Reader:
    """Someone who follows a page to the letter, in a checkout at `tree`. The folder above it becomes the home.

    Where something does not go as the page says, AssertionError tells the line and what happened instead.
    """

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._shell = tree.parent / "shell"  # what one command leaves to the next: folder and variables
        self._ports: dict[str, str] = {}
        self._servers: dict[int, Program] = {}

    def close(self) -> None:
        """End the servers that stayed behind."""
        for server in self._servers.values():
            server.kill()

    def follow(self, page: str, text: str) -> None:
        """Run all examples of the page called `page`."""
        self._shell.write_text(f"cd {self._tree.parent if _CLONE.search(text) else self._tree}\n")
        for block in blocks(_PORT.sub(lambda port: self._local(port[0]), text)):
            if block.language == "console":
                for step in steps(block):
                    self._take(f"{page}:{step.number}", step, fails="fails" in block.options.split())
            elif block.language in ("sh", "python"):
                self._run(f"{page}:{block.number}", block.language, "\n".join(block.lines))

    def _local(self, port: str) -> str:
        return self._ports.setdefault(port, str(free_port()))

    def _take(self, place: str, step: Step, *, fails: bool) -> None:
        if _SERVES.match(step.command):
            self._serve(place, step)
        elif _LONG_TASK.match(step.command):
            self._run(place, "sh", f"{step.command} --dry-run")
        else:
            printed = self._run(place, "sh", _CLONE.sub("true", step.command), fails=fails)
            shown = "\n".join(step.expected)
            assert matches(step.expected, printed), f"{place}: $ {step.command}\nshould print\n{shown}\nbut prints\n{printed}"

    def _run(self, place: str, language: str, source: str, *, fails: bool = False) -> str:
        """Run a script or program to its end, and return what it printed."""
        leave = f'trap \'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{self._shell}\' EXIT'
        shell = ["bash", "-c", f". {self._shell}; {leave}; set -e\n{source}"]
        ended = subprocess.run(
            ["python", "-c", source] if language == "python" else shell,
            cwd=self._tree,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert bool(ended.returncode) == fails, f"{place}: ended with {ended.returncode}\n{source}\nprinted\n{ended.stdout}"
        return ended.stdout

    def _serve(self, place: str, step: Step) -> None:
        """Start a server, wait until it answers, and leave it running."""
        named = _NAMED_PORT.search(step.command)
        port = int(named[1] if named else self._local("8000"))
        if port in self._servers:
            self._servers.pop(port).kill()
        server = self._servers[port] = Program(
            place,
            ["bash", "-c", f". {self._shell}; {step.command.removesuffix('&')}"],
            folder=self._tree,
            log=self._tree.parent / f"server-{port}.log",
            environment=self._environment(),
        )

        def answers_as_shown() -> bool:
            assert server.is_running, f"{place}: the server ended\n{server.last_words()}"
            return matches(step.expected, server.written(), begins=True) and _is_alive(port)

        wait_until(answers_as_shown, f"{place}: it serves", seconds=SERVER_SECONDS, shown=server.last_words)

    def _environment(self) -> Mapping[str, str]:
        """A newcomer's environment: none of our variables, a home of one's own, and `footfall` on PATH."""
        path = f"{self._tree}/.venv/bin:{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(self._tree.parent), "FOOTFALL_PORT": self._local("8000")}
        return own | {"LANG": "C.UTF-8", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "TERM": "dumb"}


def _is_alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/livez", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
