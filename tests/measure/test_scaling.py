"""How long it took until there was enough capacity; the load rises at 5 s, the fault is at [950, 960] ms."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from drill.measure import measure
from drill.model import (
    SECOND,
    Bounds,
    History,
    Judged,
    Load,
    LoadBegan,
    LoadStep,
    Measure,
    Reason,
    Traffic,
    TrafficSecond,
    Verdict,
)
from drill.verdict import judge
from tests.measure.worlds import MS, World, bounds, grid, objective

UP = Load(steps=(LoadStep(rate=10, lasts=5 * SECOND), LoadStep(rate=100)))
SPIKE = Load(steps=(*UP.steps[:1], LoadStep(rate=100, lasts=10 * SECOND), LoadStep(rate=10)))
STEADY = Load(steps=(LoadStep(rate=10),))


def run(
    small: list[tuple[float, float]], load: Load | None = UP, began: float | None = 0, sends: int = 100, **world: Any
) -> History:
    """Too little capacity in the spans of *small*; no fault unless said otherwise. UP is what was sent."""
    seconds = [TrafficSecond(n * SECOND, 0, 0, rate, rate, 0) for n, rate in enumerate([10] * 5 + [sends] * 25)]
    sent = Traffic(at=30_000 * MS, seconds=tuple(seconds))
    history = World(
        samples={"reads": grid(30_000), "enough": grid(30_000, small)},
        more=[] if began is None else [LoadBegan(at=round(began * MS), processes=1), sent],
        objectives=[objective(Measure.SCALE_OUT, 10_000)],
        **{"t0": None, **world},
    ).history()
    first, *rest = history.events
    plan = msgspec.structs.replace(
        history.plan, judged=("reads",), observed=("enough",), scaling=("enough",), load=load
    )
    return History((msgspec.structs.replace(first, plan=plan), *rest))


def of(history: History) -> Judged:
    return judge(history, measure(history)).judged[0]


@pytest.mark.parametrize(
    ("load", "rise"),
    [
        (UP, (5 * SECOND, None)),
        (SPIKE, (5 * SECOND, 15 * SECOND)),
        (STEADY, None),
        (Load(tool="k6", script="load.js"), None),
        (Load(steps=(LoadStep(users=50, lasts=SECOND), LoadStep(users=3))), None),
        (
            Load(
                steps=(
                    LoadStep(users=3, lasts=2 * SECOND),
                    LoadStep(users=5, lasts=3 * SECOND),
                    LoadStep(users=9, lasts=4 * SECOND),
                    LoadStep(users=9, lasts=5 * SECOND),
                    LoadStep(users=1),
                )
            ),
            (5 * SECOND, 14 * SECOND),
        ),
    ],
)
def test_a_load_rises_to_its_highest_step(load: Load, rise: tuple[int, int | None] | None) -> None:
    """When it does, and when that is over; a load that begins with its most never rises."""
    assert load.rise == rise


@pytest.mark.parametrize(
    ("world", "found"),
    [
        # Too small from the start, enough at 8 s: the last sample that said no was sent at 7.9 s.
        ({"small": [(0, 8000)]}, bounds(2900, 3000)),
        ({"small": [(0, 8000)], "began": 1000}, bounds(1900, 2000)),
        # Enough at 8 s, and once more too little for a while: enough is what stays.
        ({"small": [(0, 8000), (9000, 11_000)]}, bounds(5900, 6000)),
        ({"small": [(0, 40_000)]}, bounds(25_000, None)),
        ({"small": [(0, 8000)], "load": SPIKE}, bounds(2900, 3000)),
        # What is given back once the load has gone is no shortage.
        ({"small": [(0, 8000), (16_000, 30_000)], "load": SPIKE}, bounds(2900, 3000)),
        ({"small": [(0, 20_000)], "load": SPIKE}, bounds(9900, None)),
        # Enough before the load rose: nothing had to grow.
        ({"small": [(0, 4000)]}, None),
        ({"small": [(0, 8000)], "began": None}, None),
        ({"small": [(0, 8000)], "load": STEADY}, None),
        ({"small": [(0, 8000)], "load": None, "began": None}, None),
    ],
)
def test_from_the_rise_of_the_load_until_it_is_enough(world: dict[str, Any], found: Bounds | None) -> None:
    """Bounds by the probe's period; None when nobody saw too little after the load rose."""
    assert measure(run(**world)).scale_out == found


def test_without_a_rise_the_fault_is_what_must_be_made_up_for() -> None:
    """A zone is gone, and what is left has to grow."""
    history = run([(1000, 8000)], load=STEADY, t0=World().t0)

    assert measure(history).scale_out == bounds(6940, 7050)
    assert measure(run([(1000, 8000)], load=STEADY, t0=World().t0, undo=7000)).scale_out == bounds(5940, None)


@pytest.mark.parametrize(
    ("small", "verdict", "reason", "sentence"),
    [
        ([(0, 8000)], Verdict.MET, Reason.WITHIN_TARGET, "2.9–3.0 s is within the target of 10 s"),
        ([(0, 18_000)], Verdict.MISSED, Reason.BEYOND_TARGET, "12.9–13.0 s is beyond the target of 10 s"),
        (
            [(0, 40_000)],
            Verdict.MISSED,
            Reason.NEVER_RECOVERED,
            "there was not enough capacity 25 s after it was needed",
        ),
        (
            [],
            Verdict.INCONCLUSIVE,
            Reason.NOT_MEASURED,
            "nobody saw too little capacity after the load rose, or the fault: name a probe under scaling:",
        ),
    ],
)
def test_a_drill_without_a_fault_can_be_met(
    small: list[tuple[float, float]], verdict: Verdict, reason: Reason, sentence: str
) -> None:
    """The rising load is what the system has to bear."""
    found = of(run(small))

    assert (found.verdict, found.reason, found.explanation.replace("\u00a0", " ")) == (verdict, reason, sentence)


def test_capacity_for_a_smaller_load_than_was_asked_for_is_not_enough() -> None:
    """The load never rose as far as the drill says."""
    found = of(run([(0, 8000)], sends=80))

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.LOAD_SHORT)
    assert found.explanation == (
        "the drill was not under the load it asks for: "
        "in the whole drill, 68.33 requests were sent a second instead of 85"
    )


def test_a_machine_that_slept_cannot_say_how_long_it_took() -> None:
    """As of every other duration."""
    found = of(run([(0, 8000)], boot_jump=5000))

    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.CLOCK_UNBOUNDED)
