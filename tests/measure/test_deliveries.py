"""The order of a queue's messages, and those that came again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from drill.measure import measure
from drill.measure.deliveries import delivered
from drill.measure.writes import Write, Writes
from drill.model import Delivery, Fate, Ledger, SurvivorRead
from drill.probes.deliveries import Deliveries
from tests.measure.worlds import MS, World, read, settled, writes

EMPTY = Ledger(probe="queue", acknowledged=0, refused=0, unknown=0, survivors=None)


def reading(deliveries: tuple[Delivery, ...] | None) -> SurvivorRead:
    return SurvivorRead(sent=0, ended=1, ids=(), deliveries=deliveries)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(Fate)), min_size=1, max_size=12),
    st.lists(st.integers(0, 11), max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_out_of_order_is_what_came_after_a_later_one(sent: list[tuple[int, Fate]], came: list[int]) -> None:
    """Brute force over every pair, in whatever order the queue handed them out and however often."""
    known = [Write(id, fate, id * 5, id * 5 + took) for id, (took, fate) in enumerate(sent)]
    seen = Deliveries()
    for n, id in enumerate(came):
        seen.note(str(id).encode(), n * MS)
    told = delivered(EMPTY, Writes(known), [reading(seen.noteworthy(0, 11))])

    first = list(dict.fromkeys(came))
    written = {write.id: write for write in known}
    late = {
        id
        for n, id in enumerate(first)
        if id in written
        and written[id].fate is Fate.ACKNOWLEDGED
        and any(other in written and written[other].sent > written[id].ended for other in first[:n])
    }
    # Ids are sent in order, so the highest one before stands for all; one that nobody wrote hides them.
    hidden = {id for n, id in enumerate(first) if first[:n] and max(first[:n]) not in written}
    assert set(told.reordered or ()) <= late
    assert late - set(told.reordered or ()) <= hidden
    twice = {id: [n for n, other in enumerate(came) if other == id] for id in came if came.count(id) > 1}
    assert told.redelivered == tuple(sorted(twice))
    assert told.redelivery == max(((each[-1] - each[0]) * MS for each in twice.values()), default=None)
    assert seen.ids(3, 11) == sorted(id for id in came if id >= 3)


def test_what_was_under_way_at_once_has_no_order() -> None:
    """The later one was sent before the earlier one was confirmed: the queue may have had either first."""
    both = [Write(1, Fate.ACKNOWLEDGED, 0, 10), Write(2, Fate.ACKNOWLEDGED, 10, 12), Write(3, Fate.UNKNOWN, 11, 12)]
    found = [reading((Delivery(1, 5, None, 2), Delivery(3, 6, None, 4)))]

    assert delivered(EMPTY, Writes(both), found).reordered == ()
    after = [reading((Delivery(1, 5, None, 3),))]
    assert delivered(EMPTY, Writes(both), after).reordered == (1,)


def test_without_a_consumer_nothing_is_said_of_order() -> None:
    """A table has none, and a queue that is read by handing out and giving back has one of our making."""
    assert delivered(EMPTY, {}, [reading(None)]) == EMPTY
    told = delivered(EMPTY, {}, [reading(None), reading((Delivery(1, 5, 9), Delivery(2, 5, 7)))])
    assert (told.reordered, told.redelivered, told.redelivery) == ((), (1, 2), 4)


def test_messages_of_others_have_no_order() -> None:
    """What is no id is passed over."""
    seen = Deliveries()
    for n, body in enumerate([b"7", b"an order", b"", b"3"]):
        seen.note(body, n)

    assert seen.ids(0, 9) == [3, 7]
    assert seen.noteworthy(0, 9) == (Delivery(3, 3, None, 7),)
    assert seen.noteworthy(4, 9) == ()


def test_only_readings_after_recovery_tell_of_it() -> None:
    """Like every set of the ledger: what was read while service was away judges nothing."""
    early, *late = [read(500, range(10)), *settled(20_000, range(200))]
    early = SurvivorRead(sent=early.sent, ended=early.ended, ids=early.ids, deliveries=(Delivery(0, 5, None, 9),))
    world = World(ledger=writes(200), reads=[early, *late])
    told = [SurvivorRead(sent=each.sent, ended=each.ended, ids=each.ids, deliveries=()) for each in late]

    assert measure(world.history()).ledgers[0].reordered is None
    assert measure(World(ledger=writes(200), reads=[early, *told]).history()).ledgers[0].reordered == ()
