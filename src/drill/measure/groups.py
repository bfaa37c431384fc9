"""Probes that belong together: several vantages of one service, several probes of one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from drill.measure.away import Away, at_once, of
from drill.measure.bounds import combine, total, vantage
from drill.measure.service import rto_from
from drill.model import (
    Agreement,
    Bounds,
    Incident,
    Ledger,
    Plan,
    ProbeMeasure,
    ServiceMeasure,
    ShardMeasure,
    Sighted,
    Window,
)

Places = Mapping[str, Sequence[str]]


def agreed(plan: Plan, found: Mapping[str, Bounds | None]) -> Bounds | None:
    """
    What several probes saw together; *found* has each one's bounds by its name.

    Those that look at one service from several vantages agree first, as the plan
    says; then every service must be back, and every probe without a vantage.
    None when there are none, or when one of them measured nothing.

    For instants counted from one origin, and for shares, of which it is the worst
    one's; how long several were away has its own functions here, for outages of
    two probes add up when one comes after the other.
    """
    lone = [bounds for name, bounds in found.items() if not plan.probe(name).vantage]
    services = _services(plan, found)
    return combine([*lone, *(_seen(places, found, plan.agreement) for places in services.values())])


def recovery(plan: Plan, probes: Sequence[ProbeMeasure], origin: Window | None) -> Bounds | None:
    """
    From *origin* to the start of sustained service, as the probes saw it together; None without an origin.

    When enough vantages were back for good, so was the service; but when they went
    away in turns, enough of them may have been there all the while.
    """
    if origin is None:
        return None
    last = agreed(plan, {probe.probe: rto_from(probe, origin) for probe in probes})
    return None if last is None else _no_later(last, _away(plan, probes, _outages), origin)


def outage(plan: Plan, probes: Sequence[ProbeMeasure]) -> Bounds | None:
    """From the first loss of service to the start of sustained service, as the probes saw it together."""
    return _length(_away(plan, probes, _outages), agreed(plan, {probe.probe: probe.outage for probe in probes}))


def failback(plan: Plan, probes: Sequence[ProbeMeasure]) -> Bounds | None:
    """The outage since the undo, likewise; None when one of the probes has none."""
    return _length(_away(plan, probes, _returning), agreed(plan, {probe.probe: probe.failback for probe in probes}))


def failback_recovery(plan: Plan, probes: Sequence[ProbeMeasure], undone: int | None) -> Bounds | None:
    """From the undo, begun at *undone*, to sustained service after it; None when one of the probes has none."""
    last = agreed(plan, {probe.probe: probe.failback_rto for probe in probes})
    if last is None or undone is None:
        return last
    return _no_later(last, _away(plan, probes, _returning), Window(undone, undone))


def bad_time(plan: Plan, probes: Sequence[ProbeMeasure]) -> Bounds | None:
    """
    Failed stretches added up: all of them may have come one after another, or all at once.

    Where some vantages may be outvoted, perhaps none of them ever failed together.
    """
    found = {probe.probe: probe.bad_time for probe in probes}
    parts = [bounds for name, bounds in found.items() if not plan.probe(name).vantage]
    for places in _services(plan, found).values():
        each = [_summed([found[name] for name in names]) for names in places.values()]
        parts.append(_summed(each, len(each) - plan.agreement.needs(len(each)) + 1))
    whole, span = outage(plan, probes), _summed(parts) if parts else None
    if span is None or whole is None or whole.upper is None:
        return span
    return Bounds(span.lower, whole.upper if span.upper is None else min(span.upper, whole.upper))


def services(plan: Plan, probes: Sequence[ProbeMeasure], t0: Window | None) -> tuple[ServiceMeasure, ...]:
    """Each service that *probes* watch from named vantages: as each saw it, and as any, a quorum and all did."""
    by_name = {probe.probe: probe for probe in probes}

    def sighted(name: str, places: Places, agreement: Agreement, **more: Any) -> Sighted:
        rto = {each: by_name[each].rto for names in places.values() for each in names}
        outages = {each: by_name[each].outage for each in rto}
        away = _service_away(places, by_name, agreement, _outages)
        last = _seen(places, rto, agreement)
        return Sighted(
            name=name,
            rto=None if last is None or t0 is None else _no_later(last, away, t0),
            outage=_length(away, _seen(places, outages, agreement)),
            **more,
        )

    return tuple(
        ServiceMeasure(
            service=service,
            vantages=tuple(
                sighted(place, {place: names}, Agreement.ALL, probes=tuple(names)) for place, names in places.items()
            ),
            together=tuple(sighted(each.value, places, each, needs=each.needs(len(places))) for each in Agreement),
        )
        for service, places in _services(plan, by_name).items()
    )


def shards(
    plan: Plan, probes: Sequence[ProbeMeasure], ledgers: Sequence[Ledger], t0: Window | None
) -> tuple[ShardMeasure, ...]:
    """
    Each shard that a probe names, in the order of the plan.

    Its times are the worst of its judged probes, its data that of all its judged
    ledgers; what none of them measures is None.
    """
    named: dict[str, list[str]] = {}
    for probe in plan.probes:
        if probe.shard:
            named.setdefault(probe.shard, []).append(probe.name)
    return tuple(_shard(plan, shard, names, probes, ledgers, t0) for shard, names in named.items())


def _shard(
    plan: Plan,
    shard: str,
    names: Sequence[str],
    probes: Sequence[ProbeMeasure],
    ledgers: Sequence[Ledger],
    t0: Window | None,
) -> ShardMeasure:
    judged = [probe for probe in probes if probe.probe in names and probe.probe in plan.judged]
    written = [ledger for ledger in ledgers if ledger.probe in names and ledger.probe in plan.judged]
    return ShardMeasure(
        name=shard,
        probes=tuple(names),
        hit=any(probe.incidents for probe in judged) if judged else None,
        rto=recovery(plan, judged, t0),
        outage=outage(plan, judged),
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


def _seen(places: Places, found: Mapping[str, Bounds | None], agreement: Agreement) -> Bounds | None:
    """From one vantage, service is back when all who look from there say so; of the vantages, as many as needed."""
    each = [combine(found[name] for name in names) for names in places.values()]
    known = [bounds for bounds in each if bounds is not None]
    return vantage(agreement.needs(len(known)), known) if len(known) == len(each) else None


def _outages(probe: ProbeMeasure) -> tuple[Incident, ...]:
    return probe.incidents


def _returning(probe: ProbeMeasure) -> tuple[Incident, ...]:
    return probe.failback_incidents


def _away(
    plan: Plan, probes: Iterable[ProbeMeasure], outages: Callable[[ProbeMeasure], tuple[Incident, ...]]
) -> Away | None:
    """When anything that is judged was: a probe without a vantage, or a service as enough vantages saw it."""
    by_name = {probe.probe: probe for probe in probes}
    lone = [of(outages(probe)) for probe in by_name.values() if not plan.probe(probe.probe).vantage]
    seen = [_service_away(places, by_name, plan.agreement, outages) for places in _services(plan, by_name).values()]
    return at_once(1, [*lone, *seen])


def _service_away(
    places: Places,
    probes: Mapping[str, ProbeMeasure],
    agreement: Agreement,
    outages: Callable[[ProbeMeasure], tuple[Incident, ...]],
) -> Away | None:
    """It is away when so many vantages are that too few are left to say it is there."""
    each = [at_once(1, [of(outages(probes[name])) for name in names]) for names in places.values()]
    return at_once(len(each) - agreement.needs(len(each)) + 1, each)


def _no_later(last: Bounds, away: Away | None, origin: Window) -> Bounds:
    """*last*, but at least only as long as something was surely still away."""
    sure = away.sure[-1][1] if away is not None and away.sure else origin.upper
    return Bounds(min(last.lower, max(0, sure - origin.upper)), last.upper)


def _length(away: Away | None, each: Bounds | None) -> Bounds | None:
    """How long they were *away*; an outage that one of them may have missed (in *each*) may be longer."""
    if each is None or away is None:
        return each if each is None else Bounds(0, each.upper)
    found = away.length
    if found.upper is None or each.upper is None:
        return found
    return Bounds(found.lower, max(found.upper, each.upper))


def _summed(each: Sequence[Bounds], least: int = 1) -> Bounds:
    """How long at least *least* of them were failing at once, when each failed for so long."""
    uppers = [bounds.upper for bounds in each if bounds.upper is not None]
    lower = max(bounds.lower for bounds in each) if least == 1 else 0
    return Bounds(lower, sum(uppers) // least if len(uppers) == len(each) else None)
