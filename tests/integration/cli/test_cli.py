"""What each command does to a real store, what it shows, and how it says that something is wrong."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.model import DEFAULT_RETENTION, Batch, SiteBatch
from footfall.stores import open_store
from tests.integration.cli.commands import (
    PATIENCE,
    SITE,
    STORE,
    Ended,
    Run,
    argv,
    failed,
    line_of_log,
    put_in_store,
    run_process,
    running_here,
    settle_in,
)
from tests.support.servers import HOST, FootfallServer, send_views

SAMPLE = Path(__file__).parents[2] / "data" / "access-sample.log"

#: What becomes of the sample's lines.
SUMMARY = "   40  counted\n  217  not counted: not-a-page\n   43  not counted: bot\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running_here(monkeypatch, capsys) as run:
        yield run


def pages_of(ended: Ended) -> list[str]:
    """The pages that `top` listed."""
    return [line.split(maxsplit=2)[2] for line in ended.out.splitlines()[1:]]


def total(run: Run) -> int:
    """All views of the site, as `check` shows them."""
    found = re.search(r", ([\d,]+) in total\n\Z", run("check").out)
    assert found
    return int(found[1].replace(",", ""))


# Counting


def test_count_counts_and_shows_the_numbers(run: Run) -> None:
    """A view by default, as many as --n says, none for 0; what one command counts the next one finds."""
    assert run("count", SITE, "/a") == (0, "1 view of /a in the past minute\n1 today (UTC), 1 in total\n", "")
    shown = "1,728 views of /a in the past minute\n1,728 today (UTC), 1,728 in total\n"
    assert run("count", SITE, "/a", "--n", "1727").out == shown
    assert run("count", SITE, "/a", "-n", "0").out == shown
    assert run("count", SITE, "/b", "--n", "0").out == "0 views of /b in the past minute\n0 today (UTC), 0 in total\n"


def test_count_takes_any_spelling_of_a_page_and_of_a_site(run: Run) -> None:
    """The page is shown as it is counted; the site's name has no capitals."""
    run("count", SITE, "/a/c")
    assert run("count", "Example.COM", "//a/b/../%63?x=1#y").out.startswith("2 views of /a/c in")


def test_count_shows_the_window_of_the_settings(run: Run) -> None:
    """The past is as long as FOOTFALL_WINDOW."""
    assert run("count", SITE, "/a", FOOTFALL_WINDOW="90").out.startswith("1 view of /a in the past 90 seconds\n")


def test_a_site_that_no_server_shows_is_noted(run: Run) -> None:
    """The views count, and a line on standard error says that the settings don't name the site."""
    ended = run("count", "example.org", "/a")
    assert (ended.code, ended.out.partition(" of")[0]) == (0, "1 view")
    assert ended.err.startswith("note: example.org is not in FOOTFALL_SITES: ")


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "1000001", "٣", "9" * 30, ""])
def test_count_refuses_a_number_of_views_that_is_none(run: Run, n: str) -> None:
    """The line names the option and what it takes."""
    assert failed(run("count", SITE, "/a", "--n", n)) == "footfall: --n: write a whole number from 0 to 1000000"


# The most viewed pages


def test_top_lists_pages_most_viewed_first(run: Run) -> None:
    """Each on a line with its views and a bar in proportion, equals by name."""
    put_in_store({"/b": 5, "/a": 5, "/most": 1200})
    title, *lines = run("top", SITE).out.splitlines()
    assert re.fullmatch(rf"Views of {SITE} by page, past minute, at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", title)
    assert lines == [f"  1,200  {'━' * 24}  /most", f"      5  {'━':24}  /a", f"      5  {'━':24}  /b"]


def test_top_tells_windows_and_periods_apart(run: Run, place: Path) -> None:
    """Each shows the views that are as old as it reaches back, and no others."""
    (place / "log").write_text(line_of_log("/old", 40 * 86_400) + line_of_log("/fresh", 60))
    run("import", "log", "--site", SITE)
    assert pages_of(run("top", SITE, "--window", "20")) == []
    for args in (["--window", "300"], ["--window", "5m"], ["--period", "24h"], ["--period", "7d"], ["--period", "30d"]):
        assert pages_of(run("top", SITE, *args)) == ["/fresh"]
    for period in ("12mo", "all"):
        assert pages_of(run("top", SITE, "--period", period)) == ["/fresh", "/old"]
    assert "past 24 hours, at" in run("top", SITE, "--period", "24h").out
    assert run("top", SITE, "--window", "1").out.startswith(f"No views of {SITE}, past second, at ")


