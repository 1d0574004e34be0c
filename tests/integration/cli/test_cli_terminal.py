"""What the command line writes where: help, one line for an error, plain text for pipes, colour for terminals only, and names
from outside as they are spelt. `commands.running_here` looks for control characters in everything that commands print.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import cli
from footfall.model import MAX_PAGE_BYTES
from footfall.version import __version__
from tests.integration.cli.commands import (
    PATIENCE,
    SITE,
    Run,
    argv,
    failed,
    line_of_log,
    put_in_store,
    run_process,
    running_here,
    settle_in,
)
from tests.support.servers import wait_until

COMMANDS = ["serve", "count", "top", "watch", "import", "export", "backup", "restore", "check", "site", "token", "share", "admin"]

#: Names that would be obeyed if they were not shown: markup, links, emoji, and the escapes of terminals.
MARKUP = ["/[red]x[/red]", "/[/]", "/[link=file:/etc]x", "/:smile:", "/\\[b]", "/{0}", "/<b>&amp;"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running_here(monkeypatch, capsys) as run:
        yield run


# Help, completion, and errors


def test_version_is_the_packages(run: Run) -> None:
    """On standard output, and nothing else."""
    assert run("--version") == (0, f"footfall {__version__}\n", "")


def test_help_lists_the_commands(run: Run) -> None:
    """Each with a line that is whole."""
    for option in ("--help", "-h"):
        ended = run(option)
        assert (ended.code, ended.err) == (0, "")
        listed = re.findall(r"(?m)^  (\w+) +[A-Z].*\.$", ended.out.partition("Commands:")[2])
        assert sorted(listed) == sorted(COMMANDS)


def test_the_list_says_what_each_command_says(run: Run) -> None:
    """It is written without importing the commands, whose help begins with the same line."""
    for name, (_, help) in cli.COMMANDS.items():
        assert run(name, "--help").out.splitlines()[2] == f"  {help}"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(run: Run, command: str) -> None:
    """What it does, and every option, in lines that fit a terminal."""
    ended = run(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: footfall {command} [OPTIONS]")
    assert all(re.search(r"\w", line[20:]) for line in ended.out.splitlines() if line.startswith("  -"))
    assert max(map(len, ended.out.splitlines())) <= 80


def test_no_command_at_all_shows_help(run: Run) -> None:
    """On standard error and with a status that scripts notice."""
    ended = run()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == run("--help").out


@pytest.mark.parametrize(
    ("words", "offered"),
    [(["s"], ["serve", "site", "share"]), (["site", "re"], ["remove"]), (["top", SITE, "--pe"], ["--period"])],
)
def test_bash_completes_words(words: list[str], offered: list[str]) -> None:
    """Commands, those of a group, and options, by the script that Footfall prints for it."""
    program = Path(sys.executable).parent / "footfall"
    script = f"""
        eval "$({program} --show-completion)"
        COMP_WORDS=(footfall {" ".join(words)}); COMP_CWORD={len(words)}
        _footfall_completion {program}
        echo "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr, ended.stdout.split()) == (0, "", offered)


@pytest.mark.parametrize("group", ["site", "token", "share", "admin"])
def test_a_group_without_a_command_shows_its_help(run: Run, group: str) -> None:
    """As the program without one does."""
    ended = run(group)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == run(group, "--help").out


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["nosuch"], "footfall: no such command 'nosuch'; see footfall --help"),
        (["--nosuch"], "footfall: no such option: --nosuch; see footfall --help"),
        (["top"], "footfall top: missing argument 'SITE'; see footfall top --help"),
        (["count", SITE], "footfall count: missing argument 'PAGE'; see footfall count --help"),
        (["top", SITE, "/a"], "footfall top: got unexpected extra argument(s) (/a); see footfall top --help"),
        (["import"], "footfall import: missing argument 'FILE...'; see footfall import --help"),
        (["check", "--store"], "footfall: option '--store' requires an argument; see footfall --help"),
        (["\x1b[31m"], r"footfall: no such command '\x1b[31m'; see footfall --help"),
    ],
)
def test_a_command_line_that_can_not_be_understood_is_one_line(run: Run, args: list[str], line: str) -> None:
    """It says what is wrong and where help is, with status 2."""
    ended = run(*args)
    assert failed(ended) == line
    assert ended.code == 2


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        *((site, "letters, digits, hyphens and dots") for site in ("", "a b", "[red]", "\x1b[31m", "a,b")),
        ("ftp://example.com", "begins with https:// or http://"),
        ("x" * 300, "at most 253 characters"),
        ("é..example", "in ASCII"),
    ],
)
def test_a_site_that_is_no_name_is_refused(run: Run, site: str, reason: str) -> None:
    """Whatever no setting could name is not counted for either; the line names the argument, and what is wrong with it."""
    for args in (["count", site, "/"], ["top", site], ["import", "log", "--site", site]):
        line = failed(run(*args))
        assert line.startswith(f"footfall: {'--site' if '--site' in args else 'SITE'}: ")
        assert reason in line


