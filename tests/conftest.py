"""What tests share: one lab for all of them."""

import asyncio

import pytest

from drill.lab import up
from tests.running import world

__all__ = ["world"]


@pytest.hookimpl(tryfirst=True)  # before groups are read
def pytest_collection_modifyitems(items):
    """Of two test processes one works through the lab: two labs at once would only make each other late."""
    for item in items:
        if item.get_closest_marker("lab") or item.get_closest_marker("drills"):
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.fixture(scope="session")
def one_lab():
    """The lab of this test session; `lab` hands it to a test whole."""
    lab = asyncio.run(up())
    yield lab
    asyncio.run(lab.down())


@pytest.fixture
def lab(one_lab):
    """A whole lab: whatever a test breaks is restored after it."""
    yield one_lab
    one_lab.ask_now("link", action="restore")
    one_lab.ask_now("start", answer_within=10, members=["router"], wait=False)
    one_lab.ask_now("router", blackhole=False, interval=1.0, timeout=1.0, threshold=2)
    everything = [f"region {region}" for region in ("east", "west", "witness", "edge")]
    one_lab.ask_now("start", answer_within=130, members=everything, within=120)
