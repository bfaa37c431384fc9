"""
From a history to its record: every number that a report says.

Pure. Nothing here measures or judges; what was not measured is written down
as null with the reason, never as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from drill import limits, wording
from drill.measure import measure
from drill.model import (
    SECOND,
    Bounds,
    Done,
    Guard,
    History,
    Incident,
    Injected,
    InjectFailed,
    Intent,
    Judged,
    Judgement,
    Ledger,
    Measure,
    Measured,
    Note,
    Outcome,
    Prepared,
    Probe,
    ProbeMeasure,
    RestoreBegan,
    Restored,
    Sample,
    Step,
    StepBegan,
    StepEnded,
    StepKind,
    Window,
)
from drill.record import (
    SCHEMA,
    ActivityRecord,
    Artifact,
    BoundsS,
    CountBounds,
    FaultRecord,
    IncidentRecord,
    Instant,
    LedgerRecord,
    MeasuredRecord,
    ObjectiveRecord,
    PerProbe,
    PhaseRecord,
    ProbeRecord,
    RatioBounds,
    Record,
    StepRecord,
)
from drill.verdict import faults_in_place, judge

# Ids shown of each set of the ledger: enough to look them up in the store, few enough to read.
EXAMPLES = 10

SETS = ("lost", "late_loss", "recovered", "absent", "phantom", "zombie", "stale", "holes")


def assemble(history: History, *, attachments: Sequence[Artifact] = ()) -> Record:
    """
    Measure and judge a run, and write down all that a report says of it.

    *attachments* are the run's own files (journal, foreign reports) with their
    digests, as whoever read them from disk found them.
    """
    measured = measure(history)
    return compose(history, measured, judge(history, measured), attachments=attachments)


def compose(
    history: History, measured: Measured, judgement: Judgement, *, attachments: Sequence[Artifact] = ()
) -> Record:
    """Write down what was measured and judged; `assemble` without the measuring."""
    began, ended, plan = history.began, history.ended, history.plan
    since = _Since(began.anchor.monotonic)
    return Record(
        schema=SCHEMA,
        run_id=began.run_id,
        drill=plan.drill,
        title=plan.title,
        system=plan.system,
        result=judgement.result.value,
        reason=judgement.reason,
        cause=(ended.cause or None) if ended else "crash",
        exit_code=judgement.result.exit_code,
        started_at=utc(began.anchor.wall),
        ended_at=utc(ended.anchor.wall) if ended else None,
        duration_s=seconds(ended.anchor.monotonic - began.anchor.monotonic) if ended else None,
        tool=dict(sorted(began.tool.items())),
        trigger=began.trigger,
        plan=_plan(history),
        parameters=_parameters(history, measured),
        clock=_clock(history, measured),
        journal={"events": len(history.events), "last_line_sha256": history.digest or None},
        objectives=[_objective(judged) for judged in judgement.judged],
        measured=_measured(history, measured, since),
        faults=[_fault(history, fault.name, since) for fault in plan.faults],
        activities=_activities(history, since),
        phases=[
            PhaseRecord(
                name=phase.name,
                lower_s=since(phase.window.lower),
                upper_s=since(phase.window.upper),
                source=phase.source,
                text=phase.text,
            )
            for phase in sorted(measured.phases, key=lambda phase: (phase.window.lower, phase.window.upper, phase.name))
        ],
        steps=_steps(history, since),
        probes=[_probe(history, probe) for probe in plan.probes],
        ledger=[_ledger(ledger, plan.probe(ledger.probe)) for ledger in measured.ledgers],
        baseline=_baseline(history, measured),
        guards=[_guard(guard) for guard in plan.guards],
        notes=[note.text for note in history.of(Note)],
        limits=limits.limits(history, measured, judgement),
        instructions=instructions(history),
        artifacts=sorted(attachments, key=lambda artifact: artifact.path),
    )


# --- small conversions ----------------------------------------------------------------------------------------------


class _Since:
    """Seconds since the run's first anchor, whose wall time is `started_at`."""

    def __init__(self, zero: int) -> None:
        self.zero = zero

    def __call__(self, at: int) -> float:
        return seconds(at - self.zero)

    def instant(self, lower: int, upper: int) -> Instant:
        return Instant(lower=self(lower), upper=self(upper))


