"""Erlang's port mapper, asked in its own protocol."""

import asyncio
import contextlib
import struct

import pytest

from drill.lab.names import Names
from tests.probes.servers import closed_port


@pytest.fixture
async def names():
    """Port mappers for two regions; the crossing from one to the other is port 7."""
    ports = {"east": closed_port(), "west": closed_port()}
    made = Names(ports, lambda source, target: {("west", "east"): 7}[source, target])
    await made.open()
    yield ports
    made.close()


@contextlib.asynccontextmanager
async def registered(port, name, at, version=6):
    """A node of this name at a port, as long as the block lasts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    node = struct.pack("!BHBBHHH", 120, at, 77, 0, version, 5, len(name)) + name.encode() + struct.pack("!H", 0)
    writer.write(struct.pack("!H", len(node)) + node)
    answer = await reader.readexactly(6 if version >= 6 else 4)
    try:
        yield answer
    finally:
        writer.close()
        await writer.wait_closed()


async def asked(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(struct.pack("!H", len(request)) + request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_node_is_reached_directly_at_home_and_through_the_link_from_elsewhere(names):
    """The same name, asked in two regions, has two ports."""
    async with registered(names["east"], "rabbit-east", 4000) as answer:
        home = await asked(names["east"], b"zrabbit-east")
        away = await asked(names["west"], b"zrabbit-east")

    rest = struct.pack("!BBHHH", 77, 0, 6, 5, 11) + b"rabbit-east" + struct.pack("!H", 0)
    assert answer[:2] == bytes([118, 0])
    assert home == struct.pack("!BBH", 119, 0, 4000) + rest
    assert away == struct.pack("!BBH", 119, 0, 7) + rest


async def test_only_the_nodes_of_a_region_are_listed_there(names):
    """A broker that starts looks whether its name is taken at home."""
    async with registered(names["east"], "rabbit-east", 4000):
        east, west = await asked(names["east"], b"n"), await asked(names["west"], b"n")

    assert east == struct.pack("!I", names["east"]) + b"name rabbit-east at port 4000\n"
    assert west == struct.pack("!I", names["west"])


async def test_a_name_is_free_again_once_its_node_is_gone(names):
    """A second node of the same name is refused; after the first one's death it is not, and nobody is found before."""
    async with (
        registered(names["east"], "rabbit-east", 4000),
        registered(names["east"], "rabbit-east", 4001) as second,
    ):
        pass
    async with asyncio.timeout(5):
        while (found := await asked(names["west"], b"zrabbit-east"))[1] == 0:
            pass
    async with registered(names["east"], "rabbit-east", 4002, version=5) as again:
        pass

    assert second == struct.pack("!BBI", 118, 1, 0)
    assert found == bytes([119, 1])
    assert again[:2] == bytes([121, 0])


async def test_what_is_no_question_is_not_answered(names):
    """Half a request, or one nobody knows: the connection ends, the mapper goes on."""
    assert await asked(names["east"], b"x") == b""
    assert await asked(names["east"], b"?") == b""
    assert await asked(names["east"], b"zrabbit-east") == bytes([119, 1])
