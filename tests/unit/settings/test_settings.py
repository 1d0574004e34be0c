"""Settings have the documented defaults, are checked, and show no secret."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from footfall.model import DAY, DEFAULT_RETENTION, HOUR, MINUTE, Tier
from footfall.rules import Site
from footfall.settings import FILE_SUFFIX, PREFIX, Settings, describe, markdown_table, setting_name, shown_url
from tests.support.given import loaded, refused

SECRET = "hunter2"


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
        "public_url": None,
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
        "durability": "primary",
        "spool": None,
        "spool_max_bytes": 256 * 1024 * 1024,
        "spool_age": 3 * DAY,
        "log_format": "auto",
        "log_level": "info",
        "origins": (),
        "excluded_addresses": (),
        "excluded_paths": (),
        "kept_parameters": (),
        "honours_privacy_signals": False,
        "merges_slash": False,
        "merges_index": True,
        "counts_visitors": True,
        "visitor_rate": 0,
        "site_rate": 0,
        "pages_per_day": 10_000,
        "trusted_proxies": (),
        "client_address_header": "X-Forwarded-For",
        "country_header": None,
        "country_database": None,
        "admin_password": None,
        "metrics_token": None,
        "sentry_dsn": None,
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
    ("text", "reason"),
    [
        ("ftp://a.example", "begins with https:// or http://"),
        *((text, "letters, digits, hyphens and dots") for text in ("a_b", "a b", "..", "a:b")),
        ("a:0", "a port from 1 to 65535"),
        ("a:65536", "a port from 1 to 65535"),
        ("a" * 254, "at most 253 characters"),
        ("ü..example", "in ASCII"),
        ("☕.example", "in ASCII"),
        ("ü" * 64 + ".example", "in ASCII"),
        ("ü" * 254, "in ASCII"),
        ("", "host names such as example.com"),
    ],
)
def test_what_is_no_host_name_is_no_site(text: str, reason: str) -> None:
    """The message says what is wrong with this one."""
    problem = refused({"SITES": text})
    assert problem.setting == "FOOTFALL_SITES"
    assert reason in problem.problem


@pytest.mark.parametrize(
    "url", ["stats.example", "https://stats.example/blog", "ftp://stats.example", "https://a b", "https://x?y"]
)
def test_what_is_no_public_address_is_refused(url: str) -> None:
    """It is an origin: a scheme, a host and perhaps a port."""
    assert "such as https://counter.example, without a path" in refused({"PUBLIC_URL": url}).problem


def test_a_site_in_another_alphabet_is_kept_as_browsers_send_it() -> None:
    """Every setting that names sites takes both spellings of one, and origins are hosts as well."""
    spelled = {"SITES": "Bücher.example,faß.de:8080,例え.jp", "HOME_SITE": "xn--r8jz45g.jp", "PUBLIC_SITES": "BÜCHER.example"}
    settings = loaded(spelled | {"ORIGINS": "https://Bücher.example,*.bücher.example:8080"})
    assert settings.sites == ("xn--bcher-kva.example", "xn--fa-hia.de:8080", "xn--r8jz45g.jp")
    assert (settings.home_site, settings.public_sites) == ("xn--r8jz45g.jp", ("xn--bcher-kva.example",))
    site = Site("example.com", settings.rules)
    assert site.allows_origin("https://xn--bcher-kva.example")
    assert site.allows_origin("http://www.xn--bcher-kva.example:8080")
    assert not site.allows_origin("https://xn--bcher.example")


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
        ("METRICS_TOKEN", "fifteen-letters"),
        ("METRICS_TOKEN", "x" * 257),
        ("METRICS_TOKEN", "sixteen letters!"),
        ("SENTRY_DSN", "sentry.example/1"),
        ("SENTRY_DSN", "https://sentry.example/1"),
        ("SENTRY_DSN", "https://key@sentry.example/"),
        ("SENTRY_DSN", "https://key@sentry.example/1 2"),
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
        ("METRICS_TOKEN", ""),
        ("METRICS_TOKEN", "sixteen-letters+"),
        ("METRICS_TOKEN", "x" * 256),
        ("SENTRY_DSN", " "),
        ("SENTRY_DSN", "https://0123abcdef@o1.ingest.sentry.example/42"),
        ("SENTRY_DSN", "http://key:old-secret@127.0.0.1:9000/path/1".replace("-", "")),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_taken(name: str, text: str) -> None:
    """The ranges include their ends."""
    loaded({name: text})


# What is shown


def test_a_repr_shows_no_password() -> None:
    """Settings may be printed and logged."""
    settings = loaded({"STORE": f"redis://user:{SECRET}@host:6379/1"})
    assert settings.store == f"redis://user:{SECRET}@host:6379/1"
    for text in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in text
        assert "redis://user:***@host:6379/1" in text


def test_a_repr_shows_no_token_and_no_dsn() -> None:
    """Nor whether they are alike; that they are set can be seen."""
    settings = loaded({"METRICS_TOKEN": f"{SECRET}-{SECRET}-{SECRET}", "SENTRY_DSN": f"https://{SECRET}@h/1"})
    assert SECRET not in repr(settings)
    assert "metrics_token='***' sentry_dsn='***'" in str(settings)
    assert "metrics_token=None" in str(loaded())


@pytest.mark.parametrize("name", ["METRICS_TOKEN", "SENTRY_DSN"])
def test_a_secret_that_is_refused_is_not_repeated(name: str) -> None:
    """Even where it is harmless to look at."""
    assert SECRET not in str(refused({name: SECRET}))


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
