"""The way back, the time without redundancy, and everything else measured beside the recovery itself."""

from __future__ import annotations

from typing import Any

import pytest

from drill.measure import measure, measure_probe, rto_from
from drill.measure.phases import on_secondary, unprotected, work_recovery
from drill.model import Bounds, Measured, Phase, Sample
from tests.measure.worlds import (
    AWAIT,
    INJECT,
    MS,
    RESTORE,
    T0,
    WATCH,
    T,
    World,
    bounds,
    grid,
    mark,
    read,
    settled,
    window,
    write,
    writes,
)

DOWN_5S = [(1000, 6000)]


def measured(**world: Any) -> Measured:
    return measure(World(**world).history())


def phase(name: str, lower: float, upper: float, source: str = "lab") -> Phase:
    return Phase(name=name, window=window(lower, upper), source=source)


# --- the undo -------------------------------------------------------------------------------------------------


def test_failing_back_is_measured_again_from_the_undo() -> None:
    """Recovered at 6 s; the undo at 20 s takes it away from 20.5 to 21.5 s."""
    found = measured(samples={"reads": grid(40_000, [*DOWN_5S, (20_500, 21_500)])}, undo=20_000)

    assert (found.rto, found.outage) == (bounds(4940, 5050), bounds(4900, 5100))
    assert (found.failback_rto, found.failback) == (bounds(1400, 1500), bounds(900, 1100))


def test_a_way_back_that_nobody_notices_is_shorter_than_a_period() -> None:
    """Both are [0, G], as without any outage."""
    found = measured(samples={"reads": grid(40_000, DOWN_5S)}, undo=20_000)

    assert found.failback_rto == found.failback == bounds(0, 100)


def test_a_way_back_not_watched_to_its_end_has_no_upper_bound() -> None:
    """Two seconds after the undo nobody looked any more, whether it had gone away or not."""
    still = measured(samples={"reads": grid(22_000, DOWN_5S)}, undo=20_000)
    away = measured(samples={"reads": grid(22_000, [*DOWN_5S, (20_500, 23_000)])}, undo=20_000)

    assert (still.failback_rto, still.failback) == (Bounds(0, None), Bounds(0, None))
    assert (away.failback_rto, away.failback) == (bounds(2000, None), bounds(1500, None))


@pytest.mark.parametrize(
    "world",
    [
        {},
        {"undo": 5000},
        {"undo": 20_000, "steps": (WATCH, INJECT, RESTORE, AWAIT)},
        {"undo": 41_000, "more": [mark("late", 42_000, 42_000)]},
    ],
    ids=["nothing undone", "service still away", "the undo is the recovery", "nothing sampled after it"],
)
def test_without_a_way_back_nothing_is_measured_of_it(world: dict[str, Any]) -> None:
    """None, never 0."""
    found = measured(samples={"reads": grid(40_000, DOWN_5S)}, **world)

    assert (found.failback, found.failback_rto) == (None, None)


def served(from_: int, to: int) -> list[Sample]:
    """Writes every 5 ms by id, up to *to*; those between 1 and 6 s fail."""
    return [write(i, 5 * i, 5 * i + 1) for i in range(from_, to) if not 200 <= i < 1200]


def lost(survivors: list[int], **world: Any) -> Measured:
    given = {
        "samples": {"reads": grid(40_000, DOWN_5S)},
        "ledger": served(0, 8000),
        "reads": [read(41_000, survivors), read(43_000, survivors)],
        "undo": 20_000,
    }
    return measured(**given | world)


ALL = [each.id for each in served(0, 8000) if each.id is not None]


def test_the_way_back_has_a_loss_of_its_own() -> None:
    """West's last fifty writes before the undo at 20 s are gone."""
    found = lost([id for id in ALL if not 3950 <= id < 4000])

    assert (found.failback_rpo, found.failback_lost) == (bounds(20_000 - 19_751, 20_000 - 19_750), Bounds(50, 50))
    assert (found.rpo, found.lost_writes, found.holes) == (found.failback_rpo, Bounds(50, 50), 0)


def test_a_way_back_without_a_loss_says_so_with_its_resolution() -> None:
    """The last write before the undo was sent 5 ms before it."""
    found = lost(ALL)

    assert (found.failback_rpo, found.failback_lost) == (bounds(0, 5), Bounds(0, 0))


