"""What else owners promise: availability, latency after recovery, that an alarm fires, that nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from drill import columns
from drill.measure.bounds import between, vantage
from drill.model import (
    Bounds,
    History,
    Measure,
    Observed,
    Outcome,
    Phase,
    ProbeMeasure,
    Sample,
    Window,
)

MILLION = 1_000_000
_ENDLESS = (1 << 63) - 1  # later than any instant

# In thousandths, because 0.99 * 100 is not 99 in binary.
QUANTILES = {Measure.LATENCY_P50: 500, Measure.LATENCY_P95: 950, Measure.LATENCY_P99: 990}

# Marks that say that somebody else serves now.
MOVES = ("promoted", "routed")


def needed(measure: Measure) -> int:
    """How many requests a quantile must be taken of before it is more than the slowest of a few."""
    return max(20, 1000 // (1000 - QUANTILES[measure]))


def availability(samples: Sequence[Sample]) -> Bounds | None:
    """Good share of all samples of a run, ppm; unknown ones may have been either. None when there are none."""
    if not samples:
        return None
    seen = columns.of(samples)
    ok, unknown = (int(np.count_nonzero(seen.are(each))) for each in (columns.OK, columns.UNKNOWN))
    return Bounds(ok * MILLION // len(samples), -(-(ok + unknown) * MILLION // len(samples)))


def latency(
    samples: Sequence[Sample], since: int | None, until: int | None, deadline: int
) -> tuple[dict[str, Bounds], int]:
    """
    Quantiles of how long good answers took, by measure, and of how many requests.

    Of the requests sent from *since* (service is back; None: it never was) to a
    deadline before *until* (the undo began): one still in flight then has no
    latency, and leaving out only the slow ones would flatter. One without a good
    answer took longer than the deadline; an unknown one any time at all. A request
    sent late by this prober took at least from when it was sent, at most from when
    it was planned.
    """
    if since is None:
        return {}, 0
    seen = columns.of(samples)
    counted = seen.moments >= since
    if until is not None:
        counted &= seen.moments < until - deadline
    seen = seen.where(counted)
    if not seen:
        return {}, 0
    answered = seen.are(columns.OK) & seen.was_sent & (seen.ended != columns.NEVER)
    lowers = np.where(answered, seen.ended - seen.sent, np.where(seen.are(columns.FAILED), deadline, 0))
    uppers = np.where(answered, seen.ended - np.minimum(seen.planned, seen.sent), _ENDLESS)
    lowers.sort()
    uppers.sort()
    decided = int(np.count_nonzero(~seen.are(columns.UNKNOWN)))
    return {measure.value: _quantile(lowers, uppers, share) for measure, share in QUANTILES.items()}, decided


def _quantile(lowers: columns.Instants, uppers: columns.Instants, share: int) -> Bounds:
    """Nearest rank: the smallest value that *share* thousandths of them do not exceed."""
    rank = max(1, -(-len(lowers) * share // 1000)) - 1
    upper = int(uppers[rank])
    return Bounds(int(lowers[rank]), None if upper == _ENDLESS else upper)


def least(bounds: Sequence[Bounds | None]) -> Bounds | None:
    """The worst of several shares of which more is better; None when there are none or one was not measured."""
    known = [each for each in bounds if each is not None]
    return vantage(1, known) if known and len(known) == len(bounds) else None


def alarms(history: History, t0: Window | None) -> list[Phase]:
    """When each probe of detection told of the fault; those that did not left out."""
    found = [_alarm(name, history.samples(name), t0) for name in history.plan.detection]
    return [alarm for alarm in found if alarm is not None]


def _alarm(probe: str, samples: Sequence[Sample], t0: Window | None) -> Phase | None:
    """
    When a probe of detection turned good after the fault: an alarm fired, a notification arrived.

    None when it never did, or was good already when the fault came.
    """
    decided = sorted(
        (sample.sent, sample.ended, sample.outcome is Outcome.OK)
        for sample in samples
        if sample.sent is not None and sample.ended is not None and sample.outcome is not Outcome.UNKNOWN
    )
    if t0 is None or not decided:
        return None
    before = [ok for _, ended, ok in decided if ended < t0.lower]
    if before and before[-1]:
        return None
    silent = t0.lower
    for sent, ended, ok in decided:
        if ended < t0.lower:
            continue
        if ok:
            return Phase(name="detected", window=Window(min(silent, ended), ended), source=probe)
        silent = max(silent, sent)
    return None


def detected(history: History, t0: Window | None, phases: Sequence[Phase]) -> Bounds | None:
    """
    From the fault to the first alarm, mark or notification among *phases*.

    Without one the upper bound is None, if somebody was there who would have
    told; None altogether when nobody was, or not to the end.
    """
    if t0 is None:
        return None
    seen = [phase.window for phase in phases if phase.name == "detected" and phase.window.upper >= t0.lower]
    if seen:
        return vantage(1, [between(t0, window) for window in seen])
    silent = [_silent_until(history.samples(name)) for name in history.plan.detection]
    silent += [event.at for event in history.of(Observed) if "detected" in event.tells]
    known = [at for at in silent if at is not None]
    # The first to tell ends it, so nobody had told for as long as the one who looked longest.
    return Bounds(max(0, max(known) - t0.upper), None) if known else None


def _silent_until(samples: Sequence[Sample]) -> int | None:
    """When a probe last showed that there was no alarm; None when it did not at its end, or never."""
    decided = [(sample.sent, sample.outcome) for sample in samples if sample.outcome is not Outcome.UNKNOWN]
    last = max(((sent, outcome is Outcome.OK) for sent, outcome in decided if sent is not None), default=None)
    return None if last is None or last[1] else last[0]


def moves(history: History, t0: Window | None, phases: Sequence[Phase]) -> Bounds | None:
    """
    Promotions and switches of traffic since the fault; None when nobody was there to see either of them.

    The system's own marks and the probes that show one tell of the same moves, so
    of the two who saw more counts. A move whose span holds the fault may have
    come before it.
    """
    if t0 is None:
        return None
    tells = {name for event in history.of(Observed) for name in event.tells}
    lower = upper = 0
    for move in MOVES:
        probes = {probe.name for probe in history.plan.probes if probe.shows == move}
        if move not in tells and not any(_watched(history.samples(probe), t0) for probe in probes):
            return None
        windows = [(phase.source in probes, phase.window) for phase in phases if phase.name == move]
        groups = [[window for seen, window in windows if seen is by_probe] for by_probe in (False, True)]
        lower += max(sum(window.lower >= t0.upper for window in group) for group in groups)
        upper += max(sum(window.upper >= t0.lower for window in group) for group in groups)
    return Bounds(lower, upper)


def _watched(samples: Sequence[Sample], t0: Window) -> bool:
    """Whether a probe was answered before the fault and after it."""
    seen = columns.of(samples)
    good = seen.sent[seen.are(columns.OK) & seen.was_sent]
    return good.size > 0 and bool(good.min() < t0.lower and good.max() > t0.upper)


def answers(
    history: History, probes: Sequence[ProbeMeasure], t0: Window | None, undo: int | None
) -> tuple[ProbeMeasure, ...]:
    """
    The same probes with what their answers show of availability, and of latency from recovery to the undo.

    Service is back when it is for every judged probe. *undo* is when the undo
    that ends the measuring began.
    """
    ends = [probe.incidents[-1].recovered for probe in probes if probe.probe in history.plan.judged and probe.incidents]
    never = t0 is None or None in ends
    back = None if never or t0 is None else max((end for end in ends if end is not None), default=t0.upper)
    found = []
    for probe in probes:
        samples = history.samples(probe.probe)
        took, count = latency(samples, back, undo, history.plan.probe(probe.probe).deadline)
        good = availability(samples)
        found.append(msgspec.structs.replace(probe, availability=good, latency=took, answers=count))
    return tuple(found)
