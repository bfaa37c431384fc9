"""
The links between regions: every byte that crosses goes through here.

A link has a direction, that of the bytes: east→west carries what east sends,
whoever dialed. It can be slowed (latency, rate), silenced (nothing passes,
nothing is closed) and cut (connections are reset, new ones too). Traffic
within a region is never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, replace

from drill.lab.topology import HOME, SOURCES, Gate

_CHUNK = 64 * 1024
# What one connection may hold in flight before the sender is made to wait, as a real path would.
_IN_FLIGHT = 32 * 1024 * 1024
_REGION_OF = {address: region for region, address in SOURCES.items()}
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Condition:
    """
    The state of one direction.

    Attributes:
        latency: Seconds added to every byte.

        rate: Bytes per second that pass, or None for no limit.

        silent: Nothing passes and nothing is closed.

        cut: Connections are reset.
    """

    latency: float = 0.0
    rate: float | None = None
    silent: bool = False
    cut: bool = False


CLEAR = Condition()


class Network:
    """All crossings of one lab."""

    def __init__(self, gates: list[Gate]) -> None:
        self._gates = gates
        self._servers: list[asyncio.Server] = []
        self._conditions: dict[tuple[str, str, str | None], Condition] = {}
        self._crossings: set[_Crossing] = set()
        self._changed = asyncio.Event()

    async def open(self) -> None:
        for gate in self._gates:
            self._servers.append(await asyncio.start_server(self._accept(gate), HOME, gate.port, limit=_CHUNK))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self.drop(None)

    # --- what a person may do to it ---------------------------------------------------------------------------

    def set(self, source: str, target: str, what: str | None, **change: float | bool | None) -> int:
        """
        Change one direction (of one kind of traffic, or of all); returns how many connections were reset.

        A cut takes both directions of those connections with it, and every byte in flight on them.
        """
        before = self._conditions.get((source, target, what), CLEAR)
        self._conditions[source, target, what] = replace(before, **change)  # type: ignore[arg-type]  # Condition's own
        dropped = 0
        if change.get("cut"):
            dropped = self.drop(lambda crossing: {crossing.source, crossing.target} == {source, target}, what)
        self._wake()
        return dropped

    def restore(self, region: str | None = None) -> None:
        """Clear every link, or those of one region; what a silent link held goes on."""
        self._conditions = {key: state for key, state in self._conditions.items() if region and region not in key[:2]}
        self._wake()

    def drop(self, chosen: object, what: str | None = None) -> int:
        """
        Reset connections with all they hold: those of a region by name, by a function, or (None) all.

        When a region dies, what it had in flight dies with it.
        """
        count = 0
        for crossing in list(self._crossings):
            if callable(chosen):
                fits = bool(chosen(crossing))
            else:
                fits = chosen is None or chosen in (crossing.source, crossing.target)
            if fits and what in (None, crossing.what):
                crossing.reset()
                count += 1
        return count

    def status(self) -> list[dict[str, object]]:
        """Every direction that is not clear, and every one that holds bytes."""
        held: dict[tuple[str, str], int] = {}
        for crossing in self._crossings:
            for pipe in crossing.pipes:
                held[pipe.source, pipe.target] = held.get((pipe.source, pipe.target), 0) + pipe.held
        rows: list[dict[str, object]] = [
            {
                "source": source,
                "target": target,
                "what": what or "all",
                "latency_s": state.latency,
                "rate_bytes_per_s": state.rate,
                "silent": state.silent,
                "cut": state.cut,
                "held_bytes": held.get((source, target), 0),
            }
            for (source, target, what), state in sorted(self._conditions.items(), key=str)
            if state != CLEAR
        ]
        return rows

    def held(self, source: str, target: str, what: str | None = None) -> int:
        """Bytes on their way in one direction."""
        return sum(
            pipe.held
            for crossing in self._crossings
            for pipe in crossing.pipes
            if (pipe.source, pipe.target) == (source, target) and what in (None, crossing.what)
        )

    # --- what the pipes ask -----------------------------------------------------------------------------------

    def condition(self, source: str, target: str, what: str) -> Condition:
        """What holds for one kind of traffic in one direction: the worse of its own and the general state."""
        if source == target:
            return CLEAR
        one = self._conditions.get((source, target, what), CLEAR)
        general = self._conditions.get((source, target, None), CLEAR)
        rates = [rate for rate in (one.rate, general.rate) if rate is not None]
        return Condition(
            max(one.latency, general.latency),
            min(rates) if rates else None,
            one.silent or general.silent,
            one.cut or general.cut,
        )

    async def change(self, within: float | None = None) -> None:
        """Wait until some condition changes, or for *within* seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _accept(self, gate: Gate):  # type: ignore[no-untyped-def]  # asyncio's own callback type is not public
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername")
            source = gate.source or _REGION_OF.get(peer[0] if peer else "", gate.target)
            crossing = _Crossing(self, gate, source, reader, writer)
            self._crossings.add(crossing)
            try:
                await crossing.carry()
            finally:
                self._crossings.discard(crossing)

        return accept


