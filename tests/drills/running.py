"""`drill run` on a shipped drill, as people and CI run it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drill.journal import replay
from drill.model import Restored

ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    code: int
    record: dict[str, Any]
    folder: Path
    said: str

    def verdicts(self) -> dict[str, str]:
        return {objective["id"]: objective["verdict"] for objective in self.record["objectives"]}

    def bounds(self, id: str) -> tuple[float, float]:
        found = self.record["measured"][id]
        return found["lower_s"], found["upper_s"]


def run(name: str, reports: Path, *options: str) -> Run:
    """`drill run drills/NAME.yaml`; its undo must be verified, whatever the drill is about."""
    done = subprocess.run(
        [sys.executable, "-m", "drill", "run", f"drills/{name}.yaml", "--reports", str(reports), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )
    said = done.stdout + done.stderr
    folders = list(reports.iterdir()) if reports.is_dir() else []
    assert folders, said
    restored = replay(folders[0]).of(Restored)
    assert restored, said
    assert all(event.verified for event in restored), said
    return Run(done.returncode, json.loads((folders[0] / "report.json").read_text()), folders[0], said)