def test_top_says_when_it_leaves_pages_out(run: Run) -> None:
    """Without --limit it shows twenty, and says on standard error that there are more; with --limit it does as it was told."""
    listed = [f"/{number:02}" for number in range(21)]
    put_in_store({page: 100 - rank for rank, page in enumerate(listed)})
    assert pages_of(run("top", SITE)) == listed[:20]
    assert run("top", SITE).err == "note: there are more pages; --limit says how many to show\n"
    assert pages_of(run("top", SITE, "--limit", "21")) == listed
    assert run("top", SITE, "--limit", "3").err == ""


@pytest.mark.parametrize(
    ("args", "line"),
    [
        *((["--window", width], "--window: write a whole number of seconds from 1 to 540") for width in ("0", "541", "1.5", "x")),
        (["--period", "1w"], "--period: write one of 24h, 7d, 30d, 12mo, all"),
        (["--window", "10", "--period", "7d"], "--period: give --window or --period, not both"),
        *((["--limit", limit], "--limit: write a whole number from 1 to 1000") for limit in ("0", "1001", "-5", "all")),
    ],
)
def test_top_refuses_what_it_can_not_show(run: Run, args: list[str], line: str) -> None:
    """The line names the option and what it takes."""
    assert failed(run("top", SITE, *args)) == f"footfall: {line}"


# Importing a log


def test_import_sums_up_a_real_log(run: Run) -> None:
    """How many lines counted, how many did not and why, and of when the views are."""
    ended = run("import", str(SAMPLE), "--site", SITE)
    title, _, rows = ended.out.partition("\n")
    assert (ended.code, ended.err, rows) == (0, "", SUMMARY)
    assert re.fullmatch(rf"300 lines for {SITE} in \d+\.\d\d s, views from 2015-05-17 10:05:14 to 2015-05-19 11:05:57 UTC", title)
    assert pages_of(run("top", SITE, "--period", "all", "--limit", "1")) == ["/projects/xdotool/xdotool.xhtml"]


def test_a_log_counts_once_in_whatever_form_it_comes(run: Run, place: Path) -> None:
    """The same file again, packed with gzip, or through standard input: nothing is added."""
    plain, packed = SAMPLE.read_bytes(), gzip.compress(SAMPLE.read_bytes())
    (place / "packed").write_bytes(packed)
    assert run_process("import", "-", "--site", SITE, given=packed).out.partition("\n")[2] == SUMMARY
    for ended in (
        run("import", str(SAMPLE), "--site", SITE),
        run("import", "packed", "--site", SITE),
        run_process("import", "-", "--site", SITE, given=plain),
    ):
        assert ended.out.partition("\n")[2] == "  300  dealt with by an earlier import\n"
    assert total(run) == 40
    ended = run_process("import", "-", "--site", SITE, given=plain + line_of_log("/new").encode())
    assert ended.out.partition("\n")[2] == "    1  counted\n  300  dealt with by an earlier import\n"
    assert total(run) == 41


def test_an_empty_log_is_no_error(run: Run, place: Path) -> None:
    """It may just have been rotated."""
    (place / "log").touch()
    ended = run("import", "log", "--site", SITE)
    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(rf"0 lines for {SITE} in \d+\.\d\d s\n", ended.out)


def test_unreadable_lines_among_others_are_summed_up(run: Run, place: Path) -> None:
    """They are no error: logs have such lines. Some are shown, as plain text."""
    (place / "log").write_text("what?\n" + line_of_log("/a") + "\x1b[31m\n")
    ended = run("import", "log", "--site", SITE)
    assert ended.out.splitlines()[1:] == ["  1  counted", "  2  not counted: unreadable"]
    assert ended.err.splitlines()[0] == "note: unreadable, at byte 0: what?"
    assert ended.err.splitlines()[1].endswith(r": \x1b[31m")


@pytest.mark.parametrize("content", [b"a letter\nto a friend\n", bytes(range(256)) * 300, b"\x89PNG\r\n\x1a\n", b"{}"])
def test_a_file_that_is_no_log_is_refused(run: Run, place: Path, content: bytes) -> None:
    """It says so, and nothing is counted."""
    (place / "file").write_bytes(content)
    names = "caddy-json, traefik-json, nginx-json, caddy-console, alb, vhost-combined, host-second, combined"
    line = f"footfall: FILE: no line of it is in a format known here ({names}); "
    assert failed(run("import", "file", "--site", SITE)) == line + "describe it with --format, see docs/importing.md"
    assert total(run) == 0


@pytest.mark.parametrize(
    ("file", "reason"), [("missing.log", errno.ENOENT), (".", errno.EISDIR), ("log/file", errno.ENOTDIR), ("", errno.ENOENT)]
)
def test_a_log_that_can_not_be_opened_is_one_line(run: Run, place: Path, file: str, reason: int) -> None:
    """It names the file and the reason."""
    (place / "log").write_text(line_of_log("/a"))
    line = failed(run("import", file, "--site", SITE))
    assert line == f"footfall: FILE: can't open '{file}' ({os.strerror(reason)}); name a file, or - for standard input"


