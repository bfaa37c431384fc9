"""The write ledger: what was lost, and what that is as time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from drill.measure import Undone, exposure, ledger, writes_of
from drill.model import SECOND, Bounds, Fate, Ledger, Outcome, Sample, SurvivorRead, Window, WritesPlanned
from tests.measure.worlds import MS, bounds, read, settled, window, write, writes

KILL = window(4013, 4014)


def account(
    samples: Sequence[Sample], survivors: Iterable[int], t0: Window = KILL, reads: Sequence[SurvivorRead] | None = None
) -> Ledger:
    """The ledger of *samples* when two agreeing readings at 20 and 22 s show *survivors*."""
    return ledger("writes", writes_of(samples), settled(20_000, survivors) if reads is None else reads, t0)


def test_every_set_of_the_ledger_has_its_members() -> None:
    """Vector 6: a queue that lost one message, doubled one, and holds one that nobody sent."""
    hung, enqueued, dup, wtf = 1, 2, 3, 99
    told = account(
        [write(hung, 0, 5000, Fate.UNKNOWN), write(enqueued, 10, 11), write(dup, 20, 21)],
        [wtf, dup, dup],
        window(15, 16),
    )

    assert (told.lost, told.absent, told.phantom, told.duplicates) == ((enqueued,), (hung,), (wtf,), 1)
    assert (told.lost_writes, told.worst_case, told.survivors) == (Bounds(1, 1), 2, 2)


def test_a_lost_tail_has_exact_bounds() -> None:
    """Vector 7: 800 writes 5 ms apart, the last 300 gone."""
    told = account(writes(800), range(500))

    assert (len(told.lost), told.rpo, told.holes, told.late_loss) == (300, bounds(1512, 1514), (), ())
    assert (told.oldest_lost, told.newest_lost, told.lost_writes) == (500, 799, Bounds(300, 300))


def test_a_survivor_younger_than_a_lost_write_is_a_hole() -> None:
    """Vector 7: write 650 is there although 500 to 649 are not."""
    told = account(writes(800), [*range(500), 650])

    assert (len(told.lost), told.holes) == (299, (650,))


def test_loss_ends_with_the_newest_lost_commit_when_that_came_after_the_fault() -> None:
    """Vector 7: writes went on being acknowledged, and lost, after t0."""
    told = account(writes(800), range(500), window(2400, 2405))

    assert (told.rpo, len(told.late_loss)) == (bounds(1494, 1496), 300)


def test_a_loss_acknowledged_while_the_fault_took_hold_is_late() -> None:
    """After the command was sent is late, whenever the effect was confirmed."""
    told = account(writes(800), range(500), window(2504, 2600))

    assert told.late_loss == tuple(range(501, 800))


def test_nothing_lost_is_no_zero_but_bounded_by_the_newest_survivor() -> None:
    """Vector 8: all 800 there, 59 more unknown and absent."""
    unknown = [write(800 + i, 4000, 5000, Fate.UNKNOWN) for i in range(59)]

    told = account([*writes(800), *unknown], range(800))

    assert (told.lost_writes, told.rpo, told.worst_case) == (Bounds(0, 0), bounds(0, 19), 59)
    assert told.resolution == 19 * MS


def test_without_a_survivor_from_before_the_fault_nothing_bounds_the_loss() -> None:
    """Writes that began only after the fault show nothing of it."""
    told = account([write(1, 5000, 5001)], [1])

    assert (told.rpo, told.resolution) == (Bounds(0, None), None)


def test_unknown_and_refused_writes_that_are_there_are_told() -> None:
    """An unknown write that is there was applied after all; a refused one should not be."""
    told = account(
        [
            write(1, 0, 1),
            write(2, 10, 500, Fate.UNKNOWN),
            write(3, 20, 21, Fate.REFUSED),
            write(4, 30, 31, Fate.REFUSED),
        ],
        [1, 2, 3],
    )

    assert (told.acknowledged, told.refused, told.unknown) == (1, 2, 1)
    assert (told.recovered, told.zombie, told.absent) == ((2,), (3,), ())


def test_a_sent_write_without_a_fate_is_unknown_and_an_unsent_one_is_no_write() -> None:
    """What was in flight when the run ended may have been applied; what was never sent may not."""
    in_flight = Sample(0, 0, 5 * MS, write(7, 0, 5).outcome, id=7)
    unsent = write(8, 0, 5)
    found = writes_of([in_flight, Sample(0, None, None, unsent.outcome, id=8, fate=Fate.UNKNOWN)])

    assert {id: each.fate for id, each in found.items()} == {7: Fate.UNKNOWN}


def test_an_acknowledgement_outweighs_another_answer_for_the_same_id() -> None:
    """A retry refused as a duplicate does not unmake the first attempt."""
    found = writes_of(
        [write(1, 0, 1), write(1, 10, 11, Fate.REFUSED), write(2, 0, 1, Fate.REFUSED), write(2, 5, 6, Fate.UNKNOWN)]
    )

    assert [found[1].fate, found[2].fate] == [Fate.ACKNOWLEDGED, Fate.UNKNOWN]


def test_a_found_id_whose_answer_never_reached_the_journal_is_no_phantom() -> None:
    """The range of ids was journaled before they were written."""
    planned = [WritesPlanned(at=0, probe="writes", first=0, last=20, stride=2)]

    told = ledger("writes", writes_of([write(0, 0, 1)]), settled(20_000, [0, 18, 19]), KILL, planned=planned)

    assert (told.recovered, told.phantom) == ((18,), (19,))


def test_both_ends_of_a_journaled_range_are_its_own() -> None:
    """Every third id from 10 to 16; what lies before, between or after was not planned."""
    planned = [WritesPlanned(at=0, probe="writes", first=10, last=16, stride=3)]

    told = ledger("writes", {}, settled(20_000, range(7, 20)), KILL, planned=planned)

    assert (told.recovered, told.phantom) == ((10, 13, 16), (7, 8, 9, 11, 12, 14, 15, 17, 18, 19))


# --- readings -------------------------------------------------------------------------------------------------


def test_readings_that_never_agree_settle_nothing() -> None:
    """A store still replaying: nothing is claimed, neither lost nor safe."""
    told = account(
        writes(800), [], reads=[read(20_000, range(500)), read(22_000, range(600)), read(24_000, range(700))]
    )

    assert (told.settled, told.survivors, told.rpo, told.lost_writes, told.worst_case) == (
        False,
        None,
        None,
        None,
        None,
    )


def test_two_readings_that_are_too_close_do_not_settle() -> None:
    """They must lie two seconds apart."""
    told = account(writes(800), [], reads=[read(20_000, range(500)), read(21_999, range(500))])

    assert told.settled is False


def test_one_reading_does_not_settle() -> None:
    """Nor does one beside a reading that failed."""
    told = account(writes(800), [], reads=[read(20_000, None), read(23_000, range(500))])

    assert told.settled is False


def test_the_last_settled_reading_decides() -> None:
    """Ids that vanish between readings are lost; ids that come late are stale."""
    early, late = range(1, 800), [*range(700), 0]
    reads = [read(20_000, early), read(22_000, early), read(30_000, late), read(32_000, late)]

    told = account([*writes(800), write(900, 25_000, 25_001)], [], reads=reads)

    assert (told.lost, told.stale) == ((*range(700, 800), 900), (0,))


def test_what_was_written_after_the_first_reading_is_not_stale() -> None:
    """It could not be there yet."""
    reads = [*settled(20_000, range(800)), *settled(30_000, [*range(800), 900])]

    told = account([*writes(800), write(900, 25_000, 25_001)], [], reads=reads)

    assert (told.lost, told.stale) == ((), ())


def test_a_later_reading_that_lacks_a_survivor_makes_it_doubtful() -> None:
    """Settled at 22 s, but the reading at 30 s shows five fewer: they may be gone."""
    reads = [*settled(20_000, range(800)), read(30_000, range(795))]

    told = account(writes(800), [], reads=reads)

    assert (told.lost_writes, told.unread, told.worst_case) == (Bounds(0, 5), 5, 5)


def test_writes_that_two_readings_do_not_cover_widen_the_upper_bounds() -> None:
    """Two writes acknowledged after the first of the agreeing readings began are missing in the second."""
    late = [write(900, 19_999, 20_001), write(901, 21_000, 21_001), write(902, 21_010, 21_011)]

    told = account([*writes(800), *late], [], reads=[read(20_000, range(800)), read(22_000, [*range(800), 902])])

    assert (told.lost, told.lost_writes, told.unread) == ((), Bounds(0, 2), 2)
    assert told.rpo == bounds(0, 21_001 - 19_999)


def test_a_write_in_flight_during_the_readings_does_not_unsettle_them() -> None:
    """The later reading shows what was still being written when the earlier one began."""
    told = account(
        [*writes(800), write(900, 19_999, 20_001)],
        [],
        reads=[read(20_000, range(800)), read(22_000, [*range(800), 900])],
    )

    assert (told.settled, told.lost_writes) == (True, Bounds(0, 0))


# --- holes ----------------------------------------------------------------------------------------------------


def test_what_the_new_server_acknowledged_is_no_hole() -> None:
    """A tail lost on east, and west's own writes after it."""
    samples = writes(1200, served_by=lambda i: "east" if i < 800 else "west")

    told = account(samples, [*range(500), *range(800, 1200)])

    assert (len(told.lost), told.holes) == (300, ())


