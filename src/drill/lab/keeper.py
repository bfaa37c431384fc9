"""
The keeper: the one process that owns all others of a lab.

    python -m drill.lab.keeper FOLDER NAME attached|detached

Standard input is a pipe from whoever started it. Its end is the lab's end:
while the lab comes up, and for an attached lab as long as it lives. What it
prints are JSON lines: {"progress"}, then {"ready"} or {"error"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault
from drill.lab import control, process
from drill.lab.link import Network
from drill.lab.members import Members
from drill.lab.names import Names
from drill.lab.topology import SERVING, lay_out
from drill.lab.verbs import Verbs
from drill.lab.view import View, Watcher

_UP_WITHIN = 90.0
_LOOK_EVERY = 0.25
_CARD = "lab.json"


class Keeper:
    """One lab, from nothing to nothing."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.layout = lay_out(name=name)
        self.network = Network(list(self.layout.gates.values()))
        brokers = [member.region for member in self.layout.having("rabbitmq")]
        self.names = Names(
            {region: self.layout.own[f"names-{region}"] for region in brokers},
            lambda source, target: self.layout.gate("rabbitmq", source, target),
        )
        self.members = Members(folder, self.layout)
        self.watcher = Watcher(folder, self.layout)
        self.ended = asyncio.Event()
        self._janitor: subprocess.Popen[bytes] | None = None
        self._line = -1

    async def up(self) -> None:
        """
        Bring everything up and wait until it is whole.

        Raises:
            EnvironmentFault: It did not in time, or a member ended; with the tail of that member's log.
        """
        self.guard()
        await self.network.open()
        await self.names.open()
        for member in self.layout.members:
            self.members.start(member)
        until = time.monotonic() + _UP_WITHIN
        said = ""
        while True:
            view = await self.watcher.look()
            missing = view.missing()
            if not missing:
                break
            if missing[0] != said:
                said = missing[0]
                tell(progress=said)
            self._check_alive(missing, until)
            await asyncio.sleep(0.1)
        self.watcher.note(view)

    def _check_alive(self, missing: list[str], until: float) -> None:
        self.members.reap()
        states = self.members.states()
        dead = [name for name, state in states.items() if state["state"] == "down"]
        if not dead and time.monotonic() < until:
            return
        late = [name for name in states if any(name in sentence for sentence in missing)] or ["postgres-east"]
        what = f"{dead[0]} ended while the lab came up" if dead else f"the lab is not whole: {missing[0]}"
        name = (dead or late)[0]
        raise EnvironmentFault(f"{what}; the end of its log:\n{process.tail(self.folder / name / 'log')}")

    def guard(self) -> None:
        """Have a janitor, and another when it is gone."""
        if self._janitor is not None and self._janitor.poll() is None:
            return
        if self._line >= 0:
            os.close(self._line)
        theirs, self._line = os.pipe()
        environment = {key: value for key, value in os.environ.items() if key != process.MARK}
        try:
            self._janitor = subprocess.Popen(
                process.python("drill.lab.janitor", self.folder),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    async def watch(self) -> None:
        """Look after the lab until it ends."""
        async with asyncio.TaskGroup() as watching:
            for region in SERVING:
                watching.create_task(self.watcher.follow_leader(region))
            watching.create_task(self._tend())

    async def _tend(self) -> None:
        while not self.ended.is_set():
            self.members.reap()
            self.guard()
            self.watcher.note(await self.look())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), _LOOK_EVERY)

    async def look(self) -> View:
        return await self.watcher.look()

    def write_card(self) -> None:
        """Leave the lab's address for `drill.lab.find`."""
        card = {"name": self.name, "pid": os.getpid(), "endpoints": self.layout.endpoints(str(self.folder))}
        draft = self.folder / f"{_CARD}.new"
        draft.write_text(json.dumps(card, indent=1))
        draft.rename(self.folder / _CARD)

    def down(self) -> None:
        """End every process of the lab and remove its folder; the janitor ends by itself after us."""
        self.network.close()
        self.names.close()
        process.sweep(self.folder)
        self.members.reap()
        process.remove(self.folder)


def tell(**line: Any) -> None:
    """One line to whoever started us, if they still listen."""
    with contextlib.suppress(OSError, ValueError):
        print(json.dumps(line), flush=True)


async def main(folder: Path, name: str, attached: bool) -> None:
    process.adopt_orphans()
    keeper = Keeper(folder, name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, keeper.ended.set)
    loop.add_reader(0, lambda: None if os.read(0, 1) else _owner_gone(loop, keeper))
    working = asyncio.create_task(_work(keeper, attached))
    ended = asyncio.create_task(keeper.ended.wait())
    try:
        await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    finally:
        keeper.down()
    if not working.cancelled() and (error := working.exception()) is not None:
        tell(error=str(error))
        if not isinstance(error, EnvironmentFault):
            raise error


def _owner_gone(loop: asyncio.AbstractEventLoop, keeper: Keeper) -> None:
    loop.remove_reader(0)
    keeper.ended.set()


async def _work(keeper: Keeper, attached: bool) -> None:
    begun = time.monotonic()
    await keeper.up()
    server = await control.serve(keeper.folder, Verbs(keeper).answer)
    keeper.write_card()
    if not attached:
        asyncio.get_running_loop().remove_reader(0)
    tell(ready=keeper.layout.endpoints(str(keeper.folder)), seconds=round(time.monotonic() - begun, 2))
    await keeper.watch()
    # Closed, not waited for: somebody may hold a connection for ever.
    server.close()


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    alive = process.claim(Path(sys.argv[1]))
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "attached"))
