"""Properties: whatever the probes happened to see, the truth is inside the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from drill.measure import ledger, measure_probe, writes_of
from drill.model import Bounds, Fate, Incident, Outcome, Parameters, ProbeMeasure, Sample, SurvivorRead, Window
from tests.measure.worlds import MS

# Small ticks, so that edges fall on samples often.
PERIOD = 10
DEADLINE = 25
HOLD = Parameters(hold=60)


def measured(samples: list[Sample], t0: Window, undone: tuple[int, ...] = ()) -> ProbeMeasure:
    return measure_probe("reads", samples, t0, PERIOD, HOLD, undone)


def inside(truth: int, bounds: Bounds | None) -> bool:
    return bounds is not None and bounds.lower <= truth <= (inf if bounds.upper is None else bounds.upper)


def wider(new: Bounds | None, old: Bounds | None) -> bool:
    """Whether *new* claims no more than *old*."""
    assert new is not None
    assert old is not None
    return new.lower <= old.lower and (inf if new.upper is None else new.upper) >= (
        inf if old.upper is None else old.upper
    )


@dataclass(frozen=True)
class Run:
    """What truly happened, and what a probe saw of it."""

    fault: int
    t0: Window
    down: list[tuple[int, int]]
    seen: list[Sample]

    def hit(self) -> list[tuple[int, int]]:
        """Outages that a failed sample saw."""
        failed = [each.sent for each in self.seen if each.outcome is Outcome.FAILED and each.sent is not None]
        return [(x, y) for x, y in self.down if any(x <= sent < y for sent in failed)]


@st.composite
def runs(draw: st.DrawFn, most: int = 4, shortest: int = 1, apart: int = 0, other: Run | None = None) -> Run:
    """
    A fault, then total outages; a probe that jitters, is slow, refused or left hanging, and misses samples.

    The fault is that of the *other* run, where there is one.
    """
    fault = other.fault if other else draw(st.integers(60, 90))
    t0 = other.t0 if other else Window(fault - draw(st.integers(0, 12)), fault + draw(st.integers(0, 12)))
    down, at = [], fault
    for _ in range(draw(st.integers(0 if shortest == 1 else 1, most))):
        start = at + draw(st.integers(apart if down else 0, 90))
        at = start + draw(st.integers(shortest, 60))
        down.append((start, at))
        at += 1
    seen = []
    # One number per sample keeps hypothesis fast: its kind, its jitter, and how long its answer took.
    codes = draw(st.lists(st.integers(0, 10 * 2 * DEADLINE - 1), min_size=at // PERIOD, max_size=at // PERIOD + 15))
    for n, code in enumerate(codes):
        planned, (kind, rest) = n * PERIOD, divmod(code, 2 * DEADLINE)
        if kind == 9:
            seen.append(Sample(planned, None, None, Outcome.UNKNOWN))
            continue
        sent = planned + rest % 2 + (PERIOD + 3 if kind == 8 else 0)  # 8: sent late
        bad = any(x <= sent < y for x, y in down)
        took = 1 + rest // 2
        seen.append(Sample(planned, sent, sent + took, Outcome.FAILED if bad else Outcome.OK))
    return Run(fault, t0, down, seen)


@given(runs())
@settings(max_examples=300, deadline=None)
def test_the_truth_is_inside_the_bounds(run: Run) -> None:
    """Of every outage that was seen; what was not seen was shorter than the widest gap."""
    found = measured(run.seen, run.t0)

    hit = run.hit()
    if hit:
        assert inside(hit[-1][1] - run.fault, found.rto)
        assert inside(hit[-1][1] - hit[0][0], found.outage)
    else:
        assert found.incidents == ()
        end = max((each.sent for each in run.seen if each.sent is not None), default=0)
        assert all(inside(y - x, found.outage) for x, y in run.down if y <= end)


@given(runs(most=1, shortest=12))
@settings(max_examples=300, deadline=None)
def test_of_one_outage_all_its_failed_time_is_inside(run: Run) -> None:
    """A single outage longer than a period: bad time is its length."""
    found = measured(run.seen, run.t0)

    if run.hit():
        ((start, end),) = run.down
        assert inside(end - start, found.bad_time)
        assert inside(end - start, found.outage)


def bad_spans(run: Run) -> tuple[int, int, int]:
    """
    How long it was truly down, less the outages and plus the uptime that no sample fell into; and how many stretches.

    Less: outages that some failed sample saw. Plus: the pauses between two of those without a good answer.
    """
    sent = [each.sent for each in run.seen if each.outcome is Outcome.OK and each.sent is not None]
    hit = run.hit()
    pauses = [(end, start) for (_, end), (start, _) in pairwise(hit)]
    hidden = [(x, y) for x, y in pauses if not any(x <= at < y for at in sent)]
    return (
        sum(y - x for x, y in hit),
        sum(y - x for x, y in run.down) + sum(y - x for x, y in hidden),
        len(hit) - len(hidden),
    )


@given(runs(most=6))
@settings(max_examples=400, deadline=None)
def test_of_several_outages_all_failed_time_is_inside(run: Run) -> None:
    """Bad time, error time and flaps of many failed stretches; only what no sample fell into is not known."""
    found = measured(run.seen, run.t0)
    if not run.hit():
        return
    least, most, stretches = bad_spans(run)

    assert found.bad_time.lower <= most
    assert found.bad_time.upper is None or least <= found.bad_time.upper
    assert inside(found.error_time, found.bad_time)
    assert found.flaps == stretches - 1


@given(runs(most=6, shortest=30, apart=30))
@settings(max_examples=300, deadline=None)
def test_of_several_outages_that_were_all_seen_the_failed_time_is_inside(run: Run) -> None:
    """Each outage and each pause longer than the widest gap between samples: the true sum is inside the bounds."""
    sent = sorted(each.sent for each in run.seen if each.outcome is not Outcome.UNKNOWN and each.sent is not None)
    if any(not any(x <= at < y for at in sent) for x, y in edges(run.down)):
        return
    found = measured(run.seen, run.t0)

    assert inside(sum(y - x for x, y in run.down), found.bad_time)
    assert found.flaps == len(run.down) - 1


def edges(down: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Every outage and every pause between two."""
    return [*down, *((end, start) for (_, end), (start, _) in pairwise(down))]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_error_time_is_the_failed_samples_and_nothing_else(failed: list[bool]) -> None:
    """Each failed sample stands for the time to the next one: of an even grid, failures times the period."""
    seen = [
        Sample(n * PERIOD, n * PERIOD, n * PERIOD + 1, Outcome.FAILED if bad else Outcome.OK)
        for n, bad in enumerate([False, *failed])
    ]

    assert measured(seen, Window(5, 5)).error_time == sum(failed) * PERIOD


