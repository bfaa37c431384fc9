"""
What the pictures draw: samples and writes reduced to a few hundred shapes.

Times are seconds since the fault (since the run began when there was none).
Reducing never hides trouble: every failed and every unknown sample lies inside
a stretch that is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from drill.assemble.units import percentile
from drill.measure.traffic import wanted
from drill.model import MILLISECOND, SECOND, Fate, History, Ledger, LoadBegan, Measured, Outcome, Probe, Sample, Traffic
from drill.record import Record

# Stretches are drawn in half pixels of a plot some 820 pixels wide.
COLUMNS = 1640
BINS = 205
# More shapes than this and a plot of writes draws segments instead.
MOST_POINTS = 600
MOST_SEGMENTS = 800


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
    One attempted write and the set it belongs to: survived, lost, absent, recovered, refused or unread.

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
    end = history.ended.anchor.monotonic if history.ended else max(event.at for event in history.events)
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


def moment(sample: Sample) -> int:
    """Where a sample counts: when it was sent, or should have been."""
    return sample.sent if sample.sent is not None else sample.planned


def ribbon(samples: Sequence[Sample], probe: Probe, slow_above_s: float | None, on: Axis) -> dict[str, list[Stretch]]:
    """The stretches in which a probe's samples were ok, slow, failed and unknown; they may overlap by a column."""
    limit = math.inf if slow_above_s is None else slow_above_s * SECOND
    states = {"ok": _Columns(on), "slow": _Columns(on), "failed": _Columns(on), "unknown": _Columns(on)}
    ordered = sorted(samples, key=moment)
    begins = [moment(sample) for sample in ordered]
    # A sample speaks for the time until the next one; where that is missing, for three periods at most.
    longest = 3 * probe.every
    following = [*begins[1:], begins[-1] + probe.every] if begins else []
    for sample, since, until in zip(ordered, begins, following, strict=True):
        state = sample.outcome.value
        until = min(until, since + longest)
        if sample.outcome is Outcome.OK and sample.ended is not None and sample.ended - sample.planned > limit:
            states["ok"].mark(since, until)
            state = "slow"
        states[state].mark(since, until)
    return {state: columns.stretches() for state, columns in states.items()}


