"""The aiohttp session of the http probe; apart, so that reading a probe file does not import aiohttp."""

from __future__ import annotations

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from drill import __version__
from drill.probes.lookup import lookup


class _Fresh(AbstractResolver):
    """Looks names up anew each time."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=found,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for found, _, proto, _, address in await lookup(host, port, family)
        ]

    async def close(self) -> None: ...


def open_session(*, pooled: bool, verify: bool) -> aiohttp.ClientSession:
    """A client without caches, cookies, redirects, retries or deadlines of its own; no connection is made yet."""
    connector = aiohttp.TCPConnector(
        resolver=_Fresh(),
        use_dns_cache=False,
        force_close=not pooled,
        limit=0,
        ssl=verify,
        # Trying two addresses at once would hide that one of them is dead.
        happy_eyeballs_delay=None,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None),
        headers={"User-Agent": f"drill/{__version__}"},
        auto_decompress=True,
    )
    # aiohttp sends a request again when a pooled connection turns out to be dead; the measuring stream must see it.
    session._retry_connection = False
    return session
