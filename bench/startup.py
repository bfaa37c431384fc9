"""How long a command takes to answer: `drill --help` beside `chaos --help`, `drill lint` beside `chaos validate`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.rows import Row, Say, as_installed, main, ratio

BIN = Path(sys.executable).parent
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "no-effect.yaml"


def measure(quick: bool, say: Say) -> list[Row]:
    times = 3 if quick else 15
    pairs = (
        ("help", [BIN / "drill", "--help"], [BIN / "chaos", "--help"]),
        ("lint", [BIN / "drill", "lint", EXPERIMENT], [BIN / "chaos", "validate", EXPERIMENT]),
    )
    rows = []
    for name, ours, theirs in pairs:
        drill, chaos = alternating(ours, theirs, times)
        say(f"{name}: drill {drill:.2f} s, chaos {chaos:.2f} s")
        share = ratio(drill, chaos)
        rows.append(
            Row(
                what=f"`{spoken(ours)}`, seconds",
                value=drill,
                beside=f"`{spoken(theirs)}`",
                peer=chaos,
                ratio=share,
                goal="a quarter of the time",
                reached=None if share is None else share <= 0.25,
                note=f"median of {times}",
            )
        )
    return rows


def spoken(argv: Sequence[Path | str]) -> str:
    return " ".join(part.name if isinstance(part, Path) else part for part in argv)


def alternating(ours: Sequence[Path | str], theirs: Sequence[Path | str], times: int) -> tuple[float, float]:
    """Median wall seconds of each, run in turn so that both meet the same machine; one unmeasured run each first."""
    seen: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        for n in range(times + 1):
            for command, found in ((ours, seen[0]), (theirs, seen[1])):
                took = once(command, Path(folder))
                if n:
                    found.append(took)
    return statistics.median(seen[0]), statistics.median(seen[1])


def once(argv: Sequence[Path | str], folder: Path) -> float:
    """Wall seconds of one command, which must succeed."""
    # Chaos Toolkit would ask the internet for its newest version and write a log into the folder.
    environment = as_installed(folder) | {"CHAOSTOOLKIT_NO_CHECK": "1", "XDG_STATE_HOME": str(folder)}
    options = ["--no-version-check", "--log-file", str(folder / "log")] if Path(argv[0]).name == "chaos" else []
    command = [argv[0], *options, *argv[1:]]
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{spoken(argv)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return took


if __name__ == "__main__":
    main(measure)
