"""Outages in samples: the numbered vectors of the measuring rules, exactly."""

from __future__ import annotations

import random
from math import sqrt
from statistics import pstdev

import pytest

from drill.measure import incidents, measure_probe, resolve, sustained
from drill.model import MILLISECOND, SECOND, Outcome, Parameters, Sample
from tests.measure.worlds import MS, T0, T, bounds, grid, sample, window

DOWN_5S = [(1000, 6000)]


def test_recovery_and_outage_are_bounded_by_the_samples_around_them() -> None:
    """Vector 2: down from 1 s to 6 s, the fault at 0.95 s."""
    (found,) = incidents(grid(20_000, DOWN_5S), T0, T)

    assert (found.rto, found.outage) == (bounds(4940, 5050), bounds(4900, 5100))


@pytest.mark.parametrize("hangs", [2000, 10_000])
def test_a_service_that_hangs_was_away_no_longer_than_one_that_refuses(hangs: float) -> None:
    """Vector 2: a timeout delays the verdict, it does not move the outage."""
    refused, hung = grid(20_000, DOWN_5S), grid(20_000, DOWN_5S, hangs=hangs)

    assert incidents(hung, T0, T) == incidents(refused, T0, T)


@pytest.mark.parametrize("period", [1000, 200, 100, 50])
def test_of_random_outages_the_truth_is_inside_and_bounds_are_narrow(period: int) -> None:
    """Vector 1: the truth always inside, width at most 2.2 T, sd of the midpoint's error T/√6 ± 5 %."""
    rng = random.Random(period)
    errors, jitter = [], period // 10
    parameters = Parameters(hold=5 * period * MS)
    for _ in range(5000):
        start, length = rng.uniform(3, 8) * period, rng.uniform(1.1, 5) * period
        seen = []
        for n in range(20):
            at = n * period + rng.uniform(0, jitter)
            seen.append(sample(at, Outcome.FAILED if start <= at < start + length else Outcome.OK))
        (found,) = incidents(seen, window(start, start), period * MS, parameters)
        lower, upper = found.outage.lower, found.outage.upper
        assert upper is not None
        assert lower <= length * MS <= upper
        assert upper - lower <= 2.2 * period * MS
        assert found.rto.upper is not None
        assert (
            found.rto.lower - 1 <= length * MS <= found.rto.upper + 1
        )  # the fault's instant is rounded to a nanosecond
        errors.append((lower + upper) / 2 / MS - length)

    assert pstdev(errors) == pytest.approx(period / sqrt(6), rel=0.05)


def test_a_stall_shows_as_its_length_less_the_deadline() -> None:
    """Vector 3: requests of a stall's last L are still answered in time."""
    seen = []
    for n in range(1201):
        at = n * 10
        answered = 3000 if 1000 <= at < 3000 else at + 1
        late = answered - at > 200
        seen.append(sample(at, Outcome.FAILED if late else Outcome.OK, 200 if late else answered - at))

    (found,) = incidents(seen, T0, 10 * MS, Parameters(hold=5000 * MS))

    assert found.outage == bounds(1790, 1810)


@pytest.mark.parametrize(
    ("hold", "earliest", "latest", "share"), [(5000, 18_500, 20_100, 0.95), (1000, 0, 15_000, 0.9)]
)
def test_a_short_hold_takes_a_lucky_stretch_for_recovery(hold: int, earliest: int, latest: int, share: float) -> None:
    """Vector 4: with a fifth of all requests failing, 5 s of hold find the end and 1 s does not."""
    inside = 0
    for seed in range(300):
        rng = random.Random(seed)
        seen = [
            sample(at, Outcome.FAILED if 0 <= at < 20_000 and rng.random() < 0.2 else Outcome.OK)
            for at in range(-3000, 30_001, 100)
        ]
        found = incidents(seen, window(-50, -40), T, Parameters(hold=hold * MS))[0]
        assert found.recovered is not None
        inside += earliest * MS <= found.recovered <= latest * MS

    assert inside >= share * 300