def test_a_damaged_archive_is_one_line(run: Run, place: Path) -> None:
    """It says where, and that the file can be imported again."""
    (place / "packed").write_bytes(gzip.compress(SAMPLE.read_bytes())[:-200])
    line = failed(run("import", "packed", "--site", SITE))
    assert re.fullmatch(
        r"footfall: FILE: its packed data are damaged at byte \d+ \(.+\); repair the file and import it again", line
    )


def test_a_log_can_be_imported_while_a_server_counts_in_the_same_store(run: Run, place: Path) -> None:
    """Neither keeps the other from it, and no view is lost: the store has the sum."""
    half = "".join(line_of_log(f"/{number}", number) for number in range(2000)).encode()
    with FootfallServer(f"sqlite:///{place}/footfall.db", sites=[SITE]) as server:
        with subprocess.Popen(argv("import", "-", "--site", SITE), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as importing:
            assert importing.stdin is not None
            for _ in range(2):  # a part of the log is committed while the server is counting
                importing.stdin.write(half)
                importing.stdin.flush()
                report = asyncio.run(send_views(server.port, site=SITE, views=300, connections=16))
                assert report.acknowledged == 300, report
            out, _ = importing.communicate(timeout=PATIENCE)
        assert importing.returncode == 0
        assert out.decode().partition("\n")[2] == "  4,000  counted\n"
        assert total(run) == 4600


# Checking settings and store


def test_check_of_a_site_says_where_its_views_went(run: Run) -> None:
    """What was received is what was counted, was sent twice, and was dropped, each with its reason."""
    put_in_store({"/a": 5})

    async def drop() -> None:
        store = open_store(STORE, time.time, DEFAULT_RETENTION, 600)
        await store.commit(Batch("1" * 32, 1, {SITE: SiteBatch(outcomes={"bot": 1200, "origin": 2, "duplicate": 1})}))
        await store.close()

    asyncio.run(drop())
    ended = run("check", SITE)
    assert re.fullmatch(r"Views of example\.com, past 24 hours, at [0-9: -]+ UTC", ended.out.splitlines()[0])
    assert ended.out.splitlines()[1:] == [
        "  1,208  received",
        "      5  counted",
        "      1  duplicate: sent more than once with the same event id, and counted once",
        "  1,200  dropped, bot: robots, crawlers and monitors, identified by user agent",
        "      2  dropped, origin: they came from a page on a host that the site's rules do not allow",
    ]
    assert run("check", SITE, "--period", "all").out.splitlines()[1:] == ended.out.splitlines()[1:]


def test_check_of_a_site_that_is_none_says_what_to_do(run: Run) -> None:
    """And a period is one of those there are, of a site."""
    assert failed(run("check", "b.example")).startswith("footfall: SITE: no site b.example is here")
    assert failed(run("check", SITE, "--period", "1w")).startswith("footfall: --period: write one of")
    assert failed(run("check", "--period", "7d")).startswith("footfall: --period: name a site, too")


def test_check_says_what_is_fit(run: Run) -> None:
    """Settings, store and each site, in plain words."""
    run("count", SITE, "/a", "--n", "2")
    ended = run("check", FOOTFALL_SITES=f"{SITE},b.example")
    assert (ended.code, ended.err) == (0, "")
    settings, store, first, second = ended.out.splitlines()
    assert settings == f"ok    settings: counts for {SITE}, b.example; anyone may read {SITE}"
    assert re.fullmatch(r"ok    store: sqlite:///footfall\.db takes a durable write in \d+\.\d ms", store)
    assert first == f"ok    {SITE}: 2 views in the past minute, 2 in total"
    assert second == "ok    b.example: 0 views in the past minute, 0 in total"


def test_check_notes_what_is_forgotten_or_misspelt(run: Run) -> None:
    """Memory is no error and neither is an unknown name, but both are said."""
    ended = run("check", "--store", "memory://", FOOTFALL_WINDO="3", FOOTFALL_PUBLIC_SITES="")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "note  FOOTFALL_WINDO is not a Footfall setting; did you mean FOOTFALL_WINDOW?\n"
        f"ok    settings: counts for {SITE}; anyone may read none of them\n"
        "note  store: memory:// forgets everything when the server stops\n"
    )


