"""Verdicts: what the bounds prove, which evidence is missing, and the one word for the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from drill.measure import measure
from drill.model import (
    Bounds,
    Completion,
    Condition,
    Done,
    Effect,
    Fate,
    History,
    Injected,
    Intent,
    Judged,
    Judgement,
    Measure,
    Origin,
    Outcome,
    Overlap,
    Parameters,
    Reason,
    Restored,
    Result,
    Sample,
    Step,
    StepEnded,
    StepKind,
    Verdict,
)
from drill.verdict import decide, faults_in_place, judge
from tests.measure.worlds import (
    AWAIT,
    INJECT,
    MS,
    RESTORE,
    WATCH,
    World,
    bounds,
    grid,
    mark,
    objective,
    read,
    sample,
    settled,
    window,
    write,
    writes,
)

DOWN_5S = [(1000, 6000)]
RTO_30S = objective(Measure.RTO, 30_000)
LOST_0 = objective(Measure.LOST_WRITES, 0)
KILL = window(4013, 4014)


def judged(**world: Any) -> Judgement:
    history = World(**world).history()
    return judge(history, measure(history))


def only(**world: Any) -> Judged:
    """The one objective's verdict."""
    (found,) = judged(**world).judged
    return found


def of(found: Judgement, measure: Measure) -> Judged:
    return next(each for each in found.judged if each.objective.measure is measure)


def said(text: str) -> str:
    """A sentence with ordinary spaces."""
    return text.replace("\u00a0", " ")


# --- numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "verdict", "reason", "exit_code"),
    [
        (5050, Verdict.MET, Reason.WITHIN_TARGET, 0),
        (5000, Verdict.INCONCLUSIVE, Reason.STRADDLES_TARGET, 3),
        (4940, Verdict.INCONCLUSIVE, Reason.STRADDLES_TARGET, 3),
        (4939, Verdict.MISSED, Reason.BEYOND_TARGET, 1),
    ],
)
def test_a_target_is_met_from_the_upper_and_missed_from_the_lower_bound(
    target: int, verdict: Verdict, reason: Reason, exit_code: int
) -> None:
    """Vector 11: recovery took 4.94 to 5.05 s."""
    found = judged(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.RTO, target)])

    assert (found.judged[0].verdict, found.judged[0].reason) == (verdict, reason)
    assert (found.result.value, found.result.exit_code) == (verdict.value, exit_code)


def test_verdicts_explain_themselves() -> None:
    """With the bounds and the target, rounded outwards."""
    straddles = only(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.RTO, 5000)])

    assert said(straddles.explanation) == "4.94–5.05 s straddles the target of 5 s"
    assert straddles.bounds == bounds(4940, 5050)


def test_a_straddled_target_beside_a_gap_names_the_gap() -> None:
    """More than three periods at an edge were not measured."""
    seen = grid(20_000, DOWN_5S, unknown=[6000, 6100, 6200, 6300])

    found = only(samples={"reads": seen}, objectives=[objective(Measure.RTO, 5000)])

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.MEASURING_GAP)


@pytest.mark.parametrize(("target", "verdict"), [(10_000, Verdict.MISSED), (30_000, Verdict.INCONCLUSIVE)])
def test_without_recovery_a_target_is_missed_or_open(target: int, verdict: Verdict) -> None:
    """Vector 15: away for at least 19.04 s when the run ended."""
    found = only(samples={"reads": grid(20_000, [(1000, 99_999)])}, objectives=[objective(Measure.RTO, target)])

    assert (found.verdict, found.reason, found.bounds) == (verdict, Reason.NEVER_RECOVERED, bounds(19_040, None))
    assert said(found.explanation) == (
        "never recovered: the last failed sample of reads was sent 2 ms before the run ended, "
        "and it must stay good for 10 s"
    )


def test_what_only_the_undo_healed_never_recovered() -> None:
    """Vector 16, against a target of 5 s."""
    found = only(samples={"reads": grid(30_000, [(1000, 8200)])}, undo=8000, objectives=[objective(Measure.RTO, 5000)])

    assert (found.verdict, found.reason) == (Verdict.MISSED, Reason.RECOVERED_AFTER_UNDO)
    assert said(found.explanation) == (
        "never recovered by itself: reads came back only after the undo, and the last failed sample "
        "before that was sent 100 ms before the undo began"
    )


@pytest.mark.parametrize(
    ("measure", "probe_target", "found_bounds"),
    [
        (Measure.OUTAGE, 6000, bounds(4900, 5100)),
        (Measure.BAD_TIME, 6000, bounds(4900, 5100)),
        (Measure.FAILBACK, 1000, bounds(200, 400)),
    ],
)
def test_every_duration_has_its_verdict(measure: Measure, probe_target: int, found_bounds: object) -> None:
    """Down for 5 s, and 0.3 s more when the fault was undone."""
    found = only(
        samples={"reads": grid(40_000, [*DOWN_5S, (20_000, 20_300)])},
        undo=19_950,
        objectives=[objective(measure, probe_target)],
    )

    assert (found.bounds, found.verdict) == (found_bounds, Verdict.MET)


def test_an_error_ratio_is_judged_in_parts_per_million() -> None:
    """50 of 191 samples since the fault failed: 26 %."""
    found = only(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.ERROR_RATIO, 200_000)])

    assert (found.verdict, said(found.explanation)) == (
        Verdict.MISSED,
        "26.17–26.18 % is beyond the target of 20 %",
    )


