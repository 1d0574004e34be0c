"""`footfall watch`: the past minute from a store or from a server, in a pipe and in a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from footfall.commands.watch import BAR_LINES, PLAIN_STEPS, STEPS, bars, picture
from footfall.reading.live import Event, PageViews, Share
from tests.integration.cli.commands import (
    PATIENCE,
    SITE,
    STORE,
    Run,
    argv,
    failed,
    put_in_store,
    run_process,
    running_here,
    settle_in,
)
from tests.support.servers import FootfallServer, free_port, wait_until

COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running_here(monkeypatch, capsys) as run:
        yield run


def event(**changed: object) -> Event:
    """An event of a site with two busy seconds."""
    fields: dict[str, object] = {
        "at": 1_800_000_000,
        "views": 11,
        "seconds": [0] * 57 + [10, 0, 1],
        "pages": [PageViews("/a", 10), PageViews("/\x1b[31m", 1)],
        "today": 1200,
        "total": 3_000_000,
        "visitors": 1,
        "instances": [Share("a", 6), Share("b", 5)],
    }
    return Event(**(fields | changed))  # type: ignore[arg-type]  # the fields are an event's


def drawn(*args: object, width: int = 80, height: int = 30, **more: object) -> list[str]:
    """The lines of a picture, without colour."""
    out = Console(file=io.StringIO(), width=width, height=height, highlight=False, emoji=False, markup=False)
    out.print(picture(out, *args, **more))  # type: ignore[arg-type]  # handed on
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


# In a pipe


def first_lines(process: subprocess.Popen[str], number: int) -> list[str]:
    """Lines of a command that goes on, which is then stopped as Ctrl-C stops it, and must end with 0."""
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(number)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    return lines


@contextlib.contextmanager
def watching(*args: str, given: str = "") -> Iterator[subprocess.Popen[str]]:
    """A command that watches; killed if it still does at the end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv("watch", SITE, *args), text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        process.stdin.write(given)
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def watched(number: int, *args: str, given: str = "") -> list[str]:
    """The first lines of a command that watches."""
    with watching(*args, given=given) as process:
        return first_lines(process, number)


def test_a_pipe_gets_a_line_a_second(run: Run) -> None:
    """Its number first, read from the store; Ctrl-C ends it with 0, and nothing was counted."""
    put_in_store({"/a": 1200, "/b": 34})
    first, second = watched(2)
    assert re.fullmatch(r" +1,234  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", first)
    assert second > first
    assert run("count", SITE, "/b", "--n", "0").out.startswith("34 views")


def test_one_page_can_be_watched() -> None:
    """By any spelling of its path."""
    put_in_store({"/a": 1200, "/b": 34})
    assert watched(1, "--page", "//b")[0].split()[0] == "34"


def test_a_server_is_watched_with_a_token() -> None:
    """From a file or from standard input; without one, and with another's, one line says what is missing."""
    put_in_store({"/a": 5})
    token = run_process("token", "create", f"read:{SITE}").out
    Path("token").write_text(token)
    with FootfallServer(f"sqlite:///{Path('footfall.db').resolve()}", sites=[SITE], settings={"PUBLIC_SITES": ""}) as server:
        assert watched(1, "--url", server.url, "--token-file", "token")[0].split()[0] == "5"
        assert watched(1, "--url", server.url, "--token-file", "-", given=token)[0].split()[0] == "5"
        refused = run_process("watch", SITE, "--url", server.url)
    assert failed(refused).startswith("footfall: --token-file: the server wants a token with the scope read:SITE")
    assert token.strip() not in refused.err


