"""Settings are read from where they may stand, and refused in one plain line that shows no secret."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from footfall.errors import SettingError
from footfall.settings import FILE_SUFFIX, PREFIX, describe, load_settings, read_dotenv, unknown_settings
from footfall.settings.sources import MAX_FILE_BYTES
from tests.support.given import loaded, refused

SECRET = "hunter2"


# Where values come from


def test_overrides_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    """A nearer source wins; an override of None is none."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("FOOTFALL_PORT=1\nFOOTFALL_WINDOW=11\nFOOTFALL_WORKERS=7\n")
    environ = {"FOOTFALL_PORT": "2", "FOOTFALL_WINDOW": "12"}
    settings = load_settings({"port": 3, "window": None}, environ, dotenv)
    assert (settings.port, settings.window, settings.workers) == (3, 12, 7)


def test_the_real_environment_and_the_folders_env_file_are_read_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments os.environ and ./.env count; with dotenv None that file does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTFALL_PORT", "1234")
    Path(".env").write_text("FOOTFALL_WINDOW=30\n")
    assert (load_settings().port, load_settings().window) == (1234, 30)
    assert (load_settings(environ={}).port, load_settings(environ={}).window) == (8000, 30)
    assert load_settings(environ={}, dotenv=None).window == 60


def test_values_in_an_env_file_are_literal(tmp_path: Path) -> None:
    """Quotes and `export` are understood; ${...} is not replaced, for it may stand in a password."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("\ufeff# a comment\nexport FOOTFALL_INSTANCE='web 1'\nFOOTFALL_STORE=\"redis://:a${HOME}b@h\"\n")
    assert load_settings({}, {}, dotenv).instance == "web 1"
    assert load_settings({}, {}, dotenv).store == "redis://:a${HOME}b@h"
    assert read_dotenv(tmp_path / "none") == {}
    assert read_dotenv(tmp_path) == {}


def test_an_env_file_that_cant_be_read_is_named(tmp_path: Path) -> None:
    """A file in another encoding is an error of one line, not a traceback."""
    dotenv = tmp_path / ".env"
    dotenv.write_bytes("FOOTFALL_PORT=1".encode("utf-16"))
    with pytest.raises(SettingError, match=r"\.env: can't be read \(it is not UTF-8\)"):
        load_settings({}, {}, dotenv)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("FOOTFALL_SITES: a.example", 1),
        ("FOOTFALL_SITES:a.example", 1),
        ("FOOTFALL_SITES", 1),
        (f"FOOTFALL_PORT=1\n\n\r\n  FOOTFALL_STORE='redis://:{SECRET}@h", 4),
        (f'# a comment\nA="1\n2"\n\nFOOTFALL_STORE="{SECRET}\nFOOTFALL_PORT=1\n', 5),
        (f"FOOTFALL_STORE='{SECRET}\nFOOTFALL_INSTANCE='web'\n", 1),
        ("set FOOTFALL_PORT=1", 1),
        ("A=1\rB 2", 2),
    ],
)
def test_a_line_of_an_env_file_that_cant_be_read_is_named(tmp_path: Path, text: str, number: int) -> None:
    """By its number, for what stands in it may be a secret; it is not passed over, for it may be a setting."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(text)
    for read in (lambda: load_settings({}, {}, dotenv), lambda: read_dotenv(dotenv)):
        with pytest.raises(SettingError, match=rf"\.env: line {number} can't be read; write NAME=VALUE") as raised:
            read()
        assert SECRET not in str(raised.value)


def test_lines_for_others_in_an_env_file_are_left_to_them(tmp_path: Path) -> None:
    """A name without a value, text in quotes, lines in another order: what can be read is no fault."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("OTHER\nA = 'x y' # why\n\nB=\nexport FOOTFALL_PORT=81\n")
    assert read_dotenv(dotenv) == {"OTHER": "", "A": "x y", "B": "", "FOOTFALL_PORT": "81"}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("store", "redis://:pw@h\n", "redis://:pw@h"),
        ("port", "81\r\n", 81),
        ("sites", "b.example,a.example", ("b.example", "a.example")),
    ],
)
def test_any_setting_can_stand_in_a_file(tmp_path: Path, field: str, text: str, value: object) -> None:
    """NAME_FILE gives a file with the value; the newline at its end is not part of it."""
    file = tmp_path / "secret"
    file.write_bytes(text.encode())
    assert getattr(loaded({field.upper() + FILE_SUFFIX: str(file)}), field) == value


def test_a_name_and_its_file_form_together_are_refused(tmp_path: Path) -> None:
    """Which of the two is meant is the user's to say, in the environment and in a .env file alike."""
    problem = refused({"PORT": "1", "PORT_FILE": "/run/secrets/port"})
    assert str(problem) == "FOOTFALL_PORT: FOOTFALL_PORT and FOOTFALL_PORT_FILE are both given; keep one of them"
    dotenv = tmp_path / ".env"
    dotenv.write_text("FOOTFALL_PORT=1\nFOOTFALL_PORT_FILE=x\n")
    with pytest.raises(SettingError, match="both given"):
        load_settings({}, {}, dotenv)


