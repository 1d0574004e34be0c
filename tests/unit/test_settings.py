"""Settings are read from where they may stand, checked, and refused in one plain line that shows no secret."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from footfall.errors import SettingError
from footfall.model import DAY, DEFAULT_RETENTION, HOUR, MINUTE, Tier
from footfall.settings import (
    FILE_SUFFIX,
    MAX_FILE_BYTES,
    PREFIX,
    Settings,
    describe,
    load_settings,
    markdown_table,
    read_dotenv,
    setting_name,
    shown_url,
    unknown_settings,
)

SECRET = "hunter2"


def loaded(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from this environment alone; names without their prefix."""
    return load_settings(overrides, {PREFIX + name: value for name, value in (environ or {}).items()}, dotenv=None)


def refused(environ: Mapping[str, str]) -> SettingError:
    """The error this environment leads to, which is one line."""
    with pytest.raises(SettingError) as caught:
        loaded(environ)
    assert "\n" not in str(caught.value)
    return caught.value


# Defaults


def test_without_any_setting_the_documented_defaults_hold() -> None:
    """An empty environment gives a server for localhost on this machine alone."""
    settings = loaded()
    assert settings.store.startswith("sqlite:////")
    assert settings.store.endswith("/footfall.db")
    assert settings.model_dump(exclude={"store"}) == {
        "sites": ("localhost",),
        "home_site": "localhost",
        "public_sites": ("localhost",),
        "host": "127.0.0.1",
        "port": 8000,
        "workers": 1,
        "instance": None,
        "window": 60,
        "retention_second": 600,
        "retention_minute": 48 * HOUR,
        "retention_hour": 90 * DAY,
        "retention_day": 730 * DAY,
        "max_pending_views": 100_000,
        "commit_timeout": 5.0,
        "drain_seconds": 10,
        "unready_seconds": 0,
        "event_id_ttl": 600,
        "log_format": "auto",
        "log_level": "info",
    }
    assert settings.retention == DEFAULT_RETENTION


def test_the_default_store_lies_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the XDG specification names is used."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert loaded().store == f"sqlite:///{tmp_path}/footfall/footfall.db"


def test_settings_made_directly_look_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a .env file gets into Settings(...)."""
    monkeypatch.setenv("FOOTFALL_PORT", "1")
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("FOOTFALL_WINDOW=2\n")
    settings = Settings(store="memory://")
    assert (settings.port, settings.window) == (8000, 60)


def test_settings_are_frozen_and_can_be_sent_to_a_worker() -> None:
    """They can't be changed, and survive pickling."""
    settings = loaded({"SITES": "a.example,b.example"})
    with pytest.raises(ValidationError):
        settings.port = 1
    assert pickle.loads(pickle.dumps(settings)) == settings


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


# Values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("600", 600),
        ("600s", 600),
        ("10m", 600),
        ("48h", 48 * HOUR),
        ("2 d", 2 * DAY),
        ("1.5h", 90 * MINUTE),
        (" 48H ", 48 * HOUR),
    ],
)
def test_durations_are_whole_seconds_or_have_a_unit(text: str, seconds: int) -> None:
    """s, m, h and d are understood."""
    assert loaded({"RETENTION_MINUTE": text}).retention_minute == seconds


@pytest.mark.parametrize("text", ["", "1w", "h", "-5", "1.5", "0.5s", "1h30m", "40000d", "nan", "١٢٠٠"])
def test_other_durations_are_refused(text: str) -> None:
    """Parts of seconds, unknown units and impossible lengths lead to a message that says what is accepted."""
    assert str(refused({"RETENTION_MINUTE": text})).startswith("FOOTFALL_RETENTION_MINUTE: write a duration such as 48h")


def test_retention_covers_the_window_and_grows_from_tier_to_tier() -> None:
    """Seconds are kept a minute longer than the window; a coarser tier never less than a finer one."""
    assert loaded({"WINDOW": "540", "RETENTION_SECOND": "600"}).window == 540
    assert refused({"WINDOW": "540", "RETENTION_SECOND": "599"}).problem == (
        "write 600 or longer (as long as FOOTFALL_WINDOW and 60 seconds more), or make that one shorter; it is '599'"
    )
    assert refused({"RETENTION_HOUR": "47h"}).setting == "FOOTFALL_RETENTION_HOUR"
    assert refused({"RETENTION_MINUTE": "100d"}).problem == (
        "write 100d or longer (as long as FOOTFALL_RETENTION_MINUTE), or make that one shorter; by default it is 90d"
    )
    equal = loaded(dict.fromkeys(["RETENTION_MINUTE", "RETENTION_HOUR", "RETENTION_DAY"], "5d"))
    assert equal.retention == {Tier.SECOND: 600, Tier.MINUTE: 5 * DAY, Tier.HOUR: 5 * DAY, Tier.DAY: 5 * DAY}


