"""PostgreSQL probes against real servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.errors import EnvironmentFault
from drill.model import Fate, Outcome
from drill.probes import Answer
from drill.probes.postgres import PostgresProbe
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.servers import closed_port, serving
from tests.probes.stores import Postgres, postgres, replica

pytestmark = pytest.mark.lab

LEDGER = {"table": "ledger", "create": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.mark.parametrize(
    ("query", "expect", "seen"),
    [
        (None, None, Answer(Outcome.OK, value=1)),
        ("SELECT 2 WHERE false", {"rows": 0}, Answer(Outcome.OK)),
        ("SELECT 2", {"rows": 0}, Answer(Outcome.FAILED, "1 rows", value=2)),
        ("SELECT 2 WHERE false", {"value": 2}, Answer(Outcome.FAILED, "no row")),
        ("SELECT count(*) FROM generate_series(1, 3)", {"value": 3}, Answer(Outcome.OK, value=3)),
        ("SELECT 'east'", {"value": "east"}, Answer(Outcome.OK)),
        ("SELECT false", {"value": True}, Answer(Outcome.FAILED, "value false")),
        ("SELECT 1.5::numeric", {"at_most": 1.5}, Answer(Outcome.OK, value=1.5)),
        ("SELECT 0.25", {"at_least": 1}, Answer(Outcome.FAILED, "value 0.25", value=0.25)),
        ("SELECT NULL", {"at_most": 1}, Answer(Outcome.FAILED, "value null is not a number")),
        ("SELECT 1/0", None, Answer(Outcome.FAILED, "22012 division by zero")),
    ],
)
async def test_the_answer_to_a_query_decides(server: Postgres, query: str, expect: dict, seen: Answer) -> None:
    """Value, rows and limits are compared, and a number is kept."""
    assert await ask(PostgresProbe, dsn=server.dsn, query=query, expect=expect) == seen


async def test_ids_are_written_and_read_back(server: Postgres) -> None:
    """Each acknowledged id is there, read from the writable server, and the answer says who took it."""
    async with opened(PostgresProbe, dsn=server.dsn, write={"table": "public.kept", "create": True}) as prober:
        answers = [await prober.sample(id) for id in (3, 4, 5)]
        duplicate = await prober.sample(4)
        survivors = await prober.survivors(4, 9)

    who = f"127.0.0.1:{server.port} timeline 1"
    assert answers == [Answer(Outcome.OK, served_by=who, fate=Fate.ACKNOWLEDGED)] * 3
    assert (duplicate.fate, duplicate.detail) == (
        Fate.REFUSED,
        '23505 duplicate key value violates unique constraint "kept_pkey"',
    )
    assert survivors == ([4, 5], who)


@pytest.mark.parametrize(
    ("setting", "detail"),
    [
        ("-c default_transaction_read_only=on", "25006 cannot execute INSERT in a read-only transaction"),
        ("-c statement_timeout=1 -c lock_timeout=0", None),
    ],
)
async def test_an_error_before_the_commit_is_known_not_applied(
    server: Postgres, setting: str, detail: str | None
) -> None:
    """A read-only server refuses the write; nothing of it is left."""
    server.sql("CREATE TABLE IF NOT EXISTS refused (id bigint PRIMARY KEY DEFAULT 1 CHECK (pg_sleep(0.1) IS NOT NULL))")
    dsn = f"{server.dsn}&options={setting.replace(' ', '%20').replace('=', '%3D')}"
    answer = await ask(PostgresProbe, 1, dsn=dsn, write={"table": "refused"})

    assert (answer.outcome, answer.fate) == (Outcome.FAILED, Fate.REFUSED)
    assert detail is None or answer.detail == detail
    assert server.sql("SELECT count(*) FROM refused") == "0"


async def test_nobody_there_is_known_not_applied() -> None:
    """A refused connection took no write."""
    dsn = f"postgresql://postgres:s3cr3t@127.0.0.1:{closed_port()}/postgres?sslmode=disable"

    assert await ask(PostgresProbe, 1, dsn=dsn, write={"table": "ledger"}) == Answer(
        Outcome.FAILED, "connection refused", fate=Fate.REFUSED
    )


async def test_a_killed_backend_leaves_the_write_unknown(server: Postgres) -> None:
    """When the session is ended while the write runs, the commit may or may not have come first."""
    server.sql("CREATE TABLE IF NOT EXISTS slow (id bigint PRIMARY KEY CHECK (pg_sleep(3) IS NOT NULL))")
    async with opened(PostgresProbe, dsn=server.dsn, write={"table": "slow"}) as prober:
        write = asyncio.create_task(prober.sample(1))
        kill = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE query LIKE 'INSERT INTO \"slow\"%' AND state = 'active'"
        )
        while await asyncio.to_thread(server.sql, kill) == "0":
            assert not write.done()
        answer = await write

    assert (answer.outcome, answer.fate) == (Outcome.FAILED, Fate.UNKNOWN)


@pytest.mark.parametrize("connection", ["fresh", "pooled"])
async def test_a_success_that_no_standby_confirmed_is_unknown(server: Postgres, connection: str) -> None:
    """Vector 9: COMMIT with the warning that the wait for its synchronous standby was cancelled is unknown."""
    table = f"synced_{connection}"
    async with opened(
        PostgresProbe, dsn=server.dsn, connection=connection, write={"table": table, "create": True}
    ) as prober:
        before = [await prober.sample(id) for id in (2, 3, 4)]
        server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.sql("SELECT pg_reload_conf()")
        try:
            write = asyncio.create_task(prober.sample(1))
            cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            while await asyncio.to_thread(server.sql, cancel) == "0":
                assert not write.done()
            answer = await write
        finally:
            server.sql("ALTER SYSTEM RESET synchronous_standby_names")
            server.sql("SELECT pg_reload_conf()")

        assert {one.fate for one in before} == {Fate.ACKNOWLEDGED}
        assert answer == Answer(
            Outcome.FAILED,
            "committed, but the wait for synchronous replication was cancelled",
            f"127.0.0.1:{server.port} timeline 1",
            Fate.UNKNOWN,
        )
        assert (await prober.survivors(1, 9))[0] == [1, 2, 3, 4]


async def test_a_frozen_server_fails_at_the_deadline_and_comes_back(server: Postgres) -> None:
    """While PostgreSQL is frozen writes fail at their deadline and are unknown; thawed, it is good at once."""
    async with sampling(
        PostgresProbe, every=50, ids=itertools.count(1), dsn=server.dsn, connection="pooled", write=LEDGER
    ) as (sampler, seen):
        await until(sampler, Outcome.OK)
        with server.frozen():
            await until(sampler, Outcome.FAILED, times=12)
        await until(sampler, Outcome.OK)
    async with opened(PostgresProbe, dsn=server.dsn, write=LEDGER) as prober:
        survivors, _ = await prober.survivors(1, 10**6)

    failed = [sample for sample in seen if sample.outcome is Outcome.FAILED]
    assert {(sample.detail, sample.fate) for sample in failed} == {("no answer within 300 ms", Fate.UNKNOWN)}
    assert {sample.id for sample in seen if sample.fate is Fate.ACKNOWLEDGED} <= set(survivors)
    assert server.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND state = 'active'") == "0"


async def test_giving_up_on_a_server_asks_nothing_more_of_it() -> None:
    """At the deadline the connection is dropped; no second one is made to ask for a cancellation."""
    connections = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read()
        writer.close()

    async with serving(accept) as port:
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        async with sampling(PostgresProbe, every=100, deadline=200, dsn=dsn) as (sampler, seen):
            await until(sampler, Outcome.FAILED)

    assert len(connections) == sum(sample.sent is not None for sample in seen)


async def test_giving_up_on_a_query_asks_nothing_more_of_the_server(server: Postgres) -> None:
    """Nor is there a second connection for a query that was under way: the first is dropped, and that is all."""
    connections = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        theirs, ours = await asyncio.open_connection("127.0.0.1", server.port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, ours), copy(theirs, writer), return_exceptions=True)

    async with serving(forward) as port:
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        async with sampling(
            PostgresProbe, every=200, deadline=600, dsn=dsn, query="SELECT pg_sleep(5)", connection="pooled"
        ) as (sampler, seen):
            await until(sampler, Outcome.FAILED)

    assert {sample.detail for sample in seen if sample.outcome is Outcome.FAILED} == {"no answer within 600 ms"}
    assert connections == sum(sample.sent is not None for sample in seen)


async def test_a_kept_connection_tells_once_and_for_all_who_answers(server: Postgres) -> None:
    """What was prepared on it writes, fails and is told like every other insert."""
    write = {"table": "kept_open", "create": True}
    async with opened(PostgresProbe, dsn=server.dsn, connection="pooled", write=write) as prober:
        good = [await prober.sample(id) for id in range(5)]
        duplicate = await prober.sample(3)
        after = await prober.sample(5)
        survivors, by = await prober.survivors(0, 9)

    assert good == [Answer(Outcome.OK, served_by=by, fate=Fate.ACKNOWLEDGED)] * 5
    assert (duplicate.outcome, duplicate.fate) == (Outcome.FAILED, Fate.REFUSED)
    assert duplicate.detail.startswith("23505 ")
    assert after == good[0]
    assert survivors == [0, 1, 2, 3, 4, 5]


async def test_more_than_a_server_can_do_is_unknown_and_leaves_it_its_connections(server: Postgres) -> None:
    """A pool grows no further while answers come: what is beyond was not sent, and known not to be written."""
    server.sql("CREATE TABLE slowly (id bigint PRIMARY KEY CHECK (pg_sleep(0.02) IS NOT NULL))")
    async with opened(PostgresProbe, dsn=server.dsn, connection="pooled", write={"table": "slowly"}) as prober:
        first = await prober.sample(0)
        answers = await asyncio.gather(*(prober.sample(id) for id in range(1, 201)))
        survivors, _ = await prober.survivors(0, 200)

    busy = [answer for answer in answers if answer.outcome is Outcome.UNKNOWN]
    assert first.outcome is Outcome.OK
    assert {(one.detail, one.fate, one.sent) for one in busy} == {
        ("not sent: every connection of this prober is in use, though answers come", Fate.REFUSED, False)
    }
    assert {one.outcome for one in answers} == {Outcome.OK, Outcome.UNKNOWN}
    assert len(answers) - len(busy) == len(survivors) - 1 <= 60


async def test_of_several_hosts_a_frozen_one_does_not_hide_the_others(server: Postgres, tmp_path: Path) -> None:
    """Hosts are tried in turn, each for its share of the deadline, and only the writable one will do."""
    with replica(server, tmp_path, "west") as standby:
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{server.port}"
        dsn = f"postgresql://postgres@{hosts}/postgres?sslmode=disable&target_session_attrs=read-write"
        query = {"dsn": dsn, "query": "SELECT 1", "served_by": True}

        by_role = await ask(PostgresProbe, **query)
        with standby.frozen():
            past_frozen = await ask(PostgresProbe, **query)
        on_standby = await ask(PostgresProbe, dsn=standby.dsn, served_by=True)
        nobody = await ask(PostgresProbe, **{**query, "dsn": f"{standby.dsn}&target_session_attrs=read-write"})

    assert by_role == past_frozen == Answer(Outcome.OK, served_by=f"127.0.0.1:{server.port} timeline 1", value=1)
    assert on_standby.served_by == f"127.0.0.1:{standby.port} standby"
    assert nobody == Answer(Outcome.FAILED, "no host is what target_session_attrs asks for")


async def test_survivors_come_from_the_newest_timeline(server: Postgres, tmp_path: Path) -> None:
    """After a promotion the old primary still takes writes; what survives is what the new one holds."""
    with replica(server, tmp_path, "west") as standby:
        dsn = f"postgresql://postgres@127.0.0.1:{server.port},127.0.0.1:{standby.port}/postgres?sslmode=disable"
        async with opened(PostgresProbe, dsn=dsn, write={"table": "both", "create": True}) as prober:
            await prober.sample(1)
            lag = f"SELECT pg_last_wal_replay_lsn() >= '{server.sql('SELECT pg_current_wal_lsn()')}'"
            while await asyncio.to_thread(standby.sql, lag) != "t":
                continue
            standby.sql("SELECT pg_promote()")
            late = await prober.sample(2)
            survivors = await prober.survivors(1, 9)

    assert late == Answer(Outcome.OK, served_by=f"127.0.0.1:{server.port} timeline 1", fate=Fate.ACKNOWLEDGED)
    assert survivors == ([1], f"127.0.0.1:{standby.port} timeline 2")


async def test_a_ledger_that_cannot_be_made_is_told_without_the_password() -> None:
    """A probe that cannot begin says why, and the DSN is not in it."""
    dsn = f"postgresql://postgres:s3cr3t@127.0.0.1:{closed_port()}/postgres?sslmode=disable"
    with pytest.raises(EnvironmentFault) as refused:
        await ask(PostgresProbe, 1, dsn=dsn, write=LEDGER)

    assert str(refused.value) == "the table ledger cannot be created: connection refused"


async def test_whether_a_server_takes_writes_is_tried(server: Postgres, tmp_path: Path) -> None:
    """An empty write is taken by the primary, and by the standby once it is promoted; a read-only session has none."""
    read_only = "&options=-c%20default_transaction_read_only%3Don"
    with replica(server, tmp_path, "west") as standby:
        tries = {"takes_writes": True, "served_by": True}
        primary = await ask(PostgresProbe, dsn=server.dsn, **tries)
        begun = server.sql("SELECT pg_current_wal_lsn()")
        refused = await ask(PostgresProbe, dsn=server.dsn + read_only, **tries)
        before = await ask(PostgresProbe, dsn=standby.dsn, **tries)
        standby.sql("SELECT pg_promote()")
        after = await ask(PostgresProbe, dsn=standby.dsn, **tries, expect={"value": 1})
        await ask(PostgresProbe, dsn=server.dsn, **tries)
        written = server.sql(f"SELECT pg_current_wal_lsn() - '{begun}'")

    assert primary == Answer(Outcome.OK, served_by=f"127.0.0.1:{server.port} timeline 1", value=1)
    assert (refused.outcome, refused.value) == (Outcome.OK, 0)
    assert before == Answer(Outcome.OK, served_by=f"127.0.0.1:{standby.port} standby", value=0)
    assert after == Answer(Outcome.OK, served_by=f"127.0.0.1:{standby.port} timeline 2", value=1)
    assert float(written) > 0


async def test_lag_that_nobody_tells_is_nothing(server: Postgres, tmp_path: Path) -> None:
    """Without a standby there is no lag, an idle one tells none, a busy one a number; never 0 in its place."""
    alone = await ask(PostgresProbe, dsn=server.dsn, lag={"stage": "replay"})
    no_standby = await ask(PostgresProbe, dsn=server.dsn, lag={"stage": "applied"})
    with replica(server, tmp_path, "west") as standby:
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        while await asyncio.to_thread(server.sql, streaming) != "1":
            continue
        # How soon an idle standby's lag turns NULL.
        standby.sql("ALTER SYSTEM SET wal_receiver_status_interval = '1s'")
        standby.sql("SELECT pg_reload_conf()")
        server.sql("CREATE TABLE IF NOT EXISTS busy (id bigint)")
        by_stage = {}
        for stage in ("write", "flush", "replay"):
            told = Answer(Outcome.OK)
            while told.value is None:
                server.sql("INSERT INTO busy VALUES (1)")
                told = await ask(PostgresProbe, dsn=server.dsn, lag={"stage": stage, "standby": "west"})
            by_stage[stage] = told
        other = await ask(PostgresProbe, dsn=server.dsn, lag={"stage": "replay", "standby": "north"})
        applied = await ask(PostgresProbe, dsn=standby.dsn, lag={"stage": "applied"}, served_by=True)
        idle = "SELECT replay_lag IS NULL FROM pg_stat_replication"
        while await asyncio.to_thread(server.sql, idle) != "t":
            continue
        null = await ask(PostgresProbe, dsn=server.dsn, lag={"stage": "replay"})

    assert alone == other == Answer(Outcome.FAILED, "no standby is connected")
    assert no_standby == Answer(Outcome.FAILED, "it is no standby")
    assert all(0 < (told.value or 0) < 30 for told in by_stage.values()), by_stage
    assert (applied.outcome, applied.served_by) == (Outcome.OK, f"127.0.0.1:{standby.port} standby")
    assert (applied.value or 0) > 0
    assert null == Answer(Outcome.OK, value=None)


@pytest.mark.parametrize(
    "options", [{"query": "SELECT 1", "lag": {"stage": "replay"}}, {"takes_writes": True, "write": LEDGER}]
)
def test_a_probe_does_one_thing(options: dict) -> None:
    """Query, write, lag and trying to write exclude each other."""
    (problem,) = PostgresProbe.check({"dsn": "postgresql://host/db", **options})

    assert problem.message == "a postgres probe does one of query, takes_writes, lag and write"
