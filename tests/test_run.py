"""
Whole runs against a real service that is frozen and thawed by experiments.

Everything goes through the command line, as people and CI use it.
"""

from __future__ import annotations

import json
import os
import signal
import textwrap
from pathlib import Path

import pytest

from drill.journal import replay
from drill.model import Done, Injected, Intent, Prepared, Restored
from tests.running import PROBE, World, fails, sleeps

THAW_LATER = "  - restore: freeze\n  - await: recovery\n    within: 15s"


def test_a_frozen_service_that_thaws_by_itself_is_measured(world: World) -> None:
    """The outage of a service that comes back on its own is met, with bounds around the truth."""
    world.experiment("freeze", [world.signal("STOP"), sleeps(2), world.signal("CONT")], [world.signal("CONT")])

    code, out, err = world.run("run", world.drill())

    assert (code, world.record()["result"]) == (0, "met"), out + err
    rto = world.record()["measured"]["rto"]
    assert 1.5 < rto["lower_s"] <= rto["upper_s"] < 4.0
    assert "MET" in out
    assert not world.frozen()


def test_a_service_that_only_comes_back_by_the_undo_never_recovered(world: World) -> None:
    """What the undo repairs is not recovery: missed or inconclusive, never met; and it is repaired."""
    code, _, _ = world.run("run", world.drill(within="3s"))

    record = world.record()
    assert (code, record["result"]) == (3, "inconclusive")
    assert record["objectives"][0]["reason"] in ("never_recovered", "recovered_after_undo")
    assert record["measured"]["rto"]["upper_s"] is None
    assert not world.frozen()


def test_a_restore_step_before_recovery_is_the_recovery_under_test(world: World) -> None:
    """When the drill itself restores before it awaits recovery, the undo's own time is measured."""
    drill = world.drill()
    drill.write_text(
        drill.read_text().replace("  - await: recovery\n    within: 15s\n", "  - watch: 1s\n" + THAW_LATER)
    )

    code, out, err = world.run("run", drill)

    assert (code, world.record()["result"]) == (0, "met"), out + err


def test_intents_are_journaled_before_effects(world: World) -> None:
    """In every journal: undo, then intent, then what was done, for each activity; undone at the end."""
    world.run("run", world.drill(within="2s"))

    kinds = [type(event) for event in replay(world.latest()).of(Prepared, Intent, Done, Injected, Restored)]
    assert kinds == [Prepared, Intent, Done, Injected, Intent, Done, Restored]


def test_an_unhealthy_baseline_refuses_the_drill(world: World) -> None:
    """A service that is not well before the fault is not broken further."""
    os.kill(world.service.pid, signal.SIGSTOP)

    code, out, _ = world.run("run", world.drill())
    os.kill(world.service.pid, signal.SIGCONT)

    assert code == 4
    assert "the baseline is unhealthy" in out
    assert (world.record()["result"], world.events(Intent)) == ("refused", [])


def test_a_guard_ends_the_drill_and_the_fault(world: World) -> None:
    """An outage beyond max_outage aborts at once, and the fault is undone."""
    code, _, err = world.run("run", world.drill(within="60s", more="guards: [{max_outage: 1s}]"))

    assert code == 4
    assert "down for more than 1 s" in err
    assert not world.frozen()


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_undoes_the_fault_however_often_it_is_pressed(world: World, times: int) -> None:
    """The first Ctrl-C stops the drill; further ones do not lose the undo."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    for _ in range(times):
        run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)

    assert run.returncode == 4
    assert not world.frozen()
    assert world.record()["result"] == "aborted"


def test_a_failing_action_aborts_and_undoes(world: World) -> None:
    """An action that fails is never a pass; what came before it is undone."""
    world.experiment("freeze", [world.signal("STOP"), fails()], [world.signal("CONT")])

    code, _, err = world.run("run", world.drill())

    assert (code, world.record()["result"]) == (4, "aborted"), err
    assert not world.frozen()


def test_a_failing_rollback_is_unsafe_and_says_what_to_do(world: World) -> None:
    """An undo that fails ends in exit code 5, and a person reads what must be done now."""
    world.experiment("freeze", [world.signal("STOP")], [fails()])

    code, out, _ = world.run("run", world.drill(within="2s"))
    os.kill(world.service.pid, signal.SIGCONT)

    assert (code, world.record()["result"]) == (5, "unsafe")
    assert "do now:" in out
    assert world.record()["instructions"]


def test_a_fault_without_effect_is_inconclusive(world: World) -> None:
    """A fault that breaks nothing proves nothing, however well the service did."""
    nothing = {"type": "action", "name": "nothing", "provider": {"type": "process", "path": "true", "timeout": 5}}
    world.experiment("freeze", [nothing], [nothing])

    code, _, _ = world.run("run", world.drill())

    assert code == 3
    assert [(o["verdict"], o["reason"]) for o in world.record()["objectives"]] == [("inconclusive", "no_effect")]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_the_guardian_restores_when_the_conductor_is_gone(world: World, number: signal.Signals) -> None:
    """After kill -9 or a freeze of drill, the fault is undone within seconds, with evidence, and nothing runs on."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    guardian = world.guardian(run)
    run.send_signal(number)

    world.until(lambda: not world.frozen(), "the guardian has thawed the service", within=10)
    world.until(lambda: gone(guardian), "the guardian has gone")
    assert run.wait(timeout=5) == -signal.SIGKILL
    assert (world.record()["result"], world.events(Restored)[-1].verified) == ("aborted", True)
    assert "restored" in (world.latest() / "guardian.log").read_text()


