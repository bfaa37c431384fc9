"""What every probe kind must hold, ours and a stranger's alike."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from drill import plugins
from drill.errors import Problem
from drill.model import Fate, Outcome
from drill.probes import Prober
from drill.spec.shape import Table
from tests.probes.asking import planned
from tests.probes.servers import closed_port

KINDS = sorted(plugins.installed("probe"))


def options(kind: str, port: int, *, writes: bool) -> dict[str, Any]:
    """A probe of *kind* that asks whoever listens on *port* of loopback."""
    reads: dict[str, dict[str, Any]] = {
        "command": {"command": ["sh", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1; sleep 60"]},
        # The ports here are of TCP, which refuse every datagram at once.
        "dns": {"name": "orders.example", "server": f"127.0.0.1:{port}", "protocol": "tcp"},
        "http": {"url": f"http://127.0.0.1:{port}/"},
        "postgres": {"dsn": f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"},
        "prometheus": {"url": f"http://127.0.0.1:{port}", "query": "up"},
        "rabbitmq": {"url": f"amqp://127.0.0.1:{port}/"},
        "tcp": {"address": f"127.0.0.1:{port}", "expect": "hello"},
        "valkey": {"url": f"valkey://127.0.0.1:{port}/0"},
    }
    reads["command"]["command"][0] = "bash"
    if kind not in reads:
        pytest.skip(f"the kind {kind} is a stranger's, whose options are not known here")
    if not writes:
        return reads[kind]
    match kind:
        case "command":
            return {"write": reads[kind]}
        case "http":
            return {"write": {**reads[kind], "json": {"id": "${id}"}}}
        case "postgres":
            return {**reads[kind], "write": {"table": "ledger"}}
        case "valkey":
            return {**reads[kind], "write": {"key": "ledger"}}
        case "rabbitmq":
            pytest.skip("a rabbitmq probe declares its queue before it begins: tests/probes/test_rabbitmq.py does both")
    pytest.skip(f"a {kind} probe writes nothing")


def made(kind: str, port: int, *, writes: bool) -> Prober:
    prober: Prober = plugins.load("probe", kind)(planned(kind, options(kind, port, writes=writes)))
    return prober


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_which_keys_it_knows(kind: str) -> None:
    """Keys are a table, each with its sentence, none of them one that every probe has."""
    keys = plugins.load("probe", kind).keys

    assert isinstance(keys, Table)
    assert all(key.doc.endswith(".") for key in keys.keys)
    assert not {key.name for key in keys.keys} & {"probe", "kind", "title", "every", "deadline"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_checks_what_it_is_given_without_touching_anything(kind: str) -> None:
    """Options with every key absent are checked, and problems are values."""
    keys = plugins.load("probe", kind).keys
    problems = plugins.load("probe", kind).check({key.name: key.default for key in keys.keys})

    assert all(isinstance(problem, Problem) for problem in problems)


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_request_ends_at_once(kind: str, writes: bool, deaf: int) -> None:
    """When the deadline has passed nothing waits for a server that does not answer, closing neither."""
    prober = made(kind, deaf, writes=writes)
    await prober.open()
    request = asyncio.create_task(prober.sample(1 if writes else None))
    done, _ = await asyncio.wait([request], timeout=0.2)
    assert not done

    began = time.monotonic()
    request.cancel()
    await asyncio.wait([request], timeout=5)
    cancelled = time.monotonic() - began
    await prober.close()

    assert request.cancelled()
    assert cancelled < 0.1
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_there_is_an_answer_and_no_exception(kind: str, writes: bool) -> None:
    """A refused connection is a failure of the service; only a write has a fate, and it was not acknowledged."""
    prober = made(kind, closed_port(), writes=writes)
    await prober.open()
    answer = await asyncio.wait_for(prober.sample(1 if writes else None), 5)
    await prober.close()

    assert answer.outcome is Outcome.FAILED
    assert answer.detail
    assert answer.fate in ({Fate.REFUSED, Fate.UNKNOWN} if writes else {None})
