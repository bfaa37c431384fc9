"""Experiments carried out by real processes with the real Chaos Toolkit."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from drill.engines.chaostoolkit import ChaosToolkitEngine
from drill.errors import EnvironmentFault, FaultLeftInPlace, Refused
from drill.model import Effect, Injection, Undo
from tests.engines.chaostoolkit.world import Memory, experiment, fault, injected, prepared, process, python


async def test_every_call_is_asked_for_before_and_told_after():
    """Probes of the steady state, actions, probes of the method and rollbacks all pass the gate, in order."""
    gate = Memory()
    document = experiment(
        python("write", "break it", path="mark"),
        python("exists", "look", kind="probe", path="mark"),
        rollbacks=[python("remove", "mend it", path="mark")],
        **{
            "steady-state-hypothesis": {
                "title": "all is well",
                "probes": [{**process("true", name="fine", kind="probe"), "tolerance": 0}],
            }
        },
    )
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, gate)
    assert Path("mark").exists()
    await engine.undo(undo, gate)

    assert not Path("mark").exists()
    assert gate.asked == [
        ("fine", False, False),
        ("break it", True, False),
        ("look", False, False),
        ("fine", False, False),
        ("mend it", False, True),
    ]
    assert gate.seen == [f"{verb} {name}" for name, _, _ in gate.asked for verb in ("ask", "done")]


async def test_nothing_happens_before_the_intent_is_on_disk():
    """While the conductor has not answered, the world is untouched."""
    touched_too_early = []

    class Slow(Memory):
        fence = None

        async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
            touched_too_early.append(Path("mark").exists())
            return await super().ask(activity, breaks=breaks, undoing=undoing)

    await injected(experiment(python("write", path="mark")), Slow())

    assert touched_too_early == [False]
    assert Path("mark").exists()


async def test_an_action_that_raises_fails_the_injection():
    """The error names the activity and what it said; nothing after it is carried out."""
    gate = Memory()

    with pytest.raises(EnvironmentFault) as failed:
        await injected(experiment(python("fail", "break it", message="no such node"), python("write", path="x")), gate)

    assert str(failed.value) == "it: action break it failed: RuntimeError: no such node"
    assert gate.seen == ["ask break it", "failed break it"]
    assert not Path("x").exists()


async def test_a_process_action_that_ends_with_3_fails_the_injection():
    """Chaos Toolkit counts any exit code as success; drill does not."""
    with pytest.raises(EnvironmentFault) as failed:
        await injected(experiment(process("sh", "-c", "echo no rights >&2; exit 3", name="break it")))

    assert str(failed.value) == "it: action break it failed: it ended with exit code 3: no rights"


async def test_a_failed_probe_in_the_method_is_written_down():
    """A probe of the method decides nothing: it is in the details, and the experiment goes on."""
    injection = await injected(experiment(python("fail", "look", kind="probe"), python("write", path="mark")))

    assert injection.details[0] == {
        "activity": "look",
        "type": "probe",
        "stage": "method",
        "ok": False,
        "error": "RuntimeError: it broke",
    }
    assert injection.effect is Effect.SHOWN


async def test_an_unmet_steady_state_refuses():
    """Before the method, an unmet hypothesis refuses the drill with nothing broken."""
    hypothesis = {
        "title": "h",
        "probes": [{**python("exists", "service up", kind="probe", path="nowhere"), "tolerance": True}],
    }
    with pytest.raises(Refused) as refused:
        await injected(experiment(python("write", path="mark"), **{"steady-state-hypothesis": hypothesis}))

    assert str(refused.value) == (
        "it: the steady state was not met before the method: service up: false is not within true\n"
        "  hint: nothing was broken"
    )
    assert not Path("mark").exists()


async def test_a_tolerance_that_cannot_fit_refuses():
    """chaoslib crashes on it and loses the rollbacks; drill says that the steady state could not be found out."""
    probe = {**python("say", kind="probe", value="text"), "tolerance": {"type": "regex", "pattern": "x"}}
    hypothesis = {"title": "h", "probes": [probe]}
    with pytest.raises(Refused, match="could not be found out before the method: it could not be evaluated: TypeError"):
        await injected(experiment(python("write", path="mark"), **{"steady-state-hypothesis": hypothesis}))


async def test_a_steady_state_lost_after_the_method_is_a_finding():
    """The fault is there to be measured, and the experiment's own check has failed: both are said."""
    hypothesis = {"title": "h", "probes": [{**python("exists", "up", kind="probe", path="good"), "tolerance": True}]}
    Path("good").touch()
    injection = await injected(
        experiment(python("remove", "break", path="good"), **{"steady-state-hypothesis": hypothesis})
    )

    assert injection.failed == ("the steady state was not met after the method: up: false is not within true",)
    assert injection.details[-1] == {
        "steady_state": "after",
        "met": False,
        "why": "up: false is not within true",
    }


