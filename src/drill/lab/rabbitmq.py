"""RabbitMQ brokers in one cluster: their configuration, and what a broker tells of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import glob
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from drill.errors import EnvironmentFault
from drill.lab.topology import HOME, Layout

# Shared by brokers that may talk to each other; all of them are on loopback.
_COOKIE = "drill"
# Seconds without a word after which a broker takes another for dead; a killed one is noticed at once.
_TICK_S = 8

# Who is in the cluster; then of each queue its name (which may hold anything), its leader and who has it online.
_QUESTION = """
Running = case erlang:function_exported(rabbit_nodes, list_running, 0) of
              true -> rabbit_nodes:list_running();
              false -> rabbit_nodes:all_running()
          end,
Short = fun(N) -> hd(string:split(atom_to_list(N), "@")) end,
Online = fun(Q) -> case amqqueue:get_type(Q) of
                       rabbit_quorum_queue ->
                           [{_, Found}] = rabbit_amqqueue:info(Q, [online]),
                           Found;
                       _ -> [N || N <- [amqqueue:qnode(Q)], lists:member(N, Running)]
                   end end,
Lines = [lists:join(" ", ["running" | [Short(N) || N <- Running]]) |
         [lists:join(" ", [base64:encode_to_string(element(4, amqqueue:get_name(Q))),
                           atom_to_list(amqqueue:get_type(Q)),
                           Short(amqqueue:qnode(Q)) |
                           [Short(N) || N <- Online(Q)]]) || Q <- rabbit_amqqueue:list()]],
lists:flatten(lists:join("|", Lines)).
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """
    One queue of the cluster.

    Attributes:
        quorum: It has replicas; a classic queue lives on one broker.

        leader: The region of the broker that leads it.

        online: The regions of the brokers that have it and run.
    """

    name: str
    quorum: bool
    leader: str
    online: tuple[str, ...]


@dataclass(slots=True)
class Cluster:
    """What one broker says: the regions whose brokers run, and the queues."""

    running: tuple[str, ...] = ()
    queues: list[Queue] = field(default_factory=list)


def programs() -> tuple[Path, Path]:
    """
    rabbitmq-server and erl_call.

    Raises:
        EnvironmentFault: They are not installed.
    """
    # Debian's own /usr/sbin/rabbitmq-server insists on being root or the user rabbitmq.
    server = [*sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))[-1:]]
    server += [found] if (found := shutil.which("rabbitmq-server")) else []
    call = [found] if (found := shutil.which("erl_call")) else []
    call += sorted(glob.glob("/usr/lib*/erlang/lib/erl_interface-*/bin/erl_call"))
    for missing in ([] if server else ["rabbitmq-server"]) + ([] if call else ["erl_call"]):
        raise EnvironmentFault(
            f"the lab two-regions-queue needs the program {missing}", hint="apt-get install rabbitmq-server"
        )
    return Path(server[0]), Path(call[0])


def write(layout: Layout, region: str, folder: Path) -> tuple[list[str | Path], dict[str, str]]:
    """Write the files of the broker in *region*; how to start it, and the environment it needs."""
    server, _ = programs()
    peers = [f"rabbit-{member.region}@localhost" for member in layout.having("rabbitmq")]
    lines = [
        "cluster_formation.peer_discovery_backend = classic_config",
        *(f"cluster_formation.classic_config.nodes.{n} = {peer}" for n, peer in enumerate(peers, 1)),
        # Of a divided cluster the smaller part stops, and comes back by itself; otherwise it stays divided for ever.
        "cluster_partition_handling = pause_minority",
        f"net_ticktime = {_TICK_S}",
    ]
    (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
    (folder / "plugins").write_text("[].\n")
    cookie = folder / ".erlang.cookie"
    if not cookie.exists():
        cookie.write_text(_COOKIE)
        cookie.chmod(0o400)
    return [server], {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(layout.own[f"names-{region}"]),
        "ERL_EPMD_ADDRESS": HOME,
        "RABBITMQ_NODENAME": f"rabbit-{region}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOME,
        "RABBITMQ_NODE_PORT": str(layout.own[f"rabbitmq-{region}"]),
        "RABBITMQ_DIST_PORT": str(layout.own[f"cluster-{region}"]),
        # One thread each, which sleeps when there is nothing to do: three brokers share the machine with all else.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        # Otherwise a shell stands between us and the broker, and waits for it.
        "RUNNING_UNDER_SYSTEMD": "1",
    }


async def cluster(layout: Layout, *, within: float = 1.5) -> Cluster:
    """What the first broker that answers says of those that take clients; an empty cluster when none does in time."""
    regions = [member.region for member in layout.having("rabbitmq")]
    # A broker must not be asked before it has started: the question itself can keep it from ever doing so.
    takes = await asyncio.gather(*(_listens(layout.own[f"rabbitmq-{region}"]) for region in regions))
    ready = [region for region, listens in zip(regions, takes, strict=True) if listens]
    for region in ready:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(within):
                found = read(await _evaluate(layout.own[f"cluster-{region}"], _QUESTION))
            return Cluster(tuple(each for each in found.running if each in ready), found.queues)
    return Cluster()


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(0.5):
            _, writer = await asyncio.open_connection(HOME, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _evaluate(port: int, expression: str) -> str:
    """Have a broker evaluate Erlang and return the text that comes out; ValueError when none does."""
    _, call = programs()
    asked = await asyncio.create_subprocess_exec(
        call, "-address", f"{HOME}:{port}", "-c", _COOKIE, "-h", f"drill{port}", "-e",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = await asked.communicate(expression.encode())
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            asked.kill()
        raise
    said = out.decode()
    if not said.startswith('{ok, "'):
        raise ValueError(said)
    return said[len('{ok, "') : said.rindex('"')]


def read(text: str) -> Cluster:
    """The answer to our question."""
    first, *rest = text.split("|")
    found = Cluster(tuple(sorted(_region(node) for node in first.split()[1:])))
    for line in rest:
        name, kind, leader, *online = line.split(" ")
        regions = tuple(sorted(_region(node) for node in online))
        found.queues.append(
            Queue(base64.b64decode(name).decode(), kind == "rabbit_quorum_queue", _region(leader), regions)
        )
    return found


def _region(node: str) -> str:
    return node.removeprefix("rabbit-")
