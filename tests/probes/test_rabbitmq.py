"""RabbitMQ probes against a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator

import aiormq
import pytest

from drill.clock import SystemClock
from drill.errors import EnvironmentFault
from drill.model import Fate, Outcome
from drill.probes import Answer, Prober
from drill.probes.rabbitmq import RabbitmqProbe
from drill.probes.survivors import settle
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.brokers import Rabbitmq, rabbitmq
from tests.probes.servers import closed_port

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbitmq]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


def acknowledged(broker: Rabbitmq) -> Answer:
    return Answer(Outcome.OK, served_by=f"127.0.0.1:{broker.port}", fate=Fate.ACKNOWLEDGED)


@pytest.mark.parametrize("connection", ["fresh", "pooled"])
@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_ids_are_published_and_read_back(broker: Rabbitmq, kind: str, connection: str) -> None:
    """Each confirmed id is there, twice if it was sent twice, as often as one looks; nothing is used up by looking."""
    write = {"queue": f"drill.{kind}.{connection}", "type": kind}
    async with opened(RabbitmqProbe, url=broker.url, connection=connection, write=write) as prober:
        answers = [await prober.sample(id) for id in (3, 11, 4, 3)]
        readings = [await prober.survivors(3, 9) for _ in range(3)]
    left = await ask(RabbitmqProbe, url=broker.url, queue=write["queue"])

    by = f"127.0.0.1:{broker.port}"
    assert answers == [acknowledged(broker)] * 4
    assert readings == [([3, 3, 4], by)] * 3
    assert left == Answer(Outcome.OK, served_by=by, value=4)


async def test_waiting_messages_are_counted(broker: Rabbitmq) -> None:
    """The count is the value, and limits decide; without a queue, being let in is enough."""
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.counted"}) as prober:
        await prober.sample(1)
    counts = {"url": broker.url, "queue": "drill.counted"}
    by = f"127.0.0.1:{broker.port}"

    assert await ask(RabbitmqProbe, **counts, expect={"at_most": 1}) == Answer(Outcome.OK, served_by=by, value=1)
    assert await ask(RabbitmqProbe, **counts, expect={"at_most": 0}) == Answer(
        Outcome.FAILED, "1 messages wait", by, value=1
    )
    assert await ask(RabbitmqProbe, url=broker.url) == Answer(Outcome.OK, served_by=by)
    assert await ask(RabbitmqProbe, url=broker.url, queue="nobodys") == Answer(
        Outcome.FAILED, "the broker answers NOT_FOUND - no queue 'nobodys' in vhost '/'", by
    )


async def test_a_queue_of_others_is_never_used(broker: Rabbitmq) -> None:
    """A queue that the probe did not declare itself is refused, and what waits in it stays."""
    connection = await aiormq.connect(broker.url)
    channel = await connection.channel()
    await channel.queue_declare("orders", durable=True, arguments={"x-queue-type": "quorum"})
    await channel.basic_publish(b"an order", routing_key="orders")
    with pytest.raises(EnvironmentFault) as refused:
        await ask(RabbitmqProbe, 1, url=broker.url, write={"queue": "orders"})
    left = await channel.queue_declare("orders", passive=True)
    await connection.close()

    assert str(refused.value) == "the queue orders cannot be declared: it exists and is not a probe's own"
    assert left.message_count == 1


async def test_messages_of_others_are_left_where_they_are(broker: Rabbitmq) -> None:
    """What somebody else put into the probe's queue is no survivor, and is still there afterwards."""
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.shared"}) as prober:
        await prober.sample(1)
        connection = await aiormq.connect(broker.url)
        channel = await connection.channel()
        await channel.basic_publish(b"an order", routing_key="drill.shared")
        survivors, _ = await prober.survivors(1, 9)
        left = await channel.queue_declare("drill.shared", passive=True)
        await connection.close()

    assert survivors == [1]
    assert left.message_count == 2