@pytest.mark.parametrize(
    ("unknown", "rto", "outage"),
    [((900, 6000), (4940, 5150), (4900, 5300)), ((1000, 5900), (4840, 5050), (4700, 5100))],
)
def test_unknown_samples_widen_the_bounds(
    unknown: tuple[float, ...], rto: tuple[float, float], outage: tuple[float, float]
) -> None:
    """Vector 5: what was never sent proves neither good nor bad."""
    (found,) = incidents(grid(20_000, DOWN_5S, unknown=unknown), T0, T)

    assert (found.rto, found.outage) == (bounds(*rto), bounds(*outage))


def test_a_good_stretch_shorter_than_the_hold_ends_nothing() -> None:
    """Vector 13: six good seconds between two failed stretches are part of one outage."""
    (found,) = incidents(grid(30_000, [(1000, 3000), (9000, 10_000)]), T0, T)

    assert (found.rto, found.outage) == (bounds(8940, 9050), bounds(8900, 9100))
    assert (found.bad_time, found.error_time, found.flaps) == (bounds(2800, 3200), 3000 * MS, 1)


def test_after_a_recovery_the_search_goes_on() -> None:
    """Vector 14: two outages are listed, and the recovery time lasts until the second is over."""
    found = measure_probe("reads", grid(40_000, [(1000, 3000), (15_000, 16_000)]), T0, T)

    assert [incident.rto for incident in found.incidents] == [bounds(1940, 2050), bounds(14_940, 15_050)]
    assert (found.rto, found.outage) == (bounds(14_940, 15_050), bounds(14_900, 15_100))
    assert (found.bad_time, found.flaps) == (bounds(2800, 3200), 1)


def test_without_recovery_there_is_no_upper_bound() -> None:
    """Vector 15: down to the end."""
    (found,) = incidents(grid(20_000, [(1000, 99_999)]), T0, T)

    assert (found.rto, found.outage, found.bad_time) == (
        bounds(19_040, None),
        bounds(19_000, None),
        bounds(19_000, None),
    )


def test_a_recovery_that_was_not_held_to_the_end_is_none() -> None:
    """Vector 15: good again for only six seconds when the run ends."""
    (found,) = incidents(grid(12_000, DOWN_5S), T0, T)

    assert (found.rto, found.outage, found.recovered) == (bounds(4940, None), bounds(4900, None), None)


@pytest.mark.parametrize(("end", "back"), [(15_900, False), (16_000, True)])
def test_the_hold_needs_a_sample_at_its_end(end: float, back: bool) -> None:
    """Ten seconds of hold after 6.0 s end with the sample sent at 16.0 s."""
    (found,) = incidents(grid(end, DOWN_5S), T0, T)

    assert (found.recovered is not None) is back


def test_what_came_back_only_after_the_undo_never_recovered() -> None:
    """Vector 16: the undo began at 8.0 s, service was back at 8.2 s."""
    found = measure_probe("reads", grid(30_000, [(1000, 8200)]), T0, T, undone=[8000 * MS])

    assert (found.rto, found.after_undo, found.failback) == (bounds(6940, None), True, None)


def test_what_was_in_flight_when_the_undo_began_proves_nothing() -> None:
    """A request that hangs into the undo and is answered by it was not answered by the system itself."""
    seen = [*grid(7800, [(1000, 8200)]), sample(7900, took=300), *grid(30_000, start=8000)]

    found = measure_probe("reads", seen, T0, T, undone=[8000 * MS])

    assert (found.rto, found.after_undo) == (bounds(7800 - 960, None), True)


@pytest.mark.parametrize(("ended", "away_since"), [(7999, 7900), (8000, 7800)])
def test_what_ended_with_the_undo_was_in_flight(ended: float, away_since: float) -> None:
    """An answer at the very instant the undo began is left out, one before it is not."""
    seen = [each for each in grid(30_000, [(1000, 8200)]) if each.planned != 7900 * MS]
    seen.append(sample(7900, Outcome.FAILED, ended - 7900))

    assert measure_probe("reads", seen, T0, T, undone=[8000 * MS]).rto == bounds(away_since - 960, None)


