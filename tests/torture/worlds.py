"""
A small world to break: a process that can be frozen, a file that can appear, and a port that always answers.

Whatever a drill starts in it carries a mark in its environment, so that what is left running is found.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "DRILL_TORTURE"

PROBE = """
probe: port
kind: tcp
address: 127.0.0.1:{port}
every: 50ms
deadline: 500ms
"""

DRILL = """
drill: {name}
system: {name}
objectives: {{rto: 10s}}
probes: [port]
parameters: {{hold: 300ms}}
steps:
  - watch: 200ms
  - inject: freeze
  - watch: 300ms
  - restore: freeze
  - inject: litter
  - watch: 300ms
"""


@dataclass
class World:
    """One project folder with something to break."""

    folder: Path
    victim: subprocess.Popen[bytes]
    mark: str
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    look: Callable[[], list[str]] | None = None
    options: tuple[str, ...] = ()
    settles_s: float = 90.0  # when a case is given up
    looks_s: float = 0.005  # between two looks at what is broken
    heals_s: float = 0.0  # a system may come back from a fault by itself only some time after it was undone

    @property
    def drill(self) -> Path:
        return self.folder / "drills" / "torture.yaml"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def litter(self) -> Path:
        return self.folder / "litter"

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """Start a program in the project folder; its output is kept in the file `output`."""
        with (self.folder / "output").open("ab") as output:
            run = subprocess.Popen(
                [*map(str, argv)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(run)
        return run

    def drills(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return self.start(sys.executable, "-m", "drill", *arguments)

    def broken(self) -> list[str]:
        """What is broken right now, seen from outside."""
        if self.look is not None:
            return self.look()
        frozen = Path(f"/proc/{self.victim.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        return [
            *(["the process is frozen"] if frozen else []),
            *(["the file is there"] if self.litter.exists() else []),
        ]

    def processes(self, word: str = "") -> list[int]:
        """Living processes that anything in this world started, with *word* in their command line."""
        found = []
        wanted = f"{MARK}={self.mark}".encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with suppress(OSError):
                path = Path("/proc", entry)
                if wanted not in (path / "environ").read_bytes().split(b"\0"):
                    continue
                if word and word.encode() not in (path / "cmdline").read_bytes().split(b"\0"):
                    continue
                if path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(entry))
        return found

    def kill(self, pids: Sequence[int], number: signal.Signals = signal.SIGKILL) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def runs_its_drill(self, *more: str | Path) -> subprocess.Popen[bytes]:
        return self.drills("run", self.drill, *self.options, *more)

    def run_folders(self) -> list[Path]:
        return sorted(self.reports.iterdir()) if self.reports.is_dir() else []

    def mend(self) -> None:
        """As before anything was broken."""
        self.victim.send_signal(signal.SIGCONT)
        self.litter.unlink(missing_ok=True)

    def output(self) -> str:
        path = self.folder / "output"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def world(parent: Path, port: int) -> Iterator[World]:
    """A new world below *parent*, gone afterwards with all that runs in it."""
    mark = uuid.uuid4().hex
    folder = parent / mark[:8]
    for name in ("drills", "experiments", "probes"):
        (folder / name).mkdir(parents=True)
    # Not marked: what a drill breaks is not what it leaves behind.
    victim = subprocess.Popen(["sleep", "100000"], start_new_session=True)
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), MARK: mark}
    made = World(folder, victim, mark, environment)
    (folder / "probes" / "port.yaml").write_text(PROBE.format(port=port))
    made.drill.write_text(DRILL.format(name=f"torture-{mark[:8]}"))
    freeze = [_act("freeze", "kill", "-STOP", victim.pid), _act("take time", "sleep", 0.2)]
    _experiment(folder, "freeze", freeze, [_act("thaw", "kill", "-CONT", victim.pid)])
    litter = [_act("litter", "touch", made.litter), _act("take time", "sleep", 0.2)]
    _experiment(folder, "litter", litter, [_act("clean up", "rm", "-f", made.litter)])
    try:
        yield made
    finally:
        made.kill(made.processes())
        for run in made.started:
            run.wait()
        victim.kill()
        victim.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def listening() -> Iterator[int]:
    """A port of this machine that takes every connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def until(condition: Any, within: float, each: float = 0.01) -> bool:
    """Whether *condition* comes true within so many seconds."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(each)
    return True


def _experiment(folder: Path, name: str, method: list[Any], rollbacks: list[Any]) -> None:
    document = {"title": name, "description": "to be killed in", "method": method, "rollbacks": rollbacks}
    (folder / "experiments" / f"{name}.json").write_text(json.dumps(document))


def _act(name: str, path: str, *arguments: object) -> dict[str, Any]:
    provider = {"type": "process", "path": path, "arguments": [*map(str, arguments)], "timeout": 30}
    return {"type": "action", "name": name, "provider": provider}
