"""The edges of what direct, fresh and lag streams tell."""

from __future__ import annotations

from drill.measure import measure
from drill.model import Outcome, Sample
from tests.measure.test_streams import EAST, WEST, asked, phases, run
from tests.measure.worlds import MS, window


def test_a_server_that_another_stream_had_seen_take_writes_is_not_promoted() -> None:
    """Questions of all streams count in the order in which they were asked, not stream by stream."""
    away = [asked(at, bad=True) for at in range(0, 3000, 100)] + [asked(at, EAST, 1) for at in range(3000, 5000, 100)]
    near = [asked(at, EAST, 1) for at in range(50, 5000, 100)]

    assert phases("promoted", run("promoted", {"away": away, "near": near})) == []


def test_a_server_without_a_name_can_be_promoted_again() -> None:
    """Each refusal before a take is one."""
    twice = [asked(at, None, 1 if at < 500 or 1500 <= at < 2000 or at >= 3000 else 0) for at in range(0, 5000, 100)]

    assert [phase.window for phase in phases("promoted", run("promoted", {"west": twice}))] == [
        window(1400, 1500),
        window(2900, 3000),
    ]


def test_a_promotion_at_the_instant_of_the_fault_is_one() -> None:
    """A server that refused at the run's first instant and takes writes as the command is sent."""
    found = phases("promoted", run("promoted", {"west": [asked(0, "west standby", 0), asked(950, WEST, 1)]}))

    assert [phase.window for phase in found] == [window(0, 950)]


def test_a_route_at_the_instant_of_the_fault_is_new() -> None:
    """Who answers then is not who had answered before."""
    found = phases("routed", run("routed", {"fresh": [asked(0, EAST), asked(950, WEST), asked(1100, EAST)]}))

    assert [(phase.window, phase.text) for phase in found] == [(window(0, 950), f"{WEST} answers")]


def test_a_route_that_changes_with_the_undo_is_the_way_back() -> None:
    """Told once, by the undo's own stretch, for each stream that saw it."""
    back = [asked(at, EAST if at < 6000 else WEST) for at in range(0, 9000, 100)]
    found = phases("routed", run("routed", {"a": back, "b": back}, undo=6000))

    assert [(phase.source, phase.window) for phase in found] == [("a", window(5900, 6000)), ("b", window(5900, 6000))]


def test_a_wrong_answer_shows_no_route() -> None:
    """Another server that says no serves nobody."""
    wrong = [asked(at, WEST, bad=True) for at in range(1000, 2000, 100)]
    found = phases("routed", run("routed", {"fresh": [asked(500, EAST), *wrong, asked(2500, EAST)]}))

    assert found == []


def test_lag_that_was_read_as_the_disaster_came_is_known() -> None:
    """The answer that arrived with the command is the newest; one that was not decided is none."""
    odd = Sample(930 * MS, 930 * MS, 940 * MS, Outcome.UNKNOWN, value=9.0)
    late = Sample(700 * MS, 945 * MS, 950 * MS, Outcome.OK, value=3.0)
    first = asked(0, None, 1.0)
    (found,) = measure(run("replication_lag", {"lag": [first, late, asked(800, None, 2.0), odd]})).estimates

    assert (found.value, found.sampled, found.readings, found.failed) == (3.0, window(945, 950), 3, 0)
    (alone,) = measure(run("replication_lag", {"lag": [first]})).estimates
    assert alone.sampled == window(0, 1)
