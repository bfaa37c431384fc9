"""The edges of alarms, moves and latency: instants that fall together, and samples that prove nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from drill.measure import measure
from drill.measure.promises import latency, needed
from drill.model import Bounds, History, Measure, Measured, Observed, Outcome, Phase, Sample, Window
from tests.measure.worlds import MS, T0, World, grid, mark, sample, window

DOWN = [(1000, 3000)]
NO, YES, UNKNOWN = Outcome.FAILED, Outcome.OK, Outcome.UNKNOWN


def watched(alarm: Sequence[Sample], t0: Window | None = T0, **world: object) -> Measured:
    """A run with a probe of detection."""
    history = World(samples={"reads": grid(20_000, DOWN), "alarm": list(alarm)}, t0=t0, **world).history()  # type: ignore[arg-type]
    first, *rest = history.events
    plan = msgspec.structs.replace(history.plan, judged=("reads",), detection=("alarm",))
    return measure(History((msgspec.structs.replace(first, plan=plan), *rest)))


def alarms(found: Measured) -> list[Phase]:
    return [phase for phase in found.phases if phase.name == "detected"]


# --- latency ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "requests"), [(Measure.LATENCY_P50, 20), (Measure.LATENCY_P95, 20), (Measure.LATENCY_P99, 100)]
)
def test_a_quantile_needs_more_than_a_few(measured: Measure, requests: int) -> None:
    """One beyond it at least, and never fewer than twenty in all."""
    assert needed(measured) == requests


def test_without_recovery_or_requests_there_is_no_latency() -> None:
    """Of no request at all."""
    asked = [Sample(100, 100, 101, YES)]

    assert latency(asked, None, None, 10) == ({}, 0)
    assert latency(asked, 101, None, 10) == ({}, 0)
    assert latency(asked, 0, 110, 10) == ({}, 0)
    assert latency(asked, 100, 111, 10)[1] == 1


def test_a_request_belongs_where_it_was_sent() -> None:
    """Planned before recovery and sent after it, it counts; planned before the end and sent at it, it does not."""
    late = [Sample(90, 100, 105, YES), Sample(150, 200, 201, YES)]
    found, count = latency(late, 100, 210, 10)

    assert (found["latency_p50"], count) == (Bounds(5, 15), 1)


def test_an_unknown_request_may_have_been_quick() -> None:
    """It lowers no upper bound and raises no lower one, and is not counted as asked."""
    found, count = latency([Sample(100, None, None, UNKNOWN)], 0, None, 10)

    assert (found["latency_p99"], count) == (Bounds(0, None), 0)


def test_the_rank_is_exact_among_many() -> None:
    """Half of 2,002 is the 1,001st."""
    many = [Sample(n, n, n + (10 if n < 1000 else 20), YES) for n in range(2002)]

    assert latency(many, 0, None, 100)[0]["latency_p50"] == Bounds(20, 20)


# --- alarms -----------------------------------------------------------------------------------------------------------


def test_an_alarm_is_told_with_who_told_it() -> None:
    """From the last question that was answered no to the first that was answered yes."""
    found = watched(grid(20_000, [(0, 5000)]))

    assert alarms(found) == [Phase(name="detected", window=window(4900, 5001), source="alarm")]


def test_what_was_not_known_was_not_silence() -> None:
    """An unknown answer proves neither that the alarm had fired nor that it had not."""
    odd = [sample(100, NO), sample(2000, NO), Sample(3000 * MS, 3000 * MS, 3001 * MS, UNKNOWN), sample(4000)]

    assert alarms(watched(odd)) == [Phase(name="detected", window=window(2000, 4001), source="alarm")]
    assert watched([sample(500, UNKNOWN)]).detected is None


def test_without_a_fault_nothing_is_detected() -> None:
    """An alarm of a run that broke nothing is not about anything."""
    found = watched(grid(20_000, [(0, 5000)]), t0=None)

    assert (alarms(found), found.detected) == ([], None)


def test_an_answer_that_arrives_with_the_fault_may_be_about_it() -> None:
    """Ended at the very instant at which the command was sent."""
    on_time = [sample(500, NO), Sample(949 * MS, 949 * MS, 950 * MS, YES)]

    assert alarms(watched(on_time)) == [Phase(name="detected", window=window(950, 950), source="alarm")]


def test_an_alarm_that_had_come_and_gone_can_come_again() -> None:
    """What counts is what it said last before the fault."""
    before = [sample(100, NO), sample(300), sample(500, NO)]

    assert alarms(watched([*before, sample(2000)])) == [
        Phase(name="detected", window=Window(T0.lower, 2001 * MS), source="alarm")
    ]


def test_a_mark_that_ends_with_the_fault_may_be_about_it() -> None:
    """It cannot have taken any time."""
    told = Observed(at=20_000 * MS, source="lab", tells=("detected",))

    assert watched([], more=[mark("detected", 900, 950), told]).detected == Bounds(0, 0)


def test_silence_that_ended_with_the_fault_is_of_no_length() -> None:
    """Whoever would have told left while the fault was being made."""
    left = Observed(at=955 * MS, source="lab", tells=("detected",))

    assert watched([], more=[left]).detected == Bounds(0, None)


# --- moves ------------------------------------------------------------------------------------------------------------


def direct(takes: Sequence[tuple[float, float]], asked: Sequence[float], *, by: str = "west") -> list[Sample]:
    """A stream straight to one server, which takes writes in the spans of *takes*."""
    return [
        Sample(
            round(at * MS),
            round(at * MS),
            round(at * MS) + MS,
            YES,
            "",
            by,
            value=1.0 if any(x <= at < y for x, y in takes) else 0.0,
        )
        for at in asked
    ]


def moved(promoted: list[Sample], routed: list[Sample], more: Sequence[object] = ()) -> Bounds | None:
    """Moves of a run whose only witnesses are two probes, but for *more*."""
    world = World(samples={"reads": grid(20_000, DOWN), "promoted": promoted, "routed": routed}, more=more)  # type: ignore[arg-type]
    history = world.history()
    first, *rest = history.events
    probes = tuple(
        msgspec.structs.replace(probe, shows=probe.name if probe.name != "reads" else "")
        for probe in history.plan.probes
    )
    plan = msgspec.structs.replace(history.plan, judged=("reads",), probes=probes)
    return measure(History((msgspec.structs.replace(first, plan=plan), *rest))).moves


EVERY = range(0, 20_000, 100)


def test_probes_alone_can_tell_that_nothing_moved() -> None:
    """They were answered before the fault and after it, and saw one server do everything."""
    assert moved(direct([(0, 20_000)], EVERY), direct([], EVERY)) == Bounds(0, 0)


def test_moves_that_only_probes_saw_are_counted() -> None:
    """A promotion that nobody marked is one all the same."""
    east = direct([], range(0, 5000, 100), by="east")
    west = direct([], range(5000, 20_000, 100), by="west")

    assert moved(direct([(3000, 20_000)], EVERY), [*east, *west]) == Bounds(2, 2)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (EVERY, Bounds(0, 0)),
        ((), None),
        ((100, 300, 940), None),
        ((2000, 3000), None),
        # Good answers at the very ends of the fault were given during it.
        ((950, 3000), None),
        ((949, 960), None),
        ((949, 961), Bounds(0, 0)),
    ],
)
def test_only_who_looked_before_and_after_can_say_that_nothing_moved(
    asked: Sequence[float], found: Bounds | None
) -> None:
    """An answer before the fault and one after it, from each of the two witnesses."""
    assert moved(direct([], EVERY), direct([], asked)) == found
    assert moved(direct([], asked), direct([], EVERY)) == found


def test_a_witness_that_was_never_answered_saw_nothing() -> None:
    """Failed questions and unknown ones on both sides of the fault are no view of it."""
    failed = [sample(at, NO) for at in (500, 2000)]
    unsent = [Sample(at * MS, None, None, UNKNOWN) for at in (500, 2000)]

    assert moved(direct([], EVERY), failed) is None
    assert moved(direct([], EVERY), unsent) is None


@pytest.mark.parametrize(
    ("lower", "upper", "found"), [(960, 1000, (1, 1)), (959, 1000, (0, 1)), (900, 950, (0, 1)), (900, 949, (0, 0))]
)
def test_a_move_at_the_edge_of_the_fault_may_be_its_own(lower: float, upper: float, found: tuple[int, int]) -> None:
    """Surely after it from its upper end on; possibly after it until its lower end."""
    told = Observed(at=20_000 * MS, source="lab", tells=("promoted", "routed"))

    assert moved([], [], more=[mark("promoted", lower, upper), told]) == Bounds(*found)
