"""Arithmetic of bounds."""

from __future__ import annotations

import pytest

from drill.measure import between, combine, default_deadline, default_period, split_brain, total, vantage
from drill.model import MILLISECOND, SECOND, Bounds
from tests.measure.worlds import bounds, window

VANTAGES = [bounds(4000, 6000), bounds(5000, 5500), bounds(9000, 10_000)]


@pytest.mark.parametrize(("k", "seen"), [(1, bounds(4000, 5500)), (2, bounds(5000, 6000)), (3, bounds(9000, 10_000))])
def test_vantage_points_are_counted_from_the_fastest(k: int, seen: Bounds) -> None:
    """Vector 19: any, two of three, all; in whatever order they are given."""
    assert vantage(k, VANTAGES) == seen
    assert vantage(k, VANTAGES[::-1]) == seen


def test_a_vantage_point_that_never_saw_recovery_is_later_than_any() -> None:
    """Two of three were back; the third was not."""
    seen = [bounds(1000, None), bounds(4000, 5000), bounds(2000, 3000)]

    assert (vantage(2, seen), vantage(3, seen)) == (bounds(2000, 5000), bounds(4000, None))


@pytest.mark.parametrize("k", [0, 4])
def test_more_vantage_points_than_there_are_cannot_agree(k: int) -> None:
    """k is from 1 to the number of vantage points."""
    with pytest.raises(ValueError, match=f"k must be from 1 to 3, not {k}"):
        vantage(k, VANTAGES)


def test_several_probes_are_back_when_all_are() -> None:
    """The largest lower and the largest upper; None wins, and what was not measured makes all of it so."""
    assert combine([bounds(4, 9), bounds(5, 6)]) == bounds(5, 9)
    assert combine([bounds(4, 9), bounds(5, None)]) == bounds(5, None)
    assert combine([bounds(4, 9), None]) is None
    assert combine([]) is None


def test_counts_of_several_ledgers_add_up() -> None:
    """One without an upper bound leaves none."""
    assert total([Bounds(1, 2), Bounds(3, 3)]) == Bounds(4, 5)
    assert total([Bounds(1, 2), Bounds(3, None)]) == Bounds(4, None)
    assert total([Bounds(1, 2), None]) is None
    assert total([]) is None


def test_from_one_instant_to_another() -> None:
    """Never below 0, even when the two overlap or come in the other order."""
    assert between(window(950, 960), window(5900, 6000)) == bounds(4940, 5050)
    assert between(window(950, 960), window(955, 970)) == bounds(0, 20)
    assert between(window(950, 960), window(100, 200)) == bounds(0, 0)


def test_two_servers_that_acknowledge_at_once_overlap() -> None:
    """Vector 10: the old one until 991, the new one from 705."""
    old = [window(10 * i, 10 * i + 1) for i in range(100)]
    new = [window(705 + 10 * i, 706 + 10 * i) for i in range(100)]

    assert split_brain(old, new) == bounds(284, 286)
    assert split_brain(old[:70], new) == bounds(0, 0)
    assert split_brain(old, []) == bounds(0, 0)


@pytest.mark.parametrize(
    ("rto", "period", "deadline"), [(1, 50, 100), (5, 100, 250), (30, 600, 1000), (600, 1000, 1000)]
)
def test_periods_and_deadlines_follow_from_the_target(rto: int, period: int, deadline: int) -> None:
    """A fiftieth of it, 50 ms to 1 s; a twentieth, 100 ms to 1 s."""
    assert default_period(rto * SECOND) == period * MILLISECOND
    assert default_deadline(rto * SECOND) == deadline * MILLISECOND


def test_defaults_are_whole_nanoseconds() -> None:
    """Of a target that no fiftieth divides."""
    found = default_period(30 * SECOND + 1), default_deadline(10 * SECOND + 1)

    assert found == (600 * MILLISECOND, 500 * MILLISECOND)
    assert [type(each) for each in found] == [int, int]
