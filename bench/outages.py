"""
A server whose outages are known to the moment: the truth of the accuracy benchmark.

    python -m bench.outages SPEC OUT

SPEC is JSON: {"seed", "deadline_ms", "hold_ms", "streams": [[kind, …], …]}. It prints the streams' ports, waits for a
line on standard input, lets each stream go through its outages, and writes to OUT what it did and when, in nanoseconds
of the machine's monotonic clock. A switch is the window from before the last request of the old state was looked for to
after the new state held. When the machine did not let the server run, that is noted as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("refuse", "hang", "error", "wrong", "slow", "flap", "stall")
_HEAD = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"


def _answer(status: bytes, body: bytes) -> bytes:
    return _HEAD % (status, len(body), body)


OK = _answer(b"200 OK", b'{"ok":true}')
WRONG = _answer(b"200 OK", b'{"ok":false}')
ERROR = _answer(b"503 Service Unavailable", b'{"ok":false}')
_ID = re.compile(rb"[?&]id=(\d+)")

Span = tuple[int, int]


class Stream:
    """One port and the state it is in."""

    def __init__(self, deadline_s: float) -> None:
        self.state = "up"
        self.deadline_s = deadline_s
        self.waiting: list[asyncio.Transport] = []
        self.looked_at: dict[int, int] = {}
        self.outages: list[dict[str, Any]] = []
        self._socket = self._bound(0)
        self.port = int(self._socket.getsockname()[1])
        self._server: asyncio.Server | None = None

    @staticmethod
    def _bound(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

    async def open(self) -> None:
        self._socket.listen(1024)
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=self._socket)

    def shut(self) -> None:
        """From here on the kernel refuses: the port is bound, but nobody listens."""
        assert self._server is not None
        self._server.close()
        self._socket = self._bound(self.port)

    async def switch(self, state: str) -> Span:
        """Go to another state; requests that were here before are still met by the old one."""
        before = time.monotonic_ns()
        # A connection needs a few turns of the loop to be accepted and read.
        for _ in range(8):
            await asyncio.sleep(0)
        if state == "refuse":
            self.shut()
        elif self.state == "refuse":
            self._socket.listen(1024)
        self.state, old = state, self.state
        after = time.monotonic_ns()
        if old == "refuse":
            await self.open()
        if old == "stall":
            for transport in self.waiting:
                if not transport.is_closing():
                    transport.write(OK)
            self.waiting.clear()
        return before, after

    async def suffer(self, kind: str, draw: random.Random) -> None:
        """One outage of *kind*, 0.3 to 2 s long; a flap is three short ones."""
        if kind == "flap":
            spans = [(0.3 + 0.3 * draw.random(), 0.25 + 0.2 * draw.random()) for _ in range(3)]
        else:
            spans = [((0.9 if kind == "stall" else 0.3) + 1.4 * draw.random(), 0.0)]
        first = last = None
        for down_s, up_s in spans:
            began = await self.switch("error" if kind == "flap" else kind)
            first = first or began
            await asyncio.sleep(down_s)
            last = await self.switch("up")
            if (down_s, up_s) != spans[-1]:
                await asyncio.sleep(up_s)
        self.outages.append({"kind": kind, "began": first, "ended": last})

    async def live(self, kinds: list[str], hold_s: float, draw: random.Random) -> None:
        await asyncio.sleep(1.0 + draw.random())
        for kind in kinds:
            await self.suffer(kind, draw)
            await asyncio.sleep(hold_s + 1.1 + 0.5 * draw.random())


class Connection(asyncio.Protocol):
    """One request, met by the state the stream is in when it is read."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if b"\r\n\r\n" not in self.seen:
            return
        stream = self.stream
        if found := _ID.search(self.seen):
            stream.looked_at[int(found[1])] = time.monotonic_ns()
        self.seen = b""
        state = stream.state
        if state == "stall":
            stream.waiting.append(self.transport)
        elif state == "slow":
            asyncio.get_running_loop().call_later(1.5 * stream.deadline_s, self._write, OK)
        elif state != "hang":
            self._write({"error": ERROR, "wrong": WRONG}.get(state, OK))

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


async def beat(longest: int, stood_still: list[Span]) -> None:
    """Note when this server itself was not run for *longest* nanoseconds: an outage that nobody planned."""
    last = time.monotonic_ns()
    while True:
        await asyncio.sleep(0.01)
        now = time.monotonic_ns()
        if now - last > longest:
            stood_still.append((last, now))
        last = now


async def main(spec: dict[str, Any], out: Path) -> None:
    gc.disable()
    streams = [Stream(spec["deadline_ms"] / 1000) for _ in spec["streams"]]
    for stream in streams:
        await stream.open()
    print(json.dumps([stream.port for stream in streams]), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    stood_still: list[Span] = []
    beating = asyncio.create_task(beat(spec["deadline_ms"] * 1_000_000 // 2, stood_still))
    await asyncio.gather(
        *(
            stream.live(kinds, spec["hold_ms"] / 1000, random.Random(spec["seed"] + n))
            for n, (stream, kinds) in enumerate(zip(streams, spec["streams"], strict=True))
        )
    )
    beating.cancel()
    out.write_text(
        json.dumps(
            {"stood_still": stood_still, "streams": [{"outages": s.outages, "looked_at": s.looked_at} for s in streams]}
        )
    )
    print("done", flush=True)
    # Whoever still watches is answered until told to end.
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), Path(sys.argv[2])))
