"""What is told while samples come is what all of them together tell."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from drill.measure import sustained
from drill.measure.ongoing import Ongoing
from drill.model import Outcome, Parameters, Sample, Window
from tests.measure.worlds import MS, T

LATE = 60 * MS  # no sample is sent later than this after it was planned, nor answered later than
ANSWER = 300 * MS

parameters = st.builds(
    Parameters,
    hold=st.sampled_from([500 * MS, 1_000 * MS]),
    onset_ratio=st.sampled_from([0.0, 0.0, 0.3]),
    onset_window=st.sampled_from([None, 300 * MS]),
    recovery_ratio=st.sampled_from([0.0, 0.0, 0.1]),
    hold_min_ok=st.sampled_from([None, 3]),
    minimum_capacity=st.sampled_from([None, None, 0.8]),
)
# Stretches of one sort: good, bad, mixed, unknown, nothing sent at all.
stretches = st.lists(st.tuples(st.sampled_from("gggbbmu-"), st.integers(1, 25)), min_size=1, max_size=12)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """A probe's samples in the order they ended."""
    found = []
    slot = 0
    for sort, length in draw(stretches):
        for _ in range(length):
            slot += 1
            if sort == "-":
                continue
            bad = sort == "b" or (sort == "m" and draw(st.booleans()))
            outcome = Outcome.UNKNOWN if sort == "u" else Outcome.FAILED if bad else Outcome.OK
            sent = slot * T + draw(st.integers(0, LATE // MS)) * MS
            found.append(Sample(slot * T, sent, sent + draw(st.integers(0, ANSWER // MS)) * MS, outcome))
    return sorted(found, key=lambda each: each.ended or 0)


def answers(
    found: Sequence[Sample], t0: Window, rules: Parameters, fewest: int
) -> tuple[list[tuple[int, bool]], list[tuple[int, bool]]]:
    """When asked after each sample: what is told while they come, and what all so far tell."""
    ongoing = Ongoing(t0, T, rules, LATE + ANSWER, fewest=fewest)
    told, meant = [], []
    for n, each in enumerate(found, 1):
        ongoing.add([each])
        settled = (each.ended or 0) - LATE - ANSWER
        told.append((settled, ongoing.back(settled)))
        meant.append((settled, sustained([s for s in found[:n] if s.planned <= settled], t0, T, rules)))
    return told, meant


@given(samples(), st.integers(0, 60), st.integers(0, 400), parameters, st.sampled_from([2, 20]))
@settings(max_examples=150, deadline=None)
def test_what_was_let_go_changes_no_answer(
    found: list[Sample], fault: int, lasting: int, rules: Parameters, fewest: int
) -> None:
    """However outages and gaps follow each other: asked at any time, the answer is that of every sample so far."""
    t0 = Window(fault * T, fault * T + lasting * MS)

    told, meant = answers(found, t0, rules, fewest)

    assert told == meant


def test_what_is_kept_does_not_grow() -> None:
    """After hours of good answers, of an outage, and of good answers again, a few seconds are kept."""
    ongoing = Ongoing(Window(0, MS), T, Parameters(hold=1_000 * MS), LATE + ANSWER, fewest=100)
    most = 0
    for slot in range(30_000):
        outcome = Outcome.FAILED if 10_000 <= slot < 20_000 else Outcome.OK
        ongoing.add([Sample(slot * T, slot * T, slot * T + MS, outcome)])
        most = max(most, len(ongoing))

    assert most <= 250
    assert ongoing.back(30_000 * T)