def test_sites_are_lower_cased_and_stand_once_in_their_order() -> None:
    """Blanks and empty parts between commas do no harm."""
    assert loaded({"SITES": " B.example, a.example:8080,b.EXAMPLE ,,"}).sites == ("b.example", "a.example:8080")
    assert loaded(sites=["X.example"]).sites == ("x.example",)


@pytest.mark.parametrize(
    "text",
    ["https://a.example", "a.example/blog", "a_b", "größe.example", "a b", "..", "a:", "a:0", "a:65536", "a:b", "a" * 254, ""],
)
def test_what_is_no_host_name_is_no_site(text: str) -> None:
    """The message says how a site is written."""
    problem = refused({"SITES": text})
    assert problem.setting == "FOOTFALL_SITES"
    assert "host names such as example.com" in problem.problem


def test_the_home_site_is_the_first_and_public_unless_told_otherwise() -> None:
    """Both follow the sites."""
    settings = loaded({"SITES": "a.example,b.example"})
    assert (settings.home_site, settings.public_sites) == ("a.example", ("a.example",))
    settings = loaded({"SITES": "a.example,b.example", "HOME_SITE": "B.example"})
    assert (settings.home_site, settings.public_sites) == ("b.example", ("b.example",))


def test_public_sites_may_be_several_or_none() -> None:
    """An empty value means that no site is public."""
    assert loaded({"SITES": "a.example,b.example", "PUBLIC_SITES": "b.example,a.example"}).public_sites == (
        "b.example",
        "a.example",
    )
    assert loaded({"PUBLIC_SITES": ""}).public_sites == ()


@pytest.mark.parametrize("name", ["HOME_SITE", "PUBLIC_SITES"])
def test_sites_that_are_not_counted_are_neither_home_nor_public(name: str) -> None:
    """They must be among the sites."""
    problem = refused({"SITES": "a.example,b.example", name: "c.example"})
    assert problem.setting == PREFIX + name
    assert "FOOTFALL_SITES" in problem.problem
    assert "'c.example'" in problem.problem


def test_memory_is_refused_to_several_workers() -> None:
    """Processes can't share it."""
    problem = refused({"STORE": "memory://", "WORKERS": "2"})
    assert problem.setting == "FOOTFALL_WORKERS"
    assert "write 1, or set FOOTFALL_STORE" in problem.problem
    assert loaded({"STORE": "memory://", "WORKERS": "1"}).workers == 1
    assert loaded({"STORE": "sqlite:///x.db", "WORKERS": "2"}).workers == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", ""),
        ("HOST", "http://127.0.0.1"),
        ("HOST", "localhost:80"),
        ("PORT", ""),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("WINDOW", "0"),
        ("WINDOW", "541"),
        ("MAX_PENDING_VIEWS", "0"),
        ("COMMIT_TIMEOUT", "0"),
        ("COMMIT_TIMEOUT", "inf"),
        ("COMMIT_TIMEOUT", "nan"),
        ("DRAIN_SECONDS", "-1"),
        ("UNREADY_SECONDS", "x"),
        ("EVENT_ID_TTL", "59"),
        ("EVENT_ID_TTL", "86401"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("STORE", ""),
        ("STORE", "/var/lib/footfall.db"),
        ("STORE", "redis://a\nb"),
    ],
)
def test_values_out_of_their_range_are_refused_by_name(name: str, text: str) -> None:
    """The error names the setting and says what to write."""
    problem = refused({name: text})
    assert problem.setting == PREFIX + name
    assert "write " in problem.problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", "::1"),
        ("HOST", "0.0.0.0"),
        ("PORT", "0"),
        ("PORT", "65535"),
        ("WINDOW", "1"),
        ("WINDOW", "540"),
        ("COMMIT_TIMEOUT", "0.25"),
        ("DRAIN_SECONDS", "0"),
        ("EVENT_ID_TTL", "60"),
        ("EVENT_ID_TTL", "1d"),
        ("LOG_LEVEL", "DEBUG"),
        ("STORE", "sqlite:////a b/c.db"),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_taken(name: str, text: str) -> None:
    """The ranges include their ends."""
    loaded({name: text})


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
        if name == "INSTANCE":  # takes any text
            continue
        problem = refused({name: wrong})
        assert SECRET not in "".join(traceback.format_exception(problem))
        assert problem.__context__ is None