def test_check_proves_the_spool(run: Run, place: Path) -> None:
    """A folder that views can wait in is fine, and one that can't be written is an error."""
    assert (
        f"ok    spool: views wait in {place}/spool while the store is away\n" in run("check", FOOTFALL_SPOOL=f"{place}/spool").out
    )
    (place / "file").touch()
    ended = run("check", FOOTFALL_SPOOL=f"{place}/file/spool")
    assert ended.code == 1
    assert ended.err.startswith(f"footfall: FOOTFALL_SPOOL: can't write in {place}/file/spool (")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"FOOTFALL_WINDOW": "9999"}, "FOOTFALL_WINDOW: write a duration from 1 to 540 seconds; it is '9999'"),
        ({"FOOTFALL_PORT": "http"}, "FOOTFALL_PORT: write a whole number from 0 to 65535; it is 'http'"),
        ({"FOOTFALL_STORE": "oracle://x"}, "FOOTFALL_STORE: unknown kind of store; begin the URL with one of "),
        ({"FOOTFALL_STORE_FILE": "secret"}, "FOOTFALL_STORE: FOOTFALL_STORE and FOOTFALL_STORE_FILE are both given"),
    ],
)
def test_a_bad_setting_is_named_by_every_command(run: Run, environ: dict[str, str], line: str) -> None:
    """One line with the setting and the mend."""
    for args in (["check"], ["top", SITE], ["count", SITE, "/"], ["import", str(SAMPLE), "--site", SITE], ["serve"]):
        assert failed(run(*args, **environ)).startswith(f"footfall: {line}")


def test_a_bad_option_is_named_as_it_was_given(run: Run) -> None:
    """An option that stands for a setting is called by the option's name."""
    assert failed(run("serve", "--port", "99999")).startswith("footfall: --port: write a whole number from 0 to 65535")
    assert failed(run("serve", "--workers", "0")).startswith("footfall: --workers: write a whole number, 1 or more")
    assert failed(run("top", SITE, "--store", "oracle://x")).startswith("footfall: --store: unknown kind of store")


def not_sqlite(path: Path) -> None:
    path.write_text("a letter to a friend\n" * 100)


def of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as cx:
        cx.execute("CREATE TABLE friend (name TEXT)")
    cx.close()


def of_a_newer_footfall(path: Path) -> None:
    run_process("check", "--store", f"sqlite:///{path}")
    with sqlite3.connect(path) as cx:
        cx.execute("PRAGMA user_version=99")
    cx.close()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "can't open "),
        (not_sqlite, "is not a sound SQLite file"),
        (of_another_program, "is an SQLite database of another program"),
        (of_a_newer_footfall, "was written by a newer Footfall"),
    ],
)
def test_a_store_that_can_not_be_used_is_one_line(run: Run, place: Path, make: object, reason: str) -> None:
    """It names the file and the reason; what stands there is left as it was."""
    assert callable(make)
    make(place / "other.db")
    for args in (["top", SITE], ["count", SITE, "/"], ["import", str(SAMPLE), "--site", SITE]):
        line = failed(run(*args, "--store", f"sqlite:///{place}/other.db"))
        assert f"{place}/other.db" in line
        assert reason in line
    ended = run("check", "--store", f"sqlite:///{place}/other.db")
    assert (ended.code, reason in ended.err) == (1, True)


# Serving


def test_serve_says_where_to_look(place: Path) -> None:
    """What is counted, where it is kept, the address that browsers open, and once how to set a password."""
    settings = {"PUBLIC_URL": "https://Stats.example/"}
    with FootfallServer(f"sqlite:///{place}/footfall.db", sites=[SITE], settings=settings) as server:
        lines = [line for line in server.log.splitlines() if not line.startswith("{")]
    first, second, third = lines
    assert re.fullmatch(rf"Footfall \S+ counts for {SITE} in sqlite:///{place}/footfall\.db", first)
    assert second == f"Open https://stats.example   (listens on {server.url}; Ctrl-C stops)"
    assert re.fullmatch(
        r"Set a dashboard password \(link valid for 1 hour\): https://stats\.example/welcome\?key=[A-Za-z0-9_-]{32}", third
    )


def test_serve_says_that_the_port_is_taken(place: Path) -> None:
    """One line names what gave the port and the reason, and nothing is announced."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        by_option = failed(run_process("serve", "--port", port))
        by_setting = failed(run_process("serve", environ={"FOOTFALL_PORT": port}))
    assert re.fullmatch(rf"footfall: --port: {port} on {HOST}: address already in use; .+", by_option)
    assert by_setting == by_option.replace("--port", "FOOTFALL_PORT")


def test_serve_says_that_the_address_is_of_another_machine(place: Path) -> None:
    """One line names what gave the address, and the reason."""
    line = failed(run_process("serve", "--host", "203.0.113.7"))
    assert line.startswith("footfall: --host: can't listen on 203.0.113.7: cannot assign requested address; ")
