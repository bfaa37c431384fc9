"""What a queue handed to a consumer: which ids, how often, and which of them out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from drill.clock import Clock
from drill.model import Delivery

# Handed out and not yet acknowledged, as a worker that takes a few at a time.
_PREFETCH = 100
# How often the consumer asks whether its broker still answers, and how long it waits for that.
_ALIVE_EVERY_S = 0.3
_ALIVE_S = 1.0
# Between two attempts to be let in.
_AGAIN_S = 0.1


class Deliveries:
    """Every message of one queue in the order in which it came; what others put into it has no id and is left out."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._again: dict[int, list[int]] = {}
        self._after: dict[int, int] = {}
        self._highest: int | None = None

    def note(self, body: bytes, at: int) -> None:
        """One message that came at the instant *at*."""
        if not body.isdigit():
            return
        id = int(body)
        if id in self._first:
            self._again.setdefault(id, []).append(at)
            return
        self._first[id] = at
        if self._highest is not None and id < self._highest:
            self._after[id] = self._highest
        self._highest = id if self._highest is None else max(id, self._highest)

    def ids(self, first: int, last: int) -> list[int]:
        """Those from *first* to *last*, sorted, as often as each came."""
        found = [id for id in self._first if first <= id <= last]
        found += [id for id, times in self._again.items() for _ in times if first <= id <= last]
        return sorted(found)

    def noteworthy(self, first: int, last: int) -> tuple[Delivery, ...]:
        """Those that came more than once or after a higher one, in order of their ids."""
        return tuple(
            Delivery(id, self._first[id], max(self._again.get(id, ()), default=None), self._after.get(id))
            for id in sorted({*self._again, *self._after})
            if first <= id <= last
        )


class Consumer:
    """
    Takes each message at once and acknowledges it, as a worker would; connects again for as long as it runs.

    *connect* opens a link to a broker; *errors* are what may go wrong with one.

    Attributes:
        lost: When its last link ended (the drill's clock), None before any did. What had been handed out there and
            did not arrive is in no queue until the broker notices.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Any]], queue: str, errors: tuple[type[Exception], ...], clock: Clock
    ) -> None:
        self.seen = Deliveries()
        self.lost: int | None = None
        self._connect = connect
        self._queue = queue
        self._errors = errors
        self._clock = clock

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            link = None
            with suppress(*self._errors):
                async with asyncio.timeout(_ALIVE_S):
                    link = await self._connect()
            if link is not None:
                try:
                    with suppress(*self._errors):
                        await self._consume(link)
                finally:
                    link.drop()
                    self.lost = self._clock.now()
            await asyncio.sleep(_AGAIN_S)

    async def _consume(self, link: Any) -> None:
        """Returns when the broker no longer hands anything to it."""
        async with asyncio.timeout(_ALIVE_S):
            channel = await link.wait(link.connection.channel(publisher_confirms=False))
            await link.wait(channel.basic_qos(prefetch_count=_PREFETCH))
            await link.wait(channel.basic_consume(self._queue, self._handed, no_ack=False))
        while not link.closed and not channel.is_closed and channel.consumers:
            await asyncio.sleep(_ALIVE_EVERY_S)
            # A broker that hangs says nothing, not even that it is gone.
            async with asyncio.timeout(_ALIVE_S):
                await link.wait(link.channel.queue_declare(self._queue, passive=True))

    async def _handed(self, message: Any) -> None:
        self.seen.note(bytes(message.body), self._clock.now())
        # One that is not acknowledged comes again, and then that is seen.
        with suppress(*self._errors):
            await message.channel.basic_ack(message.delivery_tag)
