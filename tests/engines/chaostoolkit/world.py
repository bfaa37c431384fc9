"""A folder with experiments and functions that really run, and a gate that remembers."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from drill.engines.chaostoolkit import ChaosToolkitEngine
from drill.model import Fault, Fence, Injection, Undo

# What experiments in these tests call; a module beside them, as people have it.
FUNCTIONS = """
import os, pathlib, subprocess, sys, time


def write(path, text="broken"):
    pathlib.Path(path).write_text(text)
    return {"effect": "shown", "evidence": f"{path} is {text}"}


def remove(path):
    pathlib.Path(path).unlink(missing_ok=True)


def nothing():
    return {"effect": "none", "evidence": "nothing matched"}


def say(value=None, configuration=None, secrets=None):
    return {"value": value, "configuration": configuration, "secrets": secrets}


def exists(path):
    return os.path.exists(path)


def fail(message="it broke"):
    raise RuntimeError(message)


def leave():
    print("last words")
    os._exit(7)


def leave_a_fork():
    if os.fork() == 0:
        time.sleep(300)
    os._exit(8)


def shout():
    print('{"say":"end"}')
    os.write(1, b"noise " * 20000)
    print("more noise", file=sys.stderr)
    return "said"


def sleep(seconds, pid_file=None):
    if pid_file:
        shell = subprocess.Popen(["sh", "-c", "sleep 300 & echo $! > " + pid_file + "; wait"])
    time.sleep(seconds)


def deaf(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
"""


class Memory:
    """A gate that lets everything through and remembers it in order."""

    fence: Fence | None = None

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.asked: list[tuple[str, bool, bool]] = []
        self.results: list[tuple[bool, Any, str]] = []
        self._more = asyncio.Condition()

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        self.asked.append((activity, breaks, undoing))
        await self._saw(f"ask {activity}")
        return len(self.asked) - 1

    async def done(self, n: int, *, ok: bool, output: Any = None, error: str = "") -> None:
        self.results.append((ok, output, error))
        await self._saw(f"{'done' if ok else 'failed'} {self.asked[n][0]}")

    async def _saw(self, what: str) -> None:
        async with self._more:
            self.seen.append(what)
            self._more.notify_all()

    async def waits_for(self, what: str, within: float = 10.0) -> None:
        """Return once *what* was seen."""
        async with asyncio.timeout(within), self._more:
            await self._more.wait_for(lambda: what in self.seen)


def python(func: str, name: str | None = None, *, kind: str = "action", **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "functions", "func": func, "arguments": arguments}
    return {"type": kind, "name": name or func, "provider": provider}


def process(*command: str, name: str | None = None, kind: str = "action", **more: Any) -> dict[str, Any]:
    provider = {"type": "process", "path": command[0], "arguments": list(command[1:]), **more}
    return {"type": kind, "name": name or command[0], "provider": provider}


def experiment(*method: dict[str, Any], rollbacks: Any = (), **more: Any) -> dict[str, Any]:
    return {"title": "t", "description": "d", "method": list(method), "rollbacks": list(rollbacks), **more}


def fault(document: dict[str, Any], **more: Any) -> Fault:
    return Fault(name="it", engine="chaostoolkit", document=document, **more)


async def prepared(document: dict[str, Any], **more: Any) -> tuple[ChaosToolkitEngine, Fault, Undo]:
    engine = ChaosToolkitEngine()
    it = fault(document, **more)
    return engine, it, await engine.prepare(it)


async def injected(document: dict[str, Any], gate: Memory | None = None, **more: Any) -> Injection:
    engine, it, undo = await prepared(document, **more)
    return await engine.inject(it, undo, gate or Memory())


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(what: str, holds: Any, within: float = 10.0) -> None:
    """Wait for something by name."""
    end = time.monotonic() + within * float(os.environ.get("DRILL_SLOW", "1"))
    while not holds():
        assert time.monotonic() < end, f"{what} did not happen within {within} s"
        time.sleep(0.02)  # the pause between two looks
