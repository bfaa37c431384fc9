"""How many connections a pooled probe keeps, with a clock that is told what time it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from drill.probes.pool import Busy, Pool
from tests.probes.timetravel import travel


class Line:
    """A connection that notes whether it was closed."""

    def __init__(self) -> None:
        self.open = True

    def usable(self) -> bool:
        return self.open

    def close(self) -> None:
        self.open = False


class World:
    """A server that takes connections, or does not answer at all while it hangs."""

    def __init__(self) -> None:
        self.made: list[Line] = []
        self.refuses = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def connect(self) -> Line:
        await self.answers.wait()
        if self.refuses:
            raise ConnectionRefusedError
        self.made.append(Line())
        return self.made[-1]

    def pool(self, server: str = "east", most: int = 10) -> Pool[Line]:
        return Pool(server, self.connect, most=most, hanging=50)

    def open(self) -> int:
        return sum(line.open for line in self.made)


async def answered(pool: Pool[Line]) -> None:
    """One request that is answered at once."""
    pool.give_back(await pool.take(), good=True)


def run(story: Coroutine[Any, Any, None]) -> None:
    travel(story)


def test_a_connection_is_used_again_unless_it_met_an_error() -> None:
    """Nor is one that has died meanwhile."""

    async def story() -> None:
        world = World()
        pool = world.pool()
        await answered(pool)
        await answered(pool)
        assert len(world.made) == 1
        pool.give_back(await pool.take(), good=False)
        await answered(pool)
        assert [line.open for line in world.made] == [False, True]
        world.made[1].open = False
        await answered(pool)
        assert len(world.made) == 3
        pool.close()
        assert world.open() == 0

    run(story())


def test_while_answers_come_a_pool_does_not_grow_beyond_its_limit() -> None:
    """The pools of one server count together; each has two of its own in any case; another server is another matter."""

    async def story() -> None:
        world = World()
        greedy, other, elsewhere = world.pool("west"), world.pool("west"), world.pool("north")
        for pool in (greedy, other, elsewhere):
            await answered(pool)
        used = [await greedy.take() for _ in range(9)]
        with pytest.raises(Busy):
            await greedy.take()
        used += [await other.take() for _ in range(2)]
        with pytest.raises(Busy):
            await other.take()
        await asyncio.gather(*(elsewhere.take() for _ in range(10)))
        greedy.give_back(used[0], good=True)
        assert await greedy.take() is used[0]

    run(story())


def test_while_nothing_answers_every_request_has_a_connection() -> None:
    """None waits behind those that hang: the end of an outage would be seen late. There is a limit all the same."""

    async def story() -> None:
        world = World()
        pool = world.pool("hanging")
        await answered(pool)
        for _ in range(10):
            await pool.take()
        with pytest.raises(Busy):
            await pool.take()
        await asyncio.sleep(0.25)
        world.answers.clear()
        hanging = [asyncio.create_task(pool.take()) for _ in range(40)]
        await asyncio.sleep(0.5)
        with pytest.raises(Busy):
            await pool.take()
        world.answers.set()
        await asyncio.gather(*hanging)
        assert world.open() == 50

    run(story())


def test_a_server_that_shows_a_sign_of_life_does_not_hang() -> None:
    """An answer, a new connection, a refusal; slow answers may be further apart; before the first nobody can tell."""

    async def story() -> None:
        world = World()
        pool = world.pool("slow")
        first = [await pool.take() for _ in range(10)]
        with pytest.raises(Busy):
            await pool.take()
        await asyncio.sleep(0.2)
        pool.give_back(first[0], good=True)
        pool.give_back(first[1], good=False)
        await pool.take()
        await asyncio.sleep(0.75)
        await pool.take()
        await asyncio.sleep(0.75)
        with pytest.raises(Busy):
            await pool.take()
        await asyncio.sleep(0.1)
        world.refuses = True
        with pytest.raises(ConnectionRefusedError):
            await pool.take()
        with pytest.raises(Busy):
            await pool.take()

    run(story())


def test_what_could_not_be_connected_is_not_counted() -> None:
    """A server that refuses for a while leaves the pool what it was."""

    async def story() -> None:
        world = World()
        pool = world.pool("refusing")
        world.refuses = True
        for _ in range(20):
            with pytest.raises(ConnectionRefusedError):
                await pool.take()
        world.refuses = False
        await answered(pool)
        for _ in range(10):
            await pool.take()
        with pytest.raises(Busy):
            await pool.take()

    run(story())


def test_a_pool_that_once_grew_lets_go_of_what_rests() -> None:
    """After ten seconds without use all but a few are closed; those in use are not."""

    async def story() -> None:
        world = World()
        pool = world.pool("resting", most=100)
        for line in [await pool.take() for _ in range(30)]:
            pool.give_back(line, good=True)
        assert world.open() == 30
        for _ in range(11):
            await asyncio.sleep(1)
            await answered(pool)
        assert world.open() == 5

    run(story())
