"""
Every way in which a drill is killed here, and what must be so afterwards.

A case breaks a drill in one way at one instant and returns what it found amiss; nothing found is a pass.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drill.errors import EnvironmentFault
from drill.guardian import LEASE_S
from drill.journal import NAME, replay, salvage
from drill.model import Began, Completion
from drill.restoring import open_undos
from drill.run import finish
from tests.torture.worlds import World, until

# From the kill to restored, seconds, on a machine that is not slower than this one.
PROMISED_S = LEASE_S + 2


@dataclass
class Found:
    """
    What one case found.

    Attributes:
        kind: How the drill was killed.

        at: When, in words.

        amiss: What should not be so; empty when all is well.

        was_broken: Something was broken when the kill came, or after it.

        took_s: Seconds from the kill to nothing broken any more, as far as it was broken.
    """

    kind: str
    at: str
    amiss: list[str] = field(default_factory=list)
    was_broken: bool = False
    took_s: float = 0.0


Case = Callable[[World, random.Random, float], Found]


def conductor(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of the conductor: its guardian restores."""
    run, at = _started(world, rng, lasts)
    run.kill()
    return _afterwards(world, Found("conductor killed", at))


def guardian(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of the guardian: the conductor stops and restores."""
    _, at = _started(world, rng, lasts)
    world.kill(world.processes("drill.guardian"))
    return _afterwards(world, Found("guardian killed", at))


def guardian_frozen(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGSTOP of the guardian: the conductor stops, restores, and leaves no frozen guardian behind."""
    _, at = _started(world, rng, lasts)
    world.kill(world.processes("drill.guardian"), signal.SIGSTOP)
    return _afterwards(world, Found("guardian frozen", at))


def both(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of both at once: `drill restore` in a new process."""
    run, at = _started(world, rng, lasts)
    world.kill([*world.processes("drill.guardian"), run.pid])
    return _restored(world, Found("both killed, drill restore", at))


def power(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of all that drill ever started, as in a power cut: `drill restore` in a new process."""
    _, at = _started(world, rng, lasts)
    while pids := world.processes():
        world.kill(pids)
    return _restored(world, Found("everything killed, drill restore", at))


def next_run(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of both at once: the next drill of the system, whose reports lie elsewhere, restores before it begins."""
    run, at = _started(world, rng, lasts)
    world.kill([*world.processes("drill.guardian"), run.pid])
    found = Found("both killed, next drill run", at, was_broken=bool(world.broken()))
    until(lambda: not world.processes(), 10)
    follow = world.runs_its_drill("--reports", world.folder / "elsewhere")
    follow.wait()
    return _afterwards(world, found)


def frozen(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGSTOP of the conductor beyond its lease: the guardian ends it and restores."""
    run, at = _started(world, rng, lasts)
    run.send_signal(signal.SIGSTOP)
    guarded = bool(world.processes("drill.guardian"))
    found = Found("conductor frozen", at)
    if not guarded:
        run.send_signal(signal.SIGCONT)  # nobody watches yet, or any more: there is nothing to take over
    return _afterwards(world, found)


def child(world: World, rng: random.Random, lasts: float) -> Found:
    """SIGKILL of the process that carries out the experiment: the conductor restores."""
    run, at = _started(world, rng, lasts)
    until(lambda: run.poll() is not None or bool(world.processes("drill.engines.chaostoolkit")), 10, 0.002)
    time.sleep(rng.random() * 0.5)
    world.kill(world.processes("drill.engines.chaostoolkit"))
    return _afterwards(world, Found("experiment killed", at))


def disk(world: World, rng: random.Random, lasts: float) -> Found:
    """The disk with the run's folder is full from some instant on: the drill ends and restores by itself."""
    delay = rng.random() * lasts
    world.reports.mkdir()
    copy = world.folder / "copy"
    script = (
        f"mount -t tmpfs -o size=2m drill-torture {world.reports} || exit 99\n"
        f"{sys.executable} -m drill run {world.drill} & run=$!\n"
        f"sleep {delay:.3f}\n"
        f"head -c 4m /dev/zero > {world.reports}/filler 2>/dev/null\n"
        f"wait $run; code=$?\nrm -f {world.reports}/filler\ncp -a {world.reports} {copy}\nexit $code\n"
    )
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    run = world.start(*alone, "sh", "-c", script)
    found = Found("disk full", f"{delay:.2f} s")
    if run.wait() == 99:
        return Found("disk full", "not tried: no namespace can be had here")
    world.reports.rmdir()
    copy.rename(world.reports)
    return _afterwards(world, found)


def damaged(world: World, rng: random.Random, lasts: float) -> Found:
    """Both killed with a fault in place, and one bit of the journal wrong: undone, or exit code 5 that says so."""
    run = world.runs_its_drill()
    until(lambda: bool(world.broken()) or run.poll() is not None, 60)
    time.sleep(rng.random() * 0.5)
    world.kill([*world.processes("drill.guardian"), run.pid])
    until(lambda: not world.processes(), 10)
    path = world.run_folders()[-1] / NAME
    raw = path.read_bytes()
    at = rng.randrange(len(raw))
    path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :])
    found = Found("journal damaged, drill restore", f"byte {at}", was_broken=bool(world.broken()))
    began = time.monotonic()
    code = world.drills("restore").wait()
    found.took_s = time.monotonic() - began
    if code not in (0, 5) or (code == 5 and "damaged" not in world.output()):
        found.amiss.append(f"drill restore ended with {code}: {world.output()[-600:]}")
    # The one thing that a journal holds once only is how to undo; with that gone, a person is told.
    hit = raw[raw.rfind(b"\n", 0, at) + 1 : raw.find(b"\n", raw.find(b"\n", at) + 1)]
    if world.broken() and not (code == 5 and b'"event":"prepared"' in hit):
        found.amiss += [*world.broken(), f"after drill restore ended with {code}, without {hit[:200]!r}"]
    return found


def record(number: int, how: str) -> Case:
    """The conductor dies at exactly one line of its journal; its guardian restores."""

    def case(world: World, rng: random.Random, lasts: float) -> Found:
        found = Found(f"killed {how} a record", f"record {number}")
        _dies(world, found, str(number), how, "alone")
        return _afterwards(world, found)

    return case


def record_both(number: int, how: str) -> Case:
    """The conductor and its guardian die at exactly one line of the journal; then `drill restore`."""

    def case(world: World, rng: random.Random, lasts: float) -> Found:
        found = Found(f"both killed {how} a record", f"record {number}")
        _dies(world, found, str(number), how, "both")
        return _restored(world, found)

    return case


def _dies(world: World, found: Found, *arguments: str) -> None:
    """A drill that kills itself, as told."""
    for _ in range(4):
        run = world.start(sys.executable, Path(__file__).parent / "dying.py", *arguments, "run", world.drill)
        run.wait()
        if not _refused(world):
            break
        # The baseline was not healthy on a busy machine: nothing was broken, so there was nothing to be killed.
        shutil.rmtree(world.run_folders()[-1])
    if run.returncode != -signal.SIGKILL:
        found.amiss.append(f"it was to be killed, and ended with {run.returncode}")


def _refused(world: World) -> bool:
    folders = world.run_folders()
    ended = salvage(folders[-1])[0].ended if folders else None
    return ended is not None and ended.completion is Completion.REFUSED


AT_RANDOM: dict[str, Case] = {
    each.__name__: each
    for each in (conductor, guardian, guardian_frozen, both, power, next_run, frozen, child, disk, damaged)
}


def _started(world: World, rng: random.Random, lasts: float) -> tuple[subprocess.Popen[bytes], str]:
    """A drill that has gone on for a random share of what one lasts."""
    delay = rng.random() * lasts
    run = world.runs_its_drill()
    time.sleep(delay)
    return run, f"{delay:.2f} s"


def _restored(world: World, found: Found) -> Found:
    found.was_broken = bool(world.broken())
    # What was started dies of drill's death within milliseconds; only then it is for another process to restore.
    until(lambda: not world.processes(), 10)
    began = time.monotonic()
    restore = world.drills("restore")
    restore.wait()
    if restore.returncode != 0:
        found.amiss.append(f"drill restore ended with {restore.returncode}: {world.output()[-600:]}")
    found.took_s = time.monotonic() - began
    took = found.took_s
    found = _afterwards(world, found)
    found.took_s = took
    return found


def _afterwards(world: World, found: Found) -> Found:
    """Wait until nothing of drill runs any more, then look at everything."""
    killed = time.monotonic()
    broken = world.broken()
    found.was_broken = found.was_broken or bool(broken)
    looked = 0.0
    while True:
        now = time.monotonic()
        if world.broken():
            found.was_broken = True
            found.took_s = now - killed
        if now - looked > 0.25:
            looked = now
            for run in world.started:
                run.poll()
            if not world.processes():
                break
            if now - killed > world.settles_s:
                found.amiss.append(f"still running: {_commands(world.processes())}")
                break
        time.sleep(world.looks_s)
    if not until(lambda: not world.broken(), world.heals_s, 0.5):
        found.amiss += world.broken()
    for folder in world.run_folders():
        found.amiss += _evidence(folder)
    if found.amiss:
        found.amiss.append(world.output()[-1500:])
        found.amiss += [
            path.read_text()[-1500:] for path in world.reports.glob("*/guardian.log") if path.stat().st_size
        ]
    return found


def _evidence(folder: Path) -> list[str]:
    """What is wrong with what a run left."""
    if not (folder / NAME).exists():
        return []  # nothing was begun
    history, damage = salvage(folder)
    amiss = [] if damage is None else [damage]
    if not history.of(Began):
        return amiss
    if history.ended is None:
        return [*amiss, f"the journal of {folder.name} has no end"]
    if open_undos(history):
        amiss.append(f"the journal knows of no undo of {', '.join(open_undos(history))}")
    if history.ended.completion is Completion.UNSAFE:
        amiss.append(f"the run ended unsafe: {history.ended.reason}")
    try:
        if not (folder / "report.json").exists():
            finish(folder)  # killed while it wrote its reports: the journal is the evidence, they follow from it
        replay(folder)
        told = json.loads((folder / "report.json").read_text())["result"]
    except (OSError, ValueError, KeyError, EnvironmentFault) as error:
        return [*amiss, f"the report of {folder.name} cannot be read: {error}"]
    if (told == "aborted") != (history.ended.completion is Completion.ABORTED):
        amiss.append(f"the journal ends {history.ended.completion.value}, the report says {told}")
    return amiss


def _commands(pids: list[int]) -> str:
    said = []
    for pid in pids:
        try:
            said.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120])
        except OSError:
            continue
    return "; ".join(said)