def test_the_undo_is_what_heals_when_it_is_under_test() -> None:
    """Without a cut, service back at 8.2 s is a recovery of 7.14 to 7.25 s."""
    found = measure_probe("reads", grid(30_000, [(1000, 8200)]), T0, T)

    assert (found.rto, found.failback) == (bounds(7140, 7250), None)


def test_the_outage_that_undoing_causes_is_failback_and_not_recovery() -> None:
    """Recovered at 6 s and held; the undo at 18 s costs another 0.5 s, its first request in flight then."""
    seen = [each for each in grid(40_000, [*DOWN_5S, (18_000, 18_500)]) if each.planned != 17_900 * MS]
    seen.append(sample(17_900, Outcome.FAILED, 150))

    found = measure_probe("reads", seen, T0, T, undone=[18_000 * MS])

    assert (found.rto, found.failback, len(found.incidents)) == (bounds(4940, 5050), bounds(500, 700), 1)


def test_failback_without_a_failed_sample_is_bounded_by_the_widest_gap() -> None:
    """Nothing seen since the undo at 18 s: any outage was shorter than one period."""
    found = measure_probe("reads", grid(30_000, DOWN_5S), T0, T, undone=[18_000 * MS])

    assert found.failback == bounds(0, 100)


def test_failback_that_was_not_watched_long_enough_has_no_upper_bound() -> None:
    """Two seconds after the undo the run ended."""
    found = measure_probe("reads", grid(20_000, DOWN_5S), T0, T, undone=[18_000 * MS])

    assert found.failback == bounds(0, None)


def test_an_earlier_undo_counts_when_service_was_away_then() -> None:
    """A first fault that only its undo healed never recovered, whatever a second fault shows."""
    seen = grid(60_000, [(1000, 8200), (30_000, 31_000)])

    found = measure_probe("reads", seen, T0, T, undone=[8000 * MS, 50_000 * MS])

    assert (found.rto, found.after_undo) == (bounds(6940, None), True)


def test_an_earlier_undo_that_found_service_well_is_part_of_the_drill() -> None:
    """Recovered from the first fault before its undo: the recovery time lasts until the second is over."""
    seen = grid(60_000, [(1000, 3000), (30_000, 31_000)])

    found = measure_probe("reads", seen, T0, T, undone=[20_000 * MS, 50_000 * MS])

    assert (found.rto, found.after_undo) == (bounds(29_940, 30_050), False)


def test_no_failed_sample_is_no_zero() -> None:
    """Vector 17: two samples missing, so any outage was shorter than the gap they leave."""
    found = measure_probe("reads", grid(20_000, missing=[1100, 1200]), T0, T)

    assert (found.rto, found.outage, found.bad_time) == (bounds(0, 300), bounds(0, 300), bounds(0, 300))
    assert (found.watched, found.gap, found.incidents) == (True, False, ())


def test_a_gap_before_the_fault_hides_no_outage_of_the_fault() -> None:
    """The widest gap counts from the last good sample before the fault."""
    found = measure_probe("reads", grid(20_000, missing=[200, 300, 400, 500]), T0, T)

    assert found.rto == bounds(0, 100)


def test_a_gap_across_the_fault_counts_whole() -> None:
    """Good at 0.7 s and at 1.3 s: up to 0.6 s of outage may hide, and that is a measuring gap."""
    found = measure_probe("reads", grid(20_000, unknown=[800, 900, 1000, 1100, 1200]), T0, T)

    assert (found.rto, found.gap) == (bounds(0, 600), True)


def test_what_was_not_watched_at_the_end_may_hide_an_outage() -> None:
    """The prober stood still for the last two seconds before the undo, or before the end."""
    stalled = grid(14_000, unknown=range(12_100, 14_100, 100))

    assert measure_probe("reads", stalled, T0, T).rto == bounds(0, 2000)
    assert measure_probe("reads", grid(20_000), T0, T, undone=[15_050 * MS]).rto == bounds(0, 100)
    assert measure_probe("reads", grid(12_000), T0, T, undone=[15_000 * MS]).rto == bounds(0, 3000)


