"""Importing a server's access log, each of its lines once.

A log is known by its first line, and a line by where it begins. The log is read in parts; a part is one batch whose writer is the
hash of the first line and whose sequence is the byte at which the part ends. So the same file counts once however often it is
imported, a file that has grown counts what it has grown by, and an import that was cut goes on where it was. This module knows
lines, judgements, batches and the store contract; it knows no files, no command line and no settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Protocol, TypeVar

from footfall.errors import BadInput, StoreUnavailable
from footfall.importer.lines import MAX_LINE_BYTES, Line, Lines, parts_of, read_lines
from footfall.importer.tally import Summary, Tally
from footfall.intake.logs import Format, Judgement, LogJudge, told_format
from footfall.intake.logs.judging import COUNTED, UNREADABLE
from footfall.model import Batch, Drop, Receipt, SiteBatch, Traits, View

#: How often a call is tried while the store is unavailable, and how long to wait in between, in seconds: first, and at most,
#: after it was doubled each time.
ATTEMPTS = 6
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0

T = TypeVar("T")

_Judged = tuple[Line, Judgement]


class Target(Protocol):
    """What an import asks of a store."""

    async def commit(self, batch: Batch) -> Receipt:
        """See `Store.commit`."""
        ...

    async def applied(self, site: str, writer: str) -> int:
        """See `Store.applied`."""
        ...


class DryRun:
    """A store that is asked what it has, and given nothing."""

    def __init__(self, store: Target) -> None:
        self.applied = store.applied

    async def commit(self, batch: Batch) -> Receipt:
        """Leave it."""
        del batch
        return {}


class Source:
    """One log: the writer it is committed under, its format once it is known, and up to which byte each site has it."""

    def __init__(self, first_line: bytes, form: Format | None = None) -> None:
        self.writer = writer_of(first_line)
        self.form = form
        self.applied: dict[str, int] = {}


class Import:
    """Imports logs into `store`, and sums up what it finds in them.

    Lines are read as `form` says; where it is None, the first lines that can be read tell it of each log. Calls to the store are
    tried `attempts` times, with `pause` (seconds) in between, but not once more when it is time to stop, which `is_stopped` says.
    """

    def __init__(
        self,
        store: Target,
        judge: LogJudge,
        form: Format | None = None,
        *,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._judge = judge
        self._form = form
        self._attempts = attempts
        self._pause = pause
        self._is_stopped = is_stopped
        self._tally = Tally()

    def summary(self) -> Summary:
        """What was found up to now."""
        return self._tally.summary()

    def begin(self, first_line: bytes) -> Source:
        """A log that begins with this line, without its end."""
        return Source(first_line, self._form)

    async def read(self, lines: Lines, *, progress: Callable[[int], None] | None = None) -> Source | None:
        """Import a log from its beginning to its end, or until it is time to stop; None where it is empty.

        `progress` is told after each part how many bytes have been read. A last line that has no end is taken if it can be read
        as it is; else it is called unreadable and left for the next import.

        Raises StoreUnavailable where the store stayed so, and BadInput where the log can't be read on. What was committed until
        then is counted; the next import of the log goes on behind it.
        """
        source = None
        for part in parts_of(read_lines(lines)):
            source = source or self.begin(part[0].content)
            await self.take(source, part)
            if progress is not None:
                progress(part[-1].end)
            if self._is_stopped():
                break
        return source

    async def reached(self, first_line: bytes, sites: AbstractSet[str]) -> int:
        """Up to which byte a log that begins with this line has been imported, for whichever of the sites."""
        source = self.begin(first_line)
        await self._ask(source, sites, 1)
        return max(source.applied.values(), default=0)

    async def take(self, source: Source, part: Sequence[Line]) -> None:
        """Import some lines that follow each other. Raises StoreUnavailable, and BadInput where no site can be told."""
        form = source.form = source.form or told_format([line.content for line in part if len(line.content) <= MAX_LINE_BYTES])
        only = None if form and form.tells_host else self._judge.otherwise
        if form and not form.tells_host and only is None:
            raise BadInput("site", f"the format of the log ({form.name}) names no host; say whose log it is")
        end = part[-1].end if part[-1].is_ended or self._judged(part[-1:], form)[0][1].rule != UNREADABLE else part[-1].start
        by_site: dict[str | None, list[_Judged]] = defaultdict(list)
        if only is None:
            for each in self._judged(part, form):
                by_site[each[1].outcome.site].append(each)
            await self._ask(source, by_site.keys(), end)
        else:  # all lines are of one site: those that it has already need not be judged
            await self._ask(source, {only}, end)
            left = [line for line in part if line.start >= source.applied[only]]
            self._tally.pass_over(len(part) - len(left))
            by_site[only] = self._judged(left, form)
        batch = {}
        furthest = max(source.applied.values(), default=0)  # lines of no site are dealt with as far as those of any
        for site, judged in by_site.items():
            new = self._new(judged, furthest if site is None else source.applied[site])
            if new and new[-1][0].start >= end:  # a last line that was cut is left for the next time
                new.pop()
            if new and site is not None and form is not None:
                batch[site] = summed([judgement.outcome for _, judgement in new])
        if batch:
            await self._insist(partial(self._store.commit, Batch(source.writer, end, batch, lasting=True)))
            source.applied.update(dict.fromkeys(batch, end))

    def _judged(self, lines: Sequence[Line], form: Format | None) -> list[_Judged]:
        judge = self._judge.judge
        if form is None:
            return [(line, judge(None)) for line in lines]
        read = form.read
        return [(line, judge(read(line.content) if len(line.content) <= MAX_LINE_BYTES else None)) for line in lines]

    def _new(self, judged: list[_Judged], applied: int) -> list[_Judged]:
        """The lines that begin at byte `applied` or behind it. All are summed up."""
        new = judged if judged and judged[0][0].start >= applied else [each for each in judged if each[0].start >= applied]
        self._tally.pass_over(len(judged) - len(new))
        rules = Counter([judgement.rule for _, judgement in new])
        outcomes = [judgement.outcome for _, judgement in new if judgement.rule == COUNTED]
        self._tally.take(rules, [outcome for outcome in outcomes if isinstance(outcome, View)])
        if rules[UNREADABLE]:
            self._tally.show(line for line, judgement in new if judgement.rule == UNREADABLE)
        return new

    async def _ask(self, source: Source, sites: AbstractSet[str | None], end: int) -> None:
        """Ask up to which byte sites have a log, where they were behind byte `end`: another import may be under way."""
        for site in sites:
            if site is not None and source.applied.get(site, -1) < end:
                source.applied[site] = await self._insist(partial(self._store.applied, site, source.writer))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call again and again while the store is unavailable."""
        seconds = FIRST_PAUSE
        for _ in range(self._attempts - 1):
            with contextlib.suppress(StoreUnavailable):
                return await call()
            await self._pause(seconds)
            if self._is_stopped():
                break
            seconds = min(2 * seconds, LONGEST_PAUSE)
        return await call()