async def test_the_steady_state_is_watched_during_the_method_when_asked():
    """With the strategy during-method-only, an unmet hypothesis beside the method is a finding."""
    hypothesis = {"title": "h", "probes": [{**python("exists", "up", kind="probe", path="nowhere"), "tolerance": True}]}
    injection = await injected(
        experiment(
            python("sleep", seconds=0.3),
            runtime={"hypothesis": {"strategy": "during-method-only"}},
            **{"steady-state-hypothesis": hypothesis},
        )
    )

    assert injection.failed == ("the steady state was not met during the method: up: false is not within true",)


@pytest.mark.parametrize(
    ("method", "effect", "evidence"),
    [
        ([python("write", path="m")], Effect.SHOWN, "m is broken"),
        ([python("nothing")], Effect.NONE, "nothing matched"),
        ([python("nothing"), python("write", path="m")], Effect.SHOWN, "nothing matched; m is broken"),
        ([python("nothing"), python("remove", path="m")], Effect.NONE, "nothing matched"),
        (
            [python("remove", "r", path="m")],
            Effect.UNKNOWN,
            "r: ended without an error, which does not show an effect",
        ),
        ([], Effect.UNKNOWN, ""),
        (
            [python("write", path="m") | {"dry": True}],
            Effect.NONE,
            "every action is marked dry: nothing was done; write was left out: it is marked dry",
        ),
    ],
    ids=["shown", "none", "none then shown", "none then silent", "silent", "no action", "dry"],
)
async def test_the_effect_is_what_the_actions_can_show(method, effect, evidence):
    """An action that ended well shows nothing by itself; one that says so in its output does."""
    injection = await injected(experiment(*method))

    assert (injection.effect, injection.evidence) == (effect, evidence)


async def test_dry_activities_touch_nothing():
    """Chaos Toolkit takes `dry: true` and runs the fault; drill leaves it out."""
    gate = Memory()
    await injected(experiment(python("write", path="a") | {"dry": True}, python("write", path="b")), gate)

    assert (Path("a").exists(), Path("b").exists()) == (False, True)
    assert gate.asked == [("write", True, False)]


async def test_activities_in_the_background_are_waited_for():
    """They go on beside the others, are asked for like them, and fail the injection like them."""
    gate = Memory()
    with pytest.raises(EnvironmentFault, match="action late failed: RuntimeError: it broke"):
        await injected(
            experiment(
                python("fail", "late") | {"background": True, "pauses": {"before": 0.3}}, python("write", path="mark")
            ),
            gate,
        )

    assert gate.seen == ["ask write", "done write", "ask late", "failed late"]


async def test_every_rollback_is_run_and_each_failure_told():
    """One that raises, one that hangs and one that takes the process with it do not stop the last."""
    document = experiment(
        python("write", path="mark"),
        rollbacks=[
            python("fail", "first", message="gone"),
            python("deaf", "second", seconds=300) | {"timeout": 0.3},
            python("leave", "third"),
            python("remove", "last", path="mark"),
        ],
    )
    gate = Memory()
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, gate)

    with pytest.raises(FaultLeftInPlace) as left:
        await engine.undo(undo, gate)

    assert left.value.args[0] == (
        "it could not be undone: action first failed: RuntimeError: gone; "
        "action second did not end within 0.3 s; it was killed; "
        "the process of the experiment ended during action third (exit code 7); it had printed: last words"
    )
    assert left.value.instructions == (
        "do by hand, then check: first: functions.fail(message='gone')",
        "do by hand, then check: second: functions.deaf(seconds=300)",
        "do by hand, then check: third: functions.leave()",
    )
    assert not Path("mark").exists()
    assert [seen for seen in gate.seen if seen.startswith("ask")] == [
        "ask write",
        "ask first",
        "ask second",
        "ask third",
        "ask last",
    ]