def test_a_nearer_source_wins_whichever_form_it_uses(tmp_path: Path) -> None:
    """A file that a .env file names is not even opened where the environment has the value, and the other way round."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"FOOTFALL_PORT_FILE={tmp_path}/missing\nFOOTFALL_WINDOW=30\n")
    window = tmp_path / "window"
    window.write_text("40\n")
    settings = load_settings({}, {"FOOTFALL_PORT": "2", "FOOTFALL_WINDOW_FILE": str(window)}, dotenv)
    assert (settings.port, settings.window) == (2, 40)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file or directory"), (b"\xff\xfe", "not UTF-8"), (b"x" * (MAX_FILE_BYTES + 1), "longer than")],
)
def test_a_secret_file_that_cant_be_read_is_refused_without_its_path(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The message names the setting and the reason; the path may be the secret itself, by mistake."""
    file = tmp_path / SECRET
    if content is not None:
        file.write_bytes(content)
    problem = refused({"STORE_FILE": str(file)})
    assert problem.setting == "FOOTFALL_STORE_FILE"
    assert reason in problem.problem
    assert SECRET not in str(problem)


def test_what_kubernetes_writes_for_a_service_is_no_setting() -> None:
    """A Service named footfall in the same namespace neither breaks the port nor is warned of."""
    links = {
        "FOOTFALL_PORT": "tcp://10.0.0.1:80",
        "FOOTFALL_SERVICE_HOST": "10.0.0.1",
        "FOOTFALL_SERVICE_PORT": "80",
        "FOOTFALL_SERVICE_PORT_HTTP": "80",
        "FOOTFALL_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FOOTFALL_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings({}, links, dotenv=None).port == 8000
    assert unknown_settings(links, {}) == []


# Errors


def test_the_first_bad_setting_is_named_with_the_mend_and_the_value() -> None:
    """Of several bad ones the first in the table is reported."""
    assert str(refused({"WINDOW": "abc", "PORT": "http"})) == "FOOTFALL_PORT: write a whole number from 0 to 65535; it is 'http'"


def test_the_error_names_the_form_and_the_file_the_user_wrote(tmp_path: Path) -> None:
    """NAME_FILE is called so, its content stays unsaid, and a .env file is pointed at."""
    file = tmp_path / "window"
    file.write_text(SECRET)
    problem = refused({"WINDOW_FILE": str(file)})
    assert problem.setting == "FOOTFALL_WINDOW_FILE"
    assert SECRET not in str(problem)
    dotenv = tmp_path / ".env"
    dotenv.write_text("FOOTFALL_WINDOW=abc\n")
    with pytest.raises(SettingError, match=r"^FOOTFALL_WINDOW: .*; it is 'abc' in .*\.env$"):
        load_settings({}, {}, dotenv)


def test_an_override_that_is_no_setting_is_refused() -> None:
    """A misspelt field does not vanish."""
    with pytest.raises(SettingError, match="FOOTFALL_PROT: there is no such setting"):
        loaded(prot=1)


@pytest.mark.parametrize("name", [row.name.removeprefix(PREFIX) for row in describe()])
def test_no_error_shows_a_secret_that_stands_in_the_wrong_place(name: str) -> None:
    """Whichever setting a store's URL or part of one was put into, neither message nor traceback nor cause repeats it."""
    for wrong in (f"redis://:{SECRET}@host:0x1/ \x7f", f"user:{SECRET}@host/"):
        if name in ("INSTANCE", "ADMIN_PASSWORD"):  # they take any text
            continue
        problem = refused({name: wrong})
        assert SECRET not in "".join(traceback.format_exception(problem))
        assert problem.__context__ is None


# Names that are no settings


def test_names_nobody_knows_are_pointed_out_with_the_nearest_that_is() -> None:
    """From the environment and the .env file, without a name's value; known names and other programs' are left alone."""
    environ = {"FOOTFALL_WINDWO": SECRET, "FOOTFALL_PORT": "1", "FOOTFALL_STORE_FILE": "x", "PATH": "x", "footfall_port": "1"}
    lines = unknown_settings(environ, {"FOOTFALL_ZZZ\x1b": "1", "FOOTFALL_STORE_FLIE": "1"})
    assert unknown_settings({}, {"FOOTFALL-PORT": "1", "$env:FOOTFALL_PORT": "1", "MY_FOOTFALL_PORT": "1", "FOOTFALL": "1"}) == [
        "$env:FOOTFALL_PORT is not a Footfall setting; did you mean FOOTFALL_PORT?",
        "FOOTFALL-PORT is not a Footfall setting; did you mean FOOTFALL_PORT?",
    ]
    assert lines == [
        "FOOTFALL_STORE_FLIE is not a Footfall setting; did you mean FOOTFALL_STORE_FILE?",
        "FOOTFALL_WINDWO is not a Footfall setting; did you mean FOOTFALL_WINDOW?",
        "FOOTFALL_ZZZ? is not a Footfall setting",
        "footfall_port is not a Footfall setting; did you mean FOOTFALL_PORT?",
    ]


def test_unknown_names_are_looked_for_where_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments these are os.environ and ./.env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTFALL_PROT", "1")
    Path(".env").write_text("FOOTFALL_WIDNOW=1\n")
    assert [line.split()[0] for line in unknown_settings()] == ["FOOTFALL_PROT", "FOOTFALL_WIDNOW"]
