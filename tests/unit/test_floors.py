"""The house is built as its plan says: imports go down the floors, no module keeps state, and no file grows without end.

Read from the source with `ast`: nothing of Footfall is imported here, so a module that can't be imported is judged all the same.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "footfall"

#: The floor of every room: the first name below `footfall`, or `footfall` for the package itself. A new room gets a row here.
FLOORS = {
    "errors": 0,
    "files": 0,
    "headers": 0,
    "model": 0,
    "version": 0,
    "networks": 1,
    "rules": 2,
    "settings": 3,
    "instance": 3,
    "terminal": 3,
    "intake": 4,
    "stores": 4,
    "telemetry": 5,
    "counting": 5,
    "registry": 5,
    "auth": 5,
    "client": 5,
    "reading": 5,
    "export": 5,
    "backup": 6,
    "composition": 6,
    "importing": 7,
    "web": 7,
    "middleware": 8,
    "cli": 8,
    "commands": 8,
    "server": 8,
    "__main__": 8,
    "footfall": 9,
}

#: Doors that do not lead down, (from, to). All other imports do.
DOORS = frozenset(
    {
        ("commands", "server"),
        ("__main__", "cli"),
    }
)

#: What each room is for, as CONTRIBUTING.md prints it.
PURPOSES = {
    "errors": "the error tree",
    "files": "who may read a file",
    "headers": "header lines of a request",
    "model": "views, batches, receipts, tiers",
    "version": "the version",
    "networks": "addresses and networks on their bytes",
    "rules": "a site and its rules",
    "settings": "every setting: name, type, default, help",
    "instance": "this process' name",
    "terminal": "what commands print",
    "intake": "what comes in becomes a view or a drop",
    "stores": "where counts are kept: `memory` (the specification), `sqlite`, `redis`",
    "telemetry": "metrics, logs, vitals, error reporting",
    "counting": "group commit and the spool",
    "registry": "sites, salts and instances, shared through the store",
    "auth": "credentials, passwords, scopes",
    "client": "`footfall.Client`",
    "reading": "live, shared reads, the ledger",
    "export": "rows as CSV and NDJSON",
    "backup": "backup and restore",
    "composition": "what servers, middlewares and commands have in common",
    "importing": "logs and exports of others",
    "web": "one folder a face: `ingest`, `api`, `dashboard`, `badges`",
    "middleware": "for ASGI and WSGI applications",
    "cli": "the table of commands",
    "commands": "what each command does",
    "server": "starts the server",
    "__main__": "`python -m footfall`",
    "footfall": "the names that programs import",
}

MAX_LINES = 400

#: Calls that make something which can be changed afterwards.
MUTABLE_CALLS = frozenset(
    {
        "list",
        "dict",
        "set",
        "bytearray",
        "deque",
        "defaultdict",
        "OrderedDict",
        "Counter",
        "ChainMap",
        "Cache",
        "LRUCache",
        "TTLCache",
    }
    | {"LFUCache", "Queue", "SimpleQueue", "WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "count", "ContextVar", "local"}
)
MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
CACHES = frozenset({"cache", "lru_cache", "cached"})
CHANGING_METHODS = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove", "reverse"}
    | {"rotate", "setdefault", "sort", "update"}
)

MODULES = sorted(PACKAGE.rglob("*.py"))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """What stands in a module; read only by the process that runs these tests, and once."""
    return ast.parse(path.read_text("utf-8"), str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room a module of ours belongs to: `footfall.stores.redis` to `stores`."""
    return module.split(".")[1] if "." in module else module


