"""What was done to the system, and when: the instants that everything else is counted from."""

from __future__ import annotations

from collections.abc import Sequence

from drill.model import (
    SECOND,
    Condition,
    Done,
    Effect,
    History,
    Injected,
    InjectFailed,
    Intent,
    Plan,
    Prepared,
    ProbeMeasure,
    RestoreBegan,
    StepKind,
    Window,
)

# The two clocks are read microseconds apart, milliseconds on a busy machine; no suspend is this short.
SUSPEND = SECOND


def fault_windows(history: History) -> dict[str, Window]:
    """
    For each fault carried out, in order, [command sent, effect confirmed] of its first breaking action.

    An action that never returned is confirmed by whatever was said of its fault
    afterwards, or by nothing before the run's last event. A fault without any
    breaking action is there from its preparation to what its engine said of it.
    """
    end = history.latest
    prepared = {event.undo.fault: event.at for event in history.of(Prepared)}
    said: dict[str, int] = {}
    for event in history.of(Injected, InjectFailed):
        said.setdefault(event.fault, event.at)
    done = {(event.fault, event.n): event.at for event in history.of(Done)}
    windows: dict[str, Window] = {}
    for event in history.of(Intent, Injected, InjectFailed):
        if event.fault in windows:
            continue
        if isinstance(event, Intent):
            if event.breaks and not event.undoing:
                confirmed = done.get((event.fault, event.n), said.get(event.fault, end))
                windows[event.fault] = Window(event.at, max(event.at, confirmed))
        else:
            windows[event.fault] = Window(prepared.get(event.fault, event.at), event.at)
    return windows


def last_action(history: History) -> int | None:
    """When the last breaking action was confirmed, or the run's last event when it never was; None without any."""
    end = history.latest
    done = {(event.fault, event.n): event.at for event in history.of(Done)}
    said = {event.fault: event.at for event in history.of(Injected, InjectFailed)}
    confirmed = [
        done.get((event.fault, event.n), said.get(event.fault, end))
        for event in history.of(Intent)
        if event.breaks and not event.undoing
    ]
    # A fault without any breaking action of its own is made when its engine says so.
    return max([*confirmed, *(window.upper for window in fault_windows(history).values())], default=None)


def later_actions(history: History, disaster: Window) -> list[int]:
    """When every breaking action after the disaster's first one was sent."""
    return [
        event.at for event in history.of(Intent) if event.breaks and not event.undoing and event.at > disaster.lower
    ]


def undo_is_under_test(plan: Plan) -> bool:
    """Whether the drill waits for recovery only after a `restore` step: then the undo is what must heal it."""
    for step in plan.steps:
        if step.kind is StepKind.RESTORE:
            return any(each.condition is Condition.RECOVERY for each in plan.steps)
        if step.condition is Condition.RECOVERY:
            return False
    return False


def undos_began(history: History) -> list[int]:
    """
    When undoing began, in order, up to the first that came after the last breaking action.

    Undoing one fault before the next one is made is part of the drill; what
    follows the last fault is the way back.
    """
    breaking = [event.at for event in history.of(Intent) if event.breaks and not event.undoing]
    last = max(breaking, default=None)
    found: list[int] = []
    for event in history.of(RestoreBegan):
        found.append(event.at)
        if last is None or event.at >= last:
            break
    return found


def effect(history: History, windows: dict[str, Window], judged: Sequence[ProbeMeasure]) -> tuple[Effect, str]:
    """
    Whether the faults are known to have had an effect, with the proof in words.

    The weakest of several faults counts: a drill of two faults of which one did
    nothing has not tested what it says. Where an engine cannot tell, an outage
    that a judged probe saw from that fault on is the proof; where it proved that
    nothing happened, no outage is.
    """
    if not windows:
        return Effect.UNKNOWN, "no fault was carried out"
    said = {event.fault: event.injection for event in history.of(Injected)}
    proofs: list[str] = []
    unproven: str | None = None
    acted = last_action(history) or 0
    for n, (fault, window) in enumerate(windows.items()):
        injection = said.get(fault)
        evidence = f": {injection.evidence}" if injection and injection.evidence else ""
        if injection and injection.effect is Effect.NONE:
            return Effect.NONE, f"{fault} had no effect{evidence}"
        if injection and injection.effect is Effect.SHOWN:
            proofs.append(f"{fault}{evidence or ': proved by its engine'}")
            continue
        since = None if n == 0 else window
        seen = next((probe.probe for probe in judged if _saw(probe, since, max(acted, window.upper))), None)
        if seen is None:
            unproven = unproven or f"nothing shows that {fault} took effect{evidence}"
        else:
            proofs.append(f"{fault}: {seen} saw an outage from then on")
    return (Effect.UNKNOWN, unproven) if unproven else (Effect.SHOWN, "; ".join(proofs))


def _saw(probe: ProbeMeasure, since: Window | None, acted: int) -> bool:
    """
    Whether a probe saw an outage that a fault can have caused; None is the first fault, which every outage follows.

    One that begins later than `hold` after the last action proves nothing: a hiccup
    ten minutes on is not the fault's.
    """
    return any(
        incident.first_failed <= acted + probe.hold and (since is None or incident.last_failed >= since.lower)
        for incident in probe.incidents
    )


def suspended(history: History) -> bool:
    """Whether the machine slept during the run: boot time went on by over a second while monotonic time stood."""
    ended = history.ended
    begin = history.began.anchor
    if ended is None or begin.boot is None or ended.anchor.boot is None:
        return False
    return abs((ended.anchor.boot - begin.boot) - (ended.anchor.monotonic - begin.monotonic)) > SUSPEND
