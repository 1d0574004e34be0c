"""Starting totals, on every store: added once under a name, to totals and to nothing that anybody looks at by time."""

from __future__ import annotations

from footfall.commands.seed import add_totals
from footfall.model import DAY, PERIODS, WHOLE_SITE, Batch, Receipt, Section, Span, Tier
from footfall.stores import Store
from tests.contract.conftest import SITE, Clock, Writer, count_of
from tests.contract.test_dump import dumped


class Failing:
    """A store whose commits fail after the first, as where its connection breaks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.applied = store.applied
        self.forget = store.forget
        self.commits = 0

    async def commit(self, batch: Batch) -> Receipt:
        self.commits += 1
        if self.commits == 2:
            raise ConnectionError
        return await self._store.commit(batch)


async def test_they_are_in_the_totals_alone(store: Store, writer: Writer, clock: Clock) -> None:
    """No window, minute, hour or day has them, nor the past 12 months; all time has, and so have counts that follow."""
    await writer.count({"/a": 2})
    assert await add_totals(store, SITE, {"/a": 1000, "/b": 5}, "x")
    for page, views, total in (("/a", 2, 1002), ("/b", 0, 5), (WHOLE_SITE, 2, 1007)):
        count = await count_of(store, page)
        assert (count.views, count.today, count.total) == (views, views, total)
        for tier in (Tier.SECOND, Tier.MINUTE, Tier.HOUR, Tier.DAY):
            assert sum(int(n) for _, p, n in await dumped(store, Section.VIEWS, tier) if p == page) == views
        for period in ("24h", "7d", "30d", "12mo"):
            assert sum(n for _, n in (await store.newest(SITE, page, PERIODS[period])).points) == views
    assert (await store.top(SITE, Span(Tier.TOTAL, 1), 9)).pages == [("/a", 1002), ("/b", 5)]
    clock.advance(3 * DAY)
    receipt = await writer.count({"/a": 1}, wanted=["/a"])
    assert (receipt.counts["/a"].views, receipt.counts["/a"].total) == (1, 1003)


async def test_they_are_added_once_under_a_name(store: Store, clock: Clock) -> None:
    """Also after any time; under another name they are added once more."""
    assert await add_totals(store, SITE, {"/a": 10}, "x")
    assert not await add_totals(store, SITE, {"/a": 10}, "x")
    clock.advance(60 * DAY)
    await Writer(store, "later").count({"/a": 1})
    assert not await add_totals(store, SITE, {"/a": 10}, "x")
    assert await add_totals(store, SITE, {"/a": 10}, "y")
    assert (await count_of(store, "/a")).total == 21


async def test_the_site_may_have_more_than_its_pages(store: Store, writer: Writer) -> None:
    """Its own line has them, and no page stands for them in any list."""
    await writer.count({"/a": 1})
    assert await add_totals(store, SITE, {WHOLE_SITE: 500}, "site")
    assert not await add_totals(store, SITE, {WHOLE_SITE: 500}, "site")
    assert (await count_of(store, WHOLE_SITE)).total == 501
    assert (await store.top(SITE, Span(Tier.TOTAL, 1), 9)).pages == [("/a", 1)]


async def test_what_was_cut_is_taken_up(store: Store) -> None:
    """Many pages go in parts; a part that was added is not added again when the command is run once more."""
    totals = {f"/{n}": n + 1 for n in range(2500)}
    try:
        await add_totals(Failing(store), SITE, totals, "many")  # type: ignore[arg-type]  # what seeding asks of a store
        raise AssertionError("the second part fails")
    except ConnectionError:
        pass
    assert await add_totals(store, SITE, totals, "many")
    assert (await count_of(store, WHOLE_SITE)).total == sum(totals.values())
    assert (await count_of(store, "/2499")).total == 2500
