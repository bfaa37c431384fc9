"""Whatever ends whom, and when: nothing goes on breaking things."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from drill.errors import EnvironmentFault, Refused
from tests.engines.chaostoolkit.world import Memory, alive, experiment, injected, prepared, process, python, until

# A conductor that is killed at the worst moments.
CONDUCTOR = """
import asyncio, json, os, signal, sys
from pathlib import Path
from drill.engines.chaostoolkit import ChaosToolkitEngine
from drill.model import Fault

class Gate:
    fence = None

    async def ask(self, activity, *, breaks, undoing=False):
        if sys.argv[2] == "asked":
            os.kill(os.getpid(), signal.SIGKILL)
        return 0
    async def done(self, n, *, ok, output=None, error=""):
        pass

async def main():
    engine = ChaosToolkitEngine()
    fault = Fault(name="it", engine="chaostoolkit", document=json.loads(sys.argv[1]))
    await engine.inject(fault, await engine.prepare(fault), Gate())

asyncio.run(main())
"""


def conductor(document: dict, when: str) -> subprocess.Popen[bytes]:
    import json

    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(CONDUCTOR), json.dumps(document), when])


def members_of(marker: str) -> list[int]:
    """Processes whose environment carries *marker*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_conductor_killed_at_the_question_breaks_nothing(monkeypatch):
    """No answer, no effect: killed between question and answer, the action never ran, and nothing runs on."""
    monkeypatch.setenv("DRILL_TEST_MARK", str(Path.cwd()))
    document = experiment(process("sh", "-c", "touch mark", name="break"))
    with conductor(document, "asked") as running:
        assert running.wait(20) == -signal.SIGKILL

    until("the end of every process", lambda: not members_of(str(Path.cwd())), within=5)
    assert not Path("mark").exists()


def test_a_killed_conductor_takes_the_experiment_and_all_it_started_along(monkeypatch):
    """SIGKILL of the conductor ends the experiment, its children and their children."""
    monkeypatch.setenv("DRILL_TEST_MARK", str(Path.cwd()))
    document = experiment(python("sleep", seconds=300, pid_file="grandchild"))
    with conductor(document, "later") as running:
        until("the activity", lambda: Path("grandchild").exists() and Path("grandchild").read_text())
        grandchild = int(Path("grandchild").read_text())
        assert alive(grandchild)
        running.kill()
        running.wait(10)

    until("the end of every process", lambda: not alive(grandchild) and not members_of(str(Path.cwd())), within=5)


async def test_cancelling_stops_the_activity_and_all_it_started():
    """Also one that catches every exception, within the grace of a second."""
    gate = Memory()
    document = experiment(python("sleep", "background", seconds=300, pid_file="grandchild") | {"background": True})
    document["method"].append(python("deaf", seconds=300))
    engine, it, undo = await prepared(document)
    injecting = asyncio.create_task(engine.inject(it, undo, gate))
    await gate.waits_for("ask deaf")
    await asyncio.to_thread(
        until, "the grandchild", lambda: Path("grandchild").exists() and Path("grandchild").read_text()
    )
    grandchild = int(Path("grandchild").read_text())
    began = time.monotonic()

    injecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await injecting

    assert time.monotonic() - began < 3
    assert not alive(grandchild)


async def test_cancelling_finds_what_left_the_process_group():
    """A load generator in a session of its own is part of the fault, and goes when the fault is aborted."""
    gate = Memory()
    script = "setsid sleep 300 >/dev/null 2>&1 & echo $! > pid"
    document = experiment(process("sh", "-c", script, name="load"), python("sleep", seconds=300))
    engine, it, undo = await prepared(document)
    injecting = asyncio.create_task(engine.inject(it, undo, gate))
    await gate.waits_for("ask sleep")
    pid = int(Path("pid").read_text())
    assert alive(pid)

    injecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await injecting

    await asyncio.to_thread(until, "the end of the load", lambda: not alive(pid), within=2)


async def test_an_activity_that_hangs_is_ended_at_its_deadline():
    """Its timeout counts although Chaos Toolkit ignores it; what it had started goes, too."""
    gate = Memory()
    with pytest.raises(EnvironmentFault) as failed:
        await injected(experiment(python("sleep", "hang", seconds=300, pid_file="grandchild") | {"timeout": 1}), gate)

    assert str(failed.value) == "it: action hang did not end within 1 s; it was killed"
    assert gate.results == [(False, None, "action hang did not end within 1 s; it was killed")]
    assert not alive(int(Path("grandchild").read_text()))


async def test_the_deadline_of_all_others_can_be_set():
    """By the drill, or in the experiment, for activities that have no timeout of their own."""
    with pytest.raises(EnvironmentFault, match=r"action hang did not end within 0\.5 s"):
        await injected(experiment(python("deaf", "hang", seconds=300)), arguments={"drill_deadline": 0.5})
    with pytest.raises(EnvironmentFault, match="action sleep failed: process activity took too long to complete"):
        await injected(
            experiment(process("sleep", "300"), extensions=[{"name": "drill", "deadline": 0.5}]),
        )


async def test_a_process_that_dies_says_what_it_had_printed():
    """An activity that takes the whole process with it fails the injection; its last words are in the error."""
    gate = Memory()
    with pytest.raises(EnvironmentFault) as failed:
        await injected(experiment(python("leave", "crash")), gate)

    assert str(failed.value) == (
        "it: the process of the experiment ended during action crash (exit code 7); it had printed: last words"
    )
    assert gate.seen == ["ask crash", "failed crash"]


async def test_a_process_that_dies_is_missed_although_its_fork_lives_on():
    """Something that holds the line open does not hide that nobody speaks any more; it goes, too."""
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"ended during action leave_a_fork \(exit code 8\)"):
        await injected(experiment(python("leave_a_fork")))

    assert time.monotonic() - began < 10


async def test_a_probe_that_hangs_before_the_method_refuses():
    """Nothing was broken yet, and it is said that way."""
    probe = {**python("deaf", "up", kind="probe", seconds=300), "tolerance": True, "timeout": 0.3}
    with pytest.raises(Refused, match=r"before the method: probe up did not end within 0\.3 s"):
        await injected(experiment(**{"steady-state-hypothesis": {"title": "h", "probes": [probe]}}))


async def test_a_journal_that_cannot_be_written_stops_everything():
    """When the intent does not get to the disk, the action is not carried out."""

    class Full(Memory):
        fence = None

        async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await injected(experiment(python("write", path="mark")), Full())
    assert not Path("mark").exists()


async def test_what_a_fault_left_running_on_purpose_stays(monkeypatch):
    """A load generator that an action detached is the fault itself; only the undo ends it."""
    mark = str(Path.cwd())
    monkeypatch.setenv("DRILL_TEST_MARK", mark)
    script = "sleep 300 >/dev/null 2>&1 & echo $! > pid"
    document = experiment(
        process("sh", "-c", script, name="load"), rollbacks=[process("sh", "-c", "kill $(cat pid)", name="unload")]
    )
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, Memory())
    pid = int(Path("pid").read_text())
    try:
        await asyncio.to_thread(until, "the end of the watcher", lambda: members_of(mark) == [pid], within=5)
        assert alive(pid)
        await engine.undo(undo, Memory())
        until("the end of the load", lambda: not alive(pid), within=3)
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