async def test_undoing_needs_nothing_but_the_undo(folder, monkeypatch):
    """It runs from the journaled data, in another folder, with the configuration as it was when prepared."""
    monkeypatch.setenv("WHERE", "mark")
    document = experiment(
        python("write", path="${where}"),
        rollbacks=[python("remove", path="${where}")],
        configuration={"where": {"type": "env", "key": "WHERE"}},
    )
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, Memory())
    on_disk = msgspec.json.decode(msgspec.json.encode(undo), type=Undo)
    monkeypatch.setenv("WHERE", "elsewhere")
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")

    await engine.undo(on_disk, Memory())

    assert not (folder / "mark").exists()


async def test_undoing_what_never_happened_is_right():
    """The rollbacks are run whether or not the fault got anywhere."""
    gate = Memory()
    engine, _, undo = await prepared(experiment(python("write", path="m"), rollbacks=[python("remove", path="m")]))

    await engine.undo(undo, gate)
    await engine.undo(undo, gate)

    assert gate.seen == ["ask remove", "done remove"] * 2


async def test_an_experiment_without_rollbacks_says_so():
    """Its undo does nothing, and a person reads that before and after."""
    engine, _, undo = await prepared(experiment(python("write", path="m")))

    assert undo.summary == ("undo: nothing; the experiment declares no rollbacks, what its actions leave behind stays",)
    await engine.undo(undo, Memory())


async def test_what_is_missing_here_is_said_before_anything_is_broken():
    """A variable, a module, a function or a program that only a rollback needs is found out at once."""
    document = experiment(
        python("write", path="m"),
        rollbacks=[
            process("no-such-program"),
            {
                "type": "action",
                "name": "r",
                "provider": {"type": "python", "module": "no_such.module", "func": "f"},
            },
            python("no_such_function"),
        ],
        configuration={"x": {"type": "env", "key": "NO_SUCH_VARIABLE"}},
    )
    with pytest.raises(EnvironmentFault) as missing:
        await prepared(document, file="experiments/x.json")

    assert str(missing.value) == (
        "experiments/x.json cannot be carried out here: the environment variable NO_SUCH_VARIABLE is not set; "
        "the program no-such-program is not on this machine's PATH; the module no_such.module is not installed here; "
        "the module functions has no function no_such_function"
    )


async def test_arguments_of_a_drill_override_the_configuration():
    """What stands under `with:` is what the activities get."""
    document = experiment(
        python("say", value="${where}"),
        configuration={"where": {"type": "env", "key": "NO_SUCH_VARIABLE"}, "kept": 1},
    )
    injection = await injected(document, arguments={"where": "east", "new": 2})

    assert injection.details[0]["output"] == {
        "value": "east",
        "configuration": {"where": "east", "kept": 1, "new": 2},
        "secrets": None,
    }


async def test_activities_know_the_lab():
    """The lab's folder is in their environment."""
    injection = await injected(experiment(process("sh", "-c", "echo lab=$DRILL_LAB")), lab="somewhere")

    assert injection.details[0]["output"]["stdout"] == "lab=somewhere\n"


async def test_what_activities_print_does_not_break_the_conversation():
    """Not even a line that looks like one of ours."""
    injection = await injected(experiment(python("shout"), python("write", path="m")))

    assert injection.details[0]["output"] == "said"
    assert injection.effect is Effect.SHOWN


async def test_references_are_followed():
    """A `ref` in the method runs the activity that it names."""
    document = experiment(
        {"ref": "up"},
        **{
            "steady-state-hypothesis": {
                "title": "h",
                "probes": [{**python("exists", "up", kind="probe", path="."), "tolerance": True}],
            }
        },
    )
    gate = Memory()
    await injected(document, gate)

    assert gate.asked == [("up", False, False)] * 3