def test_a_server_that_is_away_is_waited_for() -> None:
    """A note says so, once; the numbers go on when the server is back."""
    put_in_store({"/a": 5})
    with (
        FootfallServer(f"sqlite:///{Path('footfall.db').resolve()}", sites=[SITE]) as server,
        watching("--url", server.url) as process,
    ):
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        server.stop()
        assert "can't be read now" in process.stderr.readline()
        server.start()
        first_lines(process, 3)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--url", "footfall.example.com"], "--url: write the server's address"),
        (["--url", "https://a:b@example.com"], "--url: write the server's address"),
        (["--url", "http://localhost", "--store", STORE], "--url: give --url or --store, not both"),
        (["--url", "http://localhost", "--token-file", "nowhere"], "--token-file: can't be read (No such file or directory)"),
        (["--url", "http://localhost", "--token-file", "empty"], "--token-file: there is no token in it"),
        (["--token-file", "empty"], "--token-file: a store needs no token"),
        (["--page", "a"], "--page: "),
    ],
)
def test_what_can_not_be_is_one_line(run: Run, args: list[str], line: str) -> None:
    """It names the option."""
    Path("empty").touch()
    assert failed(run("watch", SITE, *args)).startswith(f"footfall: {line}")


def test_what_is_no_footfall_is_said(run: Run) -> None:
    """Another server answers, with what is no live stream."""
    with subprocess.Popen(
        ["python", "-m", "http.server", "--bind", "127.0.0.1", str(port := free_port())],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as other:
        try:
            wait_until(lambda: "no Footfall answers there (status 404)" in _refusal(run, port), "the other server answers")
        finally:
            other.terminate()


def _refusal(run: Run, port: int) -> str:
    return run_process("watch", SITE, "--url", f"http://127.0.0.1:{port}").err


# In a terminal


def test_a_terminal_shows_bars_and_pages() -> None:
    """While it passes, until Ctrl-C, which ends it with 0. What a page is called is shown, not obeyed."""
    put_in_store({"/a": 20, "/\x1b[35m": 1})
    leader, follower = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "PYTHONUTF8": "1"}
    process = subprocess.Popen(argv("watch", SITE), stdin=follower, stdout=follower, stderr=follower, env=environ)
    os.close(follower)
    seen = ""
    try:
        while r"/\x1b[35m" not in seen:
            seen += os.read(leader, 65536).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        os.close(leader)
    assert "\x1b[35m" not in seen
    shown = COLOUR.sub("", seen)
    assert "21 views in the past minute" in shown
    assert "━━━  /a" in shown


def test_the_picture_says_it_all() -> None:
    """What the event has: site, second, bars, the minute, today and total, instances, pages."""
    lines = drawn(event(), SITE, "")
    assert lines[0] == "example.com  08:00:00 UTC"
    assert lines[1 : 1 + BAR_LINES] == [" " * 57 + "█"] * (BAR_LINES - 1) + [" " * 57 + "█ ▄"]
    assert "11 views in the past minute, 1 visitor here now" in lines
    assert "1,200 today (UTC), 3,000,000 in total" in lines
    assert "a 6, b 5" in lines
    assert lines[-2:] == ["  10  ━━━━━━━━━━━━━━━━━━━━━━━━  /a", "   1  ━━                        /\\x1b[31m"]


def test_the_picture_fits_the_terminal() -> None:
    """On a small one it has the newest seconds and as many pages as there is room for, and no line is broken."""
    many = [PageViews(f"/{'long' * 30}/{n}", 9) for n in range(20)]
    lines = drawn(event(pages=many), SITE, "", width=30, height=18)
    assert len(lines) <= 18
    assert max(map(len, lines)) <= 30
    assert lines[BAR_LINES].endswith("█ ▄")


def test_the_picture_says_when_it_is_old() -> None:
    """While the numbers can't be read the last stay, and it is said; before there were any, that alone."""
    assert "these are the last" in drawn(event(), SITE, "", is_away=True)[-1]
    assert drawn(None, SITE, "/a") == ["example.com/a", "the numbers can't be read now"]


@pytest.mark.parametrize("steps", [STEPS, PLAIN_STEPS])
def test_bars_are_as_high_as_their_seconds(steps: str) -> None:
    """The highest fills all lines, nothing is empty, and one view is seen beside a million."""
    lines = [str(line) for line in bars([0, 1_000_000, 1, 500_000], steps)]
    assert len(lines) == BAR_LINES
    columns = ["".join(column) for column in zip(*lines, strict=True)]
    assert columns[0].strip() == ""
    assert columns[1] == steps[-1] * BAR_LINES
    assert columns[2].strip() != "" or steps[1] == " "
    assert columns[3].count(steps[-1]) == BAR_LINES // 2
