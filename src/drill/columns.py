"""
The samples of one probe in columns: an hour of ten probes is millions of them.

A column holds plain numbers side by side: some thirty bytes for a sample, where an
object takes ten times that, and whole columns are counted and compared at once. A
sample is made when one is looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, repeat
from typing import Any, TypeAlias, TypeVar, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from drill.model import Fate, Outcome, Sample

T = TypeVar("T")
Instants: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

# In the place of an instant or an id that there is not.
NEVER = -(1 << 63)

OUTCOMES = (Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN)
FATES = (None, *Fate)
OK, FAILED, UNKNOWN = range(3)

# By identity: an enum's own hash is made anew, in Python, each time it is asked for.
_OUTCOME = {id(outcome): n for n, outcome in enumerate(OUTCOMES)}
_FATE = {id(fate): n for n, fate in enumerate(FATES)}
_CHUNK = 4096  # samples turned at a time


class Columns(Sequence[Sample]):
    """
    Samples in columns, never changed.

    Attributes:
        planned, sent, ended, id: As of a sample; NEVER where it has none.

        outcome: The place in OUTCOMES.

        fate: The place in FATES.

        detail, served_by: The place in `words`.

        value: NaN where it has none.
    """

    def __init__(
        self,
        words: Sequence[str | None],
        planned: Instants,
        sent: Instants,
        ended: Instants,
        outcome: NDArray[np.uint8],
        detail: NDArray[np.int32],
        served_by: NDArray[np.int32],
        id: Instants,
        fate: NDArray[np.uint8],
        value: NDArray[np.float64],
    ) -> None:
        self.planned, self.sent, self.ended, self.id = planned, sent, ended, id
        self.outcome, self.fate, self.value = outcome, fate, value
        self.detail, self.served_by, self.words = detail, served_by, words

    def _all(self) -> tuple[NDArray[Any], ...]:
        return (
            self.planned,
            self.sent,
            self.ended,
            self.outcome,
            self.detail,
            self.served_by,
            self.id,
            self.fate,
            self.value,
        )

    def __len__(self) -> int:
        return len(self.planned)

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Columns: ...

    def __getitem__(self, place: int | slice) -> Sample | Columns:
        if isinstance(place, slice):
            return Columns(self.words, *(column[place] for column in self._all()))
        place = range(len(self))[place]
        return next(iter(self[place : place + 1]))

    def __iter__(self) -> Iterator[Sample]:
        words = self.words
        for start in range(0, len(self), _CHUNK):
            rows = (column[start : start + _CHUNK].tolist() for column in self._all())
            for planned, sent, ended, outcome, detail, served_by, id, fate, value in zip(*rows, strict=True):
                yield Sample(
                    planned,
                    None if sent == NEVER else sent,
                    None if ended == NEVER else ended,
                    OUTCOMES[outcome],
                    words[detail] or "",
                    words[served_by],
                    None if id == NEVER else id,
                    FATES[fate],
                    None if value != value else value,
                )

    def where(self, which: Mask | Instants) -> Columns:
        """Those that a mask says, or those at these places."""
        if which.dtype == np.bool_ and which.all():
            return self
        return Columns(self.words, *(column[which] for column in self._all()))

    def by_plan(self) -> Columns:
        """Sorted by the instant each was planned for; of equal ones the first stays first."""
        if bool(np.all(self.planned[1:] >= self.planned[:-1])):
            return self
        return self.where(np.argsort(self.planned, kind="stable"))

    @cached_property
    def was_sent(self) -> Mask:
        found: Mask = self.sent != NEVER
        return found

    @cached_property
    def moments(self) -> Instants:
        """When each was sent, or should have been."""
        return np.where(self.was_sent, self.sent, self.planned)

    def are(self, outcome: int) -> Mask:
        """Which came out so: OK, FAILED or UNKNOWN."""
        found: Mask = self.outcome == outcome
        return found

    def why(self, outcome: int) -> dict[str, int]:
        """How many came out so for each reason."""
        numbers, counts = np.unique(self.detail[self.are(outcome)], return_counts=True)
        return {
            self.words[number] or "": count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        }


class Gathering:
    """Puts samples into columns as they come."""

    def __init__(self) -> None:
        self._waiting: list[Sample] = []
        self._length = 0
        self._instants = (array("q"), array("q"), array("q"))
        self._outcome = bytearray()
        self._detail, self._served_by = array("i"), array("i")
        # Begun with the first sample that has one: few probes write, and few read a number.
        self._id: array[int] | None = None
        self._fate: bytearray | None = None
        self._value: array[float] | None = None
        self._words = _Words({"": 0, None: 1})

    def add(self, samples: Iterable[Sample]) -> None:
        """Raises OverflowError for a number of more than 64 bits."""
        rest = iter(samples)
        # However many come at once, few objects of them are there at a time.
        while chunk := tuple(islice(rest, _CHUNK)):
            self._waiting.extend(chunk)
            if len(self._waiting) >= _CHUNK:
                self._turn()

    def columns(self) -> Columns:
        """All so far, in the order they came; nothing may be added afterwards."""
        if self._waiting:
            self._turn()
        none = np.broadcast_to(np.int64(NEVER), self._length)
        planned, sent, ended = (np.frombuffer(column, np.int64) for column in self._instants)
        return Columns(
            tuple(self._words),
            planned,
            sent,
            ended,
            np.frombuffer(self._outcome, np.uint8),
            np.frombuffer(self._detail, np.int32),
            np.frombuffer(self._served_by, np.int32),
            none if self._id is None else np.frombuffer(self._id, np.int64),
            np.broadcast_to(np.uint8(0), self._length) if self._fate is None else np.frombuffer(self._fate, np.uint8),
            np.broadcast_to(np.nan, self._length) if self._value is None else np.frombuffer(self._value, np.float64),
        )

    def _turn(self) -> None:
        samples, self._waiting = self._waiting, []
        # One field after the other, each in a loop of its own: half the time of turning rows into columns.
        planned, sent, ended = self._instants
        planned.extend(_numbers([each.planned for each in samples]))
        sent.extend(_numbers([each.sent for each in samples]))
        ended.extend(_numbers([each.ended for each in samples]))
        _extend(self._outcome, [each.outcome for each in samples], lambda outcome: _OUTCOME[_identity(outcome)])
        _extend(self._detail, [each.detail for each in samples], self._words.__getitem__)
        _extend(self._served_by, [each.served_by for each in samples], self._words.__getitem__)
        id = [each.id for each in samples]
        fate = [each.fate for each in samples]
        value = [each.value for each in samples]
        length = len(samples)
        if self._id is not None or id.count(None) < length:
            self._id = array("q", repeat(NEVER, self._length)) if self._id is None else self._id
            self._id.extend(_numbers(id))
        if self._fate is not None or fate.count(None) < length:
            self._fate = bytearray(self._length) if self._fate is None else self._fate
            _extend(self._fate, fate, lambda each: _FATE[_identity(each)])
        if self._value is not None or value.count(None) < length:
            self._value = array("d", repeat(float("nan"), self._length)) if self._value is None else self._value
            self._value.extend(float("nan") if each is None else each for each in value)
        self._length += length


def _extend(column: bytearray | array[int], found: Sequence[T], number: Callable[[T], int]) -> None:
    """Add the number of each; where all are the same, as they nearly always are, one is looked up."""
    if found.count(found[0]) == len(found):
        column.extend(repeat(number(found[0]), len(found)))
    else:
        column.extend(map(number, found))


_identity = id  # `id` is also a column


class _Words(dict[str | None, int]):
    """Words by number, a new one for each that was not there yet."""

    def __missing__(self, word: str | None) -> int:
        number = self[word] = len(self)
        return number


def _numbers(found: Sequence[int | None]) -> array[int]:
    try:
        return array("q", found)  # type: ignore[arg-type]  # nearly always there is no None among them
    except TypeError:
        return array("q", (NEVER if each is None else each for each in found))


def of(samples: Iterable[Sample]) -> Columns:
    """Samples as columns, in their order."""
    if isinstance(samples, Columns):
        return samples
    gathered = Gathering()
    gathered.add(samples)
    return gathered.columns()


class Sampled(msgspec.Struct, frozen=True):
    """
    What a journal holds of samples.

    Attributes:
        streams: The samples of each probe, sorted by the instant they were planned for.

        batches: How many events they came in.

        latest: When the last of those was journaled; None without any.
    """

    streams: Mapping[str, Columns]
    batches: int = 0
    latest: int | None = None


class Sampling:
    """Gathers the samples of every probe of a run."""

    def __init__(self) -> None:
        self._probes: dict[str, Gathering] = {}
        self._batches = 0
        self._latest: int | None = None

    def add(self, at: int, probe: str, samples: Sequence[Sample]) -> None:
        """Raises OverflowError for a number of more than 64 bits."""
        gathering = self._probes.get(probe)
        if gathering is None:
            gathering = self._probes[probe] = Gathering()
        gathering.add(samples)
        self._batches += 1
        self._latest = at if self._latest is None else max(self._latest, at)

    def sampled(self) -> Sampled:
        """All of it; nothing may be added afterwards."""
        streams = {probe: each.columns().by_plan() for probe, each in self._probes.items()}
        return Sampled(streams, self._batches, self._latest)