async def test_controls_are_asked_for_before_they_are_loaded(folder):
    """A control is code, too; one that interrupts the experiment fails the injection."""
    (folder / "veto.py").write_text(
        "from chaoslib.exceptions import InterruptExecution\n"
        "def before_activity_control(context, **kwargs):\n    raise InterruptExecution('not on a Friday')\n"
    )
    gate = Memory()
    control = {"name": "calendar", "provider": {"type": "python", "module": "veto"}}

    with pytest.raises(EnvironmentFault) as failed:
        await injected(experiment(python("write", path="m"), controls=[control]), gate)

    assert str(failed.value) == "it: action write: the experiment was interrupted: not on a Friday"
    assert gate.asked == [("load controls: calendar (veto)", False, False)]


async def test_a_configuration_found_by_a_probe_passes_the_gate():
    """Dynamic configuration is code: it is asked for, and a failure of it fails the fault before anything breaks."""
    dynamic = {**python("exists", "look it up", kind="probe", path="."), "type": "probe"}
    gate = Memory()
    injection = await injected(experiment(python("say", value="${here}"), configuration={"here": dynamic}), gate)

    assert gate.asked == [("look it up", False, False), ("say", True, False)]
    assert injection.details[-1]["output"]["value"] is True

    broken = {**python("fail", kind="probe"), "type": "probe"}
    with pytest.raises(EnvironmentFault, match="the configuration here could not be found out: RuntimeError: it broke"):
        await injected(experiment(python("write", path="m"), configuration={"here": broken}))
    assert not Path("m").exists()


async def test_the_undo_aims_where_the_fault_did():
    """What a probe found out before the fault is what the undo uses, although the probe would now say otherwise."""
    Path("leader").write_text("a")
    who_leads = {**process("cat", "leader", name="who leads", kind="probe"), "type": "probe"}
    document = experiment(
        process("sh", "-c", "touch stopped-${leader}; printf b > leader", name="stop the leader"),
        rollbacks=[process("rm", "stopped-${leader}", name="start it again")],
        configuration={"leader": who_leads},
    )
    gate = Memory()
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, gate)
    assert Path("stopped-a").exists()

    await engine.undo(undo, gate)

    assert not Path("stopped-a").exists()
    assert [name for name, _, _ in gate.asked] == ["who leads", "stop the leader", "start it again"]


async def test_a_folder_that_is_gone_does_not_keep_the_undo_from_running(folder, monkeypatch):
    """Programs do not need it; what does need it says so."""
    (folder / "project").mkdir()
    monkeypatch.chdir(folder / "project")
    engine, _, undo = await prepared(experiment(rollbacks=[process("touch", str(folder / "undone"), name="mend")]))
    monkeypatch.chdir(folder)
    (folder / "project").rmdir()

    await engine.undo(undo, Memory())

    assert (folder / "undone").exists()


async def test_a_large_output_is_cut():
    """A journal is no place for a web page."""
    injection = await injected(experiment(python("say", value="x" * 200_000)))

    output = injection.details[0]["output"]
    assert (output["truncated"], output["bytes"] > 200_000, len(json.dumps(output)) < 10_000) == (True, True, True)


async def test_a_fault_is_described_before_it_is_run():
    """What it calls and how it is undone, with the values that are known and no secrets."""
    document = experiment(
        process("kubectl", "cordon", "${node}", name="cordon"),
        python("write", path="m") | {"background": True},
        {"type": "probe", "name": "page", "provider": {"type": "http", "url": "http://x/"}},
        rollbacks=[process("kubectl", "uncordon", "${node}", "--token=${token}", name="uncordon")],
        configuration={"node": {"type": "env", "key": "NO_SUCH_VARIABLE", "default": "a"}, "token": "hunter22"},
    )

    assert list(ChaosToolkitEngine().describe(fault(document))) == [
        "action: cordon: kubectl cordon a",
        "action in the background: write: functions.write(path='m')",
        "probe: page: GET http://x/",
        "undo: uncordon: kubectl uncordon a --token=${token}",
    ]


async def test_an_injection_reads_back_from_disk():
    """What an engine says of a fault survives the journal as it was."""
    injection = await injected(experiment(python("write", path="m")))

    assert msgspec.json.decode(msgspec.json.encode(injection), type=Injection) == msgspec.convert(
        msgspec.to_builtins(injection), Injection
    )
