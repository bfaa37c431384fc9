"""One experiment process as drill sees it: the gate, the deadlines, the abort."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

import msgspec

from drill.engines import Gate
from drill.engines.chaostoolkit import lifeline, wire
from drill.model import SECOND
from drill.scrub import Scrubber

# An activity that minds SIGINT may clean up for so long (seconds) before everything is killed.
GRACE = 1.0
# After its last word a process may still end threads of its own (seconds).
LEAVING = 10.0
# After a process has ended, its last lines are read for so long (seconds).
_DRAIN = 0.5
_TAIL = 2000  # characters of what activities printed that go into an error

Hear = Callable[[wire.AnyMessage, wire.Ask | None], None]


class Stopped(Exception):
    """
    The process did not get to its end.

    Attributes:
        stage: Where it was: configuration, control, before, during, method, after, rollback; "" between them.

        index: The rollback it was at, from 0, when undoing.

        killed: Somebody else killed it, the kernel for want of memory perhaps; it was not too slow for drill.
    """

    def __init__(self, text: str, stage: str, index: int | None, *, killed: bool = False) -> None:
        super().__init__(text)
        self.killed = killed
        self.stage = stage
        self.index = index


@dataclass
class _Open:
    """A call that went ahead and has not returned."""

    ask: wire.Ask
    n: int
    until: int


@dataclass
class Conversation:
    """
    One process carrying out one task.

    Attributes:
        hear: Told every message of the process; of a Done also what had been asked. What it raises ends the process.
    """

    task: wire.Task
    gate: Gate
    environment: dict[str, str]
    scrubber: Scrubber
    hear: Hear
    opened: dict[int, _Open] = field(default_factory=dict)
    index: int | None = None
    doing: str = "starting"
    until: int | None = None
    pausing: int | None = None

    async def run(self) -> None:
        """
        Carry the task out.

        Cancelling it interrupts the activity, and after a short grace kills all that the process started.

        Raises:
            Stopped: Something did not end in time, or the process died.
        """
        ours, theirs = socket.socketpair()
        watched, life = os.pipe()
        with _paper(undoing=self.task.undoing) as printed:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "drill.engines.chaostoolkit", str(theirs.fileno()), str(watched)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=printed,
                    stderr=printed,
                    env=self.environment,
                    cwd=_existing(self.task.folder),
                    pass_fds=(theirs.fileno(), watched),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                os.close(life)
                raise Stopped(f"the process of the experiment cannot be started: {error}", "", None) from error
            except BaseException:
                ours.close()
                os.close(life)
                raise
            finally:
                theirs.close()
                os.close(watched)
            ended = False
            writer: asyncio.StreamWriter | None = None
            gone: asyncio.Task[None] | None = None
            try:
                reader, writer = await asyncio.open_connection(sock=ours, limit=wire.LARGEST_LINE)
                gone = asyncio.create_task(_hang_up_after(process, writer.transport))
                writer.write(wire.line(self.task))
                await writer.drain()
                ended = await self._listen(reader, writer)
                if ended:
                    await self._leave(process)
                else:
                    await self._died(process, printed)
            finally:
                # Shielded: a second cancellation must not leave a process that goes on breaking things.
                await asyncio.shield(self._end(process, interrupt=not ended))
                if gone:
                    gone.cancel()
                # Through the transport: closed behind its back, the loop would go on watching the number, and the
                # next socket that gets it would never be heard.
                if writer:
                    writer.transport.abort()
                else:
                    ours.close()
                if ended:
                    os.write(life, lifeline.RELEASE)
                os.close(life)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer until the last word (True) or the end of the process (False)."""
        self.until = time.monotonic_ns() + wire.BETWEEN
        while True:
            try:
                async with asyncio.timeout(self._left()):
                    text = await reader.readline()
            except TimeoutError:
                await self._overdue()
                continue
            if not text.endswith(b"\n"):
                return False
            message = wire.read(text)
            asked = None
            match message:
                case wire.Ask():
                    self.until = self.until if message.background else None
                    n = await self.gate.ask(message.activity, breaks=message.breaks, undoing=self.task.undoing)
                    self.opened[message.call] = _Open(message, n, time.monotonic_ns() + message.deadline)
                    writer.write(wire.line(wire.Go(call=message.call)))
                    await writer.drain()
                case wire.Done():
                    opened = self.opened.pop(message.call)
                    asked = opened.ask
                    await self.gate.done(opened.n, ok=message.ok, output=message.output, error=message.error)
                    if not asked.background:
                        self._walk_on(self.doing, self.pausing)
                case wire.Next():
                    self.index = message.index if message.index is not None else self.index
                    self.pausing = message.within
                    self._walk_on(message.what, message.within)
                case _:
                    pass
            self.hear(message, asked)
            if isinstance(message, wire.End):
                return True

    def _walk_on(self, what: str, within: int | None) -> None:
        self.doing = what
        self.until = None if within is None else time.monotonic_ns() + within

    def _left(self) -> float | None:
        """Seconds until something is overdue."""
        ends = [opened.until for opened in self.opened.values()]
        if self.until is not None:
            ends.append(self.until)
        return max(0.0, (min(ends) - time.monotonic_ns()) / SECOND) if ends else None

    async def _overdue(self) -> None:
        now = time.monotonic_ns()
        late = next((opened for opened in self.opened.values() if opened.until <= now), None)
        if late is None and (self.until is None or self.until > now):
            return
        if late is None:
            text, stage = f"{self.doing} went on for too long without an activity; it was killed", ""
        else:
            limit = late.ask.deadline / SECOND
            text = f"{late.ask.kind} {late.ask.activity} did not end within {limit:g} s; it was killed"
            stage = late.ask.stage
        await self._close_calls(text)
        raise Stopped(text, stage, self.index)

    async def _died(self, process: asyncio.subprocess.Process, printed: IO[bytes]) -> None:
        status = await self._leave(process)
        how = f"exit code {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
        opened = next(iter(self.opened.values()), None)
        what = f"{opened.ask.kind} {opened.ask.activity}" if opened else self.doing
        size = printed.seek(0, os.SEEK_END)
        printed.seek(max(0, size - 4 * _TAIL))
        tail = self.scrubber.text(printed.read().decode("utf-8", "replace"))[-_TAIL:].strip()
        text = f"the process of the experiment ended during {what} ({how})"
        await self._close_calls(text)
        stage = opened.ask.stage if opened else ""
        raise Stopped(f"{text}; it had printed: {tail}" if tail else text, stage, self.index, killed=status < 0)

    async def _close_calls(self, error: str) -> None:
        for opened in self.opened.values():
            await self.gate.done(opened.n, ok=False, error=error)
        self.opened.clear()

    async def _leave(self, process: asyncio.subprocess.Process) -> int:
        try:
            async with asyncio.timeout(LEAVING):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _end(self, process: asyncio.subprocess.Process, *, interrupt: bool) -> None:
        """Make sure that nothing goes on; what an experiment left behind on purpose stays when it ended by itself."""
        if not interrupt:
            return
        if process.returncode is None:
            _signal(process.pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await process.wait()
        _signal(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.to_thread(lifeline.kill_marked, self.environment.get(lifeline.MARK, ""))
        for _ in range(50):  # a killed process takes a moment to go; zombies nobody collects may stay
            if not _signal(process.pid, 0):
                break
            await asyncio.sleep(0.01)


def _paper(*, undoing: bool) -> IO[bytes]:
    """What activities print goes here: in memory when *undoing*, which must not fail for want of a disk with room."""
    with contextlib.suppress(OSError):
        if not undoing:
            return tempfile.TemporaryFile()
    return os.fdopen(os.memfd_create("drill"), "w+b")


def _existing(folder: str) -> str | None:
    """The folder, or where we are: one that is gone by the time of the undo must not keep it from being tried."""
    return folder if os.path.isdir(folder) else None


async def _hang_up_after(process: asyncio.subprocess.Process, transport: asyncio.WriteTransport) -> None:
    """End the conversation when the process has, also where something that it forked holds on to the line."""
    await process.wait()
    await asyncio.sleep(_DRAIN)
    transport.abort()


def _signal(group: int, number: int) -> bool:
    """Signal all of a process group; False when there is none of it left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def options(task: wire.Task) -> dict[str, object]:
    """A task as plain data, and back by `task_from`."""
    result: dict[str, object] = msgspec.to_builtins(task)
    return result


def task_from(data: object) -> wire.Task:
    return msgspec.convert(data, wire.Task)
