"""Emulators that tests share. These tests run by `make cloud-test` only, in an environment of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import emulators
from tests.cloud.stacks import create_all


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Cloud]:
    """A ministack of one's own, empty."""
    with emulators.ministack(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Cloud]:
    """A ministack with the four stacks in it, to look at."""
    with emulators.ministack(tmp_path_factory.mktemp("ministack")) as running:
        create_all(running)
        yield running


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Cloud]:
    """A moto server."""
    with emulators.moto(tmp_path_factory.mktemp("moto")) as running:
        yield running