def test_redundancy_is_judged_by_its_own_probes() -> None:
    """Replicas back after 8 s, though the service was back after 5 s."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(20_000, DOWN_5S)},
        "redundancy": {"replica": grid(20_000, [(1000, 9000)])},
    }

    found = judged(**world, objectives=[objective(Measure.REDUNDANCY, 7000), RTO_30S])

    assert [each.verdict for each in found.judged] == [Verdict.MISSED, Verdict.MET]


def test_an_objective_about_one_probe_leaves_the_others_out() -> None:
    """The slow one has a target of its own."""
    found = judged(
        samples={"fast": grid(30_000, DOWN_5S), "slow": grid(30_000, [(1000, 16_000)])},
        objectives=[objective(Measure.RTO, 10_000, probe="fast"), objective(Measure.RTO, 10_000, probe="slow")],
    )

    assert [(each.objective.id, each.verdict) for each in found.judged] == [
        ("rto:fast", Verdict.MET),
        ("rto:slow", Verdict.MISSED),
    ]


@pytest.mark.parametrize(
    ("origin", "found_bounds"),
    [
        (Origin.FAULT, bounds(4940, 5050)),
        (Origin.IMPACT, bounds(4900, 5100)),
        (Origin.DETECTED, bounds(2900, 4000)),
        (Origin.DECIDED, None),
    ],
)
def test_recovery_may_be_counted_from_another_instant(origin: Origin, found_bounds: object) -> None:
    """Detected between 2 and 3 s, another alarm before the fault is not its; when it was decided nobody told."""
    found = only(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[objective(Measure.RTO, 30_000, origin=origin)],
        more=[mark("detected", 100, 200), mark("detected", 2000, 3000)],
    )

    assert found.bounds == found_bounds
    assert found.reason is (Reason.WITHIN_TARGET if found_bounds else Reason.NOT_MEASURED)


def test_a_larger_target_never_unmakes_met() -> None:
    """Vector 21, over every target around the bounds."""
    samples = {"reads": grid(20_000, DOWN_5S)}
    order = [Verdict.MISSED, Verdict.INCONCLUSIVE, Verdict.MET]

    found = [
        order.index(only(samples=samples, objectives=[objective(Measure.RTO, target)]).verdict)
        for target in range(4900, 5100, 10)
    ]

    assert found == sorted(found)


# --- evidence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.UNKNOWN])
def test_a_fault_without_proof_of_effect_is_no_fast_recovery(effect: Effect) -> None:
    """Vector 17: everything stayed well; perhaps nothing happened at all."""
    found = only(samples={"reads": grid(20_000, missing=[1100, 1200])}, effect=effect, objectives=[RTO_30S])

    assert (found.bounds, found.verdict, found.reason) == (bounds(0, 300), Verdict.INCONCLUSIVE, Reason.NO_EFFECT)


def test_a_proven_fault_that_nobody_noticed_is_met() -> None:
    """The engine proved the effect and the service was watched for the hold."""
    found = only(samples={"reads": grid(20_000, missing=[1100, 1200])}, objectives=[RTO_30S])

    assert (found.verdict, said(found.explanation)) == (Verdict.MET, "≤ 300 ms is within the target of 30 s")


def test_no_outage_counts_only_if_it_was_watched_for() -> None:
    """The run ended five seconds after the fault."""
    found = only(samples={"reads": grid(6000)}, objectives=[RTO_30S])

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.MEASURING_GAP)


def test_an_unhealthy_baseline_proves_nothing() -> None:
    """Vector 18: a request failed before the fault, even where the target was surely missed."""
    seen = [each for each in grid(40_000, [(1000, 35_000)]) if each.planned != 500 * MS]
    seen.append(sample(500, Outcome.FAILED, 100))

    found = only(samples={"reads": seen}, objectives=[RTO_30S])

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.UNHEALTHY_BEFORE)


def test_a_failure_in_flight_at_the_fault_leaves_the_baseline_healthy() -> None:
    """Vector 18: sent at 900, ended at 1400."""
    seen = [each for each in grid(20_000) if each.planned != 900 * MS] + [sample(900, Outcome.FAILED, 500)]

    assert only(samples={"reads": seen}, objectives=[RTO_30S]).verdict is Verdict.MET


def test_a_clock_that_stood_still_measures_nothing() -> None:
    """The machine was suspended during the run."""
    found = only(samples={"reads": grid(20_000, DOWN_5S)}, boot_jump=5000, objectives=[objective(Measure.RTO, 1000)])

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.CLOCK_UNBOUNDED)


def test_a_drill_that_broke_nothing_shows_nothing() -> None:
    """Every step but the fault was done."""
    found = judged(samples={"reads": grid(20_000)}, t0=None, objectives=[RTO_30S])

    assert (found.result, found.judged[0].reason) == (Result.INCONCLUSIVE, Reason.NOT_EXECUTED)


@pytest.mark.parametrize(("target", "verdict"), [(30_000, Verdict.INCONCLUSIVE), (1000, Verdict.MISSED)])
def test_a_step_that_was_not_done_blocks_met_but_not_missed(target: int, verdict: Verdict) -> None:
    """The second watch was cut short."""
    steps = (WATCH, INJECT, AWAIT, WATCH)
    ends = {3: StepEnded(at=20_000 * MS, n=3, done=False, reason="cut short")}

    found = only(
        samples={"reads": grid(20_000, DOWN_5S)},
        steps=steps,
        step_ends=ends,
        objectives=[objective(Measure.RTO, target)],
    )

    assert found.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert found.reason is Reason.NOT_EXECUTED
        assert found.explanation == "step 4, watch, was not carried out as planned: cut short"


def test_a_step_without_an_end_blocks_met() -> None:
    """The journal stops in the middle of it."""
    history = World(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[RTO_30S]).history()
    cut = History(tuple(event for event in history.events if not (isinstance(event, StepEnded) and event.n == 2)))

    found = judge(cut, measure(cut)).judged[0]

    assert (found.reason, found.explanation) == (
        Reason.NOT_EXECUTED,
        "step 3, await recovery, was not carried out to its end",
    )


def test_an_await_that_timed_out_leaves_the_verdict_to_the_bounds() -> None:
    """Redundancy did not return within its limit; the recovery time was still met."""
    steps = (WATCH, INJECT, AWAIT, Step(kind=StepKind.AWAIT, condition=Condition.REDUNDANCY))
    ends = {3: StepEnded(at=20_000 * MS, n=3, done=False, reason="not within 5 s")}

    found = only(samples={"reads": grid(20_000, DOWN_5S)}, steps=steps, step_ends=ends, objectives=[RTO_30S])

    assert found.verdict is Verdict.MET


def test_a_failed_hypothesis_is_never_met() -> None:
    """The experiment's own check failed after its method."""
    found = only(samples={"reads": grid(20_000, DOWN_5S)}, failed=("orders are gone",), objectives=[RTO_30S])

    assert (found.verdict, found.reason, found.explanation) == (
        Verdict.INCONCLUSIVE,
        Reason.HYPOTHESIS_FAILED,
        "outage: orders are gone",
    )


