"""What GoatCounter and Plausible export, on every store: each row counts once, and what is no view says why."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Iterator

import pytest

from footfall.errors import BadInput
from footfall.importing.exports import ROWS_AT_ONCE, ExportImport, Found, Kind, kind_of
from footfall.intake.addresses import Addresses
from footfall.intake.agents import Agents
from footfall.intake.countries import Countries
from footfall.intake.limits import NewPageQuota, Rates
from footfall.intake.request import Dependencies, Intake
from footfall.intake.traits import TraitReader
from footfall.intake.visitors import Visitors
from footfall.model import DAY, OUTCOME, WHOLE_SITE, Section, Span, Tier
from footfall.rules import Rules, Site
from footfall.stores import Store
from tests.contract.conftest import SITE, START, Clock, bucket_of, count_of
from tests.contract.test_dump import dumped

HEAD_1 = "1Path,Title,Event,Bot,Session,FirstVisit,Referrer,Referrer scheme,Browser,Screen size,Location,Date\n"
HEAD_2 = "2Path,Title,Event,User-Agent,Browser,System,Session,Bot,Referrer,Referrer scheme,Screen size,Location,FirstVisit,Date\n"
DAYS = '"date","hostname","page","visits","visitors","pageviews"\n'

NOW = datetime.datetime.fromtimestamp(START, datetime.UTC).isoformat().replace("+00:00", "Z")
DAY_BEFORE = datetime.datetime.fromtimestamp(START - DAY, datetime.UTC).strftime("%Y-%m-%d")


@pytest.fixture(scope="session")
def dependencies() -> Dependencies:
    visitors = Visitors(Clock())
    return Dependencies(
        Agents(), TraitReader(), Addresses(), Countries(None, None), visitors, Rates(), NewPageQuota(visitors.today)
    )


@pytest.fixture
def importing(store: Store, dependencies: Dependencies) -> Callable[[str], Awaitable[Found]]:
    """Imports a text, and tells what was found."""

    class One:
        def get(self, name: str) -> Site | None:
            return Site(name, Rules())

    async def run(text: str) -> Found:
        into = ExportImport(store, Site(SITE, Rules()), Intake(One(), dependencies))
        await into.read(_lines(text))
        return into.found()

    return run


Importing = Callable[[str], Awaitable[Found]]


def _lines(text: str) -> Iterator[str]:
    yield from text.splitlines(keepends=True)


def view(page: str = "/", session: str = "s", date: str = NOW, **more: str) -> str:
    """A row of version 2."""
    of = {"event": "false", "bot": "0", "referrer": "", "scheme": "", "location": "AT-9", **more}
    return (
        f'{page},"A title, with ""quotes""\nand two lines",{of["event"]},,Firefox 140.0,Windows 10,{session},{of["bot"]},'
        f'{of["referrer"]},{of["scheme"]},"1440,900,2",{of["location"]},true,{date}\n'
    )


async def test_views_of_goatcounter_count_at_their_times(store: Store, importing: Importing) -> None:
    """With what is known of them; events, robots and rows that can't be read do not, and are accounted for."""
    rows = [
        view("/a", referrer="www.example.net/page", scheme="h"),
        view("/a/index.html", session="t", referrer="spring", scheme="c"),
        view("signup", event="true"),
        view("/a", bot="3"),
        view("/a", date="yesterday"),
        "short,row\n",
    ]
    found = await importing(HEAD_2 + "".join(rows))
    assert found == Found(2, 0, {"not-a-page": 1, "bot": 1, "unreadable": 2}, START, START)
    assert await bucket_of(store, "/a", Tier.SECOND, START) == 1
    assert await bucket_of(store, "/a/", Tier.SECOND, START) == 1
    for dimension, values in {
        "referrer": {"example.net": 1},
        "campaign": {"spring": 1},
        "browser": {"Firefox": 2},
        "system": {"Windows": 2},
        "device": {"desktop": 2},
        "country": {"AT": 2},
        OUTCOME: {"bot": 1, "not-a-page": 1, "unreadable": 2},
    }.items():
        assert dict((await store.breakdown(SITE, WHOLE_SITE, dimension, Span(Tier.DAY, 1), 9)).values) == values
    day = Tier.DAY.start(START)
    assert (await store.visitors(SITE, WHOLE_SITE, Tier.DAY, day, day + 1)).points == [(day, 2)]