def test_a_survivor_of_the_old_server_is_a_hole_even_after_the_loss_ended() -> None:
    """East acknowledged 0 to 799; 790 outlived 500 to 780, and so did everything after."""
    samples = writes(1200, served_by=lambda i: "east" if i < 800 else "west")

    told = account(samples, [*range(500), *range(781, 1200)], window(2400, 2405))

    assert told.holes == tuple(range(781, 800))


def test_writes_to_the_old_server_after_a_failback_are_no_holes() -> None:
    """East serves again under the same name once west had taken over."""
    samples = writes(1600, served_by=lambda i: "west" if 800 <= i < 1200 else "east")

    told = account(samples, [*range(500), *range(800, 1600)])

    assert told.holes == ()


def test_when_one_name_answers_for_all_holes_are_told_by_time() -> None:
    """A router that never says who served: what came after the loss ended is no hole."""
    samples = writes(1200, served_by=lambda i: "router")

    told = account(samples, [*range(500), 650, *range(810, 1200)])

    assert told.holes == (650,)


def test_a_survivor_acknowledged_after_the_loss_ended_is_no_hole() -> None:
    """It was sent before the fault and answered after it: perhaps by the new server."""
    across = write(900, 4012, 4013.5)

    told = account([*writes(800), across], [*range(500), 900])

    assert (len(told.lost), told.holes) == (300, ())