def test_what_no_probe_measures_is_not_measured() -> None:
    """Never 0, never met."""
    found = judged(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[
            objective(Measure.RPO, 1000),
            objective(Measure.REDUNDANCY, 1000),
            objective(Measure.FAILBACK, 1000),
        ],
    )

    assert [(each.bounds, each.verdict, each.reason) for each in found.judged] == [
        (None, Verdict.INCONCLUSIVE, Reason.NOT_MEASURED)
    ] * 3
    assert [each.explanation for each in found.judged] == [
        "no judged probe writes ids that can be read back",
        "no probe says whether replicas are back",
        "nothing was undone while service was up and watched",
    ]


# --- data -----------------------------------------------------------------------------------------------------


def data(survivors: Any, *objectives: Any, **world: Any) -> Judgement:
    """800 writes, a kill at 4.013 s, service away from 4.1 to 9 s."""
    given: dict[str, Any] = {
        "samples": {"reads": grid(30_000, [(4100, 9000)])},
        "ledger": writes(800),
        "reads": settled(20_000, survivors),
        "t0": KILL,
        "objectives": objectives,
    }
    return judged(**(given | world))


def test_nothing_lost_is_met_with_its_resolution() -> None:
    """Vector 8: 59 more unknown and absent writes are neither lost nor safe."""
    unknown = [write(800 + i, 4014, 5000, Fate.UNKNOWN) for i in range(59)]

    found = data(range(800), LOST_0, ledger=[*writes(800), *unknown])

    assert found.result is Result.MET
    assert said(found.judged[0].explanation) == (
        "none of 800 acknowledged writes is gone; a loss younger than 19 ms could not have shown"
    )


def test_without_recent_writes_nothing_lost_proves_nothing() -> None:
    """Vector 8: the newest acknowledgement was 1.2 s old when the fault struck."""
    found = data(range(800), LOST_0, t0=window(5196, 5197), samples={"reads": grid(30_000, [(5300, 9000)])})

    assert [(each.verdict, each.reason) for each in found.judged] == [
        (Verdict.INCONCLUSIVE, Reason.NO_EXPOSURE),
        (Verdict.MET, Reason.WITHIN_TARGET),  # integrity: nothing is gone, so nothing outlived it
    ]


def test_missing_exposure_does_not_unmake_a_loss() -> None:
    """Ten writes are few, but three of them are gone."""
    few = [write(i, 3900 + 10 * i, 3901 + 10 * i) for i in range(10)]

    found = data(range(7), LOST_0, ledger=few)

    assert of(found, Measure.LOST_WRITES).verdict is Verdict.MISSED
    assert said(of(found, Measure.LOST_WRITES).explanation) == "3 of 10 acknowledged writes are gone"


def test_lost_data_is_judged_by_its_age() -> None:
    """Vector 7: 1512 to 1514 ms."""
    found = data(range(500), objective(Measure.RPO, 1500), objective(Measure.LOST_WRITES, 300))

    rpo, lost, integrity = found.judged
    assert (rpo.verdict, rpo.bounds, lost.verdict, integrity.verdict) == (
        Verdict.MISSED,
        bounds(1512, 1514),
        Verdict.MET,
        Verdict.MET,
    )
    assert said(rpo.explanation) == "1.51–1.52 s against the target of 1.5 s; 300 of 800 acknowledged writes are gone"
    assert found.result is Result.MISSED


def test_holes_miss_integrity_without_being_asked() -> None:
    """Vector 7: write 650 outlived older ones."""
    found = data([*range(500), 650])

    (integrity,) = found.judged
    assert (integrity.objective.id, integrity.verdict, integrity.reason) == ("integrity", Verdict.MISSED, Reason.HOLES)
    assert found.result is Result.MISSED


OLD, NEW = "east/postgres-east/1", "west/postgres-west/2"


def rivals(old: int, new: int, took: float = 1, by: str | None = NEW, **world: Any) -> Judgement:
    """The old server acknowledges from 0 to *old* ms, the new one from *new* ms to 4 s; nothing is lost."""
    ledger = [write(i, at, at + took, served_by=OLD) for i, at in enumerate(range(0, old + 1, 10))]
    ledger += [write(1000 + i, at, at + took, served_by=by) for i, at in enumerate(range(new, 4000, 10))]
    return data([each.id for each in ledger if each.id is not None], ledger=ledger, t0=window(950, 951), **world)


def test_an_overlap_of_two_primaries_misses_integrity() -> None:
    """Vector 10: the old one from 0 to 990 ms, the new one from 705 ms on; both for 284 to 286 ms."""
    found = rivals(990, 705)

    (integrity,) = found.judged
    assert (integrity.verdict, integrity.reason) == (Verdict.MISSED, Reason.SPLIT_BRAIN)
    assert said(integrity.explanation) == "two servers acknowledged writes at once, for 284–286 ms: split brain"
    assert integrity.bounds == Bounds(0, 0)
    assert found.result is Result.MISSED


