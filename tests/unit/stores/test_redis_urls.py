"""A Redis URL is read as it is written, and refused in words that help and hold no secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from footfall.errors import SettingError
from footfall.stores.redis.server.url import Address, Kind, Login, Place, Tls, read_url

SECRET = "s3cret/at?the#door@night"
ESCAPED = "s3cret%2Fat%3Fthe%23door%40night"

#: All signs that a generator of passwords may take, a blank among them.
SIGNS = "p!#$%^&*()[]/@:?+ x"


def read(url: str) -> Place:
    scheme, _, rest = url.partition(":")
    return read_url(scheme, rest)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://localhost", Place(Kind.SINGLE, (Address("localhost", 6379),))),
        ("redis://localhost:7000/3", Place(Kind.SINGLE, (Address("localhost", 7000),), 3)),
        ("redis://localhost/?db=4", Place(Kind.SINGLE, (Address("localhost", 6379),), 4)),
        ("redis://[2001:db8::1]:7000", Place(Kind.SINGLE, (Address("2001:db8::1", 7000),))),
        ("redis://[::1]", Place(Kind.SINGLE, (Address("::1", 6379),))),
        (f"redis://:{ESCAPED}@h", Place(Kind.SINGLE, (Address("h", 6379),), login=Login(None, SECRET))),
        (f"redis://footfall:{SECRET}@h/1", Place(Kind.SINGLE, (Address("h", 6379),), 1, login=Login("footfall", SECRET))),
        (f"redis://footfall:{ESCAPED}@h", Place(Kind.SINGLE, (Address("h", 6379),), login=Login("footfall", SECRET))),
        (f"redis://:{SIGNS}@h/1", Place(Kind.SINGLE, (Address("h", 6379),), 1, login=Login(None, SIGNS))),
        (f"redis://:{quote(SIGNS, safe='')}@h/1", Place(Kind.SINGLE, (Address("h", 6379),), 1, login=Login(None, SIGNS))),
        ("redis://footfall:@h", Place(Kind.SINGLE, (Address("h", 6379),), login=Login("footfall", None))),
        ("rediss://h", Place(Kind.SINGLE, (Address("h", 6379),), tls=Tls())),
        ("unix:///run/redis.sock", Place(Kind.SINGLE, (Address("/run/redis.sock", 0),))),
        (
            f"unix://:{ESCAPED}@/run/redis%20one.sock?db=2",
            Place(Kind.SINGLE, (Address("/run/redis one.sock", 0),), 2, login=Login(None, SECRET)),
        ),
        (
            "redis+sentinel://a,b:7,[::1]:8/main",
            Place(Kind.SENTINEL, (Address("a", 26379), Address("b", 7), Address("::1", 8)), service="main"),
        ),
        ("rediss+sentinel://a/main/5", Place(Kind.SENTINEL, (Address("a", 26379),), 5, "main", tls=Tls())),
        (
            "redis+sentinel://u:p@a/main?sentinel_username=s&sentinel_password=q",
            Place(Kind.SENTINEL, (Address("a", 26379),), 0, "main", Login("u", "p"), Login("s", "q")),
        ),
        ("redis+cluster://a,b:7", Place(Kind.CLUSTER, (Address("a", 6379), Address("b", 7)))),
        ("rediss+cluster://a/", Place(Kind.CLUSTER, (Address("a", 6379),), tls=Tls())),
    ],
)
def test_a_url_says_where_and_how(url: str, place: Place) -> None:
    """Hosts, ports, database, service, user, password and TLS are those of the URL."""
    assert read(url) == place


def test_files_are_named_in_the_query(tmp_path: Path) -> None:
    """The password's file and those for TLS are query parameters, as the driver names them."""
    paths = {name: tmp_path / name for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "password_file")}
    for path in paths.values():
        path.touch()
    place = read(f"rediss://footfall:@h?{'&'.join(f'{name}={path}' for name, path in paths.items())}")
    tls = Tls(str(paths["ssl_ca_certs"]), str(paths["ssl_certfile"]), str(paths["ssl_keyfile"]))
    login = Login("footfall", None, str(paths["password_file"]))
    assert place == Place(Kind.SINGLE, (Address("h", 6379),), login=login, tls=tls)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("redis:localhost", "//"),
        ("redis://", "name:port"),
        ("redis://a b", "name:port"),
        ("redis://h:0", "name:port"),
        ("redis://h:65536", "name:port"),
        ("redis://h:port", "name:port"),
        ("redis://2001:db8::1", r"\[2001:db8::1\]:port"),
        ("redis://a,b", "redis\\+cluster"),
        ("redis://h/main", "number"),
        ("redis://user@h", "user:password@"),
        ("redis://h?ssl_ca_certs=/x", "rediss:"),
        ("redis+cluster://h?ssl_ca_certs=/x", "rediss\\+cluster:"),
        ("rediss://h?ssl_ca_certs=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("rediss://h?ssl_certfile=/dev/null", "together"),
        ("redis://h?decode_responses=yes", "no others"),
        ("redis://h?sentinel_username=u", "no others"),
        ("redis+cluster://h?db=1", "no others"),
        ("redis+cluster://h/1", "one database"),
        ("redis+sentinel://h", "service"),
        ("unix://run/redis.sock", "whole path"),
        ("redis://h?password_file=/run/a@b", "user:password@"),
        (f"redis://:{ESCAPED}@h?password_file=/dev/null", "leave one"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_mend(url: str, mend: str) -> None:
    """The message names the setting, says what to write, and repeats no password."""
    with pytest.raises(SettingError, match=mend) as refused:
        read(url)
    assert refused.value.setting == "FOOTFALL_STORE"
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", [f"redis://u:{ESCAPED}@h", f"redis+sentinel://u:{ESCAPED}@h/s", f"redis+sentinel://h/s?sentinel_password={ESCAPED}"]
)
def test_no_place_shows_a_password(url: str) -> None:
    """Neither its text nor its repr has it."""
    place = read(url)
    assert "s3cret" not in f"{place} {place!r}"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://u:p@h:1/2", "h:1"),
        ("redis://[::1]", "[::1]:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("redis+cluster://a,b", "the cluster at a:6379, b:6379"),
        ("redis+sentinel://a,b/main", "main, which the Sentinels at a:26379, b:26379 name"),
    ],
)
def test_a_place_is_named_as_one_would_name_it(url: str, text: str) -> None:
    """So that a message can say which server it is about."""
    assert str(read(url)) == text
