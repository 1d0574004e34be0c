"""Every start is short: a command imports what it uses, and the server what counting needs."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

#: What only some commands and some requests need, each of them some hundredths of a second of every start.
SELDOM = (
    "footfall.importing",
    "footfall.stores.memory",
    "footfall.stores.redis",
    "footfall.web.api.openapi",
    "footfall.web.api.operations",
    "dotenv",
    "jinja2",
    "platformdirs",
    "pydantic_settings",
    "redis",
    "rich.live",
    "rich.progress",
    "sentry_sdk",
)

#: What a command that only counts does without.
SERVERS = ("footfall.web", "prometheus_client", "starlette", "structlog", "uvicorn", "ua_parser", "argon2")

#: What stands between the command line and its version.
SETTINGS = ("asyncio", "footfall.commands", "footfall.settings", "footfall.stores", "pydantic", "rich", "sqlite3")


@pytest.mark.parametrize(
    ("program", "unused"),
    [
        ("import sys; sys.argv[1:] = ['--version']; from footfall.__main__ import main; main()", (*SELDOM, *SERVERS, *SETTINGS)),
        ("import sys; sys.argv[1:] = ['--help']; from footfall.__main__ import main; main()", (*SELDOM, *SERVERS, *SETTINGS)),
        ("import sys; sys.argv[1:] = ['import', '--help']; from footfall.__main__ import main; main()", (*SELDOM, *SERVERS)),
        (
            "import sys; sys.argv[1:] = ['count', 'example.com', '/']; from footfall.__main__ import main; main()",
            (*SELDOM, *SERVERS),
        ),
        ("import footfall.commands.serve, footfall.server; footfall.server.application()", SELDOM),
    ],
    ids=["version", "help", "help of a command", "count", "serve"],
)
def test_what_a_start_does_not_use_is_not_imported(program: str, unused: tuple[str, ...], tmp_path: Path) -> None:
    """Looked at when the command has ended, and when the application stands."""
    look = f"import atexit, sys; atexit.register(lambda: print([name for name in {unused} if name in sys.modules])); {program}"
    environ = {"FOOTFALL_STORE": f"sqlite:///{tmp_path}/footfall.db", "FOOTFALL_SITES": "example.com"}
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60, env=environ)
    assert found.stdout.splitlines()[-1] == "[]"


def test_the_garbage_collector_is_out_of_the_way_of_imports() -> None:
    """It does not look through what has just been imported, again and again."""
    program = (
        "import gc, sys; begun = []; gc.callbacks.append(lambda phase, _: begun.append(phase)); sys.argv[1:] = ['--version']\n"
        "from footfall.__main__ import main\n"
        "import atexit; atexit.register(lambda: print(len(begun)))\n"
        "begun.clear(); main()"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env={})
    assert found.stdout.splitlines()[-1] == "0"


def test_help_takes_little_of_the_processor() -> None:
    """A quarter of a second, of which most is Python's own; a busy machine does not change what a process itself takes."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "footfall", "--help"], capture_output=True, check=True, timeout=60, env={})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.25
