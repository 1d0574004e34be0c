"""The type checker sees what the documentation shows in Python: `make check` checks tests/docs/lines as strictly as all else."""

from __future__ import annotations

from pathlib import Path

import footfall
from tests.docs.pages import blocks
from tests.docs.tracked import ROOT

LINES = {path.name: path.read_text("utf-8") for path in sorted((Path(__file__).parent / "lines").glob("*.py"))}


def test_documented_python_is_type_checked() -> None:
    """Each block of Python in the README and docs/ stands in tests/docs/lines, letter by letter."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    all_blocks = [block for page in pages for block in blocks(page.read_text("utf-8"))]
    shown = {"\n".join(block.lines) + "\n" for block in all_blocks if block.language == "python"}
    assert shown == set(LINES.values()) - {LINES["django.py"]}


def test_django_s_lines_are_type_checked() -> None:
    """They stand in a sentence."""
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    for line in LINES["django.py"].splitlines():
        if "application = " in line:
            assert f"`{line.removeprefix('asgi_application = ')}`" in page


def test_the_package_lists_what_it_offers() -> None:
    """`dir(footfall)` has the public names, though they are loaded only when they are asked for."""
    assert dir(footfall) == ["Client", "FootfallMiddleware", "FootfallWSGIMiddleware", "__version__"]
    assert all(hasattr(footfall, name) for name in dir(footfall))
