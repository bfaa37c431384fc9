"""PostgreSQL: a query, or a ledger of ids written one transaction each."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from drill.errors import EnvironmentFault, Problem
from drill.model import SECOND, Fate, Outcome, Probe
from drill.probes import Answer
from drill.probes.expectation import number, shown
from drill.probes.failure import failed, said
from drill.probes.pool import Busy, Pool
from drill.spec.shape import Choice, Key, Number, Table, Text, anything, boolean, text
from drill.spec.shape import number as a_number

if TYPE_CHECKING:
    from drill.probes.postgres_session import PostgresSession

# The transaction may have been committed although the server reports an error.
_IN_DOUBT = {"08007", "40003"}
# The commit is there, but the standby that was to have it may not: success with a warning is no acknowledgement.
_SYNC_CANCELLED = re.compile(r"cancell?ing (the )?wait for synchronous replication", re.IGNORECASE)

# An empty message in the write-ahead log is a write like any other, needs no table and leaves nothing behind.
_TAKES_WRITES = (
    "SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only')::bool THEN 0 "
    "ELSE (SELECT 1 FROM pg_logical_emit_message(true, 'drill', '')) END"
)
# Without any standby the maximum is NULL as well: the number of rows tells the one from the other.
_LAG = (
    "SELECT extract(epoch FROM max({}_lag)), count(*) FROM pg_stat_replication WHERE $1::text IN ('', application_name)"
)
_APPLIED = (
    "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), "
    "pg_is_in_recovery()::int WHERE $1::text IS NOT NULL"
)

# A server takes a hundred connections unless told otherwise, and others want some of them. One that hangs takes none.
_MOST = 60
_HANGING = 250

# Neither is measured: both may take as long as they need.
_OPEN_S = 10.0
_SURVIVORS_S = 20.0

_identifier = Text("the name of a table, perhaps with its schema", pattern=r"\w+(\.\w+)?")
_column = Text("the name of a column", pattern=r"\w+")


class PostgresProbe:
    """
    Connects, asks one query or inserts one id in a transaction of its own, and hangs up.

    Of several hosts in the DSN each is tried in turn for an equal share of the
    deadline, as libpq does with connect_timeout: without, one frozen host hides the others.
    Names are looked up by the client library, anew for each connection, in the loop's few threads.
    """

    keys = Table(
        "postgres probe",
        Key("dsn", text, "postgresql://user@host:port/database; several hosts are separated by commas.", required=True),
        Key("query", text, "What is asked, for a probe that reads; without it, SELECT 1."),
        Key(
            "expect",
            Table(
                "expect",
                Key("value", anything, "What the first column of the first row is."),
                Key("rows", Number("a whole number, 0 or more", least=0), "How many rows there are."),
                Key("at_least", a_number, "The smallest value that is good."),
                Key("at_most", a_number, "The largest value that is good."),
            ),
            "What a good answer is; without it, any answer.",
        ),
        Key("connection", Choice("fresh", "pooled"), "fresh (default): a new connection each time."),
        Key(
            "takes_writes",
            boolean,
            "true: instead of a query, try an empty write; value 1 when it was taken, 0 when the server is read-only.",
        ),
        Key(
            "lag",
            Table(
                "lag",
                Key(
                    "stage",
                    Choice("write", "flush", "replay", "applied"),
                    "write, flush, replay: the primary's pg_stat_replication; applied: a standby's newest transaction, "
                    "which ages while the primary is idle.",
                    required=True,
                ),
                Key("standby", text, "The application_name of the one standby; without it, the furthest behind."),
            ),
            "Instead of a query, what the server says of replication lag, seconds; it corroborates and proves nothing.",
        ),
        Key("served_by", boolean, "true: also ask who answered, and in which timeline; writes always do."),
        Key(
            "write",
            Table(
                "write",
                Key("table", _identifier, "Where ids are inserted.", required=True),
                Key("column", _column, "The column of the id; id unless said otherwise."),
                Key("create", boolean, "true: create the table if it is not there."),
            ),
            "How the probe writes ids; the survivors are read from the same table.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        found = []
        if options.get("write") and (options.get("query") or options.get("expect")):
            found.append(Problem("a postgres probe either writes or asks a query, not both"))
        elif sum(bool(options.get(key)) for key in ("query", "takes_writes", "lag", "write")) > 1:
            found.append(Problem("a postgres probe does one of query, takes_writes, lag and write"))
        dsn = str(options.get("dsn") or "postgresql://")
        if "${" not in dsn and not dsn.startswith(("postgresql://", "postgres://")):
            found.append(Problem("dsn must begin with postgresql://"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._hosts = _each_host(options["dsn"])
        self._share = probe.deadline / SECOND / len(self._hosts)
        self._query = _TAKES_WRITES if options.get("takes_writes") else options.get("query") or "SELECT 1"
        self._lag = options.get("lag")
        self._expect = options.get("expect") or {}
        self._asks_who = bool(options.get("served_by"))
        self._pooled = options.get("connection") == "pooled"
        self._write = options.get("write")
        self._pool = Pool(str(options["dsn"]), self._connect, most=_MOST, hanging=_HANGING)
        if self._write:
            # Both are plain names (the shapes above), and quoted: nothing else can hide in them.
            table = ".".join(f'"{part}"' for part in self._write["table"].split("."))
            column = f'"{self._write.get("column") or "id"}"'
            self._insert_one = f"INSERT INTO {table} ({column}) VALUES ($1)"  # noqa: S608 see above
            self._select = f"SELECT {column} FROM {table} WHERE {column} BETWEEN $1 AND $2 ORDER BY 1"  # noqa: S608 same
            self._create_table = (
                f"CREATE TABLE IF NOT EXISTS {table} "
                f"({column} bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: The table was to be created and could not be.
        """
        import asyncpg

        from drill.probes.postgres_session import SERVER, WRITER, PostgresSession

        self._asyncpg = asyncpg
        self._sessions = PostgresSession
        self._writer = f"SELECT {WRITER}"
        self._who = f"SELECT CASE WHEN pg_is_in_recovery() THEN {SERVER} || ' standby' ELSE {WRITER} END"
        self._errors: tuple[type[Exception], ...] = (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        )
        if self._write and self._write.get("create"):
            await self._create(self._write["table"])
        if self._pooled:
            # A pool has one before the first request; if it cannot, the first request will say so.
            with suppress(*self._errors):
                async with asyncio.timeout(self._share):
                    self._pool.give_back(await self._pool.take(), good=True)

    async def _create(self, table: str) -> None:
        try:
            session = await self._connect(writable=True, share=_OPEN_S / len(self._hosts))
            try:
                async with asyncio.timeout(_OPEN_S):
                    await session.execute(self._create_table)
            finally:
                session.close()
        except self._errors as error:
            raise EnvironmentFault(f"the table {table} cannot be created: {self._said(error)}") from error

    async def sample(self, id: int | None) -> Answer:
        session = None
        good = False
        try:
            try:
                session = await (self._pool.take() if self._pooled else self._connect())
            except Busy:
                why = "not sent: every connection of this prober is in use, though answers come"
                return Answer(Outcome.UNKNOWN, why, fate=None if id is None else Fate.REFUSED, sent=False)
            except self._errors as error:
                # Without a connection nothing was written.
                return self._failed(error, None if id is None else Fate.REFUSED)
            try:
                answer = await (self._ask(session) if id is None else self._insert(session, id))
            except self._errors as error:
                return self._failed(error, None if id is None else _fate(error))
            # A server that answers, but not as it should (a demoted one above all), is looked for anew.
            good = answer.outcome is Outcome.OK
            return answer
        finally:
            if session is not None:
                if self._pooled:
                    self._pool.give_back(session, good=good)
                else:
                    session.close()

    async def _connect(self, *, writable: bool = False, share: float | None = None) -> PostgresSession:
        last: Exception | None = None
        for dsn in self._hosts:
            # The last one may use up what is left of the deadline.
            limit = share or (self._share if dsn is not self._hosts[-1] else None)
            try:
                return await self._sessions.connect(dsn, timeout=limit, writable=writable)
            except self._errors as error:
                last = error
        assert last is not None
        raise last

    async def _insert(self, session: PostgresSession, id: int) -> Answer:
        by, warnings = await session.insert(self._insert_one, id)
        if any(_SYNC_CANCELLED.search(warning) for warning in warnings):
            return Answer(
                Outcome.FAILED, "committed, but the wait for synchronous replication was cancelled", by, Fate.UNKNOWN
            )
        return Answer(Outcome.OK, served_by=by, fate=Fate.ACKNOWLEDGED)

    async def _ask(self, session: PostgresSession) -> Answer:
        if self._lag:
            stage = self._lag["stage"]
            query = _APPLIED if stage == "applied" else _LAG.format(stage)
            rows = await session.fetch(query, self._lag.get("standby") or "")
            if not rows[0][1]:
                nobody = "it is no standby" if stage == "applied" else "no standby is connected"
                return Answer(Outcome.FAILED, nobody, await self._server(session))
        else:
            rows = await session.fetch(self._query)
        value = rows[0][0] if rows and len(rows[0]) else None
        by = await self._server(session)
        lacking = _lacking(self._expect, rows, value)
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, by, value=_number(value))

    async def _server(self, session: PostgresSession) -> str | None:
        return (await session.fetch(self._who))[0][0] if self._asks_who else None

    def _failed(self, error: Exception, fate: Fate | None) -> Answer:
        answer = failed(error, fate)
        if answer.outcome is Outcome.UNKNOWN:
            return answer
        return Answer(Outcome.FAILED, self._said(error), fate=fate)

    def _said(self, error: Exception) -> str:
        """The server's own words, or what kind of error it was."""
        if isinstance(error, self._asyncpg.PostgresError) and getattr(error, "severity", None):
            return f"{error.sqlstate} {(getattr(error, 'message', '') or '')[:160]}".strip()
        if isinstance(error, self._asyncpg.ConnectionDoesNotExistError):
            return "connection lost"
        if isinstance(error, self._asyncpg.TargetServerAttributeNotMatched):
            return "no host is what target_session_attrs asks for"
        return said(error)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        if not self._write:
            raise EnvironmentFault("this probe writes nothing, so there are no survivors to read")
        reads = await asyncio.gather(*(self._survivors_of(dsn, first, last) for dsn in self._hosts))
        found = [read for read in reads if not isinstance(read, str)]
        if not found:
            raise EnvironmentFault(f"no writable server could be read: {'; '.join(map(str, reads))}")
        # An old primary that was cut off may still call itself writable: the newest timeline is the new one.
        timeline, by, ids = max(found, key=lambda read: read[0])
        rivals = [read[1] for read in found if read[0] == timeline]
        if len(set(rivals)) > 1:
            raise EnvironmentFault(f"two writable servers share a timeline: {', '.join(sorted(rivals))}")
        return ids, by

    async def _survivors_of(self, dsn: str, first: int, last: int) -> tuple[int, str, list[int]] | str:
        """Timeline, server and ids; or in words why there are none."""
        session = None
        try:
            async with asyncio.timeout(_SURVIVORS_S):
                session = await self._sessions.connect(dsn, timeout=_SURVIVORS_S / 4, writable=True)
                by = (await session.fetch(self._writer))[0][0]
                rows = await session.fetch(self._select, first, last)
        except self._errors as error:
            return self._said(error)
        finally:
            if session is not None:
                session.close()
        return int(by.rpartition(" ")[2]), by, [row[0] for row in rows]

    async def close(self) -> None:
        self._pool.close()


