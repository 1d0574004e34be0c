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
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from footfall.errors import BadInput, StoreUnavailable
from footfall.importing.formats import Format, told_format
from footfall.importing.judging import UNREADABLE, Judgement, LogJudge
from footfall.importing.lines import MAX_LINE_BYTES, Line, Lines, parts_of, read_lines
from footfall.importing.summary import Summary, Tally
from footfall.importing.sums import Sums, judged, places_by_site, sums_of
from footfall.importing.workers import Workers
from footfall.model import Batch, Receipt, SiteBatch

#: How often a call is tried while the store is unavailable, and how long to wait in between, in seconds: first, and at most,
#: after it was doubled each time.
ATTEMPTS = 6
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0

T = TypeVar("T")

#: What workers will say of a part.
_Offered = Future[dict[str | None, Sums]]


class _Ahead(NamedTuple):
    """A part that has been read, and what workers will say of it; None where the import judges it."""

    part: Sequence[Line]
    offered: _Offered | None


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

    async def read(
        self, lines: Lines, *, progress: Callable[[int], None] | None = None, workers: Workers | None = None
    ) -> Source | None:
        """Import a log from its beginning to its end, or until it is time to stop; None where it is empty.

        `progress` is told after each part how many bytes have been imported. A last line that has no end is taken if it can be
        read as it is; else it is called unreadable and left for the next import. `workers`, where there are any, judge as this
        import does; parts are committed in their order all the same.

        Raises StoreUnavailable where the store stayed so, and BadInput where the log can't be read on. What was committed until
        then is counted; the next import of the log goes on behind it.
        """
        source: Source | None = None
        ahead: deque[_Ahead] = deque()
        parts, trouble = parts_of(read_lines(lines)), None
        most = 1 + (workers.most_under_way if workers else 0)
        while True:
            try:
                while len(ahead) < most and not _is_due(ahead) and (part := next(parts, None)):
                    source = source or self.begin(part[0].content)
                    ahead.append(_Ahead(part, self._offered(source, part, workers)))
            except BadInput as error:  # what was read before is counted first
                trouble = error
            if source is None or not ahead:
                break
            due = ahead.popleft()
            await self._settle(source, due.part, due.offered)
            if progress is not None:
                progress(due.part[-1].end)
            if self._is_stopped():
                return source
        if trouble:
            raise trouble
        return source

    def _offered(self, source: Source, part: Sequence[Line], workers: Workers | None) -> _Offered | None:
        """Have workers judge a part; None where none does, where its end is to be looked at, or where it is imported already."""
        form = source.form
        if workers is None or form is None or not part[-1].is_ended:
            return None
        if not form.tells_host and not _is_new(part[-1], source.applied.get(self._judge.otherwise or "", 0)):
            return None
        return workers.offer(form, part)

    async def _settle(self, source: Source, part: Sequence[Line], offered: _Offered | None) -> None:
        """Import a part whose turn it is, by what workers say of it if they do."""
        sums = None
        if offered is not None:
            with contextlib.suppress(EOFError, OSError):  # the worker is no more
                sums = await asyncio.wrap_future(offered)
        if sums is None or not await self._take_sums(source, part, sums):
            await self.take(source, part)

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
        last_is_cut = not part[-1].is_ended and self._judged(part[-1:], form)[0].rule == UNREADABLE
        end = part[-1].start if last_is_cut else part[-1].end
        lines = part
        if only is not None:  # all lines are of one site: those that it has already need not be judged
            await self._ask(source, {only}, end)
            lines = [line for line in part if _is_new(line, source.applied[only])]
            self._tally.pass_over(len(part) - len(lines))
        judgements = self._judged(lines, form)
        by_site = places_by_site(judgements)
        if only is None:
            await self._ask(source, by_site.keys(), end)
        batch = {}
        furthest = _furthest(source)
        for site, places in by_site.items():
            applied = furthest if site is None else source.applied[site]
            new = places if _is_new(lines[places[0]], applied) else [place for place in places if _is_new(lines[place], applied)]
            self._tally.pass_over(len(places) - len(new))
            sums = sums_of(judgements, new)
            self._tally.take(site, sums, lines)
            if last_is_cut and new and lines[new[-1]] is part[-1]:  # it is left for the next time
                sums = sums_of(judgements, new[:-1])
            if sums.rules and site is not None and form is not None:
                batch[site] = sums.batch
        await self._commit(source, end, batch)

    async def _take_sums(self, source: Source, part: Sequence[Line], found: Mapping[str | None, Sums]) -> bool:
        """Import a part by what its lines come to; False where a site has some of them, so that each is to be looked at."""
        end = part[-1].end
        await self._ask(source, found.keys(), end)
        furthest = _furthest(source)
        applied = {site: furthest if site is None else source.applied[site] for site in found}
        if any(_is_new(part[-1], reached) and not _is_new(part[0], reached) for reached in applied.values()):
            return False
        batch = {}
        for site, sums in found.items():
            if not _is_new(part[-1], applied[site]):
                self._tally.pass_over(sums.lines)
                continue
            self._tally.take(site, sums, part)
            if site is not None:
                batch[site] = sums.batch
        await self._commit(source, end, batch)
        return True

    def _judged(self, lines: Sequence[Line], form: Format | None) -> Sequence[Judgement]:
        return judged(self._judge, form, [line.content for line in lines])

    async def _commit(self, source: Source, end: int, batch: Mapping[str, SiteBatch]) -> None:
        """Commit what the lines up to byte `end` come to that have not been committed."""
        if batch:
            await self._insist(partial(self._store.commit, Batch(source.writer, end, batch, lasting=True)))
            source.applied.update(dict.fromkeys(batch, end))

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


def _is_due(ahead: Sequence[_Ahead]) -> bool:
    """Whether the first of these parts can be imported now, before more is read."""
    return bool(ahead) and (ahead[0].offered is None or ahead[0].offered.done())


def _is_new(line: Line, applied: int) -> bool:
    """Whether a line stands behind byte `applied`, at which the last line ends that was dealt with (0: none was)."""
    return line.start >= applied and (line.end > applied or not applied)  # an empty line begins where it ends


def _furthest(source: Source) -> int:
    """Up to which byte any site has a log: lines of no site are dealt with as far."""
    return max(source.applied.values(), default=0)


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
    workers: Workers | None = None,
) -> Summary:
    """Import one log to its end; see `Import` and `Import.read`."""
    importing = Import(store, judge, form, attempts=attempts, pause=pause)
    await importing.read(lines, progress=progress, workers=workers)
    return importing.summary()
