"""Split brain: what answers must tell for it, and for how long two servers acknowledged at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.measure.ledger import Write, writes_of
from drill.measure.overlap import Server, overlap, server
from drill.model import Bounds, Fate, Overlap, Sample
from tests.measure.worlds import MS, T0, bounds, window, write

OLD = "east/postgres-east/1"
NEW = "west/postgres-west/2"


def acknowledged(by: str | None, sent: Sequence[float], first: int = 0, took: float = 1) -> list[Sample]:
    """One acknowledged write at each instant, ids counted from *first*."""
    return [write(first + n, at, at + took, served_by=by) for n, at in enumerate(sent)]


def found(*samples: Sequence[Sample], t0: object = T0) -> Overlap:
    return overlap("orders", ["a", "b"], writes(*samples), t0)  # type: ignore[arg-type]


def writes(*samples: Sequence[Sample]) -> list[Write]:
    return list(writes_of(chain(*samples)).values())


@pytest.mark.parametrize(
    ("said", "who"),
    [
        ("east/postgres-east/1", Server(1, "east/postgres-east")),
        ("postgres-east/17", Server(17, "postgres-east")),
        ("10.0.0.7:5432 timeline 2", Server(2, "10.0.0.7:5432")),
        ("east", None),
        ("east/postgres-east", None),
        ("10.0.0.7:6379", None),
        ("/1", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_node_with_its_epoch_is_a_server(said: str | None, who: Server | None) -> None:
    """A region, a router or an address may stand before one database."""
    assert server(said) == who


def test_two_servers_that_acknowledge_at_once_overlap() -> None:
    """Vector 10: the old one from 0 to 991 ms, the new one from 705 ms on."""
    old = acknowledged(OLD, [10 * i for i in range(100)])
    new = acknowledged(NEW, [705 + 10 * i for i in range(100)], first=1000)

    assert found(old, new) == Overlap(
        store="orders",
        probes=("a", "b"),
        servers=("east/postgres-east, epoch 1", "west/postgres-west, epoch 2"),
        length=bounds(284, 286),
    )


def test_one_after_the_other_is_no_split_brain() -> None:
    """The new one first acknowledges after the old one's last answer."""
    assert found(acknowledged(OLD, [900, 980]), acknowledged(NEW, [2000], first=10)).length == Bounds(0, 0)


def test_answers_that_cross_may_be_a_split_brain() -> None:
    """The new one's first write was sent before the old one's last answer was there, and answered after it."""
    assert found(acknowledged(OLD, [960], took=40), acknowledged(NEW, [990], first=10, took=50)).length == bounds(0, 10)


def test_the_same_node_under_a_later_epoch_is_no_rival() -> None:
    """East leads, west leads, and east leads again after failing back."""
    again = "east/postgres-east/3"

    assert found(
        acknowledged(OLD, [900, 1000]),
        acknowledged(NEW, [2000, 3000], first=10),
        acknowledged(again, [4000, 5000], first=20),
    ) == Overlap(
        store="orders",
        probes=("a", "b"),
        servers=("east/postgres-east, epoch 1", "west/postgres-west, epoch 2", "east/postgres-east, epoch 3"),
        length=Bounds(0, 0),
    )


def test_the_epoch_tells_old_from_new_whoever_answered_first() -> None:
    """The new one acknowledged long before the old one was heard of, and then both did."""
    new, old = acknowledged(NEW, [1000, 1100], first=10), acknowledged(OLD, [1050, 1200])

    assert found(new, old).length == bounds(1200 - 1001, 1201 - 1000)


def test_of_two_with_one_epoch_the_first_to_answer_is_the_old_one() -> None:
    """Two standbys promoted themselves from the same past: both call it epoch 1."""
    old = acknowledged("zeta/1", [10 * i for i in range(100)])
    new = acknowledged("alpha/1", [705 + 10 * i for i in range(100)], first=1000)

    assert found(old, new).length == bounds(284, 286)


def test_of_three_servers_the_longest_overlap_counts() -> None:
    """Nobody with three primaries should hear of the shortest."""
    third = "north/postgres-north/3"

    assert found(
        acknowledged(OLD, [1000, 1500]),
        acknowledged(NEW, [1400, 3000], first=10),
        acknowledged(third, [2000], first=20),
    ).length == bounds(3000 - 2001, 3001 - 2000)


def test_what_was_over_before_the_fault_is_not_the_drills() -> None:
    """Both acknowledged up to 0.9 s; the fault came at 0.95 s."""
    old, new = acknowledged(OLD, [100, 900]), acknowledged(NEW, [200, 800, 2000], first=10)

    assert found(old, new).length == Bounds(0, 0)
    assert found(old, new, t0=None).length == bounds(900 - 201, 901 - 200)
    assert found(old, new, t0=window(901, 902)).length == bounds(900 - 201, 901 - 200)


def test_an_acknowledgement_of_nobody_leaves_no_upper_bound() -> None:
    """It may have been the other server's; before the fault it does not matter."""
    served = [*acknowledged(OLD, [900, 1200]), *acknowledged(NEW, [1000], first=10)]

    assert found(served, acknowledged(None, [1500], first=20)).length == bounds(199, None)
    assert found(served, acknowledged(None, [500], first=20)).length == bounds(199, 201)
    assert found(served, acknowledged(None, [949], first=20)).length == bounds(199, None)


@pytest.mark.parametrize("by", [None, "east", "127.0.0.1:6379"])
def test_nothing_is_known_where_no_answer_tells(by: str | None) -> None:
    """Never 0."""
    assert found(acknowledged(by, [1000, 2000])) == Overlap(store="orders", probes=("a", "b"))


def test_only_acknowledgements_count() -> None:
    """A refusal or a write without an answer of the old server is no split brain."""
    refused = write(20, 1500, 1501, Fate.REFUSED, OLD)
    unknown = write(21, 1600, 1601, Fate.UNKNOWN, OLD)

    assert found(acknowledged(OLD, [900]), acknowledged(NEW, [1000], first=10), [refused, unknown]).length == Bounds(
        0, 0
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, list[tuple[str, int, int, int]]]:
    """When old stopped and new began to commit, and writes (server, sent, committed, ended) in milliseconds."""
    stops, begins = draw(st.integers(1000, 3000)), draw(st.integers(1000, 3000))
    made = []
    for _ in range(draw(st.integers(1, 30))):
        by = draw(st.sampled_from([OLD, NEW]))
        commit = draw(st.integers(950, stops) if by == OLD else st.integers(begins, 4000))
        made.append((by, commit - draw(st.integers(0, 50)), commit, commit + draw(st.integers(0, 50))))
    return stops, begins, made


@given(histories())
def test_the_true_overlap_of_the_commits_is_inside_the_bounds(
    world: tuple[int, int, list[tuple[str, int, int, int]]],
) -> None:
    """From the new one's first commit to the old one's last, and never longer than both really took writes."""
    stops, begins, made = world
    length = found([write(n, sent, ended, served_by=by) for n, (by, sent, _, ended) in enumerate(made)]).length
    old, new = ([commit for by, _, commit, _ in made if by == each] for each in (OLD, NEW))
    truth = max(0, max(old) - min(new)) if old and new else 0

    assert length is not None
    assert length.upper is not None
    assert length.lower <= truth * MS <= length.upper
    assert length.lower <= max(0, stops - begins) * MS
