"""Workers change how long an import takes and nothing else: what they judge comes to what the import alone would have found, and
an import goes on without them when they end; on every store.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import pairwise
from multiprocessing.process import BaseProcess
from typing import cast

import pytest

from footfall.errors import BadInput, StoreUnavailable
from footfall.importing import MAX_LINE_BYTES, Summary, Workers, import_log, lines
from footfall.importing.formats import Format, format_named
from footfall.importing.lines import Line
from footfall.importing.sums import Sums
from footfall.importing.workers import LARGE_BYTES, PARTS_ALONE
from footfall.model import DAY, Section
from footfall.stores import Store
from footfall.stores.memory import MemoryStore
from tests.contract.conftest import OTHER_SITE, SITE, START, Clock
from tests.contract.importing.test_importer import Cut, Failing, logged, long_log, total
from tests.contract.test_dump import PARTS, dumped
from tests.unit.importing.logs_given import recipe_of

#: Of today and no other day: lines of yesterday have no visitors.
SALTS = {START // DAY: bytes(32)}

#: Lines of a part here, so that some lines are many parts.
LINES_OF_A_PART = 20

RECIPE = recipe_of(None, SITE, OTHER_SITE, salts=SALTS)
RECIPE_OF_ONE = recipe_of(SITE, SITE, salts=SALTS)


class Seen(Workers):
    """Workers of which is known how many parts they took, and which processes they are."""

    taken = 0
    processes: Sequence[BaseProcess] = ()

    def offer(self, form: Format, part: Sequence[Line]) -> Future[dict[str | None, Sums]] | None:
        offered = super().offer(form, part)
        self.taken += offered is not None
        return offered

    def get_ready(self) -> None:
        """Wait until they judge what is offered."""
        nothing = [Line(0, 0, b"", True)]
        before = multiprocessing.active_children()
        while not self.taken:
            self.offer(cast("Format", Named()), nothing)
            time.sleep(0.001)
        self.taken = 0
        self.processes = [child for child in multiprocessing.active_children() if child not in before]


class Named:
    """A format, as far as workers ask for it."""

    written = "combined"


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PART_LINES", LINES_OF_A_PART)


def ready(recipe_is_of_one: bool) -> Iterator[Seen]:
    with Seen(RECIPE_OF_ONE if recipe_is_of_one else RECIPE, 2, LARGE_BYTES) as workers:
        workers.get_ready()
        yield workers


@pytest.fixture(scope="module")
def of_two() -> Iterator[Seen]:
    yield from ready(False)


@pytest.fixture(scope="module")
def of_one() -> Iterator[Seen]:
    yield from ready(True)


@pytest.fixture
def mortal() -> Iterator[Seen]:
    """Workers for a test that ends some of them."""
    yield from ready(True)


def made_up(number: int, chance: random.Random) -> bytes:
    """A log of two sites, and of everything else that may stand in one."""
    agents = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Googlebot/2.1", "Mozilla/5.0 (iPhone) Safari/605.1.15", "-"]
    found = []
    for _ in range(number):
        at = START - chance.choice([5, 5, 6, 3600, DAY, 40 * DAY])
        line = logged(at, f"/{chance.randrange(5)}", chance.choice([200, 200, 200, 304, 404]), chance.choice(agents))
        host = chance.choice([b"example.com:443 ", b"example.com ", b"EXAMPLE.org ", b"example.net "])
        address = f"192.0.2.{chance.randrange(9)}".encode()
        odd = [b"what?\n", b"\n", b"x" * (MAX_LINE_BYTES + 5) + b"\n", line, b"\xff\xfe\n"]
        found.append(chance.choice(odd) if chance.random() < 0.1 else host + line.replace(b"192.0.2.1", address))
    return b"".join([b"example.com " + logged(), *found])


async def contents(store: Store) -> list[object]:
    """All that a store has of both sites. How many visitors there were is an estimate, of each store by its own registers."""
    found: list[object] = []
    for section, tier in PARTS:
        for site in (SITE, OTHER_SITE):
            rows = await dumped(store, section, tier, site=site)
            is_estimate = section is Section.VISITORS
            found.append([(*row[:-1], About(int(row[-1]))) for row in rows] if is_estimate else rows)
    return found


class About(int):
    """An estimate, equal to others that are as near as the store contract says: three standard errors, or one visitor."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and abs(int(self) - int(other)) <= max(1, 0.048 * int(other))

    def __hash__(self) -> int:
        return 0