def test_an_overlap_loses_no_write() -> None:
    """It is integrity that two primaries miss, nothing else."""
    (lost, integrity) = rivals(990, 705, objectives=[objective(Measure.LOST_WRITES, 0)], write_every=10).judged

    assert (lost.verdict, integrity.verdict) == (Verdict.MET, Verdict.MISSED)


def test_one_primary_after_the_other_is_one_recovery_point() -> None:
    """The new one begins when the old one has answered for the last time."""
    (integrity,) = rivals(990, 1005).judged

    assert (integrity.verdict, integrity.reason) == (Verdict.MET, Reason.WITHIN_TARGET)


def test_answers_that_cross_leave_integrity_open() -> None:
    """The old one's last answer was under way when the new one's first write was sent."""
    (integrity,) = rivals(990, 1010, took=50).judged

    assert (integrity.verdict, integrity.reason) == (Verdict.INCONCLUSIVE, Reason.SPLIT_BRAIN)
    assert said(integrity.explanation) == "two servers may have acknowledged writes at once, for ≤ 30 ms"


def test_answers_of_nobody_leave_integrity_open() -> None:
    """Half of them tell who acknowledged."""
    untold = write(9000, 4000, 4001)
    ledger = [write(i, 10 * i, 10 * i + 1, served_by=OLD) for i in range(100)]

    (integrity,) = data([*range(100), 9000], ledger=[*ledger, untold], t0=window(950, 951)).judged

    assert (integrity.verdict, integrity.reason) == (Verdict.INCONCLUSIVE, Reason.SPLIT_BRAIN)
    assert integrity.explanation == "some answers do not tell who acknowledged: two servers may have at once"


def test_an_overlap_without_an_upper_bound_is_one_all_the_same() -> None:
    """What is proved stays proved when some answers do not tell."""
    both = [write(i, 10 * i, 10 * i + 1, served_by=OLD if i % 2 else NEW) for i in range(200)]

    (integrity,) = data([*range(200), 9000], ledger=[*both, write(9000, 4000, 4001)], t0=window(950, 951)).judged

    assert (integrity.verdict, integrity.reason) == (Verdict.MISSED, Reason.SPLIT_BRAIN)
    assert said(integrity.explanation) == "two servers acknowledged writes at once, for at least 1.98 s: split brain"


def test_answers_that_never_tell_are_judged_by_their_holes() -> None:
    """As where a load balancer hides who serves; the report says that split brain could not show."""
    (integrity,) = rivals(990, 705, by=None).judged
    plain = data(range(800)).judged[0]

    assert (integrity.verdict, plain.verdict) == (Verdict.INCONCLUSIVE, Verdict.MET)


def test_holes_are_named_before_an_overlap() -> None:
    """Both miss it; the holes count."""
    ledger = [write(i, 10 * i, 10 * i + 1, served_by=OLD if i % 2 else NEW) for i in range(200)]

    (integrity,) = data([i for i in range(200) if i not in (50, 100)], ledger=ledger, t0=window(950, 951)).judged

    assert (integrity.verdict, integrity.reason) == (Verdict.MISSED, Reason.HOLES)


def test_a_ledger_that_is_only_observed_is_not_judged() -> None:
    """It is reported; nobody asked for its data."""
    found = data([], RTO_30S, reads=[], judge_ledger=False)

    assert ([each.objective.id for each in found.judged], found.result) == (["rto"], Result.MET)


@pytest.mark.parametrize(("survivors", "verdict"), [(800, Verdict.MET), (799, Verdict.MISSED)])
def test_an_rpo_of_zero_means_no_lost_write(survivors: int, verdict: Verdict) -> None:
    """No loss can be shown to be 0 s old, so the writes are counted."""
    found = of(data(range(survivors), objective(Measure.RPO, 0)), Measure.RPO)

    assert found.verdict is verdict


def test_readings_that_never_agreed_prove_nothing() -> None:
    """Neither lost nor safe, and integrity is open as well."""
    found = data([], LOST_0, reads=[read(20_000, range(500)), read(22_000, range(600))])

    assert [(each.verdict, each.reason) for each in found.judged] == [
        (Verdict.INCONCLUSIVE, Reason.SURVIVORS_UNSETTLED)
    ] * 2


def test_writes_after_the_readings_leave_nothing_lost_open() -> None:
    """Two more were acknowledged when nobody read any more."""
    late = [write(900, 23_000, 23_001), write(901, 23_010, 23_011)]

    found = of(data(range(800), LOST_0, ledger=[*writes(800), *late]), Measure.LOST_WRITES)

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.SURVIVORS_UNSETTLED)
    assert said(found.explanation).endswith("2 more were acknowledged too late for two readings to cover")


# --- the run --------------------------------------------------------------------------------------------------

MISSED = objective(Measure.RTO, 1000)
MET = RTO_30S
OPEN = objective(Measure.RTO, 5000)


@pytest.mark.parametrize(
    ("objectives", "world", "result"),
    [
        ([MET], {}, Result.MET),
        ([MET, OPEN], {}, Result.INCONCLUSIVE),
        ([OPEN, MISSED, MET], {}, Result.MISSED),
        ([MISSED], {"completion": Completion.ABORTED, "undo": 12_000}, Result.ABORTED),
        ([MISSED], {"completion": Completion.REFUSED, "t0": None}, Result.REFUSED),
        ([MISSED], {"completion": Completion.UNSAFE, "undo": 12_000}, Result.UNSAFE),
        ([MET], {"verified": False}, Result.UNSAFE),
        ([MET], {"completion": None, "undo": 12_000}, Result.ABORTED),
        ([MET], {"completion": None}, Result.UNSAFE),
        ([MET], {"completion": None, "t0": None}, Result.ABORTED),
        ([MISSED], {"completion": Completion.ABORTED}, Result.UNSAFE),
        ([], {}, Result.INCONCLUSIVE),
    ],
)
def test_the_result_is_the_first_that_applies(objectives: Any, world: dict[str, Any], result: Result) -> None:
    """Unsafe, refused, aborted, missed, inconclusive, met."""
    assert judged(samples={"reads": grid(20_000, DOWN_5S)}, objectives=objectives, **world).result is result