def test_what_nobody_read_twice_may_be_lost_by_the_way_back() -> None:
    """One write was acknowledged after the first of the last two readings began."""
    found = lost(ALL, ledger=[*served(0, 8000), write(9999, 41_500, 41_501)])

    assert found.failback_lost == Bounds(0, 1)


@pytest.mark.parametrize(
    "world",
    [
        {"undo": None},
        {"undo": 5000},
        {"steps": (WATCH, INJECT, RESTORE, AWAIT)},
        {"judge_ledger": False},
        {"reads": []},
    ],
    ids=["nothing undone", "service still away", "the undo is the recovery", "not judged", "not read"],
)
def test_without_a_way_back_or_its_survivors_no_loss_is_claimed(world: dict[str, Any]) -> None:
    """None, never 0."""
    found = lost(ALL, **world)

    assert (found.failback_rpo, found.failback_lost) == (None, None)


def test_a_service_that_never_went_away_may_lose_by_the_way_back() -> None:
    """The reading at 12 s still had what the last two have no more."""
    some = [id for id in ALL if not 1300 <= id < 1400]
    found = lost(
        some,
        samples={"reads": grid(40_000)},
        reads=[read(12_000, ALL), *settled(41_000, some)],
    )

    assert found.failback_lost == Bounds(100, 100)


# --- redundancy ---------------------------------------------------------------------------------------------------


def test_time_without_redundancy_is_seen_by_its_probes() -> None:
    """Promoted between 4.0 and 4.1 s; the replica is back between 7.9 and 8.0 s."""
    found = measured(
        samples={"reads": grid(20_000, DOWN_5S)},
        redundancy={"replica": grid(20_000, [(1000, 8000)])},
        more=[mark("promoted", 500, 600), mark("promoted", 4000, 4100)],
    )

    assert found.unprotected == bounds(7900 - 4100, 8000 - 4000)


def test_without_probes_the_system_itself_may_tell_when_redundancy_was_back() -> None:
    """Its last word counts, unless it was said before the promotion."""
    told = [phase("promoted", 4000, 4100), phase("redundant", 8000, 8200)]

    assert unprotected(told, [], T0) == bounds(3900, 4200)
    assert unprotected([*told, phase("redundant", 9000, 9000)], [], T0) == bounds(4900, 5000)
    assert unprotected([phase("redundant", 3000, 3999), told[0]], [], T0) is None
    assert unprotected([phase("redundant", 3000, 4000), told[0]], [], T0) == bounds(0, 0)
    assert unprotected([told[1]], [], T0) is None


def test_time_on_the_promoted_server_ends_with_the_next_promotion() -> None:
    """Or not before the run does."""
    first = phase("promoted", 4000, 4100)

    assert on_secondary([first], T0, 30_000 * MS) == bounds(25_900, None)
    assert on_secondary([first], T0, 4050 * MS) == bounds(0, None)
    assert on_secondary([first, phase("promoted", 20_000, 20_100)], T0, 30_000 * MS) == bounds(15_900, 16_100)
    assert on_secondary([first, phase("promoted", 4100, 4200)], T0, 30_000 * MS) == bounds(25_900, None)
    assert on_secondary([phase("promoted", 100, 200)], T0, 30_000 * MS) is None


def test_work_recovery_lasts_until_every_ledger_was_checked() -> None:
    """Two stores, one of them read later."""
    told = [phase("recovered", 8900, 9000, "reads")]
    checked = [phase("verified", 12_000, 12_010, "a"), phase("verified", 15_000, 15_010, "b")]

    assert work_recovery([*told, *checked]) == bounds(6000, 6110)
    assert work_recovery(told) is None
    assert work_recovery(checked) is None


