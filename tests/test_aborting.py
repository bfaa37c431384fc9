"""Ending drills from another terminal, and what ends them when nobody does: guards, expiry, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from drill.cli import drill
from drill.journal import RESERVE, Journal
from drill.model import Ended, Injected, InjectFailed, Intent, Prepared, Restored
from tests.running import World


def ended(world: World) -> Ended:
    found: Ended = world.events(Ended)[-1]
    return found


def test_a_drill_is_aborted_from_another_terminal(world: World) -> None:
    """drill abort ends the one that goes on, waits until the fault is undone, and its reason is in the record."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")

    code, out, err = world.run("abort", "--reason", "customers call", "--json")

    assert (code, world.frozen()) == (0, False), out + err
    told = json.loads(out)
    assert [(each["run"], each["completion"]) for each in told["aborted"]] == [(world.latest().name, "aborted")]
    run.communicate(timeout=30)
    assert (run.returncode, world.record()["result"]) == (4, "aborted")
    assert ended(world).cause == "person"
    assert "stopped by drill abort" in ended(world).reason
    assert "customers call" in ended(world).reason
    assert world.run("abort")[:2] == (0, "no drill is going on\n")


def test_a_run_that_was_killed_is_restored_by_abort(world: World) -> None:
    """Whoever says abort gets an undone fault, also where nobody is left to hear it."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    world.kill(run)

    code, out, err = world.run("abort", world.latest().name)

    assert (code, world.frozen()) == (0, False), out + err
    assert "restored by drill abort" in ended(world).reason
    assert world.record()["result"] == "aborted"


def test_stop_all_ends_every_drill_and_lets_none_begin_until_resume(world: World) -> None:
    """Who stopped everything, when and why is told to whoever wants to begin; nothing is broken meanwhile."""
    drill = world.drill(within="60s")
    run = world.start("run", drill, "--reports", world.folder / "reports" / "far" / "away")
    world.until(world.frozen, "the service is frozen")

    code, out, err = world.run("stop-all", "--reason", "incident 4711")
    assert (code, world.frozen()) == (0, False), out + err
    run.communicate(timeout=30)
    assert run.returncode == 4
    code, _, err = world.run("run", drill)
    assert (code, world.frozen()) == (4, False)
    assert "drill stop-all holds: said by " in err
    assert "incident 4711" in err
    assert "drill resume" in err

    assert "drills may begin again" in world.run("resume", "--reason", "over")[1]
    said = [json.loads(line) for line in (world.folder / "state/drill/stops.log").read_text().splitlines()]
    assert [(each["said"], each["why"]) for each in said] == [("stop-all", "incident 4711"), ("resume", "over")]
    assert world.run("resume")[:2] == (0, "nothing had been stopped\n")


def test_abort_does_not_choose_between_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several drills that go on, a person names one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    live = [Journal(tmp_path / "reports" / name) for name in ("one", "two")]

    said = CliRunner().invoke(drill, ["abort", "--reports", str(tmp_path / "reports")])

    for journal in live:
        journal.close()
    assert said.exit_code == 1  # as Click's runner shows an exception; drill.cli makes it 2
    assert "2 drills are going on: one, two" in str(said.exception)


# --- what ends a drill when nobody does -------------------------------------------------------------------------------


def test_a_fault_expires(world: World) -> None:
    """A fault in place for longer than it may be is undone, whatever the drill waits for."""
    code, _, err = world.run("run", world.drill(within="60s", more="expires: 1s"))

    assert (code, world.frozen()) == (4, False), err
    assert (ended(world).cause, ended(world).reason) == (
        "expiry",
        "freeze has expired: it was to be in place for at most 1 s",
    )
    prepared = world.events(Prepared)[0]
    assert prepared.expires == prepared.at + 10**9


# A conductor that lives, beats, and forgets that faults expire.
FORGETFUL = """
import sys
from drill import cli, faults
faults.Faults.expired = lambda self, now: None
cli.main(sys.argv[1:])
"""


def test_the_guardian_restores_an_expired_fault_though_the_conductor_lives(world: World) -> None:
    """It ends the conductor first; the record says why."""
    run = subprocess.Popen(
        [sys.executable, "-c", FORGETFUL, "run", world.drill(within="60s", more="expires: 1s")],
        cwd=world.folder,
        env=world.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    world.until(world.frozen, "the service is frozen")

    assert run.wait(timeout=60) == -9
    world.until(lambda: bool(world.events(Ended)), "the guardian has written the end")
    assert (world.frozen(), ended(world).cause) == (False, "expiry")
    assert "freeze has expired and was not undone in time" in ended(world).reason
    world.until(lambda: (world.latest() / "report.json").exists(), "the guardian has written the reports")
    assert world.record()["result"] == "aborted"


def test_a_drill_that_lasts_too_long_is_ended(world: World) -> None:
    """max_duration counts from the drill's first step, and undoes what is broken."""
    code, _, _ = world.run("run", world.drill(within="60s", more="guards: [{max_duration: 4s}]"))

    assert (code, world.frozen()) == (4, False)
    assert (ended(world).cause, ended(world).reason) == ("guard", "guard: the drill has lasted for more than 4 s")


