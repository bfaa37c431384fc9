"""Probes that belong together: several vantages of one service, several probes of one shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drill.measure.bounds import combine, total, vantage
from drill.model import Agreement, Bounds, Ledger, Plan, ProbeMeasure, ServiceMeasure, ShardMeasure, Sighted


def agreed(plan: Plan, found: Mapping[str, Bounds | None]) -> Bounds | None:
    """
    What several probes saw together; *found* has each one's bounds by its name.

    Those that look at one service from several vantages agree first, as the plan
    says; then every service must be back, and every probe without a vantage.
    None when there are none, or when one of them measured nothing.
    """
    lone = [bounds for name, bounds in found.items() if not plan.probe(name).vantage]
    services = _services(plan, found)
    return combine([*lone, *(_seen(places, found, plan.agreement) for places in services.values())])


def services(plan: Plan, probes: Sequence[ProbeMeasure]) -> tuple[ServiceMeasure, ...]:
    """Each service that *probes* watch from named vantages: as each saw it, and as any, a quorum and all did."""
    rto = {probe.probe: probe.rto for probe in probes}
    outage = {probe.probe: probe.outage for probe in probes}
    return tuple(
        ServiceMeasure(
            service=service,
            vantages=tuple(
                Sighted(
                    name=place,
                    probes=tuple(names),
                    rto=combine(rto[name] for name in names),
                    outage=combine(outage[name] for name in names),
                )
                for place, names in places.items()
            ),
            together=tuple(
                Sighted(
                    name=each.value,
                    needs=each.needs(len(places)),
                    rto=_seen(places, rto, each),
                    outage=_seen(places, outage, each),
                )
                for each in Agreement
            ),
        )
        for service, places in _services(plan, rto).items()
    )


def shards(plan: Plan, probes: Sequence[ProbeMeasure], ledgers: Sequence[Ledger]) -> tuple[ShardMeasure, ...]:
    """
    Each shard that a probe names, in the order of the plan.

    Its times are the worst of its judged probes, its data that of all its judged
    ledgers; what none of them measures is None.
    """
    named: dict[str, list[str]] = {}
    for probe in plan.probes:
        if probe.shard:
            named.setdefault(probe.shard, []).append(probe.name)
    return tuple(_shard(plan, shard, names, probes, ledgers) for shard, names in named.items())


def _shard(
    plan: Plan, shard: str, names: Sequence[str], probes: Sequence[ProbeMeasure], ledgers: Sequence[Ledger]
) -> ShardMeasure:
    judged = [probe for probe in probes if probe.probe in names and probe.probe in plan.judged]
    written = [ledger for ledger in ledgers if ledger.probe in names and ledger.probe in plan.judged]
    return ShardMeasure(
        name=shard,
        probes=tuple(names),
        hit=any(probe.incidents for probe in judged) if judged else None,
        rto=agreed(plan, {probe.probe: probe.rto for probe in judged}),
        outage=agreed(plan, {probe.probe: probe.outage for probe in judged}),
        error_time=max((probe.error_time for probe in judged), default=None),
        rpo=combine(ledger.rpo for ledger in written),
        lost_writes=total(ledger.lost_writes for ledger in written),
    )


def _services(plan: Plan, names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """The probes among *names* that have a vantage, by service and vantage."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        probe = plan.probe(name)
        if probe.vantage:
            found.setdefault(probe.service, {}).setdefault(probe.vantage, []).append(name)
    return found


def _seen(
    places: Mapping[str, Sequence[str]], found: Mapping[str, Bounds | None], agreement: Agreement
) -> Bounds | None:
    """From one vantage, service is back when all who look from there say so; of the vantages, as many as needed."""
    each = [combine(found[name] for name in names) for names in places.values()]
    known = [bounds for bounds in each if bounds is not None]
    return vantage(agreement.needs(len(known)), known) if len(known) == len(each) else None
