"""TCP probes against sockets that accept, hang up and say the wrong thing."""

from __future__ import annotations

import asyncio
import socket

import pytest

from drill.errors import EnvironmentFault
from drill.model import Outcome
from drill.probes import Answer
from drill.probes.tcp import TcpProbe
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.servers import closed_port, reset, serving


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a line in two pieces."""
    line = await reader.readline()
    writer.write(b"you said ")
    await writer.drain()
    writer.write(line)
    await writer.drain()
    await reader.read()
    writer.close()


async def test_a_connection_is_enough_when_nothing_is_expected() -> None:
    """Somebody listens: good. Nobody does: refused."""
    async with serving(greets) as port:
        good = Answer(Outcome.OK, served_by=f"127.0.0.1:{port}")
        assert await ask(TcpProbe, address=f"127.0.0.1:{port}") == good
        assert await ask(TcpProbe, address=f"http://user:pw@127.0.0.1:{port}/path") == good
        assert await ask(TcpProbe, address=f"localhost:{port}") == good

    refused = await ask(TcpProbe, address=f"127.0.0.1:{closed_port()}")
    assert refused == Answer(Outcome.FAILED, "connection refused")


async def test_what_comes_back_is_waited_for() -> None:
    """The expected text may come in pieces; another text, or none, is a failure."""

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async def says_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no")
        await hangs_up(reader, writer)

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        reset(writer)

    seen, ports = [], []
    for handle in (greets, says_no, hangs_up, resets):
        async with serving(handle) as port:
            ports.append(f"127.0.0.1:{port}")
            seen.append(await ask(TcpProbe, address=f"127.0.0.1:{port}", send="hello\n", expect="said hello"))

    assert seen == [
        Answer(Outcome.OK, served_by=ports[0]),
        Answer(Outcome.FAILED, "another answer than expected", ports[1]),
        Answer(Outcome.FAILED, "connection closed before the answer", ports[2]),
        Answer(Outcome.FAILED, "connection reset"),
    ]


async def test_a_server_that_accepts_and_never_answers_fails_at_the_deadline() -> None:
    """A blackholed service still accepts: only an expected answer shows that nobody is at home."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        async with sampling(TcpProbe, address=address, send="hello\n", expect="hello") as (sampler, seen):
            await until(sampler, Outcome.FAILED)

    failed = {sample.detail for sample in seen if sample.outcome is Outcome.FAILED}
    assert failed == {"no answer within 300 ms"}


@pytest.mark.parametrize("address", ["nonsense", "host:", "host:port", "host:99999", "//"])
async def test_an_address_without_host_and_port_is_refused(address: str) -> None:
    """Before anything runs, and without repeating what may hold a password."""
    assert len(TcpProbe.check({"address": address})) == 1
    with pytest.raises(EnvironmentFault, match="address must be host:port"):
        async with opened(TcpProbe, address=address):
            pass
