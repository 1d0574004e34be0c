"""What holds for every test: none is left out in silence, and no time is lost by looking through all of them again and again.

A test that is skipped, or expected to fail, leaves its claim unproven; so a run that has one fails, and says so above its
summary. A test that can't run on a machine says what is missing by failing.
"""

from __future__ import annotations

import contextlib
import gc
import re
from pathlib import Path
from typing import Any

import pytest

with contextlib.suppress(ModuleNotFoundError):  # tests that have an environment of their own may do without
    from hypothesis import HealthCheck, settings

    # How fast examples are made and tried is the machine's affair: a new one makes tables of all characters first.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")

# The tests themselves are a million objects that stay: with Python's own thresholds a third of the time in which they are
# collected, and a tenth of the time in which they run, goes into looking for garbage among them.
gc.set_threshold(50_000, 20, 50)


#: The folders, those with the longest tests first: so no worker is left with one when the others have ended.
ORDER = ("browser", "docs", "integration", "contract", "monitoring", "unit")

#: What one worker has to itself, beside whole files: what these tests need takes long to start. They are named by a folder, or by
#: a server's name in the brackets of a contract test.
TOGETHER = re.compile(r"^tests/browser/|^tests/contract/.*[\[-](redis-6\.2|valkey|redis-sentinel|redis-cluster)[\]-]")

#: Tests of one file that have nothing in common, and take long.
APART = re.compile(r"^tests/docs/test_readme\.py::|^tests/contract/test_against_specification\.py::")


def work_of(nodeid: str) -> str:
    """The tests of which one worker has all are those with the same answer; with `--dist loadfile`."""
    if found := TOGETHER.match(nodeid):
        return found[1] or found[0]
    return nodeid if APART.match(nodeid) else nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long; within a folder the order stays."""
    here = Path(__file__).parent
    ranks = {folder: rank for rank, folder in enumerate(ORDER)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(here).parts[0], -1))


@pytest.hookimpl(optionalhook=True)  # not every environment has workers
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out the work in that order."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # the package carries no types

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return work_of(nodeid)

    config.option.loadscopereorder = False  # by their number, which says nothing of how long they take
    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Leave what has been collected out of all further looks."""
    gc.freeze()


def _left_out(reporter: pytest.TerminalReporter) -> int:
    """How many tests, or whole modules of tests, were not put to the test."""
    return sum(len(reporter.getreports(outcome)) for outcome in ("skipped", "xfailed", "xpassed"))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that left something out. With several workers, the one process that has a reporter knows of all of them."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter is not None and _left_out(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why such a run fails."""
    if count := _left_out(terminalreporter):
        terminalreporter.write_line(f"{count} left out: skipped or expected to fail. None may be, so this run fails.", red=True)
