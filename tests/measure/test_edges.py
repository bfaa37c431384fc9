"""Instants that fall exactly on an edge: on which side they count, so that nobody moves them unnoticed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drill.measure import (
    Undone,
    exposure,
    impact,
    incidents,
    ledger,
    measure,
    measure_probe,
    origin_window,
    writes_of,
)
from drill.model import (
    Bounds,
    Done,
    Effect,
    Fate,
    History,
    Injected,
    InjectFailed,
    Injection,
    Intent,
    Mark,
    Measure,
    Outcome,
    Parameters,
    Phase,
    RestoreBegan,
    Sample,
    Window,
)
from tests.measure.worlds import (
    INJECT,
    MS,
    T0,
    WATCH,
    T,
    World,
    bounds,
    grid,
    objective,
    read,
    sample,
    settled,
    window,
    write,
    writes,
)

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


def test_what_confirms_an_action_is_its_own_return() -> None:
    """Not what was said of the whole fault half a second later."""
    events = World(samples={"reads": grid(3000)}, completion=None).history().events
    later = [replace(event, at=1500 * MS) if isinstance(event, Injected) else event for event in events]

    assert measure(History(tuple(later))).t0 == T0


def test_undoing_that_follows_the_last_break_is_the_way_back_whatever_only_looks_later() -> None:
    """Undone at 8 s, looked at at 9 s, undone once more at 10 s; or at the very instant of the break."""
    look = Intent(at=9000 * MS, fault="outage", activity="look", n=7, breaks=False)
    again = RestoreBegan(at=10_000 * MS, fault="outage")
    world = {"samples": {"reads": grid(20_000)}, "more": [look, again]}

    assert measure(World(**world, undo=8000).history()).undo_began == 8000 * MS  # type: ignore[arg-type]
    assert measure(World(**world, undo=950).history()).undo_began == 950 * MS  # type: ignore[arg-type]


def test_a_drill_that_neither_waits_nor_restores_has_no_undo_under_test() -> None:
    """What the undo at the end heals never recovered."""
    found = measure(World(samples={"reads": grid(30_000, [(1000, 8200)])}, undo=8000, steps=(WATCH, INJECT)).history())

    assert found.rto == bounds(6940, None)


def test_a_clock_that_stood_still_for_a_second_is_no_suspend_yet() -> None:
    """Counted between the two anchors, wherever they stand; without both nobody knows."""

    def slept(jump: float) -> History:
        return World(samples={"reads": grid(3000, start=-5000)}, boot_jump=jump).history()

    def without_boot(history: History, *, begin: bool) -> History:
        events = list(history.events)
        at = 0 if begin else -1
        events[at] = replace(events[at], anchor=replace(events[at].anchor, boot=None))  # type: ignore[union-attr]
        return History(tuple(events))

    assert [measure(slept(jump)).suspended for jump in (0, 1000, 1000.1)] == [False, False, True]
    assert [measure(without_boot(slept(5000), begin=begin)).suspended for begin in (True, False)] == [False, False]


def test_a_run_without_a_fault_says_why_it_proves_nothing() -> None:
    """In words."""
    assert measure(World(samples={"reads": grid(3000)}, t0=None).history()).proof == "no fault was carried out"


# --- outages ------------------------------------------------------------------------------------------------------


def test_an_outage_from_the_first_request_on_has_no_beginning() -> None:
    """Failing from 0 to 1.9 s, without a fault to count from."""
    (found,) = incidents(grid(20_000, [(0, 2000)]), None, T)

    assert (found.last_good, found.outage, found.bad_time) == (None, bounds(1900, None), bounds(1900, None))
    assert (found.error_time, found.rto) == (2000 * MS, Bounds(0, None))


def test_an_outage_after_one_good_request_has_one() -> None:
    """Good at 0, failing from 0.1 to 0.9 s."""
    (found,) = incidents(grid(20_000, [(100, 1000)]), None, T)

    assert (found.outage, found.bad_time) == (bounds(800, 1000), bounds(800, 1000))


def test_failed_time_to_the_end_stands_for_one_period_more() -> None:
    """The last request failed; or one good one, a little late, came after it."""
    (to_the_end,) = incidents(grid(20_000, [(1000, 20_100)]), T0, T)
    (almost,) = incidents([*grid(19_900, [(1000, 20_000)]), sample(20_050)], T0, T)

    assert (to_the_end.bad_time, to_the_end.error_time) == (bounds(19_000, None), 19_100 * MS)
    assert (almost.bad_time, almost.error_time) == (bounds(18_900, None), 19_050 * MS)


def test_the_failed_share_is_that_of_the_outage_alone() -> None:
    """25 of 49 requests, from the first failed one to the last."""
    (found,) = incidents(grid(30_000, [(at, at + 100) for at in range(1000, 6000, 200)]), T0, T)

    assert found.failed_ratio == 25 * 1_000_000 // 49
    assert type(found.failed_ratio) is int


@pytest.mark.parametrize(
    ("back", "gap"), [(6200, False), (6200.1, True), (6250, True)], ids=["three periods", "more", "half a one more"]
)
def test_more_than_three_periods_at_the_end_are_a_measuring_gap(back: float, gap: bool) -> None:
    """The last failed request was sent at 5.9 s."""
    seen = [*grid(5900, [(1000, 6000)]), *grid(30_000 + back, start=back)]

    assert incidents(seen, T0, T)[0].gap is gap


def test_samples_in_flight_at_a_cut_are_left_out() -> None:
    """Back at 8.2 s, but cut at 8 s; one without an end counts as ended when it was sent."""
    cut = [*grid(30_000, [(1000, 8200)]), Sample(7950 * MS, 7950 * MS, None, Outcome.FAILED)]

    (found,) = incidents(cut, T0, T, until=8000 * MS)

    assert (found.recovered, found.last_failed) == (None, 7950 * MS)


def test_a_gap_of_a_tenth_of_the_hold_is_still_a_hold() -> None:
    """Nothing decided between 8.0 and 9.0 s, of ten seconds; a tenth of a second more breaks it."""
    down = [(1000, 6000)]
    held, broken = (
        incidents(grid(30_000, down, unknown=range(8100, to, 100)), T0, T)[0].recovered for to in (9000, 9100)
    )

    assert (held, broken) == (6000 * MS, 9100 * MS)


def test_failed_requests_do_not_count_as_good_ones_while_holding() -> None:
    """Half of them may fail, but seventy of a hundred must be good."""
    seen = grid(40_000, [(1000, 6000), *[(at, at + 100) for at in range(6200, 20_000, 300)]])
    parameters = Parameters(recovery_ratio=0.5, hold_min_ok=70)

    assert incidents(seen, T0, T, parameters)[0].recovered == 10_500 * MS


def test_exactly_the_capacity_asked_for_is_enough() -> None:
    """Ten per second before and after, one of the 101 of the hold unknown."""
    seen = grid(40_000, [(1000, 6000)], unknown=[7000])

    found = incidents(seen, window(1000, 1001), T, Parameters(minimum_capacity=1.0, hold_min_ok=1))

    assert found[0].recovered == 6000 * MS


def test_back_before_the_fault_was_sent_is_no_time_at_all() -> None:
    """Sent at 0.90 s and failed at 1.4 s, good again with the request of 0.94 s; the fault came at 0.95 s."""
    seen = [*grid(800), sample(900, Outcome.FAILED, 500), sample(940), *grid(30_000, start=1000)]

    assert incidents(seen, T0, T)[0].rto == Bounds(0, 0)


# --- watching ------------------------------------------------------------------------------------------------------


def watched(*samples: Sample, t0: Window = T0) -> bool:
    return measure_probe("reads", samples, t0, T).watched


def test_a_watch_needs_its_first_pair_and_none_before_it() -> None:
    """Nothing from 0.9 to 2.5 s, across the fault; or, well before it, from 0.5 to 2.5 s."""
    assert watched(sample(900), *grid(20_000, start=2500)) is False
    assert watched(*grid(500), *grid(20_000, start=2500), t0=window(2550, 2560)) is True


def test_half_of_the_planned_requests_make_a_watch() -> None:
    """Fifty of a hundred in the ten seconds after the fault; forty are too few, however many came before."""
    before = grid(900, start=-20_000)

    assert watched(*before, *grid(20_000, start=1000, period=200)) is True
    assert watched(*before, *grid(20_000, start=1000, period=250)) is False


def test_the_widest_gap_of_a_run_without_a_fault_counts_from_its_first_good_request() -> None:
    """Half a second after it nothing was sent."""
    assert measure_probe("reads", [sample(0), *grid(20_000, start=500)], None, T).outage == bounds(0, 500)


def test_each_undo_but_the_last_may_find_service_away() -> None:
    """Recovered before the first of three, away at the second, which healed it."""
    seen = grid(60_000, [(1000, 3000), (15_000, 20_500)])

    found = measure_probe("reads", seen, T0, T, undone=[14_000 * MS, 20_000 * MS, 40_000 * MS])

    assert (found.rto, found.after_undo) == (bounds(19_900 - 960, None), True)


# --- phases --------------------------------------------------------------------------------------------------------


def test_phases_of_the_undo_and_of_marks_are_told_whole() -> None:
    """When, by whom, and of what."""
    told = Mark(at=2000 * MS, name="promoted", window=window(1500, 1600), source="patroni", text="west, timeline 2")
    found = measure(World(samples={"reads": grid(30_000)}, undo=20_000, more=[told]).history()).phases

    assert Phase(name="restore", window=window(20_000, 20_000), source="conductor", text="outage") in found
    assert Phase(name="promoted", window=window(1500, 1600), source="patroni", text="west, timeline 2") in found
    assert [phase.text for phase in found if phase.name == "failback"] == ["outage"]


def test_the_slowest_replica_tells_when_redundancy_was_back() -> None:
    """Whichever is listed first."""
    slow, fast = grid(20_000, [(1000, 9000)]), grid(20_000, [(1000, 8000)])
    for redundancy in ({"a-slow": slow, "b-fast": fast}, {"a-fast": fast, "b-slow": slow}):
        found = measure(World(samples={"reads": grid(20_000)}, redundancy=redundancy).history()).phases
        (back,) = [phase for phase in found if phase.name == "redundant"]

        assert (back.window, back.source.endswith("slow")) == (window(8900, 9000), True)


def test_data_is_checked_when_two_readings_agree_on_what_both_could_show() -> None:
    """A write that was answered between them is only in the second."""
    world = World(
        samples={"reads": grid(20_000)},
        ledger=[*writes(100), write(100, 20_500, 20_501)],
        reads=[read(20_000, range(100)), read(22_000, range(101))],
    )

    found = measure(world.history()).phases

    assert [phase.window for phase in found if phase.name == "verified"] == [window(22_000, 22_010)]


def test_an_impact_without_a_good_request_before_it_is_its_first_failed_one() -> None:
    """Nobody knows since when."""
    (found,) = incidents(grid(20_000, [(0, 2000)]), None, T)

    assert impact(found) == window(0, 0)


def test_an_alarm_that_ended_as_the_fault_was_sent_may_be_its() -> None:
    """Told of an instant from 0.9 to 0.95 s; one that ended sooner is not."""
    told = [Phase(name="detected", window=window(900, end), source="alarm") for end in (949, 950)]

    assert origin_window("detected", told, T0) == window(900, 950)
    assert origin_window("detected", told[:1], T0) is None


# --- from the plan ---------------------------------------------------------------------------------------------


def test_only_a_target_of_data_loss_widens_the_exposure_asked_for() -> None:
    """A recovery time of 30 s asks for no more writes: 25 in a second at 50 per second."""
    world = {"samples": {"reads": grid(20_000)}, "ledger": writes(200), "write_every": 20}
    rto, rpo = (objective(measure, 30_000) for measure in (Measure.RTO, Measure.RPO))

    assert measure(World(**world, objectives=[rto]).history()).ledgers[0].needed == 25  # type: ignore[arg-type]
    assert measure(World(**world, objectives=[rto, rpo]).history()).ledgers[0].needed == 100  # type: ignore[arg-type]


def test_what_the_fault_lost_is_not_laid_to_the_way_back() -> None:
    """Ten writes from before it are gone; the undo came at 20 s, long after recovery."""
    kept = [id for id in range(1000) if not 180 <= id < 190]
    found = measure(
        World(
            samples={"reads": grid(40_000, [(1000, 6000)])},
            ledger=[write(i, 5 * i, 5 * i + 1) for i in range(1000)],
            reads=settled(41_000, kept),
            undo=20_000,
        ).history()
    )

    assert (found.lost_writes, found.failback_lost) == (Bounds(10, 10), Bounds(0, 0))


def test_the_whole_run_has_its_failed_time_and_share() -> None:
    """The largest of two probes; 96 of the second one's 241 requests failed."""
    found = measure(
        World(
            samples={"some": grid(25_000, [(1000, 2000)]), "most": grid(25_000, [(1000, 10_600)])}, every=100
        ).history()
    )

    assert (found.bad_time, found.error_ratio) == (bounds(9500, 9700), Bounds(398_340, 398_341))


def test_each_fault_has_its_proof_in_words() -> None:
    """In order, with what its engine says, or that it says so."""
    more = [
        Intent(at=970 * MS, fault="second", activity="break", n=0),
        Done(at=971 * MS, fault="second", n=0, ok=True),
        Injected(at=972 * MS, fault="second", injection=Injection(effect=Effect.SHOWN, evidence="9 of 9 are gone")),
    ]

    assert measure(World(samples={"reads": grid(20_000)}, more=more).history()).proof == (
        "outage: proved by its engine; second: 9 of 9 are gone"
    )