def imports(module: str, is_package: bool, tree: ast.Module) -> Iterator[str]:
    """The modules of ours that a module imports, anywhere in it, by full name: `from footfall import web` is footfall.web."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            near = module.split(".") if is_package else module.split(".")[:-1]
            base = [*near[: len(near) - node.level + 1], *filter(None, [node.module])] if node.level else [str(node.module)]
            origin = ".".join(base)
            is_top = origin == "footfall"
            found = [f"footfall.{a.name}" if is_top and not a.name.startswith("__") else origin for a in node.names]
        else:
            continue
        yield from (name for name in found if name.split(".")[0] == "footfall")


def climbs(module: str, is_package: bool, tree: ast.Module) -> list[str]:
    """The imports of a module that do not go down a floor, in words."""
    room = room_of(module)
    return [
        f"{module} (floor {FLOORS[room]}) imports {target} (floor {FLOORS.get(room_of(target), 'none: it has no row')})"
        for target in imports(module, is_package, tree)
        if room_of(target) != room
        and (room, room_of(target)) not in DOORS
        and not FLOORS.get(room_of(target), FLOORS[room]) < FLOORS[room]
    ]


def called(node: ast.expr) -> str:
    """The last name of what is called, or of a decorator: `functools.lru_cache(1)` is lru_cache."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, those under its own `if`, `try`, `with` and `for` included."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for field in ("body", "orelse", "finalbody"):
                yield from top_level(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from top_level(handler.body)


def changed_names(tree: ast.Module) -> set[str]:
    """Names, bare or behind a dot, whose value a module changes in place: `X[k] = 1`, `del X[k]`, `X += …`, `X.append(…)`."""
    changed: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            changed.append(node.value)
        elif isinstance(node, ast.AugAssign):
            changed.append(node.target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING_METHODS:
            changed.append(node.func.value)
    return {called(target) for target in changed}


def state(tree: ast.Module, changed: set[str]) -> list[str]:
    """What in a module is state of the module: containers that are no constants, caches on functions, `global`.

    A container is a constant if its name is in capitals and no module of ours changes a value of that name in place.
    """
    found = [f"line {node.lineno}: global {', '.join(node.names)}" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for statement in top_level(tree.body):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            caches = CACHES.intersection(map(called, statement.decorator_list))
            found += [f"line {statement.lineno}: {statement.name} keeps a cache ({cache})" for cache in caches]
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        value = statement.value
        is_container = isinstance(value, MUTABLE_DISPLAYS) or (isinstance(value, ast.Call) and called(value) in MUTABLE_CALLS)
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for name in map(called, targets):
            if is_container and name != "__all__" and not (name.isupper() and name not in changed):
                found.append(f"line {statement.lineno}: {name}")
    return found


@functools.cache
def changed_anywhere() -> set[str]:
    """Names whose value any module of ours changes in place."""
    return set().union(*(changed_names(tree_of(path)) for path in MODULES))


def test_every_module_has_a_floor() -> None:
    """Each module belongs to a room of the table."""
    without = [module_name(path) for path in MODULES if room_of(module_name(path)) not in FLOORS]
    assert not without, f"give these a row in FLOORS, and a place in the plan: {without}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_down(path: Path) -> None:
    """A module imports only from lower floors, from its own room, or through a door of the table."""
    assert not climbs(module_name(path), path.name == "__init__.py", tree_of(path))


def test_counting_and_live_are_strangers() -> None:
    """Counting never imports the live stream, nor the live stream counting, not even through another module; no store the web."""
    reached = {module_name(path): set(imports(module_name(path), path.name == "__init__.py", tree_of(path))) for path in MODULES}

    def reachable(start: str) -> set[str]:
        seen, ahead = set(), [name for name in reached if name == start or name.startswith(f"{start}.")]
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += reached.get(name, ())
        return seen

    assert "footfall.reading.live" not in reachable("footfall.counting")
    assert not any(room_of(name) == "counting" for name in reachable("footfall.reading.live"))
    assert not any(room_of(name) == "web" for name in reachable("footfall.stores"))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_keep_no_state(path: Path) -> None:
    """What a module holds besides definitions are constants."""
    assert not state(tree_of(path), changed_anywhere())


def printed_floors() -> str:
    """The table of floors as CONTRIBUTING.md has it, the highest first."""
    lines = ["| floor | rooms |", "|---|---|"]
    for floor in sorted(set(FLOORS.values()), reverse=True):
        rooms = [f"`{room}`: {PURPOSES[room]}" for room, on in FLOORS.items() if on == floor]
        lines.append(f"| {floor} | {'<br>'.join(rooms)} |")
    return "\n".join(lines)


def test_contributing_prints_the_table() -> None:
    """The page shows the floors as they are; print `printed_floors()` to bring it up to date."""
    assert printed_floors() in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_files_end() -> None:
    """No source file is longer than MAX_LINES lines."""
    folders = ("src", "tests", "benchmarks", "frontend/src")
    files = [p for folder in folders for kind in ("py", "lua", "ts") for p in (ROOT / folder).rglob(f"*.{kind}")]
    long = {str(p.relative_to(ROOT)): n for p in files if (n := len(p.read_text("utf-8").splitlines())) > MAX_LINES}
    assert not long, f"two rooms in one file? {long}"


@pytest.mark.parametrize(
    "source",
    [
        "from footfall.web import app",
        "import footfall.server",
        "from footfall import reading",
        "from .. import live",
        "from ..live import Hub",
        "def f():\n    from footfall.counting.counter import Counter",
        "import footfall.unheard_of",
    ],
)
def test_a_climb_is_seen(source: str) -> None:
    """An import that goes up is found, however it is written."""
    assert climbs("footfall.stores.redis", False, ast.parse(source))


@pytest.mark.parametrize(
    "source", ["from footfall.errors import StoreError", "from . import base", "from .base import Store", "import footfall.model"]
)
def test_a_step_down_is_let_pass(source: str) -> None:
    """Imports from lower floors and from the own room are none of the test's business."""
    assert not climbs("footfall.stores.redis", False, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "seen = []",
        "SEEN = []\ndef f(x): SEEN.append(x)",
        "SEEN: dict[str, int] = {}\ndef f(x): SEEN[x] = 1",
        "try:\n    cache = dict()\nexcept Exception:\n    pass",
        "waiting = collections.deque()",
        "n = 0\ndef f():\n    global n\n    n += 1",
        "@functools.lru_cache(maxsize=1)\ndef f(): ...",
    ],
)
def test_state_is_seen(source: str) -> None:
    """What a module could remember between two calls is found."""
    tree = ast.parse(source)
    assert state(tree, changed_names(tree))


@pytest.mark.parametrize(
    "source", ["__all__ = ['a']", "WIDTHS = {1: 2}\nx = WIDTHS[1]", "def f():\n    seen = []\n    seen.append(1)"]
)
def test_constants_are_let_pass(source: str) -> None:
    """Constants and what a function makes for itself are no state of a module."""
    tree = ast.parse(source)
    assert not state(tree, changed_names(tree))
