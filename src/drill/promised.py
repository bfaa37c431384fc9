"""
What else owners promise, before the judge: availability, capacity, latency, detection, and that nothing moves.

`verdict` asks here for the bounds of these objectives, for what keeps them from
being met and for words. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from drill import wording
from drill.measure import combine
from drill.measure.promises import QUANTILES, least, needed
from drill.model import Bounds, Measure, Measured, Objective, Parameters, Plan, ProbeMeasure, Reason, Verdict

MEASURES = frozenset(
    {Measure.SCALE_OUT, Measure.DETECTED, Measure.MOVES, Measure.AVAILABILITY, Measure.CAPACITY}
    | {Measure.LATENCY_P50, Measure.LATENCY_P95, Measure.LATENCY_P99}
)


def unasked(plan: Plan) -> list[Objective]:
    """Capacity is judged whenever a drill has a load and says what capacity it needs."""
    parameters: Parameters = plan.parameters
    if plan.load is None or parameters.minimum_capacity is None:
        return []
    if any(objective.measure is Measure.CAPACITY for objective in plan.objectives):
        return []
    return [Objective(measure=Measure.CAPACITY, target=round(parameters.minimum_capacity * 1_000_000))]


def bounds(objective: Objective, measured: Measured, probes: Sequence[ProbeMeasure]) -> Bounds | None:
    """What was measured for one of these objectives; None when nothing was."""
    match objective.measure:
        case Measure.SCALE_OUT:
            return measured.scale_out
        case Measure.DETECTED:
            return measured.detected
        case Measure.MOVES:
            return measured.moves
        case Measure.AVAILABILITY:
            return least([probe.availability for probe in probes])
        case Measure.CAPACITY:
            return measured.load.capacity if measured.load else None
    return combine(probe.latency.get(objective.measure.value) for probe in probes)


def few(objective: Objective, probes: Sequence[ProbeMeasure]) -> str | None:
    """Why too few requests were made for a quantile to be one; None when there are enough."""
    if objective.measure not in QUANTILES:
        return None
    wants = needed(objective.measure)
    for probe in probes:
        if probe.answers < wants:
            return (
                f"{wording.plural(probe.answers, 'request')} of {probe.probe} from recovery to the undo; "
                f"a {wording.MEASURES[objective.measure]} needs {wants}"
            )
    return None


def short(measured: Measured) -> str | None:
    """Why the drill was not under the load it asks for; None when it was, or asks for none."""
    if measured.load is None or not measured.load.short:
        return None
    return "the drill was not under the load it asks for: " + "; ".join(measured.load.short)


def compared(bounds: Bounds, measure: Measure, verdict: Verdict, target: str) -> tuple[Reason, str]:
    """The verdict of the numbers, where more is better."""
    said = wording.bounds(bounds, measure)
    if verdict is Verdict.MET:
        return Reason.WITHIN_TARGET, f"{said} is at or above {target}"
    if verdict is Verdict.MISSED:
        return Reason.BEYOND_TARGET, f"{said} is below {target}"
    return Reason.STRADDLES_TARGET, f"{said} straddles {target}"


def endless(objective: Objective, bounds: Bounds, verdict: Verdict) -> tuple[Reason, str]:
    """Why there is no upper bound."""
    least_ = wording.duration(bounds.lower, up=False)
    if objective.measure is Measure.DETECTED:
        beyond = "" if verdict is Verdict.MISSED else ", which is within the target"
        return Reason.NOT_DETECTED, f"nothing had told of the fault {least_} after it{beyond}"
    if objective.measure is Measure.SCALE_OUT:
        return Reason.NEVER_RECOVERED, f"there was not enough capacity {least_} after it was needed"
    share = (1000 - QUANTILES[objective.measure]) / 10
    return Reason.NO_GOOD_ANSWER, f"more than {share:g} % of the requests after recovery may have had no good answer"


def unmeasured(measure: Measure, measured: Measured) -> str:
    """Why nothing was measured."""
    match measure:
        case Measure.SCALE_OUT:
            return "nobody saw too little capacity after the load rose, or the fault: name a probe under scaling:"
        case Measure.DETECTED:
            return "nobody who would have told of the fault watched to the end: name a probe under detection:"
        case Measure.MOVES:
            return "nobody who would have told of promotions and switches of traffic watched to the end"
        case Measure.CAPACITY if measured.load is None:
            return "the drill has no load"
        case Measure.CAPACITY:
            return "no three whole seconds of load before the fault and after recovery can be compared"
        case Measure.AVAILABILITY:
            return "no sample was planned"
    return "service was not back long enough before the undo for requests to be sent"