def test_nothing_good_before_the_fault_leaves_no_upper_bound() -> None:
    """Without a last good sample nobody knows since when it is well."""
    found = measure_probe("reads", grid(20_000, start=1000), T0, T)

    assert (found.rto, found.healthy_before) == (bounds(0, None), False)


@pytest.mark.parametrize(("end", "watched"), [(10_900, False), (11_000, True)])
def test_a_service_counts_as_watched_once_the_hold_has_passed_after_the_fault(end: float, watched: bool) -> None:
    """The fault was confirmed at 0.96 s, so ten seconds end with the sample sent at 11.0 s."""
    assert measure_probe("reads", grid(end), T0, T).watched is watched


def test_a_hole_in_the_watch_is_no_watch() -> None:
    """More than a second without a decided sample while holding."""
    found = measure_probe("reads", grid(20_000, unknown=range(5000, 6100, 100)), T0, T)

    assert found.watched is False


def test_a_hole_that_begins_before_the_fault_is_a_hole_in_the_watch() -> None:
    """Nothing was decided from 0.8 s to 2.1 s, across the fault."""
    found = measure_probe("reads", grid(20_000, unknown=range(900, 2100, 100)), T0, T)

    assert found.watched is False


def test_a_request_that_this_machine_spoilt_proves_nothing() -> None:
    """It was sent, but no socket was left: neither good nor bad, in the midst of the outage and at its edges."""
    spoilt = [Sample(at * MS, at * MS, at * MS + MS, Outcome.UNKNOWN) for at in (900, 3000, 6000)]
    seen = [*grid(20_000, DOWN_5S, missing=[900, 3000, 6000]), *spoilt]

    (found,) = incidents(seen, T0, T)

    assert (found.rto, found.outage, found.flaps) == (bounds(4940, 5150), bounds(4900, 5300), 0)


def test_a_failure_that_ended_with_the_fault_is_the_faults() -> None:
    """At the very instant the command was sent."""
    seen = [each for each in grid(20_000) if each.planned != 900 * MS] + [sample(900, Outcome.FAILED, 50)]

    found = measure_probe("reads", seen, T0, T)

    assert (found.healthy_before, len(found.incidents)) == (True, 1)


def test_a_failure_that_ended_before_the_fault_is_not_the_faults() -> None:
    """Vector 18: failed at 500, ended at 600."""
    seen = [each for each in grid(20_000) if each.planned != 500 * MS] + [sample(500, Outcome.FAILED, 100)]

    found = measure_probe("reads", seen, T0, T)

    assert (found.healthy_before, found.incidents) == (False, ())


def test_a_failure_in_flight_when_the_fault_struck_is_the_faults() -> None:
    """Vector 18: sent at 900, ended at 1400."""
    seen = [each for each in grid(20_000) if each.planned != 900 * MS] + [sample(900, Outcome.FAILED, 500)]

    found = measure_probe("reads", seen, T0, T)

    assert found.healthy_before is True
    assert [incident.first_failed for incident in found.incidents] == [900 * MS]
    assert (found.rto, found.outage) == (bounds(0, 50), bounds(0, 200))


def test_a_partial_outage_needs_more_failures_than_the_onset_ratio() -> None:
    """One failure in fifty is below 5 %, five in a row are not."""
    parameters = Parameters(onset_ratio=0.05, hold=5000 * MS)
    seen = grid(40_000, [(2000, 2100), (12_000, 12_500)])

    (found,) = incidents(seen, T0, T, parameters)

    assert (found.first_failed, found.recovered) == (12_000 * MS, 12_500 * MS)


def test_a_share_that_only_reaches_the_onset_ratio_begins_nothing() -> None:
    """It must be above: 2 of 51 is not more than 2 of 51."""
    seen = grid(20_000, [(2000, 2200)])

    assert incidents(seen, T0, T, Parameters(onset_ratio=2 / 51, hold=1000 * MS)) == ()
    assert len(incidents(seen, T0, T, Parameters(onset_ratio=1.9 / 51, hold=1000 * MS))) == 1