def _fate(error: Exception) -> Fate:
    """
    What an error says of a write that was sent.

    An ERROR means that the transaction was rolled back. Whatever ends the
    connection (FATAL, PANIC, a reset) may have come just after the commit.
    """
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    sqlstate = getattr(error, "sqlstate", None)
    return Fate.REFUSED if severity == "ERROR" and sqlstate not in _IN_DOUBT else Fate.UNKNOWN


def _lacking(expect: dict[str, Any], rows: list[Any], value: Any) -> str:
    """Why an answer is not a good one, in words; "" when it is."""
    if expect.get("rows") is not None and len(rows) != expect["rows"]:
        return f"{len(rows)} rows"
    wanted = expect.get("value")
    if wanted is not None and not _same(wanted, value):
        return f"value {shown(value)}" if rows else "no row"
    least, most = expect.get("at_least"), expect.get("at_most")
    if least is None and most is None:
        return ""
    size = _number(value)
    if size is None:
        return f"value {shown(value)} is not a number" if rows else "no row"
    good = (least is None or size >= least) and (most is None or size <= most)
    return "" if good else f"value {size:g}"


def _same(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, (int, float)):
        return _number(value) == wanted
    return value is not None and str(value) == str(wanted)


def _number(value: Any) -> float | None:
    """*value* as a number; Decimal too."""
    return number(value if isinstance(value, (bool, int, float)) or value is None else str(value))


def _each_host(dsn: str) -> list[str]:
    """The DSN once for each of its hosts."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{login}{at}{host}")) for host in hosts.split(",")]
