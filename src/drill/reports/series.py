"""
What the pictures draw: samples and writes reduced to a few hundred shapes.

Times are seconds since the fault (since the run began when there was none).
Reducing never hides trouble: every failed and every unknown sample lies inside
a stretch that is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from drill.assemble.units import percentile
from drill.columns import FAILED, FATES, NEVER, OK, UNKNOWN, Columns, Instants, Mask
from drill.measure.traffic import wanted
from drill.model import MILLISECOND, SECOND, Fate, History, Ledger, LoadBegan, Measured, Probe, Traffic
from drill.record import Record

# Stretches are drawn in half pixels of a plot some 820 pixels wide.
COLUMNS = 1640
BINS = 205
# More shapes than this and a plot of writes draws segments instead.
MOST_POINTS = 600
MOST_SEGMENTS = 800
WRITE_FATES = ("survived", "lost", "absent", "recovered", "refused", "unread")


@dataclass(frozen=True, slots=True)
class Axis:
    """
    The one time axis of all plots.

    Attributes:
        zero: Monotonic nanoseconds of second 0, the middle of t0, or where the run began.

        first, last: Ends, in seconds.

        faulty: The spans from a fault to the end of its undoing, in seconds.

        label: What second 0 is.
    """

    zero: int
    first: float
    last: float
    faulty: tuple[tuple[float, float], ...] = ()
    label: str = "seconds since the fault"

    def at(self, instant: int) -> float:
        return (instant - self.zero) / SECOND


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds during which something held."""

    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How long good answers took in one stretch, milliseconds; *segment* changes where answers are missing."""

    at: float
    p5: float
    p50: float
    p95: float
    most: float
    segment: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What the load did in one second: requests begun, answered well and badly, and asked for (None: not said)."""

    at: float
    sent: int
    ok: int
    failed: int
    wanted: float | None


@dataclass(frozen=True, slots=True)
class Write:
    """
    One attempted write and the set it belongs to, one of WRITE_FATES.

    Attributes:
        number: Its place among the writes of the run, from 1; ids may be long.
    """

    number: int
    id: int
    at: float
    fate: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive writes of one fate."""

    fate: str
    first: Write
    last: Write


def traffic(history: History, on: Axis) -> list[Rate]:
    """The load second by second, its processes together; a second that nobody reported is not there."""
    began: LoadBegan | None = next(iter(history.of(LoadBegan)), None)
    if began is None or history.plan.load is None:
        return []
    sums: dict[int, list[int]] = {}
    for event in history.of(Traffic):
        for second in event.seconds:
            each = sums.setdefault(second.at, [0, 0, 0])
            for n, count in enumerate((second.sent, second.ok, second.failed)):
                each[n] += count
    found = []
    for at, (sent, ok, failed) in sorted(sums.items()):
        asked, _ = wanted(history.plan.load, began.at, at, at + SECOND)
        found.append(Rate(on.at(at), sent, ok, failed, asked))
    return found


def axis(record: Record, history: History, measured: Measured) -> Axis:
    start = history.began.anchor.monotonic
    end = history.ended.anchor.monotonic if history.ended else history.latest
    zero, label = start, "seconds since the run began"
    if measured.t0 is not None:
        zero = (measured.t0.lower + measured.t0.upper) // 2
        several = sum(fault.injected_at is not None for fault in record.faults) > 1
        label = f"seconds since the {'first ' if several else ''}fault"
    found = Axis(zero, 0, 0, label=label)
    run_began = found.at(start)
    faulty = []
    for fault in record.faults:
        if fault.injected_at is not None:
            until = fault.restored_at.upper + run_began if fault.restored and fault.restored_at else found.at(end)
            faulty.append((fault.injected_at.lower + run_began, until))
    return Axis(zero, run_began, max(found.at(end), run_began + 0.001), tuple(faulty), label)


def ribbon(samples: Columns, probe: Probe, slow_above_s: float | None, on: Axis) -> dict[str, list[Stretch]]:
    """The stretches in which a probe's samples were ok, slow, failed and unknown; they may overlap by a column."""
    limit = math.inf if slow_above_s is None else slow_above_s * SECOND
    samples = samples.where(np.argsort(samples.moments, kind="stable"))
    since = samples.moments
    # A sample speaks for the time until the next one; where that is missing, for three periods at most.
    until = np.minimum(np.append(since[1:], since[-1:] + probe.every), since + 3 * probe.every)
    ok = samples.are(OK)
    states = {
        "ok": ok,
        "slow": ok & (samples.ended != NEVER) & (samples.ended - samples.planned > limit),
        "failed": samples.are(FAILED),
        "unknown": samples.are(UNKNOWN),
    }
    found = {}
    for state, held in states.items():
        pixels = _Pixels(on)
        pixels.mark(since[held], until[held])
        found[state] = pixels.stretches()
    return found


