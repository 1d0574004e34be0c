"""A page named on the command line is the one that a view of it counts: by its site's own rules, as they are in the store."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.commands import SITE, Run, running_here, settle_in
from tests.integration.cli.test_watch import first_lines, watching
from tests.support.servers import FootfallServer

#: One page in several spellings, and another in which a parameter that is kept tells it apart.
SPELLINGS = ["/shop", "/shop/", "/shop/?b=2", "/shop/index.html?utm_source=x"]
ANOTHER = "/shop?id=7"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    settle_in(tmp_path, monkeypatch)
    with running_here(monkeypatch, capsys) as run:
        run("site", "add", "shop.example")
        run("site", "set", SITE, "merges_slash=true", "kept_parameters=id")
        yield run


def counted(run: Run, page: str) -> str:
    """What `footfall count` says of a page."""
    return run("count", SITE, page, "--n", "0").out.splitlines()[1]


def test_count_spells_a_page_as_its_site_does(run: Run) -> None:
    """However it is written; another site has other rules."""
    for page in (*SPELLINGS, ANOTHER):
        assert run("count", SITE, page).code == 0
    assert [counted(run, page) for page in SPELLINGS] == ["4 today (UTC), 4 in total"] * 4
    assert counted(run, ANOTHER + "&b=2") == "1 today (UTC), 1 in total"
    assert run("count", "shop.example", "/shop/").out.startswith("1 view of /shop/ ")


def test_seed_spells_pages_as_their_site_does(run: Run) -> None:
    """One page alone, and those of a file."""
    run("site", "seed", SITE, "/shop/", "10")
    Path("totals.csv").write_text("/shop/,1\n/shop,2\n/shop/?id=7,4\n")
    assert run("site", "seed", SITE, "--csv", "totals.csv").out == f"7 views added to the total of 2 pages of {SITE}\n"
    assert counted(run, "/shop") == "0 today (UTC), 13 in total"
    assert counted(run, ANOTHER) == "0 today (UTC), 4 in total"


def test_pages_that_a_parameter_tells_apart_are_seeded_each(run: Run) -> None:
    """And each once, by whatever spelling of it."""
    for page in ("/shop?id=7", "/shop?id=8", "/shop/?b=2&id=7"):
        run("site", "seed", SITE, page, "10")
    assert [counted(run, f"/shop?id={id}") for id in (7, 8)] == ["0 today (UTC), 10 in total"] * 2


def test_a_file_is_read_once(run: Run) -> None:
    """It may be a pipe."""
    os.mkfifo("totals")
    writing = threading.Thread(target=Path("totals").write_text, args=("/shop/,1\n/shop,2\n",))
    writing.start()
    assert run("site", "seed", SITE, "--csv", "totals").out == f"3 views added to the total of 1 page of {SITE}\n"
    writing.join()


def test_watch_spells_a_page_as_its_site_does(run: Run) -> None:
    """Whether it reads the store or asks a server."""
    run("count", SITE, ANOTHER, "--n", "5")
    with watching("--page", "/shop/?b=2&id=7") as process:
        assert first_lines(process, 1)[0].split()[0] == "5"
    with (
        FootfallServer(f"sqlite:///{Path('footfall.db').resolve()}", sites=[SITE]) as server,
        watching("--page", "/shop/?b=2&id=7", "--url", server.url) as process,
    ):
        assert first_lines(process, 1)[0].split()[0] == "5"