def test_the_onset_window_ends_with_w() -> None:
    """The share is taken over [b, b+W], both ends included: 1 of 51 here, and 2 of 51 when b+W fails, too."""
    parameters = Parameters(onset_ratio=1.5 / 51, hold=1000 * MS)

    assert incidents(grid(20_000, [(2000, 2100)]), T0, T, parameters) == ()
    assert incidents(grid(20_000, [(2000, 2100), (7100, 7200)]), T0, T, parameters) == ()
    assert len(incidents(grid(20_000, [(2000, 2100), (7000, 7100)]), T0, T, parameters)) == 1


def test_a_recovery_ratio_accepts_failures_and_does_not_count_them_again() -> None:
    """One failure in the hold of a hundred samples is within 2 %, and begins no new outage."""
    seen = grid(40_000, [*DOWN_5S, (8000, 8100)])

    (found,) = incidents(seen, T0, T, Parameters(recovery_ratio=0.02))

    assert (found.last_failed, found.recovered) == (5900 * MS, 6000 * MS)


def test_the_hold_needs_enough_good_samples() -> None:
    """Half of a hundred planned samples by default; of these, 35 are good."""
    thin = [n for n in range(6100, 16_000, 100) if n % 300]

    (found,) = incidents(grid(16_000, DOWN_5S, unknown=thin), T0, T)
    (fewer,) = incidents(grid(16_000, DOWN_5S, unknown=thin), T0, T, Parameters(hold_min_ok=36))
    (enough,) = incidents(grid(16_000, DOWN_5S, unknown=thin), T0, T, Parameters(hold_min_ok=35))

    assert (found.recovered, fewer.recovered, enough.recovered) == (None, None, 6000 * MS)


def test_a_hold_with_a_hole_in_it_starts_again() -> None:
    """1.1 s without an answer while holding: the good samples before it prove nothing."""
    (found,) = incidents(grid(30_000, DOWN_5S, unknown=range(8000, 9000, 100)), T0, T)

    assert found.recovered == 9000 * MS
    assert found.gap is True


def test_less_than_the_minimum_capacity_is_no_recovery() -> None:
    """With every other sample unsent, half of the baseline's rate is back."""
    seen = grid(30_000, DOWN_5S, unknown=range(6100, 16_000, 200), start=-5000)

    (found,) = incidents(seen, T0, T, Parameters(minimum_capacity=0.9))

    assert found.recovered == 14_000 * MS  # from then on 91 of 101 are good
    assert incidents(seen, T0, T, Parameters(minimum_capacity=0.5))[0].recovered == 6000 * MS


def test_the_baselines_rate_is_that_of_its_good_samples() -> None:
    """Half of its requests failed before it settled, so that little over half the period's rate is enough."""
    before = [*grid(-100, [(-5000, -2500)], start=-5000), *grid(30_000, DOWN_5S, unknown=range(6100, 16_000, 200))]

    (found,) = incidents(before, T0, T, Parameters(minimum_capacity=0.9))
    assert found.recovered == 6400 * MS  # from then on 53 of a hundred are good, 0.9 times 35 in 5.95 s


def test_without_a_baseline_no_capacity_is_asked_for() -> None:
    """The first sample was sent with the fault, after it, or not at all before one."""
    late = grid(30_000, [(1200, 6000)], start=1000, unknown=range(6100, 16_000, 200))
    at_once = [sample(950), *late]
    sparse = Parameters(minimum_capacity=1.0, hold_min_ok=1)

    assert [incidents(seen, T0, T, sparse)[0].recovered for seen in (late, at_once)] == [6000 * MS] * 2
    assert incidents(late, None, T, sparse)[0].recovered == 6000 * MS


def test_one_sample_before_the_fault_is_a_baseline() -> None:
    """It alone: one in 50 ms is twice the rate of the probe, so that nothing is enough."""
    seen = [sample(900), *grid(30_000, [(1000, 6000)], start=1000)]

    assert incidents(seen, T0, T, Parameters(minimum_capacity=1.0))[0].recovered is None
    assert incidents([*seen, sample(950)], T0, T, Parameters(minimum_capacity=1.0))[0].recovered is None
    assert incidents(seen, T0, T, Parameters(minimum_capacity=0.5))[0].recovered == 6000 * MS


