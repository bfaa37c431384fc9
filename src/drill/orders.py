"""What people say to a run from elsewhere: `drill abort` and `drill stop-all`, looked for while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drill import state
from drill.signals import Signals

_LOOK_S = 0.2


@asynccontextmanager
async def heard(stopping: Signals, home: Path, run: Path) -> AsyncIterator[None]:
    """For the length of the block, orders to end (in *home*, this user's state, or *run*) are as good as a Ctrl-C."""
    watching = asyncio.create_task(_watch(stopping, home, run))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(stopping: Signals, home: Path, run: Path) -> None:
    while True:
        for command, said in (("drill abort", state.told(run)), ("drill stop-all", state.stopped(home))):
            if said is not None:
                stopping.order(f"stopped by {command}, {state.sentence(said)}")
                return
        await asyncio.sleep(_LOOK_S)
