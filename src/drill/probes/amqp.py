"""One connection to a RabbitMQ broker, which ends at once when it must."""

from __future__ import annotations

import asyncio
from typing import Any

from drill.probes.lookup import lookup

# Hanging up politely goes on behind the measurement for at most this long.
PART_S = 0.5
PORTS = {"amqp": 5672, "amqps": 5671}
# On a link that takes messages: a broker that hears nothing for two to three of these lets go of it, and of what it
# had handed out there. Without, a cut that nobody tells it of keeps messages from everybody for good.
HEARTBEAT_S = 2
WITHHELD_S = 3 * HEARTBEAT_S + 1.0


class Link:
    """One connection with one channel that confirms."""

    def __init__(self, server: Any, aiormq: Any, *, heartbeat: int = 0) -> None:
        """*heartbeat*, seconds, is for a link that takes messages."""
        self._server = server
        self._writer: asyncio.StreamWriter | None = None
        # On others it would only make a dead broker known later than the deadline does.
        self.connection = aiormq.Connection(server.update_query(heartbeat=str(heartbeat)), transport_factory=self)
        self.channel: Any = None
        self.address = f"{server.host}:{server.port or PORTS[server.scheme]}"

    async def create(self, url: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """What aiormq asks of a transport; here so that names are looked up as for every probe."""
        tls = await options["ssl_context_provider"].get_context() if url.scheme == "amqps" else None
        last: OSError | None = None
        for family, _, _, _, address in await lookup(url.host, url.port or PORTS[url.scheme]):
            try:
                reader, self._writer = await asyncio.open_connection(
                    address[0], address[1], family=family, ssl=tls, server_hostname=url.host if tls else None
                )
            except OSError as error:
                last = error
            else:
                return reader, self._writer
        raise last or OSError("no address")

    async def open(self) -> None:
        await self.wait(self.connection.connect())
        self.channel = await self.wait(self.connection.channel(publisher_confirms=True))

    async def wait(self, doing: Any) -> Any:
        """*doing*; when the connection ends meanwhile, aiormq cancels it, which must not look like a deadline."""
        try:
            return await doing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConnectionResetError("the connection ended") from None

    @property
    def closed(self) -> bool:
        return not self.connection.is_opened or self.channel.is_closed

    @property
    def version(self) -> int:
        """The broker's major version; 0 when it does not tell."""
        told = self.connection.server_properties.get("version", b"")
        major = (told.decode() if isinstance(told, bytes) else str(told)).partition(".")[0]
        return int(major) if major.isdigit() else 0

    def drop(self) -> None:
        """End it now; what runs for it ends by itself."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def part(self, errors: tuple[type[Exception], ...]) -> None:
        try:
            async with asyncio.timeout(PART_S):
                await self.wait(self.connection.close())
        except errors:
            # TimeoutError is among them: whether the broker heard the goodbye does not matter.
            pass
        finally:
            self.drop()
