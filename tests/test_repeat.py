"""Whole runs, again and again, and under load, against a real service that is frozen and thawed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from drill.model import Delayed, LoadEnded
from tests.running import World, sleeps


def comes_back(world: World, seconds: float = 1) -> None:
    """The service thaws by itself."""
    world.experiment("freeze", [world.signal("STOP"), sleeps(seconds), world.signal("CONT")], [world.signal("CONT")])


def summary(world: World) -> dict[str, Any]:
    (path,) = (world.folder / "reports").glob("*-repeat.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def folders(world: World) -> list[Path]:
    return sorted(path for path in (world.folder / "reports").iterdir() if path.is_dir())


def test_clean_runs_prove_what_so_many_can_and_no_more(world: World) -> None:
    """Two clean runs: at 95 % confidence at least 22.3 % of such failovers, and every delay is in its record."""
    comes_back(world)

    code, out, err = world.run("run", world.drill(), "--repeat", "2", "--cycle", "1s")

    assert code == 0, out + err
    found = summary(world)
    assert (found["result"], found["asked"], found["stopped"], found["cycle_s"]) == ("met", 2, None, 1.0)
    assert [run["result"] for run in found["runs"]] == ["met", "met"]
    assert [(each["id"], each["met"], each["trials"], each["at_least"]) for each in found["proved"]] == [
        ("rto", 2, 2, 0.223)
    ]
    assert "2 clean runs: at 95 % confidence at least 22.3 % of such failovers" in out
    records = [json.loads((folder / "report.json").read_text()) for folder in folders(world)]
    assert all(0 <= record["delay_s"] < record["cycle_s"] == 1.0 for record in records)
    assert len({record["delay_s"] for record in records}) == 2
    assert len({record["plan"]["digest"] for record in records}) == 1
    assert [run["run_id"] for run in found["runs"]] == [record["run_id"] for record in records]


def test_a_missed_run_decides_the_exit_code(world: World) -> None:
    """One run that misses makes the whole a miss, with each run's bounds in the summary."""
    comes_back(world, 2)
    drill = world.drill()
    drill.write_text(drill.read_text().replace("rto: 10s", "rto: 500ms"))

    code, out, _ = world.run("run", drill, "--repeat", "2", "--json")

    found = json.loads(out)
    assert (code, found["result"], found["exit_code"]) == (1, "missed", 1)
    assert found == summary(world)
    assert all(1.0 < run["objectives"][0]["lower"] < run["objectives"][0]["upper"] < 6 for run in found["runs"])
    assert found["proved"][0]["at_least"] == 0.0
    assert any("cycle" in limit for limit in found["limits"])


def test_an_unsafe_run_is_followed_by_no_other(world: World) -> None:
    """A fault that may still be in place ends the repetition, and is its result."""
    fails = {"type": "action", "name": "fail", "provider": {"type": "process", "path": "false", "timeout": 5}}
    world.experiment("freeze", [world.signal("STOP")], [fails])

    code, out, _ = world.run("run", world.drill(within="1s"), "--repeat", "3", "--json")
    world.service.send_signal(signal.SIGCONT)

    found = json.loads(out)
    assert (code, found["result"], len(found["runs"])) == (5, "unsafe", 1)
    assert found["stopped"] == "a fault may still be in place"


def test_ctrl_c_ends_the_repetition(world: World) -> None:
    """A person who stops one run stops them all; the fault is undone and what was done is summarised."""
    run = world.start("run", world.drill(within="60s"), "--repeat", "3")
    world.until(world.frozen, "the service is frozen")
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=30)

    found = summary(world)
    assert (run.returncode, found["result"], found["stopped"]) == (4, "aborted", "a person stopped it")
    assert (len(found["runs"]), world.frozen()) == (1, False)
    assert "nothing is proved" in out


def test_a_drill_names_its_own_cycle(world: World) -> None:
    """`cycle:` makes a single run wait, too, and the wait is journaled before it."""
    comes_back(world)

    code, out, err = world.run("run", world.drill(more="cycle: 500ms"))

    (delayed,) = world.events(Delayed)
    assert code == 0, out + err
    assert (delayed.cycle, 0 <= delayed.delay < delayed.cycle) == (500_000_000, True)
    assert world.record()["cycle_s"] == 0.5


# --- under load -----------------------------------------------------------------------------------------------------

LOAD = 'load: {url: "${base}/", rate: 20, deadline: 1s}'
LONGER = "parameters: {hold: 4s, minimum_capacity: 50%}"


def loaded(world: World, watch: str = "1s", within: str = "30s") -> Path:
    """The drill under load, with a deadline that a busy machine keeps as well."""
    probe = world.folder / "probes" / "reads.yaml"
    probe.write_text(probe.read_text().replace("deadline: 200ms", "deadline: 1s"))
    drill = world.drill(within=within, more=LOAD)
    text = drill.read_text().replace("parameters: {hold: 1s}", LONGER).replace("- watch: 1s", f"- watch: {watch}")
    drill.write_text(text)
    return drill


def frozen(world: World, run: subprocess.Popen[str]) -> None:
    """Wait until the run has frozen the service; say what it said when it has ended instead."""
    world.until(lambda: world.frozen() or run.poll() is not None, "the service is frozen", within=60)
    assert world.frozen(), run.communicate()


def test_a_drill_is_run_under_its_load(world: World) -> None:
    """What the load sent, and what came of it before, during and after, is in the record and the pages."""
    comes_back(world, 4)

    code, out, err = world.run("run", loaded(world, watch="5s"))

    record = world.record()
    assert code == 0, out + err
    assert [objective["id"] for objective in record["objectives"]] == ["rto", "capacity"]
    before, during, after = record["load"]["phases"]
    assert [phase["name"] for phase in (before, during, after)] == ["before", "during", "after"]
    assert before["wanted_per_s"] == 20.0
    # A thawed service still works off what it was sent while it was frozen.
    assert (before["failed_per_s"], after["failed_per_s"] < 5) == (0, True)
    assert 18 < before["ok_per_s"] < 22
    assert during["failed_per_s"] > 10
    assert record["load"]["short"] == []
    assert "The load" in (world.latest() / "report.html").read_text()


def test_a_load_that_dies_is_never_a_pass(world: World) -> None:
    """Somebody kills the load in the middle: the objectives are inconclusive and the report says why."""
    comes_back(world, 3)
    run = world.start("run", loaded(world))
    frozen(world, run)
    (pid,) = processes(run.pid)
    os.kill(pid, signal.SIGKILL)
    run.communicate(timeout=60)

    assert run.returncode == 3
    assert {o["reason"] for o in world.record()["objectives"]} <= {"load_short", "not_measured"}
    assert any("is gone" in why for why in world.record()["load"]["short"])
    assert [bool(event.error) for event in world.events(LoadEnded)] == [True]


def test_ctrl_c_takes_the_load_with_it(world: World) -> None:
    """A stopped drill leaves no process of its load."""
    run = world.start("run", loaded(world, within="60s"))
    frozen(world, run)
    pids = processes(run.pid)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)

    assert run.returncode == 4
    assert pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_after_kill_9_the_load_is_gone(world: World) -> None:
    """Whatever ends drill ends the load."""
    run = world.start("run", loaded(world, within="60s"))
    frozen(world, run)
    pids = processes(run.pid)
    run.kill()
    run.communicate()

    assert pids
    world.until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "the load is gone", within=10)


def processes(parent: int) -> list[int]:
    """The processes of the load that a run has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            ppid = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if b"drill.load" in words and ppid == parent:
            found.append(int(path.parent.name))
    return found
