"""Each probe and its own health, and the healthy baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from drill.assemble.units import maybe_seconds, percentile, seconds
from drill.model import History, Measured, Outcome, Probe, Sample, StepBegan, StepEnded, StepKind
from drill.record import ProbeRecord, ReasonRecord

REASONS = 12


def probe_record(history: History, probe: Probe) -> ProbeRecord:
    samples = history.samples(probe.name)
    sent = [sample for sample in samples if sample.sent is not None]
    late = sorted(sample.sent - sample.planned for sample in sent if sample.sent is not None)
    starts = sorted(sample.sent for sample in sent if sample.sent is not None)
    latency = latencies(samples)
    outcomes = [sample.outcome for sample in samples]
    plan = history.plan
    roles = (
        ("judged", plan.judged),
        ("redundancy", plan.redundancy),
        ("cache", plan.cache),
        ("detection", plan.detection),
        ("observed", plan.observed),
    )
    return ProbeRecord(
        name=probe.name,
        kind=probe.kind,
        role=", ".join(role for role, names in roles if probe.name in names) or "guard",
        period_s=seconds(probe.every),
        deadline_s=seconds(probe.deadline),
        sent=len(sent),
        ok=outcomes.count(Outcome.OK),
        failed=outcomes.count(Outcome.FAILED),
        unknown=outcomes.count(Outcome.UNKNOWN),
        late=sum(1 for lateness in late if lateness > probe.every),
        late_p99_s=maybe_seconds(percentile(late, 0.99)),
        late_max_s=maybe_seconds(late[-1] if late else None),
        max_gap_s=maybe_seconds(max((b - a for a, b in pairwise(starts)), default=None)),
        latency_p50_s=maybe_seconds(percentile(latency, 0.5)),
        latency_p99_s=maybe_seconds(percentile(latency, 0.99)),
        reasons=_reasons(samples),
    )


def _reasons(samples: Sequence[Sample]) -> list[ReasonRecord]:
    counted = Counter((sample.outcome.value, sample.detail) for sample in samples if sample.outcome is not Outcome.OK)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    found = [ReasonRecord(outcome=outcome, detail=detail, samples=n) for (outcome, detail), n in ordered[:REASONS]]
    # A reason may carry a number of its own and so be there once; the rest is added up.
    rest = Counter[str]()
    for (outcome, _), n in ordered[REASONS:]:
        rest[outcome] += n
    return found + [ReasonRecord(outcome=each, detail="other reasons", samples=rest[each]) for each in sorted(rest)]


def latencies(samples: Sequence[Sample]) -> list[int]:
    """How long good answers took from when they were planned for, sorted: waiting to be sent counts."""
    return sorted(
        sample.ended - sample.planned for sample in samples if sample.outcome is Outcome.OK and sample.ended is not None
    )


def baseline_samples(history: History, measured: Measured, probe: str) -> list[Sample]:
    """The samples of the healthy baseline: planned in the first watch (or before the fault) and over by t0."""
    first, last = baseline_span(history, measured)
    return [
        sample
        for sample in history.samples(probe)
        if first <= sample.planned and (sample.ended if sample.ended is not None else sample.planned) <= last
    ]


def baseline_span(history: History, measured: Measured) -> tuple[int, int]:
    began = history.began.at
    end = measured.t0.lower if measured.t0 else history.events[-1].at
    steps = history.plan.steps
    if steps and steps[0].kind is StepKind.WATCH:
        began = next((event.at for event in history.of(StepBegan) if event.n == 0), began)
        end = min(end, next((event.at for event in history.of(StepEnded) if event.n == 0), end))
    return began, max(began, end)


def baseline(history: History, measured: Measured) -> dict[str, Any]:
    first, last = baseline_span(history, measured)
    probes: dict[str, Any] = {}
    for probe in history.plan.probes:
        samples = baseline_samples(history, measured, probe.name)
        decided = [sample for sample in samples if sample.outcome is not Outcome.UNKNOWN]
        good = sum(1 for sample in decided if sample.outcome is Outcome.OK)
        probes[probe.name] = {
            "samples": len(samples),
            "ok_ratio": round(good / len(decided), 6) if decided else None,
            "p99_s": maybe_seconds(percentile(latencies(samples), 0.99)),
            "reason": None if decided else "no sample of it was decided before the fault",
        }
    return {"duration_s": seconds(last - first), "probes": probes}
