"""When the ids read back may be believed: two readings that agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec

from drill.clock import Clock
from drill.errors import EnvironmentFault
from drill.model import SECOND, SurvivorRead
from drill.probes import Delivers, Prober

# Both from measurement.md, section 6: what was still arriving between two readings shows in the second.
APART = 2 * SECOND
LIMIT = 60 * SECOND


async def settle(
    prober: Prober,
    first: int,
    last: int,
    clock: Clock,
    *,
    agree: int | None = None,
    stride: int = 1,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    apart: int = APART,
    limit: int = LIMIT,
) -> AsyncIterator[SurvivorRead]:
    """
    Read the ids from *first* to *last* back until two readings in a row, begun *apart* nanoseconds apart, agree.

    Only every *stride*-th id from *first* on is this probe's; others of the run write to the same store.

    Ids beyond *agree* may still be on their way (the writer goes on meanwhile), so they need not agree.

    Yields every reading as it ends, failed ones too; it stops after the
    agreeing one, or with the last reading begun within *limit*. A reading that
    hangs is cut off at the limit.
    """
    began = clock.now()
    before: tuple[int, ...] | None = None
    while True:
        read = await _read(prober, first, last, stride, clock, began + limit)
        yield read
        seen = None if read.ids is None else tuple(id for id in read.ids if agree is None or id <= agree)
        if seen is not None and seen == before:
            return
        before = seen
        wait = max(0, read.sent + apart - clock.now())
        if clock.now() + wait >= began + limit:
            return
        await sleep(wait / SECOND)


def own(ids: Iterable[int], first: int, stride: int) -> tuple[int, ...]:
    """The ids of one probe: every *stride*-th from *first* on."""
    return tuple(id for id in ids if (id - first) % stride == 0)


async def _read(prober: Prober, first: int, last: int, stride: int, clock: Clock, until: int) -> SurvivorRead:
    sent = clock.now()
    try:
        async with asyncio.timeout(max(0.0, (until - sent) / SECOND)):
            ids, source = await prober.survivors(first, last)
    except EnvironmentFault as error:
        return SurvivorRead(sent=sent, ended=clock.now(), error=str(error))
    except TimeoutError:
        return SurvivorRead(sent=sent, ended=clock.now(), error="the survivors could not be read in time")
    return found(prober, sent, clock.now(), ids, source, first, last, stride)


def found(
    prober: Prober, sent: int, ended: int, ids: Iterable[int], source: str, first: int, last: int, stride: int
) -> SurvivorRead:
    """One reading of what *prober* found, with its order where the store has one."""
    read = SurvivorRead(sent=sent, ended=ended, ids=own(ids, first, stride), source=source)
    came = prober.deliveries(first, last) if isinstance(prober, Delivers) else None
    if came is None:
        return read
    return msgspec.structs.replace(read, deliveries=tuple(each for each in came if (each.id - first) % stride == 0))
