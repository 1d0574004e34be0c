"""Links within the repository lead somewhere: to a file that is there, and to a heading that the page has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.tracked import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_FENCED = re.compile(r"(?ms)^ *(```|~~~).*?^ *\1 *$")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"\s]+)\"")
_HEADING = re.compile(r"(?m)^#+ +(.+?) *#*$")


def prose(page: Path) -> str:
    """A page without its examples."""
    return _FENCED.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What its headings are called in links, as GitHub makes it: lower case, blanks as hyphens, without other signs."""
    headings = (re.sub(r"\]\([^)]*\)", "", heading) for heading in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


LINKS = [
    (page, target) for page in PAGES for match in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target := "".join(match))
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page.relative_to(ROOT)}: {target}" for page, target in LINKS])
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    """The file is in the repository, and has the heading that the link names."""
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    assert path.exists()
    assert not anchor or anchor in anchors(path)


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links to each page below docs/."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    missing = [page.name for page in PAGES if page.parent.name == "docs" and f"]({page.name})" not in index]
    assert missing in ([], ["README.md"])
