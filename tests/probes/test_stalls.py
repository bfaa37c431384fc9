"""A service that stalls, watched by a prober that stalls as well: the bounds hold all the same."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import pytest

from drill.measure import measure_probe
from drill.model import MILLISECOND, SECOND, Bounds, Outcome, Parameters, Probe, Sample, Window
from drill.probes import Answer
from drill.probes.sampler import Sampler
from tests.probes.timetravel import LoopClock, block, travel


@dataclass
class Stalling:
    """
    Answers within a millisecond, but what it looks at from *since* to *until* only when that is over.

    What has arrived meanwhile waits in the system's buffers: a prober that stands still reads it late.
    """

    since: int
    until: int
    draw: random.Random

    async def sample(self, id: int | None) -> Answer:
        loop = asyncio.get_running_loop()
        took = self.draw.randint(1, 4) * MILLISECOND // 4
        looked_at = LoopClock().now() + took // 2
        answered = (self.until if self.since <= looked_at < self.until else looked_at) + took // 2
        arrived = loop.create_future()
        loop.call_at(answered / SECOND, lambda: arrived.done() or arrived.set_result(None))
        await arrived
        return Answer(Outcome.OK)

    async def open(self) -> None: ...

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        raise NotImplementedError

    async def close(self) -> None: ...


def standstills(draw: random.Random, begin: int, end: int, edges: list[int]) -> None:
    """Let the loop stand still every now and then, tens of milliseconds each, and about each edge above all."""
    loop = asyncio.get_running_loop()
    at = begin
    while at < end:
        at += int(draw.expovariate(1 / 0.15) * SECOND)
        loop.call_at(at / SECOND, block, int(draw.expovariate(1 / 0.03) * SECOND))
    for edge in edges * 2:
        at = edge + int(draw.uniform(-0.05, 0.05) * SECOND)
        loop.call_at(at / SECOND, block, int(draw.uniform(0, 0.12) * SECOND))


def stalled(seed: int, *, busy: bool) -> tuple[int, int, Bounds, Bounds]:
    """One stall: the true length of the outage, the period, and the bounds of recovery time and outage."""
    draw = random.Random(seed)
    every, deadline = draw.choice([10, 20, 50]) * MILLISECOND, draw.choice([100, 200, 400]) * MILLISECOND
    seen: list[Sample] = []

    async def main() -> tuple[int, int]:
        start = LoopClock().now()
        since = start + int(draw.uniform(1, 1.5) * SECOND)
        until = since + deadline + int(draw.uniform(0.05, 1.5) * SECOND)
        if busy:
            standstills(draw, start, until + 3 * SECOND, [since, until - deadline, until])
        probe = Probe(name="here", kind="stalling", every=every, deadline=deadline)
        prober = Stalling(since, until, draw)
        sampler = Sampler(probe, prober, LoopClock(), lambda _, batch: seen.extend(batch), rng=draw)
        asyncio.get_running_loop().call_at((until + 3 * SECOND) / SECOND, sampler.stop)
        await sampler.run(start)
        return since, until

    since, until = travel(main())
    measured = measure_probe("here", seen, Window(since, since), every, Parameters(hold=SECOND))
    assert measured.rto is not None
    assert measured.outage is not None
    return until - since - deadline, every, measured.rto, measured.outage


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_of_a_stall_the_last_deadline_is_no_outage(busy: bool) -> None:
    """
    All of one hundred stalls last, as requests see them, the stall less the deadline; the bounds say so each time.

    On an idle machine they are no wider than the period and 10 ms; where the prober itself stood still, wider.
    """
    for seed in range(100):
        truth, every, rto, outage = stalled(seed, busy=busy)

        for bounds in (rto, outage):
            # A request takes a millisecond: the truth is known to that.
            assert bounds.lower <= truth + MILLISECOND, (seed, bounds, truth)
            assert bounds.upper is None or bounds.upper >= truth - MILLISECOND, (seed, bounds, truth)
        if not busy:
            assert rto.upper is not None
            assert rto.upper - rto.lower <= every + 10 * MILLISECOND, (seed, rto)
