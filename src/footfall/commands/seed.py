"""`footfall site seed`: starting totals, for those who come from another counter that tells no days.

They are added to the totals of pages and of the site and to nothing else: no window, no day, no month that anybody looks at. Each
has a name and is added once under it, however often the command is run, and however it ended.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from footfall.commands.arguments import (
    SiteArgument,
    StoreOption,
    known_site,
    read_page,
    rules_of,
    settings_with,
    whole_number,
    with_store,
)
from footfall.errors import BadInput
from footfall.model import MAX_BATCH_ENTRIES, WHOLE_SITE, Batch, SiteBatch
from footfall.rules import Rules
from footfall.stores import Store
from footfall.terminal import console, number_of, say, views_words

#: A total may begin with so many views.
MOST_VIEWS = 10**12

#: A view of so long ago that every tier skips it but months and the total, which are kept for ever: the beginning of Unix time.
LONG_AGO = 0

#: Views of the site that no page has are counted as this page's, which is then forgotten: the site's own line keeps them.
_NO_PAGE = "/(views of no page)"


class _Row(NamedTuple):
    """A page as it was written, its views, and which argument or line says so."""

    field: str
    page: str
    views: int


def seed(
    site: SiteArgument,
    page: Annotated[str | None, typer.Argument(metavar="PAGE", help="The page's path.", show_default=False)] = None,
    views: Annotated[str | None, typer.Argument(metavar="N", help="Number of views.", show_default=False)] = None,
    site_total: Annotated[
        str | None,
        typer.Option("--site-total", metavar="N", help="Views of the site beside those of its pages.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="A line a page: its path, a comma, its views.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="TEXT", help="Another one adds once more.  [default: told by what is seeded]", show_default=False
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Begin totals with views that another counter has counted. Done once, however often it is run."""
    settings = settings_with(store=store)
    if [page is not None, site_total is not None, file is not None].count(True) != 1 or (page is None) != (views is None):
        raise BadInput("PAGE", "give a page and its views, or --site-total, or --csv")
    rows: Sequence[_Row] = ()
    if file is not None:
        rows = read_rows(file)
    elif page is not None:
        rows = [_Row("PAGE", page, whole_number("N", views or "", 1, MOST_VIEWS))]
    of_site = whole_number("--site-total", site_total, 1, MOST_VIEWS) if site_total is not None else 0
    totals_of(rows, settings.rules)  # what is no page is told before a store is opened
    site = known_site(site, settings)

    async def run(opened: Store) -> None:
        totals = totals_of(rows, await rules_of(opened, settings, site)) if rows else {WHOLE_SITE: of_site}
        done = await add_totals(
            opened, site, totals, f"name:{name}" if name is not None else _told(totals, is_csv=file is not None)
        )
        number = sum(totals.values())
        if done:
            where = "the site" if WHOLE_SITE in totals else f"{number_of(len(totals), 'page')}"
            say(console(), (views_words(number), "bold"), f" added to the total of {where} of {site}")
        else:
            say(console(), "nothing added: this was done before; with another --name it is done once more")

    with_store(settings, run)


async def add_totals(store: Store, site: str, totals: Mapping[str, int], name: str) -> bool:
    """Add views to the totals of pages (or WHOLE_SITE alone), once under a name; False where that was done before.

    They are an import's views, of LONG_AGO: a batch is applied once, and one that was cut is taken up where it was. Raises
    StoreError.
    """
    writer = "seed:" + hashlib.sha256(name.encode()).hexdigest()
    rows = sorted((page or _NO_PAGE, views) for page, views in totals.items())
    parts = [rows[first : first + MAX_BATCH_ENTRIES // 2] for first in range(0, len(rows), MAX_BATCH_ENTRIES // 2)]
    before = await store.applied(site, writer)
    for sequence, part in enumerate(parts, 1):
        if sequence > before:
            timed = {(page, LONG_AGO): views for page, views in part}
            await store.commit(Batch(writer, sequence, {site: SiteBatch(timed=timed)}, lasting=True))
    if WHOLE_SITE in totals:
        await store.forget(site, _NO_PAGE)
    return before < len(parts)


def _told(totals: Mapping[str, int], *, is_csv: bool) -> str:
    """The name of what is seeded where none was given: done once for a page, for a site, and for a file's pages and views."""
    if is_csv:
        return "csv:" + hashlib.sha256(repr(sorted(totals.items())).encode()).hexdigest()
    (page,) = totals
    return "site" if page == WHOLE_SITE else f"page:{page}"


def totals_of(rows: Iterable[_Row], rules: Rules) -> Mapping[str, int]:
    """Totals by page, as a site's rules spell it. Raises BadInput naming the argument, or the line."""
    totals: dict[str, int] = defaultdict(int)
    for row in rows:
        totals[read_page(row.field, row.page.strip(), rules)] += row.views
    return {page: views for page, views in totals.items() if views}


def read_rows(file: Path) -> Sequence[_Row]:
    """The rows of a CSV of two columns, with or without a head. Raises BadInput naming the line at fault."""
    rows = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines), 1):
                if not row or (number == 1 and not row[0].startswith("/")):
                    continue
                if len(row) != 2:
                    raise BadInput("--csv", f"line {number} has {len(row)} columns; write a path, a comma, and its views")
                field = f"--csv: line {number}"
                rows.append(_Row(field, row[0], whole_number(field, row[1].strip(), 0, MOST_VIEWS)))
    except OSError as error:
        raise BadInput("--csv", f"can't read {str(file)!r} ({error.strerror}); name a file that is there") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(
            "--csv", f"{str(file)!r} is no CSV in UTF-8 ({error}); write a line a page: its path, a comma, its views"
        ) from None
    if not any(row.views for row in rows):
        raise BadInput("--csv", f"{str(file)!r} has no views; write a line a page: its path, a comma, its views")
    return rows