class _Crossing:
    """One connection from region to region."""

    def __init__(
        self, network: Network, gate: Gate, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.network = network
        self.source = source
        self.target = gate.target
        self.what = gate.what
        self.pipes: list[_Pipe] = []
        self._to = gate.to
        self._near = (reader, writer)
        self._writers = [writer]
        self._task: asyncio.Task[None] | None = asyncio.current_task()

    def reset(self) -> None:
        """End both connections with a reset; nothing more is delivered."""
        for writer in self._writers:
            _reset(writer)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def carry(self) -> None:
        """Pass bytes until both ends are done or one is reset."""
        try:
            network, source, target = self.network, self.source, self.target
            if self._cut():
                return self.reset()
            # A silent link lets no connection through either; the caller waits.
            while network.condition(source, target, self.what).silent:
                await network.change()
            if self._cut():
                return self.reset()
            reader, writer = await asyncio.open_connection(HOME, self._to, limit=_CHUNK)
            self._writers.append(writer)
            _no_delay(writer)
            _no_delay(self._near[1])
            self.pipes = [
                _Pipe(network, source, target, self.what, self._near[0], writer),
                _Pipe(network, target, source, self.what, reader, self._near[1]),
            ]
            async with asyncio.TaskGroup() as both:
                for pipe in self.pipes:
                    both.create_task(pipe.receive())
                    both.create_task(pipe.deliver())
        except* (OSError, asyncio.IncompleteReadError):
            # One end is gone in disorder: so is the other.
            for writer in self._writers:
                _reset(writer)
        finally:
            for writer in self._writers:
                writer.close()
        return None

    def _cut(self) -> bool:
        network = self.network
        return (
            network.condition(self.source, self.target, self.what).cut
            or network.condition(self.target, self.source, self.what).cut
        )


class _Pipe:
    """One direction of one connection."""

    def __init__(
        self,
        network: Network,
        source: str,
        target: str,
        what: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.network = network
        self.source = source
        self.target = target
        self.what = what
        self.held = 0
        self._reader = reader
        self._writer = writer
        self._queue: deque[tuple[float, bytes]] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._last = 0.0

    async def receive(self) -> None:
        """Take in what the source sends, with the time each piece may leave."""
        while data := await self._reader.read(_CHUNK):
            state = self.network.condition(self.source, self.target, self.what)
            now = time.monotonic()
            leaves = now + state.latency
            if state.rate:
                leaves = max(leaves, max(self._last, now) + len(data) / state.rate)
            self._last = leaves = max(leaves, self._last)
            self._queue.append((leaves, data))
            self.held += len(data)
            self._more.set()
            if self.held > _IN_FLIGHT:
                self._room.clear()
                await self._room.wait()
        self._queue.append((self._last, b""))
        self._more.set()

    async def deliver(self) -> None:
        """Hand on what may leave, in order; the source's end of file last."""
        while True:
            while not self._queue:
                self._more.clear()
                await self._more.wait()
            leaves, data = self._queue[0]
            await self._until(leaves)
            self._queue.popleft()
            if not data:
                with contextlib.suppress(OSError):
                    self._writer.write_eof()
                return
            self._writer.write(data)
            await self._writer.drain()
            self.held -= len(data)
            if self.held <= _IN_FLIGHT:
                self._room.set()

    async def _until(self, leaves: float) -> None:
        """Wait for the time to leave and for silence to end; a link made clear lets all it holds go."""
        while True:
            state = self.network.condition(self.source, self.target, self.what)
            if state.silent:
                await self.network.change()
                continue
            wait = leaves - time.monotonic()
            if wait <= 0 or (state.latency == 0 and state.rate is None):
                self._last = min(self._last, time.monotonic())
                return
            await self.network.change(wait)


def _no_delay(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None and found.fileno() >= 0:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
