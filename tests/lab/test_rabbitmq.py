"""What brokers say of themselves, from hand-written answers."""

from drill.lab import rabbitmq
from drill.lab.rabbitmq import Cluster, Queue
from drill.lab.view import View


def test_what_a_broker_says_is_read():
    """Who runs, and of each queue its kind, its leader and who has it."""
    said = (
        "running rabbit-west rabbit-east|b3VyIHF8dWV1ZQ== rabbit_quorum_queue rabbit-east rabbit-west rabbit-east"
        "|ZHJpbGwuYg== rabbit_classic_queue rabbit-witness"
    )

    assert rabbitmq.read(said) == Cluster(
        ("east", "west"),
        [Queue("our q|ueue", True, "east", ("east", "west")), Queue("drill.b", False, "witness", ())],
    )


def test_a_cluster_is_whole_with_every_broker_and_every_replica():
    """A classic queue has no replicas to miss; who leads most queues is the leader."""
    quorum, classic = Queue("q", True, "west", ("east", "west")), Queue("c", False, "west", ("west",))
    view = View(brokers=("east", "west", "witness"), cluster=Cluster(("east", "west"), [quorum, classic]))

    roles = {name: role for name, role in view.roles().items() if name.startswith("rabbitmq")}
    said = [sentence for sentence in view.missing() if sentence.startswith("rabbitmq")]
    assert roles == {"rabbitmq-east": "follower", "rabbitmq-west": "leader", "rabbitmq-witness": "follower"}
    assert said == ["rabbitmq-witness is not in the cluster"]

    view.cluster = Cluster(("east", "west", "witness"), [quorum, classic])
    said = [sentence for sentence in view.missing() if sentence.startswith("rabbitmq")]
    assert said == ["rabbitmq-witness has no replica of the queue q"]
