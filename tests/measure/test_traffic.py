"""What the load was really like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.measure import measure
from drill.measure.traffic import band, wanted
from drill.model import (
    SECOND,
    Bounds,
    History,
    Judgement,
    Load,
    LoadBegan,
    LoadEnded,
    LoadMeasure,
    LoadStep,
    Measure,
    Parameters,
    Reason,
    Traffic,
    TrafficSecond,
    Verdict,
)
from drill.verdict import judge
from tests.measure.worlds import MS, World, grid, objective, window

# The fault comes at 10.95 s, service is away from 11 to 16 s.
DOWN = [(11_000, 16_000)]
RATE = Load(request={"url": "http://orders/"}, steps=(LoadStep(rate=100),))


def under_load(
    load: Load = RATE,
    good: Sequence[int] = (100,) * 11 + (0,) * 6 + (100,) * 13,
    bad: Sequence[int] = (0,) * 11 + (100,) * 6 + (0,) * 13,
    died: float | None = None,
    missing: Sequence[int] = (),
    **world: Any,
) -> History:
    """A run of 30 s with a load of so many good and bad answers each second."""
    seconds = [
        TrafficSecond(n * SECOND, 0, 50, ok + failed, ok, failed, ((band(2_000_000), ok),) if ok else ())
        for n, (ok, failed) in enumerate(zip(good, bad, strict=True))
        if n not in missing and (died is None or n < died)
    ]
    told = [Traffic(at=30_000 * MS, seconds=tuple(seconds), errors={"status 503": sum(bad)})]
    ends = LoadEnded(
        at=30_000 * MS if died is None else round(died * SECOND), process=0, error="killed" if died else ""
    )
    made = World(
        samples={"reads": grid(30_000, DOWN)},
        t0=window(10_950, 10_960),
        more=[LoadBegan(at=0, processes=1), *told, ends],
        **world,
    ).history()
    first, *rest = made.events
    return History((msgspec.structs.replace(first, plan=msgspec.structs.replace(made.plan, load=load)), *rest))


def of(history: History) -> LoadMeasure:
    found = measure(history).load
    assert found is not None
    return found


def verdicts(history: History) -> Judgement:
    return judge(history, measure(history))


def test_the_load_is_told_before_during_and_after() -> None:
    """Whole seconds inside each stretch, and what was sent and answered in them."""
    found = of(under_load())

    assert [(p.name, p.begin // SECOND, p.end // SECOND, p.sent, p.ok, p.failed) for p in found.phases] == [
        ("before", 0, 10, 1000, 1000, 0),
        ("during", 11, 16, 500, 0, 500),
        ("after", 16, 30, 1400, 1300, 100),
    ]
    assert found.phases[0].wanted == 1000
    assert found.short == ()
    assert found.capacity == Bounds(928571, 928572)


def test_latency_of_the_load_lies_in_its_band() -> None:
    """Answers of 2 ms are told as a band around 2 ms; none were good during the outage."""
    before, during, _ = of(under_load()).phases

    assert before.p99 is not None
    assert before.p99.upper is not None
    assert before.p99.lower <= 2_000_000 <= before.p99.upper
    assert during.p99 is None


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ({"good": (60,) * 30, "bad": (0,) * 30}, "before the fault, 60 requests were sent a second instead of 100"),
        ({"died": 14.0}, "process 1 of the load is gone: killed"),
        ({"missing": (18, 19, 20)}, "after recovery, what the load did is not known for 3 of 14 seconds"),
    ],
)
def test_a_load_that_was_not_what_was_asked_for_is_said(world: dict[str, Any], said: str) -> None:
    """Too slow, dead or silent: each is a sentence, and no objective is met."""
    history = under_load(objectives=[objective(Measure.RTO, 30_000)], **world)
    (judged,) = verdicts(history).judged

    assert said in of(history).short
    assert (judged.verdict, judged.reason) == (Verdict.INCONCLUSIVE, Reason.LOAD_SHORT)


def test_a_miss_stays_a_miss_without_the_load() -> None:
    """A target missed under less load is missed under more."""
    (judged,) = verdicts(under_load(died=14.0, objectives=[objective(Measure.RTO, 1000)])).judged

    assert judged.verdict is Verdict.MISSED


@pytest.mark.parametrize(("after", "verdict"), [(80, Verdict.MET), (79, Verdict.MISSED)])
def test_the_survivors_capacity_is_judged_when_it_is_asked_for(after: int, verdict: Verdict) -> None:
    """minimum_capacity of 80 %: with 80 good answers of 100 it is met, with 79 it is missed."""
    good = (100,) * 11 + (0,) * 5 + (after,) * 14
    bad = (0,) * 11 + (100,) * 5 + (100 - after,) * 14
    parameters = Parameters(minimum_capacity=0.8)
    found = verdicts(under_load(good=good, bad=bad, objectives=[objective(Measure.RTO, 30_000)], parameters=parameters))

    capacity = next(each for each in found.judged if each.objective.measure is Measure.CAPACITY)
    assert (capacity.verdict, capacity.objective.target) == (verdict, 800_000)


def test_capacity_of_a_stepped_load_is_that_of_what_was_asked() -> None:
    """Twice the rate after recovery, and twice the answers, is the same capacity."""
    steps = (LoadStep(rate=100, lasts=16 * SECOND), LoadStep(rate=200))
    good = (100,) * 11 + (0,) * 5 + (200,) * 14
    found = of(under_load(Load(request=RATE.request, steps=steps), good=good, bad=(0,) * 11 + (100,) * 5 + (0,) * 14))

    assert (found.capacity, found.short) == (Bounds(1_000_000, 1_000_000), ())


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 500)), min_size=1, max_size=5),
    st.lists(st.integers(0, 120), min_size=2, max_size=2, unique=True),
)
def test_what_is_wanted_adds_up(steps: list[tuple[int, int]], span: list[int]) -> None:
    """Second by second or at once, the same requests are wanted."""
    load = stepped(steps)
    lower, upper = sorted(span)
    whole, users = wanted(load, 0, lower * SECOND, upper * SECOND)
    parts = [wanted(load, 0, n * SECOND, (n + 1) * SECOND)[0] for n in range(lower, upper)]

    assert users is None
    assert whole == pytest.approx(sum(part or 0 for part in parts))


def stepped(steps: list[tuple[int, int]]) -> Load:
    return Load(steps=tuple(LoadStep(lasts=lasts * SECOND, rate=rate) for lasts, rate in steps))


def test_a_load_that_never_began_is_short() -> None:
    """A plan with a load and a journal without one."""
    history = under_load()
    events = tuple(event for event in history.events if not isinstance(event, (LoadBegan, LoadEnded, Traffic)))

    assert of(History(events)).short == ("the load was never begun",)