def test_a_site_in_another_alphabet_is_one_site(run: Run) -> None:
    """However it is written, it is kept and shown as browsers send it."""
    assert run("site", "add", "https://Bücher.example/regal?nr=1").out == "xn--bcher-kva.example is counted from now on\n"
    assert "already exists" in failed(run("site", "add", "xn--bcher-kva.example"))
    assert run("count", "bücher.example", "/a").code == 0
    assert "/a" in run("top", "xn--bcher-kva.example").out
    assert "read:xn--bcher-kva.example" in run("token", "create", "read:bücher.example").err


@pytest.mark.parametrize("page", ["", "a", "https://example.com/", "/\x1b[31m", "/%1b[31m", "/a\nb", "/\u202e", "/" + "x" * 2000])
def test_a_page_that_is_none_is_refused(run: Run, page: str) -> None:
    """The line says why, and what a page is."""
    line = failed(run("count", SITE, page))
    assert line.startswith("footfall: PAGE: ")
    assert line.endswith("; write a path, as in /blog/post")


def test_no_password_is_shown(run: Run) -> None:
    """Neither in what is fine nor in what is not."""
    for url in ("oracle://user:hunter2@host/x", "hunter2", "sqlite:hunter2"):
        for args in (["check"], ["top", SITE], ["serve"]):
            assert "hunter2" not in run(*args, FOOTFALL_STORE=url).err


