"""Whether a crossing answers, asked as its callers would ask: the proof that a link was really touched."""

from __future__ import annotations

import asyncio
import struct

from drill.lab.topology import HOME, SOURCES, Gate

# "Would you speak TLS?": every PostgreSQL answers this with one byte.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_QUESTIONS = {
    "postgres": _SSL_REQUEST,
    "patroni": b"GET /liveness HTTP/1.0\r\n\r\n",
    "orders": b"GET /health HTTP/1.0\r\n\r\n",
    "valkey": b"PING\r\n",
    "sentinel": b"PING\r\n",
}


def witness(gates: list[Gate], source: str, target: str, what: str | None) -> Gate | None:
    """A crossing between two regions (whichever way it is dialed) whose member answers questions."""
    for gate in gates:
        if gate.what in _QUESTIONS and what in (None, gate.what) and caller(gate, source, target) is not None:
            return gate
    return None


def caller(gate: Gate, source: str, target: str) -> str | None:
    """The region that dials *gate* between these two, or None."""
    other = {source: target, target: source}.get(gate.target)
    return other if other is not None and gate.source in (None, other) else None


async def answers(gate: Gate, region: str, within: float) -> str:
    """What somebody in *region* gets: "answered", "reset" or "silent" (nothing in *within* seconds)."""
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(HOME, gate.port, local_addr=(SOURCES[region], 0))
            try:
                writer.write(_QUESTIONS[gate.what])
                return "answered" if await reader.read(1) else "reset"
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"
