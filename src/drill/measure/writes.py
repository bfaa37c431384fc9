"""
Every write of a run, ten million of them if need be, in columns.

A column holds plain numbers side by side: 26 bytes for a write, where an
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
from drill.columns import Instants
from drill.model import Fate, History, Sample

_FATES = (Fate.REFUSED, Fate.UNKNOWN, Fate.ACKNOWLEDGED)  # a later one outweighs an earlier one
_RANK = {fate: n for n, fate in enumerate(_FATES)}
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
        self._ids = array("q")
        self._sent = array("q")
        self._ended = array("q")
        self._fates = bytearray()
        self._servers = array("H")
        self._names: list[str | None] = []
        self._number: dict[str | None, int] = {}
        newest = None
        for write in writes:
            if newest is not None and write.id <= newest:
                raise ValueError(f"the id {write.id} does not follow {newest}")
            newest = write.id
            self._add(write.id, _RANK[write.fate], write.sent, write.ended, write.served_by)

    def _add(self, id: int, rank: int, sent: int, ended: int, served_by: str | None) -> None:
        self._ids.append(id)
        self._fates.append(rank)
        self._sent.append(sent)
        self._ended.append(ended)
        number = self._number.get(served_by)
        if number is None:
            number = self._number[served_by] = len(self._names)
            self._names.append(served_by)
            if number == 1 << 16:
                # A server that says another name each time: rare enough to pay for.
                self._servers = array("L", self._servers)
        self._servers.append(number)

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
        """Columns that stand beside each other, their ids increasing."""
        found = cls()
        for column, numbers in ((found._ids, ids), (found._sent, sent), (found._ended, ended)):
            column.frombytes(numbers.tobytes())
        found._fates += ranks.tobytes()
        found._names = list(names)
        wide = len(names) > 1 << 16
        found._servers = array("L" if wide else "H", servers.astype(np.uint64 if wide else np.uint16).tobytes())
        return found

    def _at(self, n: int) -> Write:
        return Write(self._ids[n], _FATES[self._fates[n]], self._sent[n], self._ended[n], self._names[self._servers[n]])

    def _place(self, id: object) -> int | None:
        if not isinstance(id, int):
            return None
        n = bisect_left(self._ids, id)
        return n if n < len(self._ids) and self._ids[n] == id else None

    def __contains__(self, id: object) -> bool:
        return self._place(id) is not None

    def __getitem__(self, id: int) -> Write:
        n = self._place(id)
        if n is None:
            raise KeyError(id)
        return self._at(n)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def values(self) -> ValuesView[Write]:
        return _Values(self)

    def items(self) -> ItemsView[int, Write]:
        return _Items(self)

    def each(self) -> Iterator[Write]:
        """Every write, in the order of ids."""
        columns = zip(self._ids, self._fates, self._sent, self._ended, self._servers, strict=True)
        for id, rank, sent, ended, number in columns:
            yield Write(id, _FATES[rank], sent, ended, self._names[number])

    def count(self, fate: Fate) -> int:
        return self._fates.count(_RANK[fate])


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

    def beside(self, ids: Iterable[int]) -> Iterator[bool]:
        """For each of *ids*, which increase, whether it is among these."""
        mine = iter(self._ids)
        here = next(mine, None)
        for id in ids:
            while here is not None and here < id:
                here = next(mine, None)
            yield here == id

    def without(self, ids: Iterable[int]) -> list[int]:
        """Those of these that are not among *ids*, which increase."""
        others = iter(ids)
        other = next(others, None)
        found = []
        newest = None
        for id in self._ids:
            while other is not None and other < id:
                other = next(others, None)
            if other != id and id != newest:
                found.append(id)
            newest = id
        return found


def writes_of(samples: Iterable[Sample]) -> Writes:
    """
    Every write that was sent, by id.

    One whose fate is not told is unknown. Should one id have been sent twice,
    one acknowledgement is enough, and one unknown end outweighs a refusal.
    """
    seen = columns.of(samples)
    seen = seen.where((seen.id != columns.NEVER) & seen.was_sent)
    rank = _RANKS[seen.fate]
    # Of those with one id, the best fate first, and of equal ones the earlier.
    order = np.lexsort((-rank.astype(np.int64), seen.id))
    first = np.append(True, np.diff(seen.id[order]) > 0)[: len(seen)]
    order = order[first]
    seen, rank = seen.where(order), rank[order]
    ended = np.where(seen.ended == columns.NEVER, seen.sent, seen.ended)
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
