"""
Judging: from what was measured to verdicts and the one word for the whole run. Pure.

A target is met only when the upper bound is within it and every piece of
evidence is there; missed only when the lower bound is beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drill import promised, wording
from drill.measure import agreed, bad_time, combine, failback, origin_window, outage, recovery, total
from drill.model import (
    Bounds,
    Completion,
    Effect,
    History,
    Injected,
    InjectFailed,
    Intent,
    Judged,
    Judgement,
    Ledger,
    Measure,
    Measured,
    Objective,
    Origin,
    ProbeMeasure,
    Reason,
    Restored,
    Result,
    StepEnded,
    StepKind,
    Verdict,
)

_DATA = frozenset({Measure.RPO, Measure.LOST_WRITES, Measure.INTEGRITY})
_INTEGRITY = Objective(measure=Measure.INTEGRITY, target=0)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a verdict cannot be what the numbers alone say."""

    reason: Reason
    sentence: str


_SLEPT = Cause(Reason.CLOCK_UNBOUNDED, "this machine slept during the run: its clock stood still")


def decide(bounds: Bounds, target: int, *, at_least: bool = False) -> Verdict:
    """What the numbers alone say; with *at_least*, more is better."""
    if at_least:
        if bounds.lower >= target:
            return Verdict.MET
        return Verdict.MISSED if bounds.upper is not None and bounds.upper < target else Verdict.INCONCLUSIVE
    if bounds.upper is not None and bounds.upper <= target:
        return Verdict.MET
    return Verdict.MISSED if bounds.lower > target else Verdict.INCONCLUSIVE


def judge(history: History, measured: Measured) -> Judgement:
    """Judge every objective of the plan, `integrity` whenever a judged probe writes, and the run as a whole."""
    objectives = list(history.plan.objectives)
    ledgers = [ledger for ledger in measured.ledgers if ledger.probe in history.plan.judged]
    if ledgers and history.plan.faults and not any(objective.measure is Measure.INTEGRITY for objective in objectives):
        objectives.append(_INTEGRITY)
    objectives += promised.unasked(history.plan)
    judged = tuple(_Case(history, measured, objective).judged() for objective in objectives)
    result, reason = _result(history, judged)
    return Judgement(judged=judged, result=result, reason=reason)


def faults_in_place(history: History) -> list[str]:
    """Faults that may still be in place: something of them was done, and no later undo was verified."""
    open_: dict[str, None] = {}
    for event in history.events:
        if isinstance(event, Injected | InjectFailed) or (
            isinstance(event, Intent) and event.breaks and not event.undoing
        ):
            open_[event.fault] = None
        elif isinstance(event, Restored) and event.verified:
            open_.pop(event.fault, None)
    return list(open_)


def _result(history: History, judged: Sequence[Judged]) -> tuple[Result, str]:
    """The first that applies: unsafe, refused, aborted, missed, inconclusive, met."""
    ended = history.ended
    said = ended.reason if ended else ""
    left = faults_in_place(history)
    if left:
        what = f"{' and '.join(left)} may still be in place"
        return Result.UNSAFE, f"{what}: {said}" if said else what
    if ended and ended.completion is Completion.UNSAFE:
        # The run ended unsafe and that stays its result; what a reader must not do is run to the machines.
        what = "a fault was left in place when the run ended, and was undone afterwards"
        return Result.UNSAFE, f"{what}: {said}" if said else what
    if ended is None:
        return Result.ABORTED, "the run has no end: it was killed, or its journal could not be written"
    if ended.completion is Completion.REFUSED:
        return Result.REFUSED, said or "drill would not begin"
    if ended.completion is Completion.ABORTED:
        return Result.ABORTED, said or "the run was cut short"
    for verdict, result in ((Verdict.MISSED, Result.MISSED), (Verdict.INCONCLUSIVE, Result.INCONCLUSIVE)):
        found = [each for each in judged if each.verdict is verdict]
        if found:
            return result, f"{found[0].objective.id}: {found[0].explanation}"
    if not history.plan.objectives:
        return Result.INCONCLUSIVE, "the drill has no objective: nothing was judged"
    return Result.MET, "every objective was met"