@given(runs(most=1, shortest=12), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_what_the_undo_healed_never_recovered(run: Run, before: int) -> None:
    """Down until the undo: no answer that came after it is taken for a recovery."""
    (start, end), *_ = run.down
    undo = max(start + 1, end - before)
    found = measured(run.seen, run.t0, (undo,))

    if found.incidents:
        assert found.rto is not None
        assert found.rto.upper is None
        assert found.rto.lower <= undo - run.fault


@st.composite
def anything(draw: st.DrawFn) -> tuple[list[Sample], Window]:
    """Samples in any order and of any outcome, physical or not."""
    seen = []
    for n, code in enumerate(draw(st.lists(st.integers(0, 8 * DEADLINE * 5 - 1), min_size=1, max_size=40))):
        (kind, took), jitter = divmod(code // 5, DEADLINE), code % 5
        outcome = {6: Outcome.FAILED, 7: Outcome.UNKNOWN}.get(kind, Outcome.OK)
        sent = None if outcome is Outcome.UNKNOWN else n * PERIOD + jitter
        seen.append(Sample(n * PERIOD, sent, None if sent is None else sent + 1 + took, outcome))
    lower = draw(st.integers(0, 120))
    draw(st.randoms()).shuffle(seen)
    return seen, Window(lower, lower + draw(st.integers(0, 20)))


UNDOS = st.lists(st.integers(150, 400), max_size=2).map(lambda found: tuple(sorted(found)))


@given(anything(), UNDOS)
@settings(max_examples=300, deadline=None)
def test_the_order_of_samples_changes_nothing(world: tuple[list[Sample], Window], undone: tuple[int, ...]) -> None:
    """Vector 21: samples are journaled in the order they ended, and counted in the order they were sent."""
    seen, t0 = world

    assert measured(sorted(seen, key=lambda each: each.planned), t0, undone) == measured(seen, t0, undone)


@given(anything(), UNDOS, st.integers(-1000, 10**15))
@settings(max_examples=300, deadline=None)
def test_the_zero_of_the_clock_changes_nothing(
    world: tuple[list[Sample], Window], undone: tuple[int, ...], by: int
) -> None:
    """Vector 21: every instant moves, no duration does."""
    seen, t0 = world

    def moved(at: int | None) -> int | None:
        return None if at is None else at + by

    def shift(sample: Sample) -> Sample:
        return replace(sample, planned=sample.planned + by, sent=moved(sample.sent), ended=moved(sample.ended))

    def back(incident: Incident) -> Incident:
        return replace(
            incident,
            last_good=moved(incident.last_good),
            first_failed=incident.first_failed + by,
            last_failed=incident.last_failed + by,
            recovered=moved(incident.recovered),
        )

    before = measured(seen, t0, undone)
    after = measured(
        [shift(each) for each in seen], Window(t0.lower + by, t0.upper + by), tuple(at + by for at in undone)
    )

    assert after == replace(
        before,
        incidents=tuple(back(each) for each in before.incidents),
        failback_incidents=tuple(back(each) for each in before.failback_incidents),
        first_good=moved(before.first_good),
    )


@given(anything(), UNDOS, st.data())
@settings(max_examples=300, deadline=None)
def test_losing_a_good_or_unknown_sample_never_narrows(
    world: tuple[list[Sample], Window], undone: tuple[int, ...], data: st.DataObject
) -> None:
    """Vector 21: less evidence never claims more."""
    seen, t0 = world
    # The last one says how long the probe was there at all.
    end = max(each.planned for each in seen)
    spare = [n for n, each in enumerate(seen) if each.outcome is not Outcome.FAILED and each.planned < end]
    if not spare:
        return
    lost = data.draw(st.sampled_from(spare))

    fewer = measured(seen[:lost] + seen[lost + 1 :], t0, undone)

    assert wider(fewer.rto, measured(seen, t0, undone).rto)


@given(anything(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_sample_that_becomes_unknown_never_narrows(world: tuple[list[Sample], Window], data: st.DataObject) -> None:
    """A good answer that was not measured after all."""
    seen, t0 = world
    end = max(each.planned for each in seen)
    good = [n for n, each in enumerate(seen) if each.outcome is Outcome.OK and each.planned < end]
    if not good:
        return
    n = data.draw(st.sampled_from(good))
    unsent = [*seen[:n], Sample(seen[n].planned, None, None, Outcome.UNKNOWN), *seen[n + 1 :]]

    assert wider(measured(unsent, t0).rto, measured(seen, t0).rto)


# --- data -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loss:
    """Writes with their true commit instants, a kill, and the recovery point of the new primary."""

    kill: int
    t0: Window
    samples: list[Sample]
    commits: dict[int, int]
    survivors: set[int]


@st.composite
def losses(draw: st.DrawFn) -> Loss:
    """A primary that goes on acknowledging for a while after the fault; its replica knows it up to some instant."""
    kill = draw(st.integers(50, 150))
    t0 = Window(kill - draw(st.integers(0, 5)), kill + draw(st.integers(0, 5)))
    point = draw(st.integers(0, 220))
    samples, commits, survivors = [], {}, set()
    for id, code in enumerate(draw(st.lists(st.integers(0, 5 * 12 * 12 * 7 * 2 - 1), min_size=1, max_size=40))):
        (rest, seen), kind = divmod(code // 7, 2), code % 7
        (wait, travel), late = divmod(rest // 5, 12), rest % 5
        sent = id * 5 + late
        commit = sent + wait
        fate = {5: Fate.UNKNOWN, 6: Fate.REFUSED}.get(kind, Fate.ACKNOWLEDGED)
        outcome = Outcome.OK if fate is Fate.ACKNOWLEDGED else Outcome.FAILED
        samples.append(Sample(sent, sent, commit + travel, outcome, id=id, fate=fate))
        if fate is not Fate.REFUSED:
            commits[id] = commit
            if commit <= point and (fate is Fate.ACKNOWLEDGED or seen):
                survivors.add(id)
    return Loss(kill, t0, samples, commits, survivors)


def reads(found: set[int]) -> list[SurvivorRead]:
    ids = tuple(sorted(found))
    return [SurvivorRead(sent=at, ended=at + 1, ids=ids) for at in (3000 * MS, 6000 * MS)]


@given(losses())
@settings(max_examples=200, deadline=None)
def test_the_true_loss_is_inside_the_bounds(loss: Loss) -> None:
    """From the oldest lost commit to the fault or the newest lost commit, whichever came later."""
    told = ledger("writes", writes_of(loss.samples), reads(loss.survivors), loss.t0)

    acknowledged = {each.id for each in loss.samples if each.id is not None and each.fate is Fate.ACKNOWLEDGED}
    lost = [loss.commits[id] for id in acknowledged - loss.survivors]
    assert told.lost_writes == Bounds(len(lost), len(lost))
    if lost:
        assert inside(max(loss.kill, *lost) - min(lost), told.rpo)


@given(losses(), st.sets(st.integers(0, 50)), st.lists(st.integers(0, 50), max_size=5))
@settings(max_examples=200, deadline=None)
def test_the_ledger_is_what_set_arithmetic_says(loss: Loss, extra: set[int], twice: list[int]) -> None:
    """Brute force over every set of the ledger."""
    found = sorted([*(loss.survivors ^ extra), *(id for id in twice if id in loss.survivors ^ extra)])
    each = [SurvivorRead(sent=at, ended=at + 1, ids=tuple(found)) for at in (3000 * MS, 6000 * MS)]
    told = ledger("writes", writes_of(loss.samples), each, loss.t0)

    by = {fate: {s.id: s for s in loss.samples if s.fate is fate} for fate in Fate}
    a, n, u = (by[fate] for fate in (Fate.ACKNOWLEDGED, Fate.REFUSED, Fate.UNKNOWN))
    s = set(found)
    lost = {i for i in a if i not in s}
    ended = {i: a[i].ended or 0 for i in a}
    sent = {i: a[i].sent or 0 for i in a}
    holes = {
        i
        for i in set(a) & s
        if lost and sent[i] > min(ended[j] for j in lost) and ended[i] <= max(loss.t0.lower, max(sent[j] for j in lost))
    }
    assert set(told.lost) == lost
    assert set(told.late_loss) == {i for i in lost if ended[i] > loss.t0.lower}
    assert set(told.recovered) == set(u) & s
    assert set(told.absent) == set(u) - s
    assert set(told.phantom) == s - set(a) - set(n) - set(u)
    assert set(told.zombie) == set(n) & s
    assert set(told.holes) == holes
    assert told.duplicates == sum(found.count(i) - 1 for i in s)
    assert told.worst_case == len(lost) + len(set(u) - s)
    if lost:
        assert told.rpo == Bounds(
            max(0, max(loss.t0.lower, max(sent[i] for i in lost)) - min(ended[i] for i in lost)),
            max(loss.t0.upper, max(ended[i] for i in lost)) - min(sent[i] for i in lost),
        )
    else:
        safe = [sent[i] for i in set(a) & s if ended[i] <= loss.t0.lower]
        assert told.rpo == Bounds(0, loss.t0.upper - max(safe) if safe else None)
