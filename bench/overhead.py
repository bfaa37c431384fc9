"""What a drill costs on top of its fault: `drill run` of an experiment that does nothing beside `chaos run` of it."""

from __future__ import annotations

import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.rows import Row, Say, as_installed, main, ratio

BIN = Path(sys.executable).parent
WATCH_S = 1.0
EXPERIMENT = """\
title: Nothing
description: Does nothing, and undoes it.
method:
  - {type: action, name: do nothing, provider: {type: process, path: "true"}}
rollbacks:
  - {type: action, name: undo nothing, provider: {type: process, path: "true"}}
"""
DRILL = """\
drill: nothing
title: What a drill costs
system: nothing
objectives: {rto: 30s}
probes: [here]
steps:
  - watch: 1s
  - inject: nothing
  - restore: nothing
"""
PROBE = "probe: here\ntitle: a port of this machine\nkind: tcp\naddress: 127.0.0.1:%d\nevery: 100ms\ndeadline: 500ms\n"


def measure(quick: bool, say: Say) -> list[Row]:
    times = 1 if quick else 7
    wall: dict[str, list[float]] = {"drill": [], "chaos": []}
    cpu: dict[str, list[float]] = {"drill": [], "chaos": []}
    with tempfile.TemporaryDirectory() as name, listening() as port:
        folder = Path(name)
        for part, text in (("drills", DRILL), ("experiments", EXPERIMENT), ("probes", PROBE % port)):
            (folder / part).mkdir()
            (folder / part / ("here.yaml" if part == "probes" else "nothing.yaml")).write_text(text)
        commands = {
            # Nothing was broken, so nothing is proved: exit code 3.
            "drill": ([BIN / "drill", "run", "--plain", "drills/nothing.yaml"], 3),
            "chaos": ([BIN / "chaos", "--no-version-check", "run", "experiments/nothing.yaml"], 0),
        }
        # Once more than is measured: the first run of each finds nothing in the caches.
        for n in range(times + 1):
            for who, (argv, code) in commands.items():
                took, used = once(argv, code, folder)
                if n == 0:
                    continue
                wall[who].append(took - (WATCH_S if who == "drill" else 0))
                cpu[who].append(used)
            if n == 0:
                continue
            say(f"{n} of {times}: drill {wall['drill'][-1]:.2f} s, chaos {wall['chaos'][-1]:.2f} s")
    rows = []
    for what, seen, note in (
        ("a run of an experiment that does nothing, seconds", wall, f"less the {WATCH_S:g} s it watches"),
        ("the same, processor seconds", cpu, "every process of it"),
    ):
        drill, chaos = statistics.median(seen["drill"]), statistics.median(seen["chaos"])
        rows.append(
            Row(what, drill, "`chaos run`", chaos, ratio(drill, chaos), note=f"`drill run`, {note}; median of {times}")
        )
    return rows


@contextmanager
def listening() -> Iterator[int]:
    """A port that accepts, for the length of the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield server.getsockname()[1]


def once(argv: Sequence[Path | str], code: int, folder: Path) -> tuple[float, float]:
    """Wall and processor seconds of one command, its children included; it must end with *code*."""
    environment = as_installed(folder) | {"XDG_STATE_HOME": str(folder / "state")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(map(str, argv))} ended with {done.returncode}: {done.stderr or done.stdout}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main(measure)
