"""TCP: connect, and if told so say something and expect something back."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

from drill.errors import EnvironmentFault, Problem
from drill.model import Outcome, Probe
from drill.probes import Answer
from drill.probes.failure import failed
from drill.probes.lookup import lookup
from drill.spec.shape import Key, Table, boolean, text

_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "redis": 6379, "valkey": 6379}
# An answer without the expected text is given up on after this much.
_MOST = 1 << 20


class TcpProbe:
    """
    Opens a connection. Each sample looks the name up anew and tries the addresses one after the other.

    A connection alone proves only that a kernel accepted it: a frozen program still accepts. `expect` proves more.
    """

    keys = Table(
        "tcp probe",
        Key("address", text, "host:port, or a URL of which only host and port are used.", required=True),
        Key("tls", boolean, "true: the TLS handshake is part of it."),
        Key("verify", boolean, "false accepts any certificate."),
        Key("send", text, 'Text sent once connected, such as "PING\\r\\n".'),
        Key("expect", text, "Text that must be in what comes back; the connection is read until it is."),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        address = str(options.get("address") or "")
        if "${" in address or not address:
            return []
        try:
            _endpoint(address)
        except EnvironmentFault as error:
            return [Problem(str(error))]
        return []

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._address = options["address"]
        self._send = (options.get("send") or "").encode()
        self._expect = (options.get("expect") or "").encode()
        self._tls = bool(options.get("tls"))
        self._verify = options.get("verify") is not False
        self._context: ssl.SSLContext | None = None

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: The address cannot be used.
        """
        self._host, self._port = _endpoint(self._address)
        if self._tls:
            self._context = ssl.create_default_context()
            if not self._verify:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE

    async def sample(self, id: int | None) -> Answer:
        writer = None
        try:
            reader, writer = await self._connect()
            if self._send:
                writer.write(self._send)
            lacking = await self._lacking(reader) if self._expect else ""
            return Answer(Outcome.FAILED if lacking else Outcome.OK, lacking, _peer(writer))
        except OSError as error:
            return failed(error)
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        last = OSError("the name has no address")
        name = self._host if self._context else None
        for family, _, _, _, address in await lookup(self._host, self._port):
            try:
                return await asyncio.open_connection(
                    address[0], address[1], family=family, ssl=self._context, server_hostname=name
                )
            except OSError as error:
                last = error
        raise last

    async def _lacking(self, reader: asyncio.StreamReader) -> str:
        """Why what came is not a good answer, in words; "" when it is."""
        seen = bytearray()
        while self._expect not in seen:
            part = await reader.read(65536)
            if not part:
                return "another answer than expected" if seen else "connection closed before the answer"
            seen += part
            if len(seen) > _MOST:
                return f"the expected text was not in the first {len(seen)} bytes"
        return ""

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        raise EnvironmentFault("a tcp probe writes nothing, so there are no survivors to read")

    async def close(self) -> None: ...


def _peer(writer: asyncio.StreamWriter) -> str | None:
    """The address behind the name that took the connection."""
    peer = writer.get_extra_info("peername")
    if not peer:
        return None
    return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"


def _endpoint(address: str) -> tuple[str, int]:
    """
    Host and port of `host:port`, `[::1]:port` or a URL.

    Raises:
        EnvironmentFault: It is none of these.
    """
    url = address if "://" in address else f"//{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        parts, port = None, None
    if parts is None or not parts.hostname or not port:
        # Without the address: a URL may hold a password.
        raise EnvironmentFault('address must be host:port such as "db.example.org:5432"')
    return parts.hostname, port