def seconds(ns: int) -> float:
    """Nanoseconds as seconds; exact to the nanosecond for a hundred days."""
    return ns / SECOND


def maybe_seconds(ns: int | None) -> float | None:
    return None if ns is None else seconds(ns)


def utc(wall: int) -> str:
    """A wall clock reading as ISO 8601 in UTC, to the millisecond, rounded down."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def percentile(ordered: Sequence[int], share: float) -> int | None:
    """Nearest rank: the smallest of the sorted values that at least *share* of them do not exceed."""
    if not ordered:
        return None
    # In thousandths, because 0.99 * 100 is not 99 in binary.
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(rank, 1) - 1]


def span(bounds: Bounds | None, reason: str) -> BoundsS:
    """Bounds of a duration; *reason* is kept only where something is null."""
    if bounds is None:
        return BoundsS(lower_s=None, upper_s=None, reason=reason)
    return BoundsS(
        lower_s=seconds(bounds.lower),
        upper_s=maybe_seconds(bounds.upper),
        reason="the run ended first" if bounds.upper is None else None,
    )


def counted(bounds: Bounds | None, reason: str) -> CountBounds:
    if bounds is None:
        return CountBounds(lower=None, upper=None, reason=reason)
    return CountBounds(
        lower=bounds.lower,
        upper=bounds.upper,
        reason="some survivors could not be read" if bounds.upper is None else None,
    )


def share(bounds: Bounds | None, reason: str) -> RatioBounds:
    """Parts per million as a share of 1."""
    if bounds is None:
        return RatioBounds(lower=None, upper=None, reason=reason)
    upper = None if bounds.upper is None else bounds.upper / 1_000_000
    return RatioBounds(lower=bounds.lower / 1_000_000, upper=upper, reason="no upper bound" if upper is None else None)


# --- identity and method --------------------------------------------------------------------------------------------


def _plan(history: History) -> dict[str, Any]:
    plan = history.plan
    return {
        "digest": plan.digest or None,
        "lab": plan.lab,
        "judged": list(plan.judged),
        "observed": list(plan.observed),
        "redundancy": list(plan.redundancy),
        "disaster": plan.disaster,
        "files": [{"path": file.path, "sha256": file.sha256} for file in plan.files],
    }


def _parameters(history: History, measured: Measured) -> dict[str, Any]:
    """What was set, and for each probe what followed from it."""
    given = history.plan.parameters
    return {
        "onset_ratio": given.onset_ratio,
        "onset_window_s": {
            probe.name: seconds(given.onset_window if given.onset_window is not None else 50 * probe.every)
            for probe in history.plan.probes
        },
        "recovery_ratio": given.recovery_ratio,
        "minimum_capacity": given.minimum_capacity,
        "hold_min_ok": given.hold_min_ok,
        "hold_s": {found.probe: seconds(found.hold) for found in measured.per_probe},
    }


def _clock(history: History, measured: Measured) -> dict[str, Any]:
    start, ended = history.began.anchor, history.ended
    clock: dict[str, Any] = {
        "anchor_start": {"wall": utc(start.wall), "monotonic_s": 0.0},
        "anchor_end": None,
        "drift_ppm": None,
        "suspended": measured.suspended,
        "reason": "the run has no end: nothing to compare the first anchor with",
    }
    if ended is None:
        return clock
    elapsed = ended.anchor.monotonic - start.monotonic
    clock["anchor_end"] = {"wall": utc(ended.anchor.wall), "monotonic_s": seconds(elapsed)}
    clock["reason"] = None
    if elapsed > 0:
        clock["drift_ppm"] = round((ended.anchor.wall - start.wall - elapsed) * 1_000_000 / elapsed, 1)
    return clock


def _guard(guard: Guard) -> str:
    if guard.probe:
        return f"{guard.probe} stays good"
    return f"no outage longer than {wording.duration(guard.max_outage or 0)}"


# --- results ----------------------------------------------------------------------------------------------------------


def _objective(judged: Judged) -> ObjectiveRecord:
    objective, found = judged.objective, judged.bounds
    lower, upper = (found.lower, found.upper) if found else (None, None)
    common: dict[str, Any] = {
        "id": objective.id,
        "verdict": judged.verdict.value,
        "reason": judged.reason.value,
        "explanation": judged.explanation,
        "margin": _margin(judged),
        "origin": objective.origin.value,
        "source_ref": objective.source,
    }
    if objective.measure in wording.COUNTS:
        return ObjectiveRecord(**common, target=objective.target, lower=lower, upper=upper)
    if objective.measure is Measure.ERROR_RATIO:
        as_share = share(found, "")
        return ObjectiveRecord(
            **common, target=objective.target / 1_000_000, lower=as_share.lower, upper=as_share.upper
        )
    return ObjectiveRecord(
        **common,
        target_s=seconds(objective.target),
        lower_s=maybe_seconds(lower),
        upper_s=maybe_seconds(upper),
    )


def _margin(judged: Judged) -> float | None:
    found, target = judged.bounds, judged.objective.target
    if found is None or target == 0:
        return None
    if judged.verdict.value == "met" and found.upper is not None:
        return round(1 - found.upper / target, 4)
    return round(1 - found.lower / target, 4) if judged.verdict.value == "missed" else None


def _measured(history: History, measured: Measured, since: _Since) -> MeasuredRecord:
    why = limits.Unmeasured(history, measured)
    judged = set(history.plan.judged)
    return MeasuredRecord(
        rto=span(measured.rto, why.recovery),
        outage=span(measured.outage, why.recovery),
        rpo=span(measured.rpo, why.loss),
        lost_writes=counted(measured.lost_writes, why.loss),
        integrity=counted(None if measured.holes is None else Bounds(measured.holes, measured.holes), why.loss),
        error_ratio=share(measured.error_ratio, why.recovery),
        bad_time=span(measured.bad_time, why.recovery),
        failback=span(measured.failback, why.failback),
        redundancy=span(measured.redundancy, why.redundancy),
        incidents=[
            _incident(found.probe, incident, since)
            for found in sorted(measured.per_probe, key=lambda found: found.probe)
            for incident in found.incidents
        ],
        per_probe=[_per_probe(found, why.recovery, found.probe in judged) for found in measured.per_probe],
    )


def _incident(probe: str, incident: Incident, since: _Since) -> IncidentRecord:
    # Without a good sample before it, it may have begun at any time since the run did.
    first = since(incident.last_good) if incident.last_good is not None else 0.0
    return IncidentRecord(
        probe=probe,
        began=Instant(lower=min(first, since(incident.first_failed)), upper=since(incident.first_failed)),
        ended=None if incident.recovered is None else since.instant(incident.last_failed, incident.recovered),
        outage=span(incident.outage, ""),
        flaps=incident.flaps,
    )


def _per_probe(found: ProbeMeasure, why: str, judged: bool) -> PerProbe:
    return PerProbe(
        name=found.probe,
        rto=span(found.rto, why),
        outage=span(found.outage, why),
        bad_time=span(found.bad_time, why),
        error_time_estimate_s=seconds(found.error_time),
        flaps=found.flaps,
        judged=judged,
    )


def _ledger(ledger: Ledger, probe: Probe) -> LedgerRecord:
    settled = ledger.survivors is not None
    sets: dict[str, tuple[int, ...]] = {name: getattr(ledger, name) for name in SETS}
    sizes: dict[str, int | None] = {name: len(ids) if settled else None for name, ids in sets.items()}
    why = "no reading of the survivors settled"
    return LedgerRecord(
        probe=ledger.probe,
        acknowledged=ledger.acknowledged,
        refused=ledger.refused,
        unknown=ledger.unknown,
        survivors=ledger.survivors,
        **sizes,
        worst_case=ledger.worst_case if settled else None,
        duplicates=ledger.duplicates if settled else None,
        rpo=span(ledger.rpo, why if not settled else "the bounds of the loss are not known"),
        examples={name: list(ids[:EXAMPLES]) for name, ids in sets.items() if ids},
        exposure={
            "n": ledger.exposure,
            "needed": ledger.needed,
            "last_age_s": maybe_seconds(ledger.last_age),
            "enough": ledger.exposed,
            "period_s": seconds(probe.every),
        },
        resolution_s=maybe_seconds(ledger.resolution),
        settled=ledger.settled,
        reason=None if settled else why,
    )


# --- what was done ----------------------------------------------------------------------------------------------------


def _fault(history: History, name: str, since: _Since) -> FaultRecord:
    planned = history.plan.fault(name)
    window = _injected_at(history, name)
    injection = next((event.injection for event in history.of(Injected) if event.fault == name), None)
    failure = next((event.error for event in history.of(InjectFailed) if event.fault == name), None)
    restored: Restored | None = next((event for event in reversed(history.of(Restored)) if event.fault == name), None)
    undoing = next((event.at for event in history.of(RestoreBegan) if event.fault == name), None)
    reason = failure or (restored.error if restored and not restored.verified else None) or None
    if window is None and reason is None:
        reason = "it was never carried out"
    return FaultRecord(
        name=name,
        title=planned.title,
        engine=planned.engine,
        injected_at=since.instant(window.lower, window.upper) if window else None,
        effect=injection.effect.value if injection else "unknown",
        evidence=(injection.evidence or None) if injection else None,
        details=list(injection.details) if injection else [],
        failed=list(injection.failed) if injection else [],
        restored=restored.verified if restored else None,
        restored_at=since.instant(undoing if undoing is not None else restored.at, restored.at) if restored else None,
        reason=reason,
    )


def _injected_at(history: History, fault: str) -> Window | None:
    """From the intent of the first activity that breaks something to the return of that activity."""
    intent = next(
        (event for event in history.of(Intent) if event.fault == fault and event.breaks and not event.undoing), None
    )
    if intent is None:
        return None
    returned = next((event.at for event in history.of(Done) if event.fault == fault and event.n == intent.n), None)
    # An activity that never returned may have had its effect as late as the journal goes.
    return Window(intent.at, returned if returned is not None else history.events[-1].at)


def _activities(history: History, since: _Since) -> list[ActivityRecord]:
    done: dict[tuple[str, int], Done] = {(event.fault, event.n): event for event in history.of(Done)}
    found = []
    for intent in history.of(Intent):
        end = done.get((intent.fault, intent.n))
        found.append(
            ActivityRecord(
                fault=intent.fault,
                name=intent.activity,
                began=since(intent.at),
                ended=since(end.at) if end else None,
                breaks=intent.breaks,
                undoing=intent.undoing,
                ok=end.ok if end else None,
                error=(end.error or None) if end else "it never returned",
            )
        )
    return found


def _steps(history: History, since: _Since) -> list[StepRecord]:
    began: dict[int, StepBegan] = {event.n: event for event in history.of(StepBegan)}
    ended: dict[int, StepEnded] = {event.n: event for event in history.of(StepEnded)}
    return [_step(step, began.get(n), ended.get(n), since) for n, step in enumerate(history.plan.steps)]


def _step(step: Step, began: StepBegan | None, ended: StepEnded | None, since: _Since) -> StepRecord:
    if began is None:
        reason: str | None = "it never began"
    elif ended is None:
        reason = "it never ended"
    else:
        reason = ended.reason or None
    return StepRecord(
        name=str(step),
        planned=_planned(step),
        actual_s=seconds(ended.at - began.at) if began and ended else None,
        began=since(began.at) if began else None,
        done=ended.done if ended else False,
        reason=reason,
    )


def _planned(step: Step) -> str:
    if step.within is None:
        return ""
    return f"{'for' if step.kind is StepKind.WATCH else 'within'} {wording.duration(step.within)}"


def instructions(history: History) -> list[str]:
    """What a person must do now: only for faults that may still be in place."""
    last: dict[str, Restored] = {event.fault: event for event in history.of(Restored)}
    undo = {event.undo.fault: event.undo for event in history.of(Prepared)}
    found: list[str] = []
    for fault in faults_in_place(history):
        told = last[fault].instructions if fault in last else ()
        told = told or (undo[fault].instructions if fault in undo else ())
        found += told or (f"Undo {fault} by hand, or run: drill restore {history.began.run_id}",)
    return found


# --- probes -----------------------------------------------------------------------------------------------------------


def _probe(history: History, probe: Probe) -> ProbeRecord:
    samples = history.samples(probe.name)
    sent = [sample for sample in samples if sample.sent is not None]
    late = sorted(sample.sent - sample.planned for sample in sent if sample.sent is not None)
    starts = sorted(sample.sent for sample in sent if sample.sent is not None)
    latency = latencies(samples)
    outcomes = [sample.outcome for sample in samples]
    plan = history.plan
    roles = (("judged", plan.judged), ("redundancy", plan.redundancy), ("observed", plan.observed))
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
    )


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


def _baseline(history: History, measured: Measured) -> dict[str, Any]:
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
