"""What `footfall import` does with logs of many kinds, several at once, not at all, and as they are written."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.commands import PATIENCE, SITE, Run, argv, failed, line_of_log, running_here, settle_in
from tests.support.servers import wait_until

DATA = Path(__file__).parents[2] / "data"
SAMPLE = str(DATA / "access-sample.log")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running_here(monkeypatch, capsys) as run:
        yield run


def total(run: Run) -> int:
    found = re.search(rf"{SITE}: .*, ([\d,]+) in total", run("check").out)
    assert found
    return int(found[1].replace(",", ""))


# A dry run


def test_a_dry_run_shows_every_rule_and_writes_nothing(run: Run, place: Path) -> None:
    """Not even a store."""
    ended = run("import", SAMPLE, "--site", SITE, "--dry-run")
    assert ended.code == 0
    assert ended.out.splitlines()[1:] == [
        "   40  would be counted",
        "  148  not counted: not-a-page (an image, a style sheet, a script, a file)",
        "   43  not counted: bot (read by a program)",
        "   38  not counted: not-a-page (an error, a redirect, or nothing to show)",
        "   16  not counted: not-a-page (a news feed)",
        "   15  not counted: not-a-page (another method than GET)",
    ]
    assert ended.err == "note: a dry run: nothing was written\n"
    assert list(place.iterdir()) == []


def test_a_dry_run_leaves_out_what_was_imported(run: Run, place: Path) -> None:
    """It asks the store that is there."""
    (place / "log").write_text(line_of_log("/a"))
    run("import", "log", "--site", SITE)
    with (place / "log").open("a") as log:
        log.write(line_of_log("/b"))
    assert run("import", "log", "--site", SITE, "--dry-run").out.splitlines()[1:] == [
        "  1  would be counted",
        "  1  dealt with by an earlier import",
    ]
    assert total(run) == 1


# Formats and sites


@pytest.mark.parametrize("name", ["vhost-combined.log", "nginx.json", "caddy.json", "alb.log"])
def test_a_log_of_two_sites_counts_for_both(run: Run, name: str) -> None:
    """The host of a line says which; the format is told, or named."""
    given = ["--format", "caddy-json"] if name == "caddy.json" else []
    ended = run("import", str(DATA / "logs" / name), *given, FOOTFALL_SITES=f"{SITE},example.org")
    assert ended.code == 0
    assert ended.out.splitlines()[1:3] == ["  1  counted for example.org", "  1  counted for example.com"]
    assert "/blog/post" in run("top", SITE, "--period", "all").out


def test_a_pattern_reads_a_log_of_ones_own(run: Run, place: Path) -> None:
    """As the server's configuration has it."""
    (place / "log").write_text("2026-03-18T14:25:30+01:00 example.com GET /a 200\n" * 2)
    ended = run("import", "log", "--format", "$time_iso8601 $host $request_method $request_uri $status")
    assert ended.out.splitlines()[1:] == ["  2  counted for example.com"]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--format", "$request"], "--format: the pattern has no time; add [$time_local] or %t"),
        (
            ["--format", "w3c"],
            "--format: write one of caddy-json, traefik-json, nginx-json, caddy-console, alb, vhost-combined, ",
        ),
        (["--format", "alb", "--site", SITE], "FILE: no line of it is in the format given; leave --format out, or see "),
        ([], "--site: the format of the log (combined) names no host; say whose log it is"),
        (["--site", "ftp://x"], "--site: write a host name such as "),
        (
            ["--follow", "--dry-run"],
            "--follow: follows one log that is a file, and counts it; leave out --dry-run, other files, and -",
        ),
        (["--site", SITE, "--workers", "5"], "--workers: write a whole number from 0 to 4"),
        (["--follow", "--workers", "1"], "--workers: a log that is followed is judged by this command alone; leave it out"),
        (["log2", "--follow"], "--follow: follows one log that is a file, and counts it; "),
    ],
)
def test_what_can_not_be_done_is_one_line(run: Run, place: Path, args: list[str], line: str) -> None:
    """It names the argument, and what would do."""
    (place / "log").write_text(line_of_log("/a"))
    assert failed(run("import", "log", *args)).startswith(f"footfall: {line}")


def test_several_logs_are_summed_up_together(run: Run, place: Path) -> None:
    """Each in its own format, plain or packed; one that is no log stops the import, and is named."""
    (place / "log.1.gz").write_bytes(gzip.compress(line_of_log("/a").encode()))
    (place / "log").write_text(line_of_log("/b") * 2)
    ended = run("import", "log.1.gz", "log", str(DATA / "logs" / "vhost-combined.log"), "--site", SITE)
    assert re.match(rf"7 lines for {SITE} in ", ended.out)
    assert ended.out.splitlines()[1] == "  6  counted"
    (place / "letter").write_text("to a friend\n")
    assert failed(run("import", "log", "letter", "--site", SITE)).startswith("footfall: FILE: no line of 'letter' is in a format")


