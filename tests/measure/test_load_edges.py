"""The edges of what is told of a load: bands, ranks, stretches, shortfalls and capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.measure import measure
from drill.measure.traffic import band, edges, quantile, wanted
from drill.model import (
    SECOND,
    Bounds,
    History,
    Load,
    LoadBegan,
    LoadEnded,
    LoadMeasure,
    LoadStep,
    Parameters,
    Traffic,
    TrafficSecond,
    Window,
)
from tests.measure.worlds import MS, World, grid, window

RATE = Load(steps=(LoadStep(rate=100),))
USERS = Load(steps=(LoadStep(users=20),))
SCRIPT = Load(tool="k6", script="load.js")
AWAY = [(11_000, 16_000)]
FAULT = window(10_950, 10_960)


def run(
    load: Load = RATE,
    sent: Sequence[int] = (100,) * 30,
    *,
    good: Sequence[int] | None = None,
    users: Sequence[int] = (20,) * 30,
    missing: Sequence[int] = (),
    latency: tuple[tuple[int, int], ...] = (),
    down: Sequence[tuple[float, float]] = AWAY,
    t0: Window | None = FAULT,
    began: float = 0,
    ended: float = 30_000,
    error: str = "",
    **world: Any,
) -> LoadMeasure:
    """A run of 30 s whose load did so much each second; all of it was answered well unless said otherwise."""
    well = sent if good is None else good
    seconds = tuple(
        TrafficSecond(n * SECOND, 0, users[n], sent[n], well[n], sent[n] - well[n], latency)
        for n in range(30)
        if n not in missing
    )
    history = World(
        samples={"reads": grid(30_000, down)},
        t0=t0,
        parameters=Parameters(hold=2 * SECOND),
        more=[
            LoadBegan(at=round(began * MS), processes=1),
            Traffic(at=30_000 * MS, seconds=seconds),
            LoadEnded(at=round(ended * MS), process=0, error=error),
        ],
        **world,
    ).history()
    first, *rest = history.events
    found = measure(
        History((msgspec.structs.replace(first, plan=msgspec.structs.replace(history.plan, load=load)), *rest))
    ).load
    assert found is not None
    return found


def stretches(found: LoadMeasure) -> list[tuple[str, int, int]]:
    return [(phase.name, phase.begin // SECOND, phase.end // SECOND) for phase in found.phases]


# --- bands and ranks --------------------------------------------------------------------------------------------------


@given(st.integers(1, 10**12))
def test_a_latency_lies_in_its_band(ns: int) -> None:
    """However short or long it was."""
    found = edges(band(ns))

    assert found.upper is not None
    assert found.lower <= ns <= found.upper


def test_bands_are_five_percent_wide_and_rounded_outwards() -> None:
    """The first holds all up to 1.05 microseconds, each further one begins where the one before ends."""
    assert [band(ns) for ns in (1, 1000, 1049, 1051, 1102, 1103)] == [0, 0, 0, 1, 1, 2]
    assert edges(0) == Bounds(0, 1051)
    assert edges(1) == Bounds(1049, 1103)
    assert edges(10) == Bounds(1628, 1711)


@pytest.mark.parametrize(
    ("bands", "thousandths", "found"),
    [
        ({3: 2, 5: 1, 9: 1}, 500, 3),
        ({3: 2, 5: 1, 9: 1}, 501, 5),
        ({3: 2, 5: 1, 9: 1}, 750, 5),
        ({3: 2, 5: 1, 9: 1}, 990, 9),
        ({4: 1, 6: 1}, 1, 4),
        # A thousandth of a rank decides only among many.
        ({1: 1000, 2: 1002}, 500, 2),
    ],
)
def test_a_quantile_is_the_band_of_its_rank(bands: dict[int, int], thousandths: int, found: int) -> None:
    """Nearest rank, rounded up: half of four is the second."""
    assert quantile(Counter(bands), thousandths) == edges(found)


def test_the_quantiles_of_a_stretch_are_its_own() -> None:
    """Of 1,000 answers a second the 500th, 950th and 990th, not the ones after them."""
    spread = ((10, 500), (20, 450), (30, 40), (40, 10))
    before, *_ = run(sent=(1000,) * 30, latency=spread).phases

    assert (before.p50, before.p95, before.p99) == (edges(10), edges(20), edges(30))


# --- what is wanted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ((LoadStep(users=10, lasts=5 * SECOND), LoadStep(users=20)), (None, 150)),
        ((LoadStep(users=10, lasts=5 * SECOND), LoadStep(users=20, lasts=SECOND)), (None, 150)),
        ((LoadStep(rate=10, lasts=5 * SECOND), LoadStep(users=3)), (50.0, 15)),
        ((LoadStep(rate=10, lasts=20 * SECOND), LoadStep(rate=99)), (100.0, None)),
        ((), (None, None)),
    ],
)
def test_what_is_wanted_of_ten_seconds(steps: tuple[LoadStep, ...], found: tuple[float | None, int | None]) -> None:
    """Requests and user seconds, step by step; the last step lasts to the end whatever it says."""
    assert wanted(Load(steps=steps), 0, 0, 10 * SECOND) == found


def test_a_load_that_never_began_has_no_stretches() -> None:
    """Nothing of it is known but that."""
    history = World(samples={"reads": grid(20_000)}).history()
    first, *rest = history.events
    told = History((msgspec.structs.replace(first, plan=msgspec.structs.replace(history.plan, load=RATE)), *rest))

    assert measure(told).load == LoadMeasure(processes=0, phases=(), short=("the load was never begun",))


# --- stretches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "found"),
    [
        ({}, [("before", 0, 10), ("during", 11, 16), ("after", 16, 30)]),
        ({"undo": 22_500}, [("before", 0, 10), ("during", 11, 16), ("after", 16, 22)]),
        ({"ended": 25_000}, [("before", 0, 10), ("during", 11, 16), ("after", 16, 25)]),
        ({"ended": 14_000, "error": "killed"}, [("before", 0, 10), ("during", 11, 16), ("after", 16, 30)]),
        ({"ended": 20_000, "undo": 22_500}, [("before", 0, 10), ("during", 11, 16), ("after", 16, 20)]),
        ({"t0": None}, [("before", 0, 30)]),
        ({"down": [(11_000, 40_000)]}, [("before", 0, 10), ("during", 11, 30)]),
        ({"down": [(11_000, 40_000)], "undo": 22_500}, [("before", 0, 10), ("during", 11, 22)]),
        ({"down": []}, [("before", 0, 10), ("after", 11, 30)]),
        ({"down": [], "t0": window(10_950, 11_050)}, [("before", 0, 10), ("after", 12, 30)]),
    ],
)
def test_a_run_is_cut_into_stretches(world: dict[str, Any], found: list[tuple[str, int, int]]) -> None:
    """Before the fault, until service is back, until the undo: whole seconds, none of them empty."""
    told = run(**world)

    assert stretches(told) == found
    assert told.processes == 1


def test_users_are_counted_as_requests_are() -> None:
    """Asked for and run, in user seconds."""
    before, *_ = run(USERS, users=(19,) * 30).phases

    assert (before.wanted, before.users, before.ran, before.sent) == (None, 200, 190, 1000)


# --- short ------------------------------------------------------------------------------------------------------------


NONE_SENT = "after recovery, 0 requests were sent a second instead of 100"


def over(before: int, during: int, after: int) -> tuple[int, ...]:
    """So many each second before the fault, during the outage and after it."""
    return (before,) * 11 + (during,) * 5 + (after,) * 14


@pytest.mark.parametrize(
    ("world", "short"),
    [
        ({"sent": over(95, 95, 95)}, ()),
        ({"sent": over(94, 100, 100)}, ("before the fault, 94 requests were sent a second instead of 100",)),
        ({"sent": over(100, 50, 100)}, ("during the outage, 50 requests were sent a second instead of 100",)),
        ({"sent": over(100, 100, 90)}, ("after recovery, 90 requests were sent a second instead of 100",)),
        # A stretch of two seconds shows a hiccup, one of three a rate.
        (
            {"sent": over(100, 0, 100), "down": [(11_000, 13_000)]},
            ("after recovery, 82.35 requests were sent a second instead of 100",),
        ),
        ({"sent": over(100, 0, 0), "undo": 18_500, "down": [(11_000, 13_000)]}, (NONE_SENT,)),
        ({"sent": (100,) * 11 + (0,) * 19, "undo": 15_900, "down": [(11_000, 12_900)]}, ()),
        ({"sent": (100,) * 16 + (0,) * 14, "undo": 19_500}, (NONE_SENT,)),
        ({"missing": (3,)}, ("before the fault, 90 requests were sent a second instead of 100",)),
        ({"load": SCRIPT, "missing": (3,)}, ()),
        (
            {"load": SCRIPT, "missing": (3, 4)},
            ("before the fault, what the load did is not known for 2 of 10 seconds",),
        ),
        ({"load": USERS, "users": over(19, 19, 19)}, ()),
        ({"load": USERS, "users": over(18, 20, 20)}, ("before the fault, 18 users ran instead of 20",)),
        ({"load": SCRIPT, "sent": over(0, 100, 100)}, ("before the fault, the load sent nothing",)),
        ({"load": SCRIPT, "sent": over(1, 0, 0)}, ()),
    ],
)
def test_what_the_load_lacked_is_said(world: dict[str, Any], short: tuple[str, ...]) -> None:
    """More than a twentieth of what was asked for, in a stretch long enough to tell; one sentence each."""
    assert run(**world).short == short


# --- capacity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "found"),
    [
        ({"sent": over(100, 0, 80)}, Bounds(800_000, 800_000)),
        # Half before and four tenths after is four fifths.
        ({"sent": (100,) * 30, "good": over(50, 0, 40)}, Bounds(800_000, 800_000)),
        ({"load": USERS, "sent": over(100, 0, 80)}, Bounds(800_000, 800_000)),
        ({"load": SCRIPT, "sent": over(100, 0, 80)}, Bounds(800_000, 800_000)),
        ({"load": SCRIPT, "sent": over(100, 0, 80), "began": 3000}, Bounds(800_000, 800_000)),
        (
            {"load": Load(steps=(LoadStep(users=10, lasts=11 * SECOND), LoadStep(users=20))), "sent": over(50, 0, 80)},
            Bounds(800_000, 800_000),
        ),
        ({"sent": over(0, 0, 80)}, None),
        ({"sent": over(100, 0, 80), "missing": (3,)}, None),
        ({"sent": over(100, 0, 80), "missing": (20,)}, None),
        ({"sent": over(100, 0, 80), "undo": 19_500}, Bounds(800_000, 800_000)),
        ({"sent": over(100, 0, 80), "undo": 18_500}, None),
        ({"sent": over(100, 0, 80), "down": [(11_000, 40_000)]}, None),
        ({"t0": window(2_500, 2_510), "down": [(2_550, 5_000)]}, None),
    ],
)
def test_capacity_is_what_is_answered_of_what_is_asked(world: dict[str, Any], found: Bounds | None) -> None:
    """Good answers after recovery as a share of before, where three whole seconds of both are known."""
    assert run(**world).capacity == found
