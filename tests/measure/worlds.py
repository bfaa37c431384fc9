"""Small worlds to measure: samples on a grid and histories of one fault, everything in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drill import wording
from drill.model import (
    MILLISECOND,
    Agreement,
    Anchor,
    AnyEvent,
    Began,
    Bounds,
    Completion,
    Condition,
    Done,
    Effect,
    Ended,
    Fate,
    Fault,
    History,
    Injected,
    Injection,
    Intent,
    Mark,
    Measure,
    Objective,
    Outcome,
    Parameters,
    Plan,
    Prepared,
    Probe,
    RestoreBegan,
    Restored,
    Sample,
    Samples,
    Step,
    StepBegan,
    StepEnded,
    StepKind,
    SurvivorRead,
    Survivors,
    Undo,
    Window,
)

MS = MILLISECOND
T = 100 * MS
SPANS = Sequence[tuple[float, float]]


def window(lower: float, upper: float) -> Window:
    return Window(round(lower * MS), round(upper * MS))


def bounds(lower: float, upper: float | None) -> Bounds:
    return Bounds(round(lower * MS), None if upper is None else round(upper * MS))


T0 = window(950, 960)


def sample(sent: float, outcome: Outcome = Outcome.OK, took: float = 1) -> Sample:
    """One request, by default answered well a millisecond later; an unknown one was never sent."""
    at = round(sent * MS)
    if outcome is Outcome.UNKNOWN:
        return Sample(at, None, None, outcome)
    return Sample(at, at, at + round(took * MS), outcome)


def grid(
    end: float,
    down: SPANS = (),
    *,
    start: float = 0,
    period: float = 100,
    unknown: Collection[float] = (),
    missing: Collection[float] = (),
    hangs: float = 1,
) -> list[Sample]:
    """
    A sample every *period* from *start* to *end*, both included.

    Those sent in a span [x, y) of *down* fail, after *hangs*; those sent at
    *unknown* were never sent, those at *missing* are not there at all.
    """
    found = []
    for n in range(round((end - start) / period) + 1):
        at = start + n * period
        if at in missing:
            continue
        bad = any(x <= at < y for x, y in down)
        outcome = Outcome.UNKNOWN if at in unknown else Outcome.FAILED if bad else Outcome.OK
        found.append(sample(at, outcome, hangs if bad else 1))
    return found


def write(id: int, sent: float, ended: float, fate: Fate = Fate.ACKNOWLEDGED, served_by: str | None = None) -> Sample:
    """One attempted write; [*sent*, *ended*] in milliseconds."""
    outcome = Outcome.OK if fate is Fate.ACKNOWLEDGED else Outcome.FAILED
    at = round(sent * MS)
    return Sample(at, at, round(ended * MS), outcome, id=id, fate=fate, served_by=served_by)


def writes(
    count: int, every: float = 5, took: float = 1, served_by: Callable[[int], str | None] | None = None
) -> list[Sample]:
    """Writes 0 to count - 1, number i sent at i * every and acknowledged."""
    return [write(i, i * every, i * every + took, served_by=served_by(i) if served_by else None) for i in range(count)]


def read(sent: float, ids: Iterable[int] | None) -> SurvivorRead:
    """One reading of a store, which takes 10 ms; None is one that failed."""
    at = round(sent * MS)
    return SurvivorRead(
        sent=at,
        ended=at + 10 * MS,
        ids=None if ids is None else tuple(sorted(ids)),
        error="no" if ids is None else None,
    )


def settled(sent: float, ids: Iterable[int]) -> list[SurvivorRead]:
    """Two readings two seconds apart that agree."""
    found = tuple(ids)
    return [read(sent, found), read(sent + 2000, found)]


def objective(measure: Measure, target: float, **more: Any) -> Objective:
    """An objective; *target* in milliseconds for a duration, as it is for a count."""
    count = measure in wording.COUNTS | wording.SHARES
    return Objective(measure=measure, target=round(target if count else target * MS), **more)


WATCH = Step(kind=StepKind.WATCH, within=900 * MS)
INJECT = Step(kind=StepKind.INJECT, fault="outage")
AWAIT = Step(kind=StepKind.AWAIT, condition=Condition.RECOVERY)
RESTORE = Step(kind=StepKind.RESTORE, fault="outage")


@dataclass(kw_only=True)
class World:
    """
    A run of one drill that breaks one thing at [950, 960] ms, to be changed field by field.

    Attributes:
        samples: By judged probe.

        redundancy: By redundancy probe.

        cache: By cache probe.

        ledger: Samples of the probe `writes`, with its readings in *reads*; judged or only observed.

        about: Further keys of a probe, by its name: shard, vantage, service.

        undo: When undoing began, or None.

        more: Events added before the end.
    """

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    redundancy: dict[str, list[Sample]] = field(default_factory=dict)
    cache: dict[str, list[Sample]] = field(default_factory=dict)
    ledger: list[Sample] | None = None
    reads: list[SurvivorRead] = field(default_factory=list)
    judge_ledger: bool = True
    objectives: Sequence[Objective] = ()
    steps: Sequence[Step] = (WATCH, INJECT, AWAIT)
    step_ends: dict[int, StepEnded] = field(default_factory=dict)
    t0: Window | None = T0
    effect: Effect = Effect.SHOWN
    failed: tuple[str, ...] = ()
    undo: float | None = None
    verified: bool = True
    every: float = 100
    write_every: float = 5
    parameters: Parameters = Parameters()  # noqa: RUF009  frozen
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    agreement: Agreement = Agreement.ALL
    completion: Completion | None = Completion.COMPLETED
    reason: str = ""
    boot_jump: float = 0
    more: Sequence[AnyEvent] = ()

    def plan(self) -> Plan:
        every = round(self.every * MS)
        seen = self.samples | self.redundancy | self.cache
        probes = [Probe(name=name, kind="tcp", every=every, deadline=every) for name in seen]
        if self.ledger is not None:
            probes.append(
                Probe(name="writes", kind="http", every=round(self.write_every * MS), deadline=every, writes=True)
            )
        probes = [msgspec.structs.replace(probe, **self.about.get(probe.name, {})) for probe in probes]
        aside = {*self.redundancy, *self.cache, *(() if self.judge_ledger else ("writes",))}
        return Plan(
            drill="a-drill",
            title="A drill",
            system="orders",
            objectives=tuple(self.objectives),
            probes=tuple(probes),
            judged=tuple(probe.name for probe in probes if probe.name not in aside),
            observed=() if self.judge_ledger else ("writes",),
            redundancy=tuple(self.redundancy),
            cache=tuple(self.cache),
            parameters=self.parameters,
            agreement=self.agreement,
            steps=tuple(self.steps),
            faults=(Fault(name="outage", engine="manual"),),
        )

    def history(self) -> History:
        all_samples = (
            self.samples | self.redundancy | self.cache | ({"writes": self.ledger} if self.ledger is not None else {})
        )
        ends = [at.ended or at.planned for each in all_samples.values() for at in each]
        end = max([*ends, *(each.ended for each in self.reads), *(event.at for event in self.more), 0]) + MS
        begin = min([*(at.planned for each in all_samples.values() for at in each), 0])
        events: list[AnyEvent] = [
            Began(at=begin, run_id="r", plan=self.plan(), anchor=Anchor(monotonic=begin, wall=0, boot=begin))
        ]
        for n in range(len(self.steps)):
            events += [StepBegan(at=begin, n=n), self.step_ends.get(n, StepEnded(at=end, n=n, done=True))]
        if self.t0 is not None:
            events += [
                Prepared(at=self.t0.lower, undo=Undo(engine="manual", fault="outage")),
                Intent(at=self.t0.lower, fault="outage", activity="break it", n=0),
                Done(at=self.t0.upper, fault="outage", n=0, ok=True),
                Injected(at=self.t0.upper, fault="outage", injection=Injection(effect=self.effect, failed=self.failed)),
            ]
        events += [Samples(at=end, probe=name, samples=tuple(each)) for name, each in all_samples.items() if each]
        events += [Survivors(at=each.ended, probe="writes", read=each) for each in self.reads]
        if self.undo is not None:
            events.append(RestoreBegan(at=round(self.undo * MS), fault="outage"))
        events += self.more
        if self.t0 is not None and (self.undo is not None or self.completion is Completion.COMPLETED):
            events.append(Restored(at=end, fault="outage", verified=self.verified))
        if self.completion is not None:
            anchor = Anchor(monotonic=end, wall=end - begin, boot=end + round(self.boot_jump * MS))
            events.append(Ended(at=end, completion=self.completion, anchor=anchor, reason=self.reason))
        return History(tuple(events))


def mark(name: str, lower: float, upper: float) -> Mark:
    return Mark(at=round(upper * MS), name=name, window=window(lower, upper), source="lab")
