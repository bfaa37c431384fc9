"""
Every write of a run, ten million of them if need be, in columns.

A column holds plain numbers side by side: 29 bytes for a write, where an
object for each would take ten times that. One write is made into an object
when it is looked at.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import islice
from operator import eq, le

import msgspec
import numpy as np
from numpy.typing import NDArray

from drill import columns
from drill.columns import Instants, Mask
from drill.model import Fate, History, Sample

_FATES = (Fate.REFUSED, Fate.UNKNOWN, Fate.ACKNOWLEDGED)  # a later one outweighs an earlier one
_RANK = {fate: n for n, fate in enumerate(_FATES)}
_CHUNK = 4096  # writes turned at a time
_PIECE = 1 << 18  # ids looked up at a time
_RANKS = np.array([_RANK[fate or Fate.UNKNOWN] for fate in columns.FATES], np.uint8)


class Write(msgspec.Struct, frozen=True, gc=False):
    """One attempted write: when it was sent, when its answer was there, and who gave it."""

    id: int
    fate: Fate
    sent: int
    ended: int
    served_by: str | None = None


class Writes(Mapping[int, Write]):
    """Writes by id, in the order of their ids."""

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        """Raises ValueError when ids do not increase."""
        ids, sent, ended, servers = array("q"), array("q"), array("q"), array("i")
        ranks = bytearray()
        number: dict[str | None, int] = {}
        for write in writes:
            if ids and write.id <= ids[-1]:
                raise ValueError(f"the id {write.id} does not follow {ids[-1]}")
            ids.append(write.id)
            ranks.append(_RANK[write.fate])
            sent.append(write.sent)
            ended.append(write.ended)
            servers.append(number.setdefault(write.served_by, len(number)))
        self.ids, self.sent, self.ended = (np.frombuffer(column, np.int64) for column in (ids, sent, ended))
        self._ranks, self._servers = np.frombuffer(ranks, np.uint8), np.frombuffer(servers, np.int32)
        self._names: Sequence[str | None] = list(number)

    @classmethod
    def beside(
        cls,
        ids: Instants,
        ranks: NDArray[np.uint8],
        sent: Instants,
        ended: Instants,
        servers: NDArray[np.int32],
        names: Sequence[str | None],
    ) -> Writes:
        """Columns that stand beside each other, their ids increasing; they are kept, not copied."""
        found = cls()
        found.ids, found.sent, found.ended = ids, sent, ended
        found._ranks, found._servers, found._names = ranks, servers, names
        return found

    def only(self, which: Mask) -> Writes:
        """Those that a mask says."""
        return Writes.beside(
            self.ids[which],
            self._ranks[which],
            self.sent[which],
            self.ended[which],
            self._servers[which],
            self._names,
        )

    def are(self, fate: Fate) -> Mask:
        found: Mask = self._ranks == _RANK[fate]
        return found

    def edges(self) -> Writes:
        """Of each server's writes, those that were sent first and last, and those answered first and last."""
        found: list[NDArray[np.intp]] = []
        for instants in (self.sent, self.ended):
            order = np.lexsort((instants, self._servers))
            begins = np.flatnonzero(np.diff(self._servers[order], prepend=-1))
            found += [order[begins], order[np.append(begins[1:], len(order))[: len(begins)] - 1]]
        mask = np.zeros(len(self), np.bool_)
        mask[np.concatenate(found)] = True
        return self.only(mask)

    def _at(self, n: int) -> Write:
        return next(self.each(n, n + 1))

    def _place(self, id: object) -> int | None:
        if not isinstance(id, int):
            return None
        # Through a memoryview, an id of more than 64 bits is merely none of these.
        n = bisect_left(self.ids.data, id)
        return n if n < len(self.ids) and self.ids[n] == id else None

    def __contains__(self, id: object) -> bool:
        return self._place(id) is not None

    def __getitem__(self, id: int) -> Write:
        n = self._place(id)
        if n is None:
            raise KeyError(id)
        return self._at(n)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.data)

    def __len__(self) -> int:
        return len(self.ids)

    def values(self) -> ValuesView[Write]:
        return _Values(self)

    def items(self) -> ItemsView[int, Write]:
        return _Items(self)

    def each(self, start: int = 0, stop: int | None = None) -> Iterator[Write]:
        """Every write, in the order of ids."""
        stop = len(self) if stop is None else stop
        for first in range(start, stop, _CHUNK):
            last = min(first + _CHUNK, stop)
            columns = (self.ids, self._ranks, self.sent, self.ended, self._servers)
            for id, rank, sent, ended, number in zip(*(each[first:last].tolist() for each in columns), strict=True):
                yield Write(id, _FATES[rank], sent, ended, self._names[number])

    def count(self, fate: Fate) -> int:
        return int(np.count_nonzero(self.are(fate)))


