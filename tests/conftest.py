"""What tests share: one lab for all of them."""

import asyncio
import functools
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from drill.lab import up
from tests.running import world

__all__ = ["world"]

ROOT = Path(__file__).parent.parent

# The same examples each time, so that a change is judged by what it changes; --hypothesis-profile=random looks further.
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("random", print_blob=True)
settings.load_profile("same")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of two test processes one works through the lab: two labs at once would only make each other late."""
    return OneLab(config, log)


class OneLab(LoadScopeScheduling):
    """Files that need the lab together, every other test by itself. (The groups of xdist 3.8 do not know pytest 9.)"""

    def _split_scope(self, nodeid):
        return "lab" if _needs_lab(nodeid.partition("::")[0]) else nodeid


@functools.cache
def _needs_lab(file):
    return any(f"pytest.mark.{name}" in (ROOT / file).read_text() for name in ("lab", "drills"))


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
