"""What repeated runs prove, and when a run is worse than those before it."""

from __future__ import annotations

from math import comb, log
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.model import MILLISECOND, Bounds
from drill.trend import Shift, cusum, far_worse, middle, proved, quantile_bound, runs_needed


def exactly(seconds: float) -> Bounds:
    return Bounds(round(seconds * 1000) * MILLISECOND, round(seconds * 1000) * MILLISECOND)


# --- what n runs prove -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "share"),
    [(1, 0.05), (3, 0.37), (5, 0.55), (10, 0.74), (14, 0.81), (20, 0.86), (29, 0.90), (59, 0.95), (299, 0.99)],
)
def test_clean_runs_prove_no_more_than_they_can(runs: int, share: float) -> None:
    """One clean run proves a twentieth."""
    assert round(proved(runs, runs), 2) == share
    assert proved(runs, runs) ** runs == pytest.approx(0.05)


@pytest.mark.parametrize(("runs", "met", "share"), [(10, 9, 0.61), (30, 29, 0.85), (10, 0, 0.0), (0, 0, 0.0)])
def test_a_miss_costs_what_it_should(runs: int, met: int, share: float) -> None:
    """By the exact binomial distribution."""
    assert round(proved(runs, met), 2) == share


@given(st.integers(1, 60).flatmap(lambda runs: st.tuples(st.just(runs), st.integers(1, runs))))
def test_were_the_share_as_low_as_the_bound_so_many_would_be_met_once_in_twenty(case: tuple[int, int]) -> None:
    """What Clopper and Pearson ask for, with every sum of the binomial written out."""
    runs, met = case
    share = proved(runs, met)

    chance = sum(comb(runs, k) * share**k * (1 - share) ** (runs - k) for k in range(met, runs + 1))
    assert chance == pytest.approx(0.05, abs=1e-9)


@given(st.integers(1, 50), st.integers(0, 50))
def test_another_met_run_never_proves_less(runs: int, met: int) -> None:
    """And another missed one never more."""
    met = min(met, runs)

    assert proved(runs + 1, met) <= proved(runs, met) <= proved(runs + 1, met + 1)


@pytest.mark.parametrize(("runs", "met"), [(3, 4), (3, -1)])
def test_more_met_runs_than_runs_are_refused(runs: int, met: int) -> None:
    """It would be a mistake of the caller."""
    with pytest.raises(ValueError, match=f"met must be from 0 to 3, not {met}"):
        proved(runs, met)


@pytest.mark.parametrize("confidence", [0, 1, 1.5])
def test_certainty_is_refused(confidence: float) -> None:
    """No number of runs gives it."""
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        proved(3, 3, confidence)


