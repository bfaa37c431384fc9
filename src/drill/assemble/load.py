"""What the load was and did, and how long answers took after recovery."""

from __future__ import annotations

from collections import Counter

from drill import promised
from drill.assemble.units import Since, share, span
from drill.model import SECOND, History, LoadPhase, Measure, Measured, ProbeMeasure, Traffic
from drill.plan import demands
from drill.record import LatencyRecord, LoadPhaseRecord, LoadRecord, ReasonRecord

REASONS = 12


def load_record(history: History, measured: Measured, since: Since) -> LoadRecord | None:
    load, found = history.plan.load, measured.load
    if load is None or found is None:
        return None
    why = promised.unmeasured(Measure.CAPACITY, measured)
    errors: Counter[str] = Counter()
    for event in history.of(Traffic):
        errors.update(event.errors)
    return LoadRecord(
        tool=load.tool,
        sends=load.script or load.request.get("url"),
        steps=demands(load),
        processes=found.processes,
        phases=[_phase(phase, since) for phase in found.phases],
        capacity=share(found.capacity, why),
        short=list(found.short),
        reasons=[
            ReasonRecord(outcome="failed", detail=error, samples=count)
            for error, count in sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:REASONS]
        ],
    )


def _phase(phase: LoadPhase, since: Since) -> LoadPhaseRecord:
    long = (phase.end - phase.begin) / SECOND
    answered = phase.ok + phase.failed
    none = "no good answer in this stretch"

    def each(count: float) -> float:
        return round(count / long, 3)

    return LoadPhaseRecord(
        name=phase.name,
        began=since(phase.begin),
        duration_s=long,
        wanted_per_s=None if phase.wanted is None else each(phase.wanted),
        users_wanted=None if phase.users is None else each(phase.users),
        users=each(phase.ran),
        sent_per_s=each(phase.sent),
        ok_per_s=each(phase.ok),
        failed_per_s=each(phase.failed),
        error_ratio=round(phase.failed / answered, 6) if answered else None,
        missing=phase.missing,
        p50=span(phase.p50, none),
        p95=span(phase.p95, none),
        p99=span(phase.p99, none),
    )


def latency_record(found: ProbeMeasure, measured: Measured) -> LatencyRecord:
    why = promised.unmeasured(Measure.LATENCY_P50, measured)
    p50, p95, p99 = (
        span(found.latency.get(measure.value), why)
        for measure in (Measure.LATENCY_P50, Measure.LATENCY_P95, Measure.LATENCY_P99)
    )
    return LatencyRecord(probe=found.probe, requests=found.answers, p50=p50, p95=p95, p99=p99)
