"""Standard streams that are closed, empty, or in another encoding: a service and a desktop's launcher start commands so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.commands import PATIENCE, SITE, Ended, Run, argv, failed, run_process, running_here, settle_in
from tests.support.servers import wait_until


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running_here(monkeypatch, capsys) as run:
        yield run


def closing(streams: str, *args: str) -> list[str]:
    """A command that is started with these streams closed, as a shell writes it."""
    return ["sh", "-c", f'exec "$@" {streams}', "sh", *argv(*args)]


def run_closed(streams: str, *args: str) -> Ended:
    ended = subprocess.run(closing(streams, *args), capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["import", "-", "--site", SITE], "FILE"),
        (["admin", "password"], "password"),
        (["watch", SITE, "--url", "http://127.0.0.1:9", "--token-file", "-"], "--token-file"),
    ],
)
def test_a_closed_standard_input_is_said(args: list[str], field: str) -> None:
    """By whatever reads from it, in one line."""
    assert failed(run_closed("<&-", *args)).startswith(f"footfall: {field}: standard input is closed")


@pytest.mark.parametrize("streams", ["<&-", "</dev/null"])
def test_where_nobody_can_answer_the_option_is_named(run: Run, streams: str) -> None:
    """Nothing is removed, and the error says which option answers."""
    assert run("site", "add", "other.example").code == 0
    ended = run_closed(streams, "site", "remove", "other.example")
    assert (ended.code, ended.out) == (1, "")
    question, line = ended.err.splitlines()
    assert question.startswith("Remove other.example and all its views?")
    assert line.startswith("footfall: --yes: nobody can answer")
    assert "other.example" in run("site", "list").out


@pytest.mark.parametrize(("answer", "remains"), [("n\n", True), ("\n", True), ("y\n", False), ("YES\r\n", False)])
def test_what_is_answered_is_done(run: Run, answer: str, remains: bool) -> None:
    """Removing is agreed to by y or yes alone."""
    assert run("site", "add", "other.example").code == 0
    ended = run_process("site", "remove", "other.example", given=answer.encode())
    assert ended.code == int(remains)
    assert ("other.example" in run("site", "list").out) is remains


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (b"", "standard input is empty"),
        ("größer-als-10".encode("latin-1"), "is not UTF-8"),
        (b"short\n", "at least 10 characters"),
    ],
)
def test_a_password_that_can_not_be_read_is_told_apart_from_a_short_one(given: bytes, reason: str) -> None:
    """One line says which it is."""
    assert reason in failed(run_process("admin", "password", given=given))


def test_a_password_is_utf_8_whatever_the_locale() -> None:
    """A service has no locale, and the browser sends UTF-8 too."""
    plain = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert run_process("admin", "password", given="größer-als-10\n".encode(), environ=plain).code == 0


@pytest.mark.parametrize("args", [["top", SITE], ["check"], ["--help"], ["site", "list"]])
def test_a_closed_standard_output_is_no_fault(args: list[str]) -> None:
    """What was done is done; an export that would go nowhere is refused."""
    assert run_closed(">&-", *args).code == 0
    assert run_closed(">&- 2>&-", *args).code == 0
    assert failed(run_closed(">&-", "export", SITE)).startswith("footfall: --output: standard output is closed")


def test_no_file_is_taken_for_a_closed_stream() -> None:
    """The numbers of closed streams are not given to the store's files, where what is printed would be written into them."""
    with subprocess.Popen(closing("<&- >&- 2>&-", "watch", SITE)) as watching:
        opened = Path(f"/proc/{watching.pid}/fd")

        def store_is_open() -> bool:
            return any("footfall.db" in str(each.readlink()) for each in opened.iterdir())

        wait_until(store_is_open, "the store is open", despite=OSError)
        assert [str((opened / str(number)).readlink()) for number in range(3)] == ["/dev/null"] * 3
        watching.terminate()
        watching.wait(PATIENCE)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_names_are_printed_in_any_encoding(run: Run, encoding: str) -> None:
    """What it lacks comes out as an escape, on both streams."""
    assert run("count", SITE, "/文").code == 0
    ended = run_process("top", SITE, "--period", "all", environ={"PYTHONIOENCODING": encoding})
    assert ended.code == 0
    assert "/\\u6587" in ended.out
    assert "\\u6587" in failed(run_process("export", SITE, "-o", "/文/x", environ={"PYTHONIOENCODING": encoding}))


@pytest.mark.parametrize("args", [["count", "b\udcfccher.example", "/"], ["count", SITE, "/caf\udce9"], ["top", "\udce9"]])
def test_an_argument_in_another_encoding_is_told_apart_from_a_wrong_one(run: Run, args: list[str]) -> None:
    """Python shows bytes that it can't read as lone surrogates."""
    assert "this can't be read as text; use a terminal and a locale in UTF-8" in failed(run(*args))
