from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill import wording
from drill.model import Bounds, Measure

S = 1_000_000_000
MS = 1_000_000


def plain(text: str) -> str:
    return text.replace(wording.NBSP, " ")


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (0, "0 s"),
        (400_000, "0.4 ms"),
        (1_512 * 1000, "1.5 ms"),
        (833_000, "0.83 ms"),
        (999_600_000, "1 s"),
        (59_999_000_000, "1 min"),
        (480 * MS, "480 ms"),
        (1_510 * MS, "1.51 s"),
        (30 * S, "30 s"),
        (60 * S, "1 min"),
        (125_300 * MS, "2 min 5.3 s"),
        (5400 * S, "1 h 30 min"),
    ],
)
def test_a_duration_is_said_in_the_unit_a_person_would_choose(ns: int, said: str) -> None:
    """Short times are in milliseconds, long ones in minutes, and no digit is shown that says nothing."""
    assert plain(wording.duration(ns)) == said


@pytest.mark.parametrize(
    ("found", "measure", "said"),
    [
        (Bounds(21_930 * MS, 22_050 * MS), Measure.RTO, "21.93–22.05 s"),
        (Bounds(19 * S, None), Measure.RTO, "≥ 19 s, never recovered"),
        (Bounds(19 * S, None), Measure.RPO, "≥ 19 s, upper bound not known"),
        (Bounds(0, 300 * MS), Measure.OUTAGE, "≤ 300 ms"),
        (Bounds(21_800 * MS, 22_010 * MS), Measure.RTO, "21.80–22.01 s"),
        (Bounds(900 * MS, 1_100 * MS), Measure.RPO, "0.9–1.1 s"),
        (Bounds(59 * S, 61 * S), Measure.RTO, "59 s – 1 min 1 s"),
        (Bounds(137, 137), Measure.LOST_WRITES, "137"),
        (Bounds(137, 140), Measure.LOST_WRITES, "137–140"),
        (Bounds(14_704, None), Measure.LOST_WRITES, "≥ 14 704"),
        (Bounds(0, 0), Measure.INTEGRITY, "0"),
        (Bounds(4_200, 10_000), Measure.ERROR_RATIO, "0.42–1.00 %"),
        (None, Measure.RTO, "not measured"),
    ],
)
def test_bounds_are_said_as_a_range_and_never_as_one_false_number(
    found: Bounds | None, measure: Measure, said: str
) -> None:
    """Bounds keep both ends; a missing upper end is said in words, and what was not measured is not 0."""
    assert plain(wording.bounds(found, measure)) == said


@given(lower=st.integers(1, 50 * S), width=st.integers(0, 9 * S))
def test_rounding_never_narrows_bounds(lower: int, width: int) -> None:
    """What is printed always contains what was measured."""
    found = Bounds(lower, lower + width)

    said = plain(wording.bounds(found, Measure.RTO))

    number, unit = re.fullmatch(r"([\d.–]+) (ms|s)", said).groups()  # type: ignore[union-attr]
    ends = [round(float(end) * (MS if unit == "ms" else S)) for end in number.split("–")]
    assert ends[0] <= found.lower
    assert ends[-1] >= found.lower + width


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (970 * MS, None, "+0.97 s"),
        (-10 * S, None, "−10 s"),
        (3_961 * MS, 5_966 * MS, "+3.96…5.97 s"),
        (21_950 * MS, 22 * S, "+21.95…22.00 s"),
        (-27 * MS, 24 * MS, "−0.03…+0.03 s"),
        (-100 * MS, -80 * MS, "−0.10…−0.08 s"),
    ],
)
def test_a_moment_is_counted_from_the_fault(lower: int, upper: int | None, said: str) -> None:
    """Before the fault is negative, after it positive, and a moment known only within bounds shows both."""
    assert plain(wording.moment(lower, upper)) == said


def test_ids_in_a_row_are_said_as_a_range() -> None:
    """Ids may be long; neighbours are drawn together."""
    assert wording.id_ranges([3, 4, 5, 9, 11, 12]) == "3–5, 9, 11–12"
