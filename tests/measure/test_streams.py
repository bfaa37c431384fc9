"""What direct, fresh and lag streams tell; milliseconds, the fault is at [950, 960]."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from drill.measure import measure
from drill.model import Began, Estimate, History, Outcome, Phase, Sample
from tests.measure.worlds import MS, World, bounds, grid, mark, window

EAST, WEST = "east timeline 1", "west timeline 2"


def asked(
    sent: float, by: str | None = None, value: float | None = None, *, bad: bool = False, took: float = 1
) -> Sample:
    at = round(sent * MS)
    outcome = Outcome.FAILED if bad else Outcome.OK
    return Sample(at, at, at + round(took * MS), outcome, "refused" if bad else "", by, value=value)


def run(shows: str, streams: dict[str, Sequence[Sample]], **more: object) -> History:
    """A run in which only `reads` is judged and the other streams show one thing."""
    reads = grid(20_000, [(1000, 3000)])
    history = World(samples={"reads": reads, **{name: list(each) for name, each in streams.items()}}, **more).history()
    plan = history.plan
    probes = tuple(
        msgspec.structs.replace(probe, shows=shows if probe.name in streams else "") for probe in plan.probes
    )
    began = msgspec.structs.replace(
        history.began,
        plan=msgspec.structs.replace(plan, probes=probes, judged=("reads",), observed=tuple(streams)),
    )
    assert isinstance(began, Began)
    return History((began, *history.events[1:]))


def phases(name: str, history: History) -> list[Phase]:
    return [phase for phase in measure(history).phases if phase.name == name]


def primary(until: float, end: float = 5000) -> list[Sample]:
    """East takes writes until it dies, and is a standby from 4,000 on."""
    alive = [asked(at, EAST, 1) for at in range(0, round(until), 100)]
    dead = [asked(at, bad=True) for at in range(round(until), 4000, 100)]
    return alive + dead + [asked(at, "east standby", 0) for at in range(4000, round(end), 100)]


def standby(promoted: float, end: float = 5000) -> list[Sample]:
    """West refuses writes until it is promoted."""
    before = [asked(at, "west standby", 0) for at in range(50, round(promoted), 100)]
    return before + [asked(at, WEST, 1) for at in range(len(before) * 100 + 50, round(end), 100)]


def test_a_promotion_is_when_the_new_primary_takes_a_write() -> None:
    """From the last write sent straight to it that it refused to the first it took."""
    history = run("promoted", {"east": primary(1000), "west": standby(2500)})

    assert phases("promoted", history) == [
        Phase(name="promoted", window=window(2450, 2550), source="west", text="west timeline 2 takes writes")
    ]


def test_a_hiccup_of_the_primary_is_no_promotion() -> None:
    """The same server on the same timeline takes writes again: nobody was promoted, answered or not in between."""
    hiccup = [asked(at, None if 1000 <= at < 2000 else EAST, 1, bad=1000 <= at < 2000) for at in range(0, 5000, 100)]
    frozen = [asked(at, EAST, 0 if 1000 <= at < 2000 else 1) for at in range(0, 5000, 100)]

    assert phases("promoted", run("promoted", {"east": hiccup})) == []
    assert phases("promoted", run("promoted", {"east": frozen})) == []


def test_a_server_without_a_name_is_promoted_when_it_had_refused() -> None:
    """Where answers do not say who gave them, a refusal before tells a promotion from a hiccup."""
    unnamed = [asked(at, None, 0 if at < 2500 else 1) for at in range(0, 5000, 100)]
    hiccup = [asked(at, None, 1, bad=1000 <= at < 2000) for at in range(0, 5000, 100)]

    assert [phase.window for phase in phases("promoted", run("promoted", {"west": unnamed}))] == [window(2400, 2500)]
    assert phases("promoted", run("promoted", {"west": hiccup})) == []


def test_failing_back_is_a_promotion_of_its_own() -> None:
    """East on a newer timeline takes writes again; how long west served lies between the two."""
    back = [asked(at, "east timeline 3", 1) for at in range(7000, 9000, 100)]
    history = run("promoted", {"east": [*primary(1000, 7000), *back], "west": standby(2500, 7000)}, undo=6000)
    found = measure(history)

    assert [(phase.source, phase.window) for phase in phases("promoted", history)] == [
        ("west", window(2450, 2550)),
        ("east", window(6900, 7000)),
    ]
    assert found.on_secondary == bounds(6900 - 2550, 7000 - 2450)


def test_one_promotion_told_by_system_and_probe_is_one() -> None:
    """What Patroni says a little earlier is shown as well and does not end the time on the secondary."""
    told = mark("promoted", 2300, 2440)
    history = run("promoted", {"east": primary(1000), "west": standby(2500)}, more=[told])
    found = measure(history)

    assert [phase.source for phase in phases("promoted", history)] == ["lab", "west"]
    assert found.on_secondary is not None
    assert found.on_secondary.upper is None


@given(st.integers(1000, 4000), st.integers(20, 300), st.integers(0, 299))
def test_the_promotion_lies_within_its_window(truth: int, period: int, shift: int) -> None:
    """Whenever the standby begins to take writes and however the probe falls, the window holds that instant."""
    west = [asked(at, *((WEST, 1) if at >= truth else ("w", 0))) for at in range(shift % period, 6000, period)]
    (phase,) = phases("promoted", run("promoted", {"west": west}))

    assert phase.window.lower < truth * MS <= phase.window.upper
    assert phase.window.upper - phase.window.lower == period * MS


def test_a_route_is_new_when_somebody_else_answers() -> None:
    """From the last answer of the old server, or failure, to the first answer of another; again after the undo."""
    by = [
        *[asked(at, "east") for at in range(0, 1000, 100)],
        *[asked(at, bad=True) for at in range(1000, 3000, 100)],
        *[asked(at, "west") for at in range(3000, 8000, 100)],
        *[asked(at, "east") for at in range(8000, 9000, 100)],
    ]

    assert phases("routed", run("routed", {"fresh": by}, undo=7000)) == [
        Phase(name="routed", window=window(2900, 3000), source="fresh", text="west answers"),
        Phase(name="routed", window=window(7900, 8000), source="fresh", text="east answers"),
    ]


def test_no_route_is_made_up() -> None:
    """The same server again, two that always took turns, or answers without a name are no new route."""
    same = [asked(at, "east", bad=1000 <= at < 3000) for at in range(0, 9000, 100)]
    turns = [asked(at, f"east-{at // 100 % 2}") for at in range(0, 9000, 100)]
    nameless = [asked(at) for at in range(0, 9000, 100)]

    for stream in (same, turns, nameless):
        assert phases("routed", run("routed", {"fresh": stream})) == []


def lag(*values: float | None, every: float = 100) -> list[Sample]:
    return [asked(n * every, EAST, value) for n, value in enumerate(values)]


def test_lag_is_what_was_known_when_the_disaster_came() -> None:
    """The last reading before, how old it was, and the highest; what came after the fault is not asked."""
    readings = lag(0.5, 1.5, None, None, None, None, None, None, 0.25, 0.0015, 9.0, 9.0)

    assert measure(run("replication_lag", {"lag": readings})).estimates == (
        Estimate(
            probe="lag",
            of="replication_lag",
            source=EAST,
            value=0.0015,
            sampled=window(900, 901),
            age=bounds(49, 60),
            highest=1.5,
            readings=10,
            empty=6,
        ),
    )


def test_no_lag_is_not_a_lag_of_nothing() -> None:
    """NULL, a failed reading and none at all stay empty, each with its reason."""
    null = lag(1.5, None)
    failed = [*lag(1.5), asked(800, EAST, 7.0, bad=True)]
    late = [asked(970, EAST, 1.5)]
    found = measure(run("replication_lag", {"null": null, "failed": failed, "late": late})).estimates

    assert [(each.value, each.error, each.highest, each.readings, each.empty, each.failed) for each in found] == [
        (None, "the system gave no value", 1.5, 2, 1, 0),
        (None, "refused", 1.5, 1, 0, 1),
        (None, "nothing was read before the disaster", None, 0, 0, 0),
    ]


def test_without_a_disaster_there_is_nothing_to_set_lag_beside() -> None:
    """A run that broke nothing has no estimates."""
    assert measure(run("replication_lag", {"lag": lag(1.5)}, t0=None)).estimates == ()
