"""What several unit tests set up and have to put back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.support.servers import RedisServer
from tests.unit.stores.redis_given import Clock

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


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """A Redis for a module's tests."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """The same, empty."""
    running.ask("FLUSHALL")
    running.ask("CONFIG", "RESETSTAT")
    return running


@pytest.fixture
def clock() -> Clock:
    """The clock that the scripts of a test's stores go by."""
    return Clock()