# As without them


@pytest.mark.parametrize("seed", range(4))
async def test_an_import_finds_and_commits_what_it_would_alone(store: Store, clock: Clock, of_two: Seen, seed: int) -> None:
    """A log that grows, at any byte; a site that is added; all again: the same summaries, and the same numbers in the store."""
    chance = random.Random(seed)
    alone = MemoryStore(clock)
    log = made_up(30 * LINES_OF_A_PART, chance)
    ends = sorted(chance.sample(range(len(log)), 2))
    taken_before = of_two.taken
    form = format_named("vhost-combined")
    one_site = recipe_of(None, SITE, salts=SALTS)
    for into in (alone, store):
        await import_log(io.BytesIO(log[: ends[0]]), into, one_site.judge(), form)
    for end in (ends[1], len(log), len(log)):
        expected = await import_log(io.BytesIO(log[:end]), alone, RECIPE.judge(), form)
        assert await import_log(io.BytesIO(log[:end]), store, RECIPE.judge(), form, workers=of_two) == expected
        assert await contents(store) == await contents(alone)
    assert of_two.taken - taken_before > 30


@pytest.mark.parametrize("seed", range(2))
async def test_a_log_that_names_no_host(store: Store, clock: Clock, of_one: Seen, seed: int) -> None:
    """It is known whose the lines are: those that were imported already are not judged again."""
    chance = random.Random(seed)
    log = made_up(20 * LINES_OF_A_PART, chance).replace(b"example.com ", b"").replace(b"example.com:443 ", b"")
    alone = MemoryStore(clock)
    for end in (len(log) // 2, len(log), len(log)):
        of_one.taken = 0
        expected = await import_log(io.BytesIO(log[:end]), alone, RECIPE_OF_ONE.judge())
        assert await import_log(io.BytesIO(log[:end]), store, RECIPE_OF_ONE.judge(), workers=of_one) == expected
        assert await contents(store) == await contents(alone)
        assert (of_one.taken > 5) == (expected.counted > 0)


async def test_progress_is_told_part_by_part(store: Store, of_one: Seen) -> None:
    """In order, whichever worker is done first."""
    log = long_log(30 * LINES_OF_A_PART)
    alone: list[int] = []
    await import_log(io.BytesIO(log), MemoryStore(lambda: START), RECIPE_OF_ONE.judge(), progress=alone.append)
    told: list[int] = []
    of_one.taken = 0
    await import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), progress=told.append, workers=of_one)
    assert of_one.taken > 20
    assert told == alone
    assert len(told) == 30


async def test_two_imports_at_once_count_once(store: Store, of_one: Seen) -> None:
    """One with workers, one without."""
    log = long_log(30 * LINES_OF_A_PART)
    of_one.taken = 0
    both = [import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), workers=workers) for workers in (of_one, None)]
    await asyncio.gather(*both)
    assert of_one.taken
    assert await total(store) == 30 * LINES_OF_A_PART


# Trouble


async def test_what_was_read_before_a_log_could_not_be_read_on_is_counted(store: Store, of_one: Seen) -> None:
    """All whole parts, though they were under way when it was seen."""
    log = long_log(30 * LINES_OF_A_PART)
    of_one.taken = 0
    with pytest.raises(BadInput, match=r"^log: can't be read beyond byte"):
        await import_log(Cut(log, len(log) - 10), store, RECIPE_OF_ONE.judge(), workers=of_one)
    assert of_one.taken > 20
    assert await total(store) == 29 * LINES_OF_A_PART
    assert (await import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), workers=of_one)).counted == LINES_OF_A_PART


