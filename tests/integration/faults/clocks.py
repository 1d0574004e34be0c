"""An instance whose wall clock is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.integration.http.asking import SITE
from tests.support.servers import FootfallServer

#: Read by Python when it starts: shifts the clock of the whole process.
SHIFT = """
import time
real = time.time
time.time = lambda: real() + {seconds}
"""


class ShiftedServer(FootfallServer):
    """An instance whose clock is ahead by so many seconds, or behind where they are negative. `folder` is for its own use."""

    def __init__(self, store: str, seconds: int, folder: Path, **settings: str) -> None:
        super().__init__(store, instance=f"ahead by {seconds}", sites=[SITE], settings=settings)
        self._shifts = folder / f"shift-{seconds}"
        self._shifts.mkdir()
        (self._shifts / "sitecustomize.py").write_text(SHIFT.format(seconds=seconds))

    def environment(self) -> Mapping[str, str]:
        environment = super().environment()
        others = environment.get("PYTHONPATH")
        return {**environment, "PYTHONPATH": os.pathsep.join([str(self._shifts), *([others] if others else [])])}
