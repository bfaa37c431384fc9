"""
Load: traffic for a drill's whole length, sent by processes of their own.

The conductor's process never imports Locust: gevent changes the standard
library under everybody's feet. It starts `python -m drill.load`, tells it what
to send in one JSON line, and reads a line a second of what was really sent and
answered. A process of the load ends when its standard input does, is killed
with whoever started it, and leads a process group of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from drill.clock import Clock
from drill.errors import Refused
from drill.model import Load, LoadBegan, LoadEnded, Traffic, TrafficSecond
from drill.scrub import Scrubber

# What one process sends with room to spare; a core does about three times as much.
RATE_EACH = 300
USERS_EACH = 300

_READY_S = 30.0
_END_S = 3.0


Sent = LoadBegan | Traffic | LoadEnded


class Order(msgspec.Struct, frozen=True):
    """
    What one process of the load is told.

    Attributes:
        parent: Who started it: without that process it ends.

        start: The instant its first step counts from, monotonic nanoseconds.

        number, of: Which process it is, from 0, of how many.

        script: Absolute path.
    """

    parent: int
    start: int
    number: int
    of: int
    load: Load
    script: str | None = None


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a process: that it is ready, what it did in a second, or why it ends."""

    ready: bool = False
    second: TrafficSecond | None = None
    errors: dict[str, int] = {}
    ended: str | None = None


def check(load: Load) -> None:
    """
    Refuse a load that this machine cannot send.

    Raises:
        Refused: Its tool is not installed.
    """
    if load.tool == "k6" and shutil.which("k6") is None:
        raise Refused(
            "the drill's load is a k6 script, and k6 is not on the PATH",
            hint="install it: https://grafana.com/docs/k6/latest/set-up/install-k6/",
        )
    if load.tool == "locust" and importlib.util.find_spec("locust") is None:
        raise Refused("the drill's load needs Locust", hint='pip install "drill-orchestrator[load]"')


def processes(load: Load) -> int:
    """How many processes send it."""
    if load.tool == "k6":
        return 1
    if load.processes:
        return load.processes
    rate = max((step.rate or 0 for step in load.steps), default=0)
    users = max((step.users or 0 for step in load.steps), default=0)
    return max(1, min(math.ceil(max(rate / RATE_EACH, users / USERS_EACH)), os.cpu_count() or 1))


class Generator:
    """The load of one run."""

    def __init__(
        self,
        load: Load,
        root: Path,
        clock: Clock,
        scrub: Scrubber,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._load = load
        self._root = root
        self._clock = clock
        self._sink: Callable[[Sent], None] = lambda event: None
        self._scrub = scrub
        self._environment = dict(os.environ if environment is None else environment)
        self._children: list[_Child] = []
        self._pending: list[TrafficSecond] = []
        self._errors: dict[str, int] = {}
        self._flusher: asyncio.Task[None] | None = None

    async def start(self, sink: Callable[[Sent], None]) -> None:
        """
        Start every process, and return when all of them send; *sink* gets what they did and must not raise.

        Raises:
            Refused: One could not begin; none is left.
        """
        self._sink = sink
        count = processes(self._load)
        script = str(self._root / self._load.script) if self._load.script else None
        try:
            for number in range(count):
                child = await _Child.spawn(self._load.tool, number, {**self._environment, **self._load.environment})
                child.reader = asyncio.create_task(self._read(child), name=f"load {number}")
                self._children.append(child)
            await self._all(lambda child: child.greeted)
            start = self._clock.now()
            self._sink(LoadBegan(at=start, processes=count))
            for child in self._children:
                child.tell(Order(os.getpid(), start, child.number, count, self._load, script))
            await self._all(lambda child: child.sending)
        except BaseException:
            await self.stop()
            raise
        self._flusher = asyncio.create_task(self._flush_often())

    async def stop(self) -> None:
        """End every process, and hand over what they did; no process is left when this returns."""
        for child in self._children:
            child.stopping = True
            child.hang_up()
        for child in self._children:
            await child.end(_END_S)
        if self._flusher:
            self._flusher.cancel()
        self._flush()

    async def _all(self, what: Callable[[_Child], asyncio.Event]) -> None:
        """Wait until every process has come so far, or one of them has ended."""
        for child in self._children:
            waits = [asyncio.create_task(what(child).wait()), asyncio.create_task(child.process.wait())]
            done, rest = await asyncio.wait(waits, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            if what(child).is_set():
                continue
            why = "ended" if done else f"sent nothing within {_READY_S:g} s"
            raise Refused(f"the drill's load could not begin: its process {why}{await self._reason(child)}")

    async def _reason(self, child: _Child) -> str:
        await child.end(0 if child.process.returncode is None else _END_S)
        said = child.ended or (child.last_words[-1] if child.last_words else "")
        return self._scrub.text(f": {said}") if said else f" (exit code {child.process.returncode})"

    async def _read(self, child: _Child) -> None:
        """Take down what one process says until it ends."""
        assert child.process.stdout is not None
        async for line in child.process.stdout:
            try:
                said = msgspec.json.decode(line, type=Said)
            except msgspec.DecodeError:
                continue
            if said.ready:
                child.greeted.set()
            if said.second is not None:
                self._pending.append(said.second)
                child.sending.set()
            for error, count in said.errors.items():
                shown = self._scrub.text(error)
                self._errors[shown] = self._errors.get(shown, 0) + count
            if said.ended is not None:
                child.ended = said.ended
        await child.process.wait()
        error = "" if child.stopping else f"it ended in the middle of the drill{await self._reason(child)}"
        self._flush()
        self._sink(LoadEnded(at=self._clock.now(), process=child.number, error=error))

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._flush()

    def _flush(self) -> None:
        if self._pending or self._errors:
            seconds, self._pending = tuple(self._pending), []
            errors, self._errors = self._errors, {}
            self._sink(Traffic(at=self._clock.now(), seconds=seconds, errors=errors))


class _Child:
    """One process of the load."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.process = process
        self.greeted = asyncio.Event()
        self.sending = asyncio.Event()
        self.stopping = False
        self.ended: str | None = None
        self.reader: asyncio.Task[None] | None = None
        self.last_words: deque[str] = deque(maxlen=20)
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def spawn(cls, tool: str, number: int, environment: Mapping[str, str]) -> _Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing of the working folder under the name of a module of ours
            "-m",
            "drill.load",
            tool,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
            limit=1 << 20,
        )
        return cls(number, process)

    def tell(self, order: Order) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(msgspec.json.encode(order) + b"\n")

    def hang_up(self) -> None:
        """The end of its standard input is its order to end."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()

    async def end(self, within: float) -> None:
        """Wait for it at most so long, then kill its whole group."""
        with suppress(TimeoutError):
            if within:
                await asyncio.wait_for(self.process.wait(), within)
        # Also when it has ended: what it started may not have.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        tasks = [self._listener]
        if self.reader is not None and self.reader is not asyncio.current_task():
            tasks.append(self.reader)
        await asyncio.wait(tasks, timeout=_END_S)

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace").strip()
            if text:
                self.last_words.append(text)