# --- exposure -------------------------------------------------------------------------------------------------


def test_a_busy_writer_is_exposed() -> None:
    """200 writes per second up to 17 ms before the fault."""
    found = exposure(writes_of(writes(800)).values(), writes(800), KILL, 5 * MS)

    assert (found.count, found.needed, found.last_age, found.enough) == (197, 100, 17 * MS, True)


def test_a_writer_whose_last_acknowledgement_is_old_is_not() -> None:
    """Vector 8: the newest acknowledged write was 1.2 s old at the fault."""
    fault = window(3996 + 1200, 3996 + 1201)

    found = exposure(writes_of(writes(800)).values(), writes(800), fault, 5 * MS, target=10 * SECOND)

    assert (found.last_age, found.count, found.enough) == (1200 * MS, 800, False)


@pytest.mark.parametrize(("age", "enough"), [(2000, True), (2001, False)])
def test_a_slow_writer_may_have_an_older_last_acknowledgement(age: float, enough: bool) -> None:
    """Five of its periods, here 400 ms each."""
    found = [write(i, 400 * i, 400 * i + 1) for i in range(50)]
    fault = window(400 * 49 + 1 + age, 400 * 49 + 2 + age)

    assert exposure(writes_of(found).values(), found, fault, 400 * MS, target=20 * SECOND).enough is enough


