"""A cold cache: how long until the hit ratio is back, and what the origin bears meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from drill.measure.cache import amplification, answers, baseline_ratio, cold_cache, cold_spells
from drill.model import Bounds, Outcome, Sample
from tests.measure.worlds import MS, T0, T, bounds, window

HOLD = 5000 * MS


def asked(end: int, hit: Callable[[int], bool | None], start: int = 0, every: int = 100) -> list[Sample]:
    """One request every 100 ms that says hit or miss, or nothing (None: it failed)."""
    found = []
    for at in range(start, end + 1, every):
        told = hit(at)
        outcome = Outcome.FAILED if told is None else Outcome.OK
        found.append(Sample(at * MS, at * MS, (at + 1) * MS, outcome, value=None if told is None else float(told)))
    return found


def test_a_flushed_cache_is_cold_until_its_hits_are_back() -> None:
    """Misses from 1.0 s to 2.9 s: cold until 3.0 s at the latest, from a fault at [950, 960] ms."""
    samples = asked(20_000, lambda at: not 1000 <= at < 3000)

    assert cold_cache(samples, T0, T, HOLD) == bounds(2900 - 960, 3000 - 950)


def test_a_ratio_of_nine_tenths_of_the_baseline_is_warm() -> None:
    """Half of all requests hit before the fault: 45 in a hundred will do, 44 will not."""
    before = asked(9900, lambda at: at // 100 % 2 == 0)
    t0 = window(9950, 9960)

    def after(hits: int) -> Bounds | None:
        # A second of misses, then a share of hits, spread evenly.
        return cold_cache(
            [
                *before,
                *asked(60_000, lambda at: at >= 11_000 and (at // 100) * hits % 100 < hits, start=10_000),
            ],
            t0,
            T,
            20_000 * MS,
        )

    warm, cold = after(46), after(40)
    assert warm is not None
    assert warm.upper is not None
    assert warm.upper < 2000 * MS
    assert cold is not None
    assert cold.upper is None


def test_a_few_misses_are_no_cold_cache() -> None:
    """Three of 51 requests are under a tenth; a colder spell shorter than the hold might not have shown."""
    samples = asked(20_000, lambda at: at not in (1000, 1500, 2000))

    assert cold_cache(samples, T0, T, HOLD) == Bounds(0, HOLD)
    assert cold_spells(samples, T0, T, HOLD) == ()


def test_a_cache_that_stays_cold_was_never_warm_again() -> None:
    """Every request misses from the fault on."""
    assert cold_cache(asked(20_000, lambda at: at < 1000), T0, T, HOLD) == bounds(20_000 - 960, None)


def test_what_the_undo_cools_again_is_not_the_faults() -> None:
    """Cold from 1.0 to 2.0 s; the undo at 10 s flushes it once more, for four seconds."""
    samples = asked(30_000, lambda at: not (1000 <= at < 2000 or 10_100 <= at < 14_000))

    assert cold_cache(samples, T0, T, HOLD, 10_000 * MS) == bounds(1900 - 960, 2000 - 950)
    assert cold_cache(samples, T0, T, HOLD) == bounds(13_900 - 960, 14_000 - 950)


def test_answers_that_never_came_tell_nothing_of_the_cache() -> None:
    """Requests fail from 1.0 to 1.9 s, then miss to 2.9 s: what was between is not measured."""
    samples = asked(20_000, lambda at: None if 1000 <= at < 2000 else at < 1000 or at >= 3000)

    assert cold_cache(samples, T0, T, HOLD) == bounds(2900 - 960, 3000 - 950)


@pytest.mark.parametrize(
    "samples",
    [
        asked(20_000, lambda at: at >= 1000),
        asked(20_000, lambda at: None),
        asked(20_000, lambda at: True, start=1000),
        asked(2000, lambda at: True),
        [],
    ],
    ids=["never a hit before", "no answer tells", "no baseline", "not watched for the hold", "no samples"],
)
def test_without_a_warm_baseline_and_a_watch_nothing_is_measured(samples: list[Sample]) -> None:
    """Never 0."""
    assert cold_cache(samples, T0, T, HOLD) is None


def test_the_baseline_is_what_was_over_before_the_fault() -> None:
    """Of five hits and misses, four had been answered."""
    samples = [
        Sample(at * MS, at * MS, (at + 1) * MS, Outcome.OK, value=value)
        for at, value in ((0, 1.0), (100, 1.0), (200, 0.0), (300, 1.0), (300, 7.0), (949, 0.0))
    ]

    assert baseline_ratio(samples, T0) == 0.75
    assert baseline_ratio(samples, window(951, 952)) == 0.6


def test_the_origin_bears_what_the_cache_does_not() -> None:
    """One miss in ten before, every request for a second after: ten times the load."""
    samples = asked(20_000, lambda at: at // 100 % 10 != 0 if at < 10_000 or at >= 11_000 else False)

    assert amplification(samples, window(9950, 9960), 1000 * MS) == pytest.approx(10)
    assert amplification(samples, window(9950, 9960), 2000 * MS) == pytest.approx(5.5)


def test_load_that_stays_as_it_was_is_one_time_the_baseline() -> None:
    """Over windows of ten requests, one of which misses."""
    samples = asked(20_000, lambda at: at // 100 % 10 != 0)

    assert amplification(samples, window(9950, 9960), 1000 * MS) == pytest.approx(1)


@pytest.mark.parametrize(
    "samples",
    [
        asked(20_000, lambda at: at < 10_000),
        asked(20_000, lambda at: None),
        asked(10_500, lambda at: at // 100 % 10 != 0),
        [],
    ],
    ids=["no miss before", "nothing told", "fewer than ten since", "no samples"],
)
def test_no_multiple_of_nothing_is_a_number(samples: list[Sample]) -> None:
    """Without a load before, or without one after, the amplification is not known."""
    assert amplification(samples, window(9950, 9960), 1000 * MS) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_true_cold_spell_is_found_within_its_blur(seed: int) -> None:
    """Hits at 80 % before, 10 % while cold, 80 % after; 400 requests in the hold find the end to a fifth of it."""
    rng = random.Random(seed)
    warm_at = 1000 + rng.randrange(3000, 8000)
    samples = asked(30_000, lambda at: rng.random() < (0.1 if 1000 <= at < warm_at else 0.8), start=-9000, every=25)
    found = cold_cache(samples, T0, 25 * MS, 10_000 * MS)

    assert found is not None
    assert found.upper is not None
    assert abs(found.upper / MS + 950 - warm_at) < 2000


def test_answers_keep_their_instants() -> None:
    """A hit is ok, a miss failed; anything else, or nothing, is unknown."""
    told = [Sample(5, 6, 7, Outcome.OK, value=value) for value in (1.0, 0.0, None, -1.0, 0.5)]

    assert answers(told) == [
        Sample(5, 6, 7, outcome)
        for outcome in (Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.UNKNOWN)
    ]


def test_a_spell_that_began_with_the_undo_is_the_undos() -> None:
    """Misses from 10.0 s on, when undoing began; and from just before it, answered before it."""
    samples = asked(30_000, lambda at: not 10_000 <= at < 14_000)

    assert cold_spells(samples, T0, T, HOLD, 10_000 * MS) == ()
    assert len(cold_spells(samples, T0, T, HOLD, 10_002 * MS)) == 1


@pytest.mark.parametrize("warm", [10_200, 9500])
def test_a_cache_that_only_the_undo_warmed_never_was_warm_again(warm: int) -> None:
    """Cold from 1.0 s on, and undone at 10 s: what came after that, or too shortly before, proves no recovery."""
    samples = asked(30_000, lambda at: not 1000 <= at < warm)
    cold = min(warm, 10_000) - 100

    assert cold_cache(samples, T0, T, HOLD, 10_000 * MS) == bounds(cold - 960, None)
    assert cold_cache(samples, T0, T, HOLD) == bounds(warm - 100 - 960, warm - 950)


def test_half_of_the_hits_due_must_have_been_seen_for_warmth() -> None:
    """From 3.0 to 8.0 s only every third request was sent: fewer than the 23 of 50 that are needed."""

    def sparse(at: int) -> bool | None:
        if 3000 <= at < 13_000 and at // 100 % 3:
            return None
        return not 1000 <= at < 3000

    assert cold_cache(asked(30_000, sparse), T0, T, HOLD) == bounds(2900 - 960, 8700 - 950)


def test_a_watch_without_a_gap_is_needed_to_say_that_it_stayed_warm() -> None:
    """Watched for the hold of 5 s, to the end at 5.96 s."""
    assert cold_cache(asked(6000, lambda at: True), T0, T, HOLD) == Bounds(0, HOLD)
    assert cold_cache(asked(5900, lambda at: True), T0, T, HOLD) is None


def test_the_load_counts_from_the_fault_and_over_whole_windows() -> None:
    """Ten misses from the fault on, of which the first was sent with the command; none later."""
    t0 = window(10_000, 10_010)
    samples = asked(20_000, lambda at: at // 100 % 10 != 0 if at < 10_000 else at >= 11_000)

    assert amplification(samples, t0, 1000 * MS) == pytest.approx(10)
    assert amplification(samples, window(10_001, 10_010), 1000 * MS) == pytest.approx(9)


def test_a_peak_may_come_late_and_answers_that_never_came_do_not_dilute_it() -> None:
    """Five seconds after the fault a second of misses, every other request of it unanswered for two more."""

    def late(at: int) -> bool | None:
        if 15_000 <= at < 17_000 and at // 100 % 2:
            return None
        return at // 100 % 10 != 0 if at < 10_000 else not 15_000 <= at < 17_000

    assert amplification(asked(20_000, late), window(9950, 9960), 2000 * MS) == pytest.approx(10)