async def test_a_store_that_goes_away_ends_the_import_and_the_next_goes_on(store: Store, of_one: Seen) -> None:
    """What was under way is forgotten."""
    log = long_log(30 * LINES_OF_A_PART)
    away = cast("Store", Failing(store, *[""] * 20, "before"))
    with pytest.raises(StoreUnavailable):
        await import_log(io.BytesIO(log), away, RECIPE_OF_ONE.judge(), workers=of_one, attempts=1)
    before = await total(store)
    assert 0 < before < len(log.splitlines())
    found = await import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), workers=of_one)
    assert (found.already, await total(store)) == (before, 30 * LINES_OF_A_PART)


async def test_workers_that_are_killed_are_done_without(store: Store, mortal: Seen) -> None:
    """In the midst of their parts."""
    log = long_log(60 * LINES_OF_A_PART)
    told = 0

    def progress(_: int) -> None:
        nonlocal told
        told += 1
        if told == 20:
            mortal.processes[0].kill()

    found = await import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), progress=progress, workers=mortal)
    assert found == Summary(1200, 0, 1200, {}, found.first, found.last, {"view": 1200}, {SITE: 1200})
    assert await total(store) == 1200
    assert 15 < mortal.taken < 50


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("multiprocessing.process.BaseProcess.start", OSError(11, "Resource temporarily unavailable")),
        ("multiprocessing.resource_tracker.ensure_running", OSError(11, "Resource temporarily unavailable")),
        ("multiprocessing.context.BaseContext.Pipe", OSError(24, "Too many open files")),
        ("threading.Thread.start", RuntimeError("can't start new thread")),
    ],
    ids=["process", "its keeper", "pipe", "thread"],
)
async def test_workers_that_can_not_be_started_are_done_without(
    monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    """What the machine has no more of does not matter; nothing that was started stays."""

    def fail(*_: object, **__: object) -> None:
        raise error

    store = MemoryStore(lambda: START)
    before = multiprocessing.active_children()
    log = long_log(30 * LINES_OF_A_PART)
    with Seen(RECIPE_OF_ONE, 2, LARGE_BYTES) as workers, monkeypatch.context() as changed:
        changed.setattr(what, fail)
        found = await import_log(io.BytesIO(log), store, RECIPE_OF_ONE.judge(), workers=workers)
    assert (found.counted, workers.taken) == (30 * LINES_OF_A_PART, 0)
    assert await total(store) == 30 * LINES_OF_A_PART
    assert multiprocessing.active_children() == before


# When they start and end


async def test_a_short_log_starts_none() -> None:
    """Nor does `Workers` with none."""
    for number, parts in ((2, PARTS_ALONE), (0, PARTS_ALONE + 9)):
        before = multiprocessing.active_children()
        with Seen(RECIPE_OF_ONE, number, LARGE_BYTES - 1) as workers:
            log = io.BytesIO(long_log(parts * LINES_OF_A_PART))
            await import_log(log, MemoryStore(lambda: START), RECIPE_OF_ONE.judge(), workers=workers)
            assert multiprocessing.active_children() == before
        assert workers.taken == 0


def test_they_are_gone_when_they_are_closed(mortal: Seen) -> None:
    """Also in the midst of a part."""
    assert [process.is_alive() for process in mortal.processes] == [True, True]
    part = [Line(place, end, logged()[:-1], True) for place, end in pairwise(range(100_001))]
    assert mortal.offer(cast("Format", Named()), part) is not None
    mortal.close()
    assert [process.is_alive() for process in mortal.processes] == [False, False]


def test_a_recipe_shows_no_salt() -> None:
    """It may stand in an error."""
    recipe = recipe_of(SITE, salts={1: b"a-secret"})
    assert "secret" not in f"{recipe} {recipe!r}"


async def test_a_long_log_of_unknown_length_starts_them_on_the_way() -> None:
    """As standard input is, and a packed file."""
    with Seen(RECIPE_OF_ONE, 2) as workers:
        line = logged()

        class Waiting(io.BytesIO):
            """A log without an end that stops when workers have judged some of it."""

            def readline(self, *_: object) -> bytes:
                return line if workers.taken < 5 else b""

        found = await import_log(Waiting(), MemoryStore(lambda: START), RECIPE_OF_ONE.judge(), workers=workers)
    assert found.counted > (PARTS_ALONE + 5) * LINES_OF_A_PART
