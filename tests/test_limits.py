"""What a report says a run does not show, and what it asks about its own figures."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from drill.limits import limits
from drill.measure import measure
from drill.model import SECOND, Began, History, Usual
from drill.verdict import judge
from tests.measure.worlds import World, grid, settled, window, write, writes

DOWN_5S = [(1000, 6000)]


def said(history: History) -> list[str]:
    """Every limit, with ordinary spaces."""
    measured = measure(history)
    return [each.replace("\u00a0", " ") for each in limits(history, measured, judge(history, measured))]


def of(**world: Any) -> list[str]:
    return said(World(**world).history())


def planned(history: History, **changes: Any) -> History:
    began, *rest = history.events
    assert isinstance(began, Began)
    return History((replace(began, plan=replace(began.plan, **changes)), *rest))


@pytest.mark.parametrize(
    ("usual", "finding"),
    [
        (
            Usual(kind="patroni"),
            "Finding: a recovery time of 4.94–5.05 s is shorter than is usual for Patroni (20 s to 42 s): "
            "was something else measured?",
        ),
        (
            Usual(at_most=4 * SECOND),
            "Finding: a recovery time of 4.94–5.05 s is longer than is usual for such a failover (0 s to 4 s): "
            "was something else measured?",
        ),
        (Usual(kind="aurora"), None),
        (Usual(at_least=5 * SECOND), None),
        (None, None),
    ],
)
def test_an_unusual_recovery_time_is_a_question(usual: Usual | None, finding: str | None) -> None:
    """Only where it surely lies outside of what is usual; no verdict hangs on it."""
    found = said(planned(World(samples={"reads": grid(20_000, DOWN_5S)}).history(), usual=usual))

    assert [each for each in found if each.startswith("Finding")] == ([finding] if finding else [])


def test_an_unusual_loss_is_a_finding() -> None:
    """A second and a half, where nothing at all is usual."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(500)),
        t0=window(4013, 4014),
    ).history()

    assert "Finding: a data loss of 1.51–1.52 s is more than is usual for Aurora with a replica (0 s at most)." in said(
        planned(history, usual=Usual(kind="aurora"))
    )


def test_a_partial_outage_says_how_much_its_edges_blur() -> None:
    """Every second request failed for five seconds: the edges are good to 3T/f."""
    half = [(at, at + 100) for at in range(1000, 6000, 200)]

    assert (
        "reads: 51.02 % of the requests failed during its outage, not all: "
        "its edges are estimates, good to about 589 ms." in of(samples={"reads": grid(20_000, half)})
    )


def test_a_flap_does_not_make_an_outage_partial() -> None:
    """One good answer in five seconds."""
    found = of(samples={"reads": grid(20_000, [(1000, 3000), (3100, 6000)])})

    assert not any("its edges are estimates" in each for each in found)


def test_one_way_to_write_sees_one_server() -> None:
    """Unless it saw two."""
    alone = [write(i, 5 * i, 5 * i + 1, served_by="east/1") for i in range(800)]
    twice = [write(i, 5 * i, 5 * i + 1, served_by=f"node-{i % 2}/{i % 2}") for i in range(800)]
    sentence = (
        "writes: two servers at once would only have shown on the way that writes takes; "
        "a probe that writes straight to each server (with the same store) sees more."
    )

    assert sentence in of(samples={"reads": grid(20_000)}, ledger=alone)
    assert sentence not in of(samples={"reads": grid(20_000)}, ledger=twice)
    assert sentence not in of(samples={"reads": grid(20_000)}, ledger=alone, judge_ledger=False)


def test_answers_that_name_nobody_show_no_split_brain() -> None:
    """And the report says so."""
    sentence = (
        "writes: whether two servers took writes at once is not known, because no answer names a server and its epoch."
    )

    assert sentence in of(samples={"reads": grid(20_000)}, ledger=writes(800))


def test_a_loss_of_an_observed_ledger_is_told() -> None:
    """Nobody asked for it, and still it is gone."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(30_000, [(4100, 9000)])},
        "ledger": writes(800),
        "reads": settled(20_000, range(799)),
        "t0": window(4013, 4014),
    }
    sentence = "writes, observed and not judged: 1 acknowledged write is gone."

    assert sentence in of(**world, judge_ledger=False)
    assert sentence not in of(**world)


def test_an_extrapolated_loss_is_marked_as_one() -> None:
    """Whatever was lost."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(800)),
        t0=window(4013, 4014),
    ).history()
    sentence = "The loss at 250 commits per second is an extrapolation: losses in one failover are not independent."

    assert sentence in said(planned(history, commit_rate=250.0))
    assert sentence not in said(history)
