"""Availability, latency after recovery, detection and moves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.measure import measure
from drill.measure.promises import availability, latency
from drill.model import Bounds, History, Judged, Measure, Measured, Observed, Outcome, Probe, Reason, Sample, Verdict
from drill.verdict import judge
from tests.measure.worlds import MS, RESTORE, T0, World, bounds, grid, mark, objective

EVERYTHING = ("detected", "decided", "promoted", "routed", "redundant")
DOWN_5S = [(1000, 6000)]


def observed(at: float = 20_000, *tells: str) -> Observed:
    return Observed(at=round(at * MS), source="lab", tells=tells or EVERYTHING)


def only(**world: Any) -> Judged:
    history = World(**world).history()
    (found,) = judge(history, measure(history)).judged
    return found


# --- availability -----------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=200), st.data())
def test_availability_holds_whatever_the_unknown_ones_were(outcomes: list[Outcome], data: st.DataObject) -> None:
    """However the unknown samples would have ended, the true share lies inside the bounds."""
    truth = [data.draw(st.booleans()) if o is Outcome.UNKNOWN else o is Outcome.OK for o in outcomes]
    found = availability([Sample(n, n, n + 1, outcome) for n, outcome in enumerate(outcomes)])

    assert found is not None
    assert found.upper is not None
    assert found.lower <= sum(truth) * 1_000_000 / len(truth) <= found.upper


@pytest.mark.parametrize(
    ("target", "verdict"), [(750_000, Verdict.MET), (751_246, Verdict.MISSED), (751_244, Verdict.INCONCLUSIVE)]
)
def test_availability_is_a_least(target: int, verdict: Verdict) -> None:
    """151 of 201 requests were good: at or above 75 % is met, below 75.1246 % is missed."""
    found = only(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.AVAILABILITY, target)])

    assert (found.bounds, found.verdict) == (Bounds(751_243, 751_244), verdict)


def test_the_worst_probe_is_the_availability() -> None:
    """Of several probes the least available one counts."""
    found = measure(World(samples={"a": grid(20_000), "b": grid(20_000, DOWN_5S)}).history())

    assert found.availability == Bounds(751_243, 751_244)


# --- latency ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 900), min_size=1, max_size=150),
    st.lists(st.integers(0, 40), min_size=150, max_size=150),
    st.sampled_from([Measure.LATENCY_P50, Measure.LATENCY_P95, Measure.LATENCY_P99]),
)
def test_latency_holds_the_truth_however_late_requests_were_sent(took: list[int], late: list[int], of: Measure) -> None:
    """A prober that is late by itself widens the bounds; the service's own quantile stays inside them."""
    samples = [Sample(n * 100, n * 100 + late[n], n * 100 + late[n] + t, Outcome.OK) for n, t in enumerate(took)]
    found, count = latency(samples, 0, None, 1000)
    share = {Measure.LATENCY_P50: 500, Measure.LATENCY_P95: 950, Measure.LATENCY_P99: 990}[of]
    truth = sorted(took)[max(1, -(-len(took) * share // 1000)) - 1]

    each = found[of.value]
    assert count == len(took)
    assert each.upper is not None
    assert each.lower <= truth <= each.upper


def test_latency_is_that_from_recovery_to_the_undo() -> None:
    """Slow answers before the recovery and after the undo are not asked about."""
    samples = [
        msgspec.structs.replace(s, ended=(s.sent or 0) + (50 if 6000 <= s.planned / MS < 16_000 else 90) * MS)
        if s.outcome is Outcome.OK
        else s
        for s in grid(25_000, DOWN_5S)
    ]
    found = only(
        samples={"reads": samples},
        undo=16_500,
        steps=(*World().steps, RESTORE),
        objectives=[objective(Measure.LATENCY_P95, 60)],
    )

    assert (found.verdict, found.bounds) == (Verdict.MET, bounds(50, 50)), found.explanation


def test_a_request_without_an_answer_took_longer_than_any() -> None:
    """Two failed requests in a hundred leave no upper bound for the 99th percentile."""
    samples = grid(20_000, [(10_000, 10_200)])
    found, count = latency(samples, 5000 * MS, 15_100 * MS, 100 * MS)

    assert count == 100
    assert found["latency_p99"] == Bounds(100 * MS, None)
    assert found["latency_p95"] == bounds(1, 1)


def test_a_quantile_of_a_few_requests_is_not_met() -> None:
    """Forty requests have no 99th percentile."""
    found = only(
        samples={"reads": grid(25_000, DOWN_5S)},
        undo=16_050,
        every=100,
        steps=(*World().steps, RESTORE),
        objectives=[objective(Measure.LATENCY_P99, 60)],
    )
    assert found.verdict is Verdict.MET or found.reason is Reason.TOO_FEW_SAMPLES
    few = only(samples={"reads": grid(9_000)}, objectives=[objective(Measure.LATENCY_P99, 60)])
    assert (few.verdict, few.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)


def test_a_service_that_never_came_back_has_no_latency() -> None:
    """Not measured, and never 0."""
    found = only(samples={"reads": grid(20_000, [(1000, 30_000)])}, objectives=[objective(Measure.LATENCY_P50, 60)])

    assert (found.verdict, found.reason, found.bounds) == (Verdict.INCONCLUSIVE, Reason.NOT_MEASURED, None)


# --- detection --------------------------------------------------------------------------------------------------------


def test_a_mark_tells_of_the_fault() -> None:
    """Detected at [2000, 2100], the fault at [950, 960]: within [1040, 1150]."""
    found = only(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[objective(Measure.DETECTED, 1150)],
        more=[mark("detected", 2000, 2100), observed()],
    )

    assert (found.verdict, found.bounds) == (Verdict.MET, bounds(1040, 1150))


def test_silence_of_somebody_who_watched_is_a_miss() -> None:
    """Nothing was told to the end, and somebody was there who would have."""
    found = only(
        samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.DETECTED, 10_000)], more=[observed()]
    )

    assert (found.verdict, found.reason, found.bounds) == (Verdict.MISSED, Reason.NOT_DETECTED, bounds(19_040, None))


def test_silence_of_nobody_is_nothing() -> None:
    """Without anybody who would have told, it is inconclusive."""
    found = only(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.DETECTED, 10_000)])

    assert (found.verdict, found.reason, found.bounds) == (Verdict.INCONCLUSIVE, Reason.NOT_MEASURED, None)