def test_a_fault_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of is told in a line, and in full where the log level is debug."""

    def fault(*args: object) -> None:
        raise ZeroDivisionError("nobody\nthought of this")

    monkeypatch.setattr("footfall.commands.arguments.open_configured", fault)
    assert r"(ZeroDivisionError: nobody\nthought of this)" in failed(run("top", SITE))
    with pytest.raises(ZeroDivisionError):
        run("top", SITE, FOOTFALL_LOG_LEVEL="debug")


# Names from outside


def test_markup_is_shown(run: Run) -> None:
    """Pages are spelt as they are counted, whatever a terminal library would make of them."""
    for page in MARKUP:
        assert f" of {page} in the past minute\n" in run("count", SITE, page).out
    assert {line.split(maxsplit=2)[2] for line in run("top", SITE).out.splitlines()[1:]} == set(MARKUP)


def test_control_characters_are_shown(run: Run) -> None:
    """Were one to get into a store, a terminal would see its escape, and a line would stay one line."""
    put_in_store({"/\x1b[31mred\x07": 3, "/two\nlines\r\x85": 2, "/\u202eright\u200b\u2028": 1})
    _, *lines = run("top", SITE).out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines] == [
        r"/\x1b[31mred\x07",
        r"/two\nlines\r\x85",
        r"/\u202eright\u200b\u2028",
    ]


def test_names_of_files_and_settings_are_shown(run: Run, place: Path) -> None:
    """Also where an error or a note tells of them."""
    assert r"'\x1b[31m[red].log'" in failed(run("import", "\x1b[31m[red].log", "--site", SITE))
    (place / "file").touch()
    assert rf"{place}/file/\x9b[31m[red].db" in failed(run("top", SITE, "--store", f"sqlite:///{place}/file/\x9b[31m[red].db"))
    (place / ".env").write_text("FOOTFALL_[red]\x1b[31m=1\n")
    assert r"note  FOOTFALL_[red]?[31m is not a Footfall setting" in run("check", "--store", "memory://").out


# Pipes and terminals


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_pipe_gets_a_line_for_each_page_however_long(run: Run, columns: str) -> None:
    """Nothing is wrapped, cut, padded or coloured, so that lines can be searched and cut."""
    pages = ["/" + "x" * (MAX_PAGE_BYTES - 1), "/with blanks in it", "/é" * 300]
    put_in_store(dict.fromkeys(pages, 3))
    ended = run_process("top", SITE, environ={"COLUMNS": columns, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
    assert (ended.code, ended.err) == (0, "")
    title, *lines = ended.out.splitlines()
    assert title.startswith(f"Views of {SITE} by page, past minute, at ")
    assert sorted(lines) == sorted(f"  3  {'━' * 24}  {page}" for page in pages)


def test_lines_of_numbers_are_for_machines_too(run: Run) -> None:
    """The first word of each line below the title is a number, and the last field the whole name."""
    put_in_store({"/a": 12, "/b": 3})
    cut = subprocess.run(
        ["awk", "NR > 1 { sum += $1; pages = pages $3 } END { print sum, pages }"],
        input=run_process("top", SITE).out,
        capture_output=True,
        text=True,
        check=True,
    )
    assert cut.stdout == "15 /a/b\n"


@pytest.mark.parametrize("read", [0, 1])
def test_a_reader_that_has_seen_enough_is_no_error(run: Run, read: int) -> None:
    """`footfall top … | head -1`, with more to come than a pipe holds: it ends in silence."""
    put_in_store({f"/{number}/{'x' * 200}": number for number in range(1, 1001)})
    with subprocess.Popen(argv("top", SITE, "--limit", "1000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
        assert top.stdout is not None
        assert top.stderr is not None
        for _ in range(read):
            assert top.stdout.readline().startswith(b"Views of ")
        top.stdout.close()
        assert top.stderr.read() == b""
        assert top.wait(PATIENCE) == 0


@pytest.mark.parametrize("args", [["top", SITE], ["check"], ["--version"], ["--help"]])
def test_output_that_can_not_be_written_is_one_line(args: list[str]) -> None:
    """As on a disk that is full."""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(argv(*args), stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (1, "footfall: can't go on: No space left on device\n")


def test_what_an_encoding_lacks_is_escaped(run: Run) -> None:
    """A terminal that knows ASCII alone gets ASCII, and no traceback."""
    put_in_store({"/café": 2, "/a": 1})
    ended = run_process("top", SITE, environ={"PYTHONIOENCODING": "ascii"})
    assert ended.code == 0
    assert ended.out.splitlines()[1:] == [f"  2  {'=' * 24}  /caf\\xe9", f"  1  {'=' * 12:24}  /a"]


def on_a_terminal(*args: str, **environ: str) -> str:
    """What a command writes where its output is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        argv(*args), stdout=slave, stderr=slave, env=os.environ | {"TERM": "xterm-256color"} | environ
    ) as started:
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not chunk:
                break
            written += chunk
    os.close(master)
    assert started.returncode == 0
    return written.decode()


def test_colour_is_for_terminals_and_only_ours(run: Run) -> None:
    """A terminal gets numbers in bold and names as they are; with NO_COLOR it gets no colour."""
    put_in_store({"/[red]x": 2, "/\x1b[31m": 1})
    shown = on_a_terminal("top", SITE)
    assert "\x1b[1m2\x1b[0m" in shown
    assert "  /[red]x\r\n" in shown
    assert "  /\\x1b[31m\r\n" in shown
    assert "\x1b[3" not in on_a_terminal("top", SITE, NO_COLOR="1")


def test_progress_is_shown_on_a_terminal_and_then_taken_away(run: Run, place: Path) -> None:
    """Of the bar nothing stays but the summary."""
    (place / "log").write_text(line_of_log("/a") * 5000)
    shown = on_a_terminal("import", "log", "--site", SITE)
    assert "reading" in shown
    assert re.search(r"5,000 lines for example\.com in [\d.]+ s, .* UTC\r\n  \x1b\[1m5,000\x1b\[0m  counted\r\n\Z", shown)


def test_an_interrupted_import_ends_at_once_and_in_silence(run: Run, place: Path) -> None:
    """Ctrl-C while it waits for standard input: status 130, no traceback, and what was committed stays."""
    part = line_of_log("/a") * 2500  # 1,000 are committed together, and the rest waits for more
    with subprocess.Popen(
        argv("import", "-", "--site", SITE), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        importing.stdin.write(part.encode())
        importing.stdin.flush()
        wait_until(
            lambda: (place / "footfall.db").exists() and "2,000 in total" in run("check").out, "a part of the log is counted"
        )
        importing.send_signal(signal.SIGINT)
        assert importing.wait(PATIENCE) == 130
        out, err = importing.communicate()
        assert (out, err) == (b"", b"")
    assert "2,000 in total" in run("check").out
