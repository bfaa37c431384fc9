"""Instants that fall exactly on an edge: on which side they count, so that nobody moves them unnoticed."""

from __future__ import annotations

import pytest

from drill.measure import Undone, exposure, ledger, measure, measure_probe, writes_of
from drill.model import (
    Bounds,
    Done,
    Fate,
    History,
    Injected,
    InjectFailed,
    Intent,
    Outcome,
    Sample,
    Window,
)
from tests.measure.worlds import MS, T0, T, World, bounds, grid, read, sample, settled, window, write, writes

KILL = window(4013, 4014)


# --- exposure -------------------------------------------------------------------------------------------------


def exposed(*samples: Sample, every: float = 100, later: tuple[int, ...] = ()) -> tuple[int, bool]:
    """How many writes count before a fault at 4.013 s, and whether planned ones were sent before *later*."""
    found = exposure(writes_of(samples).values(), samples, KILL, round(every * MS), later=later)
    return found.count, found.kept_up


def test_a_write_answered_at_either_end_of_the_window_counts() -> None:
    """The second before the fault, both ends included."""
    assert exposed(write(1, 3000, 3013), write(2, 4000, 4013))[0] == 2
    assert exposed(write(1, 3000, 3012.9), write(2, 4000, 4013.1))[0] == 0


def slots(*planned: float, unsent: tuple[float, ...] = ()) -> list[Sample]:
    """Requests at these instants; those of *unsent* were never sent."""
    return [Sample(round(at * MS), None if at in unsent else round(at * MS), None, Outcome.OK) for at in planned]


@pytest.mark.parametrize(
    ("planned", "unsent", "every", "kept_up"),
    [
        ([*range(5000, 6000, 100)], (), 100, True),
        ([*range(5000, 6000, 100)], (5000,), 100, True),
        ([*range(5000, 6000, 100)], (5000, 5100), 100, False),
        ([*range(5100, 6000, 100)], (), 100, True),
        ([*range(5100, 6100, 100)], (5100,), 100, False),
        ([*range(4900, 6000, 100)], (4900, 5100), 100, True),
        ([5500], (), 600, True),
        ([], (), 600, False),
    ],
)
def test_nine_of_ten_planned_writes_keep_up(
    planned: list[float], unsent: tuple[float, ...], every: float, kept_up: bool
) -> None:
    """Those planned from a second before the action at 6 s to just before it."""
    assert exposed(*slots(*planned, unsent=unsent), every=every, later=(6000 * MS,))[1] is kept_up


def test_without_a_fault_there_is_no_exposure() -> None:
    """And none is needed."""
    told = ledger("writes", {}, settled(20_000, []), None)

    assert (told.exposure, told.needed, told.last_age, told.exposed) == (0, 0, None, False)


# --- the ledger -----------------------------------------------------------------------------------------------


def test_a_write_answered_as_the_first_of_two_readings_began_is_covered_by_both() -> None:
    """Missing in both, it is lost; a moment later it is unread."""
    reads = settled(20_000, [0])
    lost = ledger("writes", writes_of([write(0, 0, 1), write(1, 19_000, 20_000)]), reads, KILL)
    unread = ledger("writes", writes_of([write(0, 0, 1), write(1, 19_000, 20_000.1)]), reads, KILL)

    assert (lost.lost, lost.unread) == ((1,), 0)
    assert (unread.lost, unread.unread) == ((), 1)


def test_the_newest_survivor_is_the_one_sent_last_not_the_one_with_the_highest_id() -> None:
    """Two lanes; an answer that came with the fault still counts."""
    samples = [write(0, 3000, 4013), write(1, 2000, 2001), write(2, 3500, 4013.1)]
    told = ledger("writes", writes_of(samples), settled(20_000, range(3)), KILL)

    assert told.resolution == 1014 * MS


def test_the_oldest_and_the_newest_lost_are_told_by_when_they_were_sent() -> None:
    """Not by their ids."""
    samples = [write(1, 3000, 3001), write(2, 1000, 1001), write(3, 4000, 4001), write(4, 2000, 2001)]
    told = ledger("writes", writes_of(samples), settled(20_000, []), KILL)

    assert (told.oldest_lost, told.newest_lost) == (2, 3)


