"""The order service's way to the cache: the primary by the local sentinel, trouble is an answer and never an error."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from dataclasses import dataclass
from typing import Any

from valkey.asyncio import Connection, ConnectionPool, Valkey
from valkey.exceptions import ValkeyError

from drill.lab.topology import SOURCES
from drill.lab.valkey import PRIMARY, ask

_ASK_EVERY = 0.5
_PATIENCE = 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache said; *available* is False when it said nothing."""

    value: str | None
    available: bool


class FromRegion(Connection):
    """Dials from its region's address, by which the network knows it."""

    def __init__(self, *, source: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._source = source

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "local_addr": (self._source, 0)}


class Cache:
    """One region's cache client; *sentinel* is the address of its sentinel."""

    def __init__(self, region: str, sentinel: tuple[str, int]) -> None:
        self.reachable = False
        self._source = SOURCES[region]
        self._sentinel = sentinel
        self._address: tuple[str, int] | None = None
        self._client: Any = None

    async def watch(self) -> None:
        """Follow the sentinel and the primary for ever."""
        while True:
            found = await ask(self._sentinel[1], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY)
            if isinstance(found, list) and len(found) == 2 and (found[0], int(found[1])) != self._address:
                await self._turn_to((found[0], int(found[1])))
            self.reachable = await self._do("ping") is not None
            await asyncio.sleep(_ASK_EVERY)

    async def _turn_to(self, address: tuple[str, int]) -> None:
        before, self._address = self._client, address
        pool = ConnectionPool(
            connection_class=FromRegion, source=self._source, host=address[0], port=address[1], decode_responses=True
        )
        self._client = Valkey(connection_pool=pool)
        if before is not None:
            # Requests may be using it; what closing it finds wrong is of no interest any more.
            with contextlib.suppress(Exception):
                await before.connection_pool.disconnect()

    async def get(self, key: str) -> Found:
        if not self.reachable:
            # A dead cache costs one wait of the watcher, not one of every request.
            return Found(None, False)
        value = await self._do("get", key)
        return Found(value or None, value is not None)

    async def put(self, key: str, value: str, milliseconds: int, *, only_new: bool = False) -> None:
        await self._do("set", key, value, px=milliseconds, nx=only_new)

    async def _do(self, name: str, *words: Any, **options: Any) -> Any:
        """The answer, "" for nothing, None for trouble."""
        if self._client is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                return await getattr(self._client, name)(*words, **options) or ""
        except Exception as error:  # noqa: BLE001 -- the cache's trouble is never the service's
            if not isinstance(error, ValkeyError | OSError | TimeoutError):
                traceback.print_exc()
            self.reachable = False
            return None
