"""
From a history to its record: every number that a report says.

Pure. Nothing here measures or judges; what was not measured is written down
as null with the reason, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from drill import limits, wording
from drill.assemble.deeds import activities, fault_record, instructions, steps
from drill.assemble.load import load_record
from drill.assemble.probes import baseline, probe_record
from drill.assemble.results import estimate_record, ledger_record, measured_record, objective_record, split_brain_record
from drill.assemble.units import Since, seconds, utc
from drill.measure import measure
from drill.model import Delayed, Guard, History, Judgement, Measured, Note, Permission, Usual
from drill.record import SCHEMA, Artifact, PhaseRecord, Record
from drill.verdict import judge

__all__ = ["assemble", "compose"]


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
    since = Since(began.anchor.monotonic)
    delayed: Delayed | None = next(iter(history.of(Delayed)), None)
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
        journal={"events": history.lines, "last_line_sha256": history.digest or None},
        objectives=[objective_record(judged) for judged in judgement.judged],
        split_brain=split_brain_record(history, measured),
        measured=measured_record(history, measured, since),
        faults=[fault_record(history, fault.name, since) for fault in plan.faults],
        activities=activities(history, since),
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
        steps=steps(history, since),
        probes=[probe_record(history, probe) for probe in plan.probes],
        ledger=[ledger_record(ledger, plan.probe(ledger.probe)) for ledger in measured.ledgers],
        estimates=[estimate_record(estimate, since) for estimate in measured.estimates],
        baseline=baseline(history, measured),
        delay_s=None if delayed is None else seconds(delayed.delay),
        cycle_s=None if delayed is None else seconds(delayed.cycle),
        load=load_record(history, measured, since),
        guards=[_guard(guard) for guard in plan.guards],
        notes=[note.text for note in history.of(Note)],
        limits=limits.limits(history, measured, judgement),
        instructions=instructions(history),
        artifacts=sorted(attachments, key=lambda artifact: artifact.path),
    )


# --- identity and method --------------------------------------------------------------------------------------------


def _plan(history: History) -> dict[str, Any]:
    plan = history.plan
    return {
        "digest": plan.digest or None,
        "lab": plan.lab,
        "environment": plan.environment or None,
        "permission": _permission(plan.permission),
        "judged": list(plan.judged),
        "observed": list(plan.observed),
        "redundancy": list(plan.redundancy),
        "cache": list(plan.cache),
        "detection": list(plan.detection),
        "scaling": list(plan.scaling),
        "commit_rate": plan.commit_rate,
        "usual": None if plan.usual is None else dict(_usual(plan.usual)),
        "disaster": plan.disaster,
        "files": [{"path": file.path, "sha256": file.sha256} for file in plan.files],
    }


def _permission(given: Permission | None) -> dict[str, Any] | None:
    """Who ran it, by which policies, and who had approved; None when no policy applied."""
    if given is None:
        return None
    return {
        "who": list(given.who),
        "policies": [{"path": file.path, "sha256": file.sha256} for file in given.policies],
        "approvals": [
            {
                "by": each.by,
                "at": utc(each.at),
                "expires": utc(each.expires),
                "reason": each.reason,
                "signed": each.signed,
            }
            for each in given.approvals
        ],
    }


def _usual(given: Usual) -> Iterator[tuple[str, Any]]:
    """What the drill said of it, and nothing else."""
    if given.kind:
        yield "kind", given.kind
    for name in ("ttl", "loop", "router", "at_least", "at_most", "loss"):
        value = getattr(given, name)
        if value is not None:
            yield f"{name}_s", seconds(value)


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
        # Adding 0 makes of -0.0 a 0.
        clock["drift_ppm"] = round((ended.anchor.wall - start.wall - elapsed) * 1_000_000 / elapsed, 1) + 0.0
    return clock


def _guard(guard: Guard) -> str:
    if guard.probe:
        return f"{guard.probe} stays good"
    if guard.metric:
        limit = f"above {guard.above:g}" if guard.above is not None else f"below {guard.below:g}"
        return f"{guard.metric} not {limit}" + (f" for {wording.duration(guard.lasting)}" if guard.lasting else "")
    if guard.max_duration is not None:
        return f"no drill longer than {wording.duration(guard.max_duration)}"
    return f"no outage longer than {wording.duration(guard.max_outage or 0)}"
