"""What the guardian hears, and when it must act; whole takeovers are in test_run and in torture/."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from drill.engines import Limits, undoing
from drill.guardian import watch
from drill.model import SECOND, Fault
from tests.running import World

LONG = 1e6  # seconds: far beyond any run of these tests


def heard(*said: bytes, lease_s: float = LONG, close: bool = False) -> tuple[str, str] | None:
    """What a guardian does that hears these words, in pieces as pipes may give them."""
    watched, told = os.pipe()

    def speak() -> None:
        for words in said:
            for piece in (words[: len(words) // 2], words[len(words) // 2 :]):
                os.write(told, piece)
        if close:
            os.close(told)

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        return watch(watched, lease_s)
    finally:
        speaking.join()
        os.close(watched)
        if not close:
            os.close(told)


def expires(in_s: float) -> bytes:
    return json.dumps({"freeze": time.monotonic_ns() + round(in_s * SECOND)}).encode() + b"\n"


@pytest.mark.parametrize(
    ("said", "more", "found"),
    [
        ([b".\n", b"!\n"], {}, None),
        ([b".\n"], {"close": True}, ("it died", "crash")),
        ([b".\n"], {"lease_s": 0.2}, ("it gave no sign of life for 0.2 s", "crash")),
        ([expires(LONG), b"{}\n", b"!\n"], {}, None),
        ([expires(-1), b".\n"], {}, ("freeze has expired and was not undone in time", "expiry")),
        ([expires(LONG), b"{}\n", b".\n"], {"close": True}, ("it died", "crash")),
    ],
)
def test_the_guardian_acts_on_death_silence_and_expiry(
    said: list[bytes], more: dict[str, float], found: tuple[str, str] | None
) -> None:
    """And on nothing else: told to go, it goes; what is undone expires no more."""
    assert heard(*said, **more) == found  # type: ignore[arg-type]


def test_an_undo_may_take_what_its_engine_says_and_long_when_it_says_nothing() -> None:
    """A guardian that interrupts an undo helps nobody."""
    faults = [Fault(name="a", engine="x"), Fault(name="b", engine="y")]
    known = {"a": Limits(inject=SECOND, undo=10 * SECOND), "b": Limits(inject=SECOND, undo=20 * SECOND)}

    assert undoing(faults, known) == 180.0
    assert undoing(faults, {"a": known["a"]}) == 3600.0


def test_a_frozen_guardian_ends_the_drill_and_is_not_left_behind(world: World) -> None:
    """As good as dead: it would not restore, and it would hold the system's lock for ever."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    guardian = world.guardian(run)
    os.kill(guardian, signal.SIGSTOP)
    _, err = run.communicate(timeout=60)

    assert (run.returncode, world.frozen()) == (4, False), err
    assert "the guardian of this run is frozen" in err
    assert not os.path.exists(f"/proc/{guardian}")


def test_what_lies_in_the_working_folder_is_not_run(world: World) -> None:
    """A json.py or drill/ where somebody calls drill is theirs: the guardian runs neither, and undoes the fault."""
    for name in ("json.py", "drill/__init__.py"):
        path = world.folder / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(world.folder / 'ran')!r}, 'w').close()\nraise SystemExit(9)\n")
    run = subprocess.Popen(
        [sys.executable, "-P", "-m", "drill", "run", world.drill(within="60s"), "--reports", world.folder / "reports"],
        cwd=world.folder / "here",  # as the installed command, which does not look there for modules either
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    world.runs.append(run)
    world.until(world.frozen, "the service is frozen")
    run.kill()
    world.until(lambda: not world.frozen(), "the guardian has restored")

    assert not (world.folder / "ran").exists()
