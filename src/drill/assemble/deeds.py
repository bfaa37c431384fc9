"""What was done: faults, single activities, steps, and what is left for a person to do."""

from __future__ import annotations

from drill import wording
from drill.assemble.units import Since, seconds
from drill.model import (
    Done,
    History,
    Injected,
    InjectFailed,
    Intent,
    Prepared,
    RestoreBegan,
    Restored,
    Step,
    StepBegan,
    StepEnded,
    StepKind,
    Window,
)
from drill.record import ActivityRecord, FaultRecord, StepRecord
from drill.verdict import faults_in_place


def fault_record(history: History, name: str, since: Since) -> FaultRecord:
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
    return Window(intent.at, returned if returned is not None else history.latest)


def activities(history: History, since: Since) -> list[ActivityRecord]:
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


def steps(history: History, since: Since) -> list[StepRecord]:
    began: dict[int, StepBegan] = {event.n: event for event in history.of(StepBegan)}
    ended: dict[int, StepEnded] = {event.n: event for event in history.of(StepEnded)}
    return [_step(step, began.get(n), ended.get(n), since) for n, step in enumerate(history.plan.steps)]


def _step(step: Step, began: StepBegan | None, ended: StepEnded | None, since: Since) -> StepRecord:
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
