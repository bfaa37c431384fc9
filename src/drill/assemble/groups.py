"""Probes that belong together: shards, and the vantages of a service."""

from __future__ import annotations

from drill.assemble.units import counted, maybe_seconds, span
from drill.grouped import ServiceRecord, ShardRecord, SightedRecord
from drill.model import Agreement, Measured, Plan, ServiceMeasure, ShardMeasure, Sighted


def shard_records(measured: Measured, recovery: str) -> list[ShardRecord]:
    """*recovery* is why there are no times where there are none."""
    return [_shard(each, recovery) for each in measured.shards]


def _shard(found: ShardMeasure, recovery: str) -> ShardRecord:
    why = recovery if found.hit is not None else "no probe of it is judged"
    loss = "no judged probe of it writes, or what it left is not known"
    return ShardRecord(
        name=found.name,
        probes=list(found.probes),
        hit=found.hit,
        rto=span(found.rto, why),
        outage=span(found.outage, why),
        error_time_estimate_s=maybe_seconds(found.error_time),
        rpo=span(found.rpo, loss),
        lost_writes=counted(found.lost_writes, loss),
    )


def service_records(plan: Plan, measured: Measured, recovery: str) -> list[ServiceRecord]:
    return [_service(plan.agreement, each, recovery) for each in measured.services]


def _service(agreement: Agreement, found: ServiceMeasure, recovery: str) -> ServiceRecord:
    return ServiceRecord(
        service=found.service or None,
        vantages=[_sighted(each, recovery, judged=True) for each in found.vantages],
        together=[_sighted(each, recovery, judged=each.name == agreement.value) for each in found.together],
    )


def _sighted(found: Sighted, recovery: str, *, judged: bool) -> SightedRecord:
    return SightedRecord(
        name=found.name,
        needs=found.needs,
        probes=list(found.probes),
        judged=judged,
        rto=span(found.rto, recovery),
        outage=span(found.outage, recovery),
    )
