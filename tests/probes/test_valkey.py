"""Valkey probes against real servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.errors import EnvironmentFault
from drill.model import MILLISECOND, Fate, Outcome
from drill.probes import Answer
from drill.probes.valkey import ValkeyProbe
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.servers import closed_port
from tests.probes.stores import Valkey, valkey, wait

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as started:
        yield started


@pytest.fixture
def replica(server: Valkey, tmp_path: Path) -> Iterator[Valkey]:
    """A second server that follows the first."""
    with valkey(tmp_path) as started:
        started.command("REPLICAOF", "127.0.0.1", str(server.port))
        online = f"port={started.port},state=online"
        wait(lambda: online in server.command("INFO", "replication"), started)
        wait(lambda: "master_link_status:up" in started.command("INFO", "replication"), started)
        yield started
    server.command("FLUSHALL")


@pytest.mark.parametrize(
    ("command", "expect", "outcome", "detail"),
    [
        (None, {"value": "PONG"}, Outcome.OK, ""),
        (["GET", "greeting"], {"value": "hello"}, Outcome.OK, ""),
        (["GET", "greeting"], {"value": "bye"}, Outcome.FAILED, 'answer "hello"'),
        (["GET", "nothing"], {"value": "hello"}, Outcome.FAILED, "answer null"),
        (["STRLEN", "greeting"], {"at_least": 5, "at_most": 5}, Outcome.OK, ""),
        (["STRLEN", "greeting"], {"at_least": 6}, Outcome.FAILED, "answer 5"),
        (["INFO", "replication"], {"text": ["role:master", "connected_slaves:0"]}, Outcome.OK, ""),
        (["INFO", "replication"], {"text": "role:slave"}, Outcome.FAILED, 'the answer lacks "role:slave"'),
        (["LPUSH", "greeting", "x"], None, Outcome.FAILED, "the server answers WRONGTYPE"),
    ],
)
async def test_the_reply_decides(
    server: Valkey, command: list[str], expect: dict, outcome: Outcome, detail: str
) -> None:
    """Value, text and limits are compared; an error reply is a failure."""
    server.command("SET", "greeting", "hello")
    answer = await ask(ValkeyProbe, url=server.url, command=command, expect=expect)

    assert (answer.outcome, answer.detail, answer.served_by) == (outcome, detail, f"127.0.0.1:{server.port}")


@pytest.mark.parametrize("how", ["set", "keys"])
async def test_ids_are_written_one_item_each_and_read_back(server: Valkey, how: str) -> None:
    """No item is ever overwritten, whichever way they are kept; other keys are not taken for ids."""
    server.command("SET", f"drill[{how}]x:9", "9")
    async with opened(ValkeyProbe, url=server.url, write={"key": f"drill[{how}]", "as": how}) as prober:
        answers = [await prober.sample(id) for id in (3, 10, 4)]
        survivors = await prober.survivors(3, 9)

    by = f"127.0.0.1:{server.port}"
    assert answers == [Answer(Outcome.OK, served_by=by, fate=Fate.ACKNOWLEDGED)] * 3
    assert survivors == ([3, 4], by)


async def test_a_replica_refuses_writes(server: Valkey, replica: Valkey) -> None:
    """READONLY is known not applied, and a replica is never asked for survivors."""
    async with opened(ValkeyProbe, url=replica.url, write={"key": "ids"}) as prober:
        answer = await prober.sample(1)
        with pytest.raises(EnvironmentFault, match=f"127.0.0.1:{replica.port} is a replica"):
            await prober.survivors(1, 1)

    assert answer == Answer(Outcome.FAILED, "the server answers READONLY", f"127.0.0.1:{replica.port}", Fate.REFUSED)


async def test_of_several_servers_the_primary_is_used(server: Valkey, replica: Valkey) -> None:
    """A replica is passed over, a frozen one too, and the same after the roles have changed."""
    urls = [replica.url, server.url]
    write = {"key": "roles"}

    before = await ask(ValkeyProbe, 1, url=urls, write=write)
    with replica.frozen():
        past_frozen = await ask(ValkeyProbe, 2, url=urls, write=write)
    replica.command("REPLICAOF", "NO", "ONE")
    server.command("REPLICAOF", "127.0.0.1", str(replica.port))
    after = await ask(ValkeyProbe, 3, url=urls, write=write)
    server.command("REPLICAOF", "NO", "ONE")

    assert [answer.served_by for answer in (before, past_frozen, after)] == [
        f"127.0.0.1:{port}" for port in (server.port, server.port, replica.port)
    ]
    async with opened(ValkeyProbe, url=urls, write=write) as prober:
        with pytest.raises(EnvironmentFault, match="two servers say they are the primary"):
            await prober.survivors(1, 9)


async def test_a_write_that_too_few_replicas_confirmed_is_unknown(server: Valkey, replica: Valkey) -> None:
    """WAIT that comes back short leaves the write neither lost nor safe."""
    write = {"key": "waited", "wait": {"replicas": 1, "within": 200 * MILLISECOND}}

    confirmed = await ask(ValkeyProbe, 1, url=server.url, write=write)
    with replica.frozen():
        short = await ask(ValkeyProbe, 2, url=server.url, write=write)

    by = f"127.0.0.1:{server.port}"
    assert confirmed == Answer(Outcome.OK, served_by=by, fate=Fate.ACKNOWLEDGED)
    assert short == Answer(Outcome.FAILED, "confirmed by 0 replicas", by, Fate.UNKNOWN)


async def test_a_frozen_server_fails_at_the_deadline_and_comes_back(server: Valkey) -> None:
    """While Valkey is frozen writes fail at their deadline and are unknown; thawed, it is good at once."""
    async with sampling(
        ValkeyProbe, ids=itertools.count(1), url=server.url, connection="pooled", write={"key": "frozen"}
    ) as (sampler, seen):
        await until(sampler, Outcome.OK)
        with server.frozen():
            await until(sampler, Outcome.FAILED, times=20)
        await until(sampler, Outcome.OK)
    async with opened(ValkeyProbe, url=server.url, write={"key": "frozen"}) as prober:
        survivors, _ = await prober.survivors(1, 10**6)

    failed = [sample for sample in seen if sample.outcome is Outcome.FAILED]
    assert {(sample.detail, sample.fate) for sample in failed} == {("no answer within 300 ms", Fate.UNKNOWN)}
    assert {sample.id for sample in seen if sample.fate is Fate.ACKNOWLEDGED} <= set(survivors)


async def test_nobody_there_is_known_not_applied() -> None:
    """A refused connection took no write, and the password in the URL is not in what is said."""
    url = f"valkey://:s3cr3t@127.0.0.1:{closed_port()}/0"

    assert await ask(ValkeyProbe, 1, url=url, write={"key": "ids"}) == Answer(
        Outcome.FAILED, "connection refused", fate=Fate.REFUSED
    )


async def test_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    """The server's refusal is named by its code."""
    with valkey(tmp_path) as locked:
        locked.command("CONFIG", "SET", "requirepass", "right")
        url = f"valkey://:wr0ng@127.0.0.1:{locked.port}/0"
        answer = await ask(ValkeyProbe, 1, url=url, write={"key": "ids"})

    assert (answer.outcome, answer.fate) == (Outcome.FAILED, Fate.REFUSED)
    assert "wr0ng" not in answer.detail
    assert answer.detail
