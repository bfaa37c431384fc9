"""Each probe and its own health, and the healthy baseline."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from drill.assemble.units import maybe_seconds, percentile, seconds
from drill.columns import FAILED, NEVER, OK, UNKNOWN, Columns
from drill.model import History, Measured, Probe, StepBegan, StepEnded, StepKind
from drill.record import ProbeRecord, ReasonRecord

REASONS = 12


def probe_record(history: History, probe: Probe) -> ProbeRecord:
    samples = history.samples(probe.name)
    sent = samples.where(samples.was_sent)
    late = np.sort(sent.sent - sent.planned).data
    gaps = np.diff(np.sort(sent.sent))
    latency = latencies(samples)
    failed, unknown = samples.why(FAILED), samples.why(UNKNOWN)
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
        ok=int(np.count_nonzero(samples.are(OK))),
        failed=sum(failed.values()),
        unknown=sum(unknown.values()),
        late=len(late) - bisect_right(late, probe.every),
        late_p99_s=maybe_seconds(percentile(late, 0.99)),
        late_max_s=maybe_seconds(late[-1] if late else None),
        max_gap_s=maybe_seconds(int(gaps.max()) if gaps.size else None),
        latency_p50_s=maybe_seconds(percentile(latency, 0.5)),
        latency_p99_s=maybe_seconds(percentile(latency, 0.99)),
        reasons=_reasons({"failed": failed, "unknown": unknown}),
    )


def _reasons(counted: dict[str, dict[str, int]]) -> list[ReasonRecord]:
    every = [((outcome, detail), n) for outcome, reasons in counted.items() for detail, n in reasons.items()]
    ordered = sorted(every, key=lambda item: (-item[1], item[0]))
    found = [ReasonRecord(outcome=outcome, detail=detail, samples=n) for (outcome, detail), n in ordered[:REASONS]]
    # A reason may carry a number of its own and so be there once; the rest is added up.
    rest = Counter[str]()
    for (outcome, _), n in ordered[REASONS:]:
        rest[outcome] += n
    return found + [ReasonRecord(outcome=each, detail="other reasons", samples=rest[each]) for each in sorted(rest)]


def latencies(samples: Columns) -> Sequence[int]:
    """How long good answers took from when they were planned for, sorted: waiting to be sent counts."""
    good = samples.are(OK) & (samples.ended != NEVER)
    return np.sort(samples.ended[good] - samples.planned[good]).data


def baseline_samples(history: History, measured: Measured, probe: str) -> Columns:
    """The samples of the healthy baseline: planned in the first watch (or before the fault) and over by t0."""
    first, last = baseline_span(history, measured)
    samples = history.samples(probe)
    over = np.where(samples.ended == NEVER, samples.planned, samples.ended)
    return samples.where((first <= samples.planned) & (over <= last))


def baseline_span(history: History, measured: Measured) -> tuple[int, int]:
    began = history.began.at
    end = measured.t0.lower if measured.t0 else history.latest
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
        good = int(np.count_nonzero(samples.are(OK)))
        decided = good + int(np.count_nonzero(samples.are(FAILED)))
        probes[probe.name] = {
            "samples": len(samples),
            "ok_ratio": round(good / decided, 6) if decided else None,
            "p99_s": maybe_seconds(percentile(latencies(samples), 0.99)),
            "reason": None if decided else "no sample of it was decided before the fault",
        }
    return {"duration_s": seconds(last - first), "probes": probes}