class _Columns:
    """Half pixels of a plot: which of them something holds in."""

    def __init__(self, on: Axis) -> None:
        self._on = on
        self._width = (on.last - on.first) / COLUMNS
        # In nanoseconds, because there are millions of samples to place.
        self._first = on.zero + on.first * SECOND
        self._each = self._width * SECOND
        self._marked = bytearray(COLUMNS)
        self._newest = -1

    def mark(self, since: int, until: int) -> None:
        """It held from one instant to another; at least one column is marked."""
        first = int((since - self._first) // self._each)
        last = max(first, math.ceil((until - self._first) / self._each) - 1)
        if first == last == self._newest:
            return
        self._newest = last
        first, last = max(first, 0), min(last, COLUMNS - 1)
        if first <= last:
            self._marked[first : last + 1] = b"\1" * (last + 1 - first)

    def stretches(self) -> list[Stretch]:
        """What is marked, as seconds."""
        found = []
        last = 0
        while (first := self._marked.find(1, last)) >= 0:
            last = self._marked.find(0, first)
            last = COLUMNS if last < 0 else last
            found.append(Stretch(self._on.first + first * self._width, self._on.first + last * self._width))
        return found


def latency(samples: Sequence[Sample], probe: Probe, on: Axis) -> list[Quantiles]:
    """How long good answers took over time, from when they were planned for."""
    width = max((on.last - on.first) / BINS, 2 * probe.every / SECOND)
    bins: dict[int, list[int]] = {}
    first, each = on.zero + on.first * SECOND, width * SECOND
    for sample in samples:
        if sample.outcome is Outcome.OK and sample.ended is not None:
            planned = sample.planned
            bins.setdefault(int((planned - first) / each), []).append(sample.ended - planned)
    found: list[Quantiles] = []
    segment, previous = 0, None
    for number in sorted(bins):
        if previous is not None and number > previous + 1:
            segment += 1
        previous = number
        ordered = sorted(bins[number])

        def at(share: float, ordered: list[int] = ordered) -> float:
            return (percentile(ordered, share) or 0) / MILLISECOND

        middle = on.first + (number + 0.5) * width
        found.append(Quantiles(min(middle, on.last), at(0.05), at(0.5), at(0.95), ordered[-1] / MILLISECOND, segment))
    return found


def served(history: History, on: Axis) -> dict[str, list[Stretch]]:
    """Who answered the judged probes, and when; empty when no answer tells."""
    columns: dict[str, _Columns] = {}
    for name in history.plan.judged:
        every = history.plan.probe(name).every
        for sample in history.samples(name):
            server = sample.served_by
            if server is None or sample.outcome is not Outcome.OK:
                continue
            if server not in columns:
                columns[server] = _Columns(on)
            since = moment(sample)
            columns[server].mark(since, since + every)
    return {server: found.stretches() for server, found in sorted(columns.items())}


def writes(history: History, ledger: Ledger, on: Axis) -> list[Write]:
    """Every write that was sent, by id."""
    lost, absent, recovered = set(ledger.lost), set(ledger.absent), set(ledger.recovered)
    known = ledger.survivors is not None

    def fate(sample: Sample) -> str:
        if not known:
            return "refused" if sample.fate is Fate.REFUSED else "unread"
        if sample.id in lost:
            return "lost"
        if sample.fate is Fate.UNKNOWN:
            return "recovered" if sample.id in recovered else "absent" if sample.id in absent else "unread"
        return "refused" if sample.fate is Fate.REFUSED else "survived"

    sent = {
        sample.id: sample
        for sample in history.samples(ledger.probe)
        if sample.id is not None and sample.sent is not None
    }
    return [Write(n, id, on.at(moment(sent[id])), fate(sent[id])) for n, id in enumerate(sorted(sent), 1)]


def segments(found: Sequence[Write]) -> list[Segment]:
    """Writes as runs of one fate; where they alternate too often, as one segment per fate and group of ids."""
    runs = list(_runs(found, lambda write: write.fate))
    if len(runs) <= MOST_SEGMENTS:
        return [Segment(run[0].fate, run[0], run[-1]) for run in runs]
    size = -(-len(found) // (MOST_SEGMENTS // 4))
    coarse: list[Segment] = []
    for begin in range(0, len(found), size):
        group = found[begin : begin + size]
        for fate in sorted({write.fate for write in group}):
            members = [write for write in group if write.fate == fate]
            coarse.append(Segment(fate, members[0], members[-1]))
    return coarse


def _runs(found: Sequence[Write], key: Callable[[Write], str]) -> Iterable[list[Write]]:
    run: list[Write] = []
    for write in found:
        if run and key(run[-1]) != key(write):
            yield run
            run = []
        run.append(write)
    if run:
        yield run


def near(found: Sequence[Write], loss: tuple[float, float], probe: Probe) -> list[Write]:
    """
    The writes around a loss, few enough to draw one by one.

    All lost ones with some more on both sides; a second on each side when the
    loss is only the moment of the disaster. Where that is too many, every n-th
    of each fate.
    """
    begin, end = loss
    room = max((end - begin) * 0.25, 25 * probe.every / SECOND, 0.25 if end > begin else 1.0)
    close = [write for write in found if begin - room <= write.at <= end + room]
    if len(close) <= MOST_POINTS:
        return close
    step = -(-len(close) // MOST_POINTS)
    kept: list[Write] = []
    for run in _runs(close, lambda write: write.fate):
        # The first and the last of each run stay: the edges are what people look for.
        kept += [write for n, write in enumerate(run) if n % step == 0 or n == len(run) - 1]
    return kept if len(kept) <= 2 * MOST_POINTS else kept[:: -(-len(kept) // MOST_POINTS)]
