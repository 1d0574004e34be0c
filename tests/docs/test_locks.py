"""The locks in requirements/ are what pyproject.toml asks for, hashes and all, and tell nothing of where they were made."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.tracked import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ASKED: dict[str, list[str]] = {
    "run": _PROJECT["project"]["dependencies"],
    "sentry": _PROJECT["project"]["optional-dependencies"]["sentry"],  # the extra that an image can have
    **_PROJECT["dependency-groups"],
}
BUILD: list[str] = _PROJECT["build-system"]["requires"]


def entries(lock: str) -> list[str]:
    """The requirements of a lock, each on one line with its hashes; comments left out."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(lock: str) -> dict[str, str]:
    """The version of every package in a lock, by its canonical name."""
    found = [Requirement(entry.partition(" --hash")[0]) for entry in entries(lock)]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in found}


@pytest.mark.parametrize(
    ("lock", "asked"), [(lock, each) for lock in ASKED for each in ASKED[lock]] + [("build", each) for each in BUILD]
)
def test_what_is_asked_for_is_locked(lock: str, asked: str) -> None:
    """Every dependency is pinned in its lock, to a version that pyproject.toml admits; `make lock` mends it."""
    wanted = Requirement(asked)
    pinned = pins(lock).get(canonicalize_name(wanted.name))
    assert pinned is not None, "not in the lock: run `make lock`"
    assert wanted.specifier.contains(pinned, prereleases=True), "run `make lock`"


@pytest.mark.parametrize("lock", ASKED)
def test_everything_has_a_hash(lock: str) -> None:
    """No requirement is without an exact version and a hash, so that pip takes nothing else."""
    assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", entry) for entry in entries(lock))


def test_the_locks_agree() -> None:
    """What stands in two of the locks that go into one environment stands there in one version."""
    together = [pins(lock) for lock in ("build", "run", "sentry", "test", "check")]
    for name in set().union(*together):
        assert len({each[name] for each in together if name in each}) == 1, f"{name}: run `make lock`"


@pytest.mark.parametrize("lock", ASKED)
def test_a_lock_tells_nothing_of_its_maker(lock: str) -> None:
    """Neither a folder nor an address of the machine it was made on stands in a lock."""
    assert not re.search(r"(?m)(^|[\s\"'=])(/|~|file:|https?:)", (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8"))