def summed(outcomes: Sequence[View | Drop]) -> SiteBatch:
    """What views of one site with times of their own, and drops, add up to."""
    timed: dict[tuple[str, int], int] = defaultdict(int)
    traits: dict[tuple[str, int | None, Traits], int] = defaultdict(int)
    visitors: dict[tuple[str, int | None], set[int]] = defaultdict(set)
    dropped: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            dropped[outcome.reason.value] += 1
        elif outcome.at is not None:
            timed[outcome.page, outcome.at] += 1
            if outcome.traits:
                traits[outcome.page, outcome.at, outcome.traits] += 1
            if outcome.visitor is not None:
                visitors[outcome.page, outcome.at].add(outcome.visitor)
    return SiteBatch(timed=timed, traits=traits, visitors=visitors, outcomes=dropped)


def writer_of(first_line: bytes) -> str:
    """The name under which a log is committed, from its first line without the end."""
    return "import:" + hashlib.sha256(first_line).hexdigest()


async def import_log(
    lines: Lines,
    store: Target,
    judge: LogJudge,
    form: Format | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    attempts: int = ATTEMPTS,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Summary:
    """Import one log to its end; see `Import` and `Import.read`."""
    importing = Import(store, judge, form, attempts=attempts, pause=pause)
    await importing.read(lines, progress=progress)
    return importing.summary()
