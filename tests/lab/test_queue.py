"""The lab with a RabbitMQ cluster: brokers die, are cut off and come back, and the shipped queue drills run on it."""

import asyncio
import glob
import json
import shutil
import time

import aiormq
import pytest

from drill.journal import replay
from drill.lab import up
from drill.model import Fate
from tests.actions.running import EXPERIMENTS, broken_and_restored
from tests.drills.running import run

INSTALLED = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*") or shutil.which("rabbitmq-server")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not INSTALLED, reason="RabbitMQ is not installed: apt-get install rabbitmq-server"),
]


@pytest.fixture(scope="module")
def queue_lab():
    made = asyncio.run(up("two-regions-queue"))
    yield made
    asyncio.run(made.down())


@pytest.fixture
def lab(queue_lab):
    """A lab with three brokers; whatever a test breaks is restored after it."""
    yield queue_lab
    queue_lab.ask_now("link", action="restore")
    queue_lab.ask_now("start", answer_within=130, members=["rabbitmq"], within=120)


@pytest.mark.drills
def test_a_replicated_queue_keeps_every_confirmed_message(lab, tmp_path):
    """The broker that leads dies; another leads within seconds, and all that was confirmed is there."""
    done = run("queue-loss", tmp_path, "--on", str(lab.folder))

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    assert done.verdicts() == {"rto": "met", "lost_writes": "met", "integrity": "met"}
    written, worked = done.record["ledger"]
    assert written["acknowledged"] > 200
    # Whether the worker got a message twice is the broker's affair; that it would have been seen is ours.
    assert (worked["probe"], worked["lost"], worked["settled"]) == ("queue-work", 0, True)
    assert None not in (worked["redelivered"]["lower"], worked["reordered"]["lower"])
    assert done.record["faults"][0]["effect"] == "shown"


@pytest.mark.drills
async def test_a_queue_on_one_broker_loses_exactly_what_was_confirmed(lab, tmp_path):
    """The objective is missed by every message that was confirmed, and the brokers know no such queue any more."""
    done = await asyncio.to_thread(run, "queue-loss-transient", tmp_path, "--on", str(lab.folder))
    assert (done.code, done.verdicts()["lost_writes"]) == (1, "missed"), done.said
    connection = await aiormq.connect(lab.endpoints["rabbitmq-west.url"])
    with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity, match="no queue"):
        await (await connection.channel()).queue_declare("drill.queue-writes-transient", passive=True)
    await connection.close()

    samples = replay(done.folder).samples("queue-writes-transient")
    confirmed = sum(sample.fate is Fate.ACKNOWLEDGED for sample in samples)
    assert confirmed > 100
    assert done.record["measured"]["lost_writes"] == {"lower": confirmed, "upper": confirmed, "reason": None}


@pytest.mark.parametrize("file", EXPERIMENTS["two-regions-queue"], ids=lambda path: path.stem)
async def test_an_experiment_breaks_something_and_restores_it(lab, file, tmp_path):
    """Plain `chaos run`: its action shows an effect, and after its rollbacks every replica is back."""
    connection = await aiormq.connect(lab.endpoints["rabbitmq-witness.url"])
    channel = await connection.channel()
    await channel.queue_declare("of a test", durable=True, arguments={"x-queue-type": "quorum"})
    await connection.close()
    await lab.ask("wait", answer_within=40, within=30)

    await asyncio.to_thread(broken_and_restored, file, lab, tmp_path)


async def test_brokers_talk_through_the_links_and_one_that_is_cut_off_comes_back(lab):
    """Cut off, it stops by itself and takes no clients; the others go on, and once the link is clear it rejoins."""
    await lab.ask("link", action="cut", region="witness", what="rabbitmq")
    end = time.monotonic() + 30
    while "rabbitmq-witness is not in the cluster" not in (missing := (await lab.status())["missing"]):
        assert time.monotonic() < end, "the others notice"
        await asyncio.sleep(0.2)
    await lab.ask("link", action="restore")
    await lab.ask("wait", answer_within=100, within=90)

    assert missing == ["rabbitmq-witness is not in the cluster"]
    assert json.dumps((await lab.status())["missing"]) == "[]"
