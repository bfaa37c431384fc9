"""
A project folder with a real service to break: an HTTP server in a process of its own, frozen and thawed by experiments.

Everything goes through the command line, as people and CI use it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drill.journal import replay

SERVICE = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"fine")
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""

DRILL = """
drill: {name}
system: {name}
with: {{base: "{url}"}}
objectives: {{rto: 10s}}
probes: [reads]
parameters: {{hold: 1s}}
steps:
  - watch: 1s
  - inject: freeze
  - await: recovery
    within: {within}
{more}
"""

PROBE = """
probe: reads
kind: http
url: ${base}/
every: 50ms
deadline: 200ms
expect: {status: 200}
"""


@dataclass
class World:
    """A project folder, and a service to break."""

    folder: Path
    service: subprocess.Popen[str]
    url: str
    environment: dict[str, str]
    runs: list[subprocess.Popen[str]] = field(default_factory=list)
    elsewhere: Path | None = None

    def experiment(self, name: str, method: list[Any], rollbacks: list[Any], **more: Any) -> Path:
        path = self.folder / "experiments" / f"{name}.json"
        document = {"title": name, "description": "a test", "method": method, "rollbacks": rollbacks, **more}
        path.write_text(json.dumps(document))
        return path

    def drill(self, name: str = "freeze", within: str = "15s", more: str = "") -> Path:
        path = self.folder / "drills" / f"{name}.yaml"
        path.write_text(DRILL.format(name=name, url=self.url, within=within, more=more))
        return path

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """`drill ARGUMENTS` in the project folder."""
        run = subprocess.Popen(
            [sys.executable, "-m", "drill", *map(str, arguments)],
            cwd=self.elsewhere or self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.runs.append(run)
        return run

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        run = self.start(*arguments)
        out, err = run.communicate(timeout=60)
        return run.returncode, out, err

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.latest() / "report.json").read_text())
        return found

    def latest(self) -> Path:
        return max((self.folder / "reports").iterdir())

    def events(self, *kinds: type) -> list[Any]:
        return replay(self.latest()).of(*kinds)

    def frozen(self) -> bool:
        return Path(f"/proc/{self.service.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

    def until(self, condition: Callable[[], bool], what: str, within: float = 30) -> None:
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, f"not within {within} s: {what}"
            time.sleep(0.02)

    def guardian(self, run: subprocess.Popen[str]) -> int:
        """The process id of a run's guardian."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if b"drill.guardian" in words and str(run.pid).encode() in words:
                    return int(path.parent.name)
        raise AssertionError("the run has no guardian")

    def kill(self, run: subprocess.Popen[str]) -> None:
        """Kill a run with its guardian, as a power cut does."""
        os.kill(self.guardian(run), signal.SIGKILL)
        run.kill()
        run.communicate()

    def signal(self, number: str) -> dict[str, Any]:
        return {
            "type": "action",
            "name": f"send {number}",
            "provider": {
                "type": "process",
                "path": "kill",
                "arguments": [f"-{number}", str(self.service.pid)],
                "timeout": 5,
            },
        }


def sleeps(seconds: float) -> dict[str, Any]:
    return {
        "type": "action",
        "name": "take time",
        "provider": {"type": "process", "path": "sleep", "arguments": [str(seconds)], "timeout": 60},
    }


def fails() -> dict[str, Any]:
    return {"type": "action", "name": "fail", "provider": {"type": "process", "path": "false", "timeout": 5}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for name in ("drills", "experiments", "probes"):
        (tmp_path / name).mkdir()
    (tmp_path / "probes" / "reads.yaml").write_text(PROBE)
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert service.stdout is not None
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    made = World(tmp_path, service, f"http://127.0.0.1:{service.stdout.readline().strip()}", environment)
    made.experiment("freeze", [made.signal("STOP")], [made.signal("CONT")])
    yield made
    for run in made.runs:
        if run.poll() is None:
            run.kill()
        run.communicate()
    service.kill()
    service.communicate()