def test_the_result_says_why_in_one_sentence() -> None:
    """The first objective that decided it, or what ended the run."""
    samples = {"reads": grid(20_000, DOWN_5S)}
    missed = judged(samples=samples, objectives=[MET, MISSED])
    unsafe = judged(samples=samples, objectives=[MET], verified=False, reason="the database did not start")
    aborted = judged(samples=samples, completion=Completion.ABORTED, undo=12_000, reason="guard: down for 3 min")
    killed = judged(samples=samples, completion=None, undo=12_000)

    assert said(missed.reason) == "rto: 4.94–5.05 s is beyond the target of 1 s"
    assert unsafe.reason == "outage may still be in place: the database did not start"
    assert aborted.reason == "guard: down for 3 min"
    assert killed.reason == "the run has no end: it was killed, or its journal could not be written"


def test_a_fault_is_in_place_until_an_undo_after_its_last_action_is_verified() -> None:
    """An undo that failed first and was verified later is an undo; one before the fault is none."""
    intent = Intent(at=1, fault="a", activity="break", n=0)
    looked = Intent(at=1, fault="b", activity="look", n=0, breaks=False)
    bad, good = Restored(at=2, fault="a", verified=False), Restored(at=3, fault="a", verified=True)
    said_so = next(event for event in World().history().events if isinstance(event, Injected))

    assert faults_in_place(History((intent, looked, bad))) == ["a"]
    assert faults_in_place(History((intent, bad, good))) == []
    assert faults_in_place(History((good, intent))) == ["a"]
    assert faults_in_place(History((said_so,))) == ["outage"]


def test_an_undo_under_test_that_heals_is_met() -> None:
    """A switch-back drill: the restore step is what must bring service back."""
    found = only(
        samples={"reads": grid(30_000, [(1000, 8200)])},
        undo=8000,
        steps=(WATCH, INJECT, RESTORE, AWAIT),
        objectives=[objective(Measure.RTO, 10_000)],
    )

    assert (found.verdict, found.bounds) == (Verdict.MET, bounds(7140, 7250))


# --- what else may be asked for --------------------------------------------------------------------------------


PROMOTED = mark("promoted", 4000, 4100)


def test_time_without_redundancy_counts_from_the_promotion() -> None:
    """Promoted at 4.0 to 4.1 s, the replica back at 8.0 s."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(20_000, DOWN_5S)},
        "redundancy": {"replica": grid(20_000, [(1000, 8000)])},
        "objectives": [objective(Measure.UNPROTECTED, 4000)],
    }
    found = only(**world, more=[PROMOTED])
    untold = only(**world)
    never = only(**world | {"redundancy": {"replica": grid(20_000, [(1000, 20_100)])}}, more=[PROMOTED])

    assert (found.bounds, found.verdict) == (bounds(3800, 4000), Verdict.MET)
    assert (untold.bounds, untold.reason) == (None, Reason.NOT_MEASURED)
    assert untold.explanation == "nothing told of a promotion, or no probe says whether replicas are back"
    assert (never.bounds, never.verdict, never.reason) == (
        bounds(15_900, None),
        Verdict.MISSED,
        Reason.NEVER_RECOVERED,
    )


def test_work_recovery_is_from_service_to_its_data_checked() -> None:
    """Back between 8.99 and 9.1 s; the second of the first two readings that agree took from 22 to 22.01 s."""
    asked = objective(Measure.WORK_RECOVERY, 14_000)
    found = of(data(range(800), asked), Measure.WORK_RECOVERY)
    unread = of(data(range(800), asked, reads=[]), Measure.WORK_RECOVERY)

    assert (found.bounds, found.verdict) == (bounds(13_000, 13_110), Verdict.MET)
    assert (unread.reason, unread.explanation) == (
        Reason.NOT_MEASURED,
        "service was not seen back, or no two readings of its data agreed",
    )


def hits(end: float, cold: Sequence[tuple[float, float]]) -> list[Sample]:
    """A hit every 100 ms, a miss in each span of *cold*."""
    return [
        msgspec.structs.replace(each, outcome=Outcome.OK, value=float(each.outcome is Outcome.OK))
        for each in grid(end, cold)
    ]


def test_a_cold_cache_is_judged_by_its_hit_ratio() -> None:
    """Cold from 1 to 3 s, though service never went away; or for good; or never watched."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(20_000)},
        "objectives": [objective(Measure.COLD_CACHE, 2050)],
    }
    found = only(**world, cache={"cache": hits(20_000, [(1000, 3000)])})
    never = only(**world, cache={"cache": hits(20_000, [(1000, 20_100)])})
    blind = only(**world, cache={"cache": grid(20_000)})

    assert (found.bounds, found.verdict) == (bounds(1940, 2050), Verdict.MET)
    assert (never.verdict, never.reason, never.explanation) == (
        Verdict.MISSED,
        Reason.NEVER_RECOVERED,
        "the hit ratio was not seen back, and staying so, before the run ended",
    )
    assert (blind.reason, blind.explanation) == (
        Reason.NOT_MEASURED,
        "no probe saw hits of the cache before the fault and went on watching it",
    )


# --- in words --------------------------------------------------------------------------------------------------


def reasoned(found: Judged) -> tuple[Verdict, Reason, str]:
    return found.verdict, found.reason, said(found.explanation)


