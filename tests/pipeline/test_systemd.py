"""The unit for systemd is one that systemd takes; it leaves the service little to do harm with, and names true settings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from footfall.settings import Settings
from tests.pipeline.programs import ROOT
from tests.support.servers.program import found_on_path

UNIT = ROOT / "deploy" / "systemd" / "footfall.service"

#: From 0 to 10, as `systemd-analyze security` weighs it. What is left is the network, which a server needs.
EXPOSURE = 1.2


def analyzed(*arguments: str | Path) -> tuple[int, str]:
    """How systemd-analyze ended, and what it said."""
    ended = subprocess.run(
        [found_on_path("systemd-analyze"), *arguments, "--no-pager"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_systemd_understands_all_of_it(tmp_path: Path) -> None:
    """No line is unknown or refused. The program is another here: that of the unit is not installed."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/footfall/bin/footfall", "/bin/true"))
    assert analyzed("verify", unit) == (0, "")


def test_it_is_locked_in() -> None:
    """By systemd's own measure; 9.6 is a service without any such line."""
    ended, said = analyzed("security", "--offline=true", f"--threshold={round(EXPOSURE * 10)}", UNIT)
    assert ended == 0, said


def test_it_waits_longer_than_footfall_takes_to_stop() -> None:
    """Also where a balancer stands before it: 5 seconds unready, then those of draining."""
    (seconds,) = re.findall(r"(?m)^TimeoutStopSec=(\d+)$", UNIT.read_text())
    assert int(seconds) > 5 + Settings().drain_seconds


def test_its_settings_are_settings() -> None:
    """Each variable that it sets is a setting's name."""
    names = re.findall(r"(?m)^Environment=FOOTFALL_(\w+)=", UNIT.read_text())
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)
