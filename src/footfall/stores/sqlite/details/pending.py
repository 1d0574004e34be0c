"""Details of commits that wait to be added to their tables, many commits' at once.

A view has some ten details, each a row of its own bucket in some corner of the file: adding those of one commit takes ten times
as long as keeping them in one piece. So a commit appends one row to `waiting`. When many have gathered they are summed up and cut
into pieces in the order of the tables, and every commit after that adds a piece; every read adds what still waits. This module
knows what is to be added where, and nothing of which details count.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from footfall.stores.sqlite.details import statements as sql
from footfall.stores.sqlite.site_row import Known, as_json

#: What has gathered is summed up when it weighs this much. A row weighs what it has of details, and ROW besides.
MOST_WAITING = 60_000
ROW = 500

#: A piece has at most so many details.
PIECE = 2500

K = TypeVar("K")

#: Views by hour (its first second) and line.
Lines = Mapping[int, Mapping[int, int]]

#: The greatest rank by (width of the bucket, its first second) and place (page << 12 | register).
Ranks = Mapping[tuple[int, int], Mapping[int, int]]


class Waiting(NamedTuple):
    """Details to be added: `lines` are added up, `ranks` raise what is there."""

    lines: Lines
    ranks: Ranks

    @property
    def size(self) -> int:
        """How many details these are."""
        return sum(map(len, self.lines.values())) + sum(map(len, self.ranks.values()))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[dict[int, dict[int, int]], dict[tuple[int, int], dict[int, int]]]).decode
_decode_ranks = msgspec.msgpack.Decoder(tuple[msgspec.Raw, dict[tuple[int, int], dict[int, int]]]).decode


class WaitingRoom:
    """Appends what commits bring, and adds pieces of what has gathered. It remembers which pieces it has cut."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[int]] = {}

    def forget(self) -> None:
        """Pieces that were cut in a transaction that was undone are not there; others are cut again some time."""
        self._pieces.clear()

    def append(self, cx: sqlite3.Connection, known: Known, waiting: Waiting) -> None:
        """Keep a commit's details. At least as many of those that have gathered before are added."""
        size = waiting.size
        (weight,) = cx.execute(sql.WAIT, (known.id, size + ROW, _encode(waiting), known.admitted)).fetchone()
        if weight >= MOST_WAITING:
            pieces = list(_cut(gathered(cx, known)))
            cx.execute(sql.DROP_WAITING, (known.id,))
            cut = [cx.execute(sql.WAIT_CUT, (known.id, _encode(piece), known.admitted)).fetchone()[0] for piece in pieces]
            self._pieces[known.id] = cut[::-1]
        elif known.id in self._pieces:
            left = self._pieces[known.id]
            while left and size > 0:
                size -= PIECE
                for (part,) in cx.execute(sql.TAKE_WAITING, (known.id, left.pop())).fetchall():
                    _add(cx, known, Waiting(*_decode(part)))
            if not left:
                del self._pieces[known.id]


def lines_of(part: bytes) -> Lines:
    """The lines of one row."""
    lines: Lines = _decode(part)[0]
    return lines


def gathered(cx: sqlite3.Connection, known: Known) -> Waiting:
    """All that waits."""
    lines: dict[int, Counter[int]] = defaultdict(Counter)
    ranks: dict[tuple[int, int], dict[int, int]] = {}
    for (part,) in cx.execute(sql.WAITING, (known.id,)):
        of_part, ranks_of_part = _decode(part)
        for hour, views in of_part.items():
            there = lines[hour]
            there.update(views.keys())  # most lines have one view; counting keys is five times as fast as adding numbers
            for line, n in views.items():
                if n != 1:
                    there[line] += n - 1
        _raise(ranks, ranks_of_part)
    return Waiting(lines, ranks)


def gathered_lines(cx: sqlite3.Connection, known: Known, first: int, last: int) -> list[tuple[int, int, int]]:
    """(hour, line, views) of what waits for the lines from `first` to `last`; a line may be there several times."""
    return [
        (hour, line, n)
        for (part,) in cx.execute(sql.WAITING, (known.id,))
        for hour, lines in lines_of(part).items()
        for line, n in lines.items()
        if first <= line <= last
    ]


def gathered_ranks(cx: sqlite3.Connection, known: Known) -> Ranks:
    """The ranks that wait."""
    ranks: dict[tuple[int, int], dict[int, int]] = {}
    for (part,) in cx.execute(sql.WAITING, (known.id,)):
        _raise(ranks, _decode_ranks(part)[1])
    return ranks


def _raise(ranks: dict[tuple[int, int], dict[int, int]], others: dict[tuple[int, int], dict[int, int]]) -> None:
    """Raise ranks to the greatest."""
    for bucket, places in others.items():
        highest = ranks.setdefault(bucket, places)
        if highest is not places:
            for place, rank in places.items():
                if rank > highest.get(place, 0):
                    highest[place] = rank


def fold(cx: sqlite3.Connection, known: Known) -> None:
    """Add all that waits to its tables."""
    waiting = gathered(cx, known)
    if waiting.lines or waiting.ranks:
        _add(cx, known, Waiting({hour: dict(sorted(views.items())) for hour, views in waiting.lines.items()}, waiting.ranks))
        cx.execute(sql.DROP_WAITING, (known.id,))


def _add(cx: sqlite3.Connection, known: Known, waiting: Waiting) -> None:
    """Add details to their tables: lines to their hour, and to days and months where the hour is in those already."""
    rolled = {
        hour: {line: n for line, n in views.items() if (hour, line) < known.unrolled}
        for hour, views in waiting.lines.items()
        if hour <= known.hour
    }
    if waiting.lines:
        cx.execute(sql.ADD_TO_HOURS, (known.id, as_json(waiting.lines)))
    if any(rolled.values()):
        cx.execute(sql.ADD_TO_DAYS, (known.id, as_json(rolled)))
        cx.execute(sql.ADD_TO_MONTHS, (known.id, as_json(rolled)))
    if waiting.ranks:
        ranks: dict[int, dict[int, Mapping[int, int]]] = defaultdict(dict)
        for (width, start), places in waiting.ranks.items():
            ranks[width][start] = places
        cx.execute(sql.RAISE_RANKS, (known.id, as_json(ranks)))


def _cut(waiting: Waiting) -> Iterator[Waiting]:
    """Cut into pieces, in the order of the tables: so a piece changes few pages of the file, and each once."""
    for lines in _slices(waiting.lines):
        yield Waiting(lines, {})
    for ranks in _slices(waiting.ranks):
        yield Waiting({}, ranks)


def _slices(buckets: Mapping[K, Mapping[int, int]]) -> Iterator[dict[K, dict[int, int]]]:
    """The entries of buckets in their order, PIECE at once."""
    piece: dict[K, dict[int, int]] = {}
    room = PIECE
    for bucket, entries in sorted(buckets.items(), key=lambda item: item[0]):  # type: ignore[arg-type, return-value]  # int or tuple
        keys = sorted(entries)
        while keys:
            some, keys = keys[:room], keys[room:]
            piece[bucket] = dict(zip(some, map(entries.__getitem__, some), strict=True))
            room -= len(some)
            if room == 0:
                yield piece
                piece, room = {}, PIECE
    if piece:
        yield piece
