"""When the ids read back may be believed."""

from __future__ import annotations

import asyncio

from drill.errors import EnvironmentFault
from drill.model import SECOND
from drill.probes.survivors import settle
from tests.probes.timetravel import LoopClock, travel

START = 1000 * SECOND


class Store:
    """Answers one reading after the other from a script; the last one for ever."""

    def __init__(self, *reads: list[int] | str) -> None:
        self.reads = list(reads)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        read = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        await asyncio.sleep(0.5)
        if read == "hang":
            await asyncio.Event().wait()
        if isinstance(read, str):
            raise EnvironmentFault(read)
        return read, "west"


def readings(store: Store) -> list[tuple[float, float, tuple[int, ...] | str]]:
    async def main() -> list[tuple[float, float, tuple[int, ...] | str]]:
        return [
            (
                round((read.sent - START) / SECOND, 3),
                round((read.ended - START) / SECOND, 3),
                read.error if read.ids is None else read.ids,
            )
            async for read in settle(store, 1, 9, LoopClock())
        ]

    return travel(main())


def test_two_readings_that_agree_are_believed():
    """They begin two seconds apart, and what comes in between delays the end."""
    assert readings(Store([1], [1])) == [(0, 0.5, (1,)), (2, 2.5, (1,))]
    assert readings(Store([1], [1, 2], [1, 2])) == [(0, 0.5, (1,)), (2, 2.5, (1, 2)), (4, 4.5, (1, 2))]


def test_a_failed_reading_agrees_with_nothing():
    """Two equal readings with an error between them are not two in a row."""
    assert readings(Store([1], "status 500", [1], [1])) == [
        (0, 0.5, (1,)),
        (2, 2.5, "status 500"),
        (4, 4.5, (1,)),
        (6, 6.5, (1,)),
    ]


def test_a_store_that_never_settles_is_given_up_after_a_minute():
    """The readings end within the limit, and the last two do not agree."""
    seen = readings(Store(*[[n] for n in range(100)]))

    assert len(seen) == 30
    assert seen[-1] == (58, 58.5, (29,))


def test_a_store_that_hangs_is_given_up_after_a_minute():
    """A reading that does not come back is cut off at the limit and says so."""
    assert readings(Store("hang")) == [(0, 60, "the survivors could not be read in time")]


def test_ids_of_other_probes_are_not_its_own():
    """Three probes write to one store in turn; those that write on meanwhile keep nobody waiting."""
    store = Store([1, 2, 3, 4], [1, 2, 3, 4, 5, 6])

    async def main() -> list[tuple[int, ...] | None]:
        return [read.ids async for read in settle(store, 1, 9, LoopClock(), stride=3)]

    assert travel(main()) == [(1, 4), (1, 4)]
