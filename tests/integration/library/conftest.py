"""Settings of a store of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from footfall.settings import Settings, load_settings
from tests.integration.in_process import SITE


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"store": f"sqlite:///{tmp_path}/footfall.db", "sites": f"{SITE},example.org"}, {}, None)
