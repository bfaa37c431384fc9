"""
Measuring: from a history to bounds on recovery time, outage and data loss. Pure.

The figures are what the samples and readings in the journal prove and nothing
more: a duration is always bounds, upper None when the run ended first.
"""

from __future__ import annotations

from collections.abc import Sequence

from drill.measure import cache
from drill.measure.bounds import (
    between,
    combine,
    default_deadline,
    default_period,
    split_brain,
    total,
    vantage,
)
from drill.measure.deliveries import delivered
from drill.measure.faults import (
    effect,
    fault_windows,
    last_action,
    later_actions,
    suspended,
    undo_is_under_test,
    undos_began,
)
from drill.measure.groups import agreed, bad_time, failback, failback_recovery, outage, recovery, services, shards
from drill.measure.incidents import Rule, incidents, redundancy_parameters, resolve, sustained
from drill.measure.ledger import Exposure, Undone, Write, exposure, ledger, writes_of
from drill.measure.overlap import overlaps
from drill.measure.phases import impact, on_secondary, origin_window, phases, promoted_once, unprotected, work_recovery
from drill.measure.promises import alarms, answers, detected, least, moves
from drill.measure.scaling import scale_out
from drill.measure.service import measure_probe, rto_from
from drill.measure.streams import estimates
from drill.measure.traffic import measure_load
from drill.measure.writes import written
from drill.model import (
    SECOND,
    Bounds,
    History,
    Ledger,
    LoadMeasure,
    Measure,
    Measured,
    Plan,
    ProbeMeasure,
    SurvivorRead,
    Survivors,
    Window,
    WritesPlanned,
)

__all__ = [
    "Exposure",
    "Rule",
    "Undone",
    "Write",
    "agreed",
    "bad_time",
    "between",
    "combine",
    "default_deadline",
    "default_hold",
    "default_period",
    "exposure",
    "failback",
    "impact",
    "incidents",
    "ledger",
    "measure",
    "measure_probe",
    "origin_window",
    "outage",
    "recovery",
    "redundancy_parameters",
    "resolve",
    "rto_from",
    "split_brain",
    "sustained",
    "total",
    "vantage",
    "writes_of",
]


def default_hold(plan: Plan, probe: str) -> int:
    """How long one probe of a plan must stay good to count as recovered, nanoseconds."""
    period = plan.probe(probe).every
    return resolve(redundancy_parameters(period) if probe in plan.redundancy else plan.parameters, period).hold


def measure(history: History) -> Measured:
    """Everything a run measured; the same history always gives the same."""
    return history.once(_measure)


def _measure(history: History) -> Measured:
    plan = history.plan
    windows = fault_windows(history)
    t0 = next(iter(windows.values()), None)
    disaster = windows.get(plan.disaster) if plan.disaster else t0
    undone = undos_began(history)
    acted = last_action(history)
    per_probe = tuple(_probe(history, probe.name, t0, undone, acted) for probe in plan.probes)
    by_name = {probe.probe: probe for probe in per_probe}
    judged = [by_name[name] for name in plan.judged]
    redundancy = [by_name[name] for name in plan.redundancy]
    shown, proof = effect(history, windows, judged)
    reads = {probe.name: _reads(history, probe.name, disaster, judged) for probe in plan.probes if probe.writes}
    undo = _way_back(plan, judged, undone)
    ledgers = tuple(_ledger(history, name, disaster, each, undo) for name, each in reads.items())
    decisive = [each for each in ledgers if each.probe in plan.judged]
    rivals = overlaps(history, t0)
    fired = alarms(history, t0)
    told = phases(history, windows, judged, redundancy, reads)
    told = tuple(sorted([*told, *fired], key=lambda each: (each.window.lower, each.window.upper, each.name)))
    promoted = promoted_once(told, [probe.name for probe in plan.probes if probe.shows == "promoted"])
    per_probe = answers(history, per_probe, t0, undone[-1] if undone and not undo_is_under_test(plan) else None)
    judged = [probe for probe in per_probe if probe.probe in plan.judged]
    parts = shards(plan, per_probe, ledgers, t0)
    caches = [_cold(history, name, t0, undone) for name in plan.cache]
    amplified = [factor for name in plan.cache if (factor := _amplified(history, name, t0)) is not None]
    return Measured(
        t0=t0,
        disaster=disaster,
        effect=shown,
        proof=proof,
        rto=recovery(plan, judged, t0),
        outage=outage(plan, judged),
        bad_time=bad_time(plan, judged),
        error_ratio=agreed(plan, {probe.probe: probe.error_ratio for probe in judged}),
        failback=failback(plan, judged),
        redundancy=combine(probe.rto for probe in redundancy),
        rpo=combine(each.rpo for each in decisive),
        lost_writes=total(each.lost_writes for each in decisive),
        holes=sum(len(each.holes) for each in decisive) if decisive and all(e.settled for e in decisive) else None,
        undo_began=undone[-1] if undone else None,
        suspended=suspended(history),
        per_probe=per_probe,
        ledgers=ledgers,
        estimates=estimates(history, disaster),
        phases=told,
        shards=parts,
        services=services(plan, judged, t0),
        failback_rto=failback_recovery(plan, judged, undone[-1] if undone else None),
        failback_rpo=combine(each.failback_rpo for each in decisive),
        failback_lost=total(_failback_lost(each) for each in decisive),
        unprotected=unprotected(promoted, redundancy, t0) if t0 else None,
        work_recovery=work_recovery([each for each in told if each.name != "verified" or each.source in plan.judged]),
        on_secondary=on_secondary(promoted, t0, history.latest) if t0 else None,
        cold_cache=combine(caches),
        amplification=max(amplified, default=None),
        split_brain=combine(each.length for each in rivals if set(each.probes) & set(plan.judged)),
        overlaps=rivals,
        scale_out=scale_out(history, t0, undone[-1] if undone and not undo_is_under_test(plan) else None),
        detected=detected(history, t0, told),
        moves=moves(history, t0, told),
        availability=least([probe.availability for probe in judged]),
        load=_load(history, t0, judged, undone),
    )


