"""
A cache that went cold: how long until it answers again, and what its origin had to bear meanwhile.

The samples' values tell: 1 a hit, 0 a miss; one without a value tells nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import ceil

from drill.measure.incidents import Series, resolve
from drill.model import Bounds, Incident, Outcome, Parameters, Sample, Window

# Warm again at this share of the hit ratio before the fault.
WARM = 0.9


def answers(samples: Iterable[Sample]) -> list[Sample]:
    """The same samples with a hit as ok, a miss as failed, and all else as unknown."""
    outcome: dict[float | None, Outcome] = {1.0: Outcome.OK, 0.0: Outcome.FAILED}
    return [
        Sample(
            each.planned,
            each.sent,
            each.ended,
            outcome.get(each.value, Outcome.UNKNOWN),
        )
        for each in samples
    ]


def baseline_ratio(samples: Sequence[Sample], t0: Window) -> float | None:
    """Hits among the hits and misses over before the fault; None when there were none, or no hit."""
    seen = [each.value for each in samples if each.value in (0.0, 1.0) and (each.ended or each.planned) < t0.lower]
    hits = sum(value == 1.0 for value in seen)
    return hits / len(seen) if hits else None


def cold_spells(
    samples: Sequence[Sample], t0: Window, period: int, hold: int, until: int | None = None
) -> tuple[Incident, ...]:
    """
    Every time since the fault that the hit ratio over *hold* fell below 0.9 of the baseline's.

    A spell begins with a miss and ends with the first hit from which on the
    ratio over *hold* is back. What was asked at *until* (the undo) or later, or
    answered then, is left out: the way back may cool the cache again, or warm it. A
    spell that had not ended, for *hold*, by then never did.
    """
    ratio = baseline_ratio(samples, t0)
    if ratio is None:
        return ()
    misses = 1 - WARM * ratio
    parameters = Parameters(
        hold=hold,
        onset_ratio=misses,
        onset_window=hold,
        recovery_ratio=misses,
        hold_min_ok=ceil(WARM * ratio * hold / (2 * period)),
    )
    told, rule = answers(samples), resolve(parameters, period)
    whole = Series(told, rule).incidents(t0)
    if until is None:
        return whole
    # A miss just before the undo is most of its own short stretch, so the whole says which are spells.
    began = {each.first_failed for each in whole}
    return tuple(each for each in Series(told, rule, until).incidents(t0) if each.first_failed in began)


def cold_cache(
    samples: Sequence[Sample], t0: Window, period: int, hold: int, until: int | None = None
) -> Bounds | None:
    """
    From the fault to the end of the longest cold spell, when the cache was warm again for *hold*; nanoseconds.

    A share of few requests wavers, so short spells come and go when all is well; have some
    hundred requests in *hold*.

    [0, hold] when no spell was seen: any was shorter than that. None when there was no warm
    baseline to compare with, or nothing was watched for *hold* after the fault.
    Its edges are estimates, good to about a fifth of *hold*: a ratio has no sharp ones.
    """
    if baseline_ratio(samples, t0) is None:
        return None
    spells = cold_spells(samples, t0, period, hold, until)
    if spells:
        return max(spells, key=lambda each: each.last_failed - each.first_failed).rto
    watched = Series(answers(samples), resolve(Parameters(hold=hold), period), until).watched(t0.upper)
    return Bounds(0, hold) if watched else None


def amplification(samples: Sequence[Sample], t0: Window, window: int) -> float | None:
    """
    Peak load on the origin since the fault, as a multiple of the baseline's.

    The load is the share of requests that miss, over any *window* that holds
    ten of them at least. None when the cache never missed before the fault: no
    multiple of nothing is a number.
    """
    ratio = baseline_ratio(samples, t0)
    if ratio is None or ratio == 1:
        return None
    seen = sorted(
        (each.sent, each.value == 0.0) for each in samples if each.sent is not None and each.value in (0.0, 1.0)
    )
    since = [(sent, miss) for sent, miss in seen if sent >= t0.lower]
    instants = [sent for sent, _ in since]
    misses = [0]
    for _, miss in since:
        misses.append(misses[-1] + miss)
    shares = []
    for start, sent in enumerate(instants):
        stop = bisect_left(instants, sent + window)
        if stop - start >= 10:
            shares.append((misses[stop] - misses[start]) / (stop - start))
    return max(shares) / (1 - ratio) if shares else None