def test_wide_edges_are_flagged_as_a_measuring_gap() -> None:
    """More than three periods between the last good and the first failed sample."""
    flagged = incidents(grid(20_000, DOWN_5S, unknown=[700, 800, 900]), T0, T)[0]
    narrow = incidents(grid(20_000, DOWN_5S, unknown=[800, 900]), T0, T)[0]

    assert (flagged.gap, narrow.gap) == (True, False)


def test_the_error_ratio_counts_unknown_samples_both_ways() -> None:
    """Of 100 samples since the fault ten failed and five are unknown: 10 % to 15 %."""
    seen = grid(10_900, [(1000, 2000)], unknown=[3000, 3100, 3200, 3300, 3400])

    found = measure_probe("reads", seen, T0, T)

    assert found.error_ratio is not None
    assert (found.error_ratio.lower, found.error_ratio.upper) == (100_000, 150_000)


def test_the_error_ratio_ends_with_the_undo() -> None:
    """Ten of seventy samples failed before the undo at 8 s."""
    found = measure_probe("reads", grid(20_000, [(1000, 2000), (9000, 9500)]), T0, T, undone=[8000 * MS])

    assert found.error_ratio is not None
    assert (found.error_ratio.lower, found.error_ratio.upper) == (142_857, 142_858)


def test_first_good_is_the_first_answer_after_the_last_outage_began() -> None:
    """A flap's first good sample is not yet recovery."""
    found = measure_probe("reads", grid(30_000, [(1000, 3000), (3500, 4000)]), T0, T)

    assert (found.first_good, found.incidents[0].recovered) == (3000 * MS, 4000 * MS)


@pytest.mark.parametrize(
    ("seen", "is_so"),
    [
        (grid(16_000, DOWN_5S), True),
        (grid(15_900, DOWN_5S), False),
        (grid(11_000), True),
        (grid(10_900), False),
    ],
)
def test_sustained_service_is_back_and_held_or_never_went(seen: list[Sample], is_so: bool) -> None:
    """What a drill waits for before it goes on."""
    assert sustained(seen, T0, T) is is_so


def test_what_failed_before_the_fault_keeps_nobody_waiting() -> None:
    """A request that had failed by then was not the fault's; service was good for the hold."""
    assert sustained(grid(11_000, [(0, 100)]), T0, T) is True
    assert sustained(grid(10_600, [(0, 500)]), T0, T) is False


def test_defaults_follow_from_the_period() -> None:
    """The hold is at least 10 s and 20 periods; half of the planned samples must be good."""
    fast, slow = resolve(Parameters(), 100 * MILLISECOND), resolve(Parameters(), SECOND)

    assert (fast.hold, fast.onset_window, fast.hold_min_ok, fast.widest) == (10 * SECOND, 5 * SECOND, 50, SECOND)
    assert (slow.hold, slow.onset_window, slow.hold_min_ok, slow.widest) == (20 * SECOND, 50 * SECOND, 10, 3 * SECOND)


def test_long_runs_are_measured_in_one_pass() -> None:
    """An hour at 50 per second with an outage of a second every two minutes."""
    seen = [
        Sample(at, at, at + MS, Outcome.FAILED if at // SECOND % 120 == 60 else Outcome.OK)
        for at in range(0, 3600 * SECOND, 20 * MS)
    ]

    found = measure_probe("reads", seen, T0, 20 * MS, undone=[3560 * SECOND])

    assert (len(found.incidents), found.bad_time) == (30, bounds(30 * 980, 30 * 1020))


def test_a_service_that_fails_every_other_time_is_measured_quickly() -> None:
    """The worst case for the search: 300,000 samples, no hold anywhere."""
    seen = [Sample(at, at, at + MS, Outcome(("ok", "failed")[at // T % 2])) for at in range(0, 300_000 * T, T)]

    (found,) = incidents(seen, T0, T)

    assert (found.first_failed, found.recovered) == (1100 * MS, None)
