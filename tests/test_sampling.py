"""All probes of a run: what they read and say goes into the journal."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from drill.clock import SystemClock
from drill.journal import Journal
from drill.model import SECOND, Fate, Outcome, Plan, Probe
from drill.probes import Answer
from drill.sampling import Sampling
from drill.scrub import Scrubber
from drill.watch import Watch

SECRET = "hunter22-in-the-words-of-a-store"


class Telling:
    """A store that takes every write, and names itself with a password."""

    def __init__(self) -> None:
        self.wrote = asyncio.Event()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def sample(self, id: int | None) -> Answer:
        self.wrote.set()
        return Answer(Outcome.OK, fate=Fate.ACKNOWLEDGED)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        return [first], f"me:{SECRET}@west"


async def test_who_read_the_survivors_is_journaled_without_its_password(tmp_path: Path) -> None:
    """Whatever a store, or somebody's program, calls itself."""
    probe = Probe(name="orders", kind="telling", every=SECOND // 20, deadline=SECOND, writes=True)
    plan = Plan(drill="d", title="", system="s", objectives=(), probes=(probe,), judged=("orders",))
    store, clock = Telling(), SystemClock()
    with contextlib.closing(Journal(tmp_path)) as journal:
        sampling = Sampling(
            plan,
            journal,
            clock=clock,
            probers={"orders": store},
            scrub=Scrubber({"db": SECRET}),
            watch=Watch(plan),
            failed=lambda why: None,
        )
        await sampling.start(clock.anchor().wall)
        await asyncio.wait_for(store.wrote.wait(), 30)
        await sampling.try_survivors()
        await sampling.stop()
        await sampling.close()
    journaled = (tmp_path / "journal.log").read_bytes()

    assert b"me:[redacted:db]@west" in journaled
    assert SECRET.encode() not in journaled