class _Values(ValuesView[Write]):
    def __init__(self, writes: Writes) -> None:
        super().__init__(writes)
        self._writes = writes

    def __iter__(self) -> Iterator[Write]:
        return self._writes.each()


class _Items(ItemsView[int, Write]):
    def __init__(self, writes: Writes) -> None:
        super().__init__(writes)
        self._writes = writes

    def __iter__(self) -> Iterator[tuple[int, Write]]:
        return ((write.id, write) for write in self._writes.each())


class Ids:
    """
    Ids that a store holds; a set of ten million would take half a gigabyte.

    Attributes:
        repeated: How often an id stands there once more.
    """

    def __init__(self, found: Sequence[int]) -> None:
        ordered = found if all(map(le, found, islice(found, 1, None))) else sorted(found)
        self.repeated: int = sum(map(eq, ordered, islice(ordered, 1, None)))
        self._ids: Sequence[int]
        try:
            self._ids = array("q", ordered)
        except OverflowError:
            # Not ours: we write none that long. But it was found, so it is told.
            self._ids = ordered

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, int):
            return False
        n = bisect_left(self._ids, id)
        return n < len(self._ids) and self._ids[n] == id

    def __len__(self) -> int:
        return len(self._ids) - self.repeated

    def among(self, ids: Instants) -> Mask:
        """Which of *ids*, which increase, are among these."""
        return _among(ids, self._short())

    def without(self, ids: Instants) -> list[int]:
        """Those of these that are not among *ids*, which increase; each once."""
        short = self._short()
        fresh = np.append(True, np.diff(short) > 0)[: len(short)]
        long = [id for id in dict.fromkeys(self._ids) if not -_FAR <= id < _FAR] if len(short) < len(self._ids) else []
        return sorted([*short[fresh & ~_among(short, ids)].tolist(), *long])

    def _short(self) -> Instants:
        """Those of 64 bits: all, but for what somebody else wrote."""
        if isinstance(self._ids, array):
            return np.frombuffer(self._ids, np.int64)
        return np.array([id for id in self._ids if -_FAR <= id < _FAR], np.int64)


_FAR = 1 << 63


def _among(ids: Instants, others: Instants) -> Mask:
    """Which of *ids* are among *others*; both increase."""
    found = np.zeros(len(ids), np.bool_)
    # Piece by piece: of ten million, what is found on the way would take more room than all that is kept.
    for start in range(0, len(ids) if len(others) else 0, _PIECE):
        piece = ids[start : start + _PIECE]
        places = np.minimum(np.searchsorted(others, piece), len(others) - 1)
        found[start : start + _PIECE] = others[places] == piece
    return found


def writes_of(samples: Iterable[Sample]) -> Writes:
    """
    Every write that was sent, by id.

    One whose fate is not told is unknown. Should one id have been sent twice,
    one acknowledgement is enough, and one unknown end outweighs a refusal.
    """
    seen = columns.of(samples)
    seen = seen.where((seen.id != columns.NEVER) & seen.was_sent)
    if not np.all(seen.id[1:] > seen.id[:-1]):
        # Of those with one id, the best fate first, and of equal ones the earlier.
        order = np.lexsort((-_RANKS[seen.fate].astype(np.int64), seen.id))
        seen = seen.where(order[np.append(True, np.diff(seen.id[order]) > 0)])
    rank = _RANKS[seen.fate]
    never = seen.ended == columns.NEVER
    ended = np.where(never, seen.sent, seen.ended) if never.any() else seen.ended
    return Writes.beside(seen.id, rank, seen.sent, ended, seen.served_by, seen.words)


@dataclass(frozen=True, slots=True)
class _WritesOf:
    """What is asked of a history: equal for equal probes, so that it is found once."""

    probe: str

    def __call__(self, history: History) -> Writes:
        return writes_of(history.samples(self.probe))


def written(history: History, probe: str) -> Writes:
    """The writes of one probe of a run."""
    return history.once(_WritesOf(probe))
