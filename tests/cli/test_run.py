"""The exit code is the result and the fault is undone, wherever the output goes and whoever has gone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from drill.model import Intent, Restored
from tests.running import World, fails, sleeps


def thaws_by_itself(world: World) -> Path:
    """A drill that ends met."""
    world.experiment("freeze", [world.signal("STOP"), sleeps(1), world.signal("CONT")], [world.signal("CONT")])
    return world.drill()


def test_a_reader_that_goes_away_costs_neither_undo_nor_exit_code(world: World) -> None:
    """`drill run 2>&1 | head`: when nobody reads any more, the drill is undone and ends as it would have."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    run.stderr.close()
    run.send_signal(signal.SIGINT)
    run.stdout = run.stderr = None

    assert run.wait(timeout=60) == 4
    assert not world.frozen()
    assert world.record()["result"] == "aborted"


def test_a_closed_terminal_stops_and_undoes(world: World) -> None:
    """The window is closed: SIGHUP arrives, nothing can be shown, and the fault is undone with its report."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "drill", "run", str(world.drill(within="60s"))],
        cwd=world.folder,
        env={**world.environment, "TERM": "xterm", "COLUMNS": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        text=True,
    )
    os.close(theirs)
    world.runs.append(run)

    def read() -> None:
        with suppress(OSError):
            while os.read(ours, 65536):
                pass

    threading.Thread(target=read, daemon=True).start()
    world.until(world.frozen, "the service is frozen")
    os.close(ours)
    run.send_signal(signal.SIGHUP)

    assert run.wait(timeout=60) == 4
    assert not world.frozen()
    assert world.record()["result"] == "aborted"


def test_a_hangup_that_was_ignored_stays_ignored(world: World) -> None:
    """Under nohup a drill goes on when the terminal is closed."""
    run = subprocess.Popen(
        ["nohup", sys.executable, "-m", "drill", "run", str(thaws_by_itself(world))],
        cwd=world.folder,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    world.runs.append(run)
    world.until(world.frozen, "the service is frozen")
    run.send_signal(signal.SIGHUP)
    out, err = run.communicate(timeout=60)

    assert run.returncode == 0, out + err


@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", "| true", ">/dev/full 2>&1", "2>/dev/full | head -1"])
def test_the_exit_code_does_not_hang_on_the_output(world: World, redirected: str) -> None:
    """Closed streams, a reader that never reads, a full disk: met is 0."""
    command = f'"{sys.executable}" -m drill run "{thaws_by_itself(world)}" {redirected}; exit ${{PIPESTATUS[0]}}'
    ended = subprocess.run(["bash", "-c", command], cwd=world.folder, env=world.environment, check=False, timeout=60)

    assert ended.returncode == 0
    assert world.record()["result"] == "met"


def test_signs_a_terminal_does_not_have_do_not_stop_a_drill(world: World) -> None:
    """A title of any script runs where the terminal knows ASCII only."""
    world.environment |= {"PYTHONIOENCODING": "ascii"}
    drill = thaws_by_itself(world)
    drill.write_text(drill.read_text().replace("system: ", "title: Été → ✔ 区域\nsystem: "))

    code, out, err = world.run("run", drill)

    assert (code, world.record()["title"]) == (0, "Été → ✔ 区域"), out + err
    assert "MET" in out


def test_a_drill_refused_after_its_first_fault_was_not_refused_before_anything_broke(world: World) -> None:
    """A second experiment's steady state that is not met aborts the drill: something had been broken by then."""
    unmet = {
        "title": "never",
        "probes": [{"type": "probe", "name": "no", "tolerance": 0, "provider": {**fails()["provider"]}}],
    }
    nothing = {"type": "action", "name": "nothing", "provider": {"type": "process", "path": "true", "timeout": 5}}
    world.experiment("second", [nothing], [nothing], **{"steady-state-hypothesis": unmet})
    drill = world.drill()
    drill.write_text(drill.read_text().replace("  - await: recovery\n    within: 15s", "  - inject: second"))

    code, out, _ = world.run("run", drill)

    assert (code, world.record()["result"]) == (4, "aborted")
    assert "nothing was broken" not in out
    assert not world.frozen()


def test_what_a_dead_drill_left_is_undone_before_the_next_begins(world: World) -> None:
    """After a power cut, the next drill of the same system first undoes what the last one left."""
    drill = world.drill(within="3s")
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    world.kill(run)
    dead = world.latest()
    drill = thaws_by_itself(world)

    code, out, err = world.run("run", drill)

    assert code == 0, out + err
    assert f"undoing what {dead.name} left" in err
    assert (dead / "report.json").exists()
    assert [event.verified for event in world.events(Restored)] == [True]


def test_a_run_that_goes_on_is_not_judged_yet(world: World) -> None:
    """drill report says so instead of calling a living run killed."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")

    code, _, err = world.run("report")

    assert code == 4
    assert "still going on" in err
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)


def test_stopping_before_the_baseline_touches_nothing(world: World) -> None:
    """A Ctrl-C that comes while drill gets ready is not lost."""
    run = world.start("run", world.drill(within="60s"))
    world.until(lambda: any((world.folder / "reports").glob("*/journal.log")), "the run has begun")
    run.send_signal(signal.SIGINT)

    assert run.wait(timeout=60) == 4
    assert world.events(Intent) == []
