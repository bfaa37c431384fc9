"""The edges of what was done and when, of watching after it, and of writes kept in columns."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drill.measure import measure_probe
from drill.measure.faults import effect, fault_windows, last_action
from drill.measure.writes import Ids, Write, Writes, writes_of
from drill.model import (
    AnyEvent,
    Done,
    Effect,
    Fate,
    History,
    Injected,
    InjectFailed,
    Injection,
    Intent,
    Outcome,
    Parameters,
    ProbeMeasure,
    Sample,
)
from tests.measure.worlds import MS, T0, T, World, grid

HOLD = Parameters(hold=1000 * MS)


def world(*more: AnyEvent, **changes: object) -> History:
    """A run to 20 s whose fault was made at [950, 960], with more events."""
    return World(samples={"reads": grid(20_000)}, more=more, **changes).history()  # type: ignore[arg-type]


def second(at: float, *, breaks: bool = True, undoing: bool = False) -> Intent:
    return Intent(at=round(at * MS), fault="second", activity="do it", n=0, breaks=breaks, undoing=undoing)


# --- the last action --------------------------------------------------------------------------------------------------


def test_the_last_action_is_confirmed_by_its_return() -> None:
    """Not by when it was sent, nor by what its engine said afterwards."""
    done = Done(at=5100 * MS, fault="second", n=0, ok=True)
    said = Injected(at=6000 * MS, fault="second", injection=Injection(effect=Effect.SHOWN))

    assert last_action(world(second(5000), done, said)) == 5100 * MS


@pytest.mark.parametrize(
    "said",
    [
        Injected(at=6000 * MS, fault="second", injection=Injection(effect=Effect.SHOWN)),
        InjectFailed(at=6000 * MS, fault="second", error="no"),
    ],
)
def test_an_action_without_a_return_is_confirmed_by_what_was_said_of_its_fault(said: AnyEvent) -> None:
    """Carried out or failed; without either, by nothing before the run's last event."""
    silent = world(second(5000))

    assert last_action(world(second(5000), said)) == 6000 * MS
    assert last_action(silent) == silent.latest


def test_looking_and_undoing_are_no_actions() -> None:
    """Only what breaks counts."""
    assert last_action(world(second(5000, breaks=False))) == T0.upper
    assert last_action(world(second(5000, undoing=True))) == T0.upper
    assert last_action(world(t0=None)) is None


# --- what an outage proves --------------------------------------------------------------------------------------------


def judged(*down: tuple[float, float], hold: int = 1000) -> list[ProbeMeasure]:
    found = measure_probe("reads", grid(20_000, down), T0, T, Parameters(hold=hold * MS))
    return [found]


def proof(history: History, probes: list[ProbeMeasure]) -> Effect:
    return effect(history, fault_windows(history), probes)[0]


def test_an_outage_begun_within_hold_of_the_last_action_is_the_faults() -> None:
    """To the very instant; a hiccup later than that is not."""
    silent = world(effect=Effect.UNKNOWN)
    at_the_edge = replace(silent, events=tuple(moved(event) for event in silent.events))

    assert proof(at_the_edge, judged((2000, 2500))) is Effect.SHOWN
    assert proof(at_the_edge, judged((2100, 2500))) is Effect.UNKNOWN


def moved(event: AnyEvent) -> AnyEvent:
    """The fault's confirmation at 1,000 ms instead of 960."""
    return replace(event, at=1000 * MS) if isinstance(event, Done | Injected) else event


def test_every_action_of_a_fault_may_have_caused_an_outage() -> None:
    """The hold counts from the last of several, not from the first."""
    later = Intent(at=5000 * MS, fault="outage", activity="again", n=1)
    done = Done(at=5100 * MS, fault="outage", n=1, ok=True)

    assert proof(world(later, done, effect=Effect.UNKNOWN), judged((5500, 7000))) is Effect.SHOWN
    assert proof(world(effect=Effect.UNKNOWN), judged((5500, 7000))) is Effect.UNKNOWN


@pytest.mark.parametrize(("until", "shown"), [(5000, Effect.UNKNOWN), (5100, Effect.SHOWN)])
def test_an_outage_that_was_over_before_a_second_fault_does_not_prove_it(until: float, shown: Effect) -> None:
    """Its last failed request must have been sent no sooner than the second fault's command."""
    more = [
        second(5000),
        Done(at=5010 * MS, fault="second", n=0, ok=True),
        Injected(at=5020 * MS, fault="second", injection=Injection(effect=Effect.UNKNOWN)),
    ]

    assert proof(world(*more), judged((1000, until))) is shown


# --- watching ---------------------------------------------------------------------------------------------------------


def watched(down: list[tuple[float, float]], missing: range, acted: float) -> bool:
    seen = grid(20_000, down, missing=set(missing))
    return measure_probe("reads", seen, T0, T, HOLD, acted=round(acted * MS)).watched


def test_a_recovery_that_held_is_watched_whatever_was_missed_before_it() -> None:
    """A gap inside the outage hides nothing of how service bore it."""
    gap = range(1500, 2500, 100)

    assert watched([(1000, 3000)], gap, 960)
    assert watched([(1000, 3000)], gap, 3000)
    # Acted on after it was back: what came then was not seen through.
    assert not watched([(1000, 3000)], range(4100, 5000, 100), 3500)


def test_a_recovery_at_the_instant_of_the_last_action_held_after_it() -> None:
    """Though nothing was seen for a while before."""
    assert watched([(1000, 2000)], range(2000, 2500, 100), 2500)


@pytest.mark.parametrize(("missing", "gap"), [(range(2100, 2300, 100), False), (range(2100, 2400, 100), True)])
def test_more_than_three_periods_without_an_answer_are_a_gap(missing: range, gap: bool) -> None:
    """Where no outage was seen at all, one of that length could hide."""
    assert measure_probe("reads", grid(20_000, missing=set(missing)), T0, T, HOLD).gap is gap


# --- columns ----------------------------------------------------------------------------------------------------------


def test_instants_before_the_clock_began_are_kept() -> None:
    """A monotonic clock may begin anywhere."""
    early = Write(-7, Fate.ACKNOWLEDGED, -20, -10, None)

    assert list(Writes([early]).values()) == [early]
    assert -7 in Ids((-7, 3))


def test_ids_must_increase() -> None:
    """Neither the same again nor a smaller one."""
    one, two = (Write(id, Fate.REFUSED, id, id) for id in (1, 2))

    with pytest.raises(ValueError, match="the id 1 does not follow 1"):
        Writes([one, one])
    with pytest.raises(ValueError, match="the id 1 does not follow 2"):
        Writes([two, one])


def test_what_was_not_written_is_not_there() -> None:
    """Beyond the last id, before the first, or no id at all."""
    known = Writes([Write(3, Fate.UNKNOWN, 1, 2)])

    assert [known.get(id) for id in (2, 4)] == [None, None]
    with pytest.raises(KeyError, match="4"):
        known[4]
    assert "three" not in known
    assert "three" not in Ids((3,))
    assert 3 in Ids((3,))


@pytest.mark.parametrize("servers", [40_000, 70_000])
def test_a_server_that_says_another_name_each_time_is_told_apart(servers: int) -> None:
    """However many names there are."""
    seen = [Sample(n, n, n + 1, Outcome.OK, "", f"node {n}", n, Fate.ACKNOWLEDGED) for n in range(servers)]
    kept = writes_of(seen)

    assert [kept[n].served_by for n in (0, 35_000, servers - 1)] == ["node 0", "node 35000", f"node {servers - 1}"]
    assert (len(kept.values()), len(kept.items())) == (servers, servers)
