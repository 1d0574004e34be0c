"""What several unit tests set up and have to put back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access", "footfall.x")


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put the process's logging back as it was."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(list(logger.handlers), logger.level, logger.propagate, logger.disabled) for logger in loggers]
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    for logger, (handlers, level, propagate, disabled) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