def test_a_whole_recovery_point_is_said() -> None:
    """A tail was lost, and nothing after it survived."""
    assert reasoned(of(data(range(500), RTO_30S), Measure.INTEGRITY)) == (
        Verdict.MET,
        Reason.WITHIN_TARGET,
        "what survived ends at one recovery point",
    )


def test_holes_are_counted() -> None:
    """One, and two."""
    one, two = (of(data([*range(500), *more], RTO_30S), Measure.INTEGRITY) for more in ([650], [650, 651]))

    assert reasoned(one) == (
        Verdict.MISSED,
        Reason.HOLES,
        "1 write survived although older ones are gone: there is no single recovery point",
    )
    assert said(two.explanation).startswith("2 writes survived although")


def test_a_loss_is_counted_and_held_against_its_target() -> None:
    """One lost write of 800; five milliseconds are allowed, or one."""
    late = objective(Measure.RPO, 16)
    found = data(range(799), LOST_0, objective(Measure.LOST_WRITES, 1), late, objective(Measure.RPO, 30))

    assert [reasoned(each) for each in found.judged[:4]] == [
        (Verdict.MISSED, Reason.BEYOND_TARGET, "1 of 800 acknowledged writes is gone"),
        (Verdict.MET, Reason.WITHIN_TARGET, "1 of 800 acknowledged writes is gone"),
        (
            Verdict.MISSED,
            Reason.BEYOND_TARGET,
            "17–19 ms against the target of 16 ms; 1 of 800 acknowledged writes is gone",
        ),
        (
            Verdict.MET,
            Reason.WITHIN_TARGET,
            "17–19 ms against the target of 30 ms; 1 of 800 acknowledged writes is gone",
        ),
    ]


def test_a_resolution_is_rounded_up() -> None:
    """A loss younger than 18.2 ms could not have shown: 19 ms are said."""
    found = data(range(800), LOST_0, t0=window(4013, 4013.2))

    assert said(found.judged[0].explanation).endswith("a loss younger than 19 ms could not have shown")


def test_a_target_among_the_bounds_of_a_loss_straddles_it() -> None:
    """17 to 19 ms, against 18 ms."""
    found = data(range(799), objective(Measure.RPO, 18))

    assert reasoned(found.judged[0]) == (
        Verdict.INCONCLUSIVE,
        Reason.STRADDLES_TARGET,
        "17–19 ms against the target of 18 ms; 1 of 800 acknowledged writes is gone",
    )


def test_writes_that_nobody_read_twice_are_said() -> None:
    """Two more were acknowledged when the readings had begun."""
    late = [write(800, 20_001, 20_002), write(801, 20_003, 20_004)]

    assert reasoned(data(range(800), LOST_0, ledger=[*writes(800), *late]).judged[0]) == (
        Verdict.INCONCLUSIVE,
        Reason.SURVIVORS_UNSETTLED,
        "none of 802 acknowledged writes is gone; a loss younger than 19 ms could not have shown, "
        "and 2 more were acknowledged too late for two readings to cover",
    )


@pytest.mark.parametrize(
    ("world", "sentence"),
    [
        (
            {"ledger": [write(i, 3000 + 100 * i, 3001 + 100 * i) for i in range(11)], "write_every": 5},
            "a loss might not have shown: 10 writes of writes acknowledged shortly before the fault, 100 are needed",
        ),
        (
            {"ledger": writes(2), "write_every": 5},
            "a loss might not have shown: 0 writes of writes acknowledged shortly before the fault, 100 are needed",
        ),
    ],
    ids=["few", "none"],
)
def test_missing_exposure_says_what_is_missing(world: dict[str, Any], sentence: str) -> None:
    """How many writes there were, and how many it takes."""
    found = data(range(800), LOST_0, **world)

    assert reasoned(found.judged[0]) == (Verdict.INCONCLUSIVE, Reason.NO_EXPOSURE, sentence)


def test_enough_writes_that_stopped_before_the_fault_say_so() -> None:
    """A hundred within the four seconds that the target looks at, the newest 1.5 s old."""
    found = data(range(800), objective(Measure.RPO, 4000), ledger=writes(503))

    assert reasoned(found.judged[0]) == (
        Verdict.INCONCLUSIVE,
        Reason.NO_EXPOSURE,
        "a loss might not have shown: writes did not keep writing up to the fault: "
        "its newest acknowledged write was 1.5 s old, or planned writes were not sent",
    )


def test_a_ledger_with_just_enough_writes_is_exposed() -> None:
    """A hundred are needed for the second before the fault; a hundred and one less is too few."""
    enough = [write(i, 3014 + 10 * i, 3015 + 10 * i) for i in range(100)]

    assert data(range(100), LOST_0, ledger=enough, write_every=5).judged[0].verdict is Verdict.MET
    assert data(range(100), LOST_0, ledger=enough[1:], write_every=5).judged[0].reason is Reason.NO_EXPOSURE


def test_an_unwatched_fault_says_for_how_long_it_should_have_been() -> None:
    """Five seconds of good answers prove nothing of the sixth."""
    assert reasoned(only(samples={"reads": grid(6000)}, objectives=[RTO_30S])) == (
        Verdict.INCONCLUSIVE,
        Reason.MEASURING_GAP,
        "reads was not watched for 10 s without a gap after the last action of the fault",
    )


def test_no_good_answer_on_one_side_of_the_fault_says_so() -> None:
    """Nothing was sent between the fault and the end: there is no upper bound."""
    found = only(
        samples={"reads": grid(900)}, objectives=[objective(Measure.OUTAGE, 1000)], more=[mark("x", 30_000, 30_000)]
    )

    assert reasoned(found) == (
        Verdict.INCONCLUSIVE,
        Reason.MEASURING_GAP,
        "no good sample on both sides of the fault bounds the outage",
    )


