"""
The order service's way to PostgreSQL: it finds the primary itself, and nothing it does hangs.

One watcher per node asks, several times a second, whether the node takes
writes and on which timeline; the newest timeline that does is the primary.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg

_EXPECTED = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_ASK_EVERY = 0.2
_PATIENCE = 1.0
_CONNECTIONS = 24

# The node can tell its timeline only while it is the primary; the file name of its log begins with it.
_ROLE = "select case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end"


class Unavailable(Exception):
    """The database cannot do it now, and surely did not."""


class Ambiguous(Unavailable):
    """The database went away while it did it: nobody knows."""


class Duplicate(Exception):
    """The order is there already."""


@dataclass(slots=True)
class Node:
    """One PostgreSQL; *timeline* is None unless it takes writes."""

    name: str
    host: str
    port: int
    timeline: int | None = None
    epoch: int = 0

    @property
    def served_by(self) -> str:
        return f"{self.name.rpartition('-')[2]}/{self.name}/{self.timeline}"


class Database:
    """All nodes; *nodes* maps a name such as postgres-east to (host, port)."""

    def __init__(self, nodes: dict[str, tuple[str, int]]) -> None:
        self._nodes = [Node(name, *address) for name, address in nodes.items()]
        self._idle: dict[str, list[Any]] = {node.name: [] for node in self._nodes}
        self._room = asyncio.Semaphore(_CONNECTIONS)
        # Bounded: nobody may ever ask for the rate.
        self._reads: deque[float] = deque(maxlen=10_000)

    @property
    def primary(self) -> str | None:
        """Region, node and timeline of the primary, or None while there is none."""
        node = self._primary()
        return node.served_by if node else None

    def _primary(self) -> Node | None:
        able = [node for node in self._nodes if node.timeline is not None]
        return max(able, key=lambda node: node.timeline or 0, default=None)

    async def watch(self) -> None:
        """Follow every node for ever."""
        async with asyncio.TaskGroup() as watchers:
            for node in self._nodes:
                watchers.create_task(self._follow(node))

    async def _follow(self, node: Node) -> None:
        connection: Any = None
        while True:
            timeline = None
            try:
                async with asyncio.timeout(_PATIENCE):
                    if connection is None:
                        connection = await _connect(node)
                    found = await connection.fetchval(_ROLE)
                    timeline = int(found, 16) if found else None
            except Exception as error:  # noqa: BLE001 -- drivers raise much when servers die; following must go on
                if not isinstance(error, _EXPECTED):
                    traceback.print_exc()
                if connection is not None:
                    connection.terminate()
                connection = None
            if timeline != node.timeline:
                node.timeline = timeline
                # What was pooled belongs to another life of this node.
                node.epoch += 1
                self._forget(node)
            await asyncio.sleep(_ASK_EVERY)

    def _forget(self, node: Node) -> None:
        for connection in self._idle[node.name]:
            connection.terminate()
        self._idle[node.name].clear()

    # --- what orders need -----------------------------------------------------------------------------------------

    async def insert(self, order: int, region: str) -> str:
        """Write one order and return who took it, once it is committed there."""
        async with self._connection() as (node, connection):
            served_by = node.served_by
            try:
                await connection.execute("insert into orders (id, region) values ($1, $2)", order, region)
            except asyncpg.UniqueViolationError as error:
                raise Duplicate from error
            except (asyncpg.ReadOnlySQLTransactionError, asyncpg.CannotConnectNowError) as error:
                raise Unavailable(f"{node.name} takes no writes: {error}") from error
            except (OSError, asyncpg.InterfaceError) as error:
                raise Ambiguous(f"{node.name} did not answer: {error!r}") from error
            except asyncpg.PostgresError as error:
                # Class 57 (shutdown) and 08 (connection) come while a commit may be under way.
                kind = Ambiguous if str(error.sqlstate)[:2] in ("57", "08") else Unavailable
                raise kind(f"{node.name} refused: {error}") from error
        return served_by

    async def latest(self) -> tuple[int | None, str]:
        """The highest id, and who said so."""
        found, served_by = await self._read("select max(id) from orders", one=True)
        return found, served_by

    async def ids(self, since: int, limit: int) -> tuple[list[int], str]:
        """Every id from *since* on, in order, at most *limit*, and who said so."""
        rows, served_by = await self._read("select id from orders where id >= $1 order by id limit $2", since, limit)
        return [row["id"] for row in rows], served_by

    async def article(self, number: int) -> tuple[dict[str, Any] | None, str]:
        """One article by its number, None when there is none, and who said so."""
        rows, served_by = await self._read("select id, name, price from articles where id = $1", number)
        return dict(rows[0]) if rows else None, served_by

    async def articles(self) -> list[dict[str, Any]]:
        """Every article."""
        rows, _ = await self._read("select id, name, price from articles order by id")
        return [dict(row) for row in rows]

    def reads_per_s(self) -> int:
        """How many reads the database was asked for over the last second: the load on the cache's origin."""
        since = time.monotonic() - 1
        while self._reads and self._reads[0] < since:
            self._reads.popleft()
        return len(self._reads)

    async def _read(self, query: str, *arguments: int, one: bool = False) -> tuple[Any, str]:
        self._reads.append(time.monotonic())
        async with self._connection(within=_PATIENCE if one else 10) as (node, connection):
            served_by = node.served_by
            try:
                found = await (connection.fetchval if one else connection.fetch)(query, *arguments)
            except _EXPECTED as error:
                raise Unavailable(f"{node.name} did not answer: {error!r}") from error
        return found, served_by

    @contextlib.asynccontextmanager
    async def _connection(self, within: float = _PATIENCE) -> AsyncIterator[tuple[Node, Any]]:
        """A connection to the primary for one statement; ended, not kept, after any trouble or *within* seconds."""
        node = self._primary()
        if node is None:
            raise Unavailable("no primary of the database can be reached")
        try:
            await asyncio.wait_for(self._room.acquire(), _PATIENCE)
        except TimeoutError as error:
            raise Unavailable(f"{node.name} is too busy") from error
        connection = None
        try:
            epoch, connection = await self._take(node)
            sound = False
            try:
                async with asyncio.timeout(within):
                    yield node, connection
                sound = True
            except TimeoutError as error:
                raise Ambiguous(f"{node.name} did not answer within {within:g} s") from error
            except Duplicate:
                sound = True
                raise
            finally:
                if sound and epoch == node.epoch:
                    self._idle[node.name].append(connection)
                    connection = None
        finally:
            if connection is not None:
                connection.terminate()
            self._room.release()

    async def _take(self, node: Node) -> tuple[int, Any]:
        epoch = node.epoch
        while self._idle[node.name]:
            connection = self._idle[node.name].pop()
            if not connection.is_closed():
                return epoch, connection
        try:
            async with asyncio.timeout(_PATIENCE):
                return epoch, await _connect(node)
        except _EXPECTED as error:
            raise Unavailable(f"{node.name} cannot be reached: {error!r}") from error


async def _connect(node: Node) -> Any:
    return await asyncpg.connect(
        host=node.host, port=node.port, user="postgres", database="postgres", ssl=False, statement_cache_size=20
    )