def watched_by(alarm: list[Sample]) -> Measured:
    """A run with a probe of detection."""
    history = World(samples={"reads": grid(20_000, DOWN_5S), "alarm": alarm}).history()
    first, *rest = history.events
    plan = msgspec.structs.replace(history.plan, judged=("reads",), detection=("alarm",))
    return measure(History((msgspec.structs.replace(first, plan=plan), *rest)))


@given(fires=st.integers(1000, 15_000), period=st.integers(50, 900))
def test_a_probe_that_turns_good_holds_the_moment_the_alarm_fired(fires: int, period: int) -> None:
    """Whenever the alarm fires, the truth lies inside the bounds, at most a period and an answer wide."""
    found = watched_by(grid(20_000, [(0, fires)], period=period)).detected

    assert found is not None
    assert found.upper is not None
    assert found.lower <= fires * MS - T0.lower
    assert found.upper >= fires * MS - T0.upper
    assert found.upper - found.lower <= (period + 1) * MS + (T0.upper - T0.lower)


def test_an_alarm_that_never_fires_was_silent_as_long_as_it_was_asked() -> None:
    """The last question that was answered no bounds the silence from below."""
    assert watched_by(grid(20_000, [(0, 30_000)])).detected == bounds(19_040, None)


def test_an_alarm_that_fired_before_the_fault_tells_nothing() -> None:
    """It would have been on without the fault."""
    assert watched_by(grid(20_000)).detected is None


# --- moves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "found", "verdict"),
    [
        ([], Bounds(0, 0), Verdict.MET),
        ([mark("promoted", 2000, 2100), mark("routed", 3000, 3100)], Bounds(2, 2), Verdict.MISSED),
        ([mark("routed", 940, 955)], Bounds(0, 1), Verdict.INCONCLUSIVE),
        ([mark("routed", 100, 200), mark("redundant", 3000, 3100)], Bounds(0, 0), Verdict.MET),
    ],
)
def test_moves_are_counted_from_the_fault_on(marks: list[Any], found: Bounds, verdict: Verdict) -> None:
    """Promotions and switches of traffic; one that may have come before the fault is neither met nor missed."""
    judged = only(
        samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.MOVES, 0)], more=[*marks, observed()]
    )

    assert (judged.bounds, judged.verdict) == (found, verdict)


@pytest.mark.parametrize("tells", [(), ("promoted",), ("routed", "detected")])
def test_that_nothing_moves_needs_somebody_who_looked(tells: tuple[str, ...]) -> None:
    """Nobody who would have told of both: inconclusive, not 0."""
    more = [observed(20_000, *tells)] if tells else []
    judged = only(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.MOVES, 0)], more=more)

    assert (judged.bounds, judged.verdict, judged.reason) == (None, Verdict.INCONCLUSIVE, Reason.NOT_MEASURED)


def test_the_same_promotion_seen_twice_is_one() -> None:
    """The lab's mark and the direct probe tell of one promotion."""
    direct = [
        msgspec.structs.replace(s, value=0.0 if s.planned < 3000 * MS else 1.0, served_by="west")
        if s.outcome is Outcome.OK
        else s
        for s in grid(20_000)
    ]
    world = World(
        samples={"reads": grid(20_000, DOWN_5S), "direct": direct}, more=[mark("promoted", 2900, 3050), observed()]
    )
    history = world.history()
    first, *rest = history.events
    probes = tuple(
        msgspec.structs.replace(probe, shows="promoted") if probe.name == "direct" else probe
        for probe in history.plan.probes
    )
    plan = msgspec.structs.replace(history.plan, judged=("reads",), observed=("direct",), probes=probes)
    found = measure(History((msgspec.structs.replace(first, plan=plan), *rest)))

    assert [phase.name for phase in found.phases if phase.name == "promoted"] == ["promoted", "promoted"]
    assert found.moves == Bounds(1, 1)
    assert isinstance(probes[0], Probe)