def test_a_way_back_that_was_not_watched_says_so() -> None:
    """Two seconds after the undo the run ended."""
    found = only(samples={"reads": grid(22_000, DOWN_5S)}, undo=20_000, objectives=[objective(Measure.FAILBACK, 1000)])

    assert reasoned(found) == (
        Verdict.INCONCLUSIVE,
        Reason.NEVER_RECOVERED,
        "service was not seen back, and staying so, between the undo and the run's end",
    )


def test_the_slowest_probe_is_named_when_service_never_came_back() -> None:
    """Two never did; the one that failed last is told, with its own hold."""
    found = only(
        samples={"first": grid(20_000, [(1000, 15_000)]), "last": grid(20_000, [(1000, 19_000)])},
        objectives=[objective(Measure.RTO, 5000)],
    )

    assert said(found.explanation).startswith("never recovered: the last failed sample of last was sent 1.1 s before")


def test_a_run_that_was_killed_ends_with_its_last_event() -> None:
    """Its journal has no end; what is known goes to its last line."""
    found = judged(samples={"reads": grid(20_000, [(1000, 20_100)])}, objectives=[RTO_30S], completion=None)

    assert said(found.judged[0].explanation).startswith(
        "never recovered: the last failed sample of reads was sent 2 ms before the run ended"
    )


def test_a_step_cut_short_without_a_reason_says_no_more() -> None:
    """No colon and nothing after it."""
    found = only(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[RTO_30S],
        step_ends={0: StepEnded(at=1, n=0, done=False)},
    )

    assert said(found.explanation) == "step 1, watch, was not carried out as planned"


def test_the_first_probe_that_felt_it_is_the_impact() -> None:
    """The second one listed failed first: recovery from the impact counts from there for both."""
    found = only(
        samples={"late": grid(30_000, [(2000, 6000)]), "early": grid(30_000, [(1000, 5000)])},
        objectives=[objective(Measure.RTO, 5000, origin=Origin.IMPACT)],
    )

    assert found.bounds == bounds(5900 - 1000, 6000 - 900)


def test_without_an_outage_the_origin_does_not_matter() -> None:
    """Nothing was detected, since there was nothing to detect."""
    found = only(samples={"reads": grid(20_000)}, objectives=[objective(Measure.RTO, 5000, origin=Origin.DETECTED)])

    assert (found.bounds, found.verdict) == (bounds(0, 100), Verdict.MET)


def test_an_objective_of_one_ledger_is_about_it_alone() -> None:
    """Of a ledger that is only observed, when it is asked for by name."""
    found = data(range(700), objective(Measure.LOST_WRITES, 10, probe="writes"), LOST_0, judge_ledger=False).judged

    assert [(each.bounds, each.verdict) for each in found] == [
        (Bounds(100, 100), Verdict.MISSED),
        (None, Verdict.INCONCLUSIVE),
    ]


def test_the_overlap_of_another_store_is_not_its_own() -> None:
    """A store that nobody judges had two primaries; and one whose answers do not tell is no proof of either."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])}, ledger=writes(800), reads=settled(20_000, range(800)), t0=KILL
    ).history()
    found = measure(history)
    elsewhere = Overlap(store="other", probes=("else",), length=bounds(5, 6))
    untold = Overlap(store="writes", probes=("writes",))
    here = Overlap(store="writes", probes=("writes", "else"), length=bounds(7, 8))

    def integrity(*overlaps: Overlap) -> Judged:
        return judge(history, msgspec.structs.replace(found, overlaps=overlaps)).judged[0]

    assert reasoned(integrity(elsewhere, untold))[:2] == (Verdict.MET, Reason.WITHIN_TARGET)
    assert reasoned(integrity(elsewhere, here))[2] == "two servers acknowledged writes at once, for 7–8 ms: split brain"
    assert integrity(untold, here).verdict is Verdict.MISSED
    assert integrity(msgspec.structs.replace(here, length=Bounds(0, 1))).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("world", "reason", "sentence"),
    [
        ({"t0": None}, Reason.NOT_EXECUTED, "no fault was carried out"),
        (
            {"boot_jump": 2000},
            Reason.CLOCK_UNBOUNDED,
            "this machine slept during the run: its clock stood still",
        ),
        ({"effect": Effect.NONE}, Reason.NO_EFFECT, "outage had no effect"),
        (
            {"samples": {"a": grid(20_000, [(0, 100)]), "b": grid(20_000, [(0, 100)])}},
            Reason.UNHEALTHY_BEFORE,
            "a and b was not shown healthy before the fault",
        ),
        (
            {"samples": {}, "redundancy": {"replica": grid(20_000)}},
            Reason.NOT_MEASURED,
            "no sample says anything about it",
        ),
    ],
    ids=["no fault", "slept", "no effect", "unhealthy", "nothing judged"],
)
def test_missing_evidence_is_named(world: dict[str, Any], reason: Reason, sentence: str) -> None:
    """The numbers may be what they like."""
    found = only(**{"samples": {"reads": grid(20_000, DOWN_5S)}, "objectives": [RTO_30S]} | world)

    assert reasoned(found) == (Verdict.INCONCLUSIVE, reason, sentence)


def test_what_nobody_told_has_no_recovery_time() -> None:
    """No alarm was heard of."""
    found = only(
        samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.RTO, 9000, origin=Origin.DETECTED)]
    )

    assert reasoned(found) == (
        Verdict.INCONCLUSIVE,
        Reason.NOT_MEASURED,
        "nothing told when the outage was detected",
    )


def test_survivors_that_never_settled_are_named() -> None:
    """One reading agrees with nothing."""
    assert reasoned(data(range(800), LOST_0, reads=[read(20_000, range(800))]).judged[0]) == (
        Verdict.INCONCLUSIVE,
        Reason.SURVIVORS_UNSETTLED,
        "no two readings of what writes left, two seconds apart, agreed after recovery",
    )


def test_a_disaster_that_was_never_made_has_no_loss() -> None:
    """The first fault was carried out, the one that loss is counted from was not."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(800)),
        t0=KILL,
        objectives=[LOST_0],
    ).history()
    began, *rest = history.events
    plan = msgspec.structs.replace(history.plan, disaster="flood")
    history = History((msgspec.structs.replace(began, plan=plan), *rest))

    lost, _ = judge(history, measure(history)).judged
    assert reasoned(lost) == (
        Verdict.INCONCLUSIVE,
        Reason.NOT_EXECUTED,
        "the disaster, flood, was not carried out",
    )


