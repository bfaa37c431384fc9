"""What else owners promise, in the judge's words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from drill import promised
from drill.measure import measure
from drill.model import (
    SECOND,
    Bounds,
    Effect,
    History,
    Judged,
    Load,
    LoadMeasure,
    LoadStep,
    Measure,
    Measured,
    Observed,
    Outcome,
    Parameters,
    ProbeMeasure,
    Reason,
    Sample,
    Verdict,
)
from drill.verdict import judge
from tests.measure.test_load_edges import over, run
from tests.measure.worlds import MS, World, grid, mark, objective

NOTHING = Measured(t0=None, disaster=None, effect=Effect.UNKNOWN, proof="")
LOAD = LoadMeasure(processes=1, phases=())


def told(**world: Any) -> tuple[Verdict, Reason, str]:
    """What the judge says of the only objective, spaces as people type them."""
    found: Judged = judge_of(World(**world).history())
    return found.verdict, found.reason, found.explanation.replace("\u00a0", " ")


def judge_of(history: History) -> Judged:
    return judge(history, measure(history)).judged[0]


def probe(answers: int, name: str = "reads") -> ProbeMeasure:
    return ProbeMeasure(
        probe=name,
        rto=None,
        outage=None,
        bad_time=Bounds(0, 0),
        error_time=0,
        error_ratio=None,
        flaps=0,
        answers=answers,
        availability=Bounds(answers, answers),
    )


# --- why nothing was measured -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "load", "why"),
    [
        (
            Measure.DETECTED,
            None,
            "nobody who would have told of the fault watched to the end: name a probe under detection:",
        ),
        (Measure.MOVES, None, "nobody who would have told of promotions and switches of traffic watched to the end"),
        (Measure.CAPACITY, None, "the drill has no load"),
        (
            Measure.CAPACITY,
            LOAD,
            "no three whole seconds of load before the fault and after recovery can be compared",
        ),
        (Measure.AVAILABILITY, None, "no sample was planned"),
        (Measure.LATENCY_P95, None, "service was not back long enough before the undo for requests to be sent"),
    ],
)
def test_why_nothing_was_measured(about: Measure, load: LoadMeasure | None, why: str) -> None:
    """Each promise that nobody could check says what was missing."""
    assert promised.unmeasured(about, msgspec.structs.replace(NOTHING, load=load)) == why


def test_without_a_load_there_is_no_capacity() -> None:
    """Nor anything short of it."""
    assert promised.bounds(objective(Measure.CAPACITY, 1), NOTHING, []) is None
    assert promised.short(NOTHING) is None
    known = msgspec.structs.replace(NOTHING, load=LoadMeasure(processes=1, phases=(), capacity=Bounds(1, 2)))
    assert promised.bounds(objective(Measure.CAPACITY, 1), known, []) == Bounds(1, 2)


def test_everything_a_load_lacked_is_one_sentence() -> None:
    """Each shortfall after the other."""
    lacking = msgspec.structs.replace(NOTHING, load=LoadMeasure(processes=1, phases=(), short=("one thing", "another")))

    assert promised.short(lacking) == "the drill was not under the load it asks for: one thing; another"
    assert promised.short(msgspec.structs.replace(NOTHING, load=LOAD)) is None


# --- too few ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((20, 20), None),
        ((20, 19), "19 requests of b from recovery to the undo; a median latency after recovery needs 20"),
        ((1, 0), "1 request of a from recovery to the undo; a median latency after recovery needs 20"),
    ],
)
def test_a_quantile_of_too_few_says_how_many_it_needs(answers: tuple[int, int], said: str | None) -> None:
    """The first probe that has fewer is named."""
    probes = [probe(count, name) for count, name in zip(answers, "ab", strict=True)]

    assert promised.few(objective(Measure.LATENCY_P50, 1), probes) == said
    assert promised.few(objective(Measure.AVAILABILITY, 1), probes) is None


# --- verdicts in words ------------------------------------------------------------------------------------------------

AWAY = {"reads": grid(20_000, [(1000, 6000)])}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (750_000, (Verdict.MET, Reason.WITHIN_TARGET, "75.1243–75.1244 % is at or above the target of 75 %")),
        (800_000, (Verdict.MISSED, Reason.BEYOND_TARGET, "75.1243–75.1244 % is below the target of 80 %")),
        (
            751_244,
            (Verdict.INCONCLUSIVE, Reason.STRADDLES_TARGET, "75.1243–75.1244 % straddles the target of 75.1244 %"),
        ),
    ],
)
def test_a_share_is_compared_the_other_way_round(target: int, said: tuple[Verdict, Reason, str]) -> None:
    """More is better, and the sentence says so."""
    assert told(samples=AWAY, objectives=[objective(Measure.AVAILABILITY, target)]) == said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (10_000, (Verdict.MISSED, Reason.NOT_DETECTED, "nothing had told of the fault 19.03 s after it")),
        (
            30_000,
            (
                Verdict.INCONCLUSIVE,
                Reason.NOT_DETECTED,
                "nothing had told of the fault 19.03 s after it, which is within the target",
            ),
        ),
    ],
)
def test_silence_says_how_long_it_lasted(target: int, said: tuple[Verdict, Reason, str]) -> None:
    """Rounded down: it lasted at least so long."""
    silent = Observed(at=19_997 * MS, source="lab", tells=("detected",))

    assert told(samples=AWAY, objectives=[objective(Measure.DETECTED, target)], more=[silent]) == said


@pytest.mark.parametrize(("about", "share"), [(Measure.LATENCY_P95, "5"), (Measure.LATENCY_P99, "1")])
def test_without_good_answers_there_is_no_quantile(about: Measure, share: str) -> None:
    """As many may have had none as the quantile leaves out, and more."""
    flaky = [each if n % 2 else unknown(each) for n, each in enumerate(grid(60_000, [(1000, 2000)]))]
    _, reason, said = told(
        samples={"reads": flaky}, objectives=[objective(about, 1000)], parameters=Parameters(hold=2 * SECOND)
    )

    assert (reason, said) == (
        Reason.NO_GOOD_ANSWER,
        f"more than {share} % of the requests after recovery may have had no good answer",
    )


def unknown(each: Sample) -> Sample:
    return Sample(each.planned, None, None, Outcome.UNKNOWN) if each.outcome is Outcome.OK else each


@pytest.mark.parametrize(
    ("found", "target", "said"),
    [
        ((Measure.MOVES, 2), 2, (Verdict.MET, "2 is within the target of 2")),
        ((Measure.MOVES, 2), 1, (Verdict.MISSED, "2 is beyond the target of 1")),
    ],
)
def test_moves_are_counted_in_words(found: tuple[Measure, int], target: int, said: tuple[Verdict, str]) -> None:
    """A number against a number."""
    seen = Observed(at=20_000 * MS, source="lab", tells=("promoted", "routed"))
    marks = [mark("promoted", 2000, 2100), mark("routed", 3000, 3100), seen]
    verdict, _, sentence = told(samples=AWAY, objectives=[objective(found[0], target)], more=marks)

    assert (verdict, sentence) == said


def test_capacity_is_judged_unasked_when_a_minimum_is_given() -> None:
    """Once, and only under a load."""
    load = Load(steps=(LoadStep(rate=100),))
    plan = World(samples=AWAY, parameters=Parameters(minimum_capacity=0.8)).plan()
    loaded = msgspec.structs.replace(plan, load=load)
    asked = msgspec.structs.replace(loaded, objectives=(objective(Measure.CAPACITY, 900_000),))

    assert promised.unasked(plan) == []
    assert promised.unasked(loaded) == [objective(Measure.CAPACITY, 800_000)]
    assert promised.unasked(asked) == []
    assert promised.unasked(msgspec.structs.replace(loaded, parameters=Parameters())) == []
    assert run(sent=over(100, 0, 80)).capacity == Bounds(800_000, 800_000)