async def test_a_lost_queue_takes_nothing_and_holds_nothing(broker: Rabbitmq) -> None:
    """Mandatory messages come back, known not applied, and all that was in the queue is gone."""
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.lost"}) as prober:
        before = await prober.sample(1)
        connection = await aiormq.connect(broker.url)
        await (await connection.channel()).queue_delete("drill.lost")
        await connection.close()
        after = await prober.sample(2)
        survivors = await prober.survivors(1, 2)

    by = f"127.0.0.1:{broker.port}"
    assert before == acknowledged(broker)
    assert after == Answer(Outcome.FAILED, "returned: no queue took it", by, Fate.REFUSED)
    assert survivors == ([], by)


async def test_a_nack_leaves_the_write_unknown(broker: Rabbitmq) -> None:
    """Some replica of the queue may have the message all the same."""
    rule = '{"max-length": 1, "overflow": "reject-publish"}'
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.full", "type": "classic"}) as prober:
        await asyncio.to_thread(broker.control, "set_policy", "full", r"^drill\.full$", rule, "--apply-to", "queues")
        answers = [await prober.sample(id) for id in (1, 2, 3)]

    by = f"127.0.0.1:{broker.port}"
    nacked = Answer(Outcome.FAILED, "the broker answers nack", by, Fate.UNKNOWN)
    assert answers[0] == acknowledged(broker)
    assert answers[-1] == nacked


