"""What was measured and judged."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from drill import limits, promised, wording
from drill.assemble.groups import service_records, shard_records
from drill.assemble.load import latency_record
from drill.assemble.units import Since, counted, maybe_seconds, seconds, share, span
from drill.model import (
    SECOND,
    Bounds,
    Estimate,
    History,
    Incident,
    Judged,
    Ledger,
    Measure,
    Measured,
    Probe,
    ProbeMeasure,
)
from drill.record import (
    CountBounds,
    EstimateRecord,
    Factor,
    FailbackRecord,
    IncidentRecord,
    Instant,
    LedgerRecord,
    MeasuredRecord,
    ObjectiveRecord,
    PerProbe,
    SplitBrainRecord,
    StoreRecord,
)

# Ids shown of each set of the ledger: enough to look them up in the store, few enough to read.
EXAMPLES = 10

SETS = ("lost", "late_loss", "recovered", "absent", "phantom", "zombie", "stale", "holes")


def objective_record(judged: Judged) -> ObjectiveRecord:
    objective, found = judged.objective, judged.bounds
    lower, upper = (found.lower, found.upper) if found else (None, None)
    kind, reference = wording.source_of(objective.source)
    common: dict[str, Any] = {
        "id": objective.id,
        "verdict": judged.verdict.value,
        "reason": judged.reason.value,
        "explanation": judged.explanation,
        "margin": _margin(judged),
        "origin": objective.origin.value,
        "at_least": objective.measure.at_least,
        "source_kind": kind,
        "source_ref": reference,
    }
    if objective.measure in wording.COUNTS:
        return ObjectiveRecord(**common, target=objective.target, lower=lower, upper=upper)
    if objective.measure in wording.SHARES:
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
    if found is None or target == 0 or judged.objective.measure.at_least:
        return None
    if judged.verdict.value == "met" and found.upper is not None:
        return round(1 - found.upper / target, 4)
    return round(1 - found.lower / target, 4) if judged.verdict.value == "missed" else None


def measured_record(history: History, measured: Measured, since: Since) -> MeasuredRecord:
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
        failback=FailbackRecord(
            rto=span(measured.failback_rto, why.failback),
            outage=span(measured.failback, why.failback),
            rpo=span(measured.failback_rpo, why.failback_loss),
            lost_writes=counted(measured.failback_lost, why.failback_loss),
        ),
        redundancy=span(measured.redundancy, why.redundancy),
        unprotected=span(measured.unprotected, why.unprotected),
        work_recovery=span(measured.work_recovery, why.work_recovery),
        on_secondary=span(measured.on_secondary, why.on_secondary),
        cold_cache=span(measured.cold_cache, why.cold_cache),
        origin_amplification=Factor(
            value=None if measured.amplification is None else round(measured.amplification, 2),
            reason=why.cold_cache if measured.amplification is None else None,
        ),
        production_loss=_production_loss(history, measured, why.loss),
        scale_out=span(measured.scale_out, promised.unmeasured(Measure.SCALE_OUT, measured)),
        detected=span(measured.detected, promised.unmeasured(Measure.DETECTED, measured)),
        moves=counted(measured.moves, promised.unmeasured(Measure.MOVES, measured)),
        availability=share(measured.availability, promised.unmeasured(Measure.AVAILABILITY, measured)),
        latency=[latency_record(found, measured) for found in measured.per_probe if found.probe in judged],
        incidents=[
            _incident(found.probe, incident, since)
            for found in sorted(measured.per_probe, key=lambda found: found.probe)
            for incident in found.incidents
        ],
        per_probe=[_per_probe(found, why.recovery, found.probe in judged) for found in measured.per_probe],
        shards=shard_records(measured, why.recovery),
        services=service_records(history.plan, measured, why.recovery),
    )


def _production_loss(history: History, measured: Measured, why: str) -> CountBounds:
    """What the loss would be at production's commit rate; rounded outwards."""
    rate, found = history.plan.commit_rate, measured.rpo
    if rate is None:
        return counted(None, "the drill states no commit_rate")
    if found is None:
        return counted(None, why)
    upper = None if found.upper is None else ceil(found.upper * rate / SECOND)
    return counted(Bounds(floor(found.lower * rate / SECOND), upper), why)


def split_brain_record(history: History, measured: Measured) -> SplitBrainRecord:
    """The judged stores together, then each store."""
    why = limits.Unmeasured(history, measured).split_brain
    judged = set(history.plan.judged)
    whole = span(measured.split_brain, why)
    return SplitBrainRecord(
        lower_s=whole.lower_s,
        upper_s=whole.upper_s,
        reason=whole.reason if measured.split_brain is None else _untold(measured.split_brain),
        stores=[
            StoreRecord(
                name=each.store,
                probes=list(each.probes),
                servers=list(each.servers),
                judged=bool(judged & set(each.probes)),
                overlap=span(each.length, "its answers do not name a server and its epoch"),
            )
            for each in measured.overlaps
        ],
    )


def _untold(found: Bounds) -> str | None:
    return "some answers do not name a server and its epoch" if found.upper is None else None


def _incident(probe: str, incident: Incident, since: Since) -> IncidentRecord:
    # Without a good sample before it, it may have begun at any time since the run did.
    first = since(incident.last_good) if incident.last_good is not None else 0.0
    return IncidentRecord(
        probe=probe,
        began=Instant(lower=min(first, since(incident.first_failed)), upper=since(incident.first_failed)),
        ended=None if incident.recovered is None else since.instant(incident.last_failed, incident.recovered),
        outage=span(incident.outage, ""),
        flaps=incident.flaps,
        bad_time=span(incident.bad_time, ""),
        error_time_estimate_s=seconds(incident.error_time),
        failed_ratio=incident.failed_ratio / 1_000_000,
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


def ledger_record(ledger: Ledger, probe: Probe) -> LedgerRecord:
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
        reordered=counted(_count(ledger.reordered), "no consumer took messages while the drill ran"),
        redelivered=counted(_count(ledger.redelivered), "no consumer took messages while the drill ran"),
        longest_redelivery=span(
            None if ledger.redelivery is None else Bounds(ledger.redelivery, ledger.redelivery),
            "no consumer took messages while the drill ran" if ledger.redelivered is None else "nothing came twice",
        ),
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


def _count(ids: tuple[int, ...] | None) -> Bounds | None:
    return None if ids is None else Bounds(len(ids), len(ids))


def estimate_record(estimate: Estimate, since: Since) -> EstimateRecord:
    sampled = estimate.sampled
    return EstimateRecord(
        probe=estimate.probe,
        of=estimate.of,
        source=estimate.source,
        value_s=estimate.value,
        sampled_at=since.instant(sampled.lower, sampled.upper) if sampled else None,
        age=span(estimate.age, "nothing was read before the disaster"),
        error=estimate.error or None,
        highest_s=estimate.highest,
        readings=estimate.readings,
        empty=estimate.empty,
        failed=estimate.failed,
    )