def test_a_write_answered_as_the_first_settled_reading_began_may_be_stale() -> None:
    """Settled without it, and there later."""
    samples = [write(0, 0, 1), write(1, 19_000, 20_000)]
    reads = [*settled(20_000, [0]), *settled(30_000, [0, 1])]

    told = ledger("writes", writes_of(samples), reads, KILL)

    assert (told.stale, told.unread, told.lost) == ((1,), 0, ())


def test_a_survivor_answered_as_a_later_reading_began_is_contradicted_by_it() -> None:
    """It was there before it was answered, and is missing at the instant that it was."""
    samples = [write(0, 0, 1), write(1, 19_000, 40_000)]
    reads = [*settled(20_000, [0, 1]), read(40_000, [0])]

    assert ledger("writes", writes_of(samples), reads, KILL).unread == 1


def test_a_loss_answered_with_the_fault_is_not_late() -> None:
    """Late is what was acknowledged after the command was sent."""
    samples = [write(0, 4000, 4013), write(1, 4000, 4013.1)]

    assert ledger("writes", writes_of(samples), settled(20_000, []), KILL).late_loss == (1,)


def test_a_loss_answered_after_it_was_over_is_no_negative_time() -> None:
    """The one lost write was sent after the fault and answered 10 ms later."""
    told = ledger("writes", writes_of([write(0, 4020, 4030)]), settled(20_000, []), KILL)

    assert told.rpo == bounds(0, 10)


def test_nothing_written_before_the_undo_leaves_its_loss_unbounded() -> None:
    """There is no survivor to be the newest."""
    undo = Undone(window(3000, 3000), None)
    told = ledger("writes", writes_of([write(0, 3500, 3501)]), settled(20_000, [0]), KILL, undo=undo)

    assert told.failback_rpo == Bounds(0, None)


# --- holes ----------------------------------------------------------------------------------------------------


def holes(*samples: Sample, survivors: list[int], t0: Window = KILL) -> tuple[int, ...]:
    return ledger("writes", writes_of(samples), settled(20_000, survivors), t0).holes


def test_one_lost_write_among_survivors_makes_holes_of_all_that_came_after_it() -> None:
    """Up to the fault: what nobody names is told by time, the fault's instant included."""
    kept = [id for id in range(800) if id != 500]

    assert holes(*writes(800), survivors=kept) == tuple(range(501, 800))
    assert holes(*writes(800), survivors=kept, t0=window(3996, 3997)) == tuple(range(501, 800))
    assert holes(*writes(800), survivors=kept, t0=window(3995, 3996)) == tuple(range(501, 799))


def test_a_write_sent_as_the_lost_one_was_answered_is_no_hole() -> None:
    """They were under way at once; nobody can tell which the store took first."""
    assert holes(write(0, 1000, 1010), write(1, 1010, 1011), survivors=[1]) == ()
    assert holes(write(0, 1000, 1010), write(1, 1010.1, 1011), survivors=[1]) == (1,)


def test_what_the_old_server_took_until_another_took_over_may_be_a_hole() -> None:
    """West's first write was sent at 3.0 s; east's of that instant counts, a later one is east's next life."""
    samples = [
        write(0, 1000, 1001, served_by="east"),
        write(1, 3000, 3001, served_by="east"),
        write(2, 3000, 3001, served_by="west"),
        write(3, 3000.1, 3001, served_by="east"),
    ]

    assert holes(*samples, survivors=[1, 2, 3]) == (1,)


def test_a_loss_of_nobody_in_particular_is_told_by_time_whoever_answered_the_rest() -> None:
    """The lost write's answer named nobody, so east's later ones may be of the same server."""
    samples = [
        write(0, 1000, 1001),
        write(1, 2000, 2001, served_by="east"),
        write(2, 3000, 3001, served_by="west"),
    ]

    assert holes(*samples, survivors=[1, 2]) == (1, 2)


def test_another_server_that_answered_with_the_loss_had_not_yet_taken_over() -> None:
    """West took a write at the very instant the lost one was answered: that proves no order."""
    samples = [
        write(0, 1000, 1010, served_by="east"),
        write(1, 1010, 1011, served_by="west"),
        write(2, 2000, 2001, served_by="east"),
    ]

    assert holes(*samples, survivors=[1, 2]) == (2,)


