"""What holds for every test: none is left out in silence.

A test that is skipped, or expected to fail, leaves its claim unproven; so a run that has one fails, and says so above its
summary. A test that can't run on a machine says what is missing by failing.
"""

from __future__ import annotations

import pytest


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
