"""Connections that a pooled probe keeps: as many as its requests need, and not so many that the server suffers."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import ClassVar, Generic, Protocol, TypeVar


class Session(Protocol):
    """A connection that can be kept."""

    def usable(self) -> bool:
        """Whether another request may be sent on it."""

    def close(self) -> None:
        """Drop it at once."""


Kept = TypeVar("Kept", bound=Session)

# Resting for this long, all but a few are let go: a pool that once grew must not keep connections from others.
_RESTED_S = 10.0
_FEW = 5
# As many as this a probe has whatever the others have.
_OWN = 2
# An answer within as many times what answers took lately (but at least, at most, seconds) shows that the service does
# not hang: whoever wants more connections then wants more than it can do.
_FLOWS = 4
_FLOWS_S = (0.1, 1.0)
# How much of what an answer took is forgotten with the next one.
_FORGOTTEN = 0.1


class Busy(Exception):
    """Every connection is in use although answers keep coming: the prober asks for more than can be done."""


class Pool(Generic[Kept]):
    """
    One probe's connections to one server.

    While a service hangs every request has a connection of its own, as many as
    there are: none may wait behind those that hang, or the end of an outage
    would be seen late. While it answers, the probes of this process together
    open *most* at most: beyond what a server can do, more connections only
    make it slower, until it refuses everybody's.
    """

    # By server; of all pools in this process.
    _open: ClassVar[Counter[str]] = Counter()

    def __init__(self, server: str, connect: Callable[[], Awaitable[Kept]], *, most: int) -> None:
        """*server* tells servers apart; what *connect* raises, taking a connection raises."""
        self._server = server
        self._connect = connect
        self._most = most
        self._own = 0
        # Until the first answer comes nobody knows whether the service hangs; more connections would not tell.
        self._flows_until = math.inf
        self._took = 0.0
        self._taken: dict[Kept, float] = {}
        # The one used last is used next, so that those at the other end rest.
        self._resting: deque[tuple[float, Kept]] = deque()

    async def take(self) -> Kept:
        """
        A connection for one request, to be given back.

        Raises:
            Busy: There is none, and another one would do no good.
        """
        now = asyncio.get_running_loop().time()
        while self._resting:
            _, session = self._resting.pop()
            if session.usable():
                self._taken[session] = now
                return session
            self._drop(session)
        if now < self._flows_until and self._own >= _OWN and self._open[self._server] >= self._most:
            raise Busy
        self._counted(1)
        try:
            session = await self._connect()
        except BaseException:
            self._counted(-1)
            raise
        self._taken[session] = now
        return session

    def give_back(self, session: Kept, *, good: bool) -> None:
        """*good*: it was answered as it should be, and may be used again."""
        now = asyncio.get_running_loop().time()
        took = now - self._taken.pop(session)
        if not good:
            self._drop(session)
            return
        self._took = max(took, self._took + _FORGOTTEN * (took - self._took))
        least, most = _FLOWS_S
        self._flows_until = now + min(max(_FLOWS * self._took, least), most)
        self._resting.append((now, session))
        while len(self._resting) > _FEW and now - self._resting[0][0] > _RESTED_S:
            self._drop(self._resting.popleft()[1])

    def close(self) -> None:
        """Let go of those that rest; those in use are dropped when they are given back."""
        while self._resting:
            self._drop(self._resting.pop()[1])

    def _drop(self, session: Kept) -> None:
        self._counted(-1)
        session.close()

    def _counted(self, change: int) -> None:
        self._own += change
        self._open[self._server] += change
