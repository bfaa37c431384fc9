"""Writes in columns are the writes that were sent, and ids in columns the ids that were found."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.measure import ledger
from drill.measure.writes import Ids, Write, Writes, writes_of
from drill.model import Bounds, Fate, Outcome, Sample, SurvivorRead, Window

IDS = st.lists(st.integers(0, 12))
SAMPLES = st.lists(
    st.builds(
        Sample,
        planned=st.just(0),
        sent=st.one_of(st.none(), st.integers(0, 9)),
        ended=st.one_of(st.none(), st.integers(10, 19)),
        outcome=st.just(Outcome.OK),
        detail=st.just(""),
        served_by=st.sampled_from([None, "east", "west"]),
        id=st.one_of(st.none(), st.integers(0, 12)),
        fate=st.sampled_from([None, *Fate]),
    )
)


@given(SAMPLES)
@settings(max_examples=300, deadline=None)
def test_of_every_id_the_strongest_fate_is_kept(samples: list[Sample]) -> None:
    """Acknowledged outweighs unknown, unknown outweighs refused, and of equals the first counts."""
    strength = [Fate.REFUSED, Fate.UNKNOWN, Fate.ACKNOWLEDGED]
    expected: dict[int, Write] = {}
    for each in samples:
        if each.id is None or each.sent is None:
            continue
        fate = each.fate or Fate.UNKNOWN
        other = expected.get(each.id)
        if other is None or strength.index(other.fate) < strength.index(fate):
            ended = each.sent if each.ended is None else each.ended
            expected[each.id] = Write(each.id, fate, each.sent, ended, each.served_by)

    found = writes_of(samples)

    assert dict(found.items()) == expected
    assert list(found) == sorted(expected)
    assert list(found.values()) == [expected[id] for id in sorted(expected)]
    assert all(found[id] == write for id, write in expected.items())
    assert {fate: found.count(fate) for fate in Fate} == {
        fate: sum(write.fate is fate for write in expected.values()) for fate in Fate
    }


@given(IDS, IDS)
@settings(max_examples=300, deadline=None)
def test_ids_are_a_set_that_counts(found: list[int], asked: list[int]) -> None:
    """Membership, size, repetitions and what is missing, whatever the order they were read in."""
    ids, others = Ids(found), sorted(set(asked))

    assert len(ids) == len(set(found))
    assert ids.repeated == len(found) - len(set(found))
    assert [id in ids for id in asked] == [id in set(found) for id in asked]
    assert ids.among(np.array(others, np.int64)).tolist() == [id in set(found) for id in others]
    assert ids.without(np.array(others, np.int64)) == sorted(set(found) - set(asked))


def test_an_id_longer_than_any_of_ours_is_told() -> None:
    """A store may hold what we never wrote: a phantom of a hundred bits is one all the same."""
    huge = 1 << 100
    write = Sample(0, 0, 1, Outcome.OK, id=1, fate=Fate.ACKNOWLEDGED)
    reads = [SurvivorRead(sent=at, ended=at, ids=(1, huge)) for at in (10_000_000_000, 13_000_000_000)]

    told = ledger("orders", writes_of([write]), reads, Window(2, 3))

    assert (told.phantom, told.lost_writes) == ((huge,), Bounds(0, 0))


def test_a_server_of_another_name_each_time_is_told_from_the_others() -> None:
    """More names than a short number can tell."""
    some = 70_000
    found = Writes(Write(n, Fate.ACKNOWLEDGED, n, n, f"server {n}") for n in range(some))

    assert found[some - 1].served_by == f"server {some - 1}"
    assert found[0].served_by == "server 0"
