"""What an experiment would call and how much it breaks is read from it; what it does not tell is not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from drill.engines.chaostoolkit.reach import reach
from drill.policy import Call


def python(func: str, module: str = "chaosk8s.pod.actions", kind: str = "action", **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": kind, "name": func, "provider": provider}


def experiment(*method: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "t", "description": "d", "method": list(method), **more}


def test_everything_that_runs_code_is_named_wherever_it_stands() -> None:
    """Actions, probes, undo, controls, a tolerance that is a probe, a configuration that a probe finds out."""
    document = experiment(
        python("terminate_pods"),
        {"type": "action", "name": "p", "provider": {"type": "process", "path": "${tool}"}},
        {"type": "action", "name": "h", "provider": {"type": "http", "url": "${base}/x"}},
        rollbacks=[python("undo", "mine.actions")],
        controls=[{"name": "c", "provider": {"type": "python", "module": "mine.control"}}],
        configuration={"n": {"type": "probe", "provider": {"type": "python", "module": "mine.find", "func": "n"}}},
        **{
            "steady-state-hypothesis": {
                "title": "s",
                "probes": [
                    python("look", "chaosk8s.pod.probes", kind="probe")
                    | {"tolerance": python("judge", "mine.probes", "probe")}
                ],
            }
        },
    )
    found = reach(document, {"tool": "kubectl"})

    assert {(call.what, call.breaks) for call in found.calls} == {
        ("python:chaosk8s.pod.actions.terminate_pods", True),
        ("process:kubectl", True),
        ("http:${base}/x", True),
        ("python:mine.actions.undo", False),
        ("python:mine.control.control", False),
        ("python:mine.find.n", True),
        ("python:chaosk8s.pod.probes.look", False),
        ("python:mine.probes.judge", False),
    }


@pytest.mark.parametrize(
    ("arguments", "share"),
    [
        ({"all": True}, 1.0),
        ({"mode": "percentage", "qty": 30}, 0.3),
        ({"mode": "percentage", "qty": "${qty}"}, 0.4),
        ({"mode": "percentage", "qty": "${other}"}, None),
        ({"mode": "fixed", "qty": 1}, None),
        ({"instance_percent": 25}, 0.25),
        ({}, None),
    ],
)
def test_a_share_is_what_the_arguments_say(arguments: dict[str, Any], share: float | None) -> None:
    """A fixed number is a share of nobody knows how many."""
    found = reach(experiment(python("terminate_pods", **arguments)), {"qty": "40"})

    assert found.calls == (Call("python:chaosk8s.pod.actions.terminate_pods", breaks=True, share=share),)


@pytest.mark.parametrize(
    ("method", "regions"),
    [
        ([python("kill_region", "drill.actions.lab", region="${region}")], ("east",)),
        ([python("a", "x", region="east"), python("b", "x", regions=["west", "east"])], ("east", "west")),
        ([python("a", "x", region="${unknown}")], None),
        ([python("a", "x", region="east"), python("b", "x")], None),
        ([python("stop_instances", "chaosaws.ec2.actions")], ("eu-west-1",)),
        ([python("look", "x.probes", "probe")], ()),
        ([python("look", "x", "probe")], None),
    ],
)
def test_regions_are_those_that_actions_name(method: list[dict[str, Any]], regions: tuple[str, ...] | None) -> None:
    """One action that names none, or one that is not known yet, leaves all of them open."""
    assert reach(experiment(*method), {"region": "east", "aws_region": "eu-west-1"}).regions == regions


def test_an_action_that_is_left_out_breaks_nothing() -> None:
    """`dry` actions are named, and not counted."""
    found = reach(experiment(python("terminate_pods", all=True) | {"dry": True}), {})

    assert found.calls == (Call("python:chaosk8s.pod.actions.terminate_pods"),)


STOP = ("stop_instances", "chaosaws.ec2.actions")
KILL = python("kill_region", "drill.actions.lab", region="east")


@pytest.mark.parametrize(
    "hidden",
    [
        experiment(python(*STOP, "probe")),
        experiment(rollbacks=[python(*STOP)]),
        experiment(configuration={"n": python(*STOP, "probe")}),
        experiment(**{"steady-state-hypothesis": {"title": "s", "probes": [python(*STOP, "probe")]}}),
        experiment(python("look", "x.probes", "probe") | {"tolerance": python(*STOP, "probe")}),
    ],
    ids=["probe", "rollback", "configuration", "hypothesis", "tolerance"],
)
def test_an_action_breaks_whatever_it_is_called_and_wherever_it_stands(hidden: dict[str, Any]) -> None:
    """Chaos Toolkit calls the same function for a probe, for an undo and for a configuration."""
    found = reach(hidden, {"aws_region": "eu-west-1"})

    assert (found.calls[0], found.regions) == (Call(f"python:{STOP[1]}.{STOP[0]}", breaks=True), ("eu-west-1",))


@pytest.mark.parametrize(
    ("undo", "regions"),
    [
        (python("restore_region", "drill.actions.lab", region="east", within=120), ("east",)),
        (python("restore_links", "drill.actions.lab"), ("east",)),
        (python("restore_region", "drill.actions.lab", region="west"), ("east", "west")),
        (python("restore_region", "drill.actions.lab", region="${unknown}"), None),
        (python("start_experiment", "chaosaws.fis.actions"), None),
        (python("kill_members", "drill.actions.lab"), None),
    ],
)
def test_an_undo_counts_with_the_regions_it_names(undo: dict[str, Any], regions: tuple[str, ...] | None) -> None:
    """One that only takes back what its method did adds nothing; one that breaks is told by its name."""
    assert reach(experiment(KILL, rollbacks=[undo]), {}).regions == regions


def test_a_request_that_looks_breaks_nothing() -> None:
    """A GET that asks whether service is well is no fault; a POST may be."""

    def asks(method: str) -> dict[str, Any]:
        return {"type": "probe", "name": "ask", "provider": {"type": "http", "url": "http://x/", "method": method}}

    assert [reach(experiment(KILL, asks(method)), {}).regions for method in ("GET", "POST")] == [("east",), None]