def test_after_everything_is_killed_another_process_restores(world: World) -> None:
    """The journal alone is enough: drill restore undoes what a killed run left; a second one finds nothing."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    world.until(lambda: bool(world.events(Injected)), "the fault is journaled")
    world.kill(run)
    assert world.frozen()

    code, out, err = world.run("restore")

    assert (code, world.frozen()) == (0, False), out + err
    assert world.record()["result"] == "aborted"
    assert world.run("restore")[:2] == (0, "nothing to restore\n")


def test_a_run_whose_guardian_dies_is_stopped(world: World) -> None:
    """No guardian, no fault: the drill ends at once and undoes what it broke."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    os.kill(world.guardian(run), signal.SIGKILL)
    _, err = run.communicate(timeout=30)

    assert (run.returncode, world.frozen()) == (4, False)
    assert "the guardian of this run died" in err


def test_a_run_that_is_going_on_is_not_restored_by_somebody_else(world: World) -> None:
    """drill restore leaves a living run alone."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")

    assert world.run("restore")[:2] == (0, "nothing to restore\n")
    code, _, err = world.run("restore", world.latest())
    assert code == 4
    assert "still going on" in err
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=30)
    assert not world.frozen()


def test_one_drill_at_a_time_per_system(world: World) -> None:
    """A second drill of the same system is refused while the first goes on."""
    drill = world.drill(within="60s")
    run = world.start("run", drill)
    world.until(world.frozen, "the service is frozen")

    code, _, err = world.run("run", drill)

    assert code == 4
    assert "another drill of the system freeze is going on" in err
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)


def test_somebody_elses_experiment_runs_unchanged(world: World) -> None:
    """Any Chaos Toolkit experiment is a drill with a probe and a target."""
    theirs = world.experiment("theirs", [world.signal("STOP"), sleeps(1), world.signal("CONT")], [world.signal("CONT")])
    probe = world.folder / "probes" / "reads.yaml"
    run = ("run", theirs, "--probe", probe, "--rto", "10s", "--with", f"base={world.url}")

    code, out, err = world.run(*run)

    assert code == 0, out + err
    assert 0.5 < world.record()["measured"]["rto"]["lower_s"] < 3


def test_a_secret_never_reaches_what_a_run_leaves(world: World) -> None:
    """A value from the environment is used by the probe and found in no file and no output."""
    canary = "c4n4ry-5ecret-value"
    world.environment["ORDERS_TOKEN"] = canary
    (world.folder / "probes" / "reads.yaml").write_text(
        PROBE.replace("/\n", "/?token=${env:ORDERS_TOKEN}\n", 1)
        + 'headers: {Authorization: "Bearer ${env:ORDERS_TOKEN}"}\n'
    )

    code, out, err = world.run("run", world.drill(within="3s"))

    assert code == 3
    assert canary not in out + err
    for path in world.latest().iterdir():
        assert canary.encode() not in path.read_bytes(), path.name


def test_a_missing_secret_is_named_before_anything_begins(world: World) -> None:
    """A variable that is not set refuses the run and names itself."""
    (world.folder / "probes" / "reads.yaml").write_text(PROBE + "headers: {Authorization: '${env:NOT_SET_HERE}'}\n")

    code, _, err = world.run("run", world.drill())

    assert code == 4
    assert "NOT_SET_HERE is not set" in err


def test_the_report_can_be_made_again_from_the_journal_alone(world: World) -> None:
    """drill report gives the same bytes and the same exit code, with everything else gone."""
    world.run("run", world.drill(within="2s"))
    folder = world.latest()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        if path.name != "journal.log":
            path.unlink()

    code, out, _ = world.run("report", folder.name)

    assert code == 3
    assert "INCONCLUSIVE" in out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_json_for_machines_is_the_report(world: World) -> None:
    """drill run --json prints report.json on standard output and nothing else there."""
    code, out, _ = world.run("run", world.drill(within="2s"), "--json")

    assert (code, json.loads(out)) == (3, world.record())


def test_a_full_disk_refuses_before_the_fault(world: World) -> None:
    """When the run's folder cannot be written, nothing is broken."""
    (world.folder / "reports").write_text("in the way")

    code, _, err = world.run("run", world.drill())

    assert code == 4
    assert "cannot be written" in err
    assert not world.frozen()


def test_plan_touches_nothing(world: World) -> None:
    """drill plan says what would be broken, undone and watched, and leaves no file."""
    before = sorted(world.folder.rglob("*"))

    code, out, _ = world.run("plan", world.drill())

    assert code == 0
    for said in ("send STOP", "send CONT", "reads", "recovery time", "10 s"):
        assert said in out.replace("\u00a0", " ")
    assert [path for path in sorted(world.folder.rglob("*")) if path not in before] == [
        world.folder / "drills/freeze.yaml"
    ]


def test_text_in_help_is_wrapped_for_people() -> None:
    """Every command has help with an example."""
    from click.testing import CliRunner

    from drill.cli import COMMANDS, drill

    for name in COMMANDS:
        said = CliRunner().invoke(drill, [name, "--help"])
        assert said.exit_code == 0
        assert "Example" in said.output, name
        assert textwrap.dedent(said.output)


def test_a_drill_runs_from_any_folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Modules beside the project's files are found from wherever drill is called."""
    (world.folder / "ours.py").write_text(
        "import os, signal, time\n"
        "def nap(pid: int):\n    os.kill(pid, signal.SIGSTOP)\n    time.sleep(1)\n    os.kill(pid, signal.SIGCONT)\n"
    )
    nap = {
        "type": "action",
        "name": "nap",
        "provider": {"type": "python", "module": "ours", "func": "nap", "arguments": {"pid": world.service.pid}},
    }
    world.experiment("freeze", [nap], [world.signal("CONT")])
    drill = world.drill().resolve()
    world.elsewhere = tmp_path_factory.mktemp("elsewhere")

    code, out, err = world.run("run", drill)

    assert code == 0, out + err