class _Pixels:
    """Half pixels of a plot: which of them something holds in."""

    def __init__(self, on: Axis) -> None:
        self._on = on
        self._width = (on.last - on.first) / COLUMNS
        # In nanoseconds, because there are millions of samples to place.
        self._first = on.zero + on.first * SECOND
        self._each = self._width * SECOND
        self._begun = np.zeros(COLUMNS + 1, np.int64)  # stretches that begin in each, less those over before it

    def mark(self, since: Instants, until: Instants) -> None:
        """It held from each of these instants to the other; at least one pixel is marked for each."""
        first = np.floor_divide(since - self._first, self._each).astype(np.int64)
        last = np.maximum(first, np.ceil((until - self._first) / self._each).astype(np.int64) - 1)
        first, last = np.maximum(first, 0), np.minimum(last, COLUMNS - 1)
        seen = first <= last
        self._begun += np.bincount(first[seen], minlength=COLUMNS + 1)
        self._begun -= np.bincount(last[seen] + 1, minlength=COLUMNS + 1)

    def stretches(self) -> list[Stretch]:
        """What is marked, as seconds."""
        marked = (np.cumsum(self._begun) > 0).tobytes()
        found = []
        last = 0
        while (first := marked.find(1, last)) >= 0:
            last = marked.find(0, first)
            found.append(Stretch(self._on.first + first * self._width, self._on.first + last * self._width))
        return found


def latency(samples: Columns, probe: Probe, on: Axis) -> list[Quantiles]:
    """How long good answers took over time, from when they were planned for."""
    width = max((on.last - on.first) / BINS, 2 * probe.every / SECOND)
    first, each = on.zero + on.first * SECOND, width * SECOND
    good = samples.are(OK) & (samples.ended != NEVER)
    planned, took = samples.planned[good], samples.ended[good] - samples.planned[good]
    bins = ((planned - first) / each).astype(np.int64)
    order = np.lexsort((took, bins))
    bins, took = bins[order], took[order]
    numbers, begins = np.unique(bins, return_index=True)
    found: list[Quantiles] = []
    segment, previous = 0, None
    for number, among in zip(numbers.tolist(), np.split(took, begins[1:]), strict=False):
        if previous is not None and number > previous + 1:
            segment += 1
        previous = number
        ordered = among.data

        def at(share: float, ordered: Sequence[int] = ordered) -> float:
            return (percentile(ordered, share) or 0) / MILLISECOND

        middle = on.first + (number + 0.5) * width
        found.append(Quantiles(min(middle, on.last), at(0.05), at(0.5), at(0.95), ordered[-1] / MILLISECOND, segment))
    return found


def served(history: History, on: Axis) -> dict[str, list[Stretch]]:
    """Who answered the judged probes, and when; empty when no answer tells."""
    pixels: dict[str, _Pixels] = {}
    for name in history.plan.judged:
        every = history.plan.probe(name).every
        samples = history.samples(name)
        samples = samples.where(samples.are(OK))
        for number in np.unique(samples.served_by).tolist():
            server = samples.words[number]
            if server is not None:
                since = samples.moments[samples.served_by == number]
                pixels.setdefault(server, _Pixels(on)).mark(since, since + every)
    return {server: found.stretches() for server, found in sorted(pixels.items())}