@pytest.mark.parametrize(
    ("world", "result", "sentence"),
    [
        ({}, Result.MET, "every objective was met"),
        ({"objectives": []}, Result.INCONCLUSIVE, "the drill has no objective: nothing was judged"),
        ({"completion": Completion.REFUSED}, Result.REFUSED, "drill would not begin"),
        ({"completion": Completion.REFUSED, "reason": "it is ill"}, Result.REFUSED, "it is ill"),
        ({"completion": Completion.ABORTED, "undo": 9000}, Result.ABORTED, "the run was cut short"),
        ({"completion": Completion.ABORTED, "undo": 9000, "reason": "a guard"}, Result.ABORTED, "a guard"),
        (
            {"completion": Completion.UNSAFE, "undo": 9000},
            Result.UNSAFE,
            "a fault was left in place when the run ended, and was undone afterwards",
        ),
        ({"verified": False}, Result.UNSAFE, "outage may still be in place"),
        ({"verified": False, "reason": "no way in"}, Result.UNSAFE, "outage may still be in place: no way in"),
    ],
)
def test_the_whole_run_is_said_in_one_sentence(world: dict[str, Any], result: Result, sentence: str) -> None:
    """With the reason that was given, where one was."""
    given = {"samples": {"reads": grid(20_000, DOWN_5S)}, "objectives": [RTO_30S]}
    if world.get("completion") is Completion.REFUSED:
        given["t0"] = None
    found = judged(**given | world)

    assert (found.result, found.reason) == (result, sentence)


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"),
    [
        (99, None, Verdict.INCONCLUSIVE),
        (99, 100, Verdict.INCONCLUSIVE),
        (100, 100, Verdict.MET),
        (100, None, Verdict.MET),
        (98, 99, Verdict.MISSED),
    ],
)
def test_a_floor_is_met_from_the_lower_bound(lower: int, upper: int | None, verdict: Verdict) -> None:
    """Where at least 100 is asked for."""
    assert decide(Bounds(lower, upper), 100, at_least=True) is verdict


# --- what a late action or a late hiccup must not prove -----------------------------------------------------------


def second_action(at: float) -> list[Any]:
    """A second breaking action of the fault, sent at *at* and confirmed 10 ms later."""
    return [
        Intent(at=round(at * MS), fault="outage", activity="again", n=1),
        Done(at=round((at + 10) * MS), fault="outage", n=1, ok=True),
    ]


@pytest.mark.parametrize(
    ("length", "undo"), [(15_000, 6200), (6300, None)], ids=["cut by the undo", "cut by the end of the run"]
)
def test_an_outage_of_a_later_action_that_was_not_waited_for_is_never_met(length: int, undo: int | None) -> None:
    """The first outage's recovery says nothing of what the second action did."""
    found = only(
        samples={"reads": grid(length, [(1000, 2000), (6400, 9000)])},
        objectives=[objective(Measure.RTO, 5000)],
        parameters=Parameters(hold=2000 * MS),
        more=second_action(6000),
        undo=undo,
    )

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.MEASURING_GAP)


def test_a_later_action_that_was_watched_for_the_hold_may_be_met() -> None:
    """Service held through the second action, and was seen to."""
    found = only(
        samples={"reads": grid(9000, [(1000, 2000)])},
        objectives=[objective(Measure.RTO, 5000)],
        parameters=Parameters(hold=2000 * MS),
        more=second_action(6000),
    )

    assert found.verdict is Verdict.MET


def test_a_hiccup_long_after_the_fault_does_not_prove_it() -> None:
    """An engine that cannot tell, and one failed request a minute later: nothing is proved."""
    found = only(
        samples={"reads": grid(80_000, [(60_000, 60_100)])},
        objectives=[RTO_30S],
        effect=Effect.UNKNOWN,
    )

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.NO_EFFECT)


def test_a_killed_run_names_the_fault_and_nothing_else() -> None:
    """It gave no reason."""
    found = judged(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[RTO_30S], completion=None)

    assert (found.result, found.reason) == (Result.UNSAFE, "outage may still be in place")


def test_a_run_that_ended_unsafe_gives_its_reason_when_it_was_undone_later() -> None:
    """Its result stays."""
    found = judged(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[RTO_30S],
        completion=Completion.UNSAFE,
        undo=9000,
        reason="no way in",
    )

    assert (found.result, found.reason) == (
        Result.UNSAFE,
        "a fault was left in place when the run ended, and was undone afterwards: no way in",
    )


def test_every_ledger_must_have_been_exposed() -> None:
    """The first one was, the second was not: it had enough writes, exactly, but they stopped too soon."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(800)),
        t0=KILL,
        objectives=[LOST_0],
    ).history()
    found = measure(history)
    (ledger,) = found.ledgers
    first = msgspec.structs.replace(ledger, probe="reads")
    stopped = msgspec.structs.replace(ledger, exposed=False, exposure=ledger.needed)

    lost, _ = judge(history, msgspec.structs.replace(found, ledgers=(first, stopped))).judged

    assert (lost.verdict, lost.reason, lost.bounds) == (Verdict.INCONCLUSIVE, Reason.NO_EXPOSURE, Bounds(0, 0))
    assert "writes did not keep writing up to the fault" in lost.explanation
