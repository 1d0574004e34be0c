"""Where the programs lie that `make pipeline-test` installs into .venv-deploy."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import ServerError

ROOT = Path(__file__).parents[2]


def program(name: str) -> Path:
    """The path of one; ServerError says how to install it where it is missing."""
    path = ROOT / ".venv-deploy" / "bin" / name
    if not path.exists():
        raise ServerError(f"no {name} in .venv-deploy: run these tests with `make pipeline-test`")
    return path