@pytest.mark.parametrize(("count", "enough"), [(19, False), (20, True)])
def test_at_least_twenty_writes_must_be_exposed(count: int, enough: bool) -> None:
    """At ten per second and the default window of one second no more than ten are."""
    found = [write(i, 3500 + i, 3501 + i) for i in range(count)]

    assert exposure(writes_of(found).values(), found, KILL, 100 * MS).enough is enough


def test_the_window_is_as_long_as_the_target() -> None:
    """An rpo of 4 s looks at the writes of 4 s, and no more than a hundred are needed."""
    found = exposure(writes_of(writes(800)).values(), writes(800), KILL, 5 * MS, target=4 * SECOND)

    assert (found.count, found.needed) == (797, 100)


def test_before_a_later_action_writes_must_have_been_sent() -> None:
    """Nine of ten planned ones, whether acknowledged or not."""
    samples = [*writes(800), *(write(800 + i, 4015 + 5 * i, 4900, Fate.UNKNOWN) for i in range(200))]
    unsent = [
        Sample(each.planned, None, None, each.outcome) if each.id and each.id % 9 == 0 else each for each in samples
    ]

    kept = exposure(writes_of(samples).values(), samples, KILL, 5 * MS, later=[5000 * MS])
    fell_behind = exposure(writes_of(unsent).values(), unsent, KILL, 5 * MS, later=[5000 * MS])
    silent = exposure(writes_of(samples).values(), samples, KILL, 5 * MS, later=[9000 * MS])

    assert (kept.enough, fell_behind.enough, silent.enough) == (True, False, False)


def test_slots_in_which_this_prober_failed_before_anything_left_are_no_writes() -> None:
    """Unknown and known not to be written: they expose nothing to a later action."""
    refused = [
        Sample(at * MS, at * MS, at * MS, Outcome.UNKNOWN, id=at, fate=Fate.REFUSED) for at in range(4015, 5000, 5)
    ]
    samples = [*writes(800), *refused]

    assert not exposure(writes_of(samples).values(), samples, KILL, 5 * MS, later=[5000 * MS]).kept_up


def test_a_write_that_ended_with_the_first_reading_must_be_in_both() -> None:
    """Its answer was there when the reading began; only the second one shows it."""
    samples = [write(0, 0, 1), write(1, 19_990, 20_000)]

    assert account(samples, (), reads=[read(20_000, [0]), read(22_000, [0, 1])]).survivors is None


# --- the way back ---------------------------------------------------------------------------------------------


def returned(
    survivors: Iterable[int],
    before: Iterable[int] | None = None,
    *,
    back: float | None = 6000,
    more: Sequence[Sample] = (),
    until: float = 9000,
) -> Ledger:
    """
    Writes 5 ms apart: 0 to 799 to the old server, 1200 on from 6 s on to the new one; the undo begins at 8 s.

    *before* is what a reading at 7 s showed, *survivors* what two agreeing readings at the end do.
    """
    after = [write(i, 5 * i, 5 * i + 1, served_by="west") for i in range(1200, round(until / 5))]
    reads = [] if before is None else [read(7000, before)]
    return ledger(
        "writes",
        writes_of([*writes(800, served_by=lambda _: "east"), *after, *more]),
        [*reads, *settled(20_000, survivors)],
        KILL,
        undo=Undone(window(8000, 8000), None if back is None else round(back * MS)),
    )


