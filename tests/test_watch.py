"""When a run may go on and when it must stop, from the samples so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.measure import incidents, measure_probe
from drill.model import Condition, Guard, Outcome, Parameters, Plan, Probe, Sample, Window
from drill.watch import Watch
from tests.measure.worlds import MS, SPANS, T, grid, sample

LOOK = 200 * MS
HOLD = 2_000 * MS
DEADLINE = 300 * MS
PARAMETERS = Parameters(hold=HOLD)


def watching(parameters: Parameters = PARAMETERS, guards: Sequence[Guard] = ()) -> Watch:
    """A watch over one judged probe, p, which also shows redundancy."""
    probe = Probe(name="p", kind="tcp", every=T, deadline=DEADLINE)
    return Watch(
        Plan(
            drill="d",
            title="",
            system="s",
            objectives=(),
            probes=(probe,),
            judged=("p",),
            redundancy=("p",),
            parameters=parameters,
            guards=tuple(guards),
        )
    )


def looks(watch: Watch, samples: Sequence[Sample], faults: Sequence[Window], end: float) -> Iterator[int]:
    """Every instant at which a run looks, with the samples that had ended by then in the watch."""
    due = sorted(samples, key=lambda each: each.ended or each.planned)
    told: list[tuple[int, Window, bool]] = []
    for fault in faults:
        told += [(fault.lower, fault, True), (fault.upper, fault, False)]
    for now in range(0, round(end * MS), LOOK):
        while told and told[0][0] <= now:
            at, _, begins = told.pop(0)
            (watch.fault_begins if begins else watch.fault_is_made)(at)
        ended = [each for each in due if (each.ended or each.planned) <= now]
        due = due[len(ended) :]
        watch.add("p", tuple(ended))
        yield now


def back_at(samples: Sequence[Sample], faults: Sequence[Window], end: float) -> int | None:
    """When an `await: recovery` that begins once the last fault is made goes on; None: not before the end."""
    watch = watching()
    for now in looks(watch, samples, faults, end):
        if now >= faults[-1].upper and watch.holds(Condition.RECOVERY, now):
            return now
    return None


def window(lower: float, upper: float) -> Window:
    return Window(round(lower * MS), round(upper * MS))


spans = st.lists(st.tuples(st.integers(0, 9_000), st.integers(50, 4_000)), max_size=4).map(
    lambda found: [(at, at + length) for at, length in sorted(found)]
)


@given(spans, st.sampled_from([1, 250, 290]), st.integers(0, 4_000))
@settings(max_examples=150, deadline=None)
def test_awaiting_recovery_and_measuring_it_agree(down: SPANS, hangs: int, lasting: int) -> None:
    """Whenever a run goes on, cutting the samples there shows a recovery; and it does go on once service stays good."""
    fault = window(1_000, 1_000 + lasting)
    end = 25_000
    down = [(max(at, 1_000), to) for at, to in down if to > 1_000]
    samples = grid(end, down, hangs=hangs)

    at = back_at(samples, [fault], end)

    assert at is not None
    found = incidents(samples, fault, T, PARAMETERS, until=at)
    assert not found or found[-1].recovered is not None
    assert measure_probe("p", [each for each in samples if (each.ended or 0) < at], fault, T, PARAMETERS).watched
    calm = max([to for _, to in down] + [1_000 + lasting]) * MS
    assert at <= calm + HOLD + DEADLINE + 2 * T + 500 * MS + 2 * LOOK


def test_a_second_fault_is_awaited_for_itself() -> None:
    """The recovery from a first fault is not taken for that from a second, whose outage has yet to show."""
    faults = [window(1_000, 1_010), window(6_000, 6_010)]
    samples = grid(15_000, [(1_000, 2_000), (6_400, 7_000)])

    at = back_at(samples, faults, 15_000)

    assert at is not None
    assert at >= 9_000 * MS


def test_what_an_experiments_later_action_does_is_awaited_too() -> None:
    """An experiment that breaks one thing, waits, and breaks another is over with its last action, not its first."""
    samples = grid(20_000, [(1_000, 2_000), (6_400, 7_000)])

    at = back_at(samples, [window(1_000, 6_010)], 20_000)

    assert at is not None
    assert at >= 9_000 * MS


def test_a_look_just_before_the_fault_is_not_remembered_after_it() -> None:
    """What held of a redundancy probe is asked anew for recovery, and anew once another fault begins."""
    watch = watching()
    held = []
    for now in looks(watch, grid(12_000), [window(1_000, 1_010), window(8_000, 8_010)], 12_000):
        if now >= 1_010 * MS:
            held.append((now // MS, watch.holds(Condition.REDUNDANCY, now), watch.holds(Condition.RECOVERY, now)))

    assert [each for each in held if each[0] in (1_800, 2_600, 5_000, 8_200)] == [
        (1_800, False, False),
        (2_600, True, False),
        (5_000, True, True),
        (8_200, False, False),
    ]


def test_a_slow_but_timely_service_is_back() -> None:
    """Answers that take nearly the whole deadline are good answers."""
    slow = [Sample(each.planned, each.planned, each.planned + 290 * MS, Outcome.OK) for each in grid(8_000)]

    assert back_at(slow, [window(1_000, 1_010)], 8_000) is not None


def test_a_service_that_flaps_never_recovers() -> None:
    """One good second in two is no recovery under a hold of two."""
    down = [(at, at + 1_000) for at in range(1_000, 30_000, 2_000)]

    assert back_at(grid(30_000, down), [window(1_000, 1_010)], 30_000) is None


def test_a_prober_that_stands_still_waits_on() -> None:
    """Samples that were never sent show no recovery, however long."""
    samples = grid(12_000, unknown=[at * 100 for at in range(15, 121)])

    assert back_at(samples, [window(1_000, 1_010)], 12_000) is None


def test_the_rate_of_good_answers_is_held_against_the_baseline_before_any_fault() -> None:
    """minimum_capacity compares with the healthy service, not with what an earlier fault left of it."""
    watch = watching(Parameters(hold=HOLD, minimum_capacity=0.9, recovery_ratio=0.5, onset_window=500 * MS))
    down = [(at, at + 100) for at in range(2_000, 12_000, 300)]  # one answer in three fails, for good

    held = [
        watch.holds(Condition.RECOVERY, now)
        for now in looks(watch, grid(12_000, down), [window(1_900, 6_000)], 12_000)
        if now >= 6_000 * MS
    ]

    assert not any(held)


# --- the baseline ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([sample(0), sample(100)], None),
        ([sample(0), sample(100, Outcome.UNKNOWN)], None),
        ([sample(0), sample(100, Outcome.FAILED)], "the baseline is unhealthy: 1 of 2 samples of p failed (last: )"),
        ([sample(0, Outcome.UNKNOWN)], "the baseline shows nothing: no sample of p was answered during the watch ()"),
        ([], "the baseline shows nothing: no sample of p was answered during the watch (none was sent)"),
    ],
)
def test_a_baseline_is_good_only_with_a_good_answer_and_no_bad_one(samples: list[Sample], said: str | None) -> None:
    """A drill begins on a service that was seen to be well, not on one that was not seen."""
    watch = watching()
    watch.add("p", tuple(samples))

    assert watch.unhealthy() == said


# --- impact and guards -----------------------------------------------------------------------------------------------


def test_impact_is_a_failure_after_the_latest_fault() -> None:
    """A failure from before does not count."""
    watch = watching()
    watch.add("p", (sample(0), sample(100, Outcome.FAILED)))
    watch.fault_begins(500 * MS)

    assert not watch.holds(Condition.IMPACT, 600 * MS)
    watch.add("p", (sample(700, Outcome.FAILED),))
    assert watch.holds(Condition.IMPACT, 800 * MS)


@pytest.mark.parametrize(
    ("down", "fault", "violated"),
    [
        ([(1_000, 1_200)], True, False),
        ([(1_000, 1_300)], True, True),
        ([(1_000, 1_300)], False, False),
    ],
)
def test_a_guarded_probe_may_fail_twice_in_a_row_and_not_three_times(down: SPANS, fault: bool, violated: bool) -> None:
    """Guards watch from the fault on, and do not stop a drill for a hiccup."""
    guard = Guard(probe="p")
    watch = watching(guards=[guard])
    if fault:
        watch.fault_begins(900 * MS)
    watch.add("p", tuple(grid(1_200, down)))

    assert (watch.violated(guard, 1_300 * MS) is not None) is violated


def test_the_longest_outage_is_counted_from_the_last_good_answer() -> None:
    """An outage is as long as nothing good was seen, from the fault at the earliest; it ends with a good answer."""
    guard = Guard(max_outage=1_000 * MS)
    watch = watching(guards=[guard])
    watch.fault_begins(900 * MS)
    watch.add("p", tuple(grid(1_800, [(1_000, 5_000)])))

    assert watch.violated(guard, 1_900 * MS) is None
    assert watch.violated(guard, 1_901 * MS) == "guard: p has been down for more than 1 s"
    watch.add("p", (sample(1_900),))
    assert watch.violated(guard, 2_500 * MS) is None


def metric(*values: float | None, guard: Guard, now: float) -> str | None:
    """What a guard of the metric p says at *now* ms of samples 100 ms apart, before any fault."""
    watch = watching(guards=[guard])
    for n, value in enumerate(values):
        watch.add("p", (Sample(n * T, n * T, n * T + MS, Outcome.OK, value=value),))
    return watch.violated(guard, round(now * MS))


@pytest.mark.parametrize(
    ("guard", "values", "said"),
    [
        (Guard(metric="p", above=5), (1, 6), "guard: p is 6, above 5"),
        (Guard(metric="p", above=5), (6, 5), None),
        (Guard(metric="p", below=2), (3, 1.5), "guard: p is 1.5, below 2"),
        (Guard(metric="p", above=5, lasting=200 * MS), (1, 6, 6), None),
        (Guard(metric="p", above=5, lasting=200 * MS), (1, 6, 7, 8), "guard: p is 8, above 5 for 0.2 s"),
        (Guard(metric="p", above=5, lasting=200 * MS), (6, 6, 1, 6, 6), None),
        (Guard(metric="p", above=5, lasting=200 * MS), (6, None, 6), "guard: p is 6, above 5 for 0.2 s"),
        (Guard(metric="p", above=5), (), None),
    ],
)
def test_a_metric_beyond_its_limit_for_long_enough_ends_the_drill(
    guard: Guard, values: Sequence[float | None], said: str | None
) -> None:
    """Above or below, for the time that is given, also before any fault; a sample without a value says nothing."""
    assert metric(*values, guard=guard, now=len(values) * 100) == said


def test_a_metric_that_cannot_be_read_guards_nothing() -> None:
    """Ten seconds without a value end the drill: a blind guard is none."""
    guard = Guard(metric="p", above=5)

    assert metric(1, None, guard=guard, now=10_000) is None
    assert metric(1, None, guard=guard, now=10_001) == "guard: p has given no value for more than 10 s"
    assert metric(None, guard=guard, now=10_001) == "guard: p has given no value for more than 10 s"


def test_the_longest_duration_counts_from_the_beginning() -> None:
    """max_duration does not wait for a fault."""
    guard = Guard(max_duration=2_000 * MS)
    watch = watching(guards=[guard])

    assert watch.violated(guard, 3_000 * MS, 1_000 * MS) is None
    assert watch.violated(guard, 3_001 * MS, 1_000 * MS) == "guard: the drill has lasted for more than 2 s"


def test_what_a_watch_keeps_does_not_grow_with_the_run() -> None:
    """Hours before a fault, of an outage and after it leave a few seconds of samples, and the count of all."""
    watch = watching()
    most = 0
    for slot in range(60_000):
        if slot == 20_000:
            watch.fault_begins(slot * T)
            watch.fault_is_made(slot * T)
        outcome = Outcome.FAILED if 20_000 <= slot < 40_000 else Outcome.OK
        watch.add("p", (Sample(slot * T, slot * T, slot * T + MS, outcome, "refused"),))
        most = max(most, watch.kept())

    assert most <= 3_000
    assert watch.holds(Condition.RECOVERY, 60_000 * T)
    assert watch.unhealthy() == "the baseline is unhealthy: 20000 of 60000 samples of p failed (last: refused)"
