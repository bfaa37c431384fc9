"""What the samples of one probe say of the whole run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from drill import columns
from drill.measure.bounds import between
from drill.measure.incidents import Rule, Series, resolve
from drill.model import Bounds, Incident, Parameters, ProbeMeasure, Sample, Window

MILLION = 1_000_000


def measure_probe(
    name: str,
    samples: Sequence[Sample],
    t0: Window | None,
    period: int,
    parameters: Parameters = Parameters(),  # noqa: B008  frozen
    undone: Sequence[int] = (),
    acted: int | None = None,
) -> ProbeMeasure:
    """
    What one probe's samples show, from its baseline to the end.

    *undone* holds when undoing began, in order; leave it empty when the undo is
    itself the recovery under test. A service that is still away when an undo
    begins never came back, whatever the samples after that show. *acted* is when
    the last breaking action was confirmed: only what was watched after it says how
    the service bore it.

    With several outages, `rto` and `outage` last until the final one is over:
    a system that goes away again has not recovered yet. Without any, both are
    [0, G] by convention, G the widest gap between good samples: shorter ones hide.
    """
    rule = resolve(parameters, period)
    samples = columns.of(samples)
    whole = Series(samples, rule)
    cut = _cut(samples, rule, t0, undone)
    series = whole if cut is None else Series(samples, rule, cut)
    found = series.incidents(t0)
    away = bool(found) and found[-1].recovered is None
    end = int(samples.moments.max()) if samples else 0
    hidden = None if found else longest_unseen(series, t0, end if cut is None else cut)
    unseen = Bounds(0, hidden)
    failback, failback_rto, returning = (None, None, ()) if cut is None or away else _failback(whole, cut, end)
    return ProbeMeasure(
        probe=name,
        rto=None if t0 is None else (found[-1].rto if found else unseen),
        outage=_outage(found) or unseen,
        bad_time=_bad_time(found) or unseen,
        error_time=sum(incident.error_time for incident in found),
        error_ratio=None if t0 is None else _error_ratio(samples, t0, cut),
        flaps=max(0, sum(incident.flaps + 1 for incident in found) - 1),
        incidents=found,
        failback=failback,
        failback_rto=failback_rto,
        failback_incidents=returning,
        healthy_before=_healthy_before(whole, t0),
        watched=t0 is not None and _watched(series, found, t0.upper if acted is None else max(t0.upper, acted)),
        after_undo=away and _came_back(whole, t0),
        gap=any(incident.gap for incident in found) or (hidden is not None and hidden > 3 * period),
        first_good=_first_good(series, found),
        hold=rule.hold,
    )


def rto_from(measured: ProbeMeasure, origin: Window) -> Bounds | None:
    """The recovery time counted from another instant than the fault; without any outage it stays as it is."""
    if not measured.incidents:
        return measured.rto
    last = measured.incidents[-1]
    if last.recovered is None:
        return Bounds(max(0, last.last_failed - origin.upper), None)
    return between(origin, Window(last.last_failed, last.recovered))


def longest_unseen(series: Series, t0: Window | None, end: int) -> int | None:
    """
    `G`: the longest outage that could hide between good samples from the fault to *end*.

    None when no good sample was sent before the fault, or none since.
    """
    good = np.asarray(series.sent)[np.asarray(series.ok)]
    before = bisect_left(good, t0.lower) if t0 is not None else 1
    if before == 0 or before >= len(good):
        return None
    return int(np.diff(good[before - 1 :], append=max(end, good[-1])).max())


def _cut(samples: columns.Columns, rule: Rule, t0: Window | None, undone: Sequence[int]) -> int | None:
    """The undo that ends the measuring of recovery: the first to find service away, else the last."""
    for began in undone[:-1]:
        found = Series(samples, rule, began).incidents(t0)
        if found and found[-1].recovered is None:
            return began
    return undone[-1] if undone else None


def _watched(series: Series, found: Sequence[Incident], acted: int) -> bool:
    """Whether service was seen for `hold` after the last action: a recovery after it has held that long."""
    recovered = found[-1].recovered if found else None
    return (recovered is not None and recovered >= acted) or series.watched(acted)


def _came_back(whole: Series, t0: Window | None) -> bool:
    found = whole.incidents(t0)
    return bool(found) and found[-1].recovered is not None


def _outage(found: Sequence[Incident]) -> Bounds | None:
    """From the first bad request to the start of sustained service."""
    if not found:
        return None
    first, last = found[0], found[-1]
    return Bounds(
        last.last_failed - first.first_failed,
        None if last.recovered is None or first.last_good is None else last.recovered - first.last_good,
    )


def _bad_time(found: Sequence[Incident]) -> Bounds | None:
    if not found:
        return None
    uppers = [incident.bad_time.upper for incident in found if incident.bad_time.upper is not None]
    return Bounds(
        sum(incident.bad_time.lower for incident in found), sum(uppers) if len(uppers) == len(found) else None
    )


def _error_ratio(samples: columns.Columns, t0: Window, until: int | None) -> Bounds | None:
    """Failed share of the samples due from the fault on, parts per million; None when there are none."""
    due = samples.moments
    since = due >= t0.lower
    if until is not None:
        since &= np.where(samples.ended == columns.NEVER, due, samples.ended) < until
    failed, unknown = (int(np.count_nonzero(since & samples.are(each))) for each in (columns.FAILED, columns.UNKNOWN))
    count = int(np.count_nonzero(since))
    if not count:
        return None
    return Bounds(failed * MILLION // count, -(-(failed + unknown) * MILLION // count))


def _failback(whole: Series, began: int, end: int) -> tuple[Bounds | None, Bounds | None, tuple[Incident, ...]]:
    """
    Outage and recovery time since undoing began, and each outage; upper None when not watched for `hold` after it.

    What is still failing from before the undo is not the way back's.
    """
    if not whole.sent or whole.sent[-1] < began:
        return None, None, ()
    undo = Window(began, began)
    found = whole.incidents(undo)
    unseen = Bounds(0, longest_unseen(whole, undo, end) if whole.watched(began) else None)
    return _outage(found) or unseen, found[-1].rto if found else unseen, found


def _healthy_before(whole: Series, t0: Window | None) -> bool:
    """Some good sample and no failed one ended before the fault."""
    if t0 is None:
        return not whole.failed
    before = np.asarray(whole.bad)[np.asarray(whole.ended) < t0.lower]
    return before.size > 0 and not before.any()


def _first_good(series: Series, found: Sequence[Incident]) -> int | None:
    if not found:
        return None
    since = found[-1].first_failed
    return next((series.sent[i] for i in series.ok if series.sent[i] > since), None)
