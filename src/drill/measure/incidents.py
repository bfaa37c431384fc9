"""
Outages in the samples of one probe.

"Up at t" means that a request sent at t would be ok, so a sample counts at the
instant it was sent. Unknown samples prove nothing and are skipped: bounds widen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from drill import columns
from drill.model import SECOND, Bounds, Incident, Parameters, Sample, Window


@dataclass(frozen=True, slots=True)
class Rule:
    """
    The parameters that find an outage, every default filled in for one period.

    Attributes:
        widest: Neighbouring samples further apart than this prove no hold.
    """

    period: int
    hold: int
    onset_ratio: float
    onset_window: int
    recovery_ratio: float
    hold_min_ok: int
    minimum_capacity: float | None
    widest: int


def resolve(parameters: Parameters, period: int) -> Rule:
    """Fill in the defaults that follow from the probe's period, in nanoseconds."""
    hold = max(10 * SECOND, 20 * period) if parameters.hold is None else parameters.hold
    return Rule(
        period=period,
        hold=hold,
        onset_ratio=parameters.onset_ratio,
        onset_window=50 * period if parameters.onset_window is None else parameters.onset_window,
        recovery_ratio=parameters.recovery_ratio,
        hold_min_ok=-(-hold // (2 * period)) if parameters.hold_min_ok is None else parameters.hold_min_ok,
        minimum_capacity=parameters.minimum_capacity,
        widest=max(3 * period, hold // 10),
    )


def redundancy_parameters(period: int) -> Parameters:
    """
    Redundancy counts as back once it was good for three periods.

    Its probes ask the replicas' own view, which does not flap as a client's path
    does, and a drill should not stay under the fault longer than it must.
    """
    return Parameters(hold=3 * period)


class Series:
    """
    The decided samples of one probe in the order they were sent, ready for fast questions.

    Samples that ended at *until* or later are left out: what was in flight when
    the undo began may have been answered, or broken, by the undo.
    """

    def __init__(self, samples: Iterable[Sample], rule: Rule, until: int | None = None) -> None:
        seen = columns.of(samples)
        ended = np.where(seen.ended == columns.NEVER, seen.sent, seen.ended)
        decided = seen.was_sent & (seen.outcome != columns.UNKNOWN)
        if until is not None:
            decided &= ended < until
        sent, ended, bad = seen.sent[decided], ended[decided], seen.outcome[decided] == columns.FAILED
        if not np.all(sent[1:] > sent[:-1]):
            order = np.lexsort((bad, ended, sent))
            sent, ended, bad = sent[order], ended[order], bad[order]
        self.rule = rule
        # Seen through memoryviews, single numbers are Python's own: they never overflow, and bisect is quick on them.
        self.sent, self.ended, self.bad = sent.data, ended.data, bad.data
        self.failed, self.ok = np.flatnonzero(bad).data, np.flatnonzero(~bad).data
        self._failed_before = _counts(bad)
        self._wide_before = _counts(np.diff(sent) > rule.widest)

    def failed_in(self, start: int, stop: int) -> int:
        """Failed samples among the indexes from *start* to before *stop*."""
        return self._failed_before[stop] - self._failed_before[start]

    def watched(self, since: int) -> bool:
        """Whether the service was watched, well or badly, for `hold` from the instant *since*."""
        start, stop = bisect_left(self.sent, since), bisect_left(self.sent, since + self.rule.hold)
        if stop == len(self.sent):
            return False
        # The gap that leads into the stretch counts, too.
        return self._wide_before[stop] == self._wide_before[max(0, start - 1)] and (
            bisect_right(self.sent, since + self.rule.hold) - start >= self.rule.hold_min_ok
        )

    def onset(self, start: int, t0: Window | None) -> int | None:
        """`b` at or after index *start*: the first failed sample that begins an outage after the fault."""
        for k in range(bisect_left(self.failed, start), len(self.failed)):
            b = self.failed[k]
            if t0 is not None and self.ended[b] < t0.lower:
                continue
            stop = bisect_right(self.sent, self.sent[b] + self.rule.onset_window)
            if self.failed_in(b, stop) > self.rule.onset_ratio * (stop - b):
                return b
        return None

    def recovery(self, b: int, ok_rate: float) -> int | None:
        """`g` after index *b*: the first ok sample of sustained service; *ok_rate* is needed, per nanosecond."""
        rule = self.rule
        for k in range(bisect_right(self.ok, b), len(self.ok)):
            g = self.ok[k]
            close = bisect_left(self.sent, self.sent[g] + rule.hold)
            if close == len(self.sent):
                return None
            stop = bisect_right(self.sent, self.sent[g] + rule.hold)
            failed = self.failed_in(g, stop)
            good = stop - g - failed
            if (
                failed <= rule.recovery_ratio * (stop - g)
                and good >= rule.hold_min_ok
                and self._wide_before[close] == self._wide_before[g]
                and good >= ok_rate * rule.hold
            ):
                return g
        return None

    def baseline_rate(self, t0: Window | None) -> float:
        """Good samples per nanosecond before the fault."""
        stop = 0 if t0 is None else bisect_left(self.sent, t0.lower)
        if t0 is None or stop == 0 or t0.lower == self.sent[0]:
            return 0.0
        rate: float = (stop - self.failed_in(0, stop)) / (t0.lower - self.sent[0])
        return rate

    def incidents(self, t0: Window | None) -> tuple[Incident, ...]:
        """Every outage from the fault on, in order."""
        capacity = self.rule.minimum_capacity
        ok_rate = 0.0 if capacity is None else capacity * self.baseline_rate(t0)
        found: list[Incident] = []
        start = 0
        while (b := self.onset(start, t0)) is not None:
            g = self.recovery(b, ok_rate)
            found.append(self._incident(b, g, t0))
            if g is None:
                break
            # Failures that recovery_ratio has just accepted do not begin a new outage.
            start = bisect_right(self.sent, self.sent[g] + self.rule.hold)
        return tuple(found)

    def _incident(self, b: int, g: int | None, t0: Window | None) -> Incident:
        sent, period = self.sent, self.rule.period
        before = bisect_left(self.ok, b)
        p = self.ok[before - 1] if before else None
        q = self.failed[-1] if g is None else self.failed[bisect_left(self.failed, g) - 1]
        bad_time, flaps, error_time = self._failed_stretches(b, q)
        back = None if g is None else sent[g]
        return Incident(
            last_good=None if p is None else sent[p],
            first_failed=sent[b],
            last_failed=sent[q],
            recovered=back,
            outage=Bounds(sent[q] - sent[b], None if back is None or p is None else back - sent[p]),
            rto=recovery_time(t0, sent[q], back),
            bad_time=bad_time if back is not None else Bounds(bad_time.lower, None),
            error_time=error_time,
            flaps=flaps,
            failed_ratio=self.failed_in(b, q + 1) * 1_000_000 // (q + 1 - b),
            gap=(p is not None and sent[b] - sent[p] > 3 * period)
            or (back is not None and back - sent[q] > 3 * period),
        )

    def _failed_stretches(self, b: int, q: int) -> tuple[Bounds, int, int]:
        """Failed stretches from index *b* to *q*: added up, how many less one, and the error time."""
        sent, bad, end = self.sent, self.bad, len(self.sent)
        lower, upper, runs, error_time = 0, 0, 0, 0
        open_ended = False
        first = b
        while first <= q:
            if not bad[first]:
                first += 1
                continue
            last = first
            while last < q and bad[last + 1]:
                last += 1
            lower += sent[last] - sent[first]
            if first > 0 and last + 1 < end and not bad[first - 1]:
                upper += sent[last + 1] - sent[first - 1]
            else:
                open_ended = True
            # Without a next sample, the last one stands for its own period.
            error_time += (sent[last + 1] if last + 1 < end else sent[last] + self.rule.period) - sent[first]
            runs += 1
            first = last + 1
        return Bounds(lower, None if open_ended else upper), runs - 1, error_time


def _counts(marks: columns.Mask) -> memoryview[int]:
    """How many are marked before each place, and before the end."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(marks, dtype=np.int64))).data


def recovery_time(t0: Window | None, last_failed: int, recovered: int | None) -> Bounds:
    """From *t0* to sustained service, which began after *last_failed* and at *recovered* at the latest."""
    if t0 is None:
        return Bounds(0, None)
    return Bounds(max(0, last_failed - t0.upper), None if recovered is None else max(0, recovered - t0.lower))


def incidents(
    samples: Iterable[Sample],
    t0: Window | None,
    period: int,
    parameters: Parameters = Parameters(),  # noqa: B008  frozen
    until: int | None = None,
) -> tuple[Incident, ...]:
    """
    Every outage of one probe from the fault on, in order.

    A failed sample that ended before the fault is not the fault's; one sent
    before and ended after is. Samples in flight at *until* or later are left out.
    """
    return Series(samples, resolve(parameters, period), until).incidents(t0)


def sustained(
    samples: Iterable[Sample],
    t0: Window,
    period: int,
    parameters: Parameters = Parameters(),  # noqa: B008  frozen
) -> bool:
    """
    Whether the service is back and has stayed so for `hold`, or was watched that long and never went.

    What an `await: recovery` step waits for.
    """
    series = Series(samples, resolve(parameters, period))
    found = series.incidents(t0)
    return found[-1].recovered is not None if found else series.watched(t0.upper)
