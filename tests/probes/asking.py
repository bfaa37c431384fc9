"""One question to one probe, and sampling for a while, in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from drill.clock import SystemClock
from drill.model import MILLISECOND, SECOND, Outcome, Probe, Sample
from drill.probes import Answer, ProbeKind, Prober
from drill.probes.sampler import Sampler


def planned(kind: str, options: dict[str, Any], *, every: int = 20, deadline: int = 500) -> Probe:
    """A probe of these options; period and deadline in milliseconds."""
    return Probe(
        name="orders",
        kind=kind,
        every=every * MILLISECOND,
        deadline=deadline * MILLISECOND,
        options=options,
        writes="write" in options,
    )


@asynccontextmanager
async def opened(kind: ProbeKind, **options: Any) -> AsyncIterator[Prober]:
    prober = kind(planned("test", options))
    await prober.open()
    try:
        yield prober
    finally:
        await prober.close()


async def ask(kind: ProbeKind, id: int | None = None, **options: Any) -> Answer:
    """The answer to one request, which is given up after ten seconds."""
    async with opened(kind, **options) as prober:
        return await asyncio.wait_for(prober.sample(id), 10)


@asynccontextmanager
async def sampling(
    kind: ProbeKind, *, every: int = 20, deadline: int = 300, ids: Iterator[int] | None = None, **options: Any
) -> AsyncIterator[tuple[Sampler, list[Sample]]]:
    """Sample for the length of the block, and until what is in flight has ended; milliseconds."""
    probe = planned("test", options, every=every, deadline=deadline)
    seen: list[Sample] = []
    prober = kind(probe)
    await prober.open()
    sampler = Sampler(probe, prober, SystemClock(), lambda _, batch: seen.extend(batch), ids=ids)
    running = asyncio.create_task(sampler.run())
    try:
        yield sampler, seen
    finally:
        sampler.stop()
        await running
        await prober.close()


async def until(sampler: Sampler, outcome: Outcome, *, times: int = 5, within: float = 10) -> None:
    """Wait until the newest *times* samples, by the instant they were sent, all have this outcome."""
    end = SystemClock().now() + int(within * SECOND)
    while True:
        newest = sorted((sample for sample in sampler.recent if sample.sent), key=lambda sample: sample.sent)[-times:]
        if len(newest) == times and {sample.outcome for sample in newest} == {outcome}:
            return
        assert SystemClock().now() < end, f"{times} {outcome.value} samples in a row, but there came {newest}"
        await asyncio.sleep(0.01)
