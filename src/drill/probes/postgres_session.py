"""One connection to PostgreSQL, and what is known of the server behind it."""

from __future__ import annotations

from typing import Any

import asyncpg

# Who answers and in which timeline. The timeline in pg_control_checkpoint() is that of the last checkpoint, so
# stale just after a promotion; the name of the current WAL file is not.
SERVER = "host(inet_server_addr()) || ':' || inet_server_port()"
WRITER = f"{SERVER} || ' timeline ' || ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"


class PostgresSession:
    """
    One connection; one request at a time.

    When a request is cancelled, asyncpg means to open another connection to ask
    the server to cancel: more load on a server in trouble, and it can turn a
    commit into one that no standby has. Closing the session at once forestalls that.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._warnings: list[str] | None = None
        # What inserts without telling who took it, and who does; once both are known.
        self._prepared: Any = None
        self._by: str | None = None
        self._direct = False

    @classmethod
    async def connect(cls, dsn: str, *, timeout: float | None, writable: bool = False) -> PostgresSession:
        """Raises what asyncpg does. *timeout* in seconds; *writable* refuses a server that is not."""
        # A pooler in between would not know a prepared statement the next time: none behind our back.
        connection = await asyncpg.connect(
            dsn,
            timeout=timeout,
            statement_cache_size=0,
            target_session_attrs="read-write" if writable else None,
        )
        return cls(connection)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """The rows."""
        return list(await self._connection.fetch(query, *arguments))

    async def execute(self, query: str) -> None:
        """A query without an answer."""
        await self._connection.execute(query)

    async def insert(self, into: str, id: int) -> tuple[str | None, list[str]]:
        """
        Write one id with `INSERT … VALUES ($1)` in a transaction of its own.

        Returns who took it, and the warnings that came with it. Asking who did
        costs the server as much again as the insert. A server that takes
        writes stays in its timeline until it stops, and its sessions end with it:
        on a connection that leads to one server for good, it is asked once.
        """
        if self._direct and self._prepared is None:
            self._prepared = await self._connection.prepare(into)
        if self._warnings is None:
            self._connection.add_log_listener(self._heard)
        self._warnings = []
        if self._prepared is not None:
            await self._prepared.fetch(id)
        else:
            rows = await self._connection.fetch(f"{into} RETURNING {WRITER}, pg_backend_pid()", id)
            self._by, pid = rows[0] if rows else (None, None)
            # A pooler that lends servers by the transaction makes up the process that it names at the login.
            self._direct = pid is not None and pid == self._connection.get_server_pid()
        return self._by, self._warnings

    def _heard(self, _: Any, message: Any) -> None:
        if self._warnings is not None:
            self._warnings.append(message.message or "")

    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return not self._connection.is_closed()

    def close(self) -> None:
        """Drop it at once; whatever runs on it is left to the server."""
        self._connection.terminate()
