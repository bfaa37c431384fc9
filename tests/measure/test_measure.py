"""From a whole history to everything measured."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drill.measure import default_hold, measure
from drill.model import (
    SECOND,
    Bounds,
    Done,
    Effect,
    History,
    Injected,
    Injection,
    Intent,
    Measure,
    Measured,
    Outcome,
    Phase,
    RestoreBegan,
    Step,
    Window,
    WritesPlanned,
)
from tests.measure.worlds import (
    AWAIT,
    INJECT,
    MS,
    RESTORE,
    T0,
    WATCH,
    World,
    bounds,
    grid,
    mark,
    objective,
    read,
    sample,
    settled,
    window,
    writes,
)

DOWN_5S = [(1000, 6000)]


def measured(**world: object) -> Measured:
    return measure(World(**world).history())  # type: ignore[arg-type]  # passed through


def test_a_failover_is_measured_whole() -> None:
    """Two probes, one of them back a second later: service is back when both are."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S), "writes-too": grid(30_000, [(1200, 7000)])})

    assert (found.t0, found.disaster, found.effect) == (T0, T0, Effect.SHOWN)
    assert (found.rto, found.outage) == (bounds(5940, 6050), bounds(5900, 6100))
    assert (found.failback, found.redundancy, found.rpo, found.lost_writes, found.holes) == (None,) * 5
    assert found.phases == (
        Phase(name="impact", window=window(900, 1000), source="reads"),
        Phase(name="fault", window=T0, source="conductor", text="outage"),
        Phase(name="recovered", window=window(6900, 7000), source="writes-too"),
        Phase(name="first_good", window=window(7000, 7000), source="writes-too"),
        Phase(name="failback", window=window(30_002, 30_002), source="conductor", text="outage"),
    )


def test_an_untouched_probe_beside_a_broken_one_does_not_shorten_the_outage() -> None:
    """The one that never failed was away for less than a period."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S), "other": grid(30_000)})

    assert found.rto == bounds(4940, 5050)


def test_a_probe_that_never_recovers_leaves_no_upper_bound() -> None:
    """However well the other one does."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S), "other": grid(30_000, [(1000, 99_999)])})

    assert found.rto == bounds(29_040, None)
    assert [phase.name for phase in found.phases] == ["impact", "fault", "failback"]


def test_samples_are_cut_where_undoing_began() -> None:
    """Vector 16, from the journal: the undo at 8.0 s brought service back at 8.2 s."""
    found = measured(samples={"reads": grid(30_000, [(1000, 8200)])}, undo=8000)

    assert (found.rto, found.undo_began) == (bounds(6940, None), 8000 * MS)
    assert [probe.after_undo for probe in found.per_probe] == [True]


@pytest.mark.parametrize(
    ("steps", "under_test"),
    [
        ((WATCH, INJECT, RESTORE, AWAIT), True),
        ((WATCH, INJECT, AWAIT, RESTORE), False),
        ((WATCH, INJECT, AWAIT, RESTORE, AWAIT), False),
        ((WATCH, INJECT, WATCH, RESTORE), False),
    ],
)
def test_the_undo_is_under_test_when_recovery_is_awaited_after_it(steps: tuple[Step, ...], under_test: bool) -> None:
    """Then what it brings back has recovered."""
    found = measured(samples={"reads": grid(30_000, [(1000, 8200)])}, undo=8000, steps=steps)

    assert found.rto == (bounds(7140, 7250) if under_test else bounds(6940, None))


def test_redundancy_holds_for_three_periods_and_may_come_with_the_undo() -> None:
    """The replica is back at 9 s, after the undo at 8 s; the run ends half a second later."""
    replica = grid(9500, [(1000, 9000)])

    found = measured(samples={"reads": grid(9500)}, redundancy={"replica": replica}, undo=8000)

    assert found.redundancy == bounds(7940, 8050)
    assert Phase(name="redundant", window=window(8900, 9000), source="replica") in found.phases


def test_redundancy_that_flickers_is_not_yet_back() -> None:
    """Two good answers in a row do not count."""
    found = measured(
        samples={"reads": grid(9500)}, redundancy={"replica": grid(9500, [(1000, 5000), (5300, 9000)])}, undo=8000
    )

    assert found.redundancy == bounds(7940, 8050)


def test_the_default_hold_is_the_one_that_measures() -> None:
    """Ten seconds for service, three periods for redundancy, unless the drill says otherwise."""
    plan = World(samples={"reads": []}, redundancy={"replica": []}).plan()

    assert (default_hold(plan, "reads"), default_hold(plan, "replica")) == (10 * SECOND, 300 * MS)