def test_a_repr_shows_no_password() -> None:
    """Settings may be printed and logged."""
    settings = loaded({"STORE": f"redis://user:{SECRET}@host:6379/1"})
    assert settings.store == f"redis://user:{SECRET}@host:6379/1"
    for text in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in text
        assert "redis://user:***@host:6379/1" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://user:hunter2@host", "redis://user:***@host"),
        ("rediss://hunter2@host", "rediss://***@host"),
        ("redis://:a@hunter2/b?c#@host/0", "redis://:***@host/0"),
        ("redis://u:hunter2@one:1,u:hunter2@two:2", "redis://u:***@two:2"),
        ("redis://host/0?password=hunter2&protocol=3", "redis://host/0?password=***&protocol=3"),
        ("redis://host?db=1&ssl_keyfile_Password=hunter2", "redis://host?db=1&ssl_keyfile_Password=***"),
        ("unix://:hunter2@/run/redis.sock", "unix://:***@/run/redis.sock"),
        ("sqlite:////home/me@example.com/footfall.db", "sqlite:////home/me@example.com/footfall.db"),
        ("memory://", "memory://"),
        ("hunter2", "***"),
        ("redis:hunter2@host", "***"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    """Wherever drivers accept one, and also where it was not escaped."""
    assert shown_url(url) == shown


@given(st.text(min_size=8).map(lambda text: f"<{text}>"))
def test_no_password_survives_showing(password: str) -> None:
    """Whatever characters it is made of."""
    assert password not in shown_url(f"redis://user:{password}@host:6379/0")


# Unknown names, documentation, cost


def test_names_nobody_knows_are_pointed_out_with_the_nearest_that_is() -> None:
    """From the environment and the .env file, without a name's value; known names and other programs' are left alone."""
    environ = {"FOOTFALL_WINDWO": SECRET, "FOOTFALL_PORT": "1", "FOOTFALL_STORE_FILE": "x", "PATH": "x", "footfall_port": "1"}
    lines = unknown_settings(environ, {"FOOTFALL_ZZZ\x1b": "1", "FOOTFALL_STORE_FLIE": "1"})
    assert lines == [
        "FOOTFALL_STORE_FLIE is no setting of Footfall; did you mean FOOTFALL_STORE_FILE?",
        "FOOTFALL_WINDWO is no setting of Footfall; did you mean FOOTFALL_WINDOW?",
        "FOOTFALL_ZZZ? is no setting of Footfall",
        "footfall_port is no setting of Footfall; did you mean FOOTFALL_PORT?",
    ]


def test_unknown_names_are_looked_for_where_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments these are os.environ and ./.env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTFALL_PROT", "1")
    Path(".env").write_text("FOOTFALL_WIDNOW=1\n")
    assert [line.split()[0] for line in unknown_settings()] == ["FOOTFALL_PROT", "FOOTFALL_WIDNOW"]


def test_every_setting_is_described_in_one_line() -> None:
    """Name, value, default and help are there, and no name is another's file form."""
    rows = {row.name: row for row in describe()}
    assert list(rows) == [setting_name(field) for field in Settings.model_fields]
    assert not {name + FILE_SUFFIX for name in rows} & set(rows)
    for row in rows.values():
        assert row.accepted
        assert row.default
        assert row.help.endswith(".")
        assert "\n" not in "".join(row)
    assert rows["FOOTFALL_RETENTION_MINUTE"].default == "48h"
    assert rows["FOOTFALL_HOME_SITE"].default == "the first of the sites"
    assert len(markdown_table().splitlines()) == len(rows) + 2


def test_importing_settings_loads_no_server_and_no_store() -> None:
    """The command line starts quickly: what only one command needs is not loaded with the settings."""
    heavy = ("footfall.stores", "footfall.web", "uvicorn", "starlette", "rich", "structlog", "platformdirs", "redis", "sqlite3")
    code = "import sys, footfall.settings; print([name for name in sys.argv[1:] if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