def test_only_judged_ledgers_count_for_work_recovery() -> None:
    """A ledger that is only observed is checked at the end, when there is time."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(30_000, DOWN_5S)},
        "ledger": writes(100),
        "reads": settled(20_000, range(100)),
    }

    assert measured(**world).work_recovery == bounds(16_000, 16_110)
    assert measured(**world, judge_ledger=False).work_recovery is None


def test_a_run_measures_promotion_and_rivals_and_cold_caches() -> None:
    """Each from the events that tell of it."""
    east, west = "postgres-east/1", "postgres-west/2"
    ledger = [write(i, 5 * i, 5 * i + 1, served_by=east if i < 190 else west) for i in range(1000)]
    found = measured(
        samples={"reads": grid(20_000, DOWN_5S)},
        ledger=ledger,
        cache={"cache": [warmth(each) for each in grid(20_000, [(0, 100), (1000, 3000)])]},
        more=[mark("promoted", 4000, 4100)],
        undo=15_000,
    )

    assert found.on_secondary == Bounds(20_002 * MS - 4100 * MS, None)
    assert found.split_brain == Bounds(0, 0)
    assert [(each.store, each.probes, each.servers) for each in found.overlaps] == [
        ("writes", ("writes",), ("postgres-west, epoch 2",))
    ]
    assert found.cold_cache == bounds(2900 - 960, 3000 - 950)
    # One miss in ten before the fault, and then nothing but misses for two seconds.
    assert found.amplification == pytest.approx(10, abs=1)


def test_a_store_that_is_only_observed_is_no_split_brain_of_the_drill() -> None:
    """It is listed, not judged."""
    ledger = [write(i, 5 * i, 5 * i + 1, served_by=f"node-{i % 2}/{i % 2}") for i in range(1000)]
    found = measured(samples={"reads": grid(20_000)}, ledger=ledger, judge_ledger=False)

    assert found.split_brain is None
    assert [each.length for each in found.overlaps] == [bounds(4990 - 6, 4991 - 5)]


def warmth(sample: Sample) -> Sample:
    """A failed sample as a miss, a good one as a hit."""
    hit = float(sample.outcome.value == "ok")
    return Sample(sample.planned, sample.sent, sample.ended, sample.outcome, value=hit)


# --- from another instant than the fault ------------------------------------------------------------------------


def test_recovery_from_another_instant_moves_both_bounds() -> None:
    """Detected between 2 and 2.5 s, back between 5.9 and 6.0 s; or never; or never away."""
    detected = window(2000, 2500)
    back, never, well = (measure_probe("reads", grid(20_000, down), T0, T) for down in (DOWN_5S, [(1000, 20_100)], ()))

    assert rto_from(back, detected) == bounds(3400, 4000)
    assert rto_from(never, detected) == bounds(17_500, None)
    assert rto_from(never, window(20_000, 21_000)) == bounds(0, None)
    assert rto_from(well, detected) == well.rto == bounds(0, 100)


# --- edges ------------------------------------------------------------------------------------------------------


def test_a_request_sent_with_the_undo_sees_the_way_back() -> None:
    """It is the only one, so that nothing is known of the end."""
    found = measured(samples={"reads": grid(20_000, DOWN_5S)}, undo=20_000)

    assert (found.failback, found.failback_rto) == (Bounds(0, None), Bounds(0, None))


def test_a_cache_that_the_undo_cools_is_not_colder_for_it() -> None:
    """Cold for two seconds by the fault, for four by the undo; where the undo is under test, that counts."""
    seen = [warmth(each) for each in grid(30_000, [(1000, 3000), (15_100, 19_000)])]
    given: dict[str, Any] = {"samples": {"reads": grid(30_000)}, "cache": {"cache": seen}, "undo": 15_000}

    assert measured(**given).cold_cache == bounds(2900 - 960, 3000 - 950)
    assert measured(**given, steps=(WATCH, INJECT, RESTORE, AWAIT)).cold_cache == bounds(18_900 - 960, 19_000 - 950)


@pytest.mark.parametrize(("every", "window_ms"), [(50, 2000), (100, 2000), (200, 4000)])
def test_the_peak_of_the_load_is_taken_over_two_seconds_or_twenty_periods(every: int, window_ms: int) -> None:
    """A second of misses in a cache that misses every tenth request: what is left of it over the window."""
    down = [(at, at + every) for at in range(0, 10_000, 10 * every)] + [(11_000, 12_000)]
    seen = [warmth(each) for each in grid(30_000, down, period=every)]
    found = measured(samples={"reads": grid(30_000)}, cache={"cache": seen}, every=every, t0=window(10_000, 10_001))

    assert found.amplification == pytest.approx(1000 / window_ms * 10, rel=0.01)


def test_without_a_fault_nothing_is_a_multiple_of_anything() -> None:
    """Nor cold, nor served by another."""
    seen = [warmth(each) for each in grid(20_000, [(500, 600)])]
    found = measured(samples={"reads": grid(20_000)}, cache={"cache": seen}, t0=None)

    assert (found.amplification, found.cold_cache, found.on_secondary, found.unprotected) == (None,) * 4
