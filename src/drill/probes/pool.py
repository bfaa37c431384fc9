"""Connections that a pooled probe keeps: as many as its requests need, and not so many that the server suffers."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
# A server that was silent for so many times what its answers took lately, but at least, at most, seconds, hangs.
_SILENT = 4
_SILENT_S = (0.25, 1.0)
# How much of what answers took is forgotten with each.
_FORGOTTEN = 0.1


@dataclass
class _Server:
    """
    What all pools of this process know of one server.

    Attributes:
        open: How many connections they have, those that are being made too.

        took: Seconds that answers took lately, the slow ones above all.

        hangs_from: When it will be taken to hang, unless it shows a sign of life before. Until the first one nobody
            can tell.
    """

    open: int = 0
    took: float = 0.0
    hangs_from: float = math.inf

    def lives(self, now: float) -> None:
        least, most = _SILENT_S
        self.hangs_from = now + min(max(_SILENT * self.took, least), most)


class Busy(Exception):
    """Every connection is in use, and more would do no good: the prober asks for more than can be done."""


class Pool(Generic[Kept]):
    """
    One probe's connections to one server.

    While a service hangs each request has a connection of its own: none may
    wait behind those that hang, or the end of an outage would be seen late.
    While it shows any sign of life, the probes of this process together open
    fewer: beyond what a server can do, more connections only make it slower,
    until it refuses everybody's.
    """

    _servers: ClassVar[dict[str, _Server]] = {}

    def __init__(self, server: str, connect: Callable[[], Awaitable[Kept]], *, most: int, hanging: int) -> None:
        """
        *server* tells servers apart; what *connect* raises, taking a connection raises.

        All pools of a server together open *most* connections at most, and *hanging* while it hangs.
        """
        self._server = self._servers.setdefault(server, _Server())
        self._connect = connect
        self._most = most
        self._hanging = hanging
        self._own = 0
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
        if not self._server.open:
            self._server.hangs_from = math.inf
        most = self._most if now < self._server.hangs_from else self._hanging
        if self._own >= _OWN and self._server.open >= most:
            raise Busy
        return await self._new(now)

    async def _new(self, now: float) -> Kept:
        self._counted(1)
        try:
            session = await self._connect()
        except BaseException as error:
            self._counted(-1)
            if not isinstance(error, (TimeoutError, asyncio.CancelledError)):
                self._server.lives(asyncio.get_running_loop().time())
            raise
        self._server.lives(asyncio.get_running_loop().time())
        self._taken[session] = now
        return session

    def give_back(self, session: Kept, *, good: bool) -> None:
        """*good*: it was answered as it should be, and may be used again."""
        now = asyncio.get_running_loop().time()
        took = now - self._taken.pop(session)
        if not good:
            self._drop(session)
            return
        server = self._server
        server.took = max(took, server.took + _FORGOTTEN * (took - server.took))
        server.lives(now)
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
        self._server.open += change