def test_what_was_written_after_recovery_and_is_gone_was_lost_by_the_way_back() -> None:
    """Each loss has its own recovery point, 114 ms before the kill and 199 ms before the undo: the worse counts."""
    told = returned([*range(780), *range(1200, 1560), *range(1600, 1800)])

    assert told.failback_lost == tuple(range(1560, 1600))
    assert len(told.lost) == 60
    assert told.failback_rpo == bounds(8000 - 7801, 8000 - 7800)
    assert told.rpo == told.failback_rpo
    assert (told.lost_writes, told.failback_lost[0]) == (Bounds(60, 60), 1560)


def test_the_faults_own_loss_may_be_the_worse_one() -> None:
    """A second and a half before the kill, 50 ms before the undo."""
    told = returned([*range(500), *range(1200, 1590), *range(1600, 1800)])

    assert told.failback_rpo == bounds(8000 - 7951, 8000 - 7950)
    assert told.rpo == bounds(1512, 1514)


def test_a_gap_of_the_way_back_is_a_hole_on_the_server_that_served_then() -> None:
    """West kept 1520 to 1599, acknowledged before the undo, although 1510 to 1519 are gone; later ones are new."""
    told = returned([*range(780), *range(1200, 1510), *range(1520, 1800)])

    assert told.holes == tuple(range(1520, 1600))


def test_two_losses_that_each_end_at_a_recovery_point_leave_no_holes() -> None:
    """A tail of east's and a tail of west's."""
    assert returned([*range(780), *range(1200, 1760)]).holes == ()


def test_a_write_seen_before_the_undo_was_lost_by_it() -> None:
    """The service never went away, but a reading at 7 s held 790 to 799, which are gone after the undo."""
    told = returned([*range(790), *range(1200, 1800)], range(800), back=None)

    assert (told.failback_lost, len(told.lost)) == (tuple(range(790, 800)), 10)


def test_without_a_reading_a_loss_of_a_service_that_never_went_is_the_faults() -> None:
    """Nothing shows that those writes outlived the fault."""
    told = returned([*range(790), *range(1200, 1800)], back=None)

    assert (told.failback_lost, len(told.lost)) == ((), 10)


def test_a_reading_begun_with_the_undo_does_not_tell_who_lost_it() -> None:
    """It may show what the undo had already begun to remove."""
    reads = [read(8000, range(800)), *settled(20_000, range(790))]
    told = ledger("writes", writes_of(writes(800)), reads, KILL, undo=Undone(window(8000, 8000)))

    assert (told.failback_lost, len(told.lost)) == ((), 10)


def test_a_way_back_that_loses_nothing_has_the_age_of_its_newest_survivor() -> None:
    """A write every 5 ms up to the undo at 8 s; one sent before and answered after does not count."""
    told = returned([*range(800), *range(1200, 1800)])

    assert (told.failback_lost, told.failback_rpo, told.rpo) == ((), bounds(0, 5), bounds(0, 19))


def test_writes_that_nobody_read_twice_may_have_been_lost_by_the_way_back() -> None:
    """Acknowledged at 19.9 s and not there when the first of the two readings began."""
    told = returned([*range(800), *range(1200, 1800)], more=[write(5000, 20_001, 20_002)])

    assert (told.unread, told.failback_rpo) == (1, bounds(0, 5))


def test_a_write_sent_the_moment_service_was_back_was_lost_by_the_way_back() -> None:
    """Not by the fault, which was over."""
    assert returned([*range(800), *range(1201, 1800)]).failback_lost == (1200,)


def test_without_an_undo_there_is_no_way_back() -> None:
    """None, never 0."""
    assert account(writes(800), range(800)).failback_rpo is None
    assert ledger("writes", writes_of(writes(800)), [], KILL, undo=Undone(window(8000, 8000))).failback_rpo is None