class Writes(Sequence[Write]):
    """
    Writes by id, in columns; one is made when it is looked at.

    Attributes:
        at: When each was sent, in seconds.

        fate: The place in WRITE_FATES.
    """

    def __init__(self, ids: Instants, at: NDArray[np.float64], fate: NDArray[np.uint8], first: int = 1) -> None:
        self.ids, self.at, self.fate = ids, at, fate
        self._first = first

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Write: ...

    @overload
    def __getitem__(self, place: slice) -> Writes: ...

    def __getitem__(self, place: int | slice) -> Write | Writes:
        if isinstance(place, slice):
            start, _, step = place.indices(len(self))
            assert step == 1
            return Writes(self.ids[place], self.at[place], self.fate[place], self._first + start)
        place = range(len(self))[place]
        return Write(self._first + place, int(self.ids[place]), float(self.at[place]), WRITE_FATES[self.fate[place]])

    def fates(self) -> dict[str, int]:
        """How many there are of each fate that there is."""
        numbers, counts = np.unique(self.fate, return_counts=True)
        return {WRITE_FATES[number]: count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}

    def edges(self) -> list[int]:
        """Where runs of one fate begin, and the end."""
        return [0, *(np.flatnonzero(np.diff(self.fate)) + 1).tolist(), len(self)] if len(self) else [0]


def writes(history: History, ledger: Ledger, on: Axis) -> Writes:
    """Every write that was sent, by id."""
    samples = history.samples(ledger.probe)
    samples = samples.where((samples.id != NEVER) & samples.was_sent)
    samples = samples.where(np.argsort(samples.id, kind="stable"))
    # Should one have been sent twice, the later one counts.
    samples = samples.where(np.append(np.diff(samples.id) > 0, True)[: len(samples)])
    refused, unknown = (samples.fate == FATES.index(each) for each in (Fate.REFUSED, Fate.UNKNOWN))
    survived, lost, absent, recovered, refuse, unread = range(len(WRITE_FATES))

    def among(ids: Sequence[int]) -> Mask:
        return np.isin(samples.id, np.array(ids, np.int64))

    if ledger.survivors is None:
        fate = np.where(refused, refuse, unread)
    else:
        unsure = np.select([among(ledger.recovered), among(ledger.absent)], [recovered, absent], unread)
        fate = np.select([among(ledger.lost), unknown, refused], [lost, unsure, refuse], survived)
    return Writes(samples.id, (samples.sent - on.zero) / SECOND, fate.astype(np.uint8))


def segments(found: Writes) -> list[Segment]:
    """Writes as runs of one fate; where they alternate too often, as one segment per fate and group of ids."""
    edges = found.edges()
    if len(edges) - 1 <= MOST_SEGMENTS:
        return [Segment(found[first].fate, found[first], found[stop - 1]) for first, stop in pairwise(edges)]
    size = -(-len(found) // (MOST_SEGMENTS // 4))
    coarse: list[Segment] = []
    for begin in range(0, len(found), size):
        group = found[begin : begin + size]
        for number, fate in sorted(enumerate(WRITE_FATES), key=lambda each: each[1]):
            members = np.flatnonzero(group.fate == number)
            if members.size:
                coarse.append(Segment(fate, group[int(members[0])], group[int(members[-1])]))
    return coarse


def near(found: Writes, loss: tuple[float, float], probe: Probe) -> list[Write]:
    """
    The writes around a loss, few enough to draw one by one.

    All lost ones with some more on both sides; a second on each side when the
    loss is only the moment of the disaster. Where that is too many, every n-th
    of each fate.
    """
    begin, end = loss
    room = max((end - begin) * 0.25, 25 * probe.every / SECOND, 0.25 if end > begin else 1.0)
    close = np.flatnonzero((begin - room <= found.at) & (found.at <= end + room))
    kept = close.tolist()
    if len(kept) > MOST_POINTS:
        step = -(-len(kept) // MOST_POINTS)
        run_ends = [0, *(np.flatnonzero(np.diff(found.fate[close])) + 1).tolist(), len(kept)]
        # The first and the last of each run stay: the edges are what people look for.
        kept = [
            kept[n]
            for first, stop in pairwise(run_ends)
            for n in range(first, stop)
            if (n - first) % step == 0 or n == stop - 1
        ]
    if len(kept) > 2 * MOST_POINTS:
        kept = kept[:: -(-len(kept) // MOST_POINTS)]
    return [found[n] for n in kept]
