"""
From a kill to nothing broken any more: drill killed and frozen while a fault is in place, beside `chaos run` of it.

The fault stops a process (SIGSTOP); its rollback lets it go on. The process is looked at from outside, every few
milliseconds. Chaos Toolkit is told to run rollbacks always, and killed at the same instants.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.rows import Row, Say, main
from drill.guardian import LEASE_S
from tests.torture.worlds import World, listening, until, world

PROMISED_S = LEASE_S + 2
_GIVEN_UP_S = 60.0
_SEED = 20261121
_WITHIN = 0.15  # seconds after the process stands still in which the kill falls: the method is still going on

Kill = Callable[[World, subprocess.Popen[bytes]], None]


def measure(quick: bool, say: Say) -> list[Row]:
    draw = random.Random(_SEED)
    times, few = (2, 1) if quick else (40, 10)
    with tempfile.TemporaryDirectory(prefix="drill-bench-") as name, listening() as port:
        parent = Path(name)
        killed = [after(parent, port, draw, kill) for _ in range(times)]
        say(f"killed: {spoken(killed)}")
        frozen = [after(parent, port, draw, freeze) for _ in range(few)]
        say(f"frozen: {spoken(frozen)}")
        both = [after(parent, port, draw, kill_both, "restore") for _ in range(few)]
        say(f"killed with its guardian: {spoken(both)}")
        theirs = [chaos(parent, port, draw) for _ in range(few if quick else times // 2)]
        say(f"chaos run: {sum(theirs)} of {len(theirs)} stayed broken")
    found = [*killed, *frozen, *both]
    stayed = sum(took is None for took in found)
    return [
        Row(
            what=f"faults that stayed in place, of {len(found)} kills and freezes",
            value=stayed,
            beside=f"chaos run, of {len(theirs)} kills",
            peer=sum(theirs),
            goal="none",
            reached=None if quick else stayed == 0,
            note="60 s after the kill; chaos with --rollback-strategy=always",
        ),
        *_rows("kill -9 of drill to restored by its guardian, seconds", killed, PROMISED_S, quick),
        *_rows("SIGSTOP of drill to restored by its guardian, seconds", frozen, PROMISED_S, quick),
        *_rows("`drill restore` after kill -9 of both, seconds", both, PROMISED_S, quick),
    ]


def _rows(what: str, found: list[float | None], limit: float, quick: bool) -> list[Row]:
    """The middle and the longest of a distribution; one that never ended is longer than any."""
    took = sorted(each for each in found if each is not None)
    longest = took[-1] if len(took) == len(found) else None
    spread = f"of {len(found)}: shortest {took[0]:.2f}, 95 % within {took[int(len(took) * 0.95)]:.2f}" if took else ""
    return [
        Row(f"{what}, median", took[len(took) // 2] if took else None, note=spread),
        Row(
            what="the same, longest",
            value=longest,
            beside="limit",
            peer=limit,
            ratio=None if longest is None else longest / limit,
            goal="lease (5 s) + 2 s",
            reached=None if quick else longest is not None and longest <= limit,
        ),
    ]


def kill(made: World, run: subprocess.Popen[bytes]) -> None:
    run.kill()


def freeze(made: World, run: subprocess.Popen[bytes]) -> None:
    run.send_signal(signal.SIGSTOP)


def kill_both(made: World, run: subprocess.Popen[bytes]) -> None:
    made.kill([*made.processes("drill.guardian"), run.pid])


def after(parent: Path, port: int, draw: random.Random, hurt: Kill, then: str = "") -> float | None:
    """Seconds from hurting a drill (or from the command after it) to nothing broken; None when that did not come."""
    with world(parent, port) as made:
        run = made.drills("run", made.drill)
        _while_it_goes_on(made, run, draw)
        hurt(made, run)
        began = time.monotonic()
        if then:
            until(lambda: not made.processes(), 10)
            assert made.broken(), "it was restored though nobody was left to do so"
            began = time.monotonic()
            made.drills(then)
        return time.monotonic() - began if until(lambda: not made.broken(), _GIVEN_UP_S, 0.002) else None


def chaos(parent: Path, port: int, draw: random.Random) -> bool:
    """Whether `chaos run` of the same experiment, killed at such an instant, leaves the process standing still."""
    with world(parent, port) as made:
        made.environment |= {"CHAOSTOOLKIT_NO_CHECK": "1", "HOME": str(made.folder)}
        program = Path(sys.executable).parent / "chaos"
        experiment = made.folder / "experiments" / "freeze.json"
        options = ("--no-version-check", "--log-file", made.folder / "log")
        run = made.start(program, *options, "run", "--rollback-strategy=always", experiment)
        _while_it_goes_on(made, run, draw)
        run.kill()
        run.wait()
        until(lambda: not made.processes(), 10)
        # Nobody is left who could mend it, so nobody will.
        return bool(made.broken())


def _while_it_goes_on(made: World, run: subprocess.Popen[bytes], draw: random.Random) -> None:
    """Wait until the fault is in place, and a random moment longer."""
    if not until(lambda: bool(made.broken()) or run.poll() is not None, 60, 0.002) or run.poll() is not None:
        raise SystemExit(f"nothing was broken (exit {run.poll()}, load {os.getloadavg()[0]:.1f}): {made.output()}")
    time.sleep(draw.random() * _WITHIN)


def spoken(found: list[float | None]) -> str:
    took = sorted(each for each in found if each is not None)
    return f"{len(took)} of {len(found)} restored" + (f", within {took[0]:.2f} to {took[-1]:.2f} s" if took else "")


if __name__ == "__main__":
    main(measure)