@pytest.mark.parametrize(("share", "runs"), [(0.05, 1), (0.06, 2), (0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_how_many_clean_runs_a_share_needs(share: float, runs: int) -> None:
    """59 for 95 in a hundred."""
    assert runs_needed(share) == runs


def test_a_share_that_is_just_proved_needs_no_further_run() -> None:
    """At even odds, one run proves a half."""
    assert runs_needed(0.5, 0.5) == 1


@pytest.mark.parametrize("share", [0, 1])
def test_no_number_of_runs_proves_all(share: float) -> None:
    """Nor does it need any to prove none."""
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        runs_needed(share)


# --- quantiles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "share", "rank"),
    [
        (10, 0.5, 9),
        (20, 0.5, 15),
        (5, 0.5, 5),
        (4, 0.5, None),
        (29, 0.9, 29),
        (28, 0.9, None),
        (59, 0.95, 59),
        (58, 0.95, None),
        (0, 0.5, None),
    ],
)
def test_a_quantile_is_bounded_by_one_of_the_runs_or_not_at_all(runs: int, share: float, rank: int | None) -> None:
    """The 9th of ten bounds the median; below 29 runs nothing bounds the 90th percentile."""
    uppers = list(range(runs, 0, -1))

    assert quantile_bound(uppers, share) == rank


def test_a_low_quantile_may_be_bounded_by_the_fastest_run() -> None:
    """And a bound that is just sure enough will do."""
    assert quantile_bound([5, 7], 0.01) == 5
    assert quantile_bound([7], 0.5, 0.5) == 7


# --- regressions ----------------------------------------------------------------------------------------------------


def test_small_changes_add_up() -> None:
    """Vector 20: ten runs of exactly 20.0 s, then 20.6 s each: the alarm comes with the 11th of them."""
    found = cusum([exactly(20)] * 10 + [exactly(20.6)] * 12)

    assert [shift.alarm for shift in found] == [False] * 10 + [True] * 2
    assert found[0].z == pytest.approx(0.985293)
    assert found[1].sum == pytest.approx(2 * 0.485293, abs=1e-5)


def test_a_large_change_shows_at_once() -> None:
    """Vector 20: 25.1 s after ten runs of 20.0 s, by both rules."""
    before = [exactly(20)] * 10

    assert far_worse(exactly(25.1), before)
    assert [shift.alarm for shift in cusum([*before, exactly(25.1)])] == [True]
    assert not far_worse(exactly(25), before)


def test_faster_runs_add_up_to_nothing() -> None:
    """The sum never falls below 0, so that a run of luck hides no later decline."""
    found = cusum([exactly(20)] * 10 + [exactly(10)] * 5 + [exactly(20.6)])

    assert [shift.sum for shift in found[:5]] == [0.0] * 5
    assert found[5] == Shift(pytest.approx(0.985293), pytest.approx(0.485293))


def test_half_as_long_again_shows_in_three_runs() -> None:
    """With runs that scatter by a seventh."""
    took = (20, 24, 17, 22, 18, 21, 25, 19, 20, 16)
    before = [exactly(each) for each in took]
    logs = [log(each) for each in took]

    (first,) = cusum([*before, exactly(30)])
    assert first.z == pytest.approx((log(30) - mean(logs)) / stdev(logs))
    assert [shift.alarm for shift in cusum(before + [exactly(30)] * 3)] == [False, False, True]


def test_the_sum_must_be_above_the_alarm() -> None:
    """Exactly at it is not yet one."""
    assert [Shift(0, 5.0).alarm, Shift(0, 5.000001).alarm] == [False, True]


def test_the_midpoint_is_followed_and_the_bounds_are_compared() -> None:
    """Wide bounds that reach far down are no regression, however late their middle."""
    before = [Bounds(18, 20)] * 5

    assert middle(Bounds(18, 21)) == 19.5
    assert not far_worse(Bounds(25, 90), before)
    assert far_worse(Bounds(26, 26), before)


def test_an_outlier_needs_five_runs_before_it() -> None:
    """The worst of all of them counts."""
    assert not far_worse(exactly(100), [exactly(20)] * 4)
    assert far_worse(exactly(100), [exactly(20)] * 5)
    assert not far_worse(exactly(100), [*[exactly(20)] * 4, exactly(80)])


def test_nothing_is_learnt_from_fewer_than_ten_runs() -> None:
    """Ten make the baseline, the eleventh is the first to be judged."""
    assert cusum([exactly(20)] * 10) == cusum([]) == []
    assert len(cusum([exactly(20)] * 11)) == 1
    with pytest.raises(ValueError, match="at least 10 runs, not 9"):
        cusum([exactly(20)] * 20, baseline=9)


def test_a_longer_baseline_judges_later_runs() -> None:
    """With 15 runs to learn from, five of 20 are judged."""
    assert len(cusum([exactly(20)] * 20, baseline=15)) == 5


@pytest.mark.parametrize("at", [0, 11])
def test_a_run_that_never_recovered_belongs_to_no_trend(at: int) -> None:
    """It is worse than any number: the verdict says so, not a trend."""
    runs = [exactly(20)] * 12
    runs[at] = Bounds(20, None)

    with pytest.raises(ValueError, match=r"^a run that never recovered has no upper bound: leave it out$"):
        cusum(runs)
    with pytest.raises(ValueError, match=r"^a run that never recovered has no upper bound: leave it out$"):
        far_worse(exactly(20), runs)
    with pytest.raises(ValueError, match=r"^a run that never recovered has no midpoint: leave it out$"):
        middle(runs[at])


def test_runs_of_no_time_at_all_have_a_trend_too() -> None:
    """A loss of 0 has no logarithm; a nanosecond has."""
    assert cusum([Bounds(0, 0)] * 11) == [Shift(0.0, 0.0)]
    assert cusum([Bounds(0, 0)] * 10 + [Bounds(2, 2)])[0].z == pytest.approx(log(2) / 0.03)
