"""
The other side of the probing benchmark: an HTTP server that costs as little as Python allows.

    python -m bench.quick_server        prints its port; ends with its standard input
"""

from __future__ import annotations

import asyncio
import gc
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'


class Quick(asyncio.Protocol):
    """Answers every request head alike."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        heads = self.seen.count(b"\r\n\r\n")
        if heads:
            self.seen = self.seen[self.seen.rindex(b"\r\n\r\n") + 4 :]
            self.transport.write(ANSWER * heads)
            if b"close" in data:
                self.transport.close()


async def main() -> None:
    gc.disable()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Quick, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