# --- one probe --------------------------------------------------------------------------------------------------


def test_a_probe_without_samples_measures_nothing() -> None:
    """No error, and no 0."""
    found = measure_probe("reads", [], T0, T)

    assert (found.rto, found.outage, found.error_ratio) == (Bounds(0, None), Bounds(0, None), None)
    assert (found.flaps, found.error_time, found.healthy_before) == (0, 0, False)


def test_failed_time_and_flaps_are_those_of_all_outages() -> None:
    """Two seconds and one, with a good second between; then none at all."""
    seen = grid(30_000, [(1000, 3000), (4000, 5000)])
    found, well = measure_probe("reads", seen, T0, T), measure_probe("reads", grid(30_000), T0, T)

    assert (found.error_time, found.flaps) == (3000 * MS, 1)
    assert (well.error_time, well.flaps) == (0, 0)


def test_a_gap_before_the_last_good_answer_hides_no_outage_of_the_fault() -> None:
    """Nothing was sent from 0.5 to 0.9 s; the fault came after it."""
    seen = grid(20_000, missing=[500, 600, 700, 800])

    assert measure_probe("reads", seen, T0, T).outage == bounds(0, 100)


def test_the_end_is_when_the_last_request_was_really_sent() -> None:
    """A late one was planned for 20.0 s and sent at 20.5 s, in vain: an outage may hide up to then."""
    late = Sample(20_000 * MS, 20_500 * MS, None, Outcome.UNKNOWN)

    assert measure_probe("reads", [*grid(19_900), late], T0, T).outage == bounds(0, 600)


def test_the_error_ratio_counts_what_was_sent_from_the_fault_to_the_undo() -> None:
    """Sent with the command: counted. Planned before and sent late: counted. Answered with the undo or later: not."""
    good = sample(950)
    late = Sample(940 * MS, 951 * MS, 952 * MS, Outcome.FAILED)
    before = Sample(940 * MS, 949 * MS, 960 * MS, Outcome.FAILED)
    at_undo = Sample(7000 * MS, 7000 * MS, 8000 * MS, Outcome.FAILED)
    after = Sample(7000 * MS, 7000 * MS, 8001 * MS, Outcome.FAILED)
    unsent = Sample(7500 * MS, None, None, Outcome.UNKNOWN)

    def ratio(*samples: Sample) -> Bounds | None:
        return measure_probe("reads", [sample(900), *samples], T0, T, undone=[8000 * MS]).error_ratio

    assert ratio(good, late) == Bounds(500_000, 500_000)
    assert ratio(good, before, at_undo, after) == Bounds(0, 0)
    assert ratio(good, unsent) == Bounds(0, 500_000)
    assert ratio(before) is None


# --- faults -----------------------------------------------------------------------------------------------------


def test_an_action_that_never_returned_is_confirmed_by_what_was_said_of_its_fault() -> None:
    """Carried out, or failed; other faults' words do not count."""
    events = World(samples={"reads": grid(3000)}, completion=None).history().events
    silent = [event for event in events if not isinstance(event, Done | Injected)]
    failed = InjectFailed(at=1500 * MS, fault="outage", error="no")
    other = InjectFailed(at=1200 * MS, fault="other", error="no")
    said = next(event for event in events if isinstance(event, Injected))

    assert measure(History((*silent, other, failed))).t0 == window(950, 1500)
    assert measure(History((*silent, said, failed))).t0 == T0
    assert measure(History((*silent, other))).t0 == window(950, 3002)


def test_a_fault_that_failed_before_it_broke_anything_has_its_window_too() -> None:
    """From its preparation to the failure."""
    events = World(samples={"reads": grid(3000)}, completion=None).history().events
    silent = [event for event in events if not isinstance(event, Done | Injected | Intent)]

    assert measure(History((*silent, InjectFailed(at=1500 * MS, fault="outage", error="no")))).t0 == window(950, 1500)


def test_a_ledger_reads_one_fate_for_each_write() -> None:
    """Refused before the fault and found nowhere: neither lost nor absent."""
    told = ledger("writes", writes_of([write(0, 0, 1, Fate.REFUSED)]), settled(20_000, []), KILL)

    assert (told.lost, told.absent, told.zombie, told.worst_case) == ((), (), (), 0)
