"""What a run does not show: said in the report, so that nobody reads more into it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from drill import usual, wording
from drill.columns import UNKNOWN
from drill.model import (
    Effect,
    History,
    Injected,
    Judgement,
    Ledger,
    Measure,
    Measured,
    Plan,
    Result,
    Sighted,
    StepBegan,
    StepEnded,
    StepKind,
    Verdict,
)
from drill.verdict import faults_in_place


class Unmeasured:
    """
    Why a number of the record is null, one sentence for each kind of number.

    Attributes:
        recovery: Recovery time, outage, failing time and errors.

        loss: Data loss and lost writes.

        failback: The outage of failing back.

        failback_loss: What undoing the fault lost.

        redundancy: The time without replicas.

        unprotected, work_recovery, on_secondary, cold_cache, split_brain: As in `Measured`.
    """

    def __init__(self, history: History, measured: Measured) -> None:
        plan = history.plan
        unbroken = measured.t0 is None
        nothing = "no fault was carried out"
        self.recovery = nothing if unbroken else "no judged probe decided anything after the fault"
        self.failback = "nothing was undone while probes were running"
        self.failback_loss = "no undo lay between a recovery and two readings that agree"
        self.on_secondary = "nothing told of a promotion"
        self.unprotected = self.on_secondary if plan.redundancy else "no probe of redundancy is named"
        self.work_recovery = "service was not seen back, or no two readings of its data agreed"
        self.cold_cache = "no baseline of hits and misses before the fault, or nothing watched after it"
        if not plan.cache:
            self.cold_cache = "no probe of a cache is named"
        self.split_brain = "no answer to a write names its server and epoch"
        if not any(probe.writes for probe in plan.probes):
            self.split_brain = "no probe writes"
        self.redundancy = nothing if unbroken else "the samples do not show replicas coming back"
        if not plan.redundancy:
            self.redundancy = "no probe of redundancy is named"
        if not any(probe.writes for probe in plan.probes):
            self.loss = "no probe writes, so nothing could be found lost"
        elif unbroken:
            self.loss = nothing
        elif any(ledger.survivors is not None for ledger in measured.ledgers):
            self.loss = "the bounds of the loss are not known"
        else:
            self.loss = "no reading of the survivors settled"


def limits(history: History, measured: Measured, judgement: Judgement) -> list[str]:
    """Every limit of a run, one sentence each, in the order a reader would ask."""
    return [
        *_undecided(judgement),
        *_steps(history),
        *_faults(history, measured),
        *_seeing(history, measured),
        *_data(history, measured),
        *_two_servers(history, measured),
        *_unusual(history, measured),
        *_not_tested(history, measured, judgement),
    ]


def _undecided(judgement: Judgement) -> Iterator[str]:
    for judged in judgement.judged:
        if judged.verdict is Verdict.INCONCLUSIVE:
            yield f"{judged.objective.id} is not decided: {judged.explanation}"


def _steps(history: History) -> Iterator[str]:
    begun = {event.n for event in history.of(StepBegan)}
    ended: dict[int, StepEnded] = {event.n: event for event in history.of(StepEnded)}
    for n, step in enumerate(history.plan.steps):
        if n not in begun:
            yield f"Step {n + 1} ({step}) was never begun."
        elif n not in ended or not ended[n].done:
            why = ended[n].reason if n in ended else "the run ended first"
            yield f"Step {n + 1} ({step}) was not completed: {why or 'no reason is recorded'}."
    if history.ended is None:
        yield "The journal has no end: whatever happened after its last line is not known."


def _faults(history: History, measured: Measured) -> Iterator[str]:
    if measured.t0 is None:
        yield "No fault was carried out, so this run says nothing of recovery."
    elif measured.effect is not Effect.SHOWN:
        known = "The fault had no effect" if measured.effect is Effect.NONE else "Nothing proves that the fault bit"
        yield f"{known}: {measured.proof}" if measured.proof else f"{known}."
    for event in history.of(Injected):
        for found in event.injection.failed:
            yield f"{event.fault} found amiss: {found}"
    for fault in faults_in_place(history):
        yield f"It is not proved that {fault} was undone."


def _seeing(history: History, measured: Measured) -> Iterator[str]:
    plan = history.plan
    if plan.judged and measured.t0 is not None:
        widest = max(plan.probe(name).every for name in plan.judged)
        yield (
            "The service was watched from one place, the machine that ran drill. "
            f"A failure that began and ended within {wording.duration(widest)} may not have been seen."
        )
    for probe in plan.probes:
        samples = history.samples(probe.name)
        reasons = samples.why(UNKNOWN)
        unknown = sum(reasons.values())
        if unknown:
            yield (
                f"{probe.name}: {wording.count(unknown)} of {wording.plural(len(samples), 'sample')} "
                f"{'is' if unknown == 1 else 'are'} unknown ({_why_unknown(reasons)}) and "
                f"{'proves' if unknown == 1 else 'prove'} nothing."
            )
        found = measured.probe(probe.name)
        if found is not None and found.gap:
            yield f"{probe.name}: an edge of the outage falls in a stretch that was not measured."
        if found is not None and not found.healthy_before:
            yield f"{probe.name}: it failed before the fault."
    if measured.suspended:
        yield "This machine was suspended during the run: its durations cannot be trusted."
    if plan.parameters.onset_ratio > 0:
        yield "The drill accepts some failures as normal: the edges of a partial outage are estimates, not bounds."
    yield from _vantages(plan, measured)
    yield from _partial(plan, measured)


def _vantages(plan: Plan, measured: Measured) -> Iterator[str]:
    """Who was outvoted, with what they saw: excluding a vantage needs its evidence beside it."""
    for service in measured.services:
        judged = next(each for each in service.together if each.name == plan.agreement.value)
        if judged.rto is None or judged.needs == len(service.vantages):
            continue
        slowest = sorted(service.vantages, key=_late)[judged.needs :]
        saw = "; ".join(f"{each.name} {wording.bounds(each.rto, Measure.RTO)}" for each in slowest)
        yield (
            f"{service.service or 'The service'} is judged as {judged.needs} of {len(service.vantages)} vantages "
            f"saw it ({judged.name}). What the others saw of its recovery does not count: {saw}."
        )


def _late(vantage: Sighted) -> tuple[float, int]:
    """Orders vantages by when service was back from there."""
    if vantage.rto is None:
        return inf, 0
    return inf if vantage.rto.upper is None else vantage.rto.upper, vantage.rto.lower


def _partial(plan: Plan, measured: Measured) -> Iterator[str]:
    """Outages in which some requests went well between the failed ones; a flap or two is none."""
    for found in measured.per_probe:
        for incident in found.incidents:
            share = incident.failed_ratio
            if found.probe not in plan.judged or share > 900_000 or not share:
                continue
            # The first and the last failure of a share f lie about T/f from the true edges; 3T/f at 95 %.
            blur = 3 * plan.probe(found.probe).every * 1_000_000 // share
            yield (
                f"{found.probe}: {wording.ratio(share)} of the requests failed during its outage, not all: "
                f"its edges are estimates, good to about {wording.duration(blur, up=True)}."
            )
            break


def _two_servers(history: History, measured: Measured) -> Iterator[str]:
    judged = set(history.plan.judged)
    for each in measured.overlaps:
        if not judged & set(each.probes):
            continue
        if each.length is None:
            yield (
                f"{each.store}: whether two servers took writes at once is not known, "
                "because no answer names a server and its epoch."
            )
        elif len(each.probes) == 1 and each.length.lower == 0:
            yield (
                f"{each.store}: two servers at once would only have shown on the way that {each.probes[0]} takes; "
                "a probe that writes straight to each server (with the same store) sees more."
            )


def _unusual(history: History, measured: Measured) -> Iterator[str]:
    """A recovery time or a loss outside the usual band: a question to whoever trusts it."""
    if history.plan.usual is None:
        return
    band = usual.band(history.plan.usual)
    if measured.rto is not None and (how := usual.outside(measured.rto, band.at_least, band.at_most)):
        least, most = band.at_least, band.at_most
        yield (
            f"Finding: a recovery time of {wording.bounds(measured.rto)} is {how} than is usual for {band.of} "
            f"({wording.duration(least or 0)} to {'any' if most is None else wording.duration(most)}): "
            "was something else measured?"
        )
    if measured.rpo is not None and usual.outside(measured.rpo, None, band.loss):
        yield (
            f"Finding: a data loss of {wording.bounds(measured.rpo, Measure.RPO)} is more than is usual for {band.of} "
            f"({wording.duration(band.loss or 0)} at most)."
        )


def _why_unknown(reasons: dict[str, int]) -> str:
    most = min(reasons, key=lambda reason: (-reasons[reason], reason))
    return most or "no reason is recorded"


def _data(history: History, measured: Measured) -> Iterator[str]:
    if not measured.ledgers:
        yield "Data loss was not looked for: no probe of this drill writes."
    for ledger in measured.ledgers:
        if ledger.lost and ledger.probe not in history.plan.judged:
            yield (
                f"{ledger.probe}, observed and not judged: {wording.plural(len(ledger.lost), 'acknowledged write')} "
                f"{'is' if len(ledger.lost) == 1 else 'are'} gone."
            )
        yield from _ledger(ledger)


def _ledger(ledger: Ledger) -> Iterator[str]:
    name = ledger.probe
    if ledger.survivors is None:
        yield f"{name}: what survived is not known, because no reading settled."
        return
    if not ledger.settled:
        yield f"{name}: the survivors had not settled when they were last read."
    if ledger.unknown:
        yield (
            f"{name}: {wording.plural(ledger.unknown, 'write')} got no answer and "
            f"{'is' if ledger.unknown == 1 else 'are'} neither lost nor safe"
            + (f"; at worst {_gone(ledger.worst_case)}." if ledger.worst_case else ".")
        )
    if not ledger.exposed:
        yield (
            f"{name}: {wording.plural(ledger.exposure, 'write')} acknowledged just before the fault, "
            f"{wording.count(ledger.needed)} needed to say that nothing was lost."
        )
    if not ledger.lost and ledger.resolution is not None:
        yield f"{name}: a loss shorter than {wording.duration(ledger.resolution, up=True)} could not have shown."


def _gone(writes: int) -> str:
    return f"{wording.plural(writes, 'write')} {'is' if writes == 1 else 'are'} gone"


def _not_tested(history: History, measured: Measured, judgement: Judgement) -> Iterator[str]:
    plan = history.plan
    if plan.commit_rate is not None and measured.rpo is not None:
        yield (
            f"The loss at {plan.commit_rate:g} commits per second is an extrapolation: "
            "losses in one failover are not independent."
        )
    if measured.cold_cache is not None and measured.cold_cache.lower:
        yield "When the cache was warm again is an estimate: a share of requests has no sharp edges."
    if measured.load is not None:
        yield from (f"The load: {why}." for why in measured.load.short)
    capacity = any(each.objective.measure is Measure.CAPACITY for each in judgement.judged)
    if measured.t0 is not None and plan.parameters.minimum_capacity is None and not capacity:
        yield "Capacity after recovery was not tested: no minimum_capacity is set."
    if not any(step.kind is StepKind.AWAIT and step.condition for step in plan.steps) and measured.t0 is not None:
        yield "The drill does not wait for recovery, so a late one may lie outside it."
    if measured.t0 is not None and measured.redundancy is None and not plan.redundancy:
        yield "Whether replicas came back was not tested: no probe of redundancy is named."
    if judgement.result is Result.MET:
        yield "This is one run. One clean run shows, with 95 % confidence, that at least 5 % of such runs are met."