def test_marks_of_the_system_become_phases() -> None:
    """In time order, with who told it."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S)}, more=[mark("promoted", 4000, 4100)])

    assert Phase(name="promoted", window=window(4000, 4100), source="lab") in found.phases


def test_without_a_fault_nothing_is_counted_from_it() -> None:
    """A drill refused for its baseline still shows what its probes saw."""
    found = measured(samples={"reads": grid(5000, [(1000, 2000)])}, t0=None)

    assert (found.t0, found.rto, found.effect) == (None, None, Effect.UNKNOWN)
    assert found.per_probe[0].healthy_before is False


# --- the fault ------------------------------------------------------------------------------------------------


def test_the_fault_is_its_first_breaking_action() -> None:
    """What only looked before it, and what broke after it, do not move t0."""
    history = World(samples={"reads": grid(30_000, DOWN_5S)}).history()
    looked = Intent(at=100 * MS, fault="outage", activity="look", n=5, breaks=False)
    second = Intent(at=970 * MS, fault="outage", activity="break more", n=1)
    events = [*history.events]
    events[1:1] = [looked, Done(at=110 * MS, fault="outage", n=5, ok=True)]
    events[-2:-2] = [second, Done(at=990 * MS, fault="outage", n=1, ok=True)]

    assert measure(History(tuple(events))).t0 == T0


def test_an_action_that_never_returned_is_confirmed_by_the_end() -> None:
    """drill was killed while it broke something."""
    events = World(samples={"reads": grid(3000)}, completion=None).history().events
    killed = History(tuple(event for event in events if not isinstance(event, Done | Injected)))

    assert measure(killed).t0 == window(950, 3002)


def test_a_fault_without_a_breaking_action_lies_between_preparation_and_its_report() -> None:
    """An experiment of probes only."""
    events = World(samples={"reads": grid(30_000)}, effect=Effect.NONE).history().events
    found = measure(History(tuple(event for event in events if not isinstance(event, Intent | Done))))

    assert (found.t0, found.effect, found.rto) == (T0, Effect.NONE, bounds(0, 100))


def two_faults(first: Effect, second: Effect, *, down: float = 6000) -> Measured:
    more = [
        Intent(at=3000 * MS, fault="second", activity="break", n=0),
        Injected(at=3001 * MS, fault="second", injection=Injection(effect=second)),
    ]
    return measured(samples={"reads": grid(30_000, [(1000, down)])}, effect=first, more=more)


@pytest.mark.parametrize(
    ("first", "second", "down", "shown"),
    [
        (Effect.SHOWN, Effect.SHOWN, 6000, Effect.SHOWN),
        (Effect.SHOWN, Effect.NONE, 6000, Effect.NONE),
        (Effect.SHOWN, Effect.UNKNOWN, 6000, Effect.SHOWN),
        (Effect.SHOWN, Effect.UNKNOWN, 2000, Effect.UNKNOWN),
        (Effect.UNKNOWN, Effect.SHOWN, 2000, Effect.SHOWN),
        (Effect.UNKNOWN, Effect.SHOWN, 1000, Effect.UNKNOWN),
    ],
)
def test_of_two_faults_the_weakest_proof_counts(first: Effect, second: Effect, down: float, shown: Effect) -> None:
    """An impact that ended before a fault is no proof of it."""
    assert two_faults(first, second, down=down).effect is shown


def test_an_impact_proves_what_the_engine_cannot_tell() -> None:
    """And says who saw it."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S)}, effect=Effect.UNKNOWN)

    assert (found.effect, found.proof) == (Effect.SHOWN, "outage: reads saw an outage from then on")


def test_no_impact_outweighs_an_engine_that_proved_nothing_happened() -> None:
    """Something else broke the service."""
    found = measured(samples={"reads": grid(30_000, DOWN_5S)}, effect=Effect.NONE)

    assert (found.effect, found.proof) == (Effect.NONE, "outage had no effect")


def test_the_first_request_in_flight_proves_the_first_fault() -> None:
    """Vector 18's sample, sent at 0.9 s and failed at 1.4 s, is the only one that failed."""
    seen = [each for each in grid(30_000) if each.planned != 900 * MS] + [sample(900, Outcome.FAILED, 500)]

    assert measured(samples={"reads": seen}, effect=Effect.UNKNOWN).effect is Effect.SHOWN


def test_an_undo_between_two_faults_is_part_of_the_drill() -> None:
    """The way back begins with the undo that follows the last breaking action."""
    more = [
        RestoreBegan(at=20_000 * MS, fault="outage"),
        Intent(at=21_000 * MS, fault="second", activity="break", n=0),
        Injected(at=21_001 * MS, fault="second", injection=Injection(effect=Effect.SHOWN)),
        RestoreBegan(at=50_000 * MS, fault="second"),
        RestoreBegan(at=51_000 * MS, fault="outage"),
    ]

    found = measured(samples={"reads": grid(70_000, [*DOWN_5S, (22_000, 23_000), (50_500, 50_700)])}, more=more)

    assert (found.rto, found.failback, found.undo_began) == (bounds(21_940, 22_050), bounds(100, 300), 50_000 * MS)