BUGGY = """
import sys
from drill import cli
from drill.engines.chaostoolkit import engine
class Seen(engine.Seen):
    def hear(self, message, asked):
        if asked is not None:
            raise ValueError("a bug")
engine.Seen = Seen
cli.main(sys.argv[1:])
"""


def test_a_bug_of_an_engine_is_journaled_as_a_fault_that_failed(world: World) -> None:
    """After the intent of an activity, the journal always says what came of its fault."""
    done = subprocess.run(
        [sys.executable, "-c", BUGGY, "run", world.drill()],
        cwd=world.folder,
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, world.frozen()) == (4, False), done.stderr
    events = world.events(Intent, Injected, InjectFailed, Restored)
    failed = [event.error for event in events if isinstance(event, InjectFailed)]
    assert failed == ["drill itself failed: ValueError('a bug')"]
    assert isinstance(events[-1], Restored)


# --- a full disk ------------------------------------------------------------------------------------------------------

# In a mount namespace of its own: a small file system, filled before the drill or once $WAIT is there.
FULL = """
mount -t tmpfs -o size=2m drill-test reports || exit 99
test -n "$WAIT" || head -c 4m /dev/zero > reports/filler 2>/dev/null
"$@" & run=$!
test -z "$WAIT" || while ! test -e "$WAIT" && kill -0 $run; do sleep 0.05; done
test -z "$WAIT" || head -c 4m /dev/zero > reports/filler 2>/dev/null
wait $run; code=$?
rm -f reports/filler; mkdir copy; cp -a reports/. copy/
exit $code
"""


def _alone() -> list[str]:
    """How to run something in a mount namespace of its own."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be had here")
    return alone


def on_a_full_disk(world: World, wait: str) -> subprocess.Popen[str]:
    (world.folder / "reports").mkdir()
    run = subprocess.Popen(
        [*_alone(), "sh", "-c", FULL, "sh", sys.executable, "-m", "drill", "run", str(world.drill(within="60s"))],
        cwd=world.folder,
        env={**world.environment, "WAIT": wait},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    world.runs.append(run)
    return run


def test_a_disk_that_is_full_before_the_drill_refuses_it(world: World) -> None:
    """Room for the undo is had before anything is broken, or nothing is."""
    run = on_a_full_disk(world, "")

    _, err = run.communicate(timeout=60)

    assert (run.returncode, world.frozen()) == (4, False), err
    assert "No space left on device" in err


def test_a_disk_that_fills_up_during_the_fault_ends_the_drill_with_its_evidence(world: World) -> None:
    """The fault is undone, and what was kept free takes the end of the journal and the reports."""
    run = on_a_full_disk(world, str(world.folder / "fill"))
    world.until(world.frozen, "the service is frozen")
    (world.folder / "fill").touch()

    _, err = run.communicate(timeout=60)

    assert (run.returncode, world.frozen()) == (4, False), err
    (left,) = (world.folder / "copy").iterdir()
    record = json.loads((left / "report.json").read_text())
    assert record["result"] == "aborted"
    assert "No space left on device" in record["reason"]
    assert not (left / RESERVE).exists()
    assert left.stat().st_mode & 0o777 == 0o700


# As FULL, but every folder for passing files is full. The project is still reached, as the folder one is in.
READ_ONLY = """
for there in /tmp /var/tmp; do
    # What is there stays, for drill itself may be: it cannot be written any more.
    mount --bind $there $there && mount -o remount,bind,ro $there || exit 99
done
cd "$PWD"
exec "$@"
"""


def test_a_fault_is_undone_where_nothing_can_be_written(world: World) -> None:
    """A process that comes to undo what a dead run broke finds no folder for passing files, and needs none."""
    killed = world.start("run", world.drill(within="60s"))
    world.until(lambda: world.frozen() and bool(world.events(Injected)), "the fault is journaled")
    world.kill(killed)

    done = subprocess.run(
        [*_alone(), "sh", "-c", READ_ONLY, "sh", sys.executable, "-m", "drill", "restore"],
        cwd=world.folder,
        env={name: value for name, value in world.environment.items() if name not in ("TMPDIR", "TEMP", "TMP")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert not world.frozen(), done.stderr
