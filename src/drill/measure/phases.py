"""The named instants of a run, as the probes saw them and the system itself told them."""

from __future__ import annotations

from collections.abc import Sequence

from drill.measure.bounds import between, combine
from drill.measure.faults import undos_began
from drill.measure.ledger import settled_reads
from drill.measure.service import rto_from
from drill.measure.streams import promotions, routes
from drill.measure.writes import written
from drill.model import (
    Bounds,
    History,
    Incident,
    Mark,
    Phase,
    ProbeMeasure,
    RestoreBegan,
    Restored,
    SurvivorRead,
    Window,
)


def phases(
    history: History,
    windows: dict[str, Window],
    judged: Sequence[ProbeMeasure],
    redundancy: Sequence[ProbeMeasure],
    reads: dict[str, list[SurvivorRead]],
) -> tuple[Phase, ...]:
    """Every phase that is known, in time order; what nobody saw is left out. *reads* are those that judge."""
    found = [Phase(name="fault", window=window, source="conductor", text=fault) for fault, window in windows.items()]
    found += [*_seen(judged), *_redundant(redundancy), *_verified(history, reads), *_undone(history)]
    t0 = next(iter(windows.values()), None)
    found += [*promotions(history, t0), *routes(history, t0, undos_began(history))]
    found += [
        Phase(name=mark.name, window=mark.window, source=mark.source, text=mark.text) for mark in history.of(Mark)
    ]
    return tuple(sorted(found, key=lambda phase: (phase.window.lower, phase.window.upper, phase.name)))


def impact(incident: Incident) -> Window:
    """When service went away: after the last good sample, at the first failed one at the latest."""
    first = incident.first_failed
    return Window(first if incident.last_good is None else min(incident.last_good, first), first)


def origin_window(name: str, phases: Sequence[Phase], t0: Window) -> Window | None:
    """The first *name* (detected, decided) that was told and did not surely come before the fault."""
    return next((phase.window for phase in phases if phase.name == name and phase.window.upper >= t0.lower), None)


def unprotected(phases: Sequence[Phase], redundancy: Sequence[ProbeMeasure], t0: Window) -> Bounds | None:
    """From the promotion to replicas back, as the redundancy probes saw it, else as the system told it."""
    promoted = origin_window("promoted", phases, t0)
    if promoted is None:
        return None
    if redundancy:
        return combine(rto_from(probe, promoted) for probe in redundancy)
    told = [phase.window for phase in phases if phase.name == "redundant" and phase.window.upper >= promoted.lower]
    return between(promoted, told[-1]) if told else None


def work_recovery(phases: Sequence[Phase]) -> Bounds | None:
    """From the start of sustained service to the data of every ledger checked."""
    recovered = [phase.window for phase in phases if phase.name == "recovered"]
    verified = [phase.window for phase in phases if phase.name == "verified"]
    return combine(between(recovered[-1], each) for each in verified) if recovered else None


def promoted_once(phases: Sequence[Phase], direct: Sequence[str]) -> list[Phase]:
    """
    *phases* with each promotion told once: by the *direct* probes where they saw any, else by the system.

    Both tell of the same promotion, a little apart, and must not be taken for two.
    """
    seen = any(phase.name == "promoted" and phase.source in direct for phase in phases)
    return [phase for phase in phases if not seen or phase.name != "promoted" or phase.source in direct]


def on_secondary(phases: Sequence[Phase], t0: Window, end: int) -> Bounds | None:
    """How long the promoted server served, until another was promoted; upper None when it still did at *end*."""
    promoted = origin_window("promoted", phases, t0)
    if promoted is None:
        return None
    later = [phase.window for phase in phases if phase.name == "promoted" and phase.window.lower > promoted.upper]
    return between(promoted, later[0]) if later else Bounds(max(0, end - promoted.upper), None)


def _seen(judged: Sequence[ProbeMeasure]) -> list[Phase]:
    """Service goes away with the first judged probe and is back with the last."""
    hit = [probe for probe in judged if probe.incidents]
    if not hit:
        return []
    first = min(hit, key=lambda probe: probe.incidents[0].first_failed)
    found = [Phase(name="impact", window=impact(first.incidents[0]), source=first.probe)]
    if all(probe.first_good is not None for probe in hit):
        good, last = max(((probe.first_good or 0), probe.probe) for probe in hit)
        found.append(Phase(name="first_good", window=Window(good, good), source=last))
    if all(probe.incidents[-1].recovered is not None for probe in hit):
        slow = max(hit, key=lambda probe: probe.incidents[-1].recovered or 0)
        back = max(probe.incidents[-1].recovered or 0 for probe in hit)
        since = max(probe.incidents[-1].last_failed for probe in hit)
        found.append(Phase(name="recovered", window=Window(min(since, back), back), source=slow.probe))
    return found


def _redundant(probes: Sequence[ProbeMeasure]) -> list[Phase]:
    hit = [probe for probe in probes if probe.incidents]
    if not hit or any(probe.incidents[-1].recovered is None for probe in hit):
        return []
    slow = max(hit, key=lambda probe: probe.incidents[-1].recovered or 0)
    last = slow.incidents[-1]
    return [Phase(name="redundant", window=Window(last.last_failed, last.recovered or 0), source=slow.probe)]


def _verified(history: History, reads: dict[str, list[SurvivorRead]]) -> list[Phase]:
    """The first time that two readings of a store agreed once service was back."""
    found = []
    for probe, each in reads.items():
        settled = settled_reads(each, written(history, probe))
        if settled:
            first = settled[0].read
            found.append(Phase(name="verified", window=Window(first.sent, first.ended), source=probe))
    return found


def _undone(history: History) -> list[Phase]:
    """Each undo: when it began, and when the way back had ended."""
    found = [
        Phase(name="restore", window=Window(event.at, event.at), source="conductor", text=event.fault)
        for event in history.of(RestoreBegan)
    ]
    found += [
        Phase(name="failback", window=Window(event.at, event.at), source="conductor", text=event.fault)
        for event in history.of(Restored)
        if event.verified
    ]
    return found