def test_a_suspend_shows_in_the_boot_clock() -> None:
    """Over a second more than the monotonic clock went on."""
    assert measured(boot_jump=1001).suspended is True
    assert measured(boot_jump=999).suspended is False


# --- data -----------------------------------------------------------------------------------------------------


def test_the_ledger_is_judged_by_readings_after_recovery() -> None:
    """Two readings agreed while the old primary still answered; those after recovery decide."""
    samples = writes(800)
    early = [read(6000, range(800)), read(8000, range(800))]

    found = measured(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=samples,
        reads=[*early, *settled(20_000, range(500))],
        t0=window(4013, 4014),
    )

    assert (found.lost_writes, found.rpo, found.holes) == (Bounds(300, 300), bounds(1512, 1514), 0)
    assert Phase(name="verified", window=window(22_000, 22_010), source="writes") in found.phases


def test_readings_before_the_fault_verify_nothing() -> None:
    """The baseline was read twice, the survivors never."""
    found = measured(samples={"reads": grid(30_000)}, ledger=writes(800), reads=settled(100, []), t0=window(4013, 4014))

    assert (found.ledgers[0].settled, found.rpo, found.lost_writes, found.holes) == (False, None, None, None)
    assert "verified" not in {phase.name for phase in found.phases}


def test_exposure_follows_the_data_loss_target() -> None:
    """Four seconds of target look at four seconds of writes."""
    found = measured(
        samples={"reads": grid(30_000)},
        ledger=writes(800),
        reads=settled(20_000, range(800)),
        t0=window(4013, 4014),
        objectives=[objective(Measure.RPO, 4000)],
    )

    assert (found.ledgers[0].exposure, found.ledgers[0].exposed) == (797, True)


def test_a_named_disaster_is_the_t0_of_data_loss_only() -> None:
    """Replication is slowed at 0.95 s; the primary is killed at 4.013 s."""
    world = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(500)),
        more=[
            Intent(at=4013 * MS, fault="kill", activity="kill", n=0),
            Done(at=4014 * MS, fault="kill", n=0, ok=True),
            Injected(at=4014 * MS, fault="kill", injection=Injection(effect=Effect.SHOWN)),
        ],
    )
    history = world.history()
    began = history.began

    named = History((replace(began, plan=replace(began.plan, disaster="kill")), *history.events[1:]))
    missing = History((replace(began, plan=replace(began.plan, disaster="never")), *history.events[1:]))

    assert (measure(named).t0, measure(named).disaster) == (T0, window(4013, 4014))
    assert (measure(named).rpo, measure(named).rto) == (bounds(1512, 1514), bounds(7940, 8050))
    assert (measure(missing).disaster, measure(missing).rpo) == (None, None)


# --- from the journal to the ledger ------------------------------------------------------------------------------


@pytest.mark.parametrize("t0", [T0, None], ids=["broken", "never broken"])
def test_ids_planned_in_the_journal_are_no_phantoms(t0: Window | None) -> None:
    """4 and 6 were planned and never reached the journal as samples; 5 was planned by another probe."""
    planned = [
        WritesPlanned(at=0, probe="writes", first=0, last=10, stride=2),
        WritesPlanned(at=0, probe="others", first=1, last=11, stride=2),
    ]
    (found,) = measured(
        samples={"reads": grid(20_000)}, ledger=writes(3), reads=settled(20_000, range(7)), t0=t0, more=planned
    ).ledgers

    assert (found.probe, found.recovered, found.phantom) == ("writes", (4, 6), (3, 5))


def test_a_reading_begun_with_recovery_counts() -> None:
    """Not before it: service was back with the sample sent at 6.0 s."""
    first, second = settled(6000, range(3))
    early = [replace(first, sent=first.sent - 1), replace(second, sent=second.sent - 1)]
    given = {"samples": {"reads": grid(20_000, DOWN_5S)}, "ledger": writes(3)}

    assert measured(**given, reads=[first, second]).ledgers[0].survivors == 3
    assert measured(**given, reads=early).ledgers[0].survivors is None


def test_exposure_is_asked_for_before_each_later_action() -> None:
    """Writes stopped at 2 s; another thing was broken at 5 s."""
    later = [
        Intent(at=5000 * MS, fault="outage", activity="break more", n=1),
        Done(at=5001 * MS, fault="outage", n=1, ok=True),
    ]
    given = {"samples": {"reads": grid(20_000)}, "reads": settled(20_000, range(2000)), "t0": window(1500, 1501)}

    assert measured(**given, ledger=writes(400), more=later).ledgers[0].exposed is False
    assert measured(**given, ledger=writes(400)).ledgers[0].exposed is True
    assert measured(**given, ledger=writes(2000), more=later).ledgers[0].exposed is True