async def test_the_first_form_of_goatcounter_is_read_too(store: Store, importing: Importing) -> None:
    """Its columns are found by their names."""
    row = f'/a,T,false,0,s,true,,,Chrome 90,"390,800,3",US,{NOW}\n'
    assert await importing(HEAD_1 + row) == Found(1, 0, {}, START, START)
    assert await bucket_of(store, "/a", Tier.SECOND, START) == 1
    assert (await store.breakdown(SITE, WHOLE_SITE, "device", Span(Tier.DAY, 1), 9)).values == [("phone", 1)]


async def test_an_export_counts_once_and_one_that_has_grown_what_is_new(store: Store, importing: Importing) -> None:
    """Whatever the parts it was read in."""
    rows = [view(f"/{n}", session=str(n)) for n in range(ROWS_AT_ONCE + 10)]
    assert await importing(HEAD_2 + "".join(rows[:700])) == Found(700, 0, {}, START, START)
    assert await importing(HEAD_2 + "".join(rows)) == Found(ROWS_AT_ONCE + 10 - 700, 700, {}, START, START)
    assert await importing(HEAD_2 + "".join(rows)) == Found(0, ROWS_AT_ONCE + 10, {}, None, None)
    assert (await count_of(store, WHOLE_SITE)).total == ROWS_AT_ONCE + 10
    other = await importing(HEAD_2 + view("/other", session="another export"))
    assert other == Found(1, 0, {}, START, START)


async def test_days_of_plausible_count_once_each(store: Store, importing: Importing) -> None:
    """At noon of their days, however the rows are ordered; a later export counts the days that are new."""
    noon = Tier.DAY.start(START - DAY) + DAY // 2
    rows = [f'"{DAY_BEFORE}","h","/a",1,1,5\n', '"2020-02-29","h","/a",1,1,2\n', f'"{DAY_BEFORE}","www.h","/a",1,1,1\n']
    found = await importing(DAYS + "".join(rows) + '"2020-02-30","h","/b",1,1,2\n"x","h","/b",1,1,2\n')
    assert (found.counted, found.already, found.dropped) == (8, 0, {"unreadable": 2})
    assert await bucket_of(store, "/a", Tier.DAY, noon) == await bucket_of(store, "/a", Tier.HOUR, noon) == 6
    again = await importing(DAYS + "".join(reversed(rows)) + '"2020-03-01","h","/a",1,1,9\n')
    assert (again.counted, again.already) == (9, 8)
    assert (await count_of(store, "/a")).total == (await count_of(store, WHOLE_SITE)).total == 17
    assert await dumped(store, Section.VIEWS, Tier.SECOND) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (HEAD_1, Kind.GOATCOUNTER),
        (HEAD_2, Kind.GOATCOUNTER),
        (DAYS, Kind.PLAUSIBLE),
        ("date,page,pageviews\r\n", Kind.PLAUSIBLE),
        (HEAD_2.replace("2Path", "3Path"), None),
        ("date,visitors\n", None),
        ('192.0.2.1 - - [18/Mar/2026:14:25:30 +0000] "GET / HTTP/1.1" 200 10\n', None),
        ("", None),
        ('"', None),
    ],
)
def test_an_export_is_told_by_its_first_line(line: str, kind: Kind | None) -> None:
    """GoatCounter's forms 1 and 2, and Plausible's table of pages; nothing else."""
    assert kind_of(line) is kind


@pytest.mark.parametrize(
    ("text", "mend"), [(HEAD_2.replace("2P", "3P"), "version 3"), ("a,b\n", "names the columns of no export")]
)
async def test_another_form_is_refused(importing: Importing, text: str, mend: str) -> None:
    """A later version by its number."""
    with pytest.raises(BadInput, match=mend):
        await importing(text)