async def test_more_ids_than_one_consumer_may_hold_are_read(broker: Rabbitmq, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue longer than what one channel is handed is read to its end all the same."""
    monkeypatch.setattr("drill.probes.rabbitmq._UNACKED", 100)
    async with opened(RabbitmqProbe, url=broker.url, connection="pooled", write={"queue": "drill.long"}) as prober:
        await asyncio.gather(*(prober.sample(id) for id in range(1, 11)))
        for first in range(11, 331, 10):
            await asyncio.gather(*(prober.sample(id) for id in range(first, first + 10)))
        survivors, _ = await prober.survivors(1, 1000)

    assert survivors == list(range(1, 331))


async def test_reading_while_writing_goes_on_misses_nothing(broker: Rabbitmq) -> None:
    """Whatever was confirmed before a reading began is in it, again and again, once each."""
    write = {"queue": "drill.busy"}
    async with (
        opened(RabbitmqProbe, url=broker.url, write=write) as reader,
        sampling(RabbitmqProbe, every=10, ids=itertools.count(1), url=broker.url, connection="pooled", write=write) as (
            sampler,
            seen,
        ),
    ):
        missed, twice = [], []
        for _ in range(4):
            await until(sampler, Outcome.OK, times=20)
            confirmed = {sample.id for sample in seen if sample.fate is Fate.ACKNOWLEDGED}
            survivors, _ = await reader.survivors(1, 10**6)
            missed.append(sorted(confirmed - set(survivors)))
            twice.append(len(survivors) - len(set(survivors)))

    assert (missed, twice) == ([[]] * 4, [0] * 4)


async def test_a_consumer_tells_which_messages_came_out_of_order(broker: Rabbitmq) -> None:
    """A message that came after a higher one is named with it; without a consumer nothing is said of order."""
    write = {"queue": "drill.shuffled", "consume": True}
    async with opened(RabbitmqProbe, url=broker.url, connection="pooled", write=write) as prober:
        for id in (1, 4, 2, 3, 5):
            await prober.sample(id)
        await prober.survivors(1, 9)
        late = [(each.id, each.after, each.again) for each in prober.deliveries(1, 9)]  # type: ignore[attr-defined]
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.kept"}) as keeper:
        await keeper.sample(1)
        await keeper.survivors(1, 9)
        nothing = keeper.deliveries(1, 9)  # type: ignore[attr-defined]

    assert late == [(2, 4, None), (3, 4, None)]
    assert nothing is None


async def test_a_consumer_takes_each_message_and_tells_which_came_again(broker: Rabbitmq) -> None:
    """Nothing is left in the queue, and a message that comes a second time is told with how long after the first."""
    write = {"queue": "drill.consumed", "consume": True}
    async with opened(RabbitmqProbe, url=broker.url, connection="pooled", write=write) as prober:
        before = [await prober.sample(id) for id in range(1, 40)]
        once, _ = await prober.survivors(1, 99)
        other = await aiormq.connect(broker.url)
        await (await other.channel()).basic_publish(b"7", routing_key="drill.consumed")
        await other.close()
        twice = await taken(prober, 7, 7)
        (again,) = prober.deliveries(1, 99)  # type: ignore[attr-defined]
        left = await ask(RabbitmqProbe, url=broker.url, queue="drill.consumed")

    assert before == [acknowledged(broker)] * 39
    assert once == list(range(1, 40))
    assert twice == sorted([*once, 7])
    assert left.value == 0
    assert (again.id, again.after) == (7, None)
    assert again.again is not None
    assert again.again > again.at


async def test_a_consumer_is_back_when_its_broker_is(broker: Rabbitmq) -> None:
    """It connects again by itself, and takes what was confirmed before and after."""
    write = {"queue": "drill.worker", "consume": True}
    async with opened(RabbitmqProbe, url=broker.url, connection="pooled", write=write) as prober:
        before = await prober.sample(1)
        await taken(prober, 1)
        broker.registered("drill.worker")
        broker.kill()
        broker.start()
        confirmed = 0
        for id in range(2, 60):
            answer = await asyncio.wait_for(prober.sample(id), 10)
            confirmed = id if answer.fate is Fate.ACKNOWLEDGED else confirmed
            if confirmed:
                break
            await asyncio.sleep(0.5)
        found = await taken(prober, confirmed)

    assert before == acknowledged(broker)
    assert set(found) >= {1, confirmed}


@contextlib.asynccontextmanager
async def relay(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A way to *port*: once the event is cleared, nothing passes on the connections made until then, not their end."""
    whole, tasks, open_ = asyncio.Event(), [], []
    whole.set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if passes():
                    writer.write(data)
            if passes():
                writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        early = whole.is_set()
        open_.extend((writer, back))

        def passes() -> bool:
            return whole.is_set() or not early

        tasks.extend(
            (asyncio.create_task(pump(reader, back, passes)), asyncio.create_task(pump(there, writer, passes)))
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], whole
    finally:
        server.close()
        for writer in open_:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("consume", [True, False])
async def test_what_a_cut_link_was_handed_is_not_taken_for_lost(
    broker: Rabbitmq, consume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut that tells the broker nothing: it holds messages for a link of ours that is dead, until it notices."""
    write = {"queue": f"drill.cut.{consume}", "consume": consume}
    async with relay(broker.port) as (port, whole):
        url = f"amqp://guest:guest@127.0.0.1:{port}/"
        async with opened(RabbitmqProbe, url=url, write=write) as prober:
            before = [(await prober.sample(id)).fate for id in (1, 2)]
            if consume:
                await taken(prober, 1, 2)
                whole.clear()
            else:
                with monkeypatch.context() as slowly:
                    slowly.setattr("drill.probes.rabbitmq._EMPTY_AGAIN_S", 5.0)
                    reading = asyncio.create_task(prober.survivors(1, 9))
                    await handed(broker, str(write["queue"]))
                    whole.clear()
                    reading.cancel()
                    await asyncio.wait([reading])
            after = [(await prober.sample(id)).fate for id in (3, 4)]
            last = [each async for each in settle(prober, 1, 9, SystemClock())][-1]

    assert before + after == [Fate.ACKNOWLEDGED] * 4
    assert last.ids is not None
    assert set(last.ids) == {1, 2, 3, 4}


async def handed(broker: Rabbitmq, queue: str) -> None:
    """Wait until nothing is left in a queue that somebody reads; ten seconds at most."""
    async with asyncio.timeout(10):
        left: float | None = 1
        while left:
            left = (await ask(RabbitmqProbe, url=broker.url, queue=queue)).value


async def taken(prober: Prober, *ids: int) -> list[int]:
    """All that the consumer took, once *ids* are among them (as often as they stand there); 30 seconds at most."""
    found: list[int] = []
    for _ in range(600):
        found = prober._consumer.seen.ids(1, 99)  # type: ignore[attr-defined]
        if all(found.count(id) >= ids.count(id) for id in ids):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"of {ids} only {found} came")


async def test_a_frozen_broker_fails_at_the_deadline_and_comes_back(broker: Rabbitmq) -> None:
    """While RabbitMQ is frozen writes fail at their deadline and are unknown; thawed, it is good again."""
    async with sampling(
        RabbitmqProbe, every=50, ids=itertools.count(1), url=broker.url, write={"queue": "drill.frozen"}
    ) as (sampler, seen):
        await until(sampler, Outcome.OK)
        with broker.frozen():
            await until(sampler, Outcome.FAILED, times=12)
        await until(sampler, Outcome.OK)
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.frozen"}) as prober:
        survivors, _ = await prober.survivors(1, 10**6)

    failed = [sample for sample in seen if sample.outcome is Outcome.FAILED]
    assert {(sample.detail, sample.fate) for sample in failed} == {("no answer within 300 ms", Fate.UNKNOWN)}
    assert {sample.id for sample in seen if sample.fate is Fate.ACKNOWLEDGED} <= set(survivors)


async def test_a_cancelled_write_ends_at_once(broker: Rabbitmq) -> None:
    """When the deadline has passed nothing waits for a broker that does not answer, closing neither."""
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": "drill.cancelled"}) as prober:
        with broker.frozen():
            write = asyncio.create_task(prober.sample(1))
            done, _ = await asyncio.wait([write], timeout=0.2)
            assert not done

            began = time.monotonic()
            write.cancel()
            await asyncio.wait([write], timeout=5)
            cancelled = time.monotonic() - began
            await prober.close()
            closed = time.monotonic() - began

    assert write.cancelled()
    assert cancelled < 0.1
    assert closed < 1


@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_what_was_confirmed_survives_a_killed_broker(broker: Rabbitmq, kind: str) -> None:
    """Persistent messages in durable queues are there after a crash; in between, writes are refused."""
    async with opened(RabbitmqProbe, url=broker.url, write={"queue": f"drill.kept.{kind}", "type": kind}) as prober:
        before = [await prober.sample(id) for id in range(1, 30)]
        if kind == "quorum":
            broker.registered("drill.kept.quorum")
        broker.kill()
        try:
            down = await prober.sample(30)
            with pytest.raises(EnvironmentFault, match="the queue cannot be read: connection refused"):
                await prober.survivors(1, 99)
        finally:
            broker.start()
        after = await prober.sample(31)
        survivors, _ = await prober.survivors(1, 99)

    assert before == [acknowledged(broker)] * 29
    # A listener that is just being torn down resets what it had let in.
    assert down.detail in ("connection refused", "connection reset")
    assert (down.outcome, down.fate) == (Outcome.FAILED, Fate.REFUSED)
    assert after == acknowledged(broker)
    assert survivors == [*range(1, 30), 31]


async def test_of_several_brokers_the_first_that_answers_is_used(broker: Rabbitmq) -> None:
    """One that is down is passed over."""
    urls = [f"amqp://guest:guest@127.0.0.1:{closed_port()}/", broker.url]

    assert await ask(RabbitmqProbe, 1, url=urls, write={}) == acknowledged(broker)


async def test_a_wrong_password_is_told_without_it(broker: Rabbitmq) -> None:
    """The broker's refusal is shown, the URL is not."""
    answer = await ask(RabbitmqProbe, url=broker.url.replace("guest@", "wr0ng@"))

    assert answer.outcome is Outcome.FAILED
    assert answer.detail.startswith("the broker answers ACCESS_REFUSED")
    assert "wr0ng" not in answer.detail
    with pytest.raises(EnvironmentFault, match="a rabbitmq probe needs URLs such as"):
        await ask(RabbitmqProbe, url="http://guest:s3cr3t@host/")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "amqp://host/", "write": {}, "queue": "orders"}, "either writes or counts"),
        ({"url": "amqp://host/", "expect": {"at_most": 1}}, "expect needs queue"),
        ({"url": "amqp://host/", "write": {"durable": False}}, "a quorum queue is always durable"),
        ({"url": "amqp://host/", "write": {"queue": "nobody's"}}, "the name of a queue has letters"),
        ({"url": ["amqp://host/", "http://host/"]}, "url must begin with amqp://"),
    ],
)
def test_keys_that_contradict_each_other_are_told(options: dict, problem: str) -> None:
    """Each contradiction has its sentence."""
    assert problem in str(RabbitmqProbe.check(options)[0])