@dataclass(frozen=True, slots=True)
class _Case:
    """One objective before the judge."""

    history: History
    measured: Measured
    objective: Objective

    def judged(self) -> Judged:
        bounds = self._bounds()
        cause = self._unproven()
        if cause is None and bounds is None:
            cause = Cause(Reason.NOT_MEASURED, self._why_not_measured())
        if cause is not None or bounds is None:
            assert cause is not None
            return self._say(bounds, Verdict.INCONCLUSIVE, cause)
        target = self.objective.target
        verdict = decide(bounds, target, at_least=self.objective.measure.at_least)
        if self.objective.measure is Measure.RPO and target == 0:
            # No age of a loss is 0; that nothing was lost is what was asked for.
            verdict = decide(self._lost() or Bounds(0, None), 0)
        rivals = self._rivals() if self.objective.measure is Measure.INTEGRITY else None
        if rivals is not None and verdict is Verdict.MET:
            return self._say(bounds, decide(rivals, 0), self._two_servers(rivals))
        doubt = self._doubt() if verdict is Verdict.MET else None
        if doubt is not None:
            return self._say(bounds, Verdict.INCONCLUSIVE, doubt)
        return self._say(bounds, verdict, self._plain(bounds, verdict))

    def _say(self, bounds: Bounds | None, verdict: Verdict, cause: Cause) -> Judged:
        return Judged(
            objective=self.objective, bounds=bounds, verdict=verdict, reason=cause.reason, explanation=cause.sentence
        )

    # --- what it is about ----------------------------------------------------------------------------------------

    def _probes(self) -> list[ProbeMeasure]:
        """The probes it is about."""
        plan, measure = self.history.plan, self.objective.measure
        if self.objective.probe:
            names: Sequence[str] = (self.objective.probe,)
        elif measure in _DATA:
            names = [ledger.probe for ledger in self._ledgers()]
        else:
            names = {
                Measure.REDUNDANCY: plan.redundancy,
                Measure.UNPROTECTED: plan.redundancy,
                Measure.COLD_CACHE: plan.cache,
                Measure.SCALE_OUT: plan.scaling,
            }.get(measure, plan.judged)
        return [found for name in names if (found := self.measured.probe(name)) is not None]

    def _ledgers(self) -> list[Ledger]:
        names = (self.objective.probe,) if self.objective.probe else self.history.plan.judged
        return [ledger for ledger in self.measured.ledgers if ledger.probe in names]

    def _rivals(self) -> Bounds | None:
        """How long two servers acknowledged its writes at once; None when they did not, or nothing tells."""
        names = {ledger.probe for ledger in self._ledgers()}
        found = combine(
            each.length for each in self.measured.overlaps if each.length is not None and names & set(each.probes)
        )
        return found if found is not None and found.upper != 0 else None

    def _lost(self) -> Bounds | None:
        return total(ledger.lost_writes for ledger in self._ledgers())

    def _bounds(self) -> Bounds | None:
        match self.objective.measure:
            case Measure.RTO:
                return self._rto()
            case Measure.REDUNDANCY:
                return combine(probe.rto for probe in self._probes())
            case Measure.OUTAGE:
                return outage(self.history.plan, self._probes())
            case Measure.BAD_TIME:
                return bad_time(self.history.plan, self._probes())
            case Measure.ERROR_RATIO:
                return agreed(self.history.plan, {probe.probe: probe.error_ratio for probe in self._probes()})
            case Measure.FAILBACK:
                return failback(self.history.plan, self._probes())
            case Measure.UNPROTECTED:
                return self.measured.unprotected
            case Measure.WORK_RECOVERY:
                return self.measured.work_recovery
            case Measure.COLD_CACHE:
                return self.measured.cold_cache
            case Measure.RPO:
                return combine(ledger.rpo for ledger in self._ledgers())
            case Measure.LOST_WRITES:
                return self._lost()
            case Measure.INTEGRITY:
                return total(
                    Bounds(len(ledger.holes), len(ledger.holes)) if ledger.settled else None
                    for ledger in self._ledgers()
                )
        return promised.bounds(self.objective, self.measured, self._probes())

    def _rto(self) -> Bounds | None:
        """Recovery time from the origin asked for; every probe's from the same instant."""
        plan, probes, t0 = self.history.plan, self._probes(), self.measured.t0
        if self.objective.origin is Origin.FAULT or t0 is None or not any(probe.incidents for probe in probes):
            return recovery(plan, probes, t0)
        if self.objective.origin is Origin.IMPACT:
            return outage(plan, probes)
        return recovery(plan, probes, origin_window(self.objective.origin.value, self.measured.phases, t0))

    # --- what stands against it ----------------------------------------------------------------------------------

    def _unproven(self) -> Cause | None:
        """What makes it inconclusive whatever the numbers are."""
        measured, data = self.measured, self.objective.measure in _DATA
        if self.objective.measure is Measure.SCALE_OUT:
            # A rising load needs no fault, and too little capacity at first is what it is about.
            return _SLEPT if measured.suspended else None
        if measured.t0 is None:
            return Cause(Reason.NOT_EXECUTED, "no fault was carried out")
        if data and measured.disaster is None:
            return Cause(Reason.NOT_EXECUTED, f"the disaster, {self.history.plan.disaster}, was not carried out")
        if measured.suspended:
            return _SLEPT
        if measured.effect is not Effect.SHOWN:
            return Cause(Reason.NO_EFFECT, measured.proof or "nothing shows that the fault took effect")
        ill = [probe.probe for probe in self._probes() if not probe.healthy_before]
        if ill:
            return Cause(Reason.UNHEALTHY_BEFORE, f"{' and '.join(ill)} was not shown healthy before the fault")
        loose = [ledger.probe for ledger in self._ledgers() if not ledger.settled] if data else []
        if loose:
            return Cause(
                Reason.SURVIVORS_UNSETTLED,
                f"no two readings of what {' and '.join(loose)} left, two seconds apart, agreed after recovery",
            )
        return None

    def _doubt(self) -> Cause | None:
        """What is missing for "met", though a miss would be one without it."""
        checks: list[Callable[[], Cause | None]] = [self._not_executed, self._found_amiss, self._not_loaded]
        checks.append(self._not_exposed if self.objective.measure in _DATA else self._not_watched)
        return next((cause for check in checks if (cause := check()) is not None), None)

    def _not_executed(self) -> Cause | None:
        """A step that was not carried out; an await that timed out was."""
        ended = {event.n: event for event in self.history.of(StepEnded)}
        for n, step in enumerate(self.history.plan.steps):
            event = ended.get(n)
            if event is None:
                return Cause(Reason.NOT_EXECUTED, f"step {n + 1}, {step}, was not carried out to its end")
            if not event.done and step.kind is not StepKind.AWAIT:
                why = f": {event.reason}" if event.reason else ""
                return Cause(Reason.NOT_EXECUTED, f"step {n + 1}, {step}, was not carried out as planned{why}")
        return None

    def _found_amiss(self) -> Cause | None:
        for event in self.history.of(Injected):
            for sentence in event.injection.failed:
                return Cause(Reason.HYPOTHESIS_FAILED, f"{event.fault}: {sentence}")
        return None

    def _not_loaded(self) -> Cause | None:
        """A drill with a load was to be met under it; a miss is one with less, too."""
        few = promised.few(self.objective, self._probes())
        if few is not None:
            return Cause(Reason.TOO_FEW_SAMPLES, few)
        short = promised.short(self.measured)
        return None if short is None else Cause(Reason.LOAD_SHORT, short)

    def _not_watched(self) -> Cause | None:
        if self.objective.measure in (Measure.WORK_RECOVERY, Measure.SCALE_OUT):
            # It counts from a recovery that was seen to hold, or to one.
            return None
        for probe in self._probes():
            if not probe.watched:
                return Cause(
                    Reason.MEASURING_GAP,
                    f"{probe.probe} was not watched for {wording.duration(probe.hold)} without a gap "
                    "after the last action of the fault",
                )
        return None

    def _not_exposed(self) -> Cause | None:
        """Too few writes just before the fault for "nothing lost" to mean anything; holes need no such proof."""
        if self.objective.measure is Measure.INTEGRITY:
            return None
        for ledger in self._ledgers():
            if ledger.exposed:
                continue
            if ledger.exposure < ledger.needed:
                why = (
                    f"{wording.plural(ledger.exposure, 'write')} of {ledger.probe} acknowledged shortly before "
                    f"the fault, {wording.count(ledger.needed)} are needed"
                )
            else:
                age = "unknown" if ledger.last_age is None else wording.duration(ledger.last_age)
                why = (
                    f"{ledger.probe} did not keep writing up to the fault: "
                    f"its newest acknowledged write was {age} old, or planned writes were not sent"
                )
            return Cause(Reason.NO_EXPOSURE, f"a loss might not have shown: {why}")
        return None

    # --- in words ------------------------------------------------------------------------------------------------

    def _plain(self, bounds: Bounds, verdict: Verdict) -> Cause:
        """The verdict of the numbers."""
        measure = self.objective.measure
        if measure in _DATA:
            return self._plain_data(bounds, verdict)
        if measure.at_least:
            return Cause(*promised.compared(bounds, measure, verdict, self._target()))
        if bounds.upper is None and measure in promised.MEASURES:
            return Cause(*promised.endless(self.objective, bounds, verdict))
        if bounds.upper is None:
            return self._never()
        said, target = wording.bounds(bounds, measure), self._target()
        if verdict is Verdict.MET:
            return Cause(Reason.WITHIN_TARGET, f"{said} is within {target}")
        if verdict is Verdict.MISSED:
            return Cause(Reason.BEYOND_TARGET, f"{said} is beyond {target}")
        if any(probe.gap for probe in self._probes()):
            return Cause(
                Reason.MEASURING_GAP, f"{said} straddles {target}: over three periods at an edge were not measured"
            )
        return Cause(Reason.STRADDLES_TARGET, f"{said} straddles {target}")

    def _plain_data(self, bounds: Bounds, verdict: Verdict) -> Cause:
        ledgers, measure = self._ledgers(), self.objective.measure
        if measure is Measure.INTEGRITY:
            if verdict is Verdict.MET:
                return Cause(Reason.WITHIN_TARGET, "what survived ends at one recovery point")
            return Cause(
                Reason.HOLES,
                f"{wording.plural(bounds.lower, 'write')} survived although older ones are gone: "
                "there is no single recovery point",
            )
        gone = sum(len(ledger.lost) for ledger in ledgers)
        of = f"of {wording.plural(sum(ledger.acknowledged for ledger in ledgers), 'acknowledged write')}"
        lost = f"{wording.count(gone)} {of} {'is' if gone == 1 else 'are'} gone" if gone else f"none {of} is gone"
        unread = sum(ledger.unread for ledger in ledgers)
        if measure is Measure.RPO and self.objective.target:
            lost = f"{wording.bounds(bounds, measure)} against {self._target()}; {lost}"
        elif not gone and bounds.upper is not None:
            known = [ledger.resolution for ledger in ledgers if ledger.resolution is not None]
            if known:
                lost += f"; a loss younger than {wording.duration(max(known), up=True)} could not have shown"
        if verdict is Verdict.INCONCLUSIVE:
            if unread:
                lost += f", and {wording.count(unread)} more were acknowledged too late for two readings to cover"
            return Cause(Reason.SURVIVORS_UNSETTLED if unread else Reason.STRADDLES_TARGET, lost)
        return Cause(Reason.WITHIN_TARGET if verdict is Verdict.MET else Reason.BEYOND_TARGET, lost)

    def _two_servers(self, rivals: Bounds) -> Cause:
        shown = wording.bounds(rivals)
        if rivals.upper is None:
            shown = f"at least {wording.duration(rivals.lower, up=False)}"
        if rivals.lower:
            return Cause(Reason.SPLIT_BRAIN, f"two servers acknowledged writes at once, for {shown}: split brain")
        if rivals.upper is None:
            return Cause(Reason.SPLIT_BRAIN, "some answers do not tell who acknowledged: two servers may have at once")
        return Cause(Reason.SPLIT_BRAIN, f"two servers may have acknowledged writes at once, for {shown}")

    def _never(self) -> Cause:
        """Why there is no upper bound."""
        away = [probe for probe in self._probes() if probe.incidents and probe.incidents[-1].recovered is None]
        if self.objective.measure is Measure.COLD_CACHE:
            return Cause(
                Reason.NEVER_RECOVERED, "the hit ratio was not seen back, and staying so, before the run ended"
            )
        if self.objective.measure is Measure.FAILBACK:
            return Cause(
                Reason.NEVER_RECOVERED, "service was not seen back, and staying so, between the undo and the run's end"
            )
        if not away:
            return Cause(Reason.MEASURING_GAP, "no good sample on both sides of the fault bounds the outage")
        slow = max(away, key=lambda probe: probe.incidents[-1].last_failed)
        last = slow.incidents[-1].last_failed
        if slow.after_undo:
            began = self.measured.undo_began or last
            return Cause(
                Reason.RECOVERED_AFTER_UNDO,
                f"never recovered by itself: {slow.probe} came back only after the undo, and the last failed sample "
                f"before that was sent {wording.duration(max(0, began - last))} before the undo began",
            )
        end = self.history.ended.at if self.history.ended else self.history.latest
        return Cause(
            Reason.NEVER_RECOVERED,
            f"never recovered: the last failed sample of {slow.probe} was sent "
            f"{wording.duration(max(0, end - last))} before the run ended, "
            f"and it must stay good for {wording.duration(slow.hold)}",
        )

    def _target(self) -> str:
        target = self.objective.target
        if self.objective.measure in wording.SHARES:
            return f"the target of {wording.share(target, self.objective.measure)}"
        if self.objective.measure in wording.COUNTS:
            return f"the target of {wording.count(target)}"
        return f"the target of {wording.target(target)}"

    def _why_not_measured(self) -> str:
        objective = self.objective
        if objective.measure in _DATA:
            return "no judged probe writes ids that can be read back"
        if objective.measure in promised.MEASURES:
            return promised.unmeasured(objective.measure, self.measured)
        if objective.measure is Measure.REDUNDANCY:
            return "no probe says whether replicas are back"
        if objective.measure is Measure.UNPROTECTED:
            return "nothing told of a promotion, or no probe says whether replicas are back"
        if objective.measure is Measure.WORK_RECOVERY:
            return "service was not seen back, or no two readings of its data agreed"
        if objective.measure is Measure.COLD_CACHE:
            return "no probe saw hits of the cache before the fault and went on watching it"
        if objective.measure is Measure.FAILBACK:
            return "nothing was undone while service was up and watched"
        if objective.origin in (Origin.DETECTED, Origin.DECIDED):
            return f"nothing told when the outage was {objective.origin.value}"
        return "no sample says anything about it"
