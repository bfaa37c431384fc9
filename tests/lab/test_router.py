"""The router follows health: it leaves an unhealthy region for a healthy one and no sooner."""

import asyncio
import contextlib
import time

import pytest

from drill.lab import control
from drill.lab.postgres import get
from drill.lab.router import Router
from drill.lab.topology import HOME


class Region:
    """A tiny service that says its name, healthy until told otherwise."""

    def __init__(self, name):
        self.name = name
        self.status = 200

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.0 {self.status} x\r\n\r\n{self.name}".encode())
            await writer.drain()
        writer.close()


@pytest.fixture
async def world(tmp_path):
    """A router that checks every 20 ms between two regions that work."""
    regions = {name: Region(name) for name in ("east", "west")}
    servers = [await asyncio.start_server(region.serve, HOME, 0) for region in regions.values()]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    router = Router(tmp_path, dict(zip(regions, ports, strict=True)), patience=3)
    router.settings.interval = 0.02
    front = await asyncio.start_server(router.forward, HOME, 0)
    checks = [asyncio.create_task(router.watch(name)) for name in regions]
    await until(lambda: all(state["healthy"] for state in router.status()["regions"].values()), "both are healthy")
    yield router, regions, front.sockets[0].getsockname()[1], tmp_path
    for check in checks:
        check.cancel()
    for server in (front, *servers):
        server.close()


async def until(true, what, within=5):
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)


async def served(port):
    return (await asyncio.wait_for(get(port, "/"), 5))[1].decode()


async def test_it_leaves_an_unhealthy_region_and_does_not_come_back_by_itself(world):
    """East fails and recovers; traffic goes west and stays there."""
    router, regions, port, _ = world
    assert await served(port) == "east"

    regions["east"].status = 503
    await until(lambda: router.active == "west", "it leaves east")
    regions["east"].status = 200
    await until(lambda: router.status()["regions"]["east"]["healthy"], "it sees east is well again")

    assert await served(port) == "west"
    assert router.switches == 1


async def test_it_stays_where_nowhere_is_better(world):
    """With both regions down it goes nowhere, and follows the first that recovers."""
    router, regions, _, _ = world
    regions["east"].status = regions["west"].status = 503
    await until(lambda: not any(s["healthy"] for s in router.status()["regions"].values()), "both are unhealthy")
    assert router.active in regions

    passive = next(name for name in regions if name != router.active)
    regions[passive].status = 200

    await until(lambda: router.active == passive, f"it goes to {passive}")


async def test_it_writes_down_what_it_saw_and_did(world):
    """Detection and switch are marked, in order, each with the instants around it."""
    router, regions, _, lab = world
    before = time.monotonic_ns()

    regions["east"].status = 503
    await until(lambda: router.active == "west", "it leaves east")

    found = control.marks(lab, before)
    assert [(mark["name"], mark["text"]) for mark in found] == [
        ("detected", "east is unhealthy: status 503"),
        ("routed", "traffic goes to west instead of east"),
    ]
    assert all(before < mark["lower"] <= mark["upper"] < time.monotonic_ns() for mark in found)


async def test_a_blackhole_accepts_and_never_answers(world):
    """A connection is made and nothing comes back, until the router is restored."""
    router, _, port, _ = world
    await router.answer({"verb": "set", "blackhole": True})
    reader, writer = await asyncio.open_connection(HOME, port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)

    await router.answer({"verb": "set", "blackhole": False})
    assert await served(port) == "east"
    writer.close()