def _load(history: History, t0: Window | None, judged: Sequence[ProbeMeasure], undone: list[int]) -> LoadMeasure | None:
    if history.plan.load is None:
        return None
    return measure_load(history, t0, judged, undone[-1] if undone and not undo_is_under_test(history.plan) else None)


def _probe(history: History, name: str, t0: Window | None, undone: list[int], acted: int | None) -> ProbeMeasure:
    """One probe; redundancy comes back with the undo more often than not, so that does not cut it."""
    plan = history.plan
    period = plan.probe(name).every
    samples = history.samples(name)
    if name in plan.redundancy:
        return measure_probe(name, samples, t0, period, redundancy_parameters(period), acted=acted)
    cuts = () if undo_is_under_test(plan) else tuple(undone)
    return measure_probe(name, samples, t0, period, plan.parameters, cuts, acted)


def _way_back(plan: Plan, judged: Sequence[ProbeMeasure], undone: list[int]) -> Undone | None:
    """The undo as something that may lose data of its own; None when it is the recovery under test, or came first."""
    if not undone or undo_is_under_test(plan):
        return None
    if any(probe.incidents and probe.incidents[-1].recovered is None for probe in judged):
        return None
    back = max((probe.incidents[-1].recovered or 0 for probe in judged if probe.incidents), default=None)
    return Undone(Window(undone[-1], undone[-1]), back)


def _failback_lost(each: Ledger) -> Bounds | None:
    """How many writes the way back lost; those that no two readings cover may be among them."""
    if each.failback_rpo is None:
        return None
    return Bounds(len(each.failback_lost), len(each.failback_lost) + each.unread)


def _cold(history: History, name: str, t0: Window | None, undone: list[int]) -> Bounds | None:
    plan = history.plan
    period = plan.probe(name).every
    if t0 is None:
        return None
    until = undone[-1] if undone and not undo_is_under_test(plan) else None
    return cache.cold_cache(history.samples(name), t0, period, resolve(plan.parameters, period).hold, until)


def _amplified(history: History, name: str, t0: Window | None) -> float | None:
    """The peak over two seconds, or twenty periods where that is longer."""
    every = history.plan.probe(name).every
    return None if t0 is None else cache.amplification(history.samples(name), t0, max(2 * SECOND, 20 * every))


def _reads(history: History, name: str, t0: Window | None, judged: Sequence[ProbeMeasure]) -> list[SurvivorRead]:
    """The readings that can judge a ledger: begun after the fault, and after service was back."""
    back = [probe.incidents[-1].recovered or 0 for probe in judged if probe.incidents]
    since = max([t0.upper if t0 else history.began.at, *back])
    return [event.read for event in history.of(Survivors) if event.probe == name and event.read.sent >= since]


def _ledger(history: History, name: str, t0: Window | None, reads: list[SurvivorRead], undo: Undone | None) -> Ledger:
    plan = history.plan
    samples = history.samples(name)
    writes = written(history, name)
    planned = [event for event in history.of(WritesPlanned) if event.probe == name]
    if t0 is None:
        return delivered(ledger(name, writes, reads, None, planned=planned), writes, reads)
    targets = [
        objective.target
        for objective in plan.objectives
        if objective.measure is Measure.RPO and objective.probe in (None, name)
    ]
    exposed = exposure(
        writes.values(),
        samples,
        t0,
        plan.probe(name).every,
        max(targets, default=0),
        later_actions(history, t0),
    )
    return delivered(ledger(name, writes, reads, t0, planned=planned, exposed=exposed, undo=undo), writes, reads)
