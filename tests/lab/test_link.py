"""Links between regions, with real connections: slowed, silenced, cut, restored."""

import asyncio
import contextlib
import time

import pytest

from drill.lab.link import Network
from drill.lab.topology import HOME, SOURCES, Gate, free_ports


@pytest.fixture
async def world():
    """A network with one crossing to an echo in west, dialed by anybody."""

    async def echo(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, HOME, 0)
    port = next(iter(free_ports()))
    network = Network([Gate("valkey", None, "west", port, server.sockets[0].getsockname()[1])])
    await network.open()
    yield network, port
    network.close()
    server.close()


async def dial(port, region="east"):
    return await asyncio.open_connection(HOME, port, local_addr=(SOURCES[region], 0))


async def ask(connection, text=b"hello", within=5.0):
    """What comes back, None for nothing in time, and how long it took."""
    reader, writer = connection
    began = time.monotonic()
    writer.write(text)
    try:
        async with asyncio.timeout(within):
            found = await reader.read(65536)
    except TimeoutError:
        found = None
    except ConnectionResetError:
        found = b""
    return found, time.monotonic() - began


async def test_a_clear_link_passes_everything(world):
    """What goes in comes out."""
    _, port = world
    reader, writer = await dial(port)
    sent = bytes(range(256)) * 4096

    writer.write(sent)
    writer.write_eof()

    assert await asyncio.wait_for(reader.read(), 10) == sent
    writer.close()


async def test_a_slow_link_delays_its_own_direction_only(world):
    """Half a second from east to west is half a second there and nothing back."""
    network, port = world
    connection = await dial(port)
    await ask(connection)

    network.set("east", "west", None, latency=0.5)
    found, took = await ask(connection)

    assert found == b"hello"
    assert 0.5 <= took < 0.9
    connection[1].close()


async def test_a_limited_link_passes_so_many_bytes_a_second(world):
    """300 kB at 500 kB/s take at least half a second."""
    network, port = world
    network.set("east", "west", None, rate=500_000)
    reader, writer = await dial(port)
    began = time.monotonic()

    writer.write(bytes(300_000))
    await asyncio.wait_for(reader.readexactly(300_000), 10)

    assert 0.5 <= time.monotonic() - began < 2
    writer.close()


async def test_a_silent_link_holds_everything_and_closes_nothing(world):
    """Nothing passes, the connection lives, and all comes through when the link is restored."""
    network, port = world
    connection = await dial(port)
    await ask(connection)
    network.set("east", "west", None, silent=True)

    assert (await ask(connection, within=0.3))[0] is None
    assert network.held("east", "west") == 5

    network.restore("east")
    assert (await ask(connection, b" again"))[0] in (b"hello", b"hello again")
    connection[1].close()


async def test_a_cut_link_resets_what_there_is_and_what_comes(world):
    """Neither an old nor a new connection survives, and what was in flight is gone."""
    network, port = world
    network.set("east", "west", None, latency=5)
    old = await dial(port)
    await ask(old, within=0.1)

    assert network.set("east", "west", None, cut=True) == 1

    assert (await ask(old))[0] == b""
    assert (await ask(await dial(port)))[0] == b""
    assert network.held("east", "west") == 0


async def test_a_cut_of_one_kind_of_traffic_leaves_the_others(world):
    """Cutting the database's link leaves the cache's alone."""
    network, port = world
    network.set("east", "west", "postgres", cut=True)

    assert (await ask(await dial(port)))[0] == b"hello"


async def test_within_a_region_nothing_is_ever_cut(world):
    """West talks to itself whatever the links to west are like."""
    network, port = world
    for other in ("east", "witness", "edge"):
        network.set(other, "west", None, cut=True)
        network.set("west", other, None, silent=True)

    assert (await ask(await dial(port, "west")))[0] == b"hello"


async def test_what_a_dead_region_had_in_flight_dies_with_it(world):
    """Dropping a region resets its connections and delivers nothing more."""
    network, port = world
    network.set("east", "west", None, latency=5)
    connection = await dial(port)
    await ask(connection, within=0.1)

    assert network.drop("east") == 1

    assert (await ask(connection))[0] == b""
    assert network.held("east", "west") == 0


async def test_restoring_one_region_leaves_the_others_as_they_are(world):
    """The links of west are cleared, that from east to the witness stays cut."""
    network, _ = world
    network.set("east", "west", None, cut=True)
    network.set("east", "witness", None, cut=True)

    network.restore("west")

    assert [(row["source"], row["target"], row["cut"]) for row in network.status()] == [("east", "witness", True)]
