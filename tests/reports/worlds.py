"""
Runs that never happened: histories built by rule, so that what a report should say is known.

`region_failover` is the one most tests use: a healthy baseline, east killed
at ten seconds, 22 seconds without service, writes lost, an undo with a blip.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from drill.assemble import assemble
from drill.model import (
    Anchor,
    AnyEvent,
    Began,
    Completion,
    Condition,
    Done,
    Effect,
    Ended,
    Fate,
    Fault,
    FileDigest,
    Guard,
    History,
    Injected,
    Injection,
    Intent,
    Mark,
    Measure,
    Note,
    Objective,
    Outcome,
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
    WritesPlanned,
)
from drill.record import Record

S = 1_000_000_000
MS = 1_000_000
# Anything but 0, so that a report that forgets to subtract it shows.
BOOT = 5_000 * S
WALL = 1_795_276_800 * S  # 2026-11-21T16:00:00Z

READS = Probe(name="orders-reads", kind="http", every=100 * MS, deadline=500 * MS, title="Reads through the router")
WRITES = Probe(name="orders-writes", kind="http", every=20 * MS, deadline=S, writes=True, title="Orders written")
SESSIONS = Probe(name="sessions", kind="valkey", every=50 * MS, deadline=300 * MS, title="Sessions in the cache")
REPLICAS = Probe(name="replicas", kind="postgres", every=500 * MS, deadline=S, title="A replica streams")


@dataclass
class Story:
    """
    What happens in a run; seconds since it began.

    Attributes:
        down: Stretches in which every judged request fails.

        lost: How many of the newest writes acknowledged before the fault are gone.

        stalled: A stretch in which the prober itself could not send.

        ends: When the run ends; nothing is sampled later.
    """

    fault: float = 10.0
    down: tuple[tuple[float, float], ...] = ((10.04, 32.0), (47.0, 47.6))
    lost: int = 137
    stalled: tuple[float, float] | None = (22.0, 22.25)
    restore: float | None = 45.0
    restored: float = 51.2
    redundant: float = 55.0
    ends: float = 60.5
    effect: Effect = Effect.SHOWN
    completion: Completion = Completion.COMPLETED
    reason: str = ""
    cause: str = ""
    verified: bool = True
    title: str = "Region east goes dark; west must serve"
    targets: dict[Measure, int] = field(
        default_factory=lambda: {Measure.RTO: 30 * S, Measure.RPO: S, Measure.LOST_WRITES: 0}
    )
    periods: float = 1.0
    notes: tuple[str, ...] = ("Patroni chose west after the east leader's key had expired.",)
    seed: int = 7


def at(seconds: float) -> int:
    """A moment of the run on its monotonic clock."""
    return BOOT + round(seconds * S)


def plan(story: Story) -> Plan:
    probes = tuple(_slower(probe, story.periods) for probe in (READS, WRITES, SESSIONS, REPLICAS))
    steps: tuple[Step, ...] = (
        Step(kind=StepKind.WATCH, within=10 * S),
        Step(kind=StepKind.INJECT, fault="region-outage"),
        Step(kind=StepKind.AWAIT, condition=Condition.RECOVERY, within=120 * S),
        Step(kind=StepKind.RESTORE, fault="region-outage"),
        Step(kind=StepKind.AWAIT, condition=Condition.REDUNDANCY, within=60 * S),
    )
    return Plan(
        drill="region-failover",
        title=story.title,
        system="orders",
        objectives=tuple(
            Objective(measure=measure, target=target, source="SLA 4.2, stated" if measure is Measure.RTO else None)
            for measure, target in story.targets.items()
        ),
        probes=probes,
        judged=("orders-reads", "orders-writes"),
        observed=("sessions",),
        redundancy=("replicas",),
        steps=steps,
        guards=(Guard(max_outage=180 * S),),
        faults=(
            Fault(
                name="region-outage",
                engine="chaostoolkit",
                title="Every process of east is killed at once",
                file="experiments/region-outage.yaml",
            ),
        ),
        lab="two-regions",
        files=(
            FileDigest(path="drills/region-failover.yaml", sha256="ab" * 32),
            FileDigest(path="experiments/region-outage.yaml", sha256="cd" * 32),
        ),
        digest="ef" * 32,
    )


def _slower(probe: Probe, times: float) -> Probe:
    return Probe(
        name=probe.name,
        kind=probe.kind,
        every=round(probe.every * times),
        deadline=probe.deadline,
        writes=probe.writes,
        title=probe.title,
    )


def region_failover(story: Story | None = None) -> History:
    """The whole run as a journal would hold it."""
    story = story or Story()
    made = plan(story)
    events: list[AnyEvent] = [*_what_was_done(story, made), *_marks(story)]
    for probe in made.probes:
        samples = list(_samples(probe, story))
        if probe.writes:
            ids = [sample.id for sample in samples if sample.id is not None]
            events.append(WritesPlanned(at=at(0.01), probe=probe.name, first=1, last=max(ids)))
            events += _survivors(probe.name, samples, story)
        for first in range(0, len(samples), 50):
            batch = tuple(samples[first : first + 50])
            last = max(sample.ended or sample.planned for sample in batch)
            events.append(Samples(at=last, probe=probe.name, samples=batch))
    events.sort(key=lambda event: event.at)
    began = Began(
        at=at(0),
        run_id="20261121-160000-region-failover-7f3a",
        plan=made,
        anchor=Anchor(monotonic=at(0), wall=WALL, boot=at(0)),
        tool={"drill": "0.1.0", "python": "3.11.7", "chaostoolkit": "1.19.0"},
    )
    ends = at(story.ends)
    return History(
        events=(
            began,
            *events,
            Ended(
                at=ends,
                completion=story.completion,
                # A quarter of a millisecond of drift over the run.
                anchor=Anchor(monotonic=ends, wall=WALL + round(story.ends * S) + MS // 4, boot=ends),
                reason=story.reason,
                cause=story.cause,
            ),
        ),
        digest="0123456789abcdef" * 4,
    )


def refused() -> History:
    """An unhealthy baseline: nothing was broken."""
    story = Story(
        down=((2.0, 9.0),),
        completion=Completion.REFUSED,
        reason="orders-reads failed 70 of its 100 samples before anything was broken",
        cause="unhealthy_before",
        ends=10.0,
        restore=None,
        fault=math.inf,
    )
    return region_failover(story)


def unsafe() -> History:
    """The undo could not be verified."""
    story = Story(
        completion=Completion.UNSAFE,
        verified=False,
        reason="postgres of east did not come back",
        ends=60.5,
    )
    return region_failover(story)


# --- what was done ----------------------------------------------------------------------------------------------------


def _what_was_done(story: Story, made: Plan) -> Iterable[AnyEvent]:
    fault = "region-outage"
    yield StepBegan(at=at(0.02), n=0)
    if math.isinf(story.fault):
        yield StepEnded(at=at(9.9), n=0, done=False, reason=story.reason)
        return
    undo = Undo(
        engine="chaostoolkit",
        fault=fault,
        summary=("Starts every process of east again and waits until it follows west.",),
        instructions=("Run: drill lab up", "Check that postgres of east follows the leader: drill lab status"),
    )
    yield Prepared(at=at(0.015), undo=undo)
    f = story.fault
    yield StepEnded(at=at(f), n=0, done=True)
    yield StepBegan(at=at(f + 0.001), n=1)
    yield Intent(at=at(f + 0.012), fault=fault, activity="kill every process of east", n=0)
    yield Done(at=at(f + 0.058), fault=fault, n=0, ok=True, output={"killed": 9})
    yield Injected(
        at=at(f + 0.06),
        fault=fault,
        injection=Injection(
            effect=story.effect,
            evidence="9 of 9 processes of east are gone" if story.effect is Effect.SHOWN else "",
            details=({"killed": 9, "region": "east"},),
        ),
    )
    yield StepEnded(at=at(f + 0.061), n=1, done=True)
    yield StepBegan(at=at(f + 0.062), n=2)
    for note in story.notes:
        yield Note(at=at(f + 1), text=note)
    if story.restore is None:
        return
    r = story.restore
    yield StepEnded(at=at(r - 0.001), n=2, done=True)
    yield StepBegan(at=at(r), n=3)
    yield RestoreBegan(at=at(r + 0.001), fault=fault)
    yield Intent(at=at(r + 0.01), fault=fault, activity="start east again", n=1, breaks=False, undoing=True)
    yield Done(at=at(story.restored - 0.01), fault=fault, n=1, ok=True)
    yield Restored(
        at=at(story.restored),
        fault=fault,
        verified=story.verified,
        error="" if story.verified else "postgres of east did not come back",
        instructions=() if story.verified else undo.instructions,
    )
    yield StepEnded(at=at(story.restored), n=3, done=story.verified)
    if story.completion is Completion.COMPLETED:
        yield StepBegan(at=at(story.restored + 0.001), n=4)
        yield StepEnded(at=at(story.redundant + 2), n=4, done=True)


def _marks(story: Story) -> Iterable[AnyEvent]:
    if math.isinf(story.fault):
        return
    up = story.down[0][1]
    told = (
        ("detected", story.fault + 4.0, story.fault + 6.0, "router", "east failed 2 health checks"),
        ("decided", up - 9.0, up - 7.9, "patroni", "west took the leader key"),
        ("promoted", up - 5.2, up - 4.7, "patroni", "west accepts writes"),
        ("routed", up - 0.55, up - 0.5, "router", "orders now goes to west"),
    )
    for name, lower, upper, source, text in told:
        yield Mark(at=at(upper + 0.1), name=name, window=Window(at(lower), at(upper)), source=source, text=text)


# --- what probes saw --------------------------------------------------------------------------------------------------


def _samples(probe: Probe, story: Story) -> Iterable[Sample]:
    draw = random.Random(f"{story.seed}-{probe.name}")
    planned = BOOT + 30 * MS
    number = 0
    while planned < at(story.ends) - probe.deadline:
        number += 1
        sent = planned + round(draw.expovariate(1 / 0.2) * MS)
        yield _sample(probe, story, planned, sent, number, draw)
        planned += probe.every


def _sample(probe: Probe, story: Story, planned: int, sent: int, number: int, draw: random.Random) -> Sample:
    id = number if probe.writes else None
    when = (sent - BOOT) / S
    if story.stalled and story.stalled[0] <= when < story.stalled[1]:
        fate = Fate.REFUSED if probe.writes else None
        return Sample(planned, None, None, Outcome.UNKNOWN, "this machine stalled", None, id, fate)
    down = next(((a, b) for a, b in story.down if a <= when < b), None)
    if probe.name == "replicas":
        down = (story.fault, story.redundant) if story.fault <= when < story.redundant else None
    if down is None:
        slow = 2.2 if when > story.fault else 1.0
        took = round(draw.lognormvariate(math.log(7 * slow), 0.35) * MS)
        took = min(took, probe.deadline - MS)
        served = "east" if when < story.down[0][0] else "west"
        return Sample(
            planned, sent, sent + took, Outcome.OK, "", served, id, Fate.ACKNOWLEDGED if probe.writes else None
        )
    # The first second of an outage hangs, then the address refuses.
    if when < down[0] + 1.0:
        fate = Fate.UNKNOWN if probe.writes else None
        return Sample(planned, sent, sent + probe.deadline, Outcome.FAILED, "no answer in time", None, id, fate)
    took = round(draw.uniform(0.3, 2.0) * MS)
    fate = Fate.REFUSED if probe.writes else None
    return Sample(planned, sent, sent + took, Outcome.FAILED, "connection refused", None, id, fate)


def _survivors(name: str, samples: list[Sample], story: Story) -> Iterable[AnyEvent]:
    if math.isinf(story.fault):
        return
    acknowledged = [sample for sample in samples if sample.fate is Fate.ACKNOWLEDGED and sample.id is not None]
    before = [sample.id for sample in acknowledged if (sample.sent or 0) < at(story.down[0][0])]
    gone = set(before[len(before) - story.lost :]) if story.lost else set()
    last = story.ends
    reads = (story.down[0][1] + 10.6, story.down[0][1] + 12.8, last - 2.9, last - 0.5)
    for when in reads:
        if when >= last:
            continue
        found = tuple(
            sorted(s.id for s in acknowledged if s.id is not None and s.id not in gone and (s.sent or 0) < at(when))
        )
        yield Survivors(
            at=at(when + 0.05),
            probe=name,
            read=SurvivorRead(sent=at(when), ended=at(when + 0.04), ids=found, source="west"),
        )


class Run(NamedTuple):
    """A history with its record."""

    history: History
    record: Record


@cache
def the_run(name: str) -> Run:
    """A run that ends with the result of that name, assembled as `drill report` would."""
    history = HISTORIES[name]()
    record = assemble(history)
    assert record.result == name, record.reason
    return Run(history, record)


def met() -> History:
    """Nothing lost, back within the target."""
    return region_failover(Story(lost=0, stalled=None))


def missed() -> History:
    """Back in time, but 137 acknowledged writes are gone."""
    return region_failover()


def inconclusive() -> History:
    """The target lies inside the bounds."""
    return region_failover(Story(lost=0, stalled=None, targets={Measure.RTO: 22 * S, Measure.RPO: S}))


def aborted() -> History:
    """A guard stopped it; everything was undone."""
    return region_failover(
        Story(
            lost=0,
            down=((10.04, 30.0), (47.0, 47.6)),
            completion=Completion.ABORTED,
            reason="guard: an outage longer than 10 s",
            cause="guard",
            restore=21.0,
            restored=27.0,
            ends=40.0,
        )
    )


HISTORIES: dict[str, Callable[[], History]] = {
    "met": met,
    "missed": missed,
    "inconclusive": inconclusive,
    "refused": refused,
    "aborted": aborted,
    "unsafe": unsafe,
}
