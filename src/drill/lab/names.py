"""
Erlang's port mapper (epmd), one per region, so that brokers in other regions are reached through the links.

A node registers its own port; who asks for it from another region is told
the network's port for that crossing.

Source:
    https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Awaitable, Callable

from drill.lab.topology import HOME

_ALIVE, _PORT_PLEASE, _NAMES = 120, 122, 110
_ALIVE_ANSWER, _ALIVE_ANSWER_OLD, _PORT_ANSWER = 118, 121, 119
# Who speaks this version or a higher one takes a creation of four bytes.
_NEW = 6


class Names:
    """
    The port mappers of all regions; *ports* are theirs, by region.

    *crossing* gives the port through which one region reaches the node of another.
    """

    def __init__(self, ports: dict[str, int], crossing: Callable[[str, str], int]) -> None:
        self._ports = ports
        self._crossing = crossing
        self._registered: dict[str, tuple[str, bytes]] = {}
        self._creation = itertools.count(1)
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        for region, port in self._ports.items():
            self._servers.append(await asyncio.start_server(self._accept(region), HOME, port))

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def _accept(self, region: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError, struct.error):
                await self._answer(region, reader, writer)
            writer.close()

        return accept

    async def _answer(self, region: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        request = await reader.readexactly(length)
        if request[0] == _ALIVE:
            await self._register(region, request, reader, writer)
        elif request[0] == _PORT_PLEASE:
            writer.write(self._port(region, request[1:].decode()))
        elif request[0] == _NAMES:
            local = {name: said for name, (at, said) in self._registered.items() if at == region}
            here = [(name, struct.unpack_from("!H", said, 1)[0]) for name, said in local.items()]
            text = "".join(f"name {name} at port {port}\n" for name, port in here)
            writer.write(struct.pack("!I", self._ports[region]) + text.encode())

    async def _register(
        self, region: str, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        highest, _, length = struct.unpack_from("!HHH", request, 5)
        name = request[11 : 11 + length].decode()
        if name in self._registered:
            writer.write(struct.pack("!BBI", _ALIVE_ANSWER, 1, 0))
            return
        self._registered[name] = region, request
        number = next(self._creation)
        new = struct.pack("!BBI", _ALIVE_ANSWER, 0, number)
        writer.write(new if highest >= _NEW else struct.pack("!BBH", _ALIVE_ANSWER_OLD, 0, 1 + number % 3))
        try:
            # As long as the node holds this connection it is alive.
            await reader.read()
        finally:
            del self._registered[name]

    def _port(self, region: str, name: str) -> bytes:
        if name not in self._registered:
            return struct.pack("!BB", _PORT_ANSWER, 1)
        at, said = self._registered[name]
        own: int = struct.unpack_from("!H", said, 1)[0]
        port = own if at == region else self._crossing(region, at)
        # All that the node said of itself, but for the port.
        return struct.pack("!BBH", _PORT_ANSWER, 0, port) + said[3:]
