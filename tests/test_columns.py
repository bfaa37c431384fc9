"""Samples in columns are the samples that were put in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill import columns
from drill.errors import EnvironmentFault
from drill.journal import Journal, replay
from drill.model import Anchor, Began, Fate, History, Outcome, Plan, Sample, Samples

INSTANTS = st.integers(-10, 1 << 62)
MAYBE = st.one_of(st.none(), INSTANTS)
WORDS = st.sampled_from(["", "refused", "late", "east/1"])
SAMPLES = st.lists(
    st.builds(
        Sample,
        planned=INSTANTS,
        sent=MAYBE,
        ended=MAYBE,
        outcome=st.sampled_from(Outcome),
        detail=WORDS,
        served_by=st.one_of(st.none(), WORDS),
        id=MAYBE,
        fate=st.sampled_from([None, *Fate]),
        value=st.one_of(st.none(), st.floats(allow_nan=False)),
    ),
    max_size=30,
)


@given(SAMPLES)
def test_what_is_put_in_comes_out(samples: list[Sample]) -> None:
    """Every field of every sample, one by one, as a slice, and all in order; what there is not stays away."""
    found = columns.of(samples)

    assert list(found) == samples
    assert [found[n] for n in range(-len(samples), len(samples))] == samples * 2
    assert list(found[1:-1]) == samples[1:-1]
    assert list(found.by_plan()) == sorted(samples, key=lambda each: each.planned)
    assert len(found) == len(samples)


@given(SAMPLES)
def test_columns_count_as_samples_do(samples: list[Sample]) -> None:
    """Moments, outcomes and reasons of columns are those of the samples."""
    found = columns.of(samples)

    assert found.moments.tolist() == [each.planned if each.sent is None else each.sent for each in samples]
    for n, outcome in enumerate(columns.OUTCOMES):
        came = [each.detail for each in samples if each.outcome is outcome]
        assert found.are(n).tolist() == [each.outcome is outcome for each in samples]
        assert found.why(n) == {detail: came.count(detail) for detail in came}


def test_a_number_appears_late() -> None:
    """A probe whose first thousands of samples have neither id nor value may have them yet."""
    plain = [Sample(n, n, n + 1, Outcome.OK) for n in range(5_000)]
    told = Sample(5_000, 5_000, 5_001, Outcome.OK, "", "east/1", 7, Fate.ACKNOWLEDGED, 0.5)

    found = columns.of([*plain, told])

    assert (found[4_999], found[5_000]) == (plain[-1], told)
    assert math.isnan(found.value[0])


BEGAN = Began(
    at=0,
    run_id="r",
    plan=Plan(drill="d", title="", system="s", objectives=(), probes=(), judged=(), steps=()),
    anchor=Anchor(monotonic=0, wall=0),
)


def test_a_journal_read_back_has_the_samples_that_were_written(tmp_path: Path) -> None:
    """The same samples, count of lines and last instant as a history of the events themselves."""
    batches = [Samples(at=n + 5, probe="p", samples=(Sample(9 - n, n, n + 1, Outcome.OK),)) for n in range(9)]
    journal = Journal(tmp_path / "run")
    for event in (BEGAN, *batches):
        journal.append(event)
    journal.close()

    read, made = replay(tmp_path / "run"), History((BEGAN, *batches))

    assert (
        list(read.samples("p"))
        == list(made.samples("p"))
        == [Sample(9 - n, n, n + 1, Outcome.OK) for n in range(9)][::-1]
    )
    assert (read.lines, read.latest, read.events) == (made.lines, made.latest, (BEGAN,)) == (10, 13, (BEGAN,))
    assert list(read.samples("another")) == []


def test_a_number_of_more_than_64_bits_is_told_of(tmp_path: Path) -> None:
    """No clock of ours gives one: the journal is damaged, which is a sentence and no traceback."""
    journal = Journal(tmp_path / "run")
    for event in (BEGAN, Samples(at=1, probe="p", samples=(Sample(1 << 64, None, None, Outcome.OK),))):
        journal.append(event)
    journal.close()

    with pytest.raises(EnvironmentFault, match="too large a number"):
        replay(tmp_path / "run")