def test_no_address_is_kept_or_shown(run: Run, place: Path) -> None:
    """Not in the store's files, not in what is printed, not even of lines that can't be read."""
    (place / "log").write_text(line_of_log("/a") + "192.0.2.1 what?\n" + line_of_log("/b").replace("192.0.2.1", "2001:db8::7"))
    ended = run("import", "log", "--site", SITE)
    assert "… what?" in ended.err
    kept = b"".join(file.read_bytes() for file in place.glob("footfall.db*"))
    assert b"/a" in kept
    for written in (kept, ended.out.encode(), ended.err.encode()):
        assert b"192.0.2" not in written
        assert b"2001:db8" not in written


# Workers


def write_long(place: Path, lines: int = 160_000) -> Path:
    """A log; unless said otherwise, one that is worth workers."""
    log = place / "long.log"
    log.write_text("".join(line_of_log(f"/{number}") for number in range(50)) * (lines // 50))
    return log


def workers_of(pid: int) -> list[int]:
    """The workers of an import by their ids, without what Python starts to look after them."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except FileNotFoundError:  # one has just ended
        return []


def is_running(pid: int) -> bool:
    """Whether it is there and has not ended, whoever has to be told."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_an_import_however_that_ends(run: Run, place: Path, signum: signal.Signals) -> None:
    """Ctrl-C reaches all of them and is answered by one; the next import goes on, and each line counts once."""
    log = write_long(place)
    with subprocess.Popen(
        argv("import", str(log), "--site", SITE, "--workers", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as importing:
        wait_until(lambda: len(workers_of(importing.pid)) == 2, "the workers are started", seconds=PATIENCE)
        workers = workers_of(importing.pid)
        if signum is signal.SIGINT:
            os.killpg(importing.pid, signum)
        else:
            importing.send_signal(signum)
        out, err = importing.communicate(timeout=PATIENCE)
    assert importing.returncode != 0
    assert b"Traceback" not in out + err
    wait_until(lambda: not any(is_running(worker) for worker in workers), "the workers have ended", seconds=PATIENCE)
    assert total(run) < 160_000
    assert run("import", str(log), "--site", SITE).code == 0
    assert total(run) == 160_000


def test_how_many_workers_there_are_changes_no_number(run: Run, place: Path) -> None:
    """What is printed, but for the seconds, and what is stored."""
    log = write_long(place)
    ends = [run("import", str(log), "--site", SITE, "--dry-run", "--workers", number) for number in ("0", "1", "4")]
    assert len({(ended.out.partition("\n")[2], ended.err) for ended in ends}) == 1
    assert run("import", str(log), "--site", SITE, "--workers", "2").out.splitlines()[1] == "  160,000  counted"
    assert total(run) == 160_000


# Following


@pytest.fixture
def log(place: Path) -> Path:
    log = place / "access.log"
    log.write_text(line_of_log("/a"))
    return log


def write(log: Path, page: str) -> None:
    with log.open("a") as file:
        file.write(line_of_log(page))


def wait_for_views(run: Run, views: int) -> None:
    wait_until(lambda: total(run) == views, f"{views} views are counted", seconds=PATIENCE)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_log_is_followed_through_a_rotation_until_a_signal(run: Run, log: Path, signum: signal.Signals) -> None:
    """Then it is summed up, with status 0; following it again doubles nothing and loses nothing."""
    written = 1
    for rotation in range(2):
        with subprocess.Popen(
            argv("import", str(log), "--site", SITE, "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as following:
            write(log, "/b")
            wait_for_views(run, written + 1)
            log.rename(log.with_name(f"access.log.{2 - rotation}"))
            write(log, "/new")
            wait_for_views(run, written + 2)
            following.send_signal(signum)
            out, err = following.communicate(timeout=PATIENCE)
        assert following.returncode == 0
        assert err == f"following {log}; SIGINT or SIGTERM stops\n"
        assert re.match(rf"\d+ lines for {SITE} in \d+\.\d\d s, views from ", out)
        write(log, "/unseen")
        written += 3
    run("import", str(log), "--site", SITE)
    assert total(run) == written


def test_a_log_that_is_followed_is_not_imported_beside(run: Run, log: Path) -> None:
    """One line says so."""
    with subprocess.Popen(
        argv("import", str(log), "--site", SITE, "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as one:
        wait_for_views(run, 1)
        line = failed(run("import", str(log), "--site", SITE))
        assert line == f"footfall: FILE: '{log}' is being imported already; wait for that import to end, or stop it"
        one.terminate()
        one.communicate(timeout=PATIENCE)
        assert one.returncode == 0
